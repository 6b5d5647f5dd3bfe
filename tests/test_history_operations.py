"""Running cells again, branches, pins, searching, exporting, importing, saving as it goes, and what it costs."""

import ast
import os
import subprocess
import sys

import anthropic
import pytest
from IPython.core.interactiveshell import InteractiveShell
from test_history import CALL, THINKING, message, sent, talk, text

from claude_nb import History, Sandbox
from claude_nb.errors import HistoryError, PromptError
from claude_nb.history import cells
from claude_nb.sandbox import server
from claude_nb.trim import keep_last

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}


class Notebook:
    """A kernel that runs cells with ids, without Jupyter."""

    def __init__(self, monkeypatch):
        self.count = 0
        self.running = (None, None)
        monkeypatch.setattr(cells, "running", lambda: self.running)

    def run(self, cell, do):
        self.count += 1
        self.running = (f"book#{cell}", f"s:{self.count}")
        try:
            return do()
        finally:
            self.running = (None, None)


@pytest.fixture
def notebook(monkeypatch):
    return Notebook(monkeypatch)


class TestRunningACellAgain:
    def ask(self, history, words, answer="ok"):
        history.user(words)
        history.reply(message(text(answer)))

    def test_its_turn_is_replaced_and_the_old_one_kept(self, notebook, capsys):
        history = History()
        notebook.run("a", lambda: self.ask(history, "one", "1"))
        notebook.run("a", lambda: self.ask(history, "one", "eins"))
        assert [entry.text for entry in history.entries] == ["one", "eins"]
        assert capsys.readouterr().out == (
            "claude_nb: this cell ran before, so its turn is replaced. The earlier one is kept: "
            "history.switch(1). To add instead: History(rerun='append').\n"
        )
        history.switch(1)
        assert [entry.text for entry in history.entries] == ["one", "1"]

    def test_what_later_cells_said_stays_on_the_old_branch_and_is_counted(self, notebook, capsys):
        history = History()
        for cell in "abc":
            notebook.run(cell, lambda cell=cell: self.ask(history, cell))
        notebook.run("b", lambda: self.ask(history, "B"))
        assert [entry.text for entry in history.entries] == ["a", "ok", "B", "ok"]
        assert "The earlier one, with 2 later messages, is kept" in capsys.readouterr().out

    def test_several_messages_of_one_execution_follow_each_other(self, notebook, capsys):
        history = History()

        def cell():
            for words in ("one", "two"):
                self.ask(history, words)

        notebook.run("a", cell)
        assert capsys.readouterr().out == ""
        notebook.run("a", cell)
        assert [entry.text for entry in history.entries] == ["one", "ok", "two", "ok"]

    def test_append_adds_behind(self, notebook, capsys):
        history = History(rerun="append")
        for _ in range(2):
            notebook.run("a", lambda: self.ask(history, "one"))
        assert len(history) == 4
        assert capsys.readouterr().out == ""

    def test_a_message_that_is_refused_changes_nothing(self, notebook):
        history = History()
        notebook.run("a", lambda: self.ask(history, "one"))
        before = history.to_dict()
        with pytest.raises(PromptError):
            notebook.run("a", lambda: history.user(""))
        with pytest.raises(HistoryError):
            notebook.run("a", lambda: history.results({"toolu_9": "x"}))
        assert history.to_dict() == before

    def test_results_can_be_given_again(self, notebook):
        history = talk("sum", message(CALL, stop_reason="tool_use"))
        notebook.run("b", lambda: history.results({"toolu_1": "2"}))
        notebook.run("b", lambda: history.results({"toolu_1": "3"}))
        assert history.request()["messages"][-1]["content"][0]["content"] == "3"

    def test_outside_of_a_notebook_nothing_is_replaced(self):
        history = talk("one", message(text("1")))
        self.ask(history, "one")
        assert len(history) == 4

    def test_in_ipython_the_cell_is_known_by_its_id(self, monkeypatch):
        shell = InteractiveShell.instance()
        try:
            shell.run_cell("from claude_nb import History; history = History()", cell_id="first")
            for _ in range(2):
                result = shell.run_cell("place = history.user('one')", cell_id="second", store_history=True)
                assert result.error_in_exec is None
            assert len(shell.user_ns["history"]) == 1
            shell.run_cell("place = history.user('two')", cell_id="third", store_history=True)
            assert len(shell.user_ns["history"]) == 2
        finally:
            InteractiveShell.clear_instance()


