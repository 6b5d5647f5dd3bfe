"""A summary in place of old turns: written by you, by a model, or by the API; kept in a new branch."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from claude_nb.errors import HistoryError
from claude_nb.trim import Summarize, Talk

from . import content, sizes, unfinished, view
from .content import Json
from .entry import Entry
from .export import markdown
from .tree import Tree

if TYPE_CHECKING:
    from .history import History

BETA = "compact-2026-09-04"
"""What a request needs that compacts, or that holds what a compaction gave."""

_SYSTEM = (
    "You summarise the beginning of a conversation so that it can go on without it. Keep facts, names, numbers, "
    "decisions, open questions and what the user asked for. Write plain text, no preamble."
)


def compact(history: "History", summary: str, upto: int) -> int:
    """Go on with a summary in place of the first ``upto`` messages, in a new branch. The old one is kept.

    The summary is a message like any other; ``edit(0, "…")`` changes its words and keeps what follows.
    Pinned turns and instructions stay as they are.

    Args:
        history: The conversation.
        summary: What happened in these messages.
        upto: How many messages it stands for: up to a prompt.

    Returns:
        The number of the old branch, for ``switch()``.

    Raises:
        HistoryError: The messages do not end where a turn ends.
    """
    _whole_turns(history._tree, upto)
    blocks = content.prompt(summary, "the summary")
    return _begin_with(history, Entry("user", blocks), upto)


def compaction(
    history: "History", instructions: str | None = None, *, model: str | None = None
) -> dict[str, Any]:
    """Give the request that lets the API summarise the conversation now (beta ``compact-2026-09-04``).

    Send it with ``client.beta.messages``, and give the reply to ``history.reply(message)``: from then on its signed
    ``compaction`` block is sent in place of what it stands for, in a new branch. A prompt that is not answered yet
    stays as it is.

    Args:
        history: The conversation.
        instructions: What to attend to, instead of the API's own prompt.
        model: Who is asked; default the model that replied last.

    Returns:
        ``system``, ``tools``, ``messages``, ``betas`` and ``compaction``; ``model`` and ``max_tokens`` are yours.

    Raises:
        HistoryError: There is nothing to summarise, or a tool loop is open.

    Example:
        >>> message = client.beta.messages.create(model=MODEL, max_tokens=4096, **history.compaction())
        >>> history.reply(message)
    """
    if instructions is not None and (not isinstance(instructions, str) or not instructions.strip()):
        raise HistoryError("instructions= takes text that says what the summary should attend to, or None.")
    tree = history._tree
    upto = len(tree)
    while upto and tree.path()[upto - 1].role != "assistant":
        upto -= 1
    if not upto:
        raise HistoryError("there is no finished turn to summarise yet.")
    _whole_turns(tree, upto)
    path = tree.path()[:upto]
    sent = view.build(
        path,
        view.settled(path, tree.cut_before(), tree.cuts),
        system_messages=sizes.takes_instructions(path, model),
    )
    messages = view.as_messages(sent, view.fixed_marks(history._system, history._tools))
    history._compacting = tree.numbers[upto - 1]
    wanted = {"type": "summarize"} | ({"instructions": instructions} if instructions else {})
    return history._fixed() | {"messages": messages, "betas": [BETA], "compaction": wanted}


def take(history: "History", blocks: list[Json], told: Json) -> int:
    """Begin a branch with what the API gave for :func:`compaction`, and give its place.

    Raises:
        HistoryError: A tool loop is open, and its thinking depends on what came before.
    """
    tree, number = history._tree, history._compacting
    if not any(block["type"] == "compaction" and block.get("content") for block in blocks):
        warnings.warn("the API gave no summary. The conversation goes on whole.", stacklevel=4)
        return len(tree) - 1
    if number not in tree.numbers:
        raise HistoryError(
            "the conversation went another way since history.compaction() was called: the summary does not fit."
        )
    upto = tree.numbers.index(number) + 1
    _whole_turns(tree, upto)
    _begin_with(history, Entry("assistant", blocks, **told), upto)
    history._compacting = None
    return 0


def _whole_turns(tree: Tree, upto: int) -> None:
    """Refuse a summary of messages that do not end where a turn ends, or while a tool loop is open."""
    last = unfinished.last_said(tree)
    ended = last is not None and last.role == "assistant" and not last.is_paused
    if unfinished.waiting(tree) or (not ended and unfinished.goes_on(tree)):
        raise HistoryError(
            "a tool loop is open, and its thinking depends on what came before. Let it end first."
        )
    path = tree.path()
    rest = (entry for entry in path[upto:] if not entry.is_instruction) if isinstance(upto, int) else iter(())
    follows = next(rest, None)
    if not isinstance(upto, int) or not 0 < upto <= len(path) or not (follows is None or follows.is_prompt):
        starts = [place for place, entry in enumerate(path) if entry.is_prompt and place]
        raise HistoryError(
            f"a summary stands for whole turns. Turns begin at {starts}; give one as `upto`, not {upto!r}."
        )


def _begin_with(history: "History", summary: Entry, upto: int) -> int:
    """Begin a branch with a summary of the first ``upto`` messages, and give the number of the old one."""
    tree = history._tree
    old = tree.numbers[-1]
    turns = history._sizes.talk(tree).turns
    pinned = {place for turn in turns if turn.pinned for place in range(turn.first, turn.end)}
    path = tree.path()
    kept = [tree.numbers[at] for at in range(upto) if at in pinned or path[at].is_instruction]
    kept += tree.numbers[upto:]
    stands_for = tree.numbers[upto - 1]
    tree.go(None)
    tree.append(replace(summary, summary_of=stands_for))
    tree.append_again([number for number in kept if not _is_compaction(tree.entries[number])])
    return old


def _is_compaction(entry: Entry) -> bool:
    """Whether this is the API's own summary: a conversation holds one at most, the last."""
    return entry.role == "assistant" and not entry.is_reply


def summarize(policy: Summarize, history: "History", talk: Talk) -> None:
    """Summarise old turns where the policy asks for it; on failure warn and leave all as it is."""
    upto = policy.old(talk)
    message = _write(policy, history._tree.path()[:upto]) if upto else None
    if message is None:
        return
    text = "".join(block.text for block in message.content if block.type == "text").strip()
    blocks = content.prompt(f"[Summary of the first {upto} messages, which are left out]\n{text}")
    usage = message.usage.to_dict() if message.usage is not None else None
    old = _begin_with(history, Entry("user", blocks, model=message.model, usage=usage), upto)
    print(  # noqa: T201 - the reader must see that the conversation went on elsewhere
        f"claude_nb: {policy.model} summarised the first {upto} messages. The whole conversation is kept: "
        f"history.switch({old})."
    )


def _write(policy: Summarize, path: Sequence[Entry]) -> Any:
    """The summary of some messages, as a message of the API; None on failure, with a warning."""
    import anthropic

    try:
        message = policy.client.messages.create(
            model=policy.model,
            max_tokens=policy.max_tokens,
            system=_SYSTEM,
            messages=[{"role": "user", "content": f"<conversation>\n{markdown(path, None)}</conversation>"}],
        )
    except anthropic.APIError as error:
        return _go_on(f"the call failed: {error}")
    text = "".join(block.text for block in message.content if block.type == "text")
    if message.stop_reason not in ("end_turn", "stop_sequence") or not text.strip():
        return _go_on(f"the reply ended with {message.stop_reason}")
    return message


def _go_on(reason: str) -> None:
    warnings.warn(
        f"the conversation was not summarised, {reason}. It goes on whole; the next request tries again.",
        stacklevel=7,
    )
