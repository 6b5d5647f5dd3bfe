"""Checks for the exercises in the tutorials: they look at structure, never at a model's wording.

Each check takes what the learner made and says either that it is right, or what is still missing. A check never
raises: a blank or odd answer is "not yet".
"""

from collections.abc import Callable
from typing import Any

from .history import History

Check = Callable[[Any], str | None]  # gives what is missing, or None when it is right

_CHECKS: dict[str, Check] = {}


def check(exercise: str, answer: Any = ...) -> None:
    """Print whether an exercise is solved, and what is missing if not.

    Args:
        exercise: Its name as the notebook gives it, such as ``"00-1"``.
        answer: What the learner made; three dots count as blank.
    """
    missing = what_is_missing(exercise, answer)
    print(f"not yet: {missing}" if missing else "yes, that is it.")


def what_is_missing(exercise: str, answer: Any) -> str | None:
    """Give what an answer still lacks as one sentence, or None when the exercise is solved."""
    if exercise not in _CHECKS:
        return f"there is no exercise {exercise!r}; there are {', '.join(exercises())}."
    if answer is ...:
        return "replace the three dots with your own code, then run the cell again."
    try:
        return _CHECKS[exercise](answer)
    except Exception as error:  # noqa: BLE001 - whatever an odd answer does, the learner gets a sentence
        return f"this is not what the check expects ({type(error).__name__}: {error})."


def exercises() -> list[str]:
    """Give the names of all exercises."""
    return sorted(_CHECKS)


def _exercise(name: str) -> Callable[[Check], Check]:
    def register(function: Check) -> Check:
        _CHECKS[name] = function
        return function

    return register


def _text(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def _is_message(thing: Any) -> str | None:
    if getattr(thing, "type", None) != "message":
        return f"a Message is expected, as watch() or create() gives it; this is {type(thing).__name__}."
    return None


@_exercise("00-1")
def _own_question(message: Any) -> str | None:
    return _is_message(message) or (
        None if _text(message) else "the reply has no text. Was max_tokens too small for thinking and text?"
    )


@_exercise("00-2")
def _cut_on_purpose(message: Any) -> str | None:
    if missing := _is_message(message):
        return missing
    if message.stop_reason != "max_tokens":
        return f"stop_reason is {message.stop_reason!r}. Make max_tokens smaller, or ask for more words."
    return (
        None
        if _text(message)
        else "only thinking fitted. Make max_tokens a little larger, so that some text arrives."
    )


@_exercise("00-3")
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


@_exercise("01-1")
def _create_call(message: Any) -> str | None:
    if missing := _is_message(message):
        return missing
    return (
        None
        if message.stop_reason == "end_turn"
        else f"stop_reason is {message.stop_reason!r}: raise max_tokens."
    )


@_exercise("01-2")
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


@_exercise("01-3")
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