class TestBranches:
    def test_every_way_the_conversation_went_is_listed_and_can_be_taken_again(self):
        history = talk("one", message(text("1")), "two")
        history.edit(2, "zwei")
        listed = [(one.number, one.messages, one.shared, one.current, one.text) for one in history.branches()]
        assert listed == [(2, 3, 2, False, "two"), (3, 3, 3, True, "zwei")]
        history.switch(history.branches()[0])
        assert sent(history)[-1] == ("user", ["two"])

    def test_a_branch_that_does_not_exist_is_named_with_those_that_do(self):
        with pytest.raises(HistoryError, match=r"no branch 9; the branches are \[0\]"):
            talk("one").switch(9)

    def test_a_diff_says_what_each_says_alone(self):
        history = talk("one", message(text("1")), "two", system="s")
        other = history.fork()
        assert not history.diff(other)
        other.edit(2, "zwei")
        assert str(history.diff(other)) == "the same up to message 2\n- user: two\n+ user: zwei"
        assert str(history.diff(History())).splitlines()[1] == "different system"
        history.edit(0, "eins")
        assert history.diff(2).same == 0

    def test_find_looks_into_words_calls_and_results_but_not_into_data(self):
        history = talk("Where is Ada?", message({**CALL, "input": {"name": "ada"}}, stop_reason="tool_use"))
        history.results({"toolu_1": "Ada is in London"})
        history.user([IMAGE, text("and this?")])
        assert [(found.at, found.role) for found in history.find("ADA")] == [
            (0, "user"),
            (1, "assistant"),
            (2, "user"),
        ]
        assert history.find("iVBOR") == []
        with pytest.raises(HistoryError, match="takes a text"):
            history.find("")

    def test_a_pin_needs_a_message(self):
        with pytest.raises(HistoryError, match="no message at place 3"):
            talk("one").pin(3)


class TestRetract:
    def test_the_last_reply_can_be_asked_for_again(self):
        history = talk("one", message(text("1")))
        history.retract()
        assert sent(history) == [("user", ["one"])]
        assert len(history.branches()) == 2
        with pytest.raises(HistoryError, match="no reply to take back"):
            history.retract()


class TestAutosave:
    def test_each_message_is_in_the_file_as_it_comes(self, tmp_path):
        history, path = talk("one", message(text("1"))), tmp_path / "talk.jsonl"
        history.autosave(path)
        history.user("two")
        history.undo()
        history.user("zwei")
        history.pin(0)
        history.request(trim=keep_last(1, step=0))
        history.reply(message(text("2")))
        assert History.load(path).to_dict() == history.to_dict()
        history.autosave(None)
        history.user("three")
        assert len(History.load(path)) == 4

    def test_a_file_that_can_no_longer_be_written_is_no_reason_to_stop(self, tmp_path):
        history, path = talk("one"), tmp_path / "talk.jsonl"
        history.autosave(path)
        path.unlink()
        with pytest.warns(UserWarning, match="no longer saved"):
            history.reply(message(text("1")))
        history.user("two")
        assert len(history) == 3

    def test_a_folder_that_does_not_exist_is_named(self, tmp_path):
        with pytest.raises(HistoryError, match="cannot be written"):
            talk("one").save(tmp_path / "none" / "talk.jsonl")

    def test_a_conversation_of_the_first_format_is_read(self, tmp_path):
        path = tmp_path / "talk.jsonl"
        path.write_text(
            '{"format": "claude_nb history", "version": 1, "system": null, "tools": [], "head": 0}\n'
            '{"role": "user", "content": [{"type": "text", "text": "one"}], "parent": null, "simulated": false}\n'
            '{"role": "assistant", "content": [], "parent": 0, "stop_reason": "end_turn"}\n'
        )
        assert sent(History.load(path)) == [("user", ["one"])]


