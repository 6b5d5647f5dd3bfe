"""Gateways and local servers that speak the Messages API almost: what they get wrong, said so that it can be mended."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from .errors import BadStream
from .mend import Mended, MendedAsync
from .models import known
from .stream import Reading

_OURS = ("Anthropic", "AsyncAnthropic")  # the clients of cloud platforms have errors of their own
_SDK_STUMBLES = (AttributeError, TypeError, IndexError, KeyError)
_FIRST_AUTH, _FORBIDDEN, _MISSING = 401, 403, 404


@contextmanager
def streaming(client: Any, request: dict[str, Any]) -> Iterator[Any]:
    """Send a request and give the SDK's stream of its reply, with each event mended before the SDK adds it up.

    Args:
        client: A client of the SDK.
        request: The arguments of ``client.messages.stream``; with ``betas`` they go to the SDK's beta namespace.
    """
    import anthropic
    from anthropic.lib.streaming import BetaMessageStream

    is_beta = "betas" in request
    messages = client.beta.messages if is_beta else client.messages
    if "output_format" in request:  # only the SDK's own stream takes a type
        with messages.stream(**request) as stream:
            yield stream
        return
    with messages.create(**request, stream=True) as raw:
        kind: Any = BetaMessageStream if is_beta else anthropic.MessageStream
        yield kind(Mended(raw), output_format=anthropic.NOT_GIVEN)


@asynccontextmanager
async def streaming_async(client: Any, request: dict[str, Any]) -> AsyncIterator[Any]:
    """Do the same as :func:`streaming` with an async client."""
    import anthropic
    from anthropic.lib.streaming import BetaAsyncMessageStream

    is_beta = "betas" in request
    messages = client.beta.messages if is_beta else client.messages
    if "output_format" in request:
        async with messages.stream(**request) as stream:
            yield stream
        return
    async with await messages.create(**request, stream=True) as raw:
        kind: Any = BetaAsyncMessageStream if is_beta else anthropic.AsyncMessageStream
        yield kind(MendedAsync(raw), output_format=anthropic.NOT_GIVEN)


def checked(reading: Reading, host: str) -> Reading:
    """Give the reading with an error that names the server, where its stream was no stream of the Messages API."""
    message, error = reading.message, reading.error
    if isinstance(error, _SDK_STUMBLES):
        named: Exception = BadStream(
            f"{host} sent a stream that the SDK cannot read ({type(error).__name__}: {error}). It leaves out what the "
            "Messages API always sends, such as usage or the start of a block. What could be read is kept; try "
            "client.messages.create(...), which does not stream."
        )
        named.__cause__ = error
        reading = replace(reading, message=message if _is_whole(message) else None, error=named)
    elif message is not None and not _is_whole(message):
        named = BadStream(f"{host} sent a message without role, model or content. Check base_url.")
        reading = replace(reading, message=None, error=error or named)
    return reading


def advise(error: BaseException, client: Any) -> None:
    """Add to an error of another server than Anthropic's what it most likely means there."""
    import anthropic

    url = getattr(client, "base_url", None)
    if isinstance(error, anthropic.NotFoundError) and (near := _near(error)):
        error.add_note(f"Did you mean {near!r}?")
    if url is None or type(client).__name__ not in _OURS or str(url.host).endswith("anthropic.com"):
        return
    where = (
        f"{url.scheme}://{url.host}{f':{url.port}' if url.port else ''}"  # without a password in the address
    )
    note = ""
    if isinstance(error, anthropic.APIConnectionError):
        note = f"Nobody answered at {where} (base_url). Is the server running?"
    elif isinstance(error, anthropic.APIStatusError) and error.status_code in (_FIRST_AUTH, _FORBIDDEN):
        note = (
            f"{where} refused the key. The SDK sends it as 'Authorization: Bearer'; a server that wants x-api-key gets "
            'it by connect(base_url=…, default_headers={"x-api-key": "<its key>"}).'
        )
    elif isinstance(error, anthropic.APIStatusError) and error.status_code == _MISSING:
        note = (
            f"{where} has no /v1/messages here, or not this model. base_url is the part before /v1/messages."
        )
    if note:
        error.add_note(note)


def _near(error: Any) -> str | None:
    """A current model whose name is almost the one that was not found."""
    asked = str(error.api_message or "").removeprefix("model: ")
    names = [model.id for model in known()]
    found = get_close_matches(asked, names, n=1, cutoff=0.8)
    return found[0] if found and found[0] != asked else None


def _is_whole(message: Any) -> bool:
    return (
        message is not None
        and message.role == "assistant"
        and isinstance(message.model, str)
        and isinstance(message.content, list)
        and all(block.type != "text" or isinstance(block.text, str) for block in message.content)
    )
