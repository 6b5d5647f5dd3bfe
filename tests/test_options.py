import pytest

from claude_nb import (
    Chat,
    Ledger,
    Sandbox,
    acompare,
    aextract_many,
    compare,
    connect,
    connect_async,
    extract_many,
    trim,
)
from claude_nb.errors import ClaudeNbError, PromptError
from claude_nb.lab import asystem_effect, system_effect


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("max_token", r"Chat.send\(\) has no argument max_token=. Did you mean max_tokens=\?"),
        ("on_truncated", r"Did you mean on_truncation=\?"),
        ("thinking_", r"Did you mean thinking=\?"),
        (
            "max_turns",
            r"send\(\) has no .* Set max_turns beforehand: Chat\(..., max_turns=…\), or chat.max_turns = …",
        ),
        ("max_turnss", r"send\(\) has no argument max_turnss=. Set max_turns beforehand: Chat\("),
        ("stream", r"Chat.send\(\) sets stream= itself"),
        ("temperature", r"help\(client.messages.create\).*extra_body=\{'temperature': …\}"),
        ("mcp_servers", r"argument of the beta API. Name the beta with it: betas="),
    ],
)
def test_an_argument_that_nobody_knows_is_refused_before_anything_is_sent_or_kept(run, name, says):
    sandbox, ledger = Sandbox(), Ledger(":memory:")
    chat = Chat(connect(sandbox=sandbox, ledger=ledger, quiet=True), display=False)
    with pytest.raises(PromptError, match=says):
        chat.send("hi", **{name: 5})
    with pytest.raises(PromptError, match=says.replace("send", "extract")):
        chat.extract("hi", int, **{name: 5})
    chat = Chat(connect_async(sandbox=sandbox, ledger=ledger, quiet=True), display=False)
    with pytest.raises(PromptError, match=says):
        run(chat.asend("hi", **{name: 5}))
    assert not sandbox.requests
    assert len(chat.history) == len(ledger.frame()) == 0


def test_tables_comparisons_and_experiments_refuse_it_too(run):
    sandbox = Sandbox()
    client = connect(sandbox=sandbox, quiet=True)
    slip = {"max_token": 5}
    with pytest.raises(PromptError, match=r"^compare\(\) has no argument max_token="):
        compare("hi", systems=["a"], client=client, **slip)
    with pytest.raises(PromptError, match=r"^extract_many\(\) has no"):
        extract_many(["hi"], int, client=client, **slip)
    with pytest.raises(PromptError, match=r"^system_effect\(\) has no"):
        system_effect("hi", [None], client=client, **slip)
    for name in ("stream", "messages"):
        for batch in (False, True):
            with pytest.raises(PromptError, match=rf"^extract_many\(\) sets {name}= itself. Leave it out"):
                extract_many(["hi"], int, client=client, batch=batch, **{name: True})
        with pytest.raises(PromptError, match=rf"^compare\(\) sets {name}= itself"):
            compare("hi", systems=["a"], client=client, **{name: True})
    for call in (
        acompare("hi", systems=["a"], **slip),
        aextract_many(["hi"], int, **slip),
        asystem_effect("hi", [None], **slip),
    ):
        with pytest.raises(PromptError, match=r"Did you mean max_tokens=\?"):
            run(call)
    assert not sandbox.requests


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("budgt", r"^connect\(\) has no argument budgt=. Did you mean budget=\?"),
        ("max_retry", r"Did you mean max_retries=\?"),
        ("colour", r"help\(anthropic.Anthropic\) lists"),
    ],
)
def test_so_is_an_argument_of_a_client(capsys, name, says):
    for make in (connect, connect_async):
        with pytest.raises(ClaudeNbError, match=says):
            make(**{name: 5})
    assert capsys.readouterr().out == ""


def test_an_extraction_takes_the_further_arguments_of_a_message():
    chat = Chat(connect(sandbox=Sandbox(), quiet=True), display=False)
    assert isinstance(chat.extract("hi", int, max_tokens=500, fallback="claude-haiku-5-5", timeout=9), int)


def test_fields_that_only_a_server_knows_and_beta_features_are_let_through():
    sandbox = Sandbox()
    chat = Chat(connect(sandbox=sandbox, quiet=True), display=False)
    chat.send("hi", extra_headers={"x": "y"}, timeout=5, thinking={"type": "disabled"})
    chat.send("hi", betas=["mcp-client-2025-11-20"], mcp_servers=[])
    assert [len(body.get("mcp_servers", "none")) for body in sandbox.requests] == [4, 0]


def test_the_betas_of_the_chats_trim_count_as_named():
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    sandbox = Sandbox()
    chat = Chat(connect(sandbox=sandbox, quiet=True), trim=trim.server_compaction(100_000), display=False)
    chat.send("hi", context_management=edits)
    chat.send("hi", mcp_servers=[])
    assert sandbox.requests[0]["context_management"] == edits
    assert sandbox.requests[1]["mcp_servers"] == []
    chat.trim = None
    with pytest.raises(PromptError, match="Name the beta"):
        chat.send("hi", context_management=edits)
    assert (len(sandbox.requests), len(chat.history)) == (2, 4)
