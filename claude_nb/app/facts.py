"""What the window tells beside the talk: models and their lifecycle, cost and budget, how full the context is."""

import asyncio
from collections.abc import Callable, Iterable
from threading import Thread
from typing import TYPE_CHECKING, Any

from claude_nb.models import find, known

if TYPE_CHECKING:
    from claude_nb.chat import Chat

_PATIENCE = 10.0  # seconds for the list of models


def choices(models: Iterable[Any], current: str) -> list[tuple[str, str]]:
    """Give the models to choose from as ``(label, id)``, the current one among them.

    Args:
        models: What ``client.models.list()`` gave, or our own table; other servers name only the id.
        current: The model in use.
    """
    found: dict[str, str] = {}
    for model in models:
        if isinstance(name := getattr(model, "id", None), str) and name:
            found.setdefault(name, _label(name, model))
    found.setdefault(current, _label(current, find(current)))
    labels = list(found.values())
    return [
        (label if labels.count(label) == 1 else f"{label} ({name})", name) for name, label in found.items()
    ]


def known_models() -> list[Any]:
    """Give the models of the package's own table that still answer."""
    return list(known())


def listed(client: Any) -> list[Any]:
    """Give the models that the server lists, or those of our own table where it lists none."""
    try:
        return list(client.with_options(timeout=_PATIENCE, max_retries=1).models.list(limit=1000))
    except Exception:  # noqa: BLE001 - many servers have no such list; the window works without
        return known_models()


async def listed_async(client: Any) -> list[Any]:
    """Do the same as :func:`listed` with an async client."""
    try:
        pages = client.with_options(timeout=_PATIENCE, max_retries=1).models.list(limit=1000)
        return [model async for model in pages]
    except Exception:  # noqa: BLE001 - as above
        return known_models()


def look_up(client: Any, loop: asyncio.AbstractEventLoop | None, found: Callable[[list[Any]], None]) -> Any:
    """Ask the server for its models beside the cells, and call ``found`` with them.

    Args:
        client: Sync: it is asked in a thread. Async: in a task.
        loop: The kernel's event loop; an async client without one is not asked.
        found: May be called in another thread.

    Returns:
        What is to be kept until then, lest it be collected.
    """

    async def look() -> None:
        found(await listed_async(client))

    if not type(client).__name__.startswith("Async"):  # as the SDK names them, also for cloud platforms
        thread = Thread(target=lambda: found(listed(client)), name="claude_nb models", daemon=True)
        thread.start()
        return thread
    return loop.create_task(look()) if loop is not None else None


def warning(model: str) -> str:
    """Give what to know about a model before using it: that it is about to go; empty for most."""
    found = find(model)
    if found is None or found.lifecycle == "active":
        return ""
    when = f" and retires on {found.retires_at}" if found.retires_at else ""
    return f"{found.display_name} is deprecated{when}. Choose a current model."


def facts(chat: "Chat", window: int | None = None) -> dict[str, Any]:
    """Give the line below the window.

    Args:
        chat: The conversation.
        window: The context window in tokens, where the server told it.

    Returns:
        ``cost``, ``budget``, ``warning`` as text, ``used`` and ``window`` in tokens (None where unknown).
    """
    replies = [entry for entry in chat.history.entries if entry.role == "assistant"]
    model = find(chat.model)
    used = replies[-1].prompt_tokens if replies else 0
    cost, budget = _spent(chat)
    if window is None and model is not None:
        window = model.max_input_tokens
    return {"cost": cost, "budget": budget, "warning": warning(chat.model), "used": used, "window": window}


def _label(name: str, model: Any) -> str:
    ours = find(name)
    label = str(getattr(model, "display_name", None) or (ours.display_name if ours else name))
    stage = getattr(model, "lifecycle", None) or (ours.lifecycle if ours else None)
    retires = getattr(model, "retires_at", None) or (ours.retires_at if ours else None)
    if stage in ("deprecated", "retired"):
        when = f", retires {str(retires)[:10]}" if retires and stage == "deprecated" else ""
        label += f" – {stage}{when}"
    return label


def _spent(chat: "Chat") -> tuple[str, str]:
    from claude_nb.ledger import Ledger, format_usd
    from claude_nb.ledger.meter import Meter

    meters = [entry for entry in getattr(chat._client, "middleware", ()) if isinstance(entry, Meter)]  # noqa: SLF001 - the window is the chat's own
    if not meters:
        return "cost not recorded: this client has no ledger", ""
    store = meters[-1].store
    ledger = Ledger(store.url)
    ledger._store = store  # noqa: SLF001 - a ledger in memory is known by its store alone
    try:
        total = ledger.where(conversation=chat.conversation).total(simulated=meters[-1].simulated)
        left = [
            f"{format_usd(budget.left(simulated=total.simulated))} left of {format_usd(budget.usd)} {_per(budget.per)}"
            for budget in store.budgets
        ]
    except Exception:  # noqa: BLE001 - the talk goes on where the ledger cannot be read
        return "cost unknown: the ledger cannot be read", ""
    if total.simulated:
        return f"Simulated: {format_usd(total.usd)} if it were live", "; ".join(left)
    return str(total), "; ".join(left)


def _per(period: str) -> str:
    return {"total": "in total"}.get(period, f"per {period}")
