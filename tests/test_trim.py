"""What policies leave out, when they cut, and what they say about it."""

import anthropic
import pytest

from claude_nb import History, Sandbox
from claude_nb.errors import HistoryError
from claude_nb.trim import (
    WHOLE,
    Cut,
    Item,
    Talk,
    break_even,
    drop_tool_results,
    keep_last,
    keep_tokens,
    server_clearing,
    server_compaction,
    summarize,
)

MODEL = "claude-haiku-5-5"
USAGE = {
    "input_tokens": 10,
    "output_tokens": 5,
    "cache_read_input_tokens": 900,
    "cache_creation_input_tokens": 90,
}


def conversation(turns: int, **settings) -> History:
    """Turns of about 400 tokens each, ending with a prompt."""
    history = History(**settings)
    for turn in range(turns):
        history.user(f"question {turn} " * 50)
        if turn < turns - 1:
            history.request()
            history.reply(reply(turn))
    return history


def step(number: int) -> dict:
    return {"type": "tool_use", "id": f"toolu_{number}", "name": "look", "input": {"at": number}}


def reply(turn: int, *, content=None, stop_reason="end_turn") -> dict:
    blocks = content or [{"type": "text", "text": f"answer {turn}"}]
    return {
        "role": "assistant",
        "content": blocks,
        "stop_reason": stop_reason,
        "model": MODEL,
        "usage": USAGE,
    }


def first_words(request: dict) -> list[str]:
    return [" ".join(message["content"][0]["text"].split()[:2]) for message in request["messages"]]


def talk(*turns: str, size: int = 100, cold: bool = False) -> Talk:
    """Turns as strings: ``p`` is a prompt, ``a`` a reply, ``r`` tool results, ``P`` a pinned prompt."""
    items = [
        Item(size, 10 if kind == "r" else size, kind in "pP", kind == "r", kind == "P")
        for kind in "".join(turns)
    ]
    return Talk(items, cold=cold)


class TestKeepLast:
    def test_it_waits_until_a_large_step_has_gathered_then_cuts_to_the_last_turns(self):
        policy = keep_last(2, step=3)
        assert policy.cut(talk(*["pa"] * 4, "p"), WHOLE) == WHOLE
        assert policy.cut(talk(*["pa"] * 5, "p"), WHOLE) == Cut(((0, 8),))

    def test_between_two_cuts_the_prefix_stays(self):
        history = conversation(1, trim=keep_last(2, step=3))
        starts = []
        for turn in range(12):
            starts.append(first_words(history.request())[0])
            history.reply(reply(turn))
            history.user(f"question {turn + 1} " * 50)
        assert sorted(set(starts), key=starts.index) == ["question 0", "question 4", "question 8"]

    def test_a_cold_cache_is_a_good_moment(self):
        policy = keep_last(2, step=10)
        assert policy.cut(talk(*["pa"] * 11, "p"), WHOLE) == WHOLE
        assert policy.cut(talk(*["pa"] * 11, "p", cold=True), WHOLE) == Cut(((0, 20),))

    def test_pinned_turns_stay(self):
        assert keep_last(1, step=0).cut(talk("pa", "Pa", "pa", "p"), WHOLE) == Cut(((0, 2), (4, 6)))

    def test_turns_are_cut_whole_with_their_tool_loops(self):
        assert keep_last(1, step=0).cut(talk("para", "para", "p"), WHOLE) == Cut(((0, 8),))


class TestKeepTokens:
    def test_it_cuts_to_half_when_the_limit_is_passed(self):
        policy = keep_tokens(1_000)
        assert policy.cut(talk(*["pa"] * 4, "p"), WHOLE) == WHOLE
        assert policy.cut(talk(*["pa"] * 5, "p"), WHOLE) == Cut(((0, 6),))

    def test_the_current_turn_is_sent_however_long(self):
        assert keep_tokens(50).cut(talk("pa", "p"), WHOLE) == Cut(((0, 2),))
        assert keep_tokens(50).cut(talk("p"), WHOLE) == WHOLE

    def test_estimates_follow_what_the_server_measured(self):
        usage = {"input_tokens": 5_000, "output_tokens": 1}
        history = History(trim=keep_tokens(6_000))
        history.user("word " * 2_000)
        history.reply({**reply(0), "usage": usage})
        history.user("x" * 10)
        history.request()
        assert history.report.tokens == pytest.approx(5_000, rel=0.02)


