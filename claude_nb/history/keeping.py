"""Keeping a conversation: in a file, as JSON, as SDK parameters, as Markdown, as a program."""

import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claude_nb import trim as trimming
from claude_nb.errors import HistoryError

from . import sizes, unfinished, view
from .content import as_json, copied
from .tree import Tree

if TYPE_CHECKING:
    from .history import History

_OWN = ("system", "tools", "messages")


def save(history: "History", path: "str | Path") -> Path:
    """Write the conversation with all its branches to a JSON Lines file, all of it or nothing.

    Raises:
        HistoryError: The file cannot be written.
    """
    from .transcript import save as write

    return write(history, as_path(path, "save"))


def autosave(history: "History", path: "str | Path | None") -> None:
    """Write the conversation to a file now, and each further message as it comes; None stops that.

    Raises:
        HistoryError: The file holds something else: another conversation, or none; or another history writes to it.
    """
    if path is None:
        history._tree.file = None
        return
    from .transcript import claim

    file = as_path(path, "autosave")
    claim(file, history)
    history._tree.file = save(history, file)


def as_path(path: object, call: str) -> Path:
    """The path that a call was given.

    Raises:
        HistoryError: It is none.
    """
    if not isinstance(path, str | PathLike):
        raise HistoryError(
            f"{call}() takes the path of a file, not {type(path).__name__}: {call}('talk.jsonl')."
        )
    return Path(path)


def to_dict(history: "History") -> dict[str, Any]:
    """Give everything that is stored, all branches and settings included, as JSON-ready data."""
    settings = {
        "system": copied(history._system),
        "tools": copied(history._tools),
        "rerun": history._rerun,
        "trim": trimming.described(history.trim),
        "params": copied(history.params),
    }
    return settings | history._tree.to_dict()


def restore(history: "History", data: Mapping[str, Any]) -> None:
    """Fill an empty conversation with what :func:`to_dict` described; a policy that is lost is told."""
    history._tree = Tree.from_dict(data)
    history.params = copied(data.get("params") or {})
    policies, lost = trimming.restored(data.get("trim"))
    history.trim = policies
    if lost:
        warnings.warn(
            f"{', '.join(lost)} holds a client or code of its own, so it was not saved. Set history.trim again.",
            stacklevel=4,
        )


def given(params: Any) -> dict[str, Any]:
    """The arguments of a call as a dict: those of the SDK's threads and tool runners too.

    Raises:
        HistoryError: It is neither arguments nor something that has them.
    """
    found = params if isinstance(params, Mapping) else getattr(params, "params", None)
    if not isinstance(found, Mapping):
        raise HistoryError(
            "from_params() takes the arguments of client.messages.create(...) as a dict, or a thread of "
            f"client.beta.messages.thread(...), not {type(params).__name__}."
        )
    if "messages" not in found:
        raise HistoryError(
            'the parameters have no "messages". For a new conversation use History(system=..., tools=...).'
        )
    return dict(found)


def others(params: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are no part of the conversation: the model, its limits, and what else was asked for.

    Raises:
        HistoryError: One of them is no JSON, such as a client or a class.
    """
    kept = {}
    for name, value in params.items():
        if name in _OWN:
            continue
        kept[name] = as_json(value, f"the parameter {name}", HistoryError)
    return kept


def to_params(history: "History", **changes: Any) -> dict[str, Any]:
    """Give the conversation as arguments of ``client.messages.create`` or of the SDK's ``thread``.

    The counterpart of :meth:`from_params`: everything is there, and the last message may be a reply. Only what a
    policy left out of a tool loop that still runs stays out, because the model's thinking depends on it.

    Args:
        history: The conversation.
        **changes: Arguments to add or to change, such as ``model`` and ``max_tokens``.

    Example:
        >>> thread = client.beta.messages.thread(**history.to_params(model=MODEL, max_tokens=1000))
    """
    path = history._tree.path()
    model = changes.get("model", history.params.get("model"))
    tree = history._tree
    open_turn = history.waiting() or (unfinished.can_ask(tree) and unfinished.goes_on(tree))
    cut = view.settled(path, tree.cut_before() if open_turn else trimming.WHOLE, tree.cuts)
    sent = view.build(path, cut, system_messages=sizes.takes_instructions(path, model))
    messages = view.as_messages(sent, view.fixed_marks(history._system, history._tools))
    params: dict[str, Any] = copied(history.params)
    return params | history._fixed() | {"messages": messages} | changes


def to_markdown(history: "History") -> str:
    """Give the conversation as Markdown. Its words are the model's: read it as text, or render it safely."""
    from .export import markdown

    return markdown(history._tree.path(), history._system)


def to_script(history: "History", *, model: str | None = None, max_tokens: int = 4096) -> str:
    """Give a Python program that asks the last question again with the plain SDK, all that was said included.

    Args:
        history: The conversation.
        model: Whom the program asks; default the model that replied last.
        max_tokens: Ceiling of the reply in tokens.

    Raises:
        HistoryError: The conversation is empty.
    """
    from .export import script

    path = history._tree.path()
    at = next((place for place in range(len(path) - 1, -1, -1) if path[place].role == "user"), None)
    if at is None:
        raise HistoryError("the conversation is empty. Call history.user(...) first.")
    while at + 1 < len(path) and path[at + 1].is_instruction:
        at += 1
    model = model or sizes.model_of(path).id
    request = history.fork(at + 1).request(trim=(), model=model)
    return script(request, model=model, max_tokens=max_tokens)
