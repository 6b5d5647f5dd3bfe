import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from pydantic import BaseModel
from traitlets.config import Config

from claude_nb import MODEL, Chat, Sandbox, connect
from claude_nb.errors import ModelError, PromptError
from claude_nb.magics import ClaudeMagics, fill, load_ipython_extension


class Person(BaseModel):
    name: str
    born: int


@pytest.fixture
def shell():
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    load_ipython_extension(shell)
    yield shell
    InteractiveShell.clear_instance()


@pytest.fixture
def sandbox(shell):
    sandbox = Sandbox()
    magics(shell)._client = connect(sandbox=sandbox, quiet=True)
    return sandbox


def magics(shell) -> ClaudeMagics:
    return shell.magics_manager.registry["ClaudeMagics"]


def cell(shell, text: str) -> None:
    result = shell.run_cell(text)
    result.raise_error()


def asked(sandbox, request: int = -1) -> list:
    return sandbox.requests[request]["messages"][-1]["content"]


class TestTheCell:
    def test_its_text_is_the_prompt_and_the_reply_is_shown(self, shell, sandbox, capsys):
        cell(shell, "%%claude\nWhat is a token?")
        assert asked(sandbox) == [{"type": "text", "text": "What is a token?"}]
        assert "sandbox" in capsys.readouterr().out

    def test_flags_set_model_system_and_ceiling(self, shell, sandbox):
        cell(shell, '%%claude --model claude-opus-4-8 --system "Be brief, please." --max-tokens 99\nhi')
        seen = sandbox.requests[0]
        assert (seen["model"], seen["system"], seen["max_tokens"]) == (
            "claude-opus-4-8",
            "Be brief, please.",
            99,
        )

    def test_cells_stand_alone_unless_they_name_a_chat(self, shell, sandbox):
        cell(shell, "%%claude\none")
        cell(shell, "%%claude\ntwo")
        cell(shell, "%%claude --chat talk\nthree")
        cell(shell, "%%claude --chat talk\nfour")
        assert [len(body["messages"]) for body in sandbox.requests] == [1, 1, 1, 3]
        assert isinstance(shell.user_ns["talk"], Chat)

    def test_a_chat_made_in_python_can_be_named(self, shell):
        own = Sandbox()
        shell.user_ns["mine"] = Chat(connect(sandbox=own, quiet=True), system="Be kind.", display=False)
        cell(shell, "%%claude --chat mine\nhi")
        assert own.requests[0]["system"] == "Be kind."

    def test_the_reply_goes_into_a_variable(self, shell, sandbox):
        cell(shell, "%%claude --to reply\nhi")
        assert shell.user_ns["reply"].stop_reason == "end_turn"

    def test_a_value_is_extracted(self, shell, sandbox):
        shell.user_ns["Person"] = Person
        cell(shell, "%%claude --extract Person --to ada\nAda was born in 1815.")
        assert shell.user_ns["ada"] == Person(name="Ada", born=1815)
        cell(shell, "%%claude --extract list[Person] --to people\nAda was born in 1815.")
        assert shell.user_ns["people"][0].born == 1815

    @pytest.mark.parametrize(
        ("line", "error"),
        [
            ("--colour red", UsageError),
            ("--to 5x", UsageError),
            ("--chat pd", UsageError),
            ("--max-tokens many", UsageError),
            ("--model claude-3-5-sonnet-20240620", ModelError),
        ],
    )
    def test_a_wrong_flag_is_one_clear_error_and_nothing_is_sent(self, shell, sandbox, line, error):
        shell.user_ns["pd"] = pd
        with pytest.raises(error):
            cell(shell, f"%%claude {line}\nhi")
        assert not sandbox.requests

    def test_a_second_system_prompt_for_a_chat_is_refused(self, shell, sandbox):
        cell(shell, "%%claude --chat talk\nhi")
        with pytest.raises(UsageError, match="has its system prompt already"):
            cell(shell, "%%claude --chat talk --system x\nhi")

    def test_an_empty_cell_is_one_clear_error(self, shell, sandbox):
        with pytest.raises(PromptError):
            cell(shell, "%%claude\n  \n")