class TestDropToolResults:
    def test_old_results_lose_their_content_and_keep_their_calls(self):
        policy = drop_tool_results(1, keep=0, at_least=100)
        assert policy.cut(talk("para", "para", "p"), WHOLE) == Cut(cleared=(2, 6))

    def test_less_than_is_worth_a_rewrite_stays(self):
        assert drop_tool_results(1, keep=0, at_least=1_000).cut(talk("para", "para", "p"), WHOLE) == WHOLE

    def test_the_newest_and_the_pinned_stay(self):
        policy = drop_tool_results(1, keep=1, at_least=0)
        assert policy.cut(talk("para", "para", "p"), WHOLE) == Cut(cleared=(2,))

    def test_the_request_says_that_a_result_was_left_out(self):
        history = History(trim=drop_tool_results(1, keep=0, at_least=1))
        history.user("sum")
        history.reply(
            reply(
                0,
                content=[{"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}],
                stop_reason="tool_use",
            )
        )
        history.results({"toolu_1": "2" * 9_000})
        history.reply(reply(1))
        history.user("thanks")
        assert (
            history.request()["messages"][2]["content"][0]["content"] == "[Result left out to save tokens.]"
        )
        assert history.messages[2]["content"][0]["content"] == "2" * 9_000
        assert "1 tool results cleared" in str(history.report)


def test_policies_combine_in_order():
    history = conversation(6, trim=[drop_tool_results(), keep_last(2, step=0)])
    assert first_words(history.request())[0] == "question 4"


def test_nothing_is_removed_from_what_is_stored_and_a_request_without_policy_sends_all():
    history = conversation(6, trim=keep_last(1, step=0))
    assert len(history.request()["messages"]) == 1
    assert len(history) == 11
    assert len(history.request(trim=())["messages"]) == 11


def test_pins_are_sent_whatever_the_policy():
    history = conversation(6, trim=keep_last(1, step=0))
    history.pin(0)
    assert first_words(history.request()) == ["question 0", "answer 0", "question 5"]


class TestTheReport:
    def test_it_says_what_is_left_out_saved_rewritten_and_when_that_pays(self):
        history = conversation(6)
        history.request(trim=keep_last(2, step=0))
        report = history.report
        assert (report.left_out, report.cleared) == (8, 0)
        assert report.saved == report.newly_saved > 500
        assert 0 < report.rewritten < report.saved
        assert report.break_even == break_even(report.newly_saved, report.rewritten, MODEL)
        assert "8 messages left out" in str(report)
        assert "pays after" in str(report)

    def test_with_a_cold_cache_it_pays_at_once(self):
        history = conversation(6)
        old = [dict(entry, at=1.0) for entry in history.to_dict()["entries"]]
        history = History.from_dict(history.to_dict() | {"entries": old})
        history.request(trim=keep_last(2, step=0))
        assert history.report.break_even == 0
        assert "pays at once" in str(history.report)

    @pytest.mark.parametrize(
        ("model", "turns"),
        [("claude-haiku-4-5", 12), ("claude-opus-5-5", 24), ("claude-fable-5-1", 49), ("unknown", None)],
    )
    def test_break_even_follows_the_price_of_a_cache_read(self, model, turns):
        """Suffix as long as what is saved: (write - read) / read, rounded up."""
        assert break_even(1_000, 1_000, model) == turns


class TestSummaries:
    def client(self, *replies):
        self.sandbox = Sandbox(replies=list(replies))
        return anthropic.Anthropic(
            api_key="sandbox", max_retries=0, http_client=anthropic.DefaultHttpxClient(transport=self.sandbox)
        )

    def test_old_turns_give_way_to_a_message_that_names_what_it_replaces(self):
        history = conversation(6)
        history.request(trim=summarize(self.client("They asked."), model=MODEL, when=500, keep=2))
        assert "question 3" in str(self.sandbox.requests[0]["messages"])
        assert history.messages[0]["content"][0]["text"] == (
            "[Summary of the first 8 messages, which are left out]\nThey asked."
        )
        assert len(history) == 4
        assert len(history.branches()) == 2

    def test_a_summary_can_be_edited_and_what_follows_stays(self):
        history = conversation(6)
        history.compact("They asked.", 8)
        history.edit(0, "They asked politely.")
        assert [entry.text.split()[0] for entry in history.entries] == [
            "They",
            "question",
            "answer",
            "question",
        ]

    def test_the_old_branch_has_everything(self):
        history = conversation(6)
        before = history.messages
        history.switch(history.compact("They asked.", 8))
        assert history.messages == before

    @pytest.mark.parametrize(
        "reply", [{"content": [], "stop_reason": "refusal"}, {"content": "x", "stop_reason": "max_tokens"}]
    )
    def test_without_a_summary_the_conversation_goes_on_whole(self, reply):
        history = conversation(6)
        before = history.messages
        with pytest.warns(UserWarning, match="goes on whole"):
            request = history.request(trim=summarize(self.client(reply), model=MODEL, when=500))
        assert request["messages"] == before

    def test_a_failed_call_is_no_reason_to_stop(self):
        history = conversation(6)
        with pytest.warns(UserWarning, match="the call failed"):
            history.request(trim=summarize(self.client(), model="claude-nothing", when=500))
        assert len(history) == 11


class TestServerSide:
    def test_the_api_gets_the_edits_and_their_betas(self):
        request = conversation(2).request(trim=[server_clearing(keep=2), server_compaction(60_000)])
        assert request["betas"] == ["context-management-2025-06-27", "compact-2026-01-12"]
        kinds = [edit["type"] for edit in request["context_management"]["edits"]]
        assert kinds == ["clear_tool_uses_20250919", "compact_20260112"]

    def test_the_beta_client_takes_such_a_request(self):
        client = TestSummaries().client("fine")
        request = conversation(2).request(trim=server_compaction(instructions="Keep names."))
        assert client.beta.messages.create(model=MODEL, max_tokens=99, **request).stop_reason == "end_turn"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: keep_last(0),
        lambda: keep_last(1, step=-1),
        lambda: keep_tokens(0),
        lambda: keep_tokens(10, to=20),
        lambda: drop_tool_results(-1),
        lambda: server_compaction(10),
        lambda: summarize(None, model="m", when=0),
        lambda: History(trim="keep_last"),
        lambda: conversation(1).request(trim=keep_last),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(HistoryError, match=r"takes|API refuses less"):
        wrong()


class TestLongLoops:
    """One turn with many tool calls, cut while it runs."""

    def loop(self, steps, trim, model="claude-haiku-5-5", limit=3_000):
        """A loop of so many steps in the sandbox; the largest prompt it sent, and the history."""
        sandbox = Sandbox(replies=lambda body: {"content": [{"type": "thinking"}, step(next(numbers))]})
        numbers = iter(range(steps + 1))
        client = anthropic.Anthropic(
            api_key="sandbox", http_client=anthropic.DefaultHttpxClient(transport=sandbox), max_retries=0
        )
        history = History(tools=[{"name": "look", "input_schema": {"type": "object"}}], trim=trim)
        history.user("Look everywhere.")
        sizes = []
        for _ in range(steps):
            reply = client.messages.create(model=model, max_tokens=2_000, **history.request())
            sizes.append(reply.usage.input_tokens)
            history.reply(reply)
            history.results({key: f"what {key} holds " * 20 for key in history.waiting()})
        return sizes, history

    @pytest.mark.parametrize("model", ["claude-haiku-5-5", "claude-opus-5"])
    def test_it_stays_under_the_limit_and_goes_on_in_words(self, model):
        sizes, history = self.loop(60, keep_tokens(4_000), model)
        assert max(sizes) < 4_400  # one step more than the limit, which is measured before
        assert max(self.loop(60, None, model)[0]) > 8_000
        first = history.request()["messages"][0]["content"]
        assert first[0]["text"] == "Look everywhere."
        assert first[1]["text"].startswith("[Your steps so far, in words")
        assert "earlier steps left out" in first[1]["text"]
        assert "look({" in first[1]["text"]
        assert "steps told in words" in str(history.report)

    def test_it_is_cut_rarely(self):
        """Between two cuts the prefix stays, so that the cache does."""
        _, history = self.loop(60, keep_tokens(4_000))
        assert len({entry.cut for entry in history.entries if entry.role == "assistant"}) < 10

    def test_results_are_dropped_within_it_where_no_turn_is_spared(self):
        sizes, history = self.loop(40, drop_tool_results(0, keep=2, at_least=1_500))
        assert max(sizes) < 0.7 * max(self.loop(40, drop_tool_results(1, keep=2, at_least=1_500))[0])
        assert "[Result left out to save tokens.]" in history.request()["messages"][0]["content"][1]["text"]

    def test_a_pinned_one_is_sent_as_it_is(self):
        _, history = self.loop(5, None)
        history.pin(0)
        assert history.request(trim=keep_tokens(500)) == history.request(trim=())

    def test_a_limit_that_the_prompt_alone_passes_does_not_cut_every_time(self):
        _, history = self.loop(30, keep_tokens(300))
        assert len({entry.cut for entry in history.entries if entry.role == "assistant"}) < 20

    def test_it_is_saved_as_it_was_sent(self, tmp_path):
        _, history = self.loop(60, keep_tokens(4_000))
        assert History.load(history.save(tmp_path / "talk.jsonl")).request() == history.request()
