import os
import subprocess
import sys
from pathlib import Path

import anthropic
import httpx2
import pytest
from replay import ASK

from claude_nb import Budget, Ledger, Sandbox, connect, connect_async
from claude_nb.errors import ClaudeNbError, CredentialError
from claude_nb.ledger import BudgetExceeded


class Capture(httpx2.BaseTransport):
    """Keeps the requests and refuses them."""

    def __init__(self) -> None:
        self.requests = []

    def handle_request(self, request):
        self.requests.append(request)
        return httpx2.Response(400, json={"type": "error", "error": {"type": "invalid_request_error"}})


def sent(client_options) -> httpx2.Request:
    capture = Capture()
    client = connect(
        **client_options, quiet=True, http_client=anthropic.DefaultHttpxClient(transport=capture)
    )
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**ASK)
    return capture.requests[0]


def test_without_a_key_it_is_the_sandbox_and_says_so_in_one_line(capsys):
    client = connect()
    assert type(client) is anthropic.Anthropic
    assert capsys.readouterr().out == (
        "claude_nb: sandbox. Replies are simulated offline; nothing is sent or billed.\n"
    )
    assert client.messages.create(**ASK).content


def test_with_a_key_it_is_live_and_never_shows_the_key(monkeypatch, capsys, key):
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    client = connect()
    out = capsys.readouterr().out
    assert out == "claude_nb: live, with the key from the environment. Calls are billed.\n"
    assert key not in repr(client)
    assert client.api_key == key


def test_the_key_from_dotenv_is_sent_and_not_put_into_the_environment(key):
    Path(".env").write_text(f"ANTHROPIC_API_KEY={key}\n")
    assert sent({}).headers["authorization"] == f"Bearer {key}"
    assert "ANTHROPIC_API_KEY" not in os.environ


