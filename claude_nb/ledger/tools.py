"""Server tools that are billed by the hour: no reply says for how long they ran, so a call that used one says so.

Code execution costs by the container hour after free hours a month of the whole organisation, and nothing beside the
web tools of 2026-02-09 and later. Source: platform.claude.com, about-claude/pricing and code-execution-tool, 2026-11.
"""

import re
from collections.abc import Mapping
from typing import Any

CODE_EXECUTION = "code_execution"
_FREE_BESIDE = re.compile(r"web_(?:search|fetch)_(\d{8})")
_FREE_FROM = "20260209"


def hourly_tools(body: Mapping[str, Any]) -> str | None:
    """The tool of a request that is billed by the hour if it runs; None where there is none, or it is free."""
    tools = body.get("tools")
    kinds = [str(_type(tool)) for tool in tools] if isinstance(tools, list | tuple) else []
    if not any(kind.startswith(CODE_EXECUTION) for kind in kinds) and not body.get("container"):
        return None
    dates = (found[1] for kind in kinds if (found := _FREE_BESIDE.fullmatch(kind)))
    return None if any(date >= _FREE_FROM for date in dates) else CODE_EXECUTION


def _type(tool: Any) -> Any:
    return tool.get("type") if isinstance(tool, Mapping) else getattr(tool, "type", None)
