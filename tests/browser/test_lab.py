"""The tutorials and the streaming view as a reader sees them, in JupyterLab on a real Chromium."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from lab import CHROMIUM, LabPage, Server, chromium, jupyter

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it, or name one in CHROMIUM"),
]
ROOT = Path(__file__).parents[2]
SCREENSHOTS = Path(__file__).parent / "screenshots"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    folder, home = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("jupyter")
    shutil.copytree(ROOT / "notebooks", folder, dirs_exist_ok=True)
    with jupyter(folder, home) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium() as opened:
        yield opened


def written(server: Server, name: str, *cells: str) -> str:
    """A notebook of these cells in the served folder."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, server.folder / name)
    return name


def saved(server: Server, name: str) -> dict:
    return json.loads((server.folder / name).read_text())


def shown(notebook: dict) -> str:
    """The plain text of every output of a notebook file; front ends cut streams into pieces differently."""
    texts = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            printed = output["output_type"] == "stream"
            data = output["text"] if printed else output.get("data", {}).get("text/plain", "")
            texts.append("".join(data) if printed else f"\n{''.join(data)}\n")
        texts.append("\n")
    return "\n".join(line for line in "".join(texts).splitlines() if line.strip())


@pytest.mark.parametrize("name", ["00_start_here.ipynb", "01_first_call.ipynb"])
def test_a_tutorial_runs_from_top_to_bottom_and_ends_as_it_is_committed(server, browser, name):
    committed = shown(saved(server, name))
    page = LabPage(browser, server, name)
    page.run_all()
    page.save()
    page.picture(SCREENSHOTS / f"{name}.png")
    notebook = saved(server, name)
    assert shown(notebook) == committed
    assert "application/vnd.jupyter.widget-view+json" not in json.dumps(notebook)
    assert page.problems == []
    page.page.close()


STREAM = """
from claude_nb import MODEL, Sandbox, connect, watch
client = connect(sandbox=Sandbox(pace="30 tok/s"), quiet=True)
ask = {"model": MODEL, "max_tokens": 2000, "messages": [{"role": "user", "content": "a long story of 800 words"}]}
with client.messages.stream(**ask) as stream:
    message = watch(stream)
"""


@pytest.mark.parametrize("notebook7", [False, True], ids=["lab", "notebook7"])
def test_stop_ends_the_reply_keeps_its_text_and_lets_the_notebook_go_on(server, browser, notebook7):
    name = written(server, f"stop{int(notebook7)}.ipynb", STREAM, "print('went on:', message.stop_reason)")
    page = LabPage(browser, server, name, notebook7=notebook7)
    page.command("notebook:run-all-cells")
    button = page.page.get_by_role("button", name="Stop")
    button.wait_for(timeout=60_000)
    page.page.wait_for_function("document.querySelector('.jp-OutputArea').innerText.includes('budget')")
    page.page.screenshot(path=SCREENSHOTS / f"{name}.png")
    pressed = time.monotonic()
    button.click()
    page.page.wait_for_function("document.body.innerText.includes('went on: None')", timeout=20_000)
    assert time.monotonic() - pressed < 5
    out = page.outputs()
    assert "interrupted" in out
    assert "only takes up room" in out
    page.page.close()