class TestExports:
    def test_markdown_reads_well_and_fences_hold(self):
        history = talk("Sum `1`", message(THINKING, CALL, stop_reason="tool_use"), system="Be brief.")
        history.results({"toolu_1": "```\nnot the end\n```"})
        history.reply(message(text("2"), stop_reason="max_tokens"))
        history.user([IMAGE, text("this?")])
        assert history.to_markdown() == (
            "## System\n\nBe brief.\n\n## User\n\nSum `1`\n\n"
            '## claude-haiku-5-5\n\nCalls `add`:\n\n```json\n{\n  "a": 1\n}\n```\n\n'
            "## Tool results\n\n````text\n```\nnot the end\n```\n````\n\n"
            "## claude-haiku-5-5 (max_tokens)\n\n2\n\n## User\n\n[image: image/png, 9 bytes]\n\nthis?\n"
        )

    def test_the_script_runs_as_it_is(self, tmp_path):
        history = talk("one", message(text("1")), 'It\'s "two"\n{braces}', message(text("2")), system="s")
        program = tmp_path / "ask.py"
        program.write_text(history.to_script(max_tokens=50))
        assert ast.parse(program.read_text())
        with server.running(Sandbox(replies=["fine"])) as url:
            environment = {**os.environ, "ANTHROPIC_BASE_URL": str(url), "ANTHROPIC_API_KEY": "sandbox"}
            done = subprocess.run(
                [sys.executable, program],
                capture_output=True,
                text=True,
                env=environment,
                timeout=60,
                check=False,
            )
        assert (done.stdout, done.stderr) == ("fine\n", "")

    def test_an_empty_conversation_has_no_script(self):
        with pytest.raises(HistoryError, match="is empty"):
            History().to_script()


class TestImports:
    def test_a_list_of_messages_becomes_the_conversation_it_was(self):
        messages = [
            {"role": "user", "content": [IMAGE, text("sum")]},
            {"role": "assistant", "content": [THINKING, CALL]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "2"}, text("go on")],
            },
        ]
        history = History.from_messages(messages, system="s")
        assert history.request() == {"system": "s", "messages": messages}

    def test_an_open_call_at_the_end_waits(self):
        assert History.from_messages(
            [{"role": "user", "content": "sum"}, {"role": "assistant", "content": [CALL]}]
        ).waiting()

    @pytest.mark.parametrize(
        ("messages", "says"),
        [
            ([], "the list is empty"),
            ([{"role": "human", "content": "x"}], "message 0 has the role 'human'"),
            (
                [{"role": "system", "content": "x"}, {"role": "user", "content": "x"}],
                "message 0 has the role 'system'",
            ),
            ([{"role": "user", "content": ""}], "message 0 is empty"),
            ([{"role": "user", "content": [text(" ")]}], "message 0 has a block 0 that is empty text"),
            ([{"role": "user", "content": 3}], "message 0 has content of type int"),
            (["hi"], "message 0 is str"),
            ([message(text("x"))], "message 0 is a Message object"),
            ([{"role": "assistant", "content": "x"}], "message 0 is a reply"),
            (
                [
                    {"role": "user", "content": "x"},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]},
                ],
                "message 1 has a tool result for 'a'",
            ),
            (
                [
                    {"role": "user", "content": "x"},
                    {"role": "assistant", "content": [CALL]},
                    {"role": "user", "content": "y"},
                ],
                r"message 1 calls a tool \(toolu_1\) that message 2 gives no result for",
            ),
            (
                [{"role": "user", "content": "x"}, {"role": "assistant", "content": [CALL, CALL]}],
                "message 1 uses the tool call id 'toolu_1' again",
            ),
            (
                [{"role": "user", "content": [{"type": "txet", "text": "x"}]}],
                "message 0 has a block 0 that .*'txet'",
            ),
            ([{"role": "user", "content": [CALL]}], "message 0 has a block 0 that is tool_use"),
        ],
    )
    def test_a_malformed_list_says_which_message_and_offers_repair(self, messages, says):
        with pytest.raises(HistoryError, match=says + r"[\s\S]*History.repair"):
            History.from_messages(messages)
        assert History.repair(messages).changes

    def test_a_generator_is_no_list(self):
        with pytest.raises(HistoryError, match="generator"):
            History.from_messages({"role": "user", "content": "x"} for _ in range(1))

    def test_a_repair_says_what_it_changed_and_drops_thinking_behind_it(self):
        repaired = History.repair(
            [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "sum"},
                {"role": "assistant", "content": [THINKING, CALL]},
                {"role": "user", "content": "well?"},
            ]
        )
        assert str(repaired).splitlines() == [
            "message 0 has the role 'system': taken as the system prompt",
            "message 2 thinks, bound to what was changed before: thinking left out",
            "message 2 calls a tool (toolu_1) that message 3 gives no result for: error result added",
        ]
        assert repaired.history.system == "Be brief."
        assert sent(repaired.history)[1:] == [("assistant", ["tool_use"]), ("user", ["tool_result", "well?"])]


