"""Whatever is done to a history, in whatever order: its requests are accepted, by the rules of the sandbox."""

import warnings

import anthropic
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from claude_nb import History, Sandbox
from claude_nb.errors import HistoryError, PromptError
from claude_nb.history.summary import BETA
from claude_nb.trim import drop_tool_results, keep_last, keep_tokens

CHECKING, OTHER, FREE, OLD = "claude-haiku-5-5", "claude-opus-5-5", "claude-opus-5", "claude-haiku-4-5"
TOOLS = [
    {"name": "add", "input_schema": {"type": "object"}},
    {"type": "web_search_20250305", "name": "web_search"},
]
THINKS = {"type": "thinking"}
SEARCH = {"type": "server_tool_use", "name": "web_search", "input": {"query": "x"}}
POLICIES = [
    None,
    (),
    keep_last(1, step=0),
    keep_last(2, step=1),
    keep_tokens(700, to=500),
    keep_tokens(120, to=60),
    drop_tool_results(0, keep=1, at_least=1),
    drop_tool_results(1, keep=0, at_least=1),
    [drop_tool_results(1, keep=1, at_least=0), keep_last(3, step=0)],
]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PROMPTS = st.sampled_from(
    [
        "hello",
        "  lines\n",
        [{"type": "text", "text": "mark", "cache_control": {"type": "ephemeral"}}],
        [{"type": "text", "text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
            {"type": "text", "text": "what is it?"},
        ],
    ]
)


def said(words: str) -> dict:
    return {"type": "text", "text": words}


def call(key: str) -> dict:
    return {"type": "tool_use", "id": key, "name": "add", "input": {"a": 1}}


REPLIES = {
    "text": lambda key: {"content": [said("well")]},
    "thinking": lambda key: {"content": [THINKS, said("well")]},
    "thinking twice": lambda key: {"content": [THINKS, said("first"), THINKS, said("then")]},
    "call": lambda key: {"content": [THINKS, call(key)]},
    "calls": lambda key: {"content": [THINKS, said("both"), call(key), call(key + "b")]},
    "interleaved": lambda key: {"content": [THINKS, said("one"), THINKS, call(key)]},
    "blank inside": lambda key: {"content": [THINKS, said(" "), THINKS, call(key)]},
    "empty": lambda key: {"content": [], "stop_reason": "end_turn"},
    "blank": lambda key: {"content": [said("\n")]},
    "thinking only": lambda key: {"content": [THINKS], "stop_reason": "max_tokens"},
    "refusal": lambda key: {"content": [said("I")], "stop_reason": "refusal"},
    "refusal at once": lambda key: {"content": [], "stop_reason": "refusal"},
    "truncated": lambda key: {"content": [THINKS, said("and so")], "stop_reason": "max_tokens"},
    "truncated call": lambda key: {"content": [THINKS, said("so"), call(key)], "stop_reason": "max_tokens"},
    "truncated calls": lambda key: {
        "content": [THINKS, call(key), THINKS, said("x"), call(key + "b")],
        "stop_reason": "max_tokens",
    },
    "window": lambda key: {"content": [said("and")], "stop_reason": "model_context_window_exceeded"},
    "stop sequence": lambda key: {"content": [said("a")], "stop_reason": "stop_sequence"},
    "paused": lambda key: {
        "content": [THINKS, said("let me see"), {**SEARCH, "id": "srv" + key}],
        "stop_reason": "pause_turn",
    },
    "paused after a result": lambda key: {
        "content": [{**SEARCH, "id": "srv" + key}, found("srv" + key)],
        "stop_reason": "pause_turn",
    },
    "paused with nothing": lambda key: {"content": [], "stop_reason": "pause_turn"},
    "both tools": lambda key: {"content": [THINKS, {**SEARCH, "id": "srv" + key}, call(key)]},
    "searched": lambda key: {
        "content": [THINKS, {**SEARCH, "id": "srv" + key}, found("srv" + key), said("found")]
    },
}


def found(key: str) -> dict:
    return {"type": "web_search_tool_result", "tool_use_id": key, "content": []}


def keep(params: dict) -> dict:
    """What History.repair takes of them."""
    return {name: params[name] for name in ("messages", "system", "tools") if name in params}


EXCHANGES = st.tuples(
    PROMPTS,
    st.sampled_from(sorted(REPLIES)),
    st.none() | st.none() | st.integers(1, 12),
    st.sampled_from(POLICIES),
)


class Conversations(RuleBasedStateMachine):
    """A user who does anything in any order, on a model that answers in any way."""

    @initialize(model=st.sampled_from([CHECKING, FREE]), system=st.sampled_from([None, "Be brief."]))
    def begin(self, model, system):
        self.sandbox = Sandbox(replies=self.answer)
        self.client = anthropic.Anthropic(
            api_key="sandbox",
            max_retries=0,
            http_client=anthropic.DefaultHttpxClient(transport=self.sandbox),
        )
        self.model, self.calls = model, 0
        self.history = History(system=system, tools=TOOLS)
        self.stored = []

    def answer(self, body):
        reply = REPLIES[self.kind](f"toolu_{self.calls}")
        running = {
            block["id"]
            for message in body["messages"][-2:]
            if message["role"] == "assistant"
            for block in message["content"]
            if block["type"] == "server_tool_use"
        } - {block.get("tool_use_id") for message in body["messages"][-2:] for block in message["content"]}
        if running and reply["content"]:
            reply["content"] = [*map(found, sorted(running)), *reply["content"]]
        return reply

    def try_to(self, do, *arguments):
        """Do it, or be told at once what is wrong, with nothing changed."""
        before = self.history.to_dict()
        try:
            return do(*arguments)
        except (HistoryError, PromptError):
            assert self.history.to_dict() == before
            return None

    def sent(self, request):
        """Where a request goes."""
        return self.client.beta.messages if "betas" in request else self.client.messages

    @rule(content=PROMPTS)
    def prompt(self, content):
        self.try_to(self.history.user, content)

    @rule(exchanges=st.lists(EXCHANGES, min_size=1, max_size=5), policy=st.sampled_from(POLICIES))
    def talk(self, exchanges, policy):
        for content, kind, stop, trim in exchanges:
            if self.history.waiting() and kind != "text":
                self.history.results(dict.fromkeys(self.history.waiting(), "2" * 40))
            else:
                self.try_to(self.history.user, content)
            self.ask(kind, stop, policy if trim is None else trim)

    @rule(exchange=EXCHANGES)
    def ask_again(self, exchange):
        self.ask(*exchange[1:])

    def ask(self, kind, stop, trim):
        last = [entry for entry in self.history.entries if entry.role != "system"][-1:]
        ready = last and not self.history.waiting()
        dead_end = last and not last[0].sendable and last[0].stop_reason != "pause_turn"
        if not ready or (
            last[0].role == "assistant" and last[0].stop_reason != "pause_turn" and not dead_end
        ):
            with pytest.raises(HistoryError):
                self.history.request(trim=trim)
            return
        self.kind, self.calls = kind, self.calls + 1
        if (request := self.try_to(lambda: self.history.request(trim=trim, model=self.model))) is None:
            assert dead_end
            return
        with self.sent(request).stream(model=self.model, max_tokens=3000, **request) as stream:
            for number, _ in enumerate(stream):
                if stop is not None and number >= stop:
                    break
            message = stream.current_message_snapshot
        self.history.reply(message)

    @precondition(lambda self: self.history.waiting())
    @rule(late=st.booleans())
    def answer_tools(self, late):
        for key in list(self.history.waiting())[: 1 if late else None]:
            self.history.results({key: "2" * 40})

    @rule()
    def answer_what_was_not_asked(self):
        self.try_to(self.history.results, {"toolu_none": "2"})

    @rule()
    def skip(self):
        self.history.skip_tools()

    @rule()
    def undo(self):
        self.try_to(self.history.undo)

    @rule()
    def retract(self):
        self.try_to(self.history.retract)

    @rule(at=st.integers(-6, 20), content=PROMPTS)
    def edit(self, at, content):
        self.try_to(self.history.edit, at, content)

    @rule(at=st.none() | st.integers(-3, 20))
    def fork(self, at):
        if (fork := self.try_to(self.history.fork, at)) is not None:
            self.history, self.stored = fork, []

    @rule(back=st.integers(0, 9))
    def switch(self, back):
        found = self.history.branches()
        if found:
            self.history.switch(found[back % len(found)])

    @rule(at=st.integers(-4, 9), on=st.booleans())
    def pin(self, at, on):
        self.try_to(lambda: self.history.pin(at, on=on))

    @rule(upto=st.integers(0, 20))
    def compact(self, upto):
        self.try_to(self.history.compact, "We said hello.", upto)

    @rule(content=PROMPTS)
    def instruct(self, content):
        self.try_to(self.history.instruct, content)

    @rule(at=st.integers(-6, 20))
    def rewind(self, at):
        self.try_to(self.history.rewind, at)

    @rule(failed=st.booleans(), later=st.booleans())
    def compact_on_demand(self, failed, later):
        request = self.try_to(lambda: self.history.compaction(model=self.model))
        if request is None:
            return
        self.client.beta.messages.count_tokens(model=self.model, **request)
        if later and not self.history.waiting():
            self.talk([("meanwhile", "thinking", None, None)], None)
        block = {"type": "compaction", "content": None if failed else "We said hello.", "signature": "s"}
        reply = {"role": "assistant", "content": [block], "stop_reason": "compaction", "model": self.model}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.try_to(self.history.reply, reply)

    @rule()
    def save_and_load(self):
        self.history = History.from_dict(self.history.to_dict())

    @rule()
    def take_over_from_a_thread(self):
        params = self.history.to_params(model=self.model)
        if params["messages"]:
            self.history, self.stored = History.repair(**keep(params)).history, []

    @rule(model=st.sampled_from([CHECKING, OTHER, FREE, OLD]))
    def switch_model(self, model):
        self.model = model

    @invariant()
    def what_can_be_sent_is_accepted(self):
        try:
            request = self.history.request(model=self.model)
        except HistoryError:
            return
        self.sent(request).count_tokens(model=self.model, **request)
        assert [message["role"] for message in request["messages"][:1]] == ["assistant"] * (
            BETA in request.get("betas", ())
        ) or request["messages"][0]["role"] == "user"

    @invariant()
    def what_is_stored_stays(self):
        stored = self.history.to_dict()["entries"]
        assert stored[: len(self.stored)] == self.stored
        self.stored = stored


TestConversations = Conversations.TestCase
TestConversations.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class TestRareTurns:
    """What random walks seldom reach."""

    @pytest.fixture
    def machine(self):
        machine = Conversations()
        machine.begin(CHECKING, None)
        return machine

    def test_a_tool_loop_whose_thinking_was_made_elsewhere_is_asked_for_again(self, machine):
        machine.talk([("one", "text", None, None), ("sum", "calls", None, None)], None)
        machine.answer_tools(late=False)
        machine.ask("text", None, None)
        machine.history.user("thanks")
        machine.history.compact("We said hello.", 2)
        machine.history = machine.history.fork(4)  # summary, prompt, call, one of the results
        machine.history.skip_tools()
        machine.what_can_be_sent_is_accepted()
        assert [message["role"] for message in machine.history.request()["messages"]] == ["user"]
        machine.ask("thinking", None, None)
        machine.history.user("thanks")
        machine.what_can_be_sent_is_accepted()

    def test_while_the_server_runs_a_tool_there_is_no_room_for_words(self, machine):
        machine.talk([("sum", "both tools", None, None)], None)
        machine.answer_tools(late=False)
        with pytest.raises(HistoryError, match="still running web_search"):
            machine.history.user("and?")
        machine.ask("text", None, None)
        machine.history.user("and?")
        machine.what_can_be_sent_is_accepted()