METER = """
from claude_nb import MODEL, Budget, Ledger, connect
ledger = Ledger(":memory:")
client = connect(mode="sandbox", quiet=True, ledger=ledger)
budget = Budget(0.01, ledger=ledger)
ledger.live()
"""
CALLS = """
import threading
ask = {"model": MODEL, "max_tokens": 300, "messages": [{"role": "user", "content": "Hi"}]}
threads = [threading.Thread(target=client.messages.create, kwargs=ask) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_the_live_meter_follows_calls_of_other_cells_and_stays_in_the_file(server, browser):
    name = written(server, "meter.ipynb", METER, CALLS)
    page = LabPage(browser, server, name)
    meter = page.page.locator(".jp-CodeCell").first.locator(".jp-OutputArea")
    page.command("notebook:run-cell-and-select-next")
    meter.get_by_text("sandbox: nothing is billed").or_(meter.get_by_text("tokens in")).first.wait_for()
    before = meter.inner_text()
    page.command("notebook:run-cell")
    page.page.wait_for_function(_SHOWS_THREE_CALLS)
    after = meter.inner_text()
    assert before != after
    assert "left" in after
    page.page.screenshot(path=SCREENSHOTS / f"{name}.png")
    page.save()
    page.page.close()
    notebook = saved(server, name)
    assert "widget-view" not in json.dumps(notebook)
    assert "· 3 calls ·" in shown(notebook)
    again = LabPage(browser, server, name)
    assert again.page.locator(".jp-CodeCell").first.locator(".jp-OutputArea").inner_text() == after
    assert again.problems == []
    again.page.close()


_SHOWS_THREE_CALLS = r"/calls\s*3\b/.test(document.querySelector('.jp-OutputArea').innerText)"


REPLY = r"""It costs $5 and $6, and $e^{i\pi} + 1 = 0$.

\[ \int_0^1 x\,dx = \frac{1}{2} \]

\(\href{javascript:alert(1)}{a}\) and \\(b\\) stay.

```python
if x:  # why
```
"""


def test_the_live_view_gives_way_to_static_output_that_reads_the_same_when_reopened(server, browser):
    (server.folder / "reply.md").write_text(REPLY)
    scripted = STREAM.replace('pace="30 tok/s"', "replies=[open('reply.md').read()]")
    name = written(server, "reopen.ipynb", scripted)
    page = LabPage(browser, server, name)
    page.run_all()
    page.page.wait_for_function(TYPESET)
    page.save()
    page.picture(SCREENSHOTS / f"{name}.png")
    before = page.outputs()
    page.page.close()
    assert "It costs $5 and $6, and" in before
    assert "\\(\\href{javascript:alert(1)}{a}\\) and \\(b\\) stay." in before
    notebook = saved(server, name)
    # What somebody else has written is not trusted: JupyterLab cleans it before it shows it.
    notebook["cells"][0]["outputs"][-1]["data"]["text/html"].append("<p>edited</p>")
    (server.folder / name).write_text(json.dumps(notebook))
    page = LabPage(browser, server, name)
    page.page.wait_for_function(TYPESET)
    assert page.outputs().replace("edited", "").split() == before.split()
    colours = (
        "[...document.querySelectorAll('.jp-OutputArea code span')].map((s) => getComputedStyle(s).color)"
    )
    assert len(set(page.page.evaluate(colours))) == 2
    assert page.problems == []
    page.page.close()


TYPESET = "document.querySelectorAll('.jp-OutputArea mjx-container').length === 2"


ASKED = """
from claude_nb import Chat, Sandbox, connect, connect_async, tool
ran = []
@tool(confirm=True)
def delete(path: str) -> str:
    "Delete a file."
    ran.append(path)
    return "deleted"
call = {"type": "tool_use", "id": "toolu_1", "name": "delete", "input": {"path": "<b>/tmp/a</b>"}}
def sandbox():
    return Sandbox(replies=[[call], "done"])
