"""Checks of 05 and 06: conversations kept, pruned and cached."""

from typing import Any

from claude_nb.history import History
from claude_nb.models import MODEL

from .register import exercise, practice_client


@exercise("05-1")
def _undone(chat: Any) -> str | None:
    history = getattr(chat, "history", None)
    if not isinstance(history, History):
        return f"a Chat is expected; this is {type(chat).__name__}."
    stored = [entry for entry in history.to_dict()["entries"] if entry["role"] == "user"]
    sent = [message for message in history.messages if message["role"] == "user"]
    turns = 2
    if len(sent) != turns:
        return f"two prompts should be left in the conversation; there are {len(sent)}."
    if len(stored) <= len(sent):
        return "nothing was taken back: send a second message, call mine.history.undo(), then send another."
    return None if history.messages[-1]["role"] == "assistant" else "the last prompt has no reply yet."


@exercise("05-2")
def _answered_tool(history: Any) -> str | None:
    if not isinstance(history, History):
        return f"a History is expected; this is {type(history).__name__}."
    if waiting := history.waiting():
        return f"a call still waits for its result: {', '.join(waiting)}."
    kinds = [block["type"] for message in history.messages for block in message["content"]]
    if kinds != ["text", "tool_use", "tool_result"]:
        return f"a prompt, the call and its result are expected; there are {kinds}."
    return None


@exercise("05-3")
def _replayed(function: Any) -> str | None:
    if not callable(function):
        return "a function is expected: def replay(history): ..."
    history = History()
    call = {"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {}}
    history.user("What time is it?")
    history.reply({"role": "assistant", "content": [call], "stop_reason": "tool_use"})
    history.results({"toolu_1": "noon"})
    for text, prompt in (("It is noon.", "Thanks."), ("You are welcome.", None)):
        history.reply(
            {"role": "assistant", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}
        )
        if prompt:
            history.user(prompt)
    wanted = [("What time is it?", "It is noon."), ("Thanks.", "You are welcome.")]
    got = [tuple(pair) for pair in function(history)]
    return None if got == wanted else f"for a conversation with a tool call it gives {got}."


@exercise("06-1")
def _hit_rate(function: Any) -> str | None:
    from anthropic.types import Usage

    if not callable(function):
        return "a function is expected: def hit_rate(usage): ..."
    cached = Usage(
        input_tokens=5, output_tokens=9, cache_creation_input_tokens=15, cache_read_input_tokens=80
    )
    silent = Usage(input_tokens=5, output_tokens=9)
    for usage, rate in ((cached, 0.8), (silent, 0.0)):
        if abs(float(function(usage)) - rate) > 1e-9:  # noqa: PLR2004 - rounding
            counts = f"{usage.input_tokens} input, {usage.cache_creation_input_tokens} written, "
            counts += f"{usage.cache_read_input_tokens} read"
            return f"for {counts} the share is {rate}, and your function gives {function(usage)}."
    return None


@exercise("06-2")
def _never_more(policy: Any) -> str | None:
    limit, history = 2_000, History(system="A rule that is always sent. " * 120)
    for number in range(16):
        history.user(f"Question {number}. " + "Some words around it. " * 10)
        history.request(trim=policy)
        report = history.report
        if report is None:
            return "this leaves nothing out. Choose a policy of claude_nb.trim."
        if report.tokens > limit:
            return (
                f"in the check's own conversation it sends {report.tokens:,} tokens after {number + 1} turns."
            )
        history.reply(_said("Some words of an answer. " * 10))
    return None


def _said(text: str) -> dict[str, Any]:
    """A whole reply."""
    return {"role": "assistant", "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}


@exercise("06-3")
def _pruned(function: Any) -> str | None:
    if not callable(function):
        return "a function is expected: def prune(messages, keep): ..."
    try:
        return _prunes(function, as_dicts=False)
    except (
        AttributeError,
        KeyError,
        TypeError,
    ) as first:  # blocks as the SDK gives them or as dicts: either will do
        try:
            return _prunes(function, as_dicts=True)
        except (AttributeError, KeyError, TypeError):
            raise first from None


def _prunes(function: Any, *, as_dicts: bool) -> str | None:
    client, _ = practice_client()
    messages = _with_a_tool(client, as_dicts=as_dicts)
    stored = repr(messages)
    for keep, first in ((1, "And in Rome?"), (2, "How warm is it in Paris? Use the tool warmth.")):
        pruned = function(messages, keep)
        if repr(messages) != stored:
            return "it changes the list it was given. Make a new one."
        if not pruned or pruned[0] != {"role": "user", "content": first}:
            return f"with keep={keep} the first message sent should be the prompt {first!r}."
        if "thinking" in str([message["content"] for message in pruned]):
            return "some thinking is left in it; its signature no longer fits."
        client.messages.create(model=MODEL, max_tokens=1_000, messages=pruned, tools=[_WARMTH])
    return None


_WARMTH: Any = {
    "name": "warmth",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def _with_a_tool(client: Any, *, as_dicts: bool) -> list[Any]:
    """Three prompts; the second is answered with the help of a tool."""
    messages: list[Any] = []
    for prompt in ("Hello.", "How warm is it in Paris? Use the tool warmth.", "And in Rome?"):
        messages.append({"role": "user", "content": prompt})
        while prompt != "And in Rome?":
            reply = client.messages.create(model=MODEL, max_tokens=1_000, messages=messages, tools=[_WARMTH])
            blocks = [block.to_dict() for block in reply.content] if as_dicts else reply.content
            messages.append({"role": "assistant", "content": blocks})
            calls = [block.id for block in reply.content if block.type == "tool_use"]
            if not calls:
                break
            answers = [
                {"type": "tool_result", "tool_use_id": call, "content": "21 degrees"} for call in calls
            ]
            messages.append({"role": "user", "content": answers})
    return messages
