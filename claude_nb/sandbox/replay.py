"""A tape's entry as a response."""

from . import events, responses
from .pacing import Pace
from .responses import Answer, Chunks
from .tape import TAPE_HEADER, Entry, Json


def answer(entry: Entry, pace: Pace, headers: dict[str, str]) -> Answer:
    """The recorded response, with headers of this sandbox around it.

    Args:
        entry: A recorded entry.
        pace: At once, at the recorded speed, or at a rate.
        headers: Headers every response has.
    """
    headers = headers | entry.headers | {TAPE_HEADER: "replay"}
    if entry.events is not None:
        return Answer(entry.status, headers, chunks=_chunks(entry.events, pace))
    whole = responses.as_json(entry.status, entry.body, headers)
    wait = pace.recorded(entry.seconds, 0.0)
    return Answer(entry.status, whole.headers, chunks=iter([(wait, whole.content)])) if wait else whole


def _chunks(recorded: list[tuple[float, Json | str]], pace: Pace) -> Chunks:
    before = 0.0
    for seconds, event in recorded:
        if isinstance(event, str):
            yield 0.0, f"data: {event}\n\n".encode()
            continue
        share = events.weight(event["delta"]) if event.get("type") == "content_block_delta" else 0.0
        yield pace.recorded(seconds - before, share), events.frame(event)
        before = seconds