"""


@pytest.mark.parametrize("notebook7", [False, True], ids=["lab", "notebook7"])
def test_a_tool_that_asks_first_is_allowed_and_refused_in_the_cell_by_keyboard(server, browser, notebook7):
    name = written(
        server,
        f"asks{int(notebook7)}.ipynb",
        ASKED,
        "message = Chat(connect(sandbox=sandbox(), quiet=True), tools=[delete]).send('go'); print('first', ran)",
        "chat = Chat(connect_async(sandbox=sandbox(), quiet=True), tools=[delete])\n"
        "await chat.asend('go'); print('second', ran)",
    )
    page = LabPage(browser, server, name, notebook7=notebook7)
    page.command("notebook:run-all-cells")
    refuse = page.page.get_by_role("button", name="Refuse")
    for keys, said in (
        (["Shift+Tab", "Enter"], "first ['<b>/tmp/a</b>']"),
        (["Enter"], "second ['<b>/tmp/a</b>']"),
    ):
        refuse.wait_for(timeout=60_000)
        page.page.screenshot(path=SCREENSHOTS / f"{name}.png")
        refuse.focus()
        for key in keys:
            page.page.keyboard.press(key)
        page.page.wait_for_function(
            "said => document.body.innerText.includes(said)", arg=said, timeout=20_000
        )
    whole = page.page.content()
    assert "deleted" in whole
    assert "The user did not allow this call." in whole
    assert refuse.count() == 0
    assert notebook7 or page.problems == []
    page.page.close()


VIEW = """
from claude_nb import History
history = History()
said = {"role": "assistant", "stop_reason": "end_turn", "model": "claude-haiku-5-5"}
for words in ["one", "<img src=x onerror=alert(1)> $x$", "three"]:
    history.user(words)
    history.reply({**said, "content": [{"type": "text", "text": words}]})
history.view()
"""


def test_a_conversation_is_pinned_and_edited_by_keyboard_and_its_table_is_what_is_saved(server, browser):
    name = written(server, "view.ipynb", VIEW, "print([entry.text for entry in history.entries])")
    page = LabPage(browser, server, name, color_scheme="dark")
    alerts: list[str] = []
    page.page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    page.run_all()
    table = "document.querySelector('.jp-OutputArea table').innerText"

    def press(button: str) -> None:
        for _ in range(12):
            page.page.keyboard.press("Tab")
            if page.page.evaluate("document.activeElement.innerText").strip() == button:
                return page.page.keyboard.press("Enter")
        raise AssertionError(f"no way to {button} by keyboard")

    page.page.get_by_label("Message").focus()
    page.page.keyboard.press("Home")
    press("Pin")
    page.page.wait_for_function(f"{table}.includes('pinned')")
    press("Edit")
    page.page.get_by_label("Prompt").fill("drei <img src=x onerror=alert(1)>")
    press("Go on with this")
    page.page.wait_for_function(f"{table}.includes('drei') && !{table}.includes('three')")
    page.page.screenshot(path=SCREENSHOTS / "view.png")
    page.save()
    assert alerts == page.problems == []
    controls, shown = saved(server, name)["cells"][0]["outputs"]
    assert not "".join(controls["data"]["text/plain"] + controls["data"]["text/html"])
    assert "drei" in "".join(shown["data"]["text/html"])
    assert "&lt;img" in "".join(shown["data"]["text/html"])
    page.page.close()


COMPARE = """
from claude_nb import Sandbox, compare, connect
client = connect(sandbox=Sandbox(pace="40 tok/s"), quiet=True)
compare("a long story of 250 words", systems=["Costs $5 and $6.", "Be long."], client=client, max_tokens=2000)
"""


def test_compared_answers_stream_side_by_side_and_each_can_be_stopped(server, browser):
    name = written(server, "compare.ipynb", COMPARE, "print('went on')")
    page = LabPage(browser, server, name)
    page.command("notebook:run-all-cells")
    stops = page.page.get_by_role("button", name="Stop")
    stops.nth(1).wait_for(timeout=60_000)
    page.page.wait_for_function("document.body.innerText.split('budget').length > 2")
    page.page.screenshot(path=SCREENSHOTS / "compare.png")
    stops.first.click()
    page.page.wait_for_function(
        "[...document.querySelectorAll('.jp-OutputArea')].at(-1)?.innerText.includes('went on')",
        timeout=60_000,
    )
    out = page.outputs()
    assert out.count("interrupted") == 1
    assert out.count("finished") == 1
    assert stops.count() == 0
    assert page.problems == []
    page.page.close()
