"""A summary of old turns, written by a model."""

import warnings
from collections.abc import Sequence

from claude_nb.trim import Summarize

from .entry import Entry
from .export import markdown

_SYSTEM = (
    "You summarise the beginning of a conversation so that it can go on without it. Keep facts, names, numbers, "
    "decisions, open questions and what the user asked for. Write plain text, no preamble."
)


def write(policy: Summarize, path: Sequence[Entry]) -> str | None:
    """The summary of some messages, with a first line that says what it stands for; None on failure, with a warning."""
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
    return f"[Summary of the first {len(path)} messages, which are left out]\n{text}"


def _go_on(reason: str) -> None:
    warnings.warn(
        f"the conversation was not summarised, {reason}. It goes on whole; the next request tries again.",
        stacklevel=7,
    )
