import json
import os
from pathlib import Path

import nbformat
import pytest

from claude_nb import tutorials
from claude_nb.cli import main
from claude_nb.errors import ClaudeNbError
from claude_nb.ledger import Ledger
from claude_nb.progress import marks

SETUP = "from claude_nb import MODEL, Chat, connect\nfrom claude_nb.lessons import check\nclient = connect()"
ASK = 'client.messages.create(model=MODEL, max_tokens={}, messages=[{{"role": "user", "content": "Say hello."}}])'
RIGHT = f'check("01-1", {ASK.format(1000)})'


def notebook(folder: Path, *cells: str) -> Path:
    path = folder / "01_first_call.ipynb"
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (SETUP, *cells)])
    made.cells.insert(0, nbformat.v4.new_markdown_cell("# Make your first call\n\nAnd more."))
    nbformat.write(made, path)
    return path


def test_each_exercise_is_marked_though_other_cells_raise(tmp_path):
    path = notebook(
        tmp_path,
        RIGHT,
        "1 / 0",
        'check("01-2", ...)',
        'raise ValueError("half done")\ncheck("01-3", ...)',
    )
    before = path.read_bytes()
    (first, second, third), broken = marks(path)
    assert (first.exercise, first.passed, first.said) == ("01-1", True, "")
    assert (second.passed, second.said) == (
        False,
        "replace the three dots with your own code, then run the cell again.",
    )
    assert (third.passed, third.said) == (False, "its check did not run.")
    assert broken == [
        "cell 3 raised ZeroDivisionError: division by zero",
        "cell 5 raised ValueError: half done",
    ]
    assert path.read_bytes() == before


def test_what_is_stored_or_printed_proves_nothing(tmp_path):
    path = notebook(tmp_path, 'print("yes, that is it.")\ncheck("01-2", ...)', '# check("01-3", ...)')
    stored = nbformat.read(path, as_version=4)
    stored.cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text="yes, that is it.\n")]
    nbformat.write(stored, path)
    made, broken = marks(path)
    assert [(mark.exercise, mark.passed) for mark in made] == [
        ("01-1", False),
        ("01-2", False),
        ("01-3", False),
    ]
    assert [made[0].said, made[2].said] == ["its check did not run."] * 2
    assert broken == []


def test_a_cell_without_an_end_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("claude_nb.progress._SECONDS", 3)
    path = notebook(tmp_path, "while True:\n    pass", RIGHT)
    made, broken = marks(path)
    assert not made[0].passed
    assert broken == ["cell 2 took longer than 3 seconds; the cells after it were not run"]


def test_nothing_is_sent_even_with_a_key_and_the_ledger_stays_as_it_was(tmp_path, monkeypatch, key):
    """The notebook says itself which mode it was run in."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    monkeypatch.setenv("CLAUDE_NB_MODE", "live")
    proof = tmp_path / "mode.txt"
    path = notebook(tmp_path, RIGHT, f"import os\nopen({str(proof)!r}, 'w').write(client.api_key)")
    assert marks(path)[0][0].passed
    assert proof.read_text() == "sandbox"
    assert os.environ["CLAUDE_NB_MODE"] == "live"
    assert Ledger().frame().empty


def test_a_file_that_is_no_notebook_is_one_clear_error(tmp_path):
    path = tmp_path / "01_first_call.ipynb"
    path.write_text("no notebook")
    with pytest.raises(ClaudeNbError, match="cannot be read as a notebook"):
        marks(path)


def test_the_command_prints_the_marks_and_its_exit_code_says_whether_all_pass(tmp_path, capsys):
    notebook(tmp_path, RIGHT)
    assert main(["tutorials", str(tmp_path), "--check", "--only", "1"]) == 1
    assert capsys.readouterr().out == (
        "01  Make your first call\n"
        "    01-1  yes\n"
        "    01-2  not yet: its check did not run.\n"
        "    01-3  not yet: its check did not run.\n"
        "1 of 3 exercises pass\n"
    )


def test_tutorials_in_the_folder_where_one_stands_are_checked(tmp_path, capsys, monkeypatch):
    (tmp_path / tutorials.FIRST).write_text(json.dumps({"cells": []}))
    monkeypatch.chdir(tmp_path)
    assert main(["tutorials", "--check", "--only", "07"]) == 1
    assert "no tutorial in . begins with '07'" in capsys.readouterr().err


def test_the_list_has_every_tutorial_with_its_title(capsys):
    assert main(["tutorials"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "00  Ask Claude, watch it answer, and see what it costs"
    assert [line[:2] for line in lines[:11]] == [f"{number:02}" for number in range(11)]


def test_a_folder_gets_copies_and_nothing_is_overwritten(tmp_path, capsys):
    (tmp_path / tutorials.FIRST).write_text("mine")
    assert main(["tutorials", str(tmp_path)]) == 0
    assert "files copied to" in capsys.readouterr().out
    assert (tmp_path / tutorials.FIRST).read_text() == "mine"
    assert (tmp_path / "tapes" / "03_system_prompts.jsonl").is_file()
    assert (tmp_path / "solutions").is_dir()
    assert not (tmp_path / "TEACHING.md").exists()


def test_a_teacher_can_leave_the_solutions_out(tmp_path):
    assert main(["tutorials", str(tmp_path), "--no-solutions"]) == 0
    assert (tmp_path / tutorials.FIRST).is_file()
    assert not (tmp_path / "solutions").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "03"], "--only goes with --check"),
        (["empty", "--check"], "there are no tutorials in empty"),
        (["--check"], "there are no tutorials here"),
    ],
)
def test_a_wrong_call_says_what_to_type(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["tutorials", *words]) == 1
    assert said in capsys.readouterr().err
