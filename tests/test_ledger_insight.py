"""Why a conversation cost what it did: growth attributed exactly, planted leaks named, quiet ones left alone.

The conversations are generated, but they go through the SDK, the meter and a database like any other; a small
model of the API counts their tokens and keeps its prompt cache.
"""

import json
import random
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace

import anthropic
import httpx2
import pytest

from claude_nb import Chat, connect
from claude_nb.errors import LedgerError
from claude_nb.ledger import Ledger, label
from claude_nb.ledger.prompt import digest_prompt

MODEL = "claude-opus-5-5"
CHARS_PER_TOKEN = 3


class FakeApi:
    """Counts a token for three characters; caches the whole prompt for five minutes of its own clock."""

    def __init__(self, ledger, rng):
        self.rng, self.now, self.cached = rng, 0.0, (0.0, "")
        self.reply_chars, self.diagnostics = 300, None
        http = httpx2.Client(transport=httpx2.MockTransport(self.answer))
        self.client = ledger.meter(anthropic.Anthropic(api_key="test", http_client=http))
        self.ledger, self.system, self.tools, self.messages, self.times = (
            ledger,
            "You help. " * 80,
            None,
            [],
            [],
        )

    def answer(self, request):
        body = json.loads(request.content)
        prompt = json.dumps([body.get("tools"), body.get("system")]) + "".join(
            map(json.dumps, body["messages"])
        )
        total = len(prompt) // CHARS_PER_TOKEN
        written_at, old = self.cached
        read = (
            len(old) // CHARS_PER_TOKEN
            if self.now - written_at <= 300 and old and prompt.startswith(old)
            else 0
        )
        self.cached = (self.now, prompt)
        text = words(self.rng, self.reply_chars)
        usage = {
            "input_tokens": 3,
            "cache_creation_input_tokens": max(total - read - 3, 0),
            "cache_read_input_tokens": read,
            "output_tokens": len(json.dumps(text)) // CHARS_PER_TOKEN,
        }
        message = {"id": f"msg_{len(self.times)}", "type": "message", "role": "assistant", "model": MODEL}
        message |= {
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
        }
        return httpx2.Response(200, json={**message, "usage": usage, "diagnostics": self.diagnostics})

    def turn(self, *content, pause=40.0):
        """One user message and its reply."""
        self.now += pause
        self.messages.append({"role": "user", "content": list(content)})
        self.times.append(self.now)
        extra = {"tools": self.tools} if self.tools else {}
        with label(conversation="c", cell=str(len(self.times))):
            reply = self.client.messages.create(
                model=MODEL, max_tokens=999, system=self.system, messages=self.messages, **extra
            )
        self.messages.append({"role": "assistant", "content": [block.to_dict() for block in reply.content]})
        return reply

    def call_tool(self, name, result, given=None, **more):
        """The model calls a tool (put into its last reply), the next turn sends the result."""
        use = {
            "type": "tool_use",
            "id": f"toolu_{len(self.messages)}",
            "name": name,
            "input": {"n": len(self.messages)} if given is None else given,
        }
        self.messages[-1]["content"].append(use)
        return self.turn({"type": "tool_result", "tool_use_id": use["id"], "content": result}, **more)

    def leaks(self):
        """With the clock of the fake API instead of the wall's."""
        began = datetime(2026, 11, 22, tzinfo=UTC)
        with self.ledger._store.transaction() as connection:
            rows = connection.exec_driver_sql("SELECT id FROM claude_nb_attempts ORDER BY ts").scalars().all()
            for row, seconds in zip(rows, self.times, strict=True):
                stamp = (began + timedelta(seconds=seconds)).isoformat(timespec="microseconds")
                connection.exec_driver_sql("UPDATE claude_nb_attempts SET ts = ? WHERE id = ?", (stamp, row))
        return self.ledger.leaks("c")


