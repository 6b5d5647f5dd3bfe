"""What strict comparison cannot see: cleared outputs, odd orders, machine paths, keys, widget state."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request) -> Path:
    return request.param


@pytest.fixture
def notebook(path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell: dict) -> str:
    return "".join(cell["source"])


def code(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def prose(notebook: dict) -> str:
    return "\n".join(source(cell) for cell in notebook["cells"] if cell["cell_type"] == "markdown")


def test_there_are_notebooks():
    assert "00_start_here" in {path.stem for path in NOTEBOOKS}


def test_every_cell_was_executed_in_order(notebook):
    """Strict validation passes a notebook whose outputs were cleared; this does not."""
    counts = [cell["execution_count"] for cell in code(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_every_call_that_shows_something_has_its_output(notebook):
    for cell in code(notebook):
        if re.search(r"\b(watch|show|check|print|send)\(", source(cell)):
            assert cell["outputs"], source(cell)


def test_no_output_is_exempt_from_comparison(path, notebook):
    assert not re.search(r"NBVAL_|nbval-", path.read_text(encoding="utf-8"))


def test_only_cells_that_say_so_raise(notebook):
    for cell in code(notebook):
        raised = any(output["output_type"] == "error" for output in cell["outputs"])
        assert raised == ("raises-exception" in cell["metadata"].get("tags", []))


def test_nothing_of_a_machine_a_key_or_a_widget_is_saved(path, notebook):
    text = path.read_text(encoding="utf-8")
    assert "widgets" not in notebook["metadata"]
    assert "application/vnd.jupyter.widget" not in text
    assert not re.search(r"/(home|root|tmp|Users|work|usr)/\w", text)
    assert not re.search(r"\b0x[0-9a-f]{6,}", text)
    assert not re.search(r"sk-ant-(api|admin|oat)\d", text)


def test_it_is_small_and_has_no_attachments(path, notebook):
    assert path.stat().st_size <= 300_000
    assert not any(cell.get("attachments") for cell in notebook["cells"])


def test_it_has_the_form_of_a_tutorial(notebook):
    text = prose(notebook)
    assert 20 <= len(notebook["cells"]) <= 30
    assert text.startswith("# ")
    assert "**You'll be able to**" in text
    assert text.count("**Predict.**") == text.count("**Look.**") == 3
    for heading in ("## Break it on purpose", "## Check yourself", "## Your turn", "## Recap"):
        assert heading in text
    assert "**In practice.**" in text
    assert "**Next:**" in text
    assert all(len(source(cell).splitlines()) <= 12 for cell in code(notebook))


def test_its_links_and_pictures_exist_and_pictures_have_words(path, notebook):
    text = prose(notebook)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not target.startswith("https://"):
            assert (path.parent / target).exists(), target
    assert all(len(words) > 20 for words in re.findall(r"!\[([^\]]*)\]", text))


def test_the_model_is_named_in_one_place_only(notebook):
    """A retirement is then one line. Naming a retired one to show the error is fine."""
    for cell in code(notebook):
        for name in re.findall(r"claude-[\w-]+", source(cell)):
            assert name == "claude-3-5-sonnet-20240620"
