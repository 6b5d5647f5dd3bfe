import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import anthropic
import pytest
from replay import ASK

from claude_nb import __version__, connect, tutorials
from claude_nb.cli import main
from claude_nb.doctor import report


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def git(*words: str) -> None:
    subprocess.run(["git", *words], check=True, capture_output=True)


class TestDoctor:
    def test_without_a_key_nothing_is_wrong(self, capsys):
        assert main(["doctor"]) == 0
        out = capsys.readouterr().out
        assert "note   key           none found: connect() uses the offline sandbox" in out
        assert out.endswith("nothing is wrong\n")

    def test_it_tells_versions_ledger_and_front_end(self):
        topics = {finding.topic: finding for finding in report()}
        assert {"python", "claude_nb", "anthropic", "ledger", "jupyterlab", "anywidget", "widget"} <= set(
            topics
        )
        assert topics["ledger"].text == f"{os.environ['CLAUDE_NB_LEDGER']}, writable"

    def test_a_key_is_masked_and_its_source_named(self, monkeypatch, capsys, key):
        monkeypatch.setenv("ANTHROPIC_API_KEY", key)
        assert main(["doctor"]) == 0
        out = capsys.readouterr().out
        assert f"api_key from the environment (sk-ant-api03-…{key[-4:]})" in out
        assert key not in out

    def test_a_malformed_key_is_wrong_and_the_exit_code_says_so(self, monkeypatch, capsys, key):
        monkeypatch.setenv("ANTHROPIC_API_KEY", f'"{key}"')
        assert main(["doctor"]) == 1
        out = capsys.readouterr().out
        assert "WRONG  key           ANTHROPIC_API_KEY in the environment has quotation marks" in out
        assert key not in out

    @pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
    @pytest.mark.parametrize(
        ("ignored", "tracked", "says"),
        [
            (True, False, "ignored by git"),
            (False, False, "add a line with .env to .gitignore"),
            (True, True, "git rm --cached .env, commit, and revoke the key"),
        ],
    )
    def test_a_dotenv_that_git_would_publish_is_wrong(self, key, capsys, ignored, tracked, says):
        git("init", "-q")
        Path(".env").write_text(f"ANTHROPIC_API_KEY={key}\n")
        if tracked:
            git("add", "-f", ".env")
        if ignored:
            Path(".gitignore").write_text(".env\n")
        assert main(["doctor"]) == (0 if ignored and not tracked else 1)
        assert says in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("mode", "code", "says"),
        [
            ("lve", 1, "CLAUDE_NB_MODE is 'lve'"),
            ("live", 1, "none found, and live mode needs one"),
            ("sandbox", 0, "sandbox, by the environment variable CLAUDE_NB_MODE"),
        ],
    )
    def test_a_mode_in_the_environment_is_told(self, monkeypatch, capsys, mode, code, says):
        monkeypatch.setenv("CLAUDE_NB_MODE", mode)
        assert main(["doctor"]) == code
        assert says in capsys.readouterr().out

    def test_secrets_in_an_address_are_not_shown(self, monkeypatch, capsys):
        monkeypatch.setenv("ANTHROPIC_API_KEY", "local")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://user:hidden@127.0.0.1:1/?token=hidden")
        main(["doctor"])
        connect()
        out = capsys.readouterr().out
        assert "http://127.0.0.1:1/" in out
        assert "hidden" not in out

    def test_a_ledger_that_cannot_be_written_is_wrong(self, monkeypatch, capsys, tmp_path):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("CLAUDE_NB_LEDGER", str(tmp_path / "file" / "ledger.db"))
        assert main(["doctor"]) == 1
        assert re.search(r"WRONG  ledger .*cannot be written", capsys.readouterr().out)

    def test_an_address_that_is_no_ledger_is_one_wrong_line_among_the_others(self, monkeypatch, capsys):
        monkeypatch.setenv("CLAUDE_NB_LEDGER", "mysql://me:hidden@x/y")
        assert main(["doctor"]) == 1
        out = capsys.readouterr().out
        assert "WRONG  ledger        CLAUDE_NB_LEDGER in the environment: A ledger lives in SQLite" in out
        assert "widget        bundle present" in out
        assert out.endswith("1 to mend\n")
        assert "hidden" not in out


class TestTutorials:
    def test_they_are_copied_and_nothing_is_overwritten(self, tmp_path):
        folder = tmp_path / "mine"
        assert tutorials.FIRST in {path.name for path in tutorials.copy_to(folder)}
        (folder / tutorials.FIRST).write_text("my own work")
        (folder / "01_first_call.ipynb").unlink()
        assert [path.name for path in tutorials.copy_to(folder)] == ["01_first_call.ipynb"]
        assert (folder / tutorials.FIRST).read_text() == "my own work"

    def test_what_is_only_for_the_project_is_left_out(self, tmp_path):
        assert "conftest.py" not in {path.name for path in tutorials.copy_to(tmp_path)}


