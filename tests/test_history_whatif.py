"""What other policies would have cost: exact for what was done, an estimate that says so for the rest."""

import anthropic
import pytest
from test_history import message, talk, text

from claude_nb import History, Ledger, Sandbox
from claude_nb.errors import HistoryError
from claude_nb.trim import (
    drop_tool_results,
    keep_last,
    keep_tokens,
    server_clearing,
    server_compaction,
    summarize,
)

NAMES = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"]
TOOLS = [{"name": "look", "input_schema": {"type": "object"}}]


class Talker:
    """Somebody who talks to the sandbox through a ledger."""

    def __init__(self, folder, *, trim=None, caching=True):
        self.ledger = Ledger(f"sqlite:///{folder}/ledger.db")
        self.calls = iter(range(999))
        sandbox = Sandbox(replies=self.answer)
        client = anthropic.Anthropic(
            api_key="sandbox", http_client=anthropic.DefaultHttpxClient(transport=sandbox), max_retries=0
        )
        self.client = self.ledger.meter(client)
        self.options = {"cache_control": {"type": "ephemeral"}} if caching else {}
        self.history = History(system="Be thorough. " * 80, tools=TOOLS, trim=trim(self) if trim else None)

    def answer(self, body):
        last = body["messages"][-1]["content"]
        if isinstance(last, str):  # the summary is asked for
            return {"content": [text("They talked.")]}
        if any(block["type"] == "tool_result" for block in last) or "look" not in last[-1].get("text", ""):
            return {"content": [{"type": "thinking"}, text("So it is. " * 30)]}
        call = {"type": "tool_use", "id": f"toolu_{next(self.calls)}", "name": "look", "input": {}}
        return {"content": [{"type": "thinking"}, call]}

    def say(self, words):
        self.history.user(words)
        self.ask()
        if waiting := self.history.waiting():
            self.history.results(dict.fromkeys(waiting, "what it holds " * 60))
            self.ask()

    def ask(self):
        request = self.history.request(model="claude-haiku-5-5")
        reply = self.client.messages.create(
            model="claude-haiku-5-5", max_tokens=3_000, **request, **self.options
        )
        self.history.reply(reply)

    def billed(self):
        """The ledger's tokens, and its USD as if it were live."""
        frame = self.ledger.frame()
        written = (
            frame["cache_creation_input_tokens"]
            if "cache_creation_input_tokens" in frame
            else (frame["ephemeral_5m_input_tokens"].fillna(0) + frame["ephemeral_1h_input_tokens"].fillna(0))
        )
        return [
            int(frame["input_tokens"].sum()),
            int(written.sum()),
            int(frame["cache_read_input_tokens"].sum()),
            int(frame["output_tokens"].sum()),
        ]


POLICIES = {
    "everything": None,
    "keep_last": lambda _: keep_last(2, step=2),
    "keep_tokens": lambda _: keep_tokens(3_000, to=1_500),
    "drop_tool_results": lambda _: drop_tool_results(1, keep=0, at_least=100),
    "summarize": lambda talker: summarize(talker.client, model="claude-haiku-5-5", when=3_500, keep=2),
}


@pytest.mark.parametrize("caching", [True, False], ids=["cached", "uncached"])
@pytest.mark.parametrize("name", POLICIES)
def test_the_policy_that_was_used_costs_what_the_ledger_says_to_the_token(tmp_path, name, caching, capsys):
    """With tools, a prompt that was taken back and said differently, and another branch."""
    talker = Talker(tmp_path, trim=POLICIES[name], caching=caching)
    for words in ["look at one", "two", "look at three", "four"]:
        talker.say(words * 20)
    talker.history.undo()
    for words in ["vier", "look at five", "six", "look at seven"]:
        talker.say(words * 20)
    frame = talker.history.what_if([talker.history.trim])
    row = frame[frame["caching"] == caching].iloc[0]
    assert [int(row[name]) for name in NAMES] == talker.billed()
    assert not row["estimated"]
    assert row["note"] == ""
    assert row["requests"] == len(talker.ledger.frame())


def test_a_conversation_that_was_summarised_is_replayed_as_if_it_had_not_been(tmp_path, capsys):
    talker = Talker(tmp_path, trim=POLICIES["summarize"])
    for number in range(8):
        talker.say(f"look at {number} " * 20)
    frame = talker.history.what_if([None, talker.history.trim])
    whole, summarised = frame[~frame["caching"]].to_dict("records")
    assert whole["requests"] == 16
    assert summarised["requests"] > 16  # with the calls that summarised
    assert whole["tokens_per_turn"] > summarised["tokens_per_turn"]
    assert whole["estimated"]


def test_a_summary_that_was_never_written_is_assumed_and_said():
    history = History()
    for number in range(12):
        history.user("x" * 2_500)
        usage = {"input_tokens": 1_000 * (number + 1), "output_tokens": 10}
        history.reply(message(text("ok"), usage=usage))
    client = anthropic.Anthropic(api_key="sandbox")
    policies = [summarize(client, model="claude-haiku-5-5", when=8_000, keep=2), server_compaction(50_000)]
    first, never = history.what_if(policies).to_dict("records")[::2]
    assert "turn 9: no summary was written there, one of 1,000 tokens is assumed" in first["note"]
    assert first["estimated"]
    assert never["note"] == ""


def test_what_the_api_clears_is_an_estimate_and_said(tmp_path):
    talker = Talker(tmp_path)
    for number in range(4):
        talker.say(f"look at {number} " * 20)
    everything, cleared = talker.history.what_if([None, server_clearing(1_500, keep=1)]).to_dict("records")[
        1::2
    ]
    assert cleared["input_tokens"] < everything["input_tokens"]
    assert "what the API would clear there is an estimate" in cleared["note"]


def test_a_request_that_the_api_edited_is_as_measured_only_under_such_a_policy():
    history = talk("one", message(text("1")), "two")
    edits = [{"type": "clear_tool_uses_20250919", "cleared_input_tokens": 50, "cleared_tool_uses": 1}]
    history.reply({**message(text("2")).to_dict(), "context_management": {"applied_edits": edits}})
    without, under = history.what_if([None, server_clearing()]).to_dict("records")[1::2]
    assert "turn 2: the API had edited its prompt" in without["note"]
    assert (without["estimated"], under["estimated"]) == (True, False)


def test_another_model_is_asked_in_its_own_tokens_at_its_own_price(tmp_path):
    talker = Talker(tmp_path)
    talker.say("one " * 300)
    own, other = (talker.history.what_if([None], model=model).iloc[1] for model in (None, "claude-haiku-4-5"))
    assert other["input_tokens"] < own["input_tokens"]  # the older tokenizer
    assert other["cost_usd"] > own["cost_usd"]
    assert other["estimated"]


@pytest.mark.parametrize("wrong", ["keep_last", keep_last(2), 3, ["x"]])
def test_what_is_no_list_of_policies_is_refused(wrong):
    with pytest.raises(HistoryError, match="policies"):
        talk("one").what_if(wrong)


def test_nothing_asked_is_nothing_spent():
    assert talk("one").what_if([None])["requests"].tolist() == [0, 0]
