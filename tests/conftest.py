"""Every test starts without a key, without a .env above it, and with a ledger of its own."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts a job in the background
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # what is tested, and its children, can be interrupted

FAKE_KEY = "sk-ant-api03-" + "A1b2C3d4" * 11 + "-fAkEkEy0AA"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in list(os.environ):
        if name.startswith(("ANTHROPIC_", "CLAUDE_NB_", "JPY_SESSION")):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", "")
    monkeypatch.setenv("CLAUDE_NB_LEDGER", str(home / "ledger.db"))
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))


@pytest.fixture
def key() -> str:
    """A key of the right form that opens nothing."""
    return FAKE_KEY


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine to its end."""
    return asyncio.run


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the project."""
    return Path(__file__).parent.parent
