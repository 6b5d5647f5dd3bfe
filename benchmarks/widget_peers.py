"""What showing a reply costs, beside the other ways to show one: wire, kernel and page in one run of JupyterLab.

    python benchmarks/widget_peers.py [deltas] [seconds] [way ...]

Every way shows the same Markdown in a notebook of its own: the real SDK in a real kernel over an in-memory transport
that takes ``seconds``, and JupyterLab in Chromium. Printed per way: bytes that opened a view on the page, other bytes
against the text (the saved output included), the kernel's CPU against the bare loop over ``text_stream``, the main
thread's busy seconds and its longest task, and how long after the last delta the page had all of the text. chatlas is
left out where it is not installed.
"""
# ruff: noqa: INP001, T201, PLR2004 - a script that prints what it measured

import importlib.util
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
sys.path[:0] = [str(HERE), str(TESTS), str(TESTS / "browser")]

from lab import LabPage, Server, chromium, jupyter  # noqa: E402 - the path comes first
from widget_kernel import SETUP  # noqa: E402 - the path comes first
from widget_page import PROSE, grown  # noqa: E402 - the path comes first

PIECE = 5  # characters of a delta
END = "The very end of it."
WAYS = {
    "bare loop": "bare",
    "claude_nb": "watch",
    "print(flush)": "printed",
    "update_display": "updated",
    "ipywidgets.HTML": "html",
    "chatlas": "chatlas",
}
MORE = """
from html import escape
from pathlib import Path

TEXT = Path("text.md").read_text()
def piece(n): return TEXT[n * 5 : n * 5 + 5]

def updated(stream):
    from IPython.display import Markdown, display
    handle, text = display(Markdown(""), display_id=True), ""
    for more in stream.text_stream:
        text += more
        handle.update(Markdown(text))

def html(stream):
    import ipywidgets
    from IPython.display import display
    view, text = ipywidgets.HTML(), ""
    display(view)
    for more in stream.text_stream:
        text += more
        view.value = f"<pre>{escape(text)}</pre>"

def chatlas(stream):
    from chatlas import ChatAnthropic
    http = httpx2.Client(transport=Transport())
    chat = ChatAnthropic(model="claude-haiku-4-5", api_key="none", kwargs={"http_client": http})
    return chat.chat("x", echo="text")
"""
RUN = """
Path("%s.start").write_text(str(time.time()))
spent = cost(%s)
Path("%s.json").write_text(str(spent))
"""
WATCH_TASKS = """() => {
    window.tasks = [];
    const note = (list) => tasks.push(...list.getEntries().map((entry) => entry.duration));
    new PerformanceObserver(note).observe({type: "longtask"});
}"""


def main(deltas: int, seconds: float, names: list[str]) -> None:
    """Run the ways one after the other and print a line for each."""
    with tempfile.TemporaryDirectory() as where:
        folder, home = Path(where) / "served", Path(where) / "home"
        folder.mkdir()
        home.mkdir()
        text = grown(PROSE * 20)[: deltas * PIECE - len(END) - 2] + "\n\n" + END
        (folder / "text.md").write_text(text)
        columns = ("opening B", "bytes", "x text", "x CPU", "busy s", "longest ms", "after s")
        print(f"{deltas} deltas, {len(text)} characters, {seconds:g} s")
        print(f"{'way':>16}", *(f"{column:>10}" for column in columns), flush=True)
        with jupyter(folder, home) as server, chromium() as browser:
            base = None
            for name in names:
                if name == "chatlas" and importlib.util.find_spec("chatlas") is None:
                    print(f"{name:>16}  left out: pip install chatlas")
                    continue
                opening, size, cpu, busy, longest, after = show(browser, server, WAYS[name], deltas, seconds)
                base = base or cpu
                numbers = (
                    f"{opening:,}",
                    f"{size:,}",
                    f"{size / len(text):.1f}",
                    f"{cpu / base:.2f}",
                    f"{busy:.1f}",
                    f"{longest:.0f}",
                    after,
                )
                print(f"{name:>16}", *(f"{number:>10}" for number in numbers), flush=True)


def show(
    browser: Any, server: Server, way: str, deltas: int, seconds: float
) -> tuple[int, int, float, float, float, str]:
    """Show the text in one way: bytes to open, other bytes, CPU s, busy s, longest task in ms, s after the end."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [SETUP % (deltas, seconds / deltas) + MORE, RUN % (way, way, way)]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, server.folder / f"{way}.ipynb")
    page = LabPage(browser, server, f"{way}.ipynb", listen=True)
    cdp = page.page.context.new_cdp_session(page.page)
    cdp.send("Performance.enable")
    page.page.evaluate(WATCH_TASKS)
    before, heard = busy(cdp), len(page.frames)
    began = time.monotonic()
    page.command("notebook:run-all-cells")
    result = server.folder / f"{way}.json"
    shown = "document.querySelector('.jp-Notebook').innerText.includes(%s)" % json.dumps(END)  # noqa: UP031 - as the rest
    while time.monotonic() - began < 6 * seconds + 30:
        page.page.wait_for_timeout(100)
        if result.exists() and (way == "bare" or page.page.evaluate(shown)):
            break
    after = time.time() - float(result.with_suffix(".start").read_text()) - seconds
    page.page.wait_for_timeout(300)
    done = result.exists()
    longest = max([0.0, *page.page.evaluate("tasks")])
    frames = page.frames[heard:]
    opening = sum(len(frame) for frame in frames if b'"comm_open"' in frame)
    size = sum(map(len, frames)) - opening
    numbers = (opening, size, float(result.read_text()) if done else 0.0, busy(cdp) - before, longest)
    page.page.close()
    return (*numbers, f"{after:.1f}" if done else f"> {after:.0f}")


def busy(cdp: Any) -> float:
    """Seconds the main thread has worked so far."""
    return next(
        m["value"] for m in cdp.send("Performance.getMetrics")["metrics"] if m["name"] == "TaskDuration"
    )


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    main(count, float(sys.argv[2]) if len(sys.argv) > 2 else 20.0, sys.argv[3:] or list(WAYS))
