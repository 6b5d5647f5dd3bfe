"""What went wrong, in words, with what to do about it in the window."""

from claude_nb.errors import ClaudeNbError
from claude_nb.outcome import in_words

_OF_CELLS = (
    "The message was taken back",
    "The reply is kept",
    "The conversation is kept",
)  # notes for who calls send

_REMEDIES = {
    "authentication_error": "Check the key: claude-nb doctor says where it comes from.",
    "permission_error": "Choose another model, or a key that may use this one.",
    "billing_error": "Add credit in the Console, then send it again.",
    "rate_limit_error": "Wait a moment, then send it again.",
    "overloaded_error": "Send it again in a moment, or choose another model.",
    "api_error": "Send it again in a moment.",
    "timeout_error": "Send it again in a moment.",
    "not_found_error": "Choose another model.",
    "request_too_large": "Send smaller files, or begin a new conversation.",
}


def told(error: BaseException) -> str:
    """Give an error as a reader of the window needs it: what happened and what to do, on one line."""
    import anthropic
    import httpx2

    if isinstance(error, ClaudeNbError):
        text, remedy = " ".join(str(error).split()), ""
    else:
        text = in_words(error)
        remedy = _REMEDIES.get(str(getattr(error, "type", None)), "")
        if isinstance(error, anthropic.APIConnectionError | httpx2.HTTPError):
            remedy = "Check the network, then send it again."
    notes = [note for note in getattr(error, "__notes__", ()) if not note.startswith(_OF_CELLS)]
    text = text[:1].upper() + text[1:]
    ended = text if text.endswith((".", "!", "?", "…")) else f"{text}."
    return " ".join(part for part in (ended, *notes, remedy if not notes else "") if part)
