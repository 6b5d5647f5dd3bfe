"""What strict comparison cannot see: cleared outputs, odd orders, machine paths, keys, widget state."""

import json
import os
import re
import subprocess
import sys
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbval.plugin import IPyNbFile, coalesce_streams

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


def test_what_a_cell_prints_is_one_output(notebook):
    """A kernel may send one line in two pieces; stored so, readers see it broken."""
    for cell in code(notebook):
        kinds = [output.get("name") for output in cell["outputs"]]
        assert not any(kind is not None and kind == after for kind, after in pairwise(kinds)), source(cell)


def test_no_output_is_exempt_from_comparison(path, notebook):
    assert not re.search(r"NBVAL_|nbval-", path.read_text(encoding="utf-8"))


def test_the_first_cell_makes_it_work_in_colab_and_does_nothing_elsewhere(notebook, monkeypatch, tmp_path):
    """IPython runs it as it stands, once as here and once with Colab's modules in place."""
    first, did = source(code(notebook)[0]), []
    shell = InteractiveShell()
    shell.register_magic_function(lambda line: did.append(line), magic_name="pip")
    shell.run_cell(first).raise_error()
    assert did == []
    monkeypatch.chdir(tmp_path)
    colab = ModuleType("google.colab")
    colab.output = SimpleNamespace(enable_custom_widget_manager=lambda: did.append("widgets"))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    shell.run_cell(first).raise_error()
    assert did == ["install -q git+https://github.com/claude-nb/claude_nb", "widgets"]
    assert (tmp_path / "tapes" / "03_system_prompts.jsonl").is_file()


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
    assert 20 <= len(notebook["cells"]) <= 28
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
        for name in re.findall(r"claude-(?!nb)[\w-]+", source(cell)):
            assert name == "claude-3-5-sonnet-20240620"


def texts(output: dict) -> list[tuple[dict, str]]:
    """Where an output holds text that a reader sees: the object and the key."""
    if output["output_type"] == "stream":
        return [(output, "text")]
    if output["output_type"] == "error":
        return [(output, "ename"), (output, "evalue")]
    return [(output["data"], kind) for kind in output["data"] if kind.startswith("text/")]


def changes(text: str) -> set[str]:
    """The text with one number, one stop reason, one table cell or one word changed."""
    found = [*re.finditer(r"(?<![\w.])\d+(?![\w])", text)]
    places = [one.span() for one in (*found[:1], *found[len(found) // 2 :][:1], *found[-1:])]
    places += [one.span() for one in re.finditer(r"finished|end_turn|max_tokens|refusal|tool_use", text)][:1]
    places += [one.span(1) for one in re.finditer(r"<td>([^<]+)</td>", text)][:1]
    places += [one.span() for one in re.finditer(r"\w+", text)][:1]
    return {f"{text[:start]}{'8' if text[start:end] != '8' else '9'}{text[end:]}" for start, end in places}


def test_a_changed_output_would_be_noticed(path, request):
    """Every text of every output, changed in a number, a stop reason, a table cell or a word: the comparison fails."""
    tried = 0
    for item in IPyNbFile.from_parent(request.session, path=path).collect():
        outputs = coalesce_streams(item.cell.get("outputs", []))
        assert item.options["check"]
        for place, output in enumerate(outputs):
            for which, (holder, key) in enumerate(texts(output)):
                for changed in changes(holder[key]):
                    stored = deepcopy(outputs)
                    target, _ = texts(stored[place])[which]
                    target[key] = changed
                    assert not item.compare_outputs(outputs, stored), (key, changed)
                    tried += 1
        assert item.compare_outputs(outputs, deepcopy(outputs))
    assert tried > 30


MUTANTS = {
    '"without a cache: $0': '"without a cache: $1',
    "<td style='text-align:left'>assistant": "<td style='text-align:left'>user",
    "everything: $0": "everything: $1",
    '"end_turn ': '"refusal ',
}


def test_validation_fails_on_a_notebook_with_changed_outputs(tmp_path):
    """The same, end to end: a number, a stop reason, a table's cell and a plot's printed value."""
    for name in ("06_pruning_and_caching.ipynb", "conftest.py"):
        (tmp_path / name).write_bytes((ROOT / "notebooks" / name).read_bytes())
    path = tmp_path / "06_pruning_and_caching.ipynb"
    text = path.read_text(encoding="utf-8")
    for old, new in MUTANTS.items():
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--nbval",
        "--nbval-current-env",
        path,
    ]
    plain = os.environ | {"PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=plain, check=False, timeout=120
    )
    assert f"{len(MUTANTS)} failed" in done.stdout, done.stdout[-2000:]
