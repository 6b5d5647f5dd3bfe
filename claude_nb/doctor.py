"""``claude-nb doctor``: what was found, from where, and what is wrong. It never shows a key."""

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from .client import MODE_VARIABLE, MODES
from .credentials import BASE_URL, find_credential, find_dotenv, notebook_folder, without_secrets
from .errors import ClaudeNbError

Mark = Literal["ok", "note", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, how it stands, and what to do if it is wrong."""

    topic: str
    mark: Mark
    text: str


def report() -> list[Finding]:
    """Look at everything that can keep the package from working, and give a finding a line."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _versions,
        _credential,
        _dotenv,
        _ledger,
        _front_end,
    )
    return [finding for check in checks for finding in check()]


def _versions() -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    mark: Mark = "ok" if sys.version_info >= (3, 11) else "wrong"
    yield Finding("python", mark, python if mark == "ok" else f"{python}: claude_nb needs 3.11 or newer")
    for package in ("claude_nb", "anthropic", "genai-prices"):
        installed = _version(package)
        yield Finding(package, "ok" if installed else "wrong", installed or f"missing: pip install {package}")


def _credential() -> Iterator[Finding]:
    base_url = os.environ.get(BASE_URL) or None
    mode = os.environ.get(MODE_VARIABLE)
    if mode and mode not in MODES:
        yield Finding(
            "mode", "wrong", f"{MODE_VARIABLE} is {mode!r}; it is one of {', '.join(MODES)}, or unset"
        )
    elif mode:
        yield Finding("mode", "note", f"{mode}, by the environment variable {MODE_VARIABLE}")
    try:
        found = find_credential(base_url=base_url)
    except ClaudeNbError as error:
        yield Finding("key", "wrong", str(error))
        return
    if found is None:
        wanted = mode == "live"
        text = (
            "none found, and live mode needs one"
            if wanted
            else "none found: connect() uses the offline sandbox"
        )
        yield Finding("key", "wrong" if wanted else "note", text)
        return
    masked = f" ({found.secret.masked})" if found.secret else ""
    yield Finding("key", "ok", f"{found.kind} from {found.source}{masked}")
    if address := found.base_url or base_url:
        yield Finding("server", "note", f"{without_secrets(address)} instead of Anthropic's")


def _dotenv() -> Iterator[Finding]:
    path = find_dotenv(notebook_folder())
    if path is None:
        yield Finding(".env", "note", "none in this folder or above it")
    elif (ignored := _git_ignores(path)) is None:
        yield Finding(".env", "ok", f"{path}, in no git repository")
    elif ignored == "tracked":
        advice = (
            f"git rm --cached {path.name}, commit, and revoke the key in the Console: it is in the history"
        )
        yield Finding(".env", "wrong", f"{path} is in the git repository: {advice}")
    elif ignored == "ignored":
        yield Finding(".env", "ok", f"{path}, ignored by git")
    else:
        yield Finding(".env", "wrong", f"{path} is NOT ignored by git: add a line with .env to .gitignore")


def _git_ignores(path: Path) -> Literal["ignored", "open", "tracked"] | None:
    """How git treats the file; None where no repository or no git is."""
    git = shutil.which("git")
    if git is None:
        return None

    def ask(*words: str) -> int:
        command = [git, "-C", str(path.parent), *words]
        return subprocess.run(command, capture_output=True, check=False).returncode  # noqa: S603 - fixed words

    if ask("rev-parse", "--is-inside-work-tree") != 0:
        return None
    if ask("ls-files", "--error-unmatch", path.name) == 0:
        return "tracked"
    return "ignored" if ask("check-ignore", "-q", path.name) == 0 else "open"


def _ledger() -> Iterator[Finding]:
    from .ledger import Ledger

    try:
        ledger = Ledger()
    except ClaudeNbError as error:  # only the environment can name one that is none
        yield Finding("ledger", "wrong", f"CLAUDE_NB_LEDGER in the environment: {error}")
        return
    with warnings.catch_warnings(action="ignore"):  # what a warning would say is in the report
        health = ledger.health()
    if health.last_error:
        yield Finding("ledger", "wrong", f"{health.ledger} cannot be written: {health.last_error}")
    else:
        yield Finding("ledger", "ok", f"{ledger.location}, writable")
    if health.waiting:
        yield Finding("ledger", "note", f"{health.waiting} rows wait beside it for the next healthy opening")


def _front_end() -> Iterator[Finding]:
    for package, purpose in (
        ("jupyterlab", "claude-nb lab"),
        ("notebook", "Notebook 7"),
        ("ipykernel", "notebooks"),
    ):
        installed = _version(package)
        text = installed or f'not installed, needed for {purpose}: pip install "claude_nb[lab]"'
        yield Finding(package, "ok" if installed else "note", text)
    for package in ("ipywidgets", "anywidget"):
        installed = _version(package)
        text = installed or f"missing, replies show as plain text: pip install {package}"
        yield Finding(package, "ok" if installed else "wrong", text)
    bundle = find_spec("claude_nb.widgets")
    script = Path(str(bundle.origin)).parent / "static" / "stream.js" if bundle else None
    there = script is not None and script.is_file()
    yield Finding(
        "widget",
        "ok" if there else "wrong",
        "bundle present" if there else "its script is missing: reinstall",
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
