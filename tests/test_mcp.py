"""Tools of a real MCP server, in a process of its own and in memory, in both chats."""

import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp_server import server
from test_tools import call, results

from claude_nb import Chat, Sandbox, connect, connect_async
from claude_nb.errors import ClaudeNbError, PromptError
from claude_nb.mcp import McpTools

CALLS = [call("add", a=1, b=2), call("add", a=5, b=2), call("fail", why="no luck"), call("picture")]
PROGRAM = StdioServerParameters(command=sys.executable, args=[str(Path(__file__).with_name("mcp_server.py"))])


@pytest.fixture(scope="module")
def tools():
    with McpTools(PROGRAM) as opened:
        yield opened


def chat_with(tools, make=connect) -> tuple[Chat, Sandbox]:
    sandbox = Sandbox(replies=[CALLS, "done"])
    return Chat(make(sandbox=sandbox, quiet=True), tools=tools, display=False), sandbox


def check(sandbox: Sandbox) -> None:
    one, two, failed, picture = sandbox.requests[-1]["messages"][-1]["content"]
    assert [one["content"][0]["text"], two["content"][0]["text"]] == ["3", "7"]
    assert failed["is_error"]
    assert "fail" in str(failed["content"])
    assert picture["content"][0]["type"] == "image"


def test_the_model_is_told_of_the_servers_tools(tools):
    assert [tool.name for tool in tools] == ["add", "fail", "picture"]
    assert len(tools) == 3
    assert repr(tools) == "McpTools(add, fail, picture)"
    chat, _ = chat_with(tools)
    assert chat.history.tools[0]["description"] == "Add two numbers."
    assert chat.history.tools[0]["input_schema"]["required"] == ["a", "b"]


def test_a_sync_chat_calls_them_over_several_messages(tools):
    for _ in range(2):
        chat, sandbox = chat_with(tools)
        assert chat.send("go").stop_reason == "end_turn"
        check(sandbox)


def test_an_async_chat_calls_them_too(tools, run):
    chat, sandbox = chat_with(tools, connect_async)
    run(chat.asend("go"))
    check(sandbox)


@pytest.mark.parametrize("kind", ["async_mcp_tool", "mcp_tool"])
def test_an_async_chat_takes_the_sdks_tools_of_a_session_as_they_are(kind):
    from anthropic.lib.tools import mcp

    async def talk():
        async with Client(server) as session:
            listed = (await session.list_tools()).tools
            chat, sandbox = chat_with([getattr(mcp, kind)(tool, session) for tool in listed], connect_async)
            await chat.asend("go")
            check(sandbox)

    anyio.run(talk)


def test_after_close_a_call_is_an_error_for_the_model():
    with McpTools(server) as opened:
        chat, sandbox = chat_with(opened)
    chat.send("go")
    assert all(result["error"] for result in results(sandbox))


def test_two_servers_with_a_tool_of_the_same_name_are_refused():
    with McpTools(server, server) as opened, pytest.raises(PromptError, match="two tools are called 'add'"):
        Chat(tools=opened)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (StdioServerParameters(command="no-such-program", env={"TOKEN": "hunter2"}), "no-such-program"),
        ("http://bob:hunter2@127.0.0.1:9/mcp", "http://127.0.0.1:9/mcp"),
        (3, "int"),
    ],
)
def test_a_server_that_cannot_be_used_is_named_without_its_secrets(wrong, named):
    with pytest.raises(ClaudeNbError) as caught:
        McpTools(wrong)
    assert f"the MCP server {named} cannot be used" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ClaudeNbError, match=r"claude_nb\[mcp\]"):
        McpTools(PROGRAM)
