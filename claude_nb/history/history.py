"""A conversation that is valid by construction.

The API is stateless: each request carries the whole conversation. :class:`History` keeps it. What is *stored* is
everything, as the API sent it, append-only; what is *sent* is a view that the API accepts (``request()``):

- a refused or empty reply is not sent;
- an interrupted reply is sent as far as its text goes, and the next message tells the model that it was cut;
- tool calls that were cut, thinking without a signature and blank text blocks are not sent;
- neighbouring messages of one role become one message, tool results first;
- what a trim policy leaves out is not sent, nor the thinking that no longer fits what is sent before it.

The rules are those of the API's pages on stop reasons, tool use and preserved thinking. Going back (``undo``,
``edit``, running a cell again) starts a new branch and keeps the old one, so nothing that was paid for is lost.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from claude_nb import trim as trimming
from claude_nb.errors import HistoryError, PromptError
from claude_nb.trim import WHOLE, Cut, Report, Trim

from . import branches as comparing
from . import cells, content, sizes, unfinished, view
from .branches import Branch, Diff, Found
from .content import Content, Json, Role, copied
from .entry import ELSEWHERE, Entry
from .tree import Tree

if TYPE_CHECKING:
    import pandas as pd

    from .repair import Repair

__all__ = ["Content", "History", "Role"]

_UNSENT_FIELDS = ("parsed_output",)  # the SDK's own, the API refuses it


class History:
    """A conversation to send with every request, kept valid whatever happens to it.

    Args:
        system: The system prompt, text or text blocks; it stays the same for the whole conversation.
        tools: Tool definitions, likewise.
        rerun: What happens when a notebook cell that added messages runs again. ``"replace"``: they give way to the
            new ones, on a new branch, and a printed line says so. ``"append"``: the new ones are added behind.
        trim: What to leave out of long conversations: a policy of :mod:`claude_nb.trim`, or several.

    Example:
        >>> history = History(system="Answer in one sentence.")
        >>> history.user("What is a token?")
        0
        >>> history.request()["messages"]
        [{'role': 'user', 'content': [{'type': 'text', 'text': 'What is a token?'}]}]
    """

    def __init__(
        self,
        *,
        system: Content | None = None,
        tools: Iterable[Any] | None = None,
        rerun: Literal["replace", "append"] = "replace",
        trim: Trim | None = None,
    ) -> None:
        if isinstance(system, str) and not system.strip():
            raise PromptError("the system prompt is blank. Write one, or leave it out.")
        if rerun not in ("replace", "append"):
            raise HistoryError(f"rerun is {rerun!r}; it is 'replace' or 'append'.")
        self._system = None if not system else _system(system)
        self._tools = [content.tool(tool) for tool in tools or ()]
        content.check_marks(self._system, self._tools)
        self._rerun = rerun
        self.trim = trim
        self._tree = Tree()
        self._asked: tuple[int | None, int | None] | None = None  # head and cut of the last request
        self._ran: tuple[str | None, str | None] = (None, None)
        self._built: tuple[tuple[int | None, Cut], list[view.Sent]] | None = None
        self._sizes = sizes.Sizes(self._system, self._tools)
        self.report: Report | None = None
        """What the last request left out, what that saves and costs; None before the first with a policy."""
        cells.running()  # from now on the kernel says which cell runs

    # What is said -----------------------------------------------------------------------------------------------

    def user(self, content: Content) -> int:
        """Add the user's message and give its place in the conversation.

        Args:
            content: Text, or a list of content blocks (text, image, document).

        Raises:
            PromptError: The message is empty or not of a kind the API takes.
            HistoryError: Tool calls wait for their results.
        """
        blocks = _prompt(content)
        with self._rerunning():
            if waiting := self.waiting():
                raise HistoryError(
                    f"the last reply asked for tools and waits for {_named(waiting)}. Send "
                    "history.results({id: result}) first, or history.skip_tools() to go on without."
                )
            if running := unfinished.server_tools(self._tree):
                raise HistoryError(
                    f"the server is still running {running} for the last reply and takes tool results only. "
                    "Send the request as it is first, or take the prompt back with history.undo()."
                )
            return self._add(Entry("user", blocks))

    def reply(self, message: Any, *, simulated: bool = False) -> int:
        """Add the model's reply, an SDK ``Message`` (partial ones too), and give its place.

        Args:
            message: What ``watch()`` or ``client.messages.create()`` gave.
            simulated: Whether the offline sandbox replied, not a model.

        Raises:
            HistoryError: There is no prompt it could answer, or it is not a message.
        """
        data = message if isinstance(message, Mapping) else getattr(message, "to_dict", dict)()
        if data.get("role") != "assistant" or not isinstance(data.get("content"), list):
            raise HistoryError(
                f"reply() takes the Message that the API returned, not {type(message).__name__}. "
                "For your own words use history.user(...)."
            )
        blocks: list[Json] = content.as_json(data["content"], "the reply", HistoryError)
        blocks = [{k: v for k, v in block.items() if k not in _UNSENT_FIELDS} for block in blocks]
        calls = [block.get("id") for block in blocks if block.get("type") == "tool_use"]
        if len(set(calls)) < len(calls):
            raise HistoryError(
                "two tool calls of the reply have the same id, so no result could name its call."
            )
        told = {name: copied(data.get(name)) for name in ("stop_reason", "model", "usage")}
        with self._rerunning():
            last = self._tree.last
            if last is None or (last.role == "assistant" and last.stop_reason != "pause_turn"):
                raise HistoryError(
                    "there is no message this could be the reply to. Call history.user(...) first."
                )
            if waiting := self.waiting():
                raise HistoryError(
                    f"this cannot be a reply while tool calls wait for their results: {_named(waiting)}. "
                    "Call history.results({id: result}) first."
                )
            cut = ELSEWHERE if self._tree.cuts else None  # not asked for here: perhaps under one of the cuts
            if self._asked and self._asked[0] == self._tree.head:
                cut = self._asked[1]
            return self._add(Entry("assistant", blocks, **told, simulated=simulated, cut=cut))

    def results(self, results: Mapping[str, Content] | Sequence[Mapping[str, Any]]) -> int:
        """Add results of the tools that the last reply asked for, and give their place.

        Args:
            results: ``{tool_use_id: text or content blocks}``, or a list of ``tool_result`` blocks. Results may come in
                several calls; the request waits for all of them.

        Raises:
            HistoryError: A result answers no open call, answers one twice, or is not of a kind the API takes.
        """
        blocks = content.results(results)
        with self._rerunning():
            waiting = self.waiting()
            for block in blocks:
                tool_use_id = block.get("tool_use_id")
                if block.get("type") != "tool_result" or tool_use_id not in waiting:
                    raise HistoryError(
                        f"no open tool call has the id {tool_use_id!r}. Open calls: {_named(waiting) or 'none'}."
                    )
                del waiting[tool_use_id]
            return self._add(Entry("user", blocks))

    def skip_tools(self, reason: str = "The user chose not to run this tool.") -> None:
        """Answer every open tool call with an error that gives the reason, so that the talk can go on."""
        if waiting := self.waiting():
            error = {"type": "tool_result", "content": reason, "is_error": True}
            self.results([{**error, "tool_use_id": key} for key in waiting])

    def waiting(self) -> dict[str, str]:
        """Give the tool calls without a result, as ``{tool_use_id: tool name}``."""
        return unfinished.waiting(self._tree)

    # What is sent -----------------------------------------------------------------------------------------------

    def request(self, *, trim: Trim | None = None) -> dict[str, Any]:
        """Give ``system``, ``tools`` and ``messages`` for the next call, acceptable to the API as they are.

        Parts that were never set are left out, so that ``client.messages.create(..., **history.request())`` works.
        Everything is a copy: changing it does not change the conversation. With a policy that the API itself carries
        out there are also ``betas`` and ``context_management``: call ``client.beta.messages`` then.

        Args:
            trim: A policy of :mod:`claude_nb.trim`, or several, for this request; ``()`` for none. Default: that of the
                history. In a tool loop the cut of its first request stays, because the model's thinking depends on it.

        Raises:
            HistoryError: There is nothing to answer yet; the message says what is missing.
        """
        policies = self.trim if trim is None else trimming.policies(trim)
        self._check_ready()
        self._summarize(policies)
        cut = self._cut(policies)
        messages = view.as_messages(self._view(cut), view.fixed_marks(self._system, self._tools))
        self._asked = (self._tree.head, self._tree.number_of(cut))
        parts = {"system": copied(self._system), "tools": copied(self._tools), "messages": messages}
        return {name: part for name, part in parts.items() if part} | trimming.server_side(policies)

    @property
    def trim(self) -> tuple[trimming.Policy, ...]:
        """The trim policies of every request that names none of its own; can be set."""
        return self._trim

    @trim.setter
    def trim(self, trim: Trim | None) -> None:
        self._trim = trimming.policies(trim)

    def _check_ready(self) -> None:
        if waiting := self.waiting():
            raise HistoryError(
                f"tool calls wait for their results: {_named(waiting)}. Call history.results({{id: result}})."
            )
        last = self._tree.last
        if last is None:
            raise HistoryError("the conversation is empty. Call history.user(...) first.")
        if last.role == "assistant" and last.stop_reason != "pause_turn":
            raise HistoryError(
                "the conversation ends with a reply. Call history.user(...) before the next request."
            )

    def _view(self, cut: Cut) -> list[view.Sent]:
        key = (self._tree.head, cut)
        if self._built is None or self._built[0] != key:
            self._built = (key, view.build(self._tree.path(), cut))
        return self._built[1]

    def _cut(self, policies: Sequence[trimming.Policy]) -> Cut:
        """The cut for the next request; what the policies left out before stays out."""
        path = self._tree.path()
        before = self._tree.cut_before()
        cut = before
        if not unfinished.goes_on(self._tree):
            talk = self._sizes.talk(self._tree) if policies else None
            cut = trimming.apply(policies, talk, before) if talk else WHOLE
        cut = replace(cut, thinking_from=view.thinking_from(path, cut, self._tree.cuts))
        while lost := view.lost_loop(path, cut):
            cut = cut.without([lost])
        if policies:
            talk = self._sizes.talk(self._tree)
            change = view.first_difference(cut, before)
            model = sizes.model_of(path).id
            self.report = trimming.report(talk, cut, before, first_change=change, model=model)
        return cut

    def _summarize(self, policies: Sequence[trimming.Policy]) -> None:
        for policy in policies:
            if isinstance(policy, trimming.Summarize) and not unfinished.goes_on(self._tree):
                from .summary import summarize

                summarize(policy, self._tree, self._sizes.talk(self._tree))

    def compact(self, summary: str, upto: int) -> int:
        """Go on with a summary in place of the first ``upto`` messages, in a new branch. The old one is kept.

        The summary is a message like any other; ``edit(0, "…")`` changes its words and keeps what follows.
        Pinned turns stay as they are.

        Args:
            summary: What happened in these messages.
            upto: How many messages it stands for: up to a prompt.

        Returns:
            The number of the old branch, for ``switch()``.

        Raises:
            HistoryError: The messages do not end where a turn ends.
        """
        from .summary import compact

        return compact(self._tree, self._sizes.talk(self._tree).turns, summary, upto)

    # Going back -------------------------------------------------------------------------------------------------

    def undo(self) -> str:
        """Take back the last prompt with everything after it, and give its text. The old branch is kept.

        Raises:
            HistoryError: There is no prompt to take back.
        """
        for number in reversed(self._tree.numbers):
            entry = self._tree.entries[number]
            if entry.summary_of is not None:
                raise HistoryError(
                    "what came before is summarised. history.branches() lists the branches with all of it; "
                    "history.switch(number) goes back to one."
                )
            if entry.is_prompt:
                self._tree.go(entry.parent)
                return entry.text
        raise HistoryError("there is no prompt to take back: the conversation is empty.")

    def retract(self) -> None:
        """Take back the last reply, so that the same can be asked again. Its branch is kept.

        Raises:
            HistoryError: The conversation does not end with a reply.
        """
        last = self._tree.last
        if last is None or last.role == "user":
            raise HistoryError("there is no reply to take back: the conversation does not end with one.")
        self._tree.go(last.parent)

    def edit(self, at: int, content: Content) -> int:
        """Say the prompt at place ``at`` differently and go on from there. The old branch is kept.

        Editing a summary keeps what follows it.

        Args:
            at: A place as given by ``user()``, counted from 0; negative counts from the end.
            content: The new message.

        Raises:
            HistoryError: There is no prompt of the user at this place.
        """
        path = self._tree.path()
        if not -len(path) <= at < len(path) or not path[at].is_prompt:
            prompts = [place for place, entry in enumerate(path) if entry.is_prompt]
            raise HistoryError(f"there is no prompt at place {at}; prompts are at {prompts}.")
        blocks, entry = _prompt(content), path[at]
        follow = self._tree.numbers[at % len(path) + 1 :] if entry.summary_of is not None else []
        self._tree.go(entry.parent)
        place = self._add(Entry("user", blocks, summary_of=entry.summary_of))
        self._tree.append_again(follow)
        return place

    def fork(self, at: int | None = None) -> "History":
        """Give a conversation of its own with the first ``at`` messages of this one (default: all of them).

        Raises:
            HistoryError: There are fewer messages than that.
        """
        path = self._tree.path()
        if at is not None and not -len(path) <= at <= len(path):
            raise HistoryError(f"cannot fork at {at}: the conversation has {len(path)} messages.")
        other = History(system=self._system, tools=self._tools, rerun=self._rerun, trim=self.trim)
        other._tree.cuts = list(self._tree.cuts)
        for number, entry in zip(self._tree.numbers, path[:at], strict=False):
            place = other._tree.append(entry)
            if number in self._tree.pins:
                other.pin(place)
        return other

    def branches(self) -> list[Branch]:
        """Give every way the conversation went: also those that ``undo``, ``edit`` and running a cell again left."""
        found = []
        for number in comparing.leaves(self._tree.entries, self._tree.head):
            numbers = self._tree.line(number)
            shared = sum(1 for one, other in zip(numbers, self._tree.numbers, strict=False) if one == other)
            text = comparing.words(self._tree.entries[number])
            found.append(Branch(number, len(numbers), shared, number == self._tree.head, text))
        return found

    def switch(self, branch: int | Branch) -> None:
        """Go on with another branch, as listed by :meth:`branches`. The current one is kept.

        Raises:
            HistoryError: There is no such branch.
        """
        number = branch.number if isinstance(branch, Branch) else branch
        known = [one.number for one in self.branches()]
        if number not in known and number != self._tree.head:
            raise HistoryError(
                f"there is no branch {branch!r}; the branches are {known} (numbers, not places)."
            )
        self._tree.go(number)

    def pin(self, at: int, *, on: bool = True) -> None:
        """Never leave out the turn with the message at place ``at``, whatever the trim policy.

        Args:
            at: A place, counted from 0; negative counts from the end.
            on: False takes the pin away.

        Raises:
            HistoryError: There is no such message.
        """
        if not -len(self) <= at < len(self):
            raise HistoryError(f"there is no message at place {at}: the conversation has {len(self)}.")
        self._tree.pin(at, on=on)

    def diff(self, other: "History | Branch | int") -> Diff:
        """Give how another conversation, or another branch of this one, differs: print it to read it."""
        if isinstance(other, History):
            settings = [name for name in ("system", "tools") if getattr(self, name) != getattr(other, name)]
            return comparing.diff(self._tree.path(), other.entries, settings)
        number = other.number if isinstance(other, Branch) else other
        if not 0 <= number < len(self._tree.entries):
            raise HistoryError(
                f"there is no branch {number}; the branches are {[one.number for one in self.branches()]}."
            )
        there = [self._tree.entries[one] for one in self._tree.line(number)]
        return comparing.diff(self._tree.path(), there, [])

    def find(self, text: str) -> list[Found]:
        """Give the messages that hold ``text``, also in tool calls and results, with the words around it."""
        if not text:
            raise HistoryError('find() takes a text to look for, such as history.find("token").')
        return comparing.find(self._tree.path(), text)

    # What it costs ----------------------------------------------------------------------------------------------

    def tokens(self, client: Any = None, *, model: str | None = None) -> "pd.DataFrame":
        """Give the input tokens of each message, from the prompts that the server measured.

        The prompt of a reply less that of the reply before it is exact: the first reply and the message after it.
        How the two share it is an estimate, marked in the column ``estimated``. Where the prompt before changed (a
        cut, another model) what cannot be told is a row ``residual``.

        Args:
            client: An SDK client that counts what was not sent yet, in one free call. Default: it is estimated.
            model: Whose tokens to count; default the model that replied last.
        """
        now = None
        if client is not None:
            chosen = model or sizes.model_of(self._tree.path()).id
            now = client.messages.count_tokens(model=chosen, **self.fork().request()).input_tokens
        return self._sizes.frame(self._tree, now)

    def what_if(self, policies: Sequence[Trim | None], *, model: str | None = None) -> "pd.DataFrame":
        """Give what this conversation would have cost under each trim policy, with and without caching.

        Each request so far is made again in thought: what the policy would have sent, what the prompt cache would have
        held at that time (the sandbox's cache), what the model charges. The replies are assumed to be the same.

        Args:
            policies: Policies of :mod:`claude_nb.trim`; None for everything sent.
            model: Whose prices; default the model that replied last.

        Returns:
            A row a policy and kind of caching: ``requests``, ``input_tokens``, ``cache_creation_input_tokens``,
            ``cache_read_input_tokens``, ``output_tokens``, ``tokens_per_turn``, ``cache_hit`` (share of the prompt) and
            ``cost_usd`` (None where unknown).
        """
        from .whatif import replay

        return replay(self._tree, self._sizes, policies, model=model)

    # Keeping it -------------------------------------------------------------------------------------------------

    def save(self, path: "str | Path") -> Path:
        """Write the conversation with all its branches to a JSON Lines file, all of it or nothing."""
        from .transcript import save

        return save(self, Path(path))

    def autosave(self, path: "str | Path | None") -> None:
        """Write the conversation to a file now, and each further message as it comes; None stops that.

        Raises:
            HistoryError: The file holds something else: another conversation, or none; or another history writes to it.
        """
        if path is None:
            self._tree.file = None
            return
        from .transcript import claim

        claim(Path(path), self)
        self._tree.file = self.save(path)

    @classmethod
    def load(cls, path: "str | Path") -> "History":
        """Read a conversation that :meth:`save` wrote.

        Raises:
            HistoryError: The file is missing, is no saved conversation, or was saved by a newer version.
        """
        from .transcript import load

        return load(Path(path))

    @classmethod
    def from_messages(
        cls, messages: Sequence[Any], *, system: Content | None = None, tools: Iterable[Any] | None = None
    ) -> "History":
        """Give a conversation made of a list of messages, as ``client.messages.create(messages=…)`` takes it.

        Raises:
            HistoryError: The list breaks a rule of the API; says which message, and how.
        """
        from .repair import repair

        repaired = repair(messages, system=system, tools=tools)
        if repaired.changes:
            first = repaired.changes[0]
            raise HistoryError(
                f"{first.where} {first.problem}. History.repair(messages) gives a valid conversation and says what "
                "it changed."
            )
        return repaired.history

    @staticmethod
    def repair(
        messages: Sequence[Any], *, system: Content | None = None, tools: Iterable[Any] | None = None
    ) -> "Repair":
        """Make a valid conversation of a malformed list: ``.history``, and ``.changes`` that say what was done."""
        from .repair import repair

        return repair(messages, system=system, tools=tools)

    def to_markdown(self) -> str:
        """Give the conversation as Markdown. Its words are the model's: read it as text, or render it safely."""
        from .export import markdown

        return markdown(self._tree.path(), self._system)

    def to_script(self, *, model: str | None = None, max_tokens: int = 4096) -> str:
        """Give a Python program that asks the last question again with the plain SDK, all that was said included."""
        from .export import script

        path = self._tree.path()
        at = next((place for place in range(len(path) - 1, -1, -1) if path[place].role == "user"), None)
        if at is None:
            raise HistoryError("the conversation is empty. Call history.user(...) first.")
        request = self.fork(at + 1).request(trim=())
        return script(request, model=model or sizes.model_of(path).id, max_tokens=max_tokens)

    def to_dict(self) -> dict[str, Any]:
        """Give everything that is stored, all branches included, as JSON-ready data."""
        return {"system": copied(self._system), "tools": copied(self._tools), **self._tree.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "History":
        """Give the conversation that :meth:`to_dict` described.

        Raises:
            HistoryError: An entry is malformed, or builds on one that is missing.
        """
        history = cls(system=data.get("system"), tools=data.get("tools"))
        history._tree = Tree.from_dict(data)
        return history

    # Looking at it ----------------------------------------------------------------------------------------------

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Everything stored on this branch, as copies: also what is not sent."""
        return [{"role": entry.role, "content": copied(entry.content)} for entry in self._tree.path()]

    @property
    def entries(self) -> list[Entry]:
        """The stored messages of this branch with their stop reason, model and usage, as copies."""
        return [
            replace(entry, content=copied(entry.content), usage=copied(entry.usage))
            for entry in self._tree.path()
        ]

    @property
    def system(self) -> Any:
        """The system prompt, or None."""
        return copied(self._system)

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tool definitions."""
        found: list[Json] = copied(self._tools)
        return found

    def __len__(self) -> int:
        return len(self._tree.numbers)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        parts = [_count(len(self), "message")]
        if self._system:
            parts.append("system prompt")
        if self._tools:
            parts.append(_count(len(self._tools), "tool"))
        if waiting := self.waiting():
            parts.append(f"waits for {_named(waiting)}")
        return f"History({', '.join(parts)})"

    def _repr_html_(self) -> str:
        from .table import table

        path = self._tree.path()
        asked = self._asked if self._asked and self._asked[0] == self._tree.head else None
        cut = self._tree.cut_before()
        if asked:
            cut = WHOLE if asked[1] is None else self._tree.cuts[asked[1]]
        pinned = {place for place, number in enumerate(self._tree.numbers) if number in self._tree.pins}
        guesses = [size for size, _ in self._sizes.guesses(self._tree, sizes.model_of(path))]
        others = len(comparing.leaves(self._tree.entries, self._tree.head)) - (self._tree.head is not None)
        return table(path, guesses, cut, pinned, others=others)

    # Inside -----------------------------------------------------------------------------------------------------

    def _add(self, entry: Entry) -> int:
        cell, run = cells.running()
        return self._tree.append(replace(entry, cell=cell, run=run))

    @contextmanager
    def _rerunning(self) -> Iterator[None]:
        """Where a cell runs again, go back to before what it added; on an error nothing has changed."""
        before, ran = self._tree.head, self._ran
        self._ran = cells.running()
        replaced = None
        if self._rerun == "replace" and self._ran != ran:
            replaced = cells.replace(self._tree, *self._ran)
        try:
            yield
        except BaseException:
            self._ran = ran
            self._tree.go(before)
            raise
        if replaced:
            cells.say(replaced)


_prompt = content.prompt


def _system(given: Any) -> Any:
    return (
        content.as_json(given, "the system prompt")
        if isinstance(given, str)
        else content.prompt(given, "system")
    )


def _named(waiting: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({key})" for key, name in waiting.items())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
