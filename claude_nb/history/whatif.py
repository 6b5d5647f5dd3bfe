"""What a conversation would have cost under other trim policies, with and without the prompt cache: a frame."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from claude_nb import trim as trimming
from claude_nb.errors import HistoryError, ModelError
from claude_nb.ledger import price_usage
from claude_nb.models import find
from claude_nb.trim import Trim

from .replay import Replay, Run, Used

if TYPE_CHECKING:
    import pandas as pd

    from .history import History

_NAMES = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


def what_if(
    history: "History", policies: Sequence[Trim | None], *, model: str | None = None
) -> "pd.DataFrame":
    """Give what this conversation would have cost under each trim policy, with and without caching.

    Each request so far, on whichever branch, is made again in thought: what the policy would have sent, what the prompt
    cache would have held at that time (the sandbox's cache), what the model charges. The replies are assumed to be the
    same. A request that was made in this very way is as it was measured, so the policy that was used costs what the
    ledger says. Nothing is sent.

    Args:
        history: The conversation.
        policies: Policies of :mod:`claude_nb.trim`, or lists of them to be used together; None for everything sent.
            ``history.trim`` is what is used now.
        model: Who is asked instead, such as ``"claude-opus-5-5"``; default: whoever was asked.

    Returns:
        A row a policy and kind of caching: ``policy``, ``caching``, ``requests`` (calls for summaries included),
        ``input_tokens``, ``cache_creation_input_tokens``, ``cache_read_input_tokens``, ``output_tokens``,
        ``tokens_per_turn``, ``cache_hit`` (share of the prompt), ``cost_usd`` (None where unknown), ``estimated``
        (whether any request differs from what was measured) and ``note`` (which turns could not be made again, and what
        is assumed there).

    Raises:
        HistoryError: Something in the list is no policy.
        ModelError: Nothing is known of the model.
    """
    import pandas as pd

    if isinstance(policies, str) or not isinstance(policies, Sequence):
        raise HistoryError(
            f"what_if() takes a list of policies, such as [None, keep_last(10)], not {policies!r}."
        )
    chosen = find(model) if isinstance(model, str) else None
    if model is not None and chosen is None:
        raise ModelError(f"nothing is known of the model {model!r}. Give one of claude_nb.models.known().")
    wanted = [trimming.policies(policy) for policy in policies]
    replay = Replay(history._tree, history._sizes, chosen)
    return pd.DataFrame(
        [
            _row(replay, policy, run, caching=caching)
            for policy, run in ((policy, replay.run(policy)) for policy in wanted)
            for caching in (True, False)
        ]
    )


def _row(replay: Replay, policy: Sequence[trimming.Policy], run: Run, *, caching: bool) -> dict[str, Any]:
    calls = run.used(caching=caching)
    sums = {name: sum(used.usage.get(name) or 0 for used in calls) for name in _NAMES}
    prompt = sum(sums[name] for name in _NAMES[:3])
    turns = sum(entry.is_prompt and entry.summary_of is None for entry in replay.tree.entries) or 1
    costs = [_cost(used) for used in calls]
    known = [cost for cost in costs if cost is not None]
    return {
        "policy": "everything" if not policy else " + ".join(map(repr, policy)),
        "caching": caching,
        "requests": len(calls),
        **sums,
        "tokens_per_turn": round(prompt / turns),
        "cache_hit": round(sums["cache_read_input_tokens"] / prompt, 3) if prompt else None,
        "cost_usd": sum(known, Decimal(0)) if len(known) == len(costs) else None,
        "estimated": not all(used.measured for used in calls),
        "note": _note(run.notes),
    }


def _cost(used: Used) -> Decimal | None:
    at = datetime.fromtimestamp(used.at, UTC) if used.at else None
    return price_usage(used.model, used.usage, at, refused=used.unbilled)


def _note(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    more = f"; and {len(notes) - 1} more" if len(notes) > 1 else ""
    return f"{notes[0]}{more}"
