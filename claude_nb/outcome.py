"""Why a reply ended, and what to do about it. The rules are the API's page on handling stop reasons."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from .errors import ClaudeNbError

_LINE = 200  # characters

Tone = Literal["ok", "muted", "warn", "bad"]


@dataclass(frozen=True)
class Outcome:
    """Why a reply ended.

    Attributes:
        stop_reason: The API's word, or None for a reply that was cut on its way.
        complete: Whether the reply may be used as the whole answer.
        label: What happened, in a few words.
        remedy: What to do next; empty when there is nothing to do.
        tone: How it should look: ``ok``, ``muted``, ``warn`` or ``bad``.
    """

    stop_reason: str | None
    complete: bool
    label: str
    remedy: str = ""
    tone: Tone = "ok"


_KNOWN = {
    "end_turn": Outcome("end_turn", complete=True, label="finished"),
    "stop_sequence": Outcome("stop_sequence", complete=True, label="stop sequence"),
    "tool_use": Outcome(
        "tool_use",
        complete=True,
        label="wants a tool",
        remedy="Run the tool and send its result with history.results(...).",
    ),
    "max_tokens": Outcome(
        "max_tokens",
        complete=False,
        label="cut off at max_tokens",
        remedy="Raise max_tokens, or ask the model to continue.",
        tone="warn",
    ),
    "pause_turn": Outcome(
        "pause_turn",
        complete=False,
        label="paused",
        remedy="Send the conversation again as it is to let it go on.",
        tone="warn",
    ),
    "refusal": Outcome(
        "refusal",
        complete=False,
        label="refused",
        remedy="Leave this reply out of the conversation; rephrase, or try another model.",
        tone="bad",
    ),
    "model_context_window_exceeded": Outcome(
        "model_context_window_exceeded",
        complete=False,
        label="context window full",
        remedy="Send less: take back the last prompt with history.undo(), or trim old turns, "
        "such as Chat(trim=keep_tokens(100_000)) of claude_nb.trim.",
        tone="warn",
    ),
    "compaction": Outcome(
        "compaction",
        complete=True,
        label="compacted",
        remedy="Send the compaction block first in the next request.",
    ),
}

INTERRUPTED = Outcome(
    None,
    complete=False,
    label="interrupted",
    remedy="The text is partial.",
    tone="warn",
)


def outcome_of(message: Any) -> Outcome:
    """Give the outcome of an SDK ``Message``: complete or not, in words, with the remedy.

    A ``stop_reason`` of None means the stream was cut: streams that end early raise nothing in the SDK. A stop
    reason this version does not know is shown as it is and not taken for a complete answer.
    """
    reason = message.stop_reason
    if reason is None:
        return INTERRUPTED
    if reason not in _KNOWN:
        remedy = "Unknown to this version: see the API's page on stop reasons."
        return Outcome(reason, complete=False, label=str(reason), remedy=remedy, tone="warn")
    special = _SPECIAL.get(reason)
    return (special(message) if special else None) or _KNOWN[reason]


def _refusal(message: Any) -> Outcome:
    category = getattr(message.stop_details, "category", None)
    explanation = getattr(message.stop_details, "explanation", None)
    remedy = " ".join(filter(None, (explanation, _KNOWN["refusal"].remedy)))
    label = f"refused ({category})" if category else "refused"
    return replace(_KNOWN["refusal"], label=label, remedy=remedy)


def _stop_sequence(message: Any) -> Outcome | None:
    if not message.stop_sequence:
        return None
    return replace(_KNOWN["stop_sequence"], label=f"stop sequence {message.stop_sequence!r}")


def _end_turn(message: Any) -> Outcome | None:
    if message.content:
        return None
    remedy = 'Send a new message such as "Please continue".'
    return replace(_KNOWN["end_turn"], label="finished without text", remedy=remedy, tone="muted")


def _max_tokens(message: Any) -> Outcome | None:
    if any(block.type == "text" for block in message.content):
        return None
    return replace(_KNOWN["max_tokens"], remedy="No token was left for text: raise max_tokens.")


_SPECIAL = {
    "refusal": _refusal,
    "stop_sequence": _stop_sequence,
    "end_turn": _end_turn,
    "max_tokens": _max_tokens,
}


def in_words(error: BaseException) -> str:
    """Give what went wrong on the way as a reader understands it, in one line of at most 200 characters.

    Network failures inside a stream reach the caller as ``httpx2`` errors and damaged data as ``ValueError``; an
    ``error`` event as ``anthropic.APIStatusError`` with the HTTP status 200, so its ``type`` tells the kind.
    """
    import anthropic
    import httpx2

    if isinstance(error, anthropic.APIStatusError):
        said = error.api_message or str(error)
        text = f"{(error.type or 'error').replace('_', ' ')}: {said}"
    elif isinstance(error, httpx2.TimeoutException | anthropic.APITimeoutError):
        text = "the server went silent"
    elif isinstance(error, httpx2.TransportError | anthropic.APIConnectionError):
        text = f"connection lost: {error}"
    elif isinstance(error, ValueError) and not isinstance(error, ClaudeNbError):
        text = "the server sent damaged data"
    elif isinstance(
        error, AttributeError | TypeError | IndexError
    ):  # from inside the SDK, of what it did not expect
        text = "the server sent what the SDK cannot read"
    else:
        text = str(error) or type(error).__name__
    text = " ".join(text.split())
    return text if len(text) <= _LINE else text[: _LINE - 1] + "…"