class TestTokens:
    def history(self):
        history = History()
        for turn, prompt in enumerate([100, 350]):
            history.user("a question of some length")
            history.request()
            history.reply(
                message(text("an answer"), usage={"input_tokens": prompt, "output_tokens": 5, "turn": turn})
            )
        return history

    def test_differences_of_measured_prompts_are_given_to_the_messages_between(self):
        frame = self.history().tokens()
        assert frame["tokens"].sum() - frame["tokens"].iloc[-1] == 350
        assert frame.loc[frame["at"].isin([1, 2]), "tokens"].sum() == 250
        assert frame["role"].tolist() == ["system and tools", "user", "assistant", "user", "assistant"]
        assert frame["estimated"].all()  # two messages share each difference

    def test_a_difference_of_one_message_is_exact(self):
        history = talk("hi", message(usage={"input_tokens": 100, "output_tokens": 0}), "again")
        history.reply(message(text("x"), usage={"input_tokens": 130, "output_tokens": 1}))
        row = history.tokens().query("at == 2").iloc[0]
        assert (row["tokens"], row["estimated"]) == (30, False)

    def test_a_changed_prefix_leaves_a_residual(self):
        history = self.history()
        history.user("more")
        history.request(trim=keep_last(1, step=0))
        history.reply(message(text("x"), usage={"input_tokens": 60, "output_tokens": 5}))
        assert history.tokens()["role"].iloc[-1] == "residual"

    def test_after_a_summary_only_differences_within_the_old_turns_are_known(self):
        history = self.history()
        history.user("more")
        history.compact("They asked.", 2)
        frame = history.tokens()
        assert frame["role"].tolist()[:3] == ["system and tools", "user", "user"]
        assert frame["estimated"].all()

    def test_counting_is_asked_for(self):
        sandbox = Sandbox()
        client = anthropic.Anthropic(
            api_key="sandbox", http_client=anthropic.DefaultHttpxClient(transport=sandbox), max_retries=0
        )
        history = self.history()
        history.user("more")
        counted = history.tokens(client)
        assert (
            counted["tokens"].sum()
            == client.messages.count_tokens(model="claude-haiku-5-5", **history.request()).input_tokens
        )


class TestWhatIf:
    def history(self, turns=12):
        history = History(system="s" * 2000)
        prompt = 0
        for turn in range(turns):
            history.user("x" * 2_500)
            prompt += 1_000
            history.reply(
                message(text(f"answer {turn}"), usage={"input_tokens": prompt, "output_tokens": 10})
            )
        return history

    def test_each_policy_is_priced_with_and_without_caching(self):
        frame = self.history().what_if([None, keep_last(2, step=0), keep_last(2, step=4)])
        assert frame["policy"].tolist()[::2] == [
            "everything",
            "keep_last(2, step=0)",
            "keep_last(2, step=4)",
        ]
        assert frame["caching"].tolist() == [True, False] * 3
        assert frame["cache_read_input_tokens"].tolist()[1::2] == [0, 0, 0]
        assert (frame["requests"] == 12).all()

    def test_without_caching_the_tokens_are_those_that_were_measured(self):
        everything = self.history().what_if([None]).iloc[1]
        assert everything["input_tokens"] == pytest.approx(sum(range(1_000, 13_000, 1_000)), rel=0.01)

    def test_with_cheap_reads_cutting_each_turn_costs_more_than_cutting_in_steps(self):
        frame = self.history(24).what_if(
            [keep_last(6, step=0), keep_last(6, step=12)], model="claude-opus-5-5"
        )
        often, rarely = frame[frame["caching"]]["cost_usd"]
        assert rarely < often

    def test_an_unknown_model_is_named(self):
        with pytest.raises(ValueError, match="nothing is known"):
            self.history(2).what_if([None], model="claude-nothing")


