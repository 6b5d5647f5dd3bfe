"""Checks of 00 to 04: one request, one reply, one stream."""

from typing import Any

from claude_nb.history import History
from claude_nb.models import MODEL

from .register import exercise, is_message, practice_client, text_of


@exercise("00-1")
def _own_question(message: Any) -> str | None:
    return is_message(message) or (
        None if text_of(message) else "the reply has no text. Was max_tokens too small for thinking and text?"
    )


@exercise("00-2")
def _cut_on_purpose(message: Any) -> str | None:
    if missing := is_message(message):
        return missing
    if message.stop_reason != "max_tokens":
        return f"stop_reason is {message.stop_reason!r}. Make max_tokens smaller, or ask for more words."
    return (
        None
        if text_of(message)
        else "only thinking fitted. Make max_tokens a little larger, so that some text arrives."
    )


@exercise("00-3")
def _three_turns(chat: Any) -> str | None:
    history = getattr(chat, "history", None)
    if not isinstance(history, History):
        return f"a Chat is expected; this is {type(chat).__name__}."
    if history.system is None:
        return "the chat has no system prompt: Chat(client, system=...)."
    roles = [message["role"] for message in history.messages]
    if roles != ["user", "assistant"] * 3:
        return f"three prompts and three replies are expected, in turns; there are {len(roles)} messages."
    return None


@exercise("01-1")
def _create_call(message: Any) -> str | None:
    if missing := is_message(message):
        return missing
    return (
        None
        if message.stop_reason == "end_turn"
        else f"stop_reason is {message.stop_reason!r}: raise max_tokens."
    )


@exercise("01-2")
def _all_text(function: Any) -> str | None:
    from anthropic.types import Message, TextBlock, ThinkingBlock, Usage

    if not callable(function):
        return "a function is expected: def text_of(message): ..."
    for words in ([], ["one"], ["one", "two"]):
        blocks = [TextBlock(type="text", text=word, citations=None) for word in words]
        thinking = ThinkingBlock(type="thinking", thinking="hm", signature="")
        message = Message.construct(content=[thinking, *blocks], usage=Usage(input_tokens=1, output_tokens=1))
        got = function(message)
        if got != "".join(words):
            return f"for the text blocks {words} behind a thinking block it gives {got!r}."
    return None


@exercise("01-3")
def _prompt_size(function: Any) -> str | None:
    from anthropic.types import Usage

    if not callable(function):
        return "a function is expected: def prompt_tokens(usage): ..."
    cached = Usage(
        input_tokens=5, output_tokens=9, cache_creation_input_tokens=70, cache_read_input_tokens=800
    )
    silent = Usage(input_tokens=5, output_tokens=9)
    for usage, size in ((cached, 875), (silent, 5)):
        if (got := function(usage)) != size:
            return f"for {usage!r} the prompt had {size} tokens, and your function gives {got!r}."
    return None


@exercise("02-1")
def _complete(function: Any) -> str | None:
    from anthropic.types import Message

    if not callable(function):
        return "a function is expected: def is_complete(message): ..."
    wanted = {
        "end_turn": True,
        "stop_sequence": True,
        "max_tokens": False,
        "refusal": False,
        "pause_turn": False,
    }
    cases = wanted | {None: False, "model_context_window_exceeded": False}
    for reason, right in cases.items():
        message = Message.construct(content=[], stop_reason=reason, stop_sequence=None, stop_details=None)
        if bool(function(message)) != right:
            return f"for a reply whose stop_reason is {reason!r} it gives {not right}."
    return None


@exercise("02-2")
def _stop_sequence(message: Any) -> str | None:
    if missing := is_message(message):
        return missing
    if message.stop_reason != "stop_sequence":
        return f"stop_reason is {message.stop_reason!r}. Choose a word that is sure to come, and leave room for it."
    return None


