"""A conversation to talk to: each message is streamed, shown, kept and accounted for."""

import inspect
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from .client import client_for
from .conversation import Conversation
from .doing import Doing
from .errors import ClaudeNbError, HistoryError, PromptError
from .history import Content, History
from .history.asking import betas_of
from .loop import Loop, OnTruncation
from .models import MODEL, usable
from .options import check_options
from .shape import wanted_of
from .steps import Ask, Limits, Run, drive, drive_async
from .tools import Confirm, Toolbox
from .trim import Trim

if TYPE_CHECKING:
    from .app import Window


class Chat(Conversation):
    """One conversation with Claude.

    Args:
        client: An SDK client, sync for ``send`` or async for ``asend``. Default: ``connect()``.
        model: The model to talk to.
        system: The system prompt; it stays the same for the whole conversation. See :meth:`instruct`.
        tools: Functions with type hints and a docstring, sync or async, run by ``send`` when the model calls them;
            several calls of one reply at once. They return text, a number, data (sent as JSON), a frame (as CSV with
            at most 50 rows, and a line that says so), a figure, a picture or its bytes, or content blocks; what they
            raise is told to the model. Also the SDK's own tools, those of MCP servers (:mod:`claude_nb.mcp`), and
            definitions as dicts: a reply that calls one of those waits for ``chat.history.results(...)``.
        history: A conversation to continue; it brings its own system prompt and tools. Functions for these tools may
            be given as ``tools`` again.
        trim: What to leave out of a long conversation: a policy of :mod:`claude_nb.trim`, or several.
        confirm: Asked as ``confirm(name, input)`` before a tool marked ``@tool(confirm=True)`` runs; for ``asend``
            it may be async. Default: two buttons in the cell, the keyboard outside of a notebook; where nobody can
            answer the call is not run.
        max_tokens: Ceiling of each reply in tokens, thinking included.
        max_turns: Requests that one ``send`` may make at most, to continue, resume or use tools.
        max_seconds: Seconds after which one ``send`` makes no further request; None for no limit.
        max_usd: USD after which one ``send`` makes no further request; None for no limit.
        display: Whether replies are shown as they arrive.

    Attributes:
        history: The conversation itself: ``chat.history.save(path)`` (``History.load(path)`` reads it back),
            ``chat.history.undo()``, ``chat.history.fork()``, …
        conversation: What its calls are called in the ledger: ``ledger.where(conversation=chat.conversation)``.
        model, confirm, max_tokens, max_turns, max_seconds, max_usd, display: As above; set, they count from the next
            message on.

    Raises:
        ModelError: The model is no text, or is known to be retired.
        ClaudeNbError: Another argument is not of the kind that is told here.

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
        trim: Trim | None = None,
        confirm: Confirm | None = None,
        max_tokens: int = 4096,
        max_turns: int = 20,
        max_seconds: float | None = None,
        max_usd: float | None = None,
        display: bool = True,
    ) -> None:
        if client is not None and not hasattr(client, "messages"):
            raise ClaudeNbError(
                f"client is {type(client).__name__}, not a client of the SDK. Write Chat(connect(), system=...)."
            )
        if history is not None:
            self.history = history
        self._tools = Toolbox([tools] if callable(tools) else () if tools is None else tools)
        Limits(max_turns, max_seconds, max_usd)
        self.confirm = confirm
        given = system is not None or trim is not None
        if history is not None and (given or not _same(self._tools, history)):
            raise PromptError(
                "a history brings its own system prompt, tools and trim. Pass them to History(...) instead; functions "
                "given as tools= must be those it was begun with."
            )
        self.model = usable(model)
        if history is None:
            self.history = History(system=system, tools=self._tools.definitions, trim=trim)
        self.max_tokens = max_tokens
        self.max_turns, self.max_seconds, self.max_usd = max_turns, max_seconds, max_usd
        self.display = display
        self._client = client
        self.conversation = uuid4().hex[:12]
        self._free = Lock()

    @property
    def client(self) -> Any:
        """The SDK client, or None before the first message where none was given; can be set."""
        return self._client

    @client.setter
    def client(self, client: Any) -> None:
        self._client = client

    @property
    def confirm(self) -> Confirm | None:
        """What is asked before a tool that wants it; can be set."""
        return self._confirm

    @confirm.setter
    def confirm(self, confirm: Confirm | None) -> None:
        if confirm is not None and not callable(confirm):
            raise ClaudeNbError("confirm= takes a function of (name, input) that gives True or False.")
        self._confirm = confirm

    def send(
        self,
        prompt: Content | None = None,
        *,
        max_tokens: int | None = None,
        on_truncation: OnTruncation = "warn",
        fallback: str | None = None,
        **options: Any,
    ) -> Any:
        """Send a message, show the reply as it arrives, and give the SDK's ``Message``.

        A paused reply (``pause_turn``) is resumed. Whatever happens, the conversation stays valid: a reply that was
        cut is kept and marked; where none arrived the prompt is taken back, so that running the cell again does not
        double it.

        Args:
            prompt: Text or content blocks. None goes on without a new message: after tool results, or after
                ``pause_turn``.
            max_tokens: Ceiling of this reply in tokens.
            on_truncation: What to do about a reply cut at ``max_tokens``. ``"warn"`` says so below it and returns it;
                ``"continue"`` asks for the rest and joins it; ``"retry"`` asks again with twice the ceiling;
                ``"raise"`` raises, as it does for every other reply that is not complete.
            fallback: A model to ask instead if this one refuses. The refused reply is never sent again.
            **options: Further arguments of ``client.messages.stream`` (``thinking``, ``output_config``, …).

        Returns:
            The SDK's ``Message``. Of an answer that took several replies: all their text, the last ``stop_reason``,
            and the sum of their usage. Look at ``stop_reason``: None is an interruption, ``refusal`` a refusal.

        Raises:
            PromptError, HistoryError: The message cannot be sent; nothing was.
            IncompleteReply: The reply is not complete and ``on_truncation`` is ``"raise"``; it has the message.
            LimitReached: ``max_turns``, ``max_seconds`` or ``max_usd`` forbid a further request; likewise.
            anthropic.APIError, httpx2.HTTPError: What the SDK raised.
        """
        self._client = client_for(self._client, is_async=False, instead="await chat.asend(...)")
        if inspect.iscoroutinefunction(self.confirm):
            raise ClaudeNbError("this chat's confirm= is async: use await chat.asend(...), or give it a def.")
        steps = self._steps(prompt, max_tokens, on_truncation, fallback, options)
        with self._alone(), self._doing() as doing:
            return drive(steps, doing.do)

    __call__ = send

    async def asend(
        self,
        prompt: Content | None = None,
        *,
        max_tokens: int | None = None,
        on_truncation: OnTruncation = "warn",
        fallback: str | None = None,
        **options: Any,
    ) -> Any:
        """Do the same as :meth:`send` with an async client: ``await chat.asend("…")``."""
        self._client = client_for(self._client, is_async=True, instead="chat.send(...)")
        steps = self._steps(prompt, max_tokens, on_truncation, fallback, options)
        with self._alone(), self._doing() as doing:
            return await drive_async(steps, doing.ado)

    def extract(self, prompt: Content, shape: Any, *, on_truncation: str = "raise", **options: Any) -> Any:
        """Send a message and give the reply as a value of the type ``shape``, checked.

        Args:
            prompt: Text or content blocks.
            shape: A pydantic model, dataclass, enum, TypedDict (that of ``typing_extensions`` before Python 3.12),
                ``Literal``, ``int``, ``float``, ``str`` or ``bool``, or a list of these. No dicts with free keys, no
                tuples, and no types that hold themselves: the API cannot fill them.
            on_truncation: ``"raise"``, or ``"retry"`` to ask again with twice the ceiling.
            **options: Further arguments of :meth:`send` (``max_tokens``, ``fallback``, …).

        Raises:
            PromptError: The type cannot be described to the API; nothing was sent.
            RefusedReply, IncompleteReply: There is no complete answer; the error has the message.
            ExtractionError: The answer is complete and does not fit the type; likewise.

        Example:
            >>> class Person(BaseModel):
            ...     name: str
            ...     born: int
            >>> chat.extract("Ada Lovelace was born in 1815.", Person)
            Person(name='Ada Lovelace', born=1815)
        """
        self._check(options.keys() - {"fallback"}, Chat.extract)
        wanted = wanted_of(shape, on_truncation, options)
        return wanted.read(self.send(prompt, **options))

    async def aextract(
        self, prompt: Content, shape: Any, *, on_truncation: str = "raise", **options: Any
    ) -> Any:
        """Do the same as :meth:`extract` with an async client."""
        self._check(options.keys() - {"fallback"}, Chat.extract)
        wanted = wanted_of(shape, on_truncation, options)
        return wanted.read(await self.asend(prompt, **options))

    def app(self) -> "Window":
        """Give the chat window of this conversation: as the last line of a cell it opens there.

        What is said in it is in ``chat.history``, and the saved notebook shows it without a kernel. Several cells may
        show it; a chat has one window.

        Raises:
            ClaudeNbError: There is no notebook to show it in.

        Example:
            >>> chat = Chat(system="Answer in one sentence.")
            >>> chat.app()  # doctest: +SKIP
        """
        from .app import open_window

        return open_window(self)

    def _steps(
        self,
        prompt: Content | None,
        max_tokens: int | None,
        on_truncation: str,
        fallback: str | None,
        options: dict[str, Any],
    ) -> Generator[Ask | Run, Any, Any]:
        self._check(options, Chat.send)
        loop = Loop(
            self.history,
            prompt,
            {
                "model": usable(self.model),
                "max_tokens": self.max_tokens if max_tokens is None else max_tokens,
                **options,
            },
            limits=Limits(self.max_turns, self.max_seconds, self.max_usd),
            on_truncation=on_truncation,
            fallback=usable(fallback) if fallback is not None else None,
            tools=self._tools.names or None,
        )
        return loop.steps()

    def _check(self, options: Collection[str], call: Callable[..., Any]) -> None:
        if kept := sorted({"messages", "system"}.intersection(options)):
            raise PromptError(
                f"{kept[0]}= belongs to the conversation, not to one message. Set it with Chat(...) or History(...)."
            )
        check_options(options, call, lasting=Chat, betas=betas_of(self.history))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One message at a time: two at once would answer each other's prompts."""
        if not self._free.acquire(blocking=False):
            raise HistoryError(
                "this chat is still answering. Wait for the reply, or ask elsewhere: "
                "Chat(client, history=chat.history.fork())."
            )
        try:
            yield
        finally:
            self._free.release()

    def _doing(self) -> Doing:
        return Doing(
            self._client,
            self._tools,
            confirm=self.confirm,
            conversation=self.conversation,
            display=self.display,
        )


def _same(tools: Toolbox, history: History) -> bool:
    """Whether a history's tools are these; a chat may also give none."""
    return not tools.definitions or tools.definitions == history.tools
