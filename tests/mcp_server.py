"""An MCP server over standard input and output, for tests."""

from mcp.server.mcpserver import Image, MCPServer

server = MCPServer("numbers")
PIXEL = b"\x89PNG\r\n\x1a\n"


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def fail(why: str) -> str:
    """Fail."""
    raise ValueError(why)


@server.tool()
def picture() -> Image:
    """Give a picture."""
    return Image(data=PIXEL, format="png")


if __name__ == "__main__":
    server.run()
