import json
from pathlib import Path

import nbformat
import pytest

from claude_nb.cli import main
from claude_nb.scan import scan

KEY = "sk-ant-api03-" + "aB3_x-" * 15 + "QWER"


def places(folder: Path) -> list[tuple[str, str]]:
    leaked, _ = scan([folder])
    return [(one.path.name, one.place) for one in leaked]


def test_a_key_is_found_wherever_a_notebook_can_hold_one(tmp_path):
    cells = [
        nbformat.v4.new_markdown_cell(f"my key is {KEY}"),
        nbformat.v4.new_code_cell(
            f"client = connect(api_key={KEY!r})",
            outputs=[
                nbformat.v4.new_output("stream", text=f"headers: Bearer {KEY}\n"),
                nbformat.v4.new_output("display_data", {"text/html": f"<b>{KEY}</b>"}),
            ],
        ),
        nbformat.v4.new_code_cell("1 + 1", metadata={"note": KEY}),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {"state": {"key": KEY}}})
    nbformat.write(notebook, tmp_path / "a.ipynb")
    assert places(tmp_path) == [
        ("a.ipynb", "metadata"),
        ("a.ipynb", "cell 1"),
        ("a.ipynb", "cell 2"),
        ("a.ipynb", "cell 2, output"),
        ("a.ipynb", "cell 3, metadata"),
    ]


def test_scripts_tapes_and_broken_notebooks_are_read_by_line(tmp_path):
    (tmp_path / "a.py").write_text(f"import x\nKEY = '{KEY}'\n")
    (tmp_path / "b.jsonl").write_text(json.dumps({"headers": KEY}))
    (tmp_path / "c.ipynb").write_text("{" + KEY)
    assert places(tmp_path) == [("a.py", "line 2"), ("b.jsonl", "line 1"), ("c.ipynb", "line 1")]


def test_what_only_looks_like_a_key_or_belongs_there_is_left_alone(tmp_path):
    (tmp_path / "README.md").write_text("Keys begin with sk-ant-api03-... or sk-ant-<yours>")
    (tmp_path / ".env").write_text(f"ANTHROPIC_API_KEY={KEY}")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\xff" + KEY.encode())
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text(KEY)
    assert places(tmp_path) == []
    assert places(tmp_path / ".env") == [(".env", "line 1")]


def test_the_command_names_the_place_never_the_key_and_its_exit_code_says_it(tmp_path, capsys):
    (tmp_path / "a.py").write_text(KEY)
    assert main(["scan", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert f"{tmp_path / 'a.py'}: line 1: sk-ant-api03-…QWER" in out
    assert KEY not in out
    assert "Revoke it" in out
    (tmp_path / "a.py").write_text("clean")
    assert main(["scan", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "1 file read, no key found\n"


def test_a_path_that_is_not_there_is_an_error(capsys):
    assert main(["scan", "nowhere"]) == 1
    assert "nowhere does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["notebooks", "tests", "claude_nb"])
def test_this_project_holds_no_key(folder):
    leaked, read = scan([Path(__file__).parent.parent / folder])
    assert [one for one in leaked if one.path.suffix in (".ipynb", ".jsonl", ".md")] == []
    assert read > 10
