import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

import claude_nb

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "notebooks/TEACHING.md")]
HEAVY = ("matplotlib", "pandas", "sqlalchemy", "genai_prices", "IPython", "anywidget", "anthropic", "httpx2")


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_names_promised_are_the_names_there():
    assert len(set(claude_nb.__all__)) == len(claude_nb.__all__)
    for name in claude_nb.__all__:
        assert getattr(claude_nb, name) is not None
    assert set(dir(claude_nb)) == {*claude_nb.__all__, "__version__"}
    public = {
        name
        for name, value in vars(claude_nb).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    hooks = {"load_ipython_extension"}  # IPython's name for it
    assert public - {"TYPE_CHECKING", "Any", "import_module"} - hooks <= set(claude_nb.__all__)


def test_the_face_stays_small():
    twins = {"acompare", "aextract_many", "connect_async", "watch_async"}
    assert len(set(claude_nb.__all__) - twins) <= 13


def test_the_names_stand_in_their_order():
    constants, rest = claude_nb.__all__[:1], claude_nb.__all__[1:]
    assert constants == ["MODEL"]
    assert rest == sorted(rest)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        claude_nb.nothing  # noqa: B018 - asking is the test


def test_importing_it_loads_nothing_heavy():
    loaded = python(f"import sys, claude_nb; print([name for name in {HEAVY} if name in sys.modules])")
    assert loaded == "[]\n"


def test_rooms_are_loaded_on_first_use_in_any_order():
    python(
        "import claude_nb.client, claude_nb.stream; from claude_nb import connect, watch; assert callable(connect)"
    )


def test_every_public_name_says_what_the_reader_gets():
    for name in claude_nb.__all__:
        thing = getattr(claude_nb, name)
        if not isinstance(thing, str):
            assert (thing.__doc__ or "").strip(), name


def test_types_are_shipped():
    assert (ROOT / "claude_nb" / "py.typed").is_file()


def test_rooms_import_only_from_floors_below():
    """The floors, bottom first. A room may import from its own floor's left and from below."""
    floors = [
        ["errors", "models"],
        ["credentials", "sandbox", "outcome", "turn", "join", "mend", "attach", "steps", "options"],
        ["waiting", "ledger", "bill"],
        ["plots", "footer", "widgets"],
        ["screens", "showing", "columns", "bar", "results", "asking", "tools", "mcp"],
        ["anatomy", "stream", "client", "history", "trim"],
        ["servers", "frames", "loop", "shape", "doing"],
        ["batch", "extract", "app", "conversation", "chat"],
        ["answers", "comparison", "lab"],
        ["lessons", "tutorials", "progress", "scan", "doctor", "spend", "magics"],
        ["cli"],
        ["__main__"],
    ]
    height = {room: level for level, rooms in enumerate(floors) for room in rooms}
    for path in (ROOT / "claude_nb").rglob("*.py"):
        parts = path.relative_to(ROOT / "claude_nb").with_suffix("").parts
        room = parts[0]
        if room == "__init__":
            continue
        here = r"(?:\.\.|claude_nb\.)" if len(parts) > 1 else r"(?:\.|claude_nb\.)"
        for other in re.findall(rf"^\s*from {here}(\w+)[\w.]* import", path.read_text(), re.MULTILINE):
            assert height[other] <= height[room], f"{path.name} imports from {other}, which is above it"


def test_what_teachers_are_told_to_type_runs(monkeypatch, tmp_path):
    """All Python of the teachers' page but the live recording, in one go, with calls where clients are made."""
    page = (ROOT / "notebooks" / "TEACHING.md").read_text(encoding="utf-8")
    blocks = [
        block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "record=" not in block
    ]
    assert len(blocks) == 3
    ask = "client.messages.create(model='claude-haiku-5-5', max_tokens=900, messages=[dict(role='user', content='hi')])"
    monkeypatch.setenv("MPLBACKEND", "agg")
    python(f"{blocks[0]}\n{ask}\n{blocks[1]}\n{blocks[2].replace('seconds=3', 'seconds=0')}\n{ask}")


class TestReadme:
    def test_its_snippet_runs_as_written(self):
        snippet = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
        shown = re.search(r"```text\n(.*?)```", README, re.DOTALL).group(1)
        assert python(snippet).strip() == shown.strip()

    @pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
    def test_its_links_and_images_exist(self, page):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r'src(?:set)?="([^"]+)"', text):
            if not target.startswith(("http://", "https://", "mailto:")):
                assert (page.parent / target).exists(), target

    def test_it_is_short(self):
        prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
        assert len(re.findall(r"\b[A-Za-z][\w'-]*", re.sub(r"\]\([^)]*\)", "]", prose))) <= 350

    def test_the_commands_for_tests_are_those_that_ci_runs(self):
        command = 'python -m pip install -e ".[dev]" && python -m pytest'
        assert command in README
        assert "README.md" in (ROOT / ".ci" / "run").read_text()


def test_no_dependency_came_in_unnoticed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.match(r"[\w-]+", line).group().lower() for line in project["dependencies"]}
    assert names == {
        "anthropic",
        "python-dotenv",
        "ipywidgets",
        "anywidget",
        "markdown-it-py",
        "matplotlib",
        "pandas",
        "genai-prices",
        "sqlalchemy",
        "platformdirs",
    }


def test_the_env_file_is_ignored_and_its_example_is_not():
    patterns = (ROOT / ".gitignore").read_text().splitlines()
    assert ".env" in patterns
    assert "!.env.example" in patterns
    assert (ROOT / ".env.example").read_text().rstrip().endswith("ANTHROPIC_API_KEY=")
