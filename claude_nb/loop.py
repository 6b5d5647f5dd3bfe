"""What comes after each reply: continue, retry, resume, fall back, run tools, or stop. Decisions only, no network.

:meth:`Loop.steps` is a generator: it yields what is to be done (:class:`Ask` the model, :class:`Run` tools) and is
sent what came of it, so that the sync and the async chat share every rule. The rules are those of the API's pages
on stop reasons and tool use.
"""

import time
import warnings
from collections.abc import Generator
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

from .bill import cost_of
from .errors import HistoryError, PromptError
from .history import Content, History
from .join import anchor, joined, words
from .ledger import format_usd
from .models import find
from .outcome import Outcome, outcome_of
from .steps import Ask, IncompleteReply, LimitReached, Limits, Run

OnTruncation = Literal["warn", "continue", "retry", "raise"]
ON_TRUNCATION = ("warn", "continue", "retry", "raise")

CONTINUE = (
    "Your reply was cut off at the token limit. Its last words were:\n\n{end}\n\n"
    "Continue it: begin by repeating these last words exactly, then go on from there, without any preamble."
)

_TAKEN_BACK = "The message was taken back: send it again when the cause is gone."
_PARTIAL = "The reply is kept as far as it came, in chat.history."
_KEPT = "The conversation is kept as far as it came: chat.send() goes on from there."
_NO_FUNCTIONS = (
    "This chat was given no functions, so it runs no calls. With "
    "Chat(client, history=chat.history, tools=[…]) the next ones are run."
)

_SILENTLY_CUT = Outcome(
    "end_turn",
    complete=False,
    label="the server says end_turn, but all of max_tokens is used",
    remedy="Raise max_tokens.",
)


