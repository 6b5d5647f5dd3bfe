"""What the last turn of a conversation still waits for."""

from collections.abc import Sequence

from .content import Json
from .entry import running_tools
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
    if not any(block["type"] == "tool_result" for block in after):
        return ""
    return ", ".join(str(block.get("name")) for block in running_tools(calls))


def goes_on(tree: Tree) -> bool:
    """Whether the next request goes on with a turn: after tool results or a pause."""
    calls, after = _last_turn(tree)
    paused = tree.last is not None and tree.last.role == "assistant"
    return paused or (bool(calls) and any(block["type"] == "tool_result" for block in after))


def _last_turn(tree: Tree, said: Sequence[Json] = ()) -> tuple[list[Json], list[Json]]:
    return last_turn((tree.entries[number] for number in reversed(tree.numbers)), said)
