import anthropic
import pytest
from replay import ASK

from claude_nb import Sandbox, connect, connect_async
from claude_nb.sandbox import faults
from claude_nb.waiting import listening


def told(*strikes, max_retries: int = 2, stream: bool = False) -> list[str]:
    """What a listener hears of one call."""
    heard: list[str] = []
    client = connect(sandbox=Sandbox(faults=strikes), quiet=True, ledger=False, max_retries=max_retries)
    with listening(lambda state: heard.append(f"{state['phase']}: {state['text']}")):
        try:
            if stream:
                with client.messages.stream(**ASK) as opened:
                    opened.until_done()
            else:
                client.messages.create(**ASK)
        except anthropic.APIError:
            heard.append("raised")
    return heard


def test_a_call_that_works_connects_and_waits():
    assert told() == ["connecting: Connecting", "waiting: Waiting for the first token"]
    assert told(stream=True) == told()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (faults.overloaded(at=1), "overloaded"),
        (faults.rate_limit(at=1), "rate limit"),
        (faults.server_error(at=1), "HTTP 500"),
    ],
)
def test_a_retry_is_told_with_its_cause(fault, words):
    heard = told(fault)
    assert heard[1].startswith(f"retrying: {words}: trying again ")
    assert heard[1].endswith("(try 2)")
    assert heard[2:] == ["connecting: Connecting, try 2", "waiting: Waiting for the first token"]


def test_a_lost_connection_is_told():
    assert told(faults.connection_refused(at=1))[1].startswith("retrying: no connection: trying again ")


def test_the_delay_the_server_asks_for_is_told():
    assert (
        told(faults.overloaded(at=1, retry_after=1))[1]
        == "retrying: overloaded: trying again in about 1 s (try 2)"
    )


def test_the_page_is_told_the_seconds_to_count_down():
    heard: list = []
    client = connect(sandbox=Sandbox(faults=[faults.overloaded(at=1, retry_after=1)]), quiet=True)
    with listening(heard.append):
        client.messages.create(**ASK)
    assert [state.get("seconds") for state in heard] == [None, 1.0, None, None]


def test_after_the_last_try_nothing_is_promised():
    assert told(faults.overloaded(), max_retries=1)[-2:] == ["connecting: Connecting, try 2", "raised"]
    assert told(faults.overloaded(), max_retries=0) == ["connecting: Connecting", "raised"]


def test_without_a_listener_nothing_happens():
    assert connect(mode="sandbox", quiet=True, ledger=False).messages.create(**ASK).content


def test_the_async_client_tells_too(run):
    heard: list[str] = []

    async def go():
        client = connect_async(sandbox=Sandbox(faults=[faults.overloaded(at=1)]), quiet=True, ledger=False)
        with listening(lambda state: heard.append(state["phase"])):
            await client.messages.create(**ASK)

    run(go())
    assert heard == ["connecting", "retrying", "connecting", "waiting"]
