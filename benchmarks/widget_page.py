"""How the page keeps up: 100,000 characters in 20,000 deltas, as prose and as one giant open block.

    python benchmarks/widget_page.py [seconds] [case ...]

Sends what the kernel would send (deltas joined every 50 ms) to the shipped renderer in Chromium and prints, per case,
the main thread's busy seconds, the longest task, how long after the last delta the page was complete, and whether
the final page is the one that drawing the text in one go gives.
"""
# ruff: noqa: INP001, T201 - a script that prints what it measured

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "browser")]

from playwright.sync_api import sync_playwright  # noqa: E402 - the path comes first
from test_renderer import CHROMIUM, FLAGS, Page  # noqa: E402 - the path comes first

SIZE, FLUSH = 100_000, 0.05
PROSE = (
    Path(__file__).parents[1].joinpath("README.md").read_text()
    + "\n\n1. One *item* with `code`\n2. Two\n   - nested **item**\n   - another\n\n"
    + "| Model | Input | Output |\n|---|---:|---:|\n| a | 5.00 | 25.00 |\n| b | 1.00 | 5.00 |\n\n"
    + "> A quote of some length, with ~~struck~~ text and a [link](https://docs.example).\n\n"
    + "```python\nfor text in stream.text_stream:\n    print(text, end='')\n```\n\n"
)
CASES = {
    "prose": PROSE,
    "fence": "    total = sum(price * count for price, count in rows)  # a line of code\n",
    "list": "- an item with **bold** words and `code`, as models like to write them\n",
    "numbered": "1. an item with **bold** words and `code`, as models like to write them\n",
    "nested": "  - a nested item with **bold** words and `code`\n",
    "loose": "- an item in a loose list\n\n  with a second paragraph\n\n",
    "table": "| a cell | another `cell` | 12.50 | **bold** |\n",
    "quote": "> a line of a quote that never ends, with *emphasis*\n>\n",
    "paragraph": "Words with *emphasis* and `code`, and no empty line ever.\n",
    "oneline": "Words with *emphasis* and `code`, and no line break ever. ",
    "links": "A paragraph with [a reference][1] in it, and more words.\n\n",
    "json": '"key": {"city": "Zürich", "days": [1, 2, 3], "text": "some words"}, ',
}
HEADS = {
    "fence": "```python\n",
    "table": "| a | b | c | d |\n|---|---|--:|---|\n",
    "nested": "- top\n",
    "json": "{",
}
TAILS = {"links": "[1]: https://docs.example\n"}

# A long log is cut into pieces where its parts came, so that only its words can be compared.
LOOK = 'void (window.look = (body) => body.querySelector(".cnb-piece") ? body.textContent : body.innerHTML)'

RUN = """async ([pieces, flush, kind, whole]) => {
    const tasks = [];
    const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map((e) => e.duration)));
    observer.observe({type: "longtask"});
    push(["state", {phase: "writing", text: "Writing"}], ["open", 0, kind, {name: "f"}]);
    const start = performance.now();
    for (const [i, piece] of pieces.entries()) {
        const wait = start + (i + 1) * flush - performance.now();
        await new Promise((go) => setTimeout(go, Math.max(0, wait)));
        push(["add", 0, piece]);
    }
    const sent = performance.now();
    push(["close", 0], ["state", {phase: "done", text: ""}]);
    const body = document.querySelector("#live .cnb-body");
    while (look(body) !== whole && performance.now() - sent < 3000) await new Promise(requestAnimationFrame);
    const after = performance.now() - sent;
    const long = tasks.filter((task) => task > 100).length;
    return {after, long, longest: Math.max(0, ...tasks), same: look(body) === whole};
}"""
WHOLE = """async ([text, kind]) => {
    push(["open", 0, kind, {name: "f"}], ["add", 0, text], ["close", 0], ["state", {phase: "done", text: ""}]);
    await settle();
    return look(document.querySelector("#live .cnb-body"));
}"""


def grown(unit: str) -> str:
    """The unit again and again, with a number in it so that no two are alike."""
    word = re.search(r"[a-z]{4,}", unit)[0]  # type: ignore[index] # every unit has such a word
    units = (unit.replace(word, f"{word} {n}", 1) for n in range(SIZE // len(unit) + 1))
    return "".join(units)[:SIZE]


def pieces(text: str, seconds: float) -> Iterator[str]:
    """The text as the kernel's messages would carry it."""
    size = max(1, round(len(text) / (seconds / FLUSH)))
    for at in range(0, len(text), size):
        yield text[at : at + size]


def main(seconds: float, names: list[str]) -> None:
    """Run the cases and print a line for each."""
    columns = (
        "busy s",
        "script s",
        "style s",
        "layout s",
        "longest ms",
        "> 100 ms",
        "after ms",
        "final page",
    )
    print(f"{'case':>10}", *(f"{column:>10}" for column in columns))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name in names:
            unit = CASES[name]
            text = HEADS.get(name, "") + grown(unit) + TAILS.get(name, "")
            kind = "tool_use" if name == "json" else "text"
            other, page = Page(browser), Page(browser)
            for each in (other, page):
                each.eval(LOOK)
            whole = other.eval(WHOLE, [text, kind])
            cdp = page.tab.context.new_cdp_session(page.tab)
            cdp.send("Performance.enable")
            before = busy(cdp)
            seen = page.eval(RUN, [list(pieces(text, seconds)), FLUSH * 1000, kind, whole])
            spent = [after - start for after, start in zip(busy(cdp), before, strict=True)]
            numbers = [
                *(f"{time:.1f}" for time in spent),
                *(f"{seen[k]:.0f}" for k in ("longest", "long", "after")),
            ]
            verdict = "same" if seen["same"] else "DIFFERS"
            print(f"{name:>10}", *(f"{number:>10}" for number in [*numbers, verdict]), flush=True)
            page.tab.context.close()


def busy(cdp: Any) -> list[float]:
    """Seconds the main thread has worked so far: in all, in script, on styles and on layout."""
    metrics = {m["name"]: float(m["value"]) for m in cdp.send("Performance.getMetrics")["metrics"]}
    return [metrics[f"{name}Duration"] for name in ("Task", "Script", "RecalcStyle", "Layout")]


if __name__ == "__main__":
    wanted = sys.argv[2:] or list(CASES)
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0, wanted)