@exercise("02-3")
def _continued(messages: Any) -> str | None:
    if not isinstance(messages, list) or [each.get("role") for each in messages] != [
        "user",
        "assistant",
        "user",
    ]:
        return "a list of three messages is expected: user, assistant, user."
    partial = messages[1]["content"]
    if not isinstance(partial, str):
        blocks = [block if isinstance(block, dict) else block.to_dict() for block in partial]
        if any(block.get("type") != "text" for block in blocks):
            return "the assistant's turn holds more than text. Take the text blocks only."
        partial = "".join(block["text"] for block in blocks)
    if not partial.strip():
        return "the assistant's turn is empty. Put the text of the cut story there."
    return None


@exercise("03-1")
def _own_system_prompt(text: Any) -> str | None:
    if not isinstance(text, str):
        return f"text is expected; this is {type(text).__name__}."
    words, fewest, most = len(text.split()), 8, 60
    if words < fewest:
        return "that is too short for a role, a format, and what to leave out."
    return None if words <= most else f"it has {words} words; at most {most}, since every request sends them."


@exercise("03-2")
def _saved(function: Any) -> str | None:
    from anthropic.types import Message, Usage

    if not callable(function):
        return "a function is expected: def saved(terse, chatty): ..."
    for few, many, share in ((50, 200, 0.75), (100, 100, 0.0), (90, 120, 0.25)):
        terse, chatty = (
            Message.construct(content=[], usage=Usage(input_tokens=1, output_tokens=n)) for n in (few, many)
        )
        if abs(float(function(terse, chatty)) - share) > 1e-9:  # noqa: PLR2004 - rounding
            return f"{few} instead of {many} output tokens save {share}; your function gives {function(terse, chatty)}."
    return None


@exercise("03-3")
def _code_of(function: Any) -> str | None:
    from anthropic.types import Message, TextBlock

    if not callable(function):
        return "a function is expected: def code_of(message): ..."
    cases = {
        "x = 1": "x = 1",
        "```python\nx = 1\n```": "x = 1",
        "```\nx = 1\n```": "x = 1",
        "Here you are!": None,
    }
    for text, wanted in cases.items():
        message = Message.construct(content=[TextBlock(type="text", text=text, citations=None)])
        got = function(message)
        if (got.strip() if isinstance(got, str) else got) != wanted:
            return f"for the text {text!r} it gives {got!r}."
    return None


@exercise("04-1")
def _pieces(pieces: Any) -> str | None:
    if not isinstance(pieces, list) or not all(isinstance(piece, str) for piece in pieces):
        return "a list of strings is expected, one for each piece of text."
    return (
        None if len(pieces) > 1 else "one piece is no stream. Append inside the loop over stream.text_stream."
    )


_ASK = {"max_tokens": 1000, "messages": [{"role": "user", "content": "Tell me a story of 100 words."}]}


@exercise("04-2")
def _first_words(function: Any) -> str | None:
    if not callable(function):
        return "a function is expected: def first_words(client, request, n): ..."
    client, ending = practice_client()
    enough, too_many = 30, 120  # characters
    text = function(client, {"model": MODEL, **_ASK}, enough)
    if not isinstance(text, str) or len(text) < enough:
        return f"for {enough} characters it gives {text!r}."
    if len(text) > too_many:
        return f"it gives {len(text)} characters: leave the loop as soon as there are enough."
    endings = {
        "open": "the connection stays open. Use `with client.messages.stream(...) as stream`.",
        "ok": "the whole reply was read. Leave the loop as soon as there is enough.",
        "none": "nothing was streamed. Use client.messages.stream(**request).",
    }
    return endings.get(ending())


@exercise("04-3")
def _stream_text(function: Any) -> str | None:
    from claude_nb.sandbox import faults

    if not callable(function):
        return "a function is expected: def stream_text(client, request): ..."
    cases = [
        ([], True),
        ([faults.cut(after=20)], False),
        ([faults.truncated(after=20)], False),
        ([faults.malformed(after=20)], False),
    ]
    for fault, whole in cases:
        client, _ = practice_client(fault)
        name = fault[0].name if fault else "a stream that ends well"
        text, complete = function(client, {"model": MODEL, **_ASK})
        if not text:
            return f"for {name} it gives no text."
        if bool(complete) != whole:
            return f"for {name} it says complete={complete}."
    return None
