"""JupyterLab and Notebook 7 in a real Chromium, for tests and for the pictures of the documentation."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",  # the tests' container runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_LAB_SETTINGS = {
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # cells off screen stay in the page
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
_IGNORED = "reading 'schema'"  # Notebook 7.6 throws this on any notebook


@dataclass(frozen=True)
class Server:
    """A running Jupyter server.

    Attributes:
        url: Its address.
        folder: The folder whose notebooks it serves.
    """

    url: str
    folder: Path


@contextmanager
def jupyter(folder: Path, home: Path, *, dark: bool = False, **environment: str) -> Iterator[Server]:
    """Serve the notebooks of ``folder``, with settings and ledger of its own in ``home``."""
    settings = dict(_LAB_SETTINGS)
    if dark:
        settings["@jupyterlab/apputils-extension/themes"] = {"theme": "JupyterLab Dark"}
    for name, value in settings.items():
        path = home / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
    port = free_port()
    variables = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "CLAUDE_NB_MODE": "sandbox",
        "CLAUDE_NB_LEDGER": str(home / "ledger.db"),
        **environment,
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    command += ["--IdentityProvider.token=", "--ServerApp.open_browser=False"]
    command += ["--JupyterNotebookApp.expose_app_in_browser=True"]
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(f"{url}/api/status", process, home / "server.log")
            yield Server(url, folder)
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def chromium(**options: Any) -> Iterator[Any]:
    """A Playwright browser on Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, **options)
        try:
            yield browser
        finally:
            browser.close()


class LabPage:
    """One notebook open in JupyterLab, or in Notebook 7."""

    def __init__(
        self,
        browser: Any,
        server: Server,
        name: str,
        *,
        notebook7: bool = False,
        width: int = 1100,
        height: int = 900,
        listen: bool = False,
        **page: Any,
    ) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": height}, **page)
        self.problems: list[str] = []
        self.frames: list[bytes] = []  # what came over web sockets; with ``listen``
        if listen:
            self.page.on("websocket", lambda socket: socket.on("framereceived", self._hear))
        self.page.set_default_timeout(60_000)
        self.page.on("pageerror", lambda error: self._note(str(error)))
        workspace = time.monotonic_ns()  # a new one has no tabs of the page before
        lab = f"lab/workspaces/w{workspace}/tree"
        self.page.goto(f"{server.url}/{'notebooks' if notebook7 else lab}/{name}")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
        self.page.wait_for_function(_KERNEL_IDLE, timeout=60_000)

    def _hear(self, frame: str | bytes) -> None:
        self.frames.append(frame.encode() if isinstance(frame, str) else frame)

    def _note(self, problem: str) -> None:
        if _IGNORED not in problem:
            self.problems.append(problem)

    def command(self, name: str) -> None:
        """Run one of JupyterLab's commands."""
        self.page.evaluate(
            "name => { window.jupyterapp.commands.execute(name) }", name
        )  # its end is not awaited

    def run_all(self, timeout: float = 120) -> None:
        """Run every cell and wait until each has finished."""
        self.command(
            "notebook:clear-all-cell-outputs"
        )  # takes the counts too, so that new ones can be waited for
        self.command("notebook:run-all-cells")
        self.page.wait_for_function(_ALL_COUNTED, timeout=timeout * 1000)

    def outputs(self) -> str:
        """The text of all outputs on the page."""
        return str(
            self.page.evaluate(
                "[...document.querySelectorAll('.jp-OutputArea')].map(e => e.innerText).join('\\n')"
            )
        )

    def save(self) -> None:
        """Save the notebook and wait until it is on disk."""
        self.command("docmanager:save")
        self.page.wait_for_function("window.jupyterapp.shell.currentWidget.context.model.dirty === false")

    def prepare(self, *, bare: bool = True) -> None:
        """Make the page as tall as the notebook; with ``bare`` hide everything around the cells."""
        self.page.evaluate(_HIDE_SIDEBAR)
        if bare:
            self.page.add_style_tag(content=_BARE)
        height = self.page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollHeight")
        width = self.page.viewport_size["width"]
        self.page.set_viewport_size({"width": width, "height": min(int(height) + 140, 16_000)})
        self.page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
        self.page.wait_for_timeout(800)

    def picture(self, path: Path, *, bare: bool = True) -> Path:
        """A picture of the whole notebook, top to bottom."""
        self.prepare(bare=bare)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(path))
        return path


_HIDE_SIDEBAR = """() => {
  const shell = window.jupyterapp.shell;
  shell.collapseLeft();
  shell.collapseRight();
}"""
_BARE = """
#jp-top-panel, #jp-menu-panel, #jp-bottom-panel, .jp-SideBar, .jp-NotebookPanel-toolbar,
.jp-NotebookPanel-footer, .jp-Notebook-footer, .lm-DockPanel-tabBar, .jp-cell-toolbar { display: none !important }
.jp-Collapser { visibility: hidden }
.jp-Cell { border-color: transparent !important; box-shadow: none !important; background: none !important }
"""
_KERNEL_IDLE = """() => {
  const session = window.jupyterapp?.shell.currentWidget?.sessionContext;
  return session?.isReady && session.session?.kernel?.status === 'idle';
}"""
_ALL_COUNTED = """() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].every(
  prompt => /\\d/.test(prompt.innerText))"""


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    """Wait until a server answers; show its log if it ends before."""
    for _ in range(int(seconds * 5)):
        if process.poll() is not None:
            raise RuntimeError(f"Jupyter ended at its start:\n{log.read_text()[-3000:]}")
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"Jupyter did not answer within {seconds} s:\n{log.read_text()[-3000:]}")