def words(rng, chars):
    return " ".join(
        rng.choice(["token", "cache", "prompt", "reply", "cell", "cost"]) for _ in range(max(chars // 6, 1))
    )


def text(content):
    return {"type": "text", "text": content}


def ordinary_turn(api, rng):
    """What people do: ask something of any length, now and then use a tool."""
    api.reply_chars = int(rng.lognormvariate(6, 0.6))
    if api.messages and rng.random() < 0.3:
        api.call_tool(rng.choice(["search", "read_csv"]), words(rng, int(rng.lognormvariate(6.5, 0.7))))
    else:
        api.turn(text(words(rng, int(rng.lognormvariate(5.2, 0.8)))), pause=rng.uniform(5, 200))


@cache
def conversation(seed, plant=None):
    rng = random.Random(seed)  # noqa: S311 - the same conversations every time
    api = FakeApi(Ledger(":memory:"), rng)
    turns = rng.randint(8, 16)
    place = rng.randint(4, turns - 2)
    for number in range(turns):
        if plant is not None and number == place:
            plant(api, rng)
        ordinary_turn(api, rng)
    return api.leaks()


def spike(api, rng):
    api.call_tool("read_csv", words(rng, rng.randint(60_000, 200_000)))


def rerun(api, rng):
    question = text(words(rng, rng.randint(60, 400)))
    api.turn(question)
    if rng.random() < 0.5:
        ordinary_turn(api, rng)
    api.turn(question)


def resend(api, rng):
    document = text(words(rng, rng.randint(1_500, 3_000)))
    for _ in range(3):
        api.turn(document, text(words(rng, rng.randint(40, 200))))


def growing(api, rng):
    size = rng.randint(400, 900)
    for _ in range(6):
        api.call_tool("list_files", words(rng, size))
        size = int(size * rng.uniform(1.4, 1.7))


def idle(api, rng):
    api.turn(text(words(rng, 3_500)))
    api.turn(text(words(rng, 100)), pause=rng.uniform(400, 3_000))


def new_tools(api, rng):
    api.turn(text(words(rng, 3_500)))
    schema = {"type": "object", "properties": {}}
    api.tools = [{"name": "search", "description": words(rng, 200), "input_schema": schema}]
    api.turn(text(words(rng, 100)))


def endless(api, rng):
    for _ in range(18):
        api.call_tool("poll", words(rng, rng.randint(20, 60)), given={"job": 7})


PLANTS = {
    "spike": spike,
    "duplicate": rerun,
    "resent_block": resend,
    "growing_tool_results": growing,
    "cold_cache": idle,
    "cache_miss": new_tools,
    "loop": endless,
}
SEEDS = range(20)


@pytest.mark.parametrize("kind", PLANTS)
def test_planted_leaks_are_named(kind):
    """At least 95 % of the planted, in conversations that are otherwise ordinary."""
    named = sum(any(leak.kind == kind for leak in conversation(seed, PLANTS[kind])) for seed in SEEDS)
    assert named / len(SEEDS) >= 0.95


@pytest.mark.parametrize(("before", "after"), [(1, 0), (1, 1), (2, 0), (2, 4)])
def test_a_spike_is_named_in_the_second_turn_too(before, after):
    """Where there are too few turns for statistics."""
    named = 0
    for seed in SEEDS:
        rng = random.Random(seed)  # noqa: S311 - the same conversations every time
        api = FakeApi(Ledger(":memory:"), rng)
        for _ in range(before):
            ordinary_turn(api, rng)
        spike(api, rng)
        for _ in range(after):
            ordinary_turn(api, rng)
        named += any(leak.kind == "spike" and leak.turn == before + 1 for leak in api.leaks())
    assert named / len(SEEDS) >= 0.95


def test_ordinary_conversations_raise_no_alarm():
    """At most 2 % false alarms, in conversations of any length."""
    alarms = [leak for seed in range(60) for leak in conversation(1_000 + seed)]
    for seed in range(60):
        rng = random.Random(5_000 + seed)  # noqa: S311 - the same conversations every time
        api = FakeApi(Ledger(":memory:"), rng)
        for _ in range(rng.randint(2, 6)):
            ordinary_turn(api, rng)
        alarms += api.leaks()
    assert len(alarms) / 120 <= 0.02, alarms


@pytest.mark.parametrize("kind", PLANTS)
def test_a_planted_leak_raises_no_other_alarm(kind):
    kinds = [leak.kind for seed in SEEDS for leak in conversation(seed, PLANTS[kind])]
    allowed = {kind, "spike"} if kind == "growing_tool_results" else {kind}
    assert sum(one not in allowed for one in kinds) <= 1, kinds


def test_a_spike_is_named_by_its_tool_its_tokens_and_its_price():
    rng = random.Random(7)  # noqa: S311 - the same conversation every time
    api = FakeApi(Ledger(":memory:"), rng)
    for _ in range(6):
        api.turn(text(words(rng, 300)))
    api.call_tool("read_csv", "x" * 90_000)
    api.turn(text(words(rng, 300)))
    (leak,) = api.leaks()
    assert (leak.kind, leak.turn, leak.cell, leak.message) == ("spike", 7, "7", 12)
    assert leak.tokens == pytest.approx(30_000, rel=0.02)
    assert str(leak).startswith("cell 7 (turn 7): tool_result read_csv (message 12), about +30,")
    words_of_price = "tokens: $0.15 now and $0.00602 for every turn it stays"
    assert words_of_price in str(leak)  # 30,000 x 5 written, x 0.20 read per million
    assert float(leak.usd) == pytest.approx(0.15 + 0.006, rel=0.02)


def test_a_cold_cache_says_what_one_hour_would_have_saved():
    rng = random.Random(7)  # noqa: S311 - the same conversation every time
    api = FakeApi(Ledger(":memory:"), rng)
    api.turn(text("x" * 30_000))
    api.turn(text("Go on."), pause=1_200)
    (leak,) = api.leaks()
    assert leak.kind == "cold_cache"
    assert "a pause of 20 minutes" in str(leak)
    assert '"ttl": "1h" would have saved' in str(leak)


def test_a_reported_cache_miss_reason_is_priced():
    api = FakeApi(Ledger(":memory:"), random.Random(7))  # noqa: S311 - the same conversation every time
    api.turn(text("x" * 3_000))
    api.diagnostics = {"cache_miss_reason": {"type": "tools_changed", "cache_missed_input_tokens": 10_000}}
    api.turn(text("Go on."))
    (leak,) = api.leaks()
    assert (leak.kind, leak.tokens) == ("cache_miss", 10_000)
    assert "a change in tools made the cache miss 10,000 tokens" in str(leak)
    assert float(leak.usd) == pytest.approx(10_000 * (5 - 0.20) / 1e6)


def test_growth_is_attributed_exactly_in_sum():
    rng = random.Random(3)  # noqa: S311 - the same conversation every time
    api = FakeApi(Ledger(":memory:"), rng)
    for _ in range(5):
        api.turn(text(words(rng, 400)), text(words(rng, 4_000)))
    frame = api.ledger.frame()
    columns = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"]
    prompts = [int(total) for total in frame[columns].sum(axis=1)]
    for number in range(1, 5):
        explained = api.ledger.explain(number)
        parts = explained.frame()
        assert explained.growth.delta == prompts[number] - prompts[number - 1] == parts["tokens"].sum()
        assert list(parts["role"]) == ["assistant", "user", "user"]
        assert parts["tokens"].idxmax() == 2


def test_an_explanation_reads_as_one():
    api = FakeApi(Ledger(":memory:"), random.Random(3))  # noqa: S311 - the same conversation every time
    api.turn(text("Hello there."))
    reply = api.turn(text("Go on. " * 300))
    said = str(api.ledger.explain(reply))
    assert (
        said == str(api.ledger.explain()) == str(api.ledger.explain(reply.id)) == str(api.ledger.explain(1))
    )
    assert said.startswith("cell 2 (turn 2): ")
    assert "tokens over turn 1 (new):" in said
    assert "user text (message 2), 2,100 characters" in said


def test_a_call_made_again_is_explained_as_one():
    api = FakeApi(Ledger(":memory:"), random.Random(3))  # noqa: S311 - the same conversation every time
    for _ in range(3):
        api.turn(text("Tell me more about this and that."[: len(api.messages) + 9]))
    for again in (3, 1):
        api.client.messages.create(
            model=MODEL, max_tokens=9, system=api.system, messages=api.messages[:again]
        )
        last = str(api.ledger.explain()).splitlines()[-1]
        assert last == f"  the same prompt as turn {(again + 1) // 2}: nothing was added"


def test_an_edited_history_is_explained_as_one():
    api = FakeApi(Ledger(":memory:"), random.Random(3))  # noqa: S311 - the same conversation every time
    for _ in range(3):
        api.turn(text("Tell me more about this and that."[: len(api.messages) + 9]))
    api.messages[2]["content"] = [text("Something else.")]
    api.turn(text("And now?"))
    assert "(after an edit or trim)" in str(api.ledger.explain())


@pytest.mark.parametrize("call", ["msg_unknown", 5, -1])
def test_an_unknown_call_is_refused_in_words(call):
    with pytest.raises(LedgerError, match="no answered call"):
        Ledger(":memory:").explain(call)


def test_hidden_thinking_that_is_sent_back_belongs_to_the_reply_not_to_the_next_question():
    ledger = Ledger(":memory:")
    chat = Chat(client=connect(mode="sandbox", quiet=True, ledger=ledger), display=False)
    chat("Hello")
    chat("What?")
    first, second = ledger.frame()["output_tokens"]
    shares = ledger.explain().frame().set_index("kind")["tokens"]
    assert shares["thinking"] > 0
    new = ledger.explain().frame()
    assert new[new["role"] == "assistant"]["tokens"].sum() == first
    assert new[new["role"] == "user"]["tokens"].sum() < 20
    assert second


def test_a_spike_is_priced_at_the_speed_and_region_that_served_it():
    ledger, prices = Ledger(":memory:"), []
    for served in ({}, {"speed": "fast"}, {"speed": "fast", "inference_geo": "us"}):
        usage = {"input_tokens": 20_000, "output_tokens": 1, **served}
        body = {
            "id": f"msg_{len(prices)}",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-5-5",
        }
        body |= {"content": [], "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
        transport = httpx2.MockTransport(lambda _, body=body: httpx2.Response(200, json=body))
        client = anthropic.Anthropic(api_key="x", http_client=httpx2.Client(transport=transport))
        asked = [{"role": "user", "content": f"{served} long"}]
        ledger.meter(client).messages.create(model="claude-opus-5-5", max_tokens=9, messages=asked)
        prices.append(ledger.explain().frame()["usd_now"].sum())
    rates = [pytest.approx(price / prices[0]) for price in prices]
    assert rates == [
        1,
        ledger.frame()["cost_usd"].iloc[1] / ledger.frame()["cost_usd"].iloc[0],
        rates[1].expected * 1.1,
    ]


def test_many_different_calls_of_tools_or_samples_of_one_prompt_are_no_loop():
    rng = random.Random(5)  # noqa: S311 - the same conversation every time
    api = FakeApi(Ledger(":memory:"), rng)
    api.turn(text(words(rng, 200)))
    for _ in range(20):
        api.call_tool("read_file", words(rng, 300))
    assert not [leak for leak in api.leaks() if leak.kind == "loop"]
    samples = FakeApi(Ledger(":memory:"), rng)
    for _ in range(20):
        samples.messages = []
        samples.turn(text("Name a colour, and say in one sentence why you like it."))
    assert not list(samples.leaks())


def test_leaks_take_a_label_or_an_object_with_one_and_print_a_line_each():
    api = FakeApi(Ledger(":memory:"), random.Random(3))  # noqa: S311 - the same conversation every time
    question = text("What is a token, and why does it cost money?")
    for _ in range(2):
        api.turn(question)
    assert api.ledger.leaks(SimpleNamespace(conversation="c")) == api.ledger.leaks("c") == api.ledger.leaks()
    assert repr(api.ledger.leaks()).startswith(
        "cell 2 (turn 2): message 2 repeats message 0: was a cell run twice?"
    )
    with pytest.raises(LedgerError, match="no answered call of the conversation 'another'"):
        api.ledger.leaks("another")


def test_moving_a_cache_breakpoint_changes_no_digest():
    api = FakeApi(Ledger(":memory:"), random.Random(3))  # noqa: S311 - the same conversation every time
    marked = {**text("x" * 3_000), "cache_control": {"type": "ephemeral"}}
    api.turn(marked)
    api.messages[0]["content"] = [text("x" * 3_000)]
    api.turn(text("Go on."))
    assert not api.ledger.explain().growth.changed


def test_a_document_keeps_its_digest_when_its_breakpoint_moves_and_a_call_when_its_id_changes():
    source = {"type": "base64", "media_type": "application/pdf", "data": "A" * 200}
    plain = {"type": "document", "source": source}
    marked = {**plain, "cache_control": {"type": "ephemeral"}}
    uses = [{"type": "tool_use", "id": f"toolu_{n}", "name": "f", "input": {"x": 1}} for n in range(2)]
    system = [{"type": "text", "text": "You help.", "cache_control": {"type": "ephemeral"}}]
    parts = digest_prompt(
        {
            "system": system,
            "messages": [
                {"role": "user", "content": [plain, marked]},
                {"role": "assistant", "content": uses},
            ],
        }
    )
    bare = digest_prompt({"system": [{"type": "text", "text": "You help."}], "messages": []})
    assert parts[0].digest == bare[0].digest
    assert parts[1].digest == parts[2].digest
    assert parts[3].digest == parts[4].digest
    assert len({part.digest for part in parts}) == 3
