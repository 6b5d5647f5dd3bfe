"""A conversation to talk to: each message is streamed, shown, kept and accounted for."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from .client import connect, connect_async
from .errors import ModelError, PromptError
from .history import Content, History
from .ledger import label, price_usage
from .models import MODEL, find
from .stream import Reading, read, read_async

if TYPE_CHECKING:
    import pandas as pd


class Chat:
    """One conversation with Claude.

    Args:
        client: An SDK client, sync for ``send`` or async for ``asend``. Default: ``connect()``.
        model: The model to talk to.
        system: The system prompt; it stays the same for the whole conversation.
        tools: Tool definitions. A reply that calls one waits for ``chat.history.results(...)``.
        history: A conversation to continue; it brings its own system prompt and tools.
        max_tokens: Ceiling of each reply in tokens, thinking included.
        display: Whether replies are shown as they arrive.

    Raises:
        ModelError: The model is no text, or is known to be retired.

    Example:
        >>> chat = Chat(system="Answer in one sentence.")
        >>> message = chat.send("What is a token?")
    """

    def __init__(
        self,
        client: Any = None,
        *,
        model: str = MODEL,
        system: Content | None = None,
        tools: Iterable[Any] | None = None,
        history: History | None = None,
        max_tokens: int = 4096,
        display: bool = True,
    ) -> None:
        if history is not None and (system is not None or tools is not None):
            raise PromptError(
                "a history brings its own system prompt and tools. Pass them to History(...) instead."
            )
        self.model = _usable(model)
        self.history = history or History(system=system, tools=tools)
        self.max_tokens = max_tokens
        self.display = display
        self._client = client
        self._label = uuid4().hex[:12]

    def send(self, prompt: Content | None = None, *, max_tokens: int | None = None, **options: Any) -> Any:
        """Send a message, show the reply as it arrives, and give the SDK's ``Message``.

        Whatever happens, the conversation stays valid: a reply that was cut is kept and marked; where none
        arrived the prompt is taken back, so that running the cell again does not double it.

        Args:
            prompt: Text or content blocks. None goes on without a new message: after tool results, or after
                ``pause_turn``.
            max_tokens: Ceiling of this reply in tokens.
            **options: Further arguments of ``client.messages.stream`` (``thinking``, ``output_config``, …).

        Raises:
            PromptError, HistoryError: The message cannot be sent; nothing was.
            anthropic.APIError, httpx2.HTTPError: What the SDK raised.
        """
        if self._client is None:
            self._client = connect()
        request = self._request(prompt, max_tokens, options)
        try:
            with label(conversation=self._label), self._client.messages.stream(**request) as stream:
                reading = read(stream, display=self.display)
        except BaseException as error:
            self._take_back(prompt, error)
            raise
        return self._settle(prompt, reading)

    __call__ = send

    async def asend(
        self, prompt: Content | None = None, *, max_tokens: int | None = None, **options: Any
    ) -> Any:
        """Do the same as :meth:`send` with an async client: ``await chat.asend("…")``."""
        if self._client is None:
            self._client = connect_async()
        request = self._request(prompt, max_tokens, options)
        try:
            with label(conversation=self._label):
                async with self._client.messages.stream(**request) as stream:
                    reading = await read_async(stream, display=self.display)
        except BaseException as error:
            self._take_back(prompt, error)
            raise
        return self._settle(prompt, reading)

    def frame(self) -> "pd.DataFrame":
        """Give a row a reply: the API's own usage columns in tokens, and ``cost_usd`` (None where unknown)."""
        import pandas as pd

        replies = [entry for entry in self.history.entries if entry.role == "assistant"]
        return pd.DataFrame([_row(turn, entry) for turn, entry in enumerate(replies, 1)])

    def __repr__(self) -> str:
        return f"Chat({self.model}, {self.history!r})"

    def _repr_html_(self) -> str:
        return self.history._repr_html_()

    def _request(
        self, prompt: Content | None, max_tokens: int | None, options: dict[str, Any]
    ) -> dict[str, Any]:
        if prompt is not None:
            self.history.user(prompt)
        try:
            parts = self.history.request()
        except BaseException:
            if prompt is not None:
                self.history.undo()
            raise
        return {"model": _usable(self.model), "max_tokens": max_tokens or self.max_tokens, **parts, **options}

    def _settle(self, prompt: Content | None, reading: Reading) -> Any:
        if reading.message is None:
            self._take_back(prompt, reading.error)
        else:
            self.history.reply(reading.message, simulated=reading.simulated)
        if reading.error is not None:
            raise reading.error
        return reading.message

    def _take_back(self, prompt: Content | None, error: BaseException | None) -> None:
        if prompt is not None:
            self.history.undo()
            if error is not None:
                error.add_note("The message was taken back: send it again when the cause is gone.")


def _usable(model: object) -> str:
    if not isinstance(model, str) or not model.strip():
        raise ModelError(f"model is {model!r}; it takes the id of a model, such as {MODEL!r}.")
    known = find(model)
    if known and known.lifecycle == "retired":
        when = f" on {known.retires_at}" if known.retires_at else ""
        raise ModelError(
            f"{model} was retired{when} and is no longer answered. Use a current model, such as {MODEL!r}."
        )
    return model


def _row(turn: int, entry: Any) -> dict[str, Any]:
    usage = entry.usage or {}
    split = usage.get("cache_creation") or {}
    return {
        "turn": turn,
        "model": entry.model,
        "stop_reason": entry.stop_reason,
        "simulated": entry.simulated,
        "input_tokens": usage.get("input_tokens"),
        "ephemeral_5m_input_tokens": split.get(
            "ephemeral_5m_input_tokens", usage.get("cache_creation_input_tokens")
        ),
        "ephemeral_1h_input_tokens": split.get("ephemeral_1h_input_tokens"),
        "cache_read_input_tokens": usage.get("cache_read_input_tokens"),
        "output_tokens": None if entry.interrupted else usage.get("output_tokens"),
        "cost_usd": None if entry.interrupted or not usage else price_usage(entry.model, usage),
    }
