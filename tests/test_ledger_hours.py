"""What is billed by the hour: marked where no reply tells it, taken from the API where it does, in every total."""

import anthropic
import pytest
from ledger_server import REQUEST, Reply, delta, event, message, serving, start, text

from claude_nb.ledger import Ledger

CODE = {"type": "code_execution_20260120", "name": "code_execution"}
CONTAINER = {"id": "container_1", "expires_at": "2026-11-22T12:00:00Z"}


@pytest.fixture
def ledger():
    return Ledger(":memory:")


def client(server, ledger):
    return ledger.meter(anthropic.Anthropic(api_key="test", base_url=server.url, max_retries=0))


def test_a_call_that_ran_code_says_that_its_container_time_is_not_in_the_amount(ledger):
    with serving(Reply(message(container=CONTAINER)), Reply(message())) as server:
        for _ in range(2):
            client(server, ledger).messages.create(**REQUEST, tools=[CODE])
    assert str(ledger.total()) == "$0.000022 (1 call with container time not priced)"
    assert list(ledger.by("model")["partly_priced"]) == [1]
    assert list(ledger.frame()["unpriced_tools"].fillna("")) == ["code_execution", ""]
    assert "1 without container time" in str(ledger.live())


def test_a_streamed_call_is_marked_too_and_one_broken_off_may_have_run(ledger):
    chunks = [start(), *text("Hello"), delta(container=CONTAINER), event("message_stop")]
    with serving(Reply(chunks=chunks)) as server:
        list(client(server, ledger).messages.create(**REQUEST, tools=[CODE], stream=True))
        stream = client(server, ledger).messages.create(**REQUEST, tools=[CODE], stream=True)
        next(iter(stream))
        stream.close()
    assert list(ledger.frame()["unpriced_tools"]) == ["code_execution"] * 2


@pytest.mark.parametrize(
    ("tool", "partly"), [("web_search_20260209", 0), ("web_fetch_20260318", 0), ("web_search_20250305", 1)]
)
def test_code_execution_is_free_beside_the_newer_web_tools(ledger, tool, partly):
    with serving(Reply(message(container=CONTAINER))) as server:
        tools = [CODE, {"type": tool, "name": tool[:-9]}]
        client(server, ledger).messages.create(**REQUEST, tools=tools)
    assert ledger.total().partly_priced == partly


def test_a_container_that_is_used_again_is_marked_without_the_tool(ledger):
    with serving(Reply(message(container=CONTAINER))) as server:
        client(server, ledger).beta.messages.create(**REQUEST, container="container_1")
    assert ledger.total().partly_priced == 1


# ---- sessions of managed agents


def session(cents=None, output=0):
    """A session as the API tells it."""
    usage = {"input_tokens": 1_000, "output_tokens": output, "active_seconds": 90.0}
    usage |= {"cache_creation": {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 0}}
    if cents is not None:
        usage["list_cost"] = {"amount": cents, "currency": "USD"}
    agent = {"id": "agent_1", "model": {"id": "claude-opus-5-5"}}
    return {"id": "sesn_1", "type": "session", "agent": agent, "usage": usage, "status": "idle"}


def test_a_session_is_one_row_with_the_apis_own_cost_however_often_it_is_looked_at(ledger):
    with serving(Reply(session()), Reply(session("12", 500)), Reply(session("34", 900))) as server:
        sessions = client(server, ledger).beta.sessions
        sessions.create(agent="agent_1", environment_id="env_1")
        meter = ledger.live()
        assert str(ledger.total()) == "$0.00 (1 call unpriced)"
        sessions.retrieve("sesn_1")
        sessions.retrieve("sesn_1")
    total = ledger.total()
    assert (str(total), total.calls, total.tokens["output_tokens"]) == ("$0.34", 1, 900)
    assert list(ledger.by("op").index) == ["session"]
    assert list(ledger.by("model").index) == ["claude-opus-5-5"]
    assert meter.total() == total
    assert ledger.reprice() == 0


def test_a_sessions_stream_of_events_tells_its_usage(ledger):
    usage = session("56", 70)["usage"]
    chunks = [event("session.status_running", id="e1"), event("session.usage", id="e2", usage=usage)]
    with serving(Reply(session()), Reply(chunks=chunks)) as server:
        sessions = client(server, ledger).beta.sessions
        sessions.create(agent="agent_1", environment_id="env_1")
        with sessions.events.stream("sesn_1") as stream:
            assert len(list(stream)) == 2
    assert str(ledger.total()) == "$0.56"


def test_a_list_of_sessions_and_a_failed_request_leave_no_row(ledger):
    problem = {"type": "error", "error": {"type": "not_found_error", "message": "no"}}
    with serving(Reply({"data": [session("1")], "next_page": None}), Reply(problem, status=404)) as server:
        sessions = client(server, ledger).beta.sessions
        list(sessions.list())
        with pytest.raises(anthropic.NotFoundError):
            sessions.retrieve("sesn_1")
    assert len(ledger.frame()) == 0
    assert ledger.health().ok
