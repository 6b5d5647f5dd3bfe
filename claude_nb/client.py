"""The one place where a client is made: key found, live or sandbox decided, ledger attached."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from .credentials import API_KEY, BASE_URL, KEYS_PAGE, Credential, Secret, find_credential, without_secrets
from .errors import ClaudeNbError, CredentialError
from .options import check_client_options

if TYPE_CHECKING:
    from pathlib import Path

    import anthropic

    from .ledger import Budget, Ledger
    from .sandbox import Sandbox

Mode = Literal["auto", "live", "sandbox"]

MODES = ("auto", "live", "sandbox")
MODE_VARIABLE = "CLAUDE_NB_MODE"
SANDBOX_KEY = "sandbox"  # an explicit key makes the SDK ignore real ones, so none can be sent


def connect(
    *,
    mode: Mode = "auto",
    api_key: str | None = None,
    base_url: str | None = None,
    ledger: "Ledger | str | Literal[False] | None" = None,
    budget: "Budget | float | Literal[False] | None" = None,
    sandbox: "Sandbox | None" = None,
    tape: "str | Path | None" = None,
    record: "str | Path | None" = None,
    quiet: bool = False,
    **options: Any,
) -> "anthropic.Anthropic":
    """Give an ``anthropic.Anthropic`` client: live where a key is found, otherwise on the offline sandbox.

    One printed line says which of the two it is. The key is looked for in the argument, the environment, a
    ``.env`` file upward from the notebook's folder, Colab secrets, and the SDK's own profile, in this order.

    Args:
        mode: ``"auto"`` as above; ``"live"`` raises where there is no key; ``"sandbox"`` never looks for one.
            The environment variable ``CLAUDE_NB_MODE`` replaces ``"auto"``.
        api_key: A key given in code. Prefer ``.env``: a key typed into a cell is saved with the notebook.
        base_url: A gateway or local server that speaks the Messages API.
        ledger: Where calls are recorded: default the user's ledger; a ``Ledger`` or database URL; ``False`` for none.
        budget: A ``Budget``, or an amount in USD for the calls of this kernel, in place of the amount that an earlier
            ``connect()`` set; ``False`` lifts that, None leaves it. A call that would not fit is refused unsent.
        sandbox: A ``Sandbox`` of your own (scripted replies, faults, a tape). Implies ``mode="sandbox"``.
        tape: Recorded exchanges that the sandbox replays where no key is found; a live client never does.
        record: A ``.jsonl`` file to which every live exchange is appended, without keys and ids, for
            ``Sandbox(tape=...)`` to replay.
        quiet: Print nothing.
        **options: Passed on to the SDK's client (``timeout``, ``max_retries``, ``default_headers``, …).

    Returns:
        The SDK's own client; whatever the SDK's documentation shows works on it.

    Raises:
        CredentialError: The key is malformed, doubled or unreadable, or ``mode="live"`` found none.
        ClaudeNbError: Arguments that exclude each other, or one that is unknown or of the wrong kind.

    Example:
        >>> client = connect(mode="sandbox")
        claude_nb: sandbox. Replies are simulated offline; nothing is sent or billed.
    """
    import anthropic

    key = Secret(api_key) if isinstance(api_key, str) else api_key
    del api_key  # a verbose traceback prints the variables of every frame
    check_client_options(options, connect)
    plan = _Plan.make(mode, key, base_url, sandbox, tape)
    if transport := plan.transport(record, options):
        options["http_client"] = anthropic.DefaultHttpxClient(transport=transport)
    return anthropic.Anthropic(
        **plan.arguments(_meter(ledger, budget, simulated=plan.simulated), options, quiet=quiet)
    )


def connect_async(
    *,
    mode: Mode = "auto",
    api_key: str | None = None,
    base_url: str | None = None,
    ledger: "Ledger | str | Literal[False] | None" = None,
    budget: "Budget | float | Literal[False] | None" = None,
    sandbox: "Sandbox | None" = None,
    tape: "str | Path | None" = None,
    record: "str | Path | None" = None,
    quiet: bool = False,
    **options: Any,
) -> "anthropic.AsyncAnthropic":
    """Give an ``anthropic.AsyncAnthropic`` client, found and metered as by :func:`connect`.

    Call it without ``await``; its requests are awaited. Arguments and errors are those of :func:`connect`.
    """
    import anthropic

    key = Secret(api_key) if isinstance(api_key, str) else api_key
    del api_key  # a verbose traceback prints the variables of every frame
    check_client_options(options, connect)
    plan = _Plan.make(mode, key, base_url, sandbox, tape)
    if transport := plan.transport(record, options):
        options["http_client"] = anthropic.DefaultAsyncHttpxClient(transport=transport)
    return anthropic.AsyncAnthropic(
        **plan.arguments(_meter(ledger, budget, simulated=plan.simulated), options, quiet=quiet)
    )


def client_for(client: Any, *, is_async: bool, instead: str, quiet: bool = False) -> Any:
    """Give the client to use: the one given, if it is of the kind needed, or a new one for None.

    Args:
        client: What the user gave.
        is_async: Whether an async client is needed.
        instead: What to call with a client of the other kind, for the error.
        quiet: Print nothing about a new client.

    Raises:
        ClaudeNbError: It is no client of the SDK, or one of the other kind.
    """
    if client is None:
        return connect_async(quiet=quiet) if is_async else connect(quiet=quiet)
    make = "connect_async()" if is_async else "connect()"
    if isinstance(client, type) or not hasattr(client, "messages"):
        raise ClaudeNbError(
            f"client is {type(client).__name__}, not a client of the SDK. Write client={make}."
        )
    if is_async_client(client) != is_async:
        kind = "sync" if is_async else "async"
        raise ClaudeNbError(f"this client is {kind}: use {instead}, or {make}.")
    return client


def is_async_client(client: Any) -> bool:
    """Tell whether a client of the SDK is async, also one of a cloud platform: all are named so."""
    return any(kind.__name__.startswith("Async") for kind in type(client).__mro__)


class _Plan:
    """What to connect to, decided before any client exists."""

    def __init__(
        self, credential: Credential | None, sandbox: "Sandbox | None", base_url: str | None
    ) -> None:
        self.credential, self.sandbox, self.base_url = credential, sandbox, base_url

    @classmethod
    def make(
        cls,
        mode: str,
        key: Secret | None,
        base_url: str | None,
        sandbox: "Sandbox | None",
        tape: "str | Path | None",
    ) -> "_Plan":
        if sandbox is not None:
            _check_sandbox(sandbox)
        if sandbox is not None and tape is not None:
            raise ClaudeNbError(
                "sandbox=... and tape=... exclude each other. Write connect(sandbox=Sandbox(tape=...))."
            )
        mode = _decide(mode, key, sandbox)
        if mode != "sandbox":
            base_url = _without_v1(base_url or os.environ.get(BASE_URL) or None)
            credential = find_credential(key, base_url=base_url)
            if credential:
                return cls(credential, None, base_url or _without_v1(credential.base_url))
            if mode == "live":
                raise CredentialError(
                    f"live mode needs a key, and none was found. Put {API_KEY}=<your key> into a file named .env "
                    f"beside the notebook (keys: {KEYS_PAGE}), or use mode='sandbox'."
                )
        from .sandbox import Sandbox

        return cls(None, sandbox or Sandbox(tape=tape), None)

    @property
    def simulated(self) -> bool:
        return self.sandbox is not None

    def transport(self, record: "str | Path | None", options: Mapping[str, Any]) -> Any:
        """What carries the requests, where it is not the SDK's own choice."""
        if record is None:
            return self.sandbox
        if self.sandbox:
            raise ClaudeNbError(
                "record=... needs a live client: the sandbox invents its replies. Leave it out here, or write a tape "
                "by hand: help('claude_nb.sandbox.tape') shows how."
            )
        if "http_client" in options:
            raise ClaudeNbError("record=... and http_client=... exclude each other. Leave one of them out.")
        from .sandbox import Recorder

        return Recorder(record)

    def arguments(self, meter: Any, options: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
        if not quiet:
            print(self.line())  # noqa: T201 - the one line that says live or sandbox
        from anthropic import DEFAULT_MAX_RETRIES

        from .waiting import Waiting

        waiting = Waiting(options.get("max_retries", DEFAULT_MAX_RETRIES))
        middleware = [
            *options.pop("middleware", ()),
            waiting,
            *([meter] if meter else []),
        ]  # last is innermost
        arguments = {**options, "middleware": middleware}
        if self.base_url:
            arguments["base_url"] = self.base_url
        if self.sandbox:
            arguments |= {"api_key": SANDBOX_KEY, "base_url": "https://api.anthropic.com"}
        elif self.credential and self.credential.secret:
            arguments[self.credential.kind] = self.credential.secret.reveal()
        return arguments

    def line(self) -> str:
        if self.sandbox:
            return "claude_nb: sandbox. Replies are simulated offline; nothing is sent or billed."
        where = f" at {without_secrets(self.base_url)}" if self.base_url else ""
        source = self.credential.source if self.credential else ""
        return f"claude_nb: live{where}, with the key from {source}. Calls are billed."


def _check_sandbox(sandbox: object) -> None:
    from .sandbox import Sandbox

    if isinstance(sandbox, Sandbox):
        return
    instead = "mode='sandbox'"
    if isinstance(sandbox, str | os.PathLike):
        instead = f"tape={os.fspath(sandbox)!r}"
    raise ClaudeNbError(
        f"sandbox= takes a Sandbox(...), not {type(sandbox).__name__}. Did you mean connect({instead})?"
    )


def _decide(mode: str, key: Secret | None, sandbox: "Sandbox | None") -> str:
    asked_mode = mode
    if mode == "auto":
        mode = os.environ.get(MODE_VARIABLE) or "auto"
    if mode not in MODES:
        source = "" if asked_mode != "auto" else f" in the environment variable {MODE_VARIABLE}"
        raise ClaudeNbError(f"mode is {mode!r}{source}; it is 'auto', 'live' or 'sandbox'.")
    asked = isinstance(key, Secret) and key.reveal() == SANDBOX_KEY
    if asked or sandbox is not None:
        if asked_mode == "live":
            raise ClaudeNbError("mode='live' and a sandbox exclude each other. Leave one of them out.")
        return "sandbox"
    return mode


def _without_v1(base_url: str | None) -> str | None:
    """The SDK adds /v1 itself; a doubled one is 404 on every server."""
    return base_url.rstrip("/").removesuffix("/v1") if base_url else None


def _meter(ledger: Any, budget: Any, *, simulated: bool) -> Any:
    if ledger is False:
        if budget:
            raise ClaudeNbError("a budget needs a ledger to count in. Leave out ledger=False.")
        return None
    from .ledger import Budget, Ledger, set_limit

    if isinstance(budget, Budget):
        if ledger is not None and ledger is not budget.ledger:
            raise ClaudeNbError(
                "the budget watches another ledger. Pass Budget(..., ledger=...) the same one."
            )
        return budget.ledger.middleware(simulated=simulated)
    book = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
    if budget is not None:
        set_limit(book, None if budget is False else budget)
    return book.middleware(simulated=simulated)