def test_a_token_is_sent_as_a_token(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-of-a-gateway-0000000000000000")
    assert sent({}).headers["authorization"] == "Bearer token-of-a-gateway-0000000000000000"


def test_a_real_key_never_reaches_the_sandbox(monkeypatch, key):
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    client = connect(mode="sandbox", quiet=True)
    assert client.api_key == "sandbox"
    assert key not in str(client.auth_headers)


@pytest.mark.parametrize("options", [{"api_key": "sandbox"}, {"sandbox": Sandbox()}, {"mode": "sandbox"}])
def test_the_sandbox_can_be_asked_for(monkeypatch, key, options):
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    reply = connect(**options, quiet=True).messages.create(**ASK)
    assert "sandbox" in reply.content[-1].text


def test_the_environment_can_choose_the_mode(monkeypatch, key):
    monkeypatch.setenv("CLAUDE_NB_MODE", "sandbox")
    assert connect(api_key=key, quiet=True).api_key == "sandbox"
    assert connect(api_key=key, mode="live", quiet=True).api_key == key


def test_live_without_a_key_says_what_to_type():
    with pytest.raises(CredentialError, match=r"ANTHROPIC_API_KEY=<your key> into a file named \.env"):
        connect(mode="live")


def test_a_wrong_mode_and_a_live_sandbox_are_refused(monkeypatch):
    with pytest.raises(ClaudeNbError, match="'auto', 'live' or 'sandbox'"):
        connect(mode="offline")
    monkeypatch.setenv("CLAUDE_NB_MODE", "lve")
    with pytest.raises(ClaudeNbError, match="'lve' in the environment variable CLAUDE_NB_MODE"):
        connect()
    with pytest.raises(ClaudeNbError, match="exclude each other"):
        connect(mode="live", sandbox=Sandbox())


@pytest.mark.parametrize(
    "base_url", ["http://localhost:8080", "http://localhost:8080/v1", "http://localhost:8080/v1/"]
)
def test_another_server_is_named_and_a_doubled_v1_is_mended(base_url, capsys):
    client = connect(api_key="local", base_url=base_url)
    assert str(client.base_url).rstrip("/") == "http://localhost:8080"
    assert capsys.readouterr().out.startswith("claude_nb: live at http://localhost:8080, with the key from")


def test_a_sandbox_ignores_another_server(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    assert connect(mode="sandbox", quiet=True).messages.create(**ASK).content


def test_options_of_the_sdk_are_passed_on():
    client = connect(mode="sandbox", quiet=True, timeout=7, max_retries=5)
    assert (client.timeout, client.max_retries) == (7, 5)


def test_calls_are_recorded_in_the_ledger_that_was_asked_for(tmp_path):
    connect(quiet=True).messages.create(**ASK)
    assert len(Ledger().frame()) == 1
    connect(quiet=True, ledger=f"sqlite:///{tmp_path}/own.db").messages.create(**ASK)
    assert len(Ledger(f"sqlite:///{tmp_path}/own.db").frame()) == 1
    connect(quiet=True, ledger=False).messages.create(**ASK)
    assert len(Ledger().frame()) == 1


def test_the_recorder_is_innermost_and_sees_what_the_users_middleware_did():
    ledger = Ledger(":memory:")

    def outer(request, call_next):
        call_next(request)
        return call_next(request)

    connect(mode="sandbox", quiet=True, ledger=ledger, middleware=[outer]).messages.create(**ASK)
    assert len(ledger.frame()) == 2


def test_a_budget_refuses_a_call_before_it_is_sent():
    sandbox = Sandbox()
    ledger = Ledger(":memory:")
    client = connect(sandbox=sandbox, quiet=True, ledger=ledger, budget=0.000001)
    with pytest.raises(BudgetExceeded):
        client.messages.create(**ASK)
    assert not sandbox.requests


def test_a_later_connect_replaces_the_amount_false_lifts_it_and_none_leaves_it():
    """A Chat without a client connects by itself: that must not lift a limit."""
    ledger = Ledger(":memory:")
    connect(mode="sandbox", quiet=True, ledger=ledger, budget=0.000001)
    connect(mode="sandbox", quiet=True, ledger=ledger, budget=1).messages.create(**ASK)
    connect(mode="sandbox", quiet=True, ledger=ledger, budget=0.000001)
    with pytest.raises(BudgetExceeded):
        connect(mode="sandbox", quiet=True, ledger=ledger).messages.create(**ASK)
    connect(mode="sandbox", quiet=True, ledger=ledger, budget=False).messages.create(**ASK)
    assert list(ledger.frame()["outcome"]) == ["ok", "budget_refused", "ok"]


def test_a_budget_of_ones_own_brings_its_ledger():
    ledger = Ledger(":memory:")
    with Budget(5, ledger=ledger) as budget:
        connect(mode="sandbox", quiet=True, budget=budget).messages.create(**ASK)
        assert len(ledger.frame()) == 1
        with pytest.raises(ClaudeNbError, match="another ledger"):
            connect(budget=budget, ledger=Ledger(":memory:"), quiet=True)
    with pytest.raises(ClaudeNbError, match="needs a ledger"):
        connect(budget=1, ledger=False, quiet=True)


def test_live_exchanges_can_be_recorded_and_replayed(tmp_path, key, monkeypatch):
    tape = tmp_path / "talk.jsonl"
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    body |= {"stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}}
    live = httpx2.MockTransport(lambda request: httpx2.Response(200, json=body))
    monkeypatch.setattr("httpx2.HTTPTransport", lambda *args, **options: live)
    connect(api_key=key, record=tape, quiet=True).messages.create(**ASK)
    assert key not in tape.read_text()
    replayed = connect(sandbox=Sandbox(tape=tape), quiet=True).messages.create(**ASK)
    assert replayed.id == "msg_1"


def test_a_sandbox_of_ones_own_is_used_also_where_the_environment_says_live(monkeypatch):
    monkeypatch.setenv("CLAUDE_NB_MODE", "live")
    client = connect(sandbox=Sandbox(), quiet=True)
    assert client.messages.create(**ASK).content[-1].text.startswith("This reply comes from the **sandbox**")


def test_a_tape_replays_without_a_key_and_never_to_a_live_client(tmp_path, key):
    tape = tmp_path / "talk.jsonl"
    tape.write_text(
        '{"tape": 1, "made": "by hand", "about": "a test"}\n{"prompt": "hi", "reply": "from the tape"}\n'
    )
    assert connect(tape=tape, quiet=True).messages.create(**ASK).content[-1].text == "from the tape"
    assert connect(api_key=key, tape=tape, quiet=True).api_key == key
    with pytest.raises(ClaudeNbError, match="exclude each other"):
        connect(tape=tape, sandbox=Sandbox(), quiet=True)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("talk.jsonl", r"not str\. Did you mean connect\(tape='talk\.jsonl'\)"),
        (Path("talk.jsonl"), r"Did you mean connect\(tape='talk\.jsonl'\)"),
        (True, r"not bool\. Did you mean connect\(mode='sandbox'\)"),
        (False, r"not bool\."),
        (Sandbox, r"takes a Sandbox\(\.\.\.\), not type"),
    ],
)
def test_what_is_no_sandbox_is_refused_before_a_client_exists(given, says, capsys):
    for make in (connect, connect_async):
        with pytest.raises(ClaudeNbError, match=says):
            make(sandbox=given)
    assert capsys.readouterr().out == ""


def test_tapes_and_recordings_have_a_path(key):
    with pytest.raises(ClaudeNbError, match=r"tape= takes the path of a \.jsonl file, not Sandbox"):
        connect(tape=Sandbox())
    with pytest.raises(ClaudeNbError, match=r"record= takes the path of a \.jsonl file, not bool"):
        connect(api_key=key, record=True)


def test_the_sandbox_is_not_recorded_and_says_how_to_write_a_tape_by_hand(tmp_path):
    with pytest.raises(ClaudeNbError, match=r"needs a live client.*help\('claude_nb\.sandbox\.tape'\)"):
        connect(mode="sandbox", record=tmp_path / "talk.jsonl", quiet=True)


def test_the_async_client_works_alike(run):
    async def go():
        client = connect_async(quiet=True)
        assert type(client) is anthropic.AsyncAnthropic
        return await client.messages.create(**ASK)

    assert run(go()).content
    assert len(Ledger().frame()) == 1


@pytest.mark.parametrize("where", ["environment", "dotenv", "argument"])
def test_a_verbose_traceback_of_a_refused_key_does_not_hold_it(key, where):
    """IPython's most talkative traceback prints every frame's variables."""
    bad = f"{key[:40]} {key[40:]}"
    environment = {**os.environ, "BAD": bad}
    if where == "environment":
        environment["ANTHROPIC_API_KEY"] = bad
    if where == "dotenv":
        Path(".env").write_text(f'ANTHROPIC_API_KEY="{bad}"\n')
    argument = "api_key=os.environ.pop('BAD')" if where == "argument" else ""
    code = (
        "import os, sys; from IPython.core.ultratb import VerboseTB\n"
        "from claude_nb import connect\n"
        f"try: connect({argument})\n"
        "except Exception: print(VerboseTB(include_vars=True).text(*sys.exc_info()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert "CredentialError" in done.stdout
    for half in bad.split():
        assert half not in done.stdout + done.stderr
