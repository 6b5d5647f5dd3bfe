"""What a conversation sends: a request that the API accepts, under the trim policies."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from claude_nb import trim as trimming
from claude_nb.errors import HistoryError
from claude_nb.trim import WHOLE, Cut, Policy, ServerSide, Trim
from claude_nb.trim.server import COMPACTION, COMPACTION_BETA

from . import sizes, summary, unfinished, view
from .saying import named

if TYPE_CHECKING:
    from .history import History


def request(history: "History", *, trim: Trim | None = None, model: str | None = None) -> dict[str, Any]:
    """Give ``system``, ``tools`` and ``messages`` for the next call, acceptable to the API as they are.

    Parts that were never set are left out, so that ``client.messages.create(..., **history.request())`` works.
    Everything is a copy: changing it does not change the conversation. Where the API itself edits the conversation,
    or did, there are also ``betas`` (and ``context_management``): call ``client.beta.messages`` then.

    Args:
        history: The conversation.
        trim: A policy of :mod:`claude_nb.trim`, or several, for this request; ``()`` for none. Default: that of the
            history. In a tool loop the cut of its first request stays, because the model's thinking depends on it,
            until a policy tells the loop in words.
        model: Who is asked; default the model that replied last. It decides how instructions are sent.

    Raises:
        HistoryError: There is nothing to answer yet; the message says what is missing.
    """
    policies = history.trim if trim is None else trimming.policies(trim)
    _check_ready(history)
    edits = _server_side(history, policies)
    for policy in policies:
        if isinstance(policy, trimming.Summarize) and not unfinished.goes_on(history._tree):
            summary.summarize(policy, history, history._sizes.talk(history._tree))
    tree, cut = history._tree, _cut(history, policies)
    system_messages = sizes.takes_instructions(tree.path(), model)
    marks = view.fixed_marks(history._system, history._tools)
    messages = view.as_messages(history._view(cut, system_messages=system_messages), marks)
    history._asked = (tree.head, tree.number_of(cut))
    return history._fixed() | {"messages": messages} | edits


def betas_of(history: "History") -> list[str]:
    """The betas that the next request names: those of the trim, and those of summaries that the API wrote."""
    return list(_server_side(history, history.trim).get("betas", ()))


def _check_ready(history: "History") -> None:
    if waiting := history.waiting():
        raise HistoryError(
            f"tool calls wait for their results: {named(waiting)}. Call history.results({{id: result}})."
        )
    if unfinished.last_said(history._tree) is None:
        raise HistoryError("the conversation is empty. Call history.user(...) first.")
    if not unfinished.can_ask(history._tree):
        raise HistoryError(
            "the conversation ends with a reply. Call history.user(...) before the next request."
        )


def _server_side(history: "History", policies: Sequence[Policy]) -> dict[str, Any]:
    """What the API is to edit, and the betas for that.

    Raises:
        HistoryError: It would compact a conversation that was compacted on demand, which the API refuses.
    """
    edits = trimming.server_side(policies)
    path = history._tree.path()
    on_demand = any(entry.role == "assistant" and not entry.is_reply for entry in path[:1])
    if on_demand and any(isinstance(one, ServerSide) and one.edit["type"] == COMPACTION for one in policies):
        raise HistoryError(
            "the conversation was compacted on demand, and the API takes no server_compaction() beside that. "
            "Set history.trim without it, and call history.compaction() when the next summary is due."
        )
    betas = [*edits.get("betas", ()), *([summary.BETA] if on_demand else [])]
    if any(block["type"] == "compaction" for entry in path for block in entry.content if entry.is_reply):
        betas.append(COMPACTION_BETA)
    return edits | ({"betas": list(dict.fromkeys(betas))} if betas else {})


def _cut(history: "History", policies: Sequence[Policy]) -> Cut:
    """The cut for the next request; what the policies left out before stays out."""
    tree = history._tree
    path, before = tree.path(), tree.cut_before()
    cut, talk = before, history._sizes.talk(tree) if policies else None
    if not unfinished.goes_on(tree):
        cut = trimming.apply(policies, talk, before) if talk else WHOLE
    elif talk and unfinished.in_loop(tree):
        cut = trimming.apply_in_loop(policies, talk, before)
    cut = view.settled(path, cut, tree.cuts)
    if talk:
        change = view.first_difference(cut, before)
        model = sizes.model_of(path).id
        history.report = trimming.report(talk, cut, before, first_change=change, model=model)
    return cut