class TestLab:
    def test_it_serves_the_first_tutorial_headless(self, tmp_path):
        port = free_port()
        folder = tmp_path / "lessons"
        command = [
            sys.executable,
            "-m",
            "claude_nb.cli",
            "lab",
            str(folder),
            "--no-browser",
            "--port",
            str(port),
        ]
        environment = {**os.environ, "JUPYTER_TOKEN": "letmein"}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{port}/api/contents/{tutorials.FIRST}?token=letmein&content=0"
            assert tutorials.FIRST in fetched(address, process)
        finally:
            process.terminate()
            process.wait(15)

    def test_a_signal_ends_jupyter_itself(self, tmp_path):
        command = [
            sys.executable,
            "-m",
            "claude_nb.cli",
            "lab",
            str(tmp_path / "a"),
            "--no-browser",
            "--port",
        ]
        process = subprocess.Popen(
            [*command, str(port := free_port())], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        fetched(f"http://127.0.0.1:{port}/api", process)
        process.terminate()
        process.wait(20)
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))  # nobody listens there any more

    def test_a_file_in_place_of_the_folder_is_named(self, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        assert main(["lab", str(tmp_path / "file")]) == 1
        assert "is a file" in capsys.readouterr().err

    def test_without_a_folder_it_opens_copies_so_that_a_clone_stays_clean(
        self, tmp_path, monkeypatch, capsys
    ):
        opened = []
        monkeypatch.setattr("claude_nb.cli._become", lambda command: opened.append(command) or 0)
        monkeypatch.chdir(tmp_path)
        assert main(["lab"]) == 0
        assert str(Path("claude_nb_tutorials") / tutorials.FIRST) in opened[0]
        assert (tmp_path / "claude_nb_tutorials" / "tapes").is_dir()
        assert "files copied to claude_nb_tutorials" in capsys.readouterr().out

    def test_without_jupyterlab_it_says_what_to_install(self, monkeypatch, capsys):
        monkeypatch.setattr("claude_nb.cli.find_spec", lambda name: None)
        assert main(["lab"]) == 1
        assert 'python -m pip install "claude_nb[lab]"' in capsys.readouterr().err


class TestServe:
    def test_it_answers_any_client_and_ends_cleanly_on_ctrl_c(self):
        command = [sys.executable, "-m", "claude_nb.cli", "serve", "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline()).group()
            client = anthropic.Anthropic(api_key="any", base_url=address)
            assert "sandbox" in client.messages.create(**ASK).content[-1].text
        finally:
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=15)
        assert process.returncode == 0
        assert "Traceback" not in out

    def test_a_taken_port_and_a_missing_tape_are_said_plainly(self, capsys):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            assert main(["serve", "--port", str(taken.getsockname()[1])]) == 1
        assert main(["serve", "--port", "99999"]) == 1
        assert main(["serve", "--tape", "nowhere.jsonl"]) == 1
        Path("leak.py").write_text("hi,hello\n")
        assert main(["serve", "--tape", "leak.py"]) == 1
        out = capsys.readouterr()
        assert "nowhere.jsonl" in out.err
        assert "claude-nb: leak.py is not a tape" in out.err
        assert "Traceback" not in out.out + out.err

    def test_a_torn_tape_is_told_in_one_line_without_source_code(self, capsys):
        Path("torn.jsonl").write_text('{"prompt": "Hello", "reply": "Hi"}\n{"prompt": "Hel')
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            main(["serve", "--tape", "torn.jsonl", "--port", str(taken.getsockname()[1])])
        torn, port = capsys.readouterr().err.splitlines()
        assert torn.startswith("claude-nb: torn.jsonl: line 2 is torn and was skipped")
        assert port.startswith("claude-nb: ")


def fetched(address: str, process: subprocess.Popen) -> str:
    """What the server answers, once it is up."""
    for _ in range(300):
        assert process.poll() is None, process.stdout.read().decode()[-2000:]
        try:
            return urllib.request.urlopen(address, timeout=5).read().decode()
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server did not answer within a minute")


def test_the_package_itself_is_the_command_too():
    said = subprocess.check_output([sys.executable, "-m", "claude_nb", "--version"], text=True)
    assert said == f"claude-nb {__version__}\n"


def test_a_bad_call_shows_the_usage(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["nonsense"])
    assert caught.value.code == 2
    assert "usage: claude-nb" in capsys.readouterr().err
