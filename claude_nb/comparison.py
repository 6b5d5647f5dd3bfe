"""The same question asked in several ways at once: models, prompts or system prompts, side by side."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from decimal import Decimal
from html import escape
from typing import TYPE_CHECKING, Any

from .bill import cost_of
from .client import client_for
from .errors import BadStream, PromptError
from .footer import footer
from .history import History
from .join import words
from .models import MODEL, SANDBOX_HEADER, usable
from .outcome import in_words, outcome_of
from .screens import saved_bundle
from .servers import checked, streaming, streaming_async
from .stream import Reading
from .turn import Block, Turn

if TYPE_CHECKING:
    import pandas as pd

_AT_ONCE = 8
_COLUMN = "flex:1 1 20em;min-width:0;padding:0 12px;border-left:2px solid rgba(128,128,128,.4)"
_NO_MATH = "tex2jax_ignore mathjax_ignore"  # "$5 and $6" is money
_SHOWN = 40  # characters of a prompt as a heading

Asked = tuple[str, dict[str, Any]]
"""What is asked: its label, and the arguments of ``client.messages.stream``."""


@dataclass(frozen=True)
class Answer:
    """One of the answers compared.

    Attributes:
        label: What is different about it: the model, or the prompt.
        message: The SDK's ``Message``; None when none came.
        error: What went wrong, in one line; None when nothing did.
        first_token: Seconds to the first token; None in the sandbox and where none came.
        seconds: Seconds in all; None in the sandbox.
        simulated: Whether the sandbox answered.
        blocks: Its content blocks, as they are shown.
    """

    label: str
    message: Any = None
    error: str | None = None
    first_token: float | None = None
    seconds: float | None = None
    simulated: bool = False
    blocks: Sequence[Block] = field(default=(), repr=False)

    @property
    def cost_usd(self) -> Decimal | None:
        """The price in USD; None where it is unknown, as for a reply that was cut on its way."""
        return cost_of(self.message)


@dataclass(frozen=True, repr=False)
class Comparison:
    """Answers side by side: columns in a notebook, one after the other elsewhere, and a frame behind them."""

    answers: tuple[Answer, ...]

    def frame(self) -> "pd.DataFrame":
        """Give a row an answer: stop reason, tokens as reported, ``cost_usd``, seconds, and the text."""
        import pandas as pd

        return pd.DataFrame([_row(answer) for answer in self.answers])

    def __getitem__(self, key: int | str) -> Answer:
        if isinstance(key, int):
            return self.answers[key]
        for answer in self.answers:
            if answer.label == key:
                return answer
        raise KeyError(f"{key!r}; there are {', '.join(repr(answer.label) for answer in self.answers)}")

    def __len__(self) -> int:
        return len(self.answers)

    def __repr__(self) -> str:
        return "\n\n".join(f"== {answer.label}\n{_bundle(answer)['text/plain']}" for answer in self.answers)

    def _repr_html_(self) -> str:
        columns = "\n".join(
            f'<div style="{_COLUMN}">{_heading(answer.label)}\n{_bundle(answer)["text/html"]}</div>'
            for answer in self.answers
        )
        return f'<div style="display:flex;flex-wrap:wrap;gap:1em">\n{columns}\n</div>'


def compare(
    prompt: Any = None,
    *,
    models: Sequence[str] | None = None,
    prompts: Sequence[Any] | None = None,
    systems: Sequence[str] | None = None,
    client: Any = None,
    model: str = MODEL,
    system: str | None = None,
    max_tokens: int = 1024,
    **options: Any,
) -> Comparison:
    """Give the answers to one prompt over several models or system prompts, or to several prompts.

    All are asked at the same time. An answer that fails stands in its column with the reason.

    Args:
        prompt: Text or content blocks; leave it out when ``prompts`` are given.
        models: Ids of the models to compare.
        prompts: The prompts to compare.
        systems: The system prompts to compare.
        client: An SDK client; default ``connect()``.
        model: The model, where models are not compared.
        system: The system prompt, where system prompts are not compared.
        max_tokens: Ceiling of each answer in tokens.
        **options: Further arguments of ``client.messages.stream``.

    Raises:
        ModelError: A model is no text, or is known to be retired.
        PromptError: Not exactly one of ``models``, ``prompts`` and ``systems`` was given, or a prompt is empty.

    Example:
        >>> compare("What is a token?", models=["claude-haiku-5-5", "claude-opus-5-5"]).frame()
    """
    asked = list(
        _requests(prompt, models=models, prompts=prompts, systems=systems, model=model, system=system)
    )
    client = client_for(client, is_async=False, instead="await acompare(...)")
    return Comparison(ask_all(client, asked, max_tokens=max_tokens, **options))


async def acompare(
    prompt: Any = None,
    *,
    models: Sequence[str] | None = None,
    prompts: Sequence[Any] | None = None,
    systems: Sequence[str] | None = None,
    client: Any = None,
    model: str = MODEL,
    system: str | None = None,
    max_tokens: int = 1024,
    **options: Any,
) -> Comparison:
    """Do the same as :func:`compare` with an async client."""
    asked = list(
        _requests(prompt, models=models, prompts=prompts, systems=systems, model=model, system=system)
    )
    client = client_for(client, is_async=True, instead="compare(...)")
    return Comparison(await ask_all_async(client, asked, max_tokens=max_tokens, **options))


def ask_all(client: Any, asked: Sequence[Asked], **options: Any) -> tuple[Answer, ...]:
    """Give an answer for each label and request, a few at the same time; what fails is an answer with the reason."""
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="claude_nb compare")
    try:
        answers = [
            pool.submit(copy_context().run, _ask, client, label, {**request, **options})
            for label, request in asked
        ]
        return tuple(answer.result() for answer in answers)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # an interrupt waits for nobody


async def ask_all_async(client: Any, asked: Sequence[Asked], **options: Any) -> tuple[Answer, ...]:
    """Do the same as :func:`ask_all` with an async client."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def one(label: str, request: dict[str, Any]) -> Answer:
        async with free:
            return await _ask_async(client, label, {**request, **options})

    return tuple(await asyncio.gather(*(one(label, request) for label, request in asked)))


