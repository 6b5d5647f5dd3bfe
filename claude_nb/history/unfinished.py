"""What the last turn of a conversation still waits for."""

from collections.abc import Sequence

from .content import Json
from .entry import Entry, running_tools
from .tree import Tree
from .view import last_turn


def waiting(tree: Tree) -> dict[str, str]:
    """The tool calls without a result, as ``{tool_use_id: tool name}``."""
    calls, after = _last_turn(tree)
    done = {block.get("tool_use_id") for block in after}
    return {
        block["id"]: block["name"]
        for block in calls
        if block["type"] == "tool_use" and block["id"] not in done
    }


def server_tools(tree: Tree) -> str:
    """Names of running server tools that may only be followed by tool results now."""
    calls, after = _last_turn(tree, [{"type": "text"}])
    return _names(calls) if _answered(after) else ""


def running(tree: Tree) -> str:
    """Names of the server tools that the last turn still runs."""
    return _names(_last_turn(tree)[0])


def goes_on(tree: Tree) -> bool:
    """Whether the next request goes on with a turn: after tool results or a pause."""
    calls, after = _last_turn(tree)
    last = last_said(tree)
    return (last is not None and last.role == "assistant") or (bool(calls) and _answered(after))


def in_loop(tree: Tree) -> bool:
    """Whether the next request goes on after results of client tools alone."""
    last = last_said(tree)
    return last is not None and last.is_results and goes_on(tree) and not running(tree)


def last_said(tree: Tree) -> Entry | None:
    """The last message that is no instruction."""
    found = (tree.entries[number] for number in reversed(tree.numbers))
    return next((entry for entry in found if not entry.is_instruction), None)


def can_ask(tree: Tree) -> bool:
    """Whether the model is to speak next.

    After a reply it is not, unless the reply was paused; nor after one of which nothing can be sent, unless a server
    tool still runs, so that the user cannot speak either.
    """
    last = last_said(tree)
    if last is None:
        return False
    if last.role != "assistant":
        return True
    return last.is_paused or (not last.sendable and bool(server_tools(tree)))


def _answered(after: Sequence[Json]) -> bool:
    return any(block["type"] == "tool_result" for block in after)


def _names(calls: Sequence[Json]) -> str:
    return ", ".join(str(block.get("name")) for block in running_tools(calls))


def _last_turn(tree: Tree, said: Sequence[Json] = ()) -> tuple[list[Json], list[Json]]:
    return last_turn((tree.entries[number] for number in reversed(tree.numbers)), said)
