"""Plain Python functions as tools: what the API is told of them, and how their calls are run.

Schemas and argument checks are the SDK's own (``anthropic.beta_tool``). A call that fails answers the model with an
error instead of ending the talk: the text of a ``ToolError`` as it is, of other exceptions kind and message in one
line, never a traceback.
"""

import asyncio
import inspect
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar, overload

import anyio

from .asking import ask, ask_async, in_thread
from .attach import content, text
from .errors import PromptError
from .steps import Run

Confirm = Callable[[str, dict[str, Any]], bool | Awaitable[bool]]
"""Asked before a call is run, with the tool's name and its input; True allows it. For ``asend`` it may be async."""

F = TypeVar("F", bound=Callable[..., Any])

_ASKS = "__claude_nb_confirm__"
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_AT_ONCE = 8  # calls
_LINE = 300  # characters
_SECRET = re.compile(
    r"sk-[\w-]{8,}|(?<=Bearer )\S+|(?<=://)[^/\s@]+(?=@)|(?<=key=)[^\s&]+|(?<=token=)[^\s&]+|(?<=password=)[^\s&]+",
    re.IGNORECASE,
)


@overload
def tool(function: F) -> F: ...
@overload
def tool(*, confirm: bool = False) -> Callable[[F], F]: ...
def tool(function: Any = None, *, confirm: bool = False) -> Any:
    """Mark a function as a tool that asks before it runs; it stays the plain function it was.

    Args:
        function: The function, sync or async. Unmarked functions are tools just as well.
        confirm: Whether each call is shown and must be allowed first.

    Raises:
        PromptError: It is no function.

    Example:
        >>> @tool(confirm=True)
        ... def delete(path: str) -> str:
        ...     \"\"\"Delete a file.\"\"\"
    """

    def mark(one: Any) -> Any:
        if not callable(one) and not hasattr(one, "to_dict"):
            raise PromptError(
                f"tool marks a function, not {_kind(one)}. Write @tool, or @tool(confirm=True)."
            )
        setattr(one, _ASKS, confirm)
        return one

    return mark if function is None else mark(function)


class Toolbox:
    """The tools of a chat: functions to run here, and definitions that the user or the server answers.

    Args:
        tools: Functions with type hints and a docstring, tools of the SDK (``beta_tool``), or definitions as dicts.

    Attributes:
        definitions: What the API is told, one dict for each tool.
        names: The tools that are run here.

    Raises:
        PromptError: Something is no tool, has no name the API accepts, or shares its name with another.
    """

    def __init__(self, tools: Iterable[Any] = ()) -> None:
        if isinstance(tools, str | Mapping) or not isinstance(tools, Iterable):
            raise PromptError(
                f"tools= takes a list of functions or definitions, not {type(tools).__name__}. Write tools=[…]."
            )
        self.definitions: list[dict[str, Any]] = []
        self._runnable: dict[str, Any] = {}
        self._asking: set[str] = set()
        for one in tools:
            self._add(one)
        named = [str(definition["name"]) for definition in self.definitions if definition.get("name")]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise PromptError(
                f"two tools are called {twice[0]!r}. The model tells tools apart by their names."
            )
        self.names = frozenset(self._runnable)

    def _add(self, one: Any) -> None:
        if isinstance(one, Mapping):
            self.definitions.append(dict(one))
            return
        made = one if hasattr(one, "to_dict") else _made(one)
        definition = dict(made.to_dict())
        self.definitions.append(definition)
        if hasattr(made, "call"):
            name = str(definition["name"])
            self._runnable[name] = made
            if getattr(getattr(made, "func", made), _ASKS, False):
                self._asking.add(name)

    def run(self, run: Run, *, confirm: Confirm | None = None) -> None:
        """Run the calls, in parallel where there are several, and put their results into ``run.results``."""
        calls = [
            call
            for call in self._known(run)
            if not self._asks(call) or _allowed(run, call, (confirm or ask)(call.name, _given(call)))
        ]
        if len(calls) == 1 and run.seconds is None and not self._is_async(calls[0]):
            run.results[calls[0].id] = self._result(run, calls[0])
            return
        pool = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="claude_nb tool")
        futures = {pool.submit(copy_context().run, self._result, run, call): call for call in calls}
        try:
            wait(futures, timeout=run.seconds)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for future, call in futures.items():
                done = future.done() and not future.cancelled()
                run.results[call.id] = future.result() if done else _late(call, run)

    async def arun(self, run: Run, *, confirm: Confirm | None = None) -> None:
        """Do the same as :meth:`run` in an event loop; sync tools and a sync ``confirm`` run in threads."""
        calls = [
            call
            for call in self._known(run)
            if not self._asks(call) or _allowed(run, call, await _answer_of(confirm, call))
        ]
        tasks = {asyncio.ensure_future(self._result_async(run, call)): call for call in calls}
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=run.seconds)
        finally:
            for task, call in tasks.items():
                done = task.done() and not task.cancelled()
                run.results[call.id] = task.result() if done else _late(call, run)
                task.cancel()

    def _known(self, run: Run) -> list[Any]:
        """The calls of tools that there are; the others get their result at once."""
        for call in run.calls:
            if call.name not in self._runnable:
                known = ", ".join(sorted(self.names))
                run.results[call.id] = _error(call, f"There is no tool {call.name!r}. Tools: {known}.")
        return [call for call in run.calls if call.name in self._runnable]

    def _asks(self, call: Any) -> bool:
        return call.name in self._asking

    def _is_async(self, call: Any) -> bool:
        return inspect.iscoroutinefunction(self._runnable[call.name].call)

    def _result(self, run: Run, call: Any) -> dict[str, Any]:
        began = time.monotonic()
        try:
            came = self._runnable[call.name].call(call.input)
            return _answer(call, asyncio.run(_awaited(came)) if inspect.iscoroutine(came) else came)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the model is told, the talk goes on
            return _error(call, _told(error))
        finally:
            run.took[call.id] = time.monotonic() - began

    async def _result_async(self, run: Run, call: Any) -> dict[str, Any]:
        if not self._is_async(call):
            # anyio's threads, in which the SDK's sync tools of an MCP session find their loop
            return await anyio.to_thread.run_sync(self._result, run, call, abandon_on_cancel=True)
        began = time.monotonic()
        try:
            return _answer(call, await self._runnable[call.name].call(call.input))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the model is told, the talk goes on
            return _error(call, _told(error))
        finally:
            run.took[call.id] = time.monotonic() - began


