"""The tools of MCP servers for a chat: the protocol is the official ``mcp`` package's part, the tools are the SDK's.

An async chat takes the SDK's tools of a session as they are: ``Chat(connect_async(), tools=[async_mcp_tool(tool,
session) for tool in ...])`` of ``anthropic.lib.tools.mcp``. A sync chat cannot serve a session while it waits;
:class:`McpTools` keeps the sessions in a thread of their own, so that both chats can use them, over many cells.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, Self

from .credentials import without_secrets
from .errors import ClaudeNbError


class McpTools:
    """The tools of MCP servers, connected until ``close()``; iterate, or use it as ``tools=``.

    Args:
        *servers: Each an ``mcp.StdioServerParameters`` (a program to start), the URL of a server, or whatever else
            ``mcp.Client`` takes.

    Attributes:
        tools: One tool of the SDK for each tool of the servers.

    Raises:
        ClaudeNbError: The ``mcp`` package is missing, or a server cannot be reached.

    Example:
        >>> from mcp import StdioServerParameters
        >>> server = StdioServerParameters(command="python", args=["my_server.py"])
        >>> with McpTools(server) as tools:
        ...     chat = Chat(tools=tools)
        ...     chat.send("What does the server know of Ada?")
    """

    def __init__(self, *servers: Any) -> None:
        try:
            from mcp import Client
        except ImportError as error:
            raise ClaudeNbError(
                'MCP servers need the SDK\'s extra, with mcp 2 or newer: pip install "claude_nb[mcp]".'
            ) from error
        from anyio.from_thread import start_blocking_portal

        self.tools: list[Any] = []
        self._open = ExitStack()
        self._portal = self._open.enter_context(start_blocking_portal(name="claude_nb mcp"))
        for server in servers:
            try:
                client = self._open.enter_context(self._portal.wrap_async_context_manager(Client(server)))
                self.tools += self._portal.call(self._tools_of, client)
            except Exception as error:
                self.close()
                raise ClaudeNbError(
                    f"the MCP server {_named(server)} cannot be used: {_cause(error)}"
                ) from error

    def close(self) -> None:
        """End the sessions, and the servers that were started. Their tools answer with an error from then on."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tools)

    def __len__(self) -> int:
        return len(self.tools)

    def __repr__(self) -> str:
        return f"McpTools({', '.join(tool.name for tool in self.tools)})"

    async def _tools_of(self, client: Any) -> list[Any]:
        from anthropic.lib.tools.mcp import async_mcp_tool

        found, cursor = [], None
        while True:
            page = await client.list_tools(cursor=cursor)
            found += [self._in_thread(async_mcp_tool(tool, client)) for tool in page.tools]
            cursor = page.next_cursor
            if not cursor:
                return found

    def _in_thread(self, made: Any) -> Any:
        """The same tool, to be called in any thread."""
        import anthropic

        told = made.to_dict()
        function: Callable[..., Any] = partial(_call, self._portal, made)
        return anthropic.beta_tool(
            lambda **given: function(given),
            name=told["name"],
            description=told.get("description"),
            input_schema=told["input_schema"],
        )


def _call(portal: Any, made: Any, given: dict[str, Any]) -> Any:
    return portal.call(made.call, given)


def _named(server: Any) -> str:
    """The server's program, address or kind; never its environment, which may hold secrets."""
    if isinstance(server, str):
        return without_secrets(server) or server
    return str(getattr(server, "command", type(server).__name__))


def _cause(error: BaseException) -> str:
    """The first error in a group of them, in one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(f"{type(error).__name__}: {error}".split())