class Loop:
    """One ``send`` from the prompt to the answer, over as many requests as it takes.

    Args:
        history: The conversation; every message goes through it, so it is valid at every step.
        prompt: What the user says; None goes on without a new message.
        request: ``model``, ``max_tokens`` and further arguments of ``client.messages.stream``.
        limits: Where to stop.
        on_truncation: What to do about a reply cut at ``max_tokens``.
        fallback: A model to ask instead after a refusal.
        tools: Names of tools that can be run; None when none can.
    """

    def __init__(
        self,
        history: History,
        prompt: Content | None,
        request: dict[str, Any],
        *,
        limits: Limits,
        on_truncation: str = "warn",
        fallback: str | None = None,
        tools: frozenset[str] | None = None,
    ) -> None:
        if on_truncation not in ON_TRUNCATION:
            raise PromptError(
                f"on_truncation is {on_truncation!r}; it is one of {', '.join(map(repr, ON_TRUNCATION))}."
            )
        self.history, self.request, self.limits = history, dict(request), limits
        self._prompt, self._undo = prompt, ""
        self._policy, self._fallback, self._tools = on_truncation, fallback, tools
        self._pieces: list[Any] = []
        self._after: Any = None  # the reply that the next one goes on with
        self._turns, self._began, self._spent = 0, time.monotonic(), Decimal(0)
        self._unpriced: str | None = None
        self._simulated = False

    def steps(self) -> Generator[Ask | Run, Any, Any]:
        """Yield each step and return the answer, an SDK ``Message``; None when it was stopped before it began.

        Raises:
            IncompleteReply: ``on_truncation="raise"``, and the reply is not complete.
            LimitReached: Another request would be needed, and a limit forbids it.
        """
        if self._prompt is not None:
            self._say(self._prompt, _TAKEN_BACK)
        while True:
            message = yield from self._ask()
            if message is None:
                return joined(self._pieces)
            if calls := self._calls(message):
                yield from self._run(calls, message)
                if self.history.waiting():
                    return message
            elif message.stop_reason == "pause_turn":
                self._go_on(message)
                self._extend(message)
            elif message.stop_reason == "refusal" and self._fallback:
                self._go_on(message)
                self._again()
                self.request["model"], self._fallback = self._fallback, None
            elif self._is_cut(message) and self._policy in ("continue", "retry"):
                self._go_on(message)
                self._lengthen(message)
            else:
                return self._settled(joined([*self._pieces, message]), cut=self._is_cut(message))

    # One request ------------------------------------------------------------------------------------------------

    def _say(self, content: Content, undo: str) -> None:
        """Add a message; should no reply come it is taken back, and the error gets the note ``undo``."""
        try:
            self.history.user(content)
        except HistoryError as error:
            self._explain(error)
            raise
        self._undo = undo

    def _ask(self) -> Generator[Ask, Any, Any]:
        try:
            after, self._after = self._after, None
            reading = yield Ask(self._whole_request(), after=after)
        except BaseException as error:
            self._take_back(error)
            raise
        if reading.message is None:
            self._take_back(reading.error)
        else:
            self.history.reply(reading.message, simulated=reading.simulated)
            self._simulated = reading.simulated
            self._count(reading.message)
            self._undo = ""
        if reading.error is not None:
            raise reading.error
        return reading.message

    def _whole_request(self) -> dict[str, Any]:
        """The conversation as the model asked takes it, and what the user set; betas of both."""
        kept = self.history.request(model=self.request["model"])
        betas = dict.fromkeys([*kept.get("betas", ()), *self.request.get("betas", ())])
        return {**kept, **self.request, **({"betas": list(betas)} if betas else {})}

    def _explain(self, error: BaseException | None) -> None:
        """Say what else is missing where tool calls wait and no function was given to run them."""
        if isinstance(error, HistoryError) and self._tools is None and self.history.waiting():
            error.add_note(_NO_FUNCTIONS)

    def _take_back(self, error: BaseException | None) -> None:
        self._explain(error)
        if self._undo:
            self.history.undo()
        if error is not None and (self._undo or self._turns):
            error.add_note(self._undo or _KEPT)
        self._undo = ""

    def _count(self, message: Any) -> None:
        self._turns += 1
        price = cost_of(message)
        if price is None:
            self._unpriced = message.model
        else:
            self._spent += price

    # What comes next --------------------------------------------------------------------------------------------

    def _go_on(self, message: Any) -> None:
        """Raise when a limit forbids another request."""
        limits, reached = self.limits, ""
        if self._turns >= limits.turns:
            reached = f"{limits.turns} turns (max_turns) were not enough"
        elif limits.seconds is not None and time.monotonic() - self._began >= limits.seconds:
            reached = f"{limits.seconds:g} seconds (max_seconds) are over"
        elif limits.usd is not None and self._unpriced:
            reached = f"the price of {self._unpriced} is unknown, so max_usd cannot hold"
        elif limits.usd is not None and self._spent >= limits.usd:
            reached = f"{format_usd(self._spent)} are spent, and max_usd is {format_usd(limits.usd)}"
        if reached:
            raise LimitReached(
                f"stopped before the answer was complete ({outcome_of(message).label}): {reached}. The conversation is "
                "kept and valid; what came is in error.message. Raise the limit, or go on with another message.",
                joined([*self._pieces, message]),
            )

    def _lengthen(self, message: Any) -> None:
        """Prepare the request that gets more of a reply cut at ``max_tokens``."""
        if self._policy == "continue" and (text := words(message)).strip():
            self._extend(message)
            self._say(CONTINUE.format(end=anchor(text)), _PARTIAL)
            return
        model = find(self.request["model"])
        most = model.max_tokens if model else None
        if most is not None and self.request["max_tokens"] >= most:
            raise IncompleteReply(
                f"the reply was cut off at max_tokens={most}, the most that {self.request['model']} writes at once. "
                'What came is in error.message; on_truncation="continue" gets longer answers.',
                joined([*self._pieces, message]),
            )
        self._again()
        self.request["max_tokens"] = min(
            2 * self.request["max_tokens"], most or 2 * self.request["max_tokens"]
        )

    def _extend(self, message: Any) -> None:
        """Let the next reply go on with this one."""
        self._pieces.append(message)
        self._after = message

    def _again(self) -> None:
        """Take the last reply back so that the same can be asked anew. Its branch is kept."""
        self.history.retract()
        self._undo = _TAKEN_BACK if self.history.entries[-1].is_prompt else ""

    def _is_cut(self, message: Any) -> bool:
        """Whether a reply ran into ``max_tokens``, also where a server says ``end_turn`` then."""
        used = message.usage.output_tokens if message.usage is not None else None
        full = used is not None and used >= self.request["max_tokens"]
        return message.stop_reason == "max_tokens" or (message.stop_reason == "end_turn" and full)

    def _settled(self, message: Any, *, cut: bool) -> Any:
        outcome = outcome_of(message)
        if cut and outcome.complete:
            outcome = replace(_SILENTLY_CUT, label=f"{_SILENTLY_CUT.label} ({self.request['max_tokens']:,})")
            if self._policy != "raise":
                warnings.warn(f"the reply may be incomplete: {outcome.label}. {outcome.remedy}", stacklevel=2)
        if self._policy == "raise" and not outcome.complete:
            raise IncompleteReply(
                f"the reply is not complete: {outcome.label}. {outcome.remedy} What came is in error.message.",
                message,
            )
        return message

    # Tools ------------------------------------------------------------------------------------------------------

    def _calls(self, message: Any) -> list[Any]:
        """The calls of this reply that can be run; those of tools given as dicts are the user's to answer."""
        if self._tools is None:
            return []
        waiting = self.history.waiting()
        declared = {tool.get("name") for tool in self.history.tools} - self._tools
        calls = [block for block in message.content if block.type == "tool_use" and block.id in waiting]
        calls = [call for call in calls if call.name not in declared]
        if calls and message.stop_reason != "tool_use":
            reason = f"Not run: the reply ended with {message.stop_reason!r}, so the call may be cut."
            self.history.results([_failed(call.id, reason) for call in calls])
            warnings.warn(
                f"the server asked for {', '.join(call.name for call in calls)} but ended its reply with "
                f"{message.stop_reason!r} instead of 'tool_use'; the call may be cut and was not run.",
                stacklevel=2,
            )
            return []
        return calls

    def _run(self, calls: list[Any], message: Any) -> Generator[Run, Any, None]:
        try:
            self._go_on(message)
        except LimitReached:
            self.history.results([_failed(call.id, "Not run: a limit was reached.") for call in calls])
            raise
        run = Run(calls, self._left(), simulated=self._simulated)
        missing = "Interrupted before it had finished."
        try:
            yield run
        finally:
            self.history.results([run.results.get(call.id) or _failed(call.id, missing) for call in calls])
        self._pieces = []
        self._release_choice()
        self._go_on(message)  # the tools took time

    def _release_choice(self) -> None:
        """A tool that must be called is called once; forced again after each result the loop would never end."""
        choice = self.request.get("tool_choice") or {}
        if choice.get("type") in ("any", "tool"):
            kept = {name: value for name, value in choice.items() if name not in ("type", "name")}
            self.request["tool_choice"] = {"type": "auto", **kept}

    def _left(self) -> float | None:
        if self.limits.seconds is None:
            return None
        return max(0.0, self.limits.seconds - (time.monotonic() - self._began))


def _failed(tool_use_id: str, reason: str) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": tool_use_id, "content": reason, "is_error": True}
