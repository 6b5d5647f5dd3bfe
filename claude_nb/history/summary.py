"""A summary in place of old turns: written by a model, kept as a message of a new branch."""

import warnings
from collections.abc import Sequence

from claude_nb.errors import HistoryError
from claude_nb.trim import Summarize, Talk, Turn

from . import content, unfinished
from .entry import Entry
from .export import markdown
from .tree import Tree

_SYSTEM = (
    "You summarise the beginning of a conversation so that it can go on without it. Keep facts, names, numbers, "
    "decisions, open questions and what the user asked for. Write plain text, no preamble."
)


def compact(tree: Tree, turns: Sequence[Turn], summary: str, upto: int) -> int:
    """Begin a branch with a summary of the first ``upto`` messages, and give the number of the old one.

    Raises:
        HistoryError: The messages do not end where a turn ends, or a tool loop is open.
    """
    path, old = tree.path(), tree.head
    if old is None or not 0 < upto <= len(path) or (upto < len(path) and not path[upto].is_prompt):
        starts = [place for place, entry in enumerate(path) if entry.is_prompt and place]
        raise HistoryError(f"a summary stands for whole turns. Turns begin at {starts}; give one as `upto`.")
    last = tree.last
    ended = last is not None and last.role == "assistant" and last.stop_reason != "pause_turn"
    if unfinished.waiting(tree) or (not ended and unfinished.goes_on(tree)):
        raise HistoryError(
            "a tool loop is open, and its thinking depends on what came before. Let it end first."
        )
    blocks = content.prompt(summary, "the summary")
    pinned = [turn for turn in turns if turn.pinned and turn.end <= upto]
    kept = [number for turn in pinned for number in tree.numbers[turn.first : turn.end]]
    kept += tree.numbers[upto:]
    stands_for = tree.numbers[upto - 1]
    tree.go(None)
    tree.append(Entry("user", blocks, summary_of=stands_for))
    tree.append_again(kept)
    return old


def summarize(policy: Summarize, tree: Tree, talk: Talk) -> None:
    """Summarise old turns where the policy asks for it; on failure warn and leave all as it is."""
    upto = policy.old(talk)
    text = _write(policy, tree.path()[:upto]) if upto else None
    if text:
        old = compact(
            tree, talk.turns, f"[Summary of the first {upto} messages, which are left out]\n{text}", upto
        )
        print(  # noqa: T201 - the reader must see that the conversation went on elsewhere
            f"claude_nb: {policy.model} summarised the first {upto} messages. The whole conversation is kept: "
            f"history.switch({old})."
        )


def _write(policy: Summarize, path: Sequence[Entry]) -> str | None:
    """The summary of some messages; None on failure, with a warning."""
    import anthropic

    try:
        message = policy.client.messages.create(
            model=policy.model,
            max_tokens=policy.max_tokens,
            system=_SYSTEM,
            messages=[{"role": "user", "content": f"<conversation>\n{markdown(path, None)}</conversation>"}],
        )
    except anthropic.APIError as error:
        _go_on(f"the call failed: {error}")
        return None
    text = "".join(block.text for block in message.content if block.type == "text").strip()
    if message.stop_reason not in ("end_turn", "stop_sequence") or not text:
        _go_on(f"the reply ended with {message.stop_reason}")
        return None
    return text


def _go_on(reason: str) -> None:
    warnings.warn(
        f"the conversation was not summarised, {reason}. It goes on whole; the next request tries again.",
        stacklevel=6,
    )
