"""What goes into a conversation: prompts, instructions, replies and results, each checked where it is said."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from claude_nb.errors import HistoryError

from . import cells, content, summary, unfinished
from .content import Content, Json, copied
from .entry import ELSEWHERE, Entry

if TYPE_CHECKING:
    from .history import History

_UNSENT_FIELDS = ("parsed_output",)  # the SDK's own, the API refuses it


def user(history: "History", content: Content) -> int:
    """Add the user's message and give its place in the conversation.

    Args:
        history: The conversation.
        content: Text, or a list of content blocks (text, image, document).

    Raises:
        PromptError: The message is empty or not of a kind the API takes.
        HistoryError: Tool calls wait for their results.
    """
    blocks = _prompt(content)
    with _rerunning(history):
        if waiting := history.waiting():
            raise HistoryError(
                f"the last reply asked for tools and waits for {named(waiting)}. Send "
                "history.results({id: result}) first, or history.skip_tools() to go on without."
            )
        if running := unfinished.server_tools(history._tree):
            raise HistoryError(
                f"the server is still running {running} for the last reply and takes tool results only. "
                "Send the request as it is first, or take the prompt back with history.undo()."
            )
        return add(history, Entry("user", blocks))


def instruct(history: "History", content: Content) -> int:
    """Tell the model what to do from here on, and give the place of that in the conversation.

    The system prompt stays as it is, so the prompt cache and the model's thinking stay valid. The instruction is sent
    as a message of the role ``system`` behind the user's turn, to models that take one, and as words of the user to
    others; it is never left out by a trim policy.

    Args:
        history: The conversation.
        content: Text, or a list of text blocks.

    Raises:
        PromptError: The instruction is empty, or not text.
        HistoryError: The last reply is paused or the server still runs a tool for it.

    Example:
        >>> history.instruct("From now on answer in French.")
        >>> history.user("What is a token?")
    """
    blocks = _instruction(content)
    with _rerunning(history):
        last = unfinished.last_said(history._tree)
        running = unfinished.running(history._tree) or (last is not None and last.is_paused and "its turn")
        if running:
            raise HistoryError(
                f"the server is still running {running}, and takes no instruction before that ends. "
                "Send the request as it is first."
            )
        return add(history, Entry("system", blocks))


def reply(history: "History", message: Any, *, simulated: bool = False) -> int:
    """Add the model's reply, an SDK ``Message`` (partial ones too), and give its place.

    Args:
        history: The conversation.
        message: What ``watch()`` or ``client.messages.create()`` gave.
        simulated: Whether the offline sandbox replied, not a model.

    Raises:
        HistoryError: There is no prompt it could answer, or it is not a message.
    """
    data = message if isinstance(message, Mapping) else getattr(message, "to_dict", dict)()
    if data.get("role") != "assistant" or not isinstance(data.get("content"), list):
        raise HistoryError(
            f"reply() takes the Message that the API returned, not {type(message).__name__}. "
            "For your own words use history.user(...)."
        )
    blocks: list[Json] = content.as_json(data["content"], "the reply", HistoryError)
    blocks = [{k: v for k, v in block.items() if k not in _UNSENT_FIELDS} for block in blocks]
    calls = [block.get("id") for block in blocks if block.get("type") == "tool_use"]
    if len(set(calls)) < len(calls):
        raise HistoryError("two tool calls of the reply have the same id, so no result could name its call.")
    told = {name: copied(data.get(name)) for name in ("stop_reason", "model", "usage")}
    told["edits"] = copied((data.get("context_management") or {}).get("applied_edits")) or None
    told["refusal"] = (data.get("stop_details") or {}).get("category")
    told["simulated"] = simulated
    if told["stop_reason"] == "compaction" and history._compacting is not None:
        return summary.take(history, blocks, told)
    with _rerunning(history):
        _check_expected(history, told["stop_reason"])
        return add(history, Entry("assistant", blocks, **told, cut=_cut_of(history)))


def _check_expected(history: "History", stop_reason: str | None) -> None:
    if not unfinished.can_ask(history._tree):
        if history._compacting is not None and history._compacting == history._tree.head:
            raise HistoryError(
                f"the reply to history.compaction() holds no summary: it ended with {stop_reason!r} (the offline "
                "sandbox writes none). The conversation goes on as it is."
            )
        raise HistoryError("there is no message this could be the reply to. Call history.user(...) first.")
    if waiting := history.waiting():
        raise HistoryError(
            f"this cannot be a reply while tool calls wait for their results: {named(waiting)}. "
            "Call history.results({id: result}) first."
        )


def _cut_of(history: "History") -> int | None:
    """Under which cut the reply was asked for."""
    asked, tree = history._asked, history._tree
    if asked and asked[0] == tree.head:
        return asked[1]
    return ELSEWHERE if tree.cuts else None  # not asked for here: perhaps under one of the cuts


def results(history: "History", results: Mapping[str, Content] | Sequence[Mapping[str, Any]]) -> int:
    """Add results of the tools that the last reply asked for, and give their place.

    Args:
        history: The conversation.
        results: ``{tool_use_id: text or content blocks}``, or a list of ``tool_result`` blocks. Results may come in
            several calls; the request waits for all of them.

    Raises:
        HistoryError: A result answers no open call, answers one twice, or is not of a kind the API takes.
    """
    blocks = content.results(results)
    with _rerunning(history):
        waiting = history.waiting()
        for block in blocks:
            tool_use_id = block.get("tool_use_id")
            if block.get("type") != "tool_result" or tool_use_id not in waiting:
                raise HistoryError(
                    f"no open tool call has the id {tool_use_id!r}. Open calls: {named(waiting) or 'none'}."
                )
            del waiting[tool_use_id]
        return add(history, Entry("user", blocks))


def skip_tools(history: "History", reason: str = "The user chose not to run this tool.") -> None:
    """Answer every open tool call with an error that gives the reason, so that the talk can go on."""
    if waiting := history.waiting():
        error = {"type": "tool_result", "content": reason, "is_error": True}
        results(history, [{**error, "tool_use_id": key} for key in waiting])


def add(history: "History", entry: Entry) -> int:
    """Store a message of the running cell, and give its place."""
    cell, run = cells.running()
    return history._tree.append(replace(entry, cell=cell, run=run))


def named(waiting: Mapping[str, str]) -> str:
    """Open tool calls in words."""
    return ", ".join(f"{name} ({key})" for key, name in waiting.items())


_prompt, _instruction = content.prompt, content.instruction


@contextmanager
def _rerunning(history: "History") -> Iterator[None]:
    """Where a cell runs again, go back to before what it added; on an error nothing has changed."""
    tree = history._tree
    before, ran = tree.head, history._ran
    history._ran = cells.running()
    replaced = None
    if history._rerun == "replace" and history._ran != ran:
        replaced = cells.replace(tree, *history._ran)
    try:
        yield
    except BaseException:
        history._ran = ran
        tree.go(before)
        raise
    if replaced:
        cells.say(replaced)