class TestVariables:
    def test_they_are_inserted_only_where_they_are_named(self, shell, sandbox, monkeypatch):
        monkeypatch.setenv("SECRET", "hunter2")
        shell.user_ns |= {"name": "Ada", "sales": pd.DataFrame({"n": [1, 2]})}
        cell(shell, "%%claude\nDear {{name}}, {name} $name $SECRET {0} %s {{ sales }}!")
        assert asked(sandbox)[0]["text"] == "Dear Ada, {name} $name $SECRET {0} %s n\n1\n2\n!"

    def test_what_is_inserted_is_not_read_again(self):
        assert fill("{{a}}", {"a": "{{b}} {b}", "b": "secret"}) == "{{b}} {b}"

    def test_a_figure_goes_in_as_an_image_between_the_words(self, shell, sandbox):
        from matplotlib.figure import Figure

        shell.user_ns["plot"] = Figure(figsize=(1, 1))
        cell(shell, "%%claude\nLook at {{plot}} and describe it.")
        assert [block["type"] for block in asked(sandbox)] == ["text", "image", "text"]

    def test_a_name_that_is_missing_is_one_clear_error(self, shell, sandbox):
        with pytest.raises(PromptError, match=r"\{\{nobody\}\} names no variable"):
            cell(shell, "%%claude\nHello {{nobody}}")
        assert not sandbox.requests

    @pytest.mark.parametrize("value", [pd, len, Person])
    def test_what_says_nothing_as_text_is_one_clear_error(self, value):
        with pytest.raises(PromptError, match="says nothing as text"):
            fill("{{thing}}", {"thing": value})

    def test_the_environment_is_no_source(self, monkeypatch):
        monkeypatch.setenv("SECRET", "hunter2")
        with pytest.raises(PromptError):
            fill("{{SECRET}}", {})

    def test_attributes_and_calls_are_left_as_text(self):
        assert fill("{{a.b}} {{f()}} {{1}}", {"a": "x", "f": "y"}) == "{{a.b}} {{f()}} {{1}}"

    def test_the_line_is_not_expanded_either(self, shell, sandbox):
        shell.user_ns["secret"] = "hunter2"
        cell(shell, "%%claude --system '{secret} $secret'\nhi")
        assert sandbox.requests[0]["system"] == "{secret} $secret"

    @given(st.text().filter(lambda text: "{{" not in text))
    def test_text_without_names_stays_as_it_is(self, text):
        assert fill(text, {}) == text.strip()


class TestTheLine:
    def test_spend_gives_what_this_session_cost(self, shell, sandbox):
        cell(shell, "%%claude\nhi")
        assert "simulated, not billed" in str(shell.run_line_magic("claude", "spend"))

    def test_history_gives_the_last_conversation(self, shell, sandbox):
        with pytest.raises(UsageError, match="no conversation yet"):
            shell.run_line_magic("claude", "history")
        cell(shell, "%%claude\nhi")
        assert len(shell.run_line_magic("claude", "history")) == 2

    def test_model_shows_and_sets_the_default(self, shell, sandbox):
        assert shell.run_line_magic("claude", "model") == MODEL
        shell.run_line_magic("claude", "model claude-opus-4-8")
        cell(shell, "%%claude\nhi")
        assert sandbox.requests[0]["model"] == "claude-opus-4-8"

    @pytest.mark.parametrize(
        "command", ["%claude model claude-opus-55", "%%claude --model claude-opus-55\nhi"]
    )
    def test_a_model_that_is_not_known_is_taken_with_a_warning(self, shell, sandbox, command):
        with pytest.warns(UserWarning, match=r"claude-opus-55 is not among .* Did you mean claude-opus-5-5"):
            shell.run_cell(command)

    def test_anything_else_says_what_there_is(self, shell):
        with pytest.raises(UsageError, match="spend, history, model"):
            shell.run_line_magic("claude", "dance")

    def test_without_a_client_the_cell_connects_itself_once(self, shell, capsys):
        cell(shell, "%%claude\nhi")
        cell(shell, "%%claude\nhi")
        assert capsys.readouterr().out.count("claude_nb: sandbox.") == 1

    def test_flags_and_words_complete(self, shell):
        assert "--model" in shell.complete("--m", "%%claude --m", 12)[1]
        assert "spend" in shell.complete("sp", "%claude sp", 10)[1]
        assert MODEL in shell.complete("claude-", "%%claude --model claude-", 24)[1]
