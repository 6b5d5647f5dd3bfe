"""Any list of messages, however malformed: what is made of it is accepted, and says what was changed."""

import anthropic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claude_nb import History, Sandbox
from claude_nb.errors import HistoryError

SEALED = {"type": "thinking", "thinking": "", "signature": "E" + "A" * 99}
IDS = st.sampled_from(["toolu_1", "toolu_2", "srvtoolu_1"])
BLOCKS = st.one_of(
    st.sampled_from(["", " ", "words"]).map(lambda text: {"type": "text", "text": text}),
    st.just(SEALED),
    st.just({"type": "thinking", "thinking": "hm"}),
    IDS.map(lambda key: {"type": "tool_use", "id": key, "name": "add", "input": {}}),
    IDS.map(lambda key: {"type": "tool_result", "tool_use_id": key, "content": "2"}),
    IDS.map(lambda key: {"type": "server_tool_use", "id": key, "name": "web_search", "input": {}}),
    IDS.map(lambda key: {"type": "web_search_tool_result", "tool_use_id": key, "content": []}),
    st.sampled_from([None, 3, "words", {}, {"type": "txet"}, {"type": "image", "source": {"type": "url"}}]),
)
CONTENTS = st.lists(BLOCKS, max_size=4) | st.sampled_from(["", " ", "words", None, 7])
ROLES = st.sampled_from(["user", "assistant", "user", "assistant", "system", "tool", None])
WILD = st.lists(
    st.fixed_dictionaries({"role": ROLES, "content": CONTENTS}) | st.sampled_from([None, "words", {}]),
    max_size=8,
)
WORDS = {"type": "text", "text": "words"}


def call(key: str) -> dict:
    return {"type": "tool_use", "id": key, "name": "add", "input": {}}


def search(key: str) -> dict:
    return {"type": "server_tool_use", "id": key, "name": "web_search", "input": {}}


TURNS = st.sampled_from(
    [
        [("user", [WORDS]), ("assistant", [SEALED, WORDS])],
        [("user", [WORDS]), ("assistant", [call("toolu_1")]), ("user", ["toolu_1"]), ("assistant", [WORDS])],
        [
            ("user", [WORDS]),
            ("assistant", [call("toolu_2"), call("toolu_3")]),
            ("user", ["toolu_3", "toolu_2", WORDS]),
        ],
        [("user", [WORDS]), ("assistant", [search("srvtoolu_1"), WORDS])],
        [("user", [WORDS]), ("assistant", [search("srvtoolu_2"), call("toolu_4")]), ("user", ["toolu_4"])],
        [
            ("user", [WORDS]),
            ("assistant", [search("srvtoolu_3"), call("toolu_5")]),
            ("user", ["toolu_5", WORDS]),
        ],
        [("user", ["toolu_2", WORDS])],
        [("assistant", [WORDS])],
    ]
)


def as_messages(turns: list, lost: int) -> list[dict]:
    """Turns as messages, one of which is lost."""
    results = lambda block: {"type": "tool_result", "tool_use_id": block} if isinstance(block, str) else block  # noqa: E731 - one line of test data
    flat = [
        {"role": role, "content": [results(one) for one in blocks]} for turn in turns for role, blocks in turn
    ]
    return [message for at, message in enumerate(flat) if at != lost]


LIKELY = st.builds(as_messages, st.lists(TURNS, min_size=1, max_size=4), st.integers(0, 30))
MESSAGES = LIKELY | WILD


@pytest.fixture(scope="module")
def client():
    http_client = anthropic.DefaultHttpxClient(transport=Sandbox())
    return anthropic.Anthropic(api_key="sandbox", max_retries=0, http_client=http_client)


def is_accepted(client: anthropic.Anthropic, **request) -> bool:
    tools = [{"name": "add", "input_schema": {"type": "object"}}]
    client.messages.count_tokens(model="claude-haiku-5-5", tools=tools, **request)
    return True


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages=MESSAGES)
def test_a_repaired_list_is_accepted(client, messages):
    history = History.repair(messages).history
    history.skip_tools()
    last = history.entries[-1:]
    if not last or (last[0].role == "assistant" and last[0].stop_reason != "pause_turn"):
        history.user("go on")
    assert is_accepted(client, **history.request())
    assert History.from_dict(history.to_dict()).to_dict() == history.to_dict()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages=MESSAGES)
def test_a_list_is_imported_only_if_the_api_would_take_it_as_it_is(client, messages):
    try:
        history = History.from_messages(messages)
    except HistoryError as error:
        assert "History.repair" in str(error)  # noqa: PT017 - either outcome is fine, this one must offer a way out
        return
    if not history.waiting() and history.entries[-1].role == "user":
        assert is_accepted(client, messages=messages)


def test_repairing_a_repaired_list_changes_nothing():
    broken = [
        {"role": "user", "content": "sum"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}]},
        {"role": "user", "content": "well?"},
    ]
    repaired = History.repair(broken)
    assert len(repaired.changes) == 1
    assert not History.repair(repaired.history.request()["messages"]).changes
