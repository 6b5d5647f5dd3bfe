"""The chat window as a reader uses it, in JupyterLab and Notebook 7 on a real Chromium."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from lab import CHROMIUM, LabPage, Server, chromium, jupyter
from nbclient import NotebookClient

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it, or name one in CHROMIUM"),
]
SCREENSHOTS = Path(__file__).parent / "screenshots"

OPEN = """
from claude_nb import Chat, Sandbox, connect, tool

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"

@tool(confirm=True)
def weather(city: str) -> str:
    "The weather in a city."
    return f"Sunny in {city}. {HOSTILE}"

def reply(body):
    said = str(body["messages"][-1]["content"])
    if "weather" in said and "tool_result" not in said:
        return [{"type": "tool_use", "name": "weather", "input": {"city": HOSTILE}}]
    return "It is **sunny**. " + HOSTILE if "tool_result" in said else None

chat = Chat(connect(sandbox=Sandbox(pace="80 tok/s", replies=reply), quiet=True), tools=[weather])
chat.app()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    folder, home = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("jupyter")
    with jupyter(folder, home) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


def written(server: Server, name: str, *cells: str) -> str:
    """A notebook of these cells in the served folder."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, server.folder / name)
    return name


class App:
    """The window in a notebook, and a reader with a keyboard."""

    def __init__(self, browser: Any, server: Server, name: str, *, run: bool = True, **page: Any) -> None:
        self.lab = LabPage(browser, server, name, **page)
        self.page = self.lab.page
        self.page.on("dialog", lambda dialog: self.lab.problems.append(f"script ran: {dialog.message}"))
        if run:
            self.lab.command("notebook:run-cell-and-select-next")
        self.field = self.page.get_by_role("textbox", name="Message")
        self.field.wait_for(timeout=60_000)
        self.page.locator(".cnb-transcript").wait_for(state="hidden")

    def keeps(self, text: str) -> None:
        """Wait until the transcript, which follows the reply by a message, holds the text."""
        self.page.wait_for_function(
            "text => document.querySelector('.cnb-transcript')?.textContent.includes(text)", arg=text
        )

    def say(self, text: str) -> None:
        self.send(text)
        self.idle()

    def send(self, text: str) -> None:
        self.field.fill(text)
        self.field.press("Enter")
        self.page.wait_for_function("!document.querySelector('.cnb-app-area').readOnly", timeout=20_000)

    def idle(self) -> None:
        self.page.get_by_role("button", name="Send", exact=True).wait_for(timeout=30_000)

    def shows(self, text: str) -> None:
        self.page.wait_for_function(
            "text => document.querySelector('.cnb-app-talk').innerText.includes(text)",
            arg=text,
            timeout=20_000,
        )

    @property
    def talk(self) -> str:
        return str(self.page.locator(".cnb-app-talk").inner_text())

    def close(self) -> None:
        problems = [
            problem for problem in self.lab.problems if "filebrowser" not in problem
        ]  # Notebook 7's own
        self.page.screenshot(path=SCREENSHOTS / "app_last.png")
        assert problems == []
        self.page.close()


def saved(server: Server, name: str) -> list[dict[str, Any]]:
    """The outputs of the first cell in the file."""
    outputs = json.loads((server.folder / name).read_text())["cells"][0]["outputs"]
    assert isinstance(outputs, list)
    return outputs


def transcript(server: Server, name: str) -> str:
    return "".join(saved(server, name)[1]["data"]["text/plain"])


def test_a_conversation_with_the_keyboard_alone(server, browser):
    """Enter sends, the reply streams, Escape stops it, an edited prompt starts a branch, another model answers."""
    app = App(browser, server, written(server, "talk.ipynb", OPEN, "print(len(chat.history.branches()))"))
    app.field.press("Shift+Enter")
    assert app.field.input_value() == "\n"
    app.send("Write 300 words.")
    app.shows("Sentence 2")
    assert "Sentence 60" not in app.talk
    app.field.press("Escape")
    app.idle()
    app.shows("interrupted")
    stopped = app.talk
    assert app.page.evaluate("document.activeElement.className") == "cnb-app-area"

    edit = app.page.get_by_role("button", name="Edit message 1 and send it again")
    edit.focus()
    edit.press("Enter")
    app.page.get_by_text("Editing message 1").wait_for()
    assert app.field.input_value() == "Write 300 words."
    app.say("Write 20 words.")
    assert "interrupted" not in app.talk
    conversations = app.page.get_by_label("Conversation", exact=True).first
    conversations.locator("option").nth(1).wait_for(
        state="attached"
    )  # the list follows the reply by a message
    assert len(conversations.locator("option").all()) == 2
    conversations.select_option(index=0)
    app.shows("interrupted")
    assert app.talk == stopped

    app.page.get_by_label("Model").select_option(label="Claude Opus 4.8")
    app.say("Hello?")
    app.shows("Claude Opus 4.8")
    app.close()


def test_a_tool_is_asked_for_and_hostile_text_stays_text(server, browser):
    app = App(browser, server, written(server, "tool.ipynb", OPEN))
    app.send("What is the weather? <img src=x onerror=alert(3)>")
    question = app.page.get_by_role("group", name="Allow the tool weather?")
    question.wait_for()
    assert app.page.evaluate("document.activeElement.innerText") == "Don’t run it"
    question.get_by_role("button", name="Run it", exact=True).click()
    app.idle()
    app.shows("It is sunny.")
    assert app.page.locator(".cnb-app img, .cnb-app script").count() == 0
    app.page.locator(".cnb-app").screenshot(path=SCREENSHOTS / "app_tool.png")
    app.close()


def test_files_are_attached_and_one_that_is_too_large_is_refused_in_words(server, browser, tmp_path):
    """With an async client, so that both kinds talk in a real kernel."""
    code = OPEN.replace("connect(", "connect_async(").replace(" connect,", " connect_async,")
    app = App(browser, server, written(server, "files.ipynb", code))
    large = tmp_path / "large.pdf"
    large.write_bytes(b"%PDF-1.4\n" + b"x" * 22_000_000)
    attach = app.page.get_by_role("button", name="Attach pictures, PDFs or texts")
    report = tmp_path / "report <b>.pdf"
    report.write_bytes(b"%PDF-1.4\n" + b"x" * 9_000_000)
    with app.page.expect_file_chooser() as chooser:
        attach.click()
    chooser.value.set_files([large, report])
    app.page.get_by_text("report <b>.pdf (PDF, 9,000 kB)").wait_for()
    app.page.get_by_text("large.pdf is larger than 22 MB").wait_for()
    app.page.get_by_role("button", name="Remove report").click()
    app.say("Hello?")
    assert "Attached" not in app.talk
    app.close()


def test_another_cell_runs_undisturbed_while_the_window_streams_and_stops(server, browser):
    cell = "import time\nfor n in range(30):\n    time.sleep(0.1)\nprint('not', 'disturbed')"
    name = written(server, "beside.ipynb", OPEN, cell)
    app = App(browser, server, name)
    app.send("Write 300 words.")
    app.shows("Sentence 1")
    app.page.locator(".jp-CodeCell").nth(1).locator(".jp-InputArea-editor").click()
    app.lab.command("notebook:run-cell")
    app.page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'busy'"
    )
    app.page.get_by_role("button", name="Stop", exact=True).click()
    app.page.wait_for_function("document.body.innerText.includes('not disturbed')", timeout=20_000)
    app.idle()
    app.shows("interrupted")
    outputs = app.page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea").inner_text()
    assert outputs.strip() == "not disturbed"
    app.close()


@pytest.mark.parametrize("notebook7", [False, True], ids=["lab", "notebook7"])
def test_what_was_said_is_there_after_a_reload_in_the_file_and_without_a_kernel(server, browser, notebook7):
    name = written(server, f"kept{int(notebook7)}.ipynb", OPEN)
    app = App(browser, server, name, notebook7=notebook7)
    app.say("Write 20 words.")
    said = app.talk
    assert app.page.locator(".cnb-transcript").is_hidden()
    app.keeps("Write 20 words.")
    app.lab.save()
    assert "Write 20 words." in transcript(server, name)
    app.close()

    app = App(browser, server, name, notebook7=notebook7, run=False)
    app.shows("Write 20 words.")
    assert app.talk == said
    app.say("And a second thing.")
    app.keeps("And a second thing.")
    app.lab.save()
    assert "And a second thing." in transcript(server, name)
    assert len(saved(server, name)) == 2
    app.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    app.page.wait_for_function("!window.jupyterapp.shell.currentWidget.sessionContext.session")
    app.field.fill("Is anybody there?")
    app.field.press("Enter")
    app.page.get_by_text("The kernel has gone. Run this cell again to go on.").wait_for()
    assert app.field.input_value() == "Is anybody there?"
    app.close()

    lab = LabPage(browser, server, name, notebook7=notebook7)
    reread = lab.page.locator(".cnb-transcript")
    reread.wait_for()
    assert "And a second thing." in reread.inner_text()
    assert "Error" not in lab.outputs()
    lab.page.screenshot(path=SCREENSHOTS / f"{name}.png")
    lab.page.close()
    if not notebook7:
        exported(server, browser, name)


def exported(server: Server, browser: Any, name: str) -> None:
    """The notebook as nbconvert exports it, read offline."""
    command = [sys.executable, "-m", "nbconvert", "--to", "html", str(server.folder / name)]
    command += ["--HTMLExporter.require_js_url=", "--HTMLExporter.mathjax_url="]
    subprocess.run(command, check=True, capture_output=True)
    page = browser.new_page()
    page.route("http*://**", lambda route: route.abort())
    page.goto((server.folder / name).with_suffix(".html").as_uri())
    assert "And a second thing." in page.locator(".cnb-transcript").inner_text()
    assert page.get_by_text("Error displaying widget").count() == 0
    page.close()


def test_a_notebook_that_is_run_without_a_browser_keeps_the_transcript(tmp_path, monkeypatch):
    monkeypatch.setenv("CLAUDE_NB_MODE", "sandbox")
    code = OPEN.replace(
        "chat.app()", "chat.display = False\nreply = chat.send('Write 20 words.')\nchat.app()"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    window, kept = notebook.cells[0].outputs
    assert window["data"]["text/plain"] == ""
    assert kept["data"]["text/plain"].startswith("You:\nWrite 20 words.\n\n")
    assert set(kept["data"]) == {"text/html", "text/plain"}