def in_one_line(error: BaseException) -> str:
    """Give what the model is told about an exception: a ``ToolError``'s own text, otherwise kind and message."""
    import pydantic
    from anthropic.lib.tools import ToolError

    if isinstance(error, ToolError):
        return text(str(error))
    if isinstance(error, ValueError) and isinstance(cause := error.__cause__, pydantic.ValidationError):
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in cause.errors()]
        return f"{error}: {'; '.join(wrong)}"[:_LINE]
    line = _SECRET.sub("[secret]", " ".join(f"{type(error).__name__}: {error}".split()))
    line = line.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be sent
    return line if len(line) <= _LINE else f"{line[:_LINE]}…"


def _made(function: Any) -> Any:
    import anthropic
    import pydantic

    if not inspect.isroutine(function):
        raise PromptError(
            f"a tool is a function with type hints and a docstring, a tool of the SDK, or a dict with name and "
            f"input_schema, not {_kind(function)}."
        )
    name = function.__name__
    if not _NAME.fullmatch(name):
        raise PromptError(f"{name!r} is no name for a tool: the API takes letters, digits, _ and -. Use def.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise PromptError(f"{name} yields, and a tool gives one answer. Return a list instead.")
    make = anthropic.beta_async_tool if inspect.iscoroutinefunction(function) else anthropic.beta_tool
    try:
        made = make(function)
    except (pydantic.errors.PydanticUserError, NameError) as error:
        raise PromptError(
            f"the arguments of {name} cannot be described to the model: {str(error).splitlines()[0]}. Use plain types, "
            "dataclasses or pydantic models."
        ) from error
    if made.to_dict()["input_schema"].get("type") != "object":
        raise PromptError(
            f"{name} takes arguments without names (*args or /), and the model gives them by name."
        )
    return made


def _kind(thing: Any) -> str:
    """What was given in place of a function, and what to do about it."""
    if isinstance(thing, partial):
        return "a functools.partial, which has no name and docstring of its own. Write a def that calls it"
    if callable(thing) and not isinstance(thing, type):
        return f"a {type(thing).__name__} object. Write a def that calls it"
    return repr(thing)


async def _answer_of(confirm: Confirm | None, call: Any) -> Any:
    if confirm is None:
        return await ask_async(call.name, _given(call))
    if inspect.iscoroutinefunction(confirm):
        return await confirm(call.name, _given(call))
    return await in_thread(confirm, call.name, _given(call))


def _given(call: Any) -> dict[str, Any]:
    """A copy of a call's input, for whoever is asked; some servers send no object."""
    return dict(call.input) if isinstance(call.input, Mapping) else {"input": call.input}


def _allowed(run: Run, call: Any, answer: object) -> bool:
    """Whether the answer allows the call; only True is a yes."""
    if answer is not True:
        run.results[call.id] = _error(call, "The user did not allow this call.")
    return answer is True


async def _awaited(came: Awaitable[Any]) -> Any:
    return await came


def _answer(call: Any, value: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call.id, "content": content(value)}


def _told(error: BaseException) -> Any:
    """What the model is told of an exception; a ``ToolError`` of the SDK may hold pictures."""
    from anthropic.lib.tools import ToolError

    if isinstance(error, ToolError) and not isinstance(error.content, str):
        return content(list(error.content))
    return in_one_line(error)


def _error(call: Any, reason: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call.id, "content": reason, "is_error": True}


def _late(call: Any, run: Run) -> dict[str, Any]:
    if run.seconds is None:
        return _error(call, "Interrupted before it had finished.")
    return _error(call, f"Not finished after {run.seconds:.3g} seconds; it may still be running.")