class TestBadInput:
    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ((one for one in [text("x")]), "is generator"),
            ([{"type": "txet", "text": "x"}], "txet"),
            ([{"type": "text", "text": "x", "colour": "red"}], "colour"),
            (
                [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": b"x"}}],
                "b64encode",
            ),
            ([{**IMAGE, "source": {**IMAGE["source"], "data": "A" * 28_000_000}}], "image of 20.0 MB"),
            ([CALL], "only a reply may hold"),
            ("half \ud83d", "lone surrogate"),
        ],
    )
    def test_what_the_api_would_refuse_is_refused_at_the_call(self, content, says):
        history = History()
        with pytest.raises(PromptError, match=says):
            history.user(content)
        assert len(history) == 0

    @pytest.mark.parametrize(
        ("results", "says"),
        [
            ({}, "nothing to add"),
            ({"toolu_1": 42}, r"str\(value\)"),
            ({"toolu_1": [text("")]}, "empty text"),
            ({"toolu_1": [{"type": "text", "text": "x", "colour": 1}]}, "colour"),
            ({"toolu_1": [{"type": "text", "text": "x", "n": float("nan")}]}, "no such number"),
            ("2", "takes"),
        ],
    )
    def test_a_result_the_api_would_refuse_is_refused_at_the_call(self, results, says):
        history = talk("sum", message(CALL, stop_reason="tool_use"))
        with pytest.raises(HistoryError, match=says):
            history.results(results)
        assert history.waiting()

    def test_an_empty_result_is_a_result(self):
        history = talk("sum", message(CALL, stop_reason="tool_use"))
        history.results({"toolu_1": ""})
        assert history.request()

    def test_a_reply_while_calls_wait_is_refused(self):
        history = talk("sum", message(CALL, {**CALL, "id": "toolu_2"}, stop_reason="tool_use"))
        history.results({"toolu_1": "2"})
        with pytest.raises(HistoryError, match="while tool calls wait"):
            history.reply(message(text("x")))

    def test_two_calls_of_one_id_are_refused(self):
        with pytest.raises(HistoryError, match="same id"):
            talk("sum", message(CALL, CALL, stop_reason="tool_use"))

    def test_too_many_breakpoints_in_the_system_prompt_are_refused(self):
        mark = {**text("x"), "cache_control": {"type": "ephemeral"}}
        with pytest.raises(PromptError, match="5 cache_control"):
            History(system=[mark] * 5)

    def test_of_many_breakpoints_the_last_are_sent(self):
        history = History()
        for _ in range(6):
            history.user([{**text("x"), "cache_control": {"type": "ephemeral"}}])
        marks = ["cache_control" in block for block in history.request()["messages"][0]["content"]]
        assert marks == [False, False, False, True, True, True]


def test_the_table_shows_tokens_pins_cuts_and_branches():
    history = talk("one", message(text("1")), "two", message(text("2")), "three")
    history.edit(4, "drei")
    history.pin(0)
    history.request(trim=keep_last(1, step=0))
    table = history._repr_html_()
    for shown in (
        "pinned",
        "left out: not sent",
        "tokens (estimate)",
        "1 other branch: history.branches()",
        "width:80px",
    ):
        assert shown in table


class TestAutosaveKeepsWhatIsThere:
    """A file that holds anything else is never written over."""

    def spoken(self, *words: str) -> History:
        history = History()
        for word in words:
            history.user(word)
            history.reply(
                {"role": "assistant", "content": [{"type": "text", "text": word}], "stop_reason": "end_turn"}
            )
        return history

    def test_a_file_that_is_no_conversation_is_left_alone(self, tmp_path):
        (tmp_path / "precious.txt").write_text("mine")
        with pytest.raises(HistoryError, match="is no saved conversation"):
            self.spoken("a").autosave(tmp_path / "precious.txt")
        assert (tmp_path / "precious.txt").read_text() == "mine"

    def test_another_conversation_is_left_alone_and_can_be_gone_on_with(self, tmp_path):
        path = tmp_path / "talk.jsonl"
        self.spoken("a").autosave(path)
        with pytest.raises(HistoryError, match=r"holds another conversation.*History\.load"):
            self.spoken("b").autosave(path)
        again = History.load(path)
        again.autosave(path)
        again.user("more")
        assert len(History.load(path)) == 3

    def test_two_histories_never_write_to_one_file(self, tmp_path):
        first, second = self.spoken("a"), self.spoken("a")
        first.autosave(tmp_path / "talk.jsonl")
        with pytest.raises(HistoryError, match="another conversation saves itself"):
            second.autosave(tmp_path / "talk.jsonl")


@pytest.mark.parametrize("upto", [2, 4])
def test_a_conversation_that_ends_with_a_reply_can_be_compacted(upto):
    history = talk("one", message(THINKING, text("1")), "two", message(THINKING, text("2")))
    history.compact("It was about numbers.", upto)
    history.user("and now?")
    words = [block.get("text") for each in history.request()["messages"] for block in each["content"]]
    assert words[0] == "It was about numbers."
    assert words[-1] == "and now?"
    assert ("2" in words) == (upto == 2)


def test_only_branches_can_be_switched_to():
    history = talk("one", message(text("1")), "two", message(text("2")))
    with pytest.raises(HistoryError, match=r"there is no branch 0; the branches are \[3\]"):
        history.switch(0)
    assert len(history) == 4
    history.undo()
    other = next(branch for branch in history.branches() if not branch.current)
    history.switch(other.number)
    assert len(history) == 4