def _requests(
    prompt: Any,
    *,
    models: Sequence[str] | None,
    prompts: Sequence[Any] | None,
    systems: Sequence[str] | None,
    model: str,
    system: str | None,
) -> Iterator[Asked]:
    """Label and request of each answer, checked before anything is sent."""
    given = {
        name: value
        for name, value in (("models", models), ("prompts", prompts), ("systems", systems))
        if value
    }
    if len(given) != 1:
        raise PromptError(
            f"compare() takes exactly one of models=[…], prompts=[…] and systems=[…], not {', '.join(given) or 'none'}."
        )
    ((varied, values),) = given.items()
    if isinstance(values, str):
        raise PromptError(f"{varied} is one text; it takes a list of them.")
    if (prompt is None) != (varied == "prompts"):
        raise PromptError(
            "compare() takes a prompt, or prompts=[…], not both." if prompt else "the prompt is missing."
        )
    for place, value in enumerate(values, 1):
        usable(value if varied == "models" else model)
        history = History(system=value if varied == "systems" else system)
        history.user(value if varied == "prompts" else prompt)
        label = value if varied == "models" else f"{place}. {short(value)}"
        yield label, {"model": value if varied == "models" else model, **history.request()}


class _Clock:
    """Follows one stream: when its first token came, and when it ended."""

    def __init__(self, label: str) -> None:
        self._label, self._turn = label, Turn()
        self._began = time.monotonic()
        self._first: float | None = None

    def see(self, event: Any) -> None:
        if self._turn.fold(event) and self._first is None:
            self._first = time.monotonic() - self._began

    def answer(self, stream: Any, error: BaseException | None) -> Answer:
        reading = Reading(None, error, simulated=False)
        if stream is not None:
            reading = checked(_reading(stream, error), stream.response.request.url.host)
        said = in_words(reading.error) if reading.error is not None else None
        answer = Answer(
            self._label, reading.message, said, simulated=reading.simulated, blocks=self._turn.blocks
        )
        if reading.simulated:
            return answer
        return replace(answer, first_token=self._first, seconds=time.monotonic() - self._began)


def _reading(stream: Any, error: BaseException | None) -> Reading:
    simulated = SANDBOX_HEADER in stream.response.headers
    try:
        return Reading(stream.current_message_snapshot, error, simulated)
    except AssertionError:  # the SDK's way to say that no message began
        host, kind = (
            stream.response.request.url.host,
            stream.response.headers.get("content-type", "no content type"),
        )
        named = BadStream(
            f"{host} answered the stream request with {kind} and no message in it. Check base_url."
        )
        return Reading(None, error or named, simulated)


def _ask(client: Any, label: str, request: dict[str, Any]) -> Answer:
    clock, stream = _Clock(label), None
    try:
        with streaming(client, request) as stream:
            for event in stream:
                clock.see(event)
    except Exception as error:  # noqa: BLE001 - it stands in its column
        return clock.answer(stream, error)
    return clock.answer(stream, None)


async def _ask_async(client: Any, label: str, request: dict[str, Any]) -> Answer:
    clock, stream = _Clock(label), None
    try:
        async with streaming_async(client, request) as stream:
            async for event in stream:
                clock.see(event)
    except Exception as error:  # noqa: BLE001 - it stands in its column
        return clock.answer(stream, error)
    return clock.answer(stream, None)


def _row(answer: Answer) -> dict[str, Any]:
    message = answer.message
    usage = message.usage.to_dict() if message is not None and message.usage is not None else {}
    final = message is not None and message.stop_reason is not None
    return {
        "label": answer.label,
        "model": message.model if message is not None else None,
        "stop_reason": message.stop_reason if message is not None else None,
        "complete": answer.error is None and message is not None and outcome_of(message).complete,
        "input_tokens": usage.get("input_tokens"),
        "cache_read_input_tokens": usage.get("cache_read_input_tokens"),
        "output_tokens": usage.get("output_tokens") if final else None,
        "cost_usd": answer.cost_usd,
        "first_token": answer.first_token,
        "seconds": answer.seconds,
        "error": answer.error,
        "text": words(message) if message is not None else None,
    }


def _bundle(answer: Answer) -> dict[str, str]:
    times = {"first_token": answer.first_token, "seconds": answer.seconds}
    chips = footer(answer.message, simulated=answer.simulated, error=answer.error, **times)
    return saved_bundle(list(answer.blocks), chips, {"phase": "done", "text": ""})


def _heading(label: str) -> str:
    return f'<p class="{_NO_MATH}"><b>{escape(label)}</b></p>'


def short(value: Any) -> str:
    """Give a prompt as a heading: its beginning, in one line."""
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
