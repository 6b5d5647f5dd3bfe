"""The shipped renderer in a real browser: what a reader sees, and what hostile text may not do."""

import json
import os
import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recordings import needs_recordings, streams
from replay import ASK, Replay

from claude_nb.screens import saved_block
from claude_nb.turn import Turn
from claude_nb.widgets.saved import static_bundle

ROOT = Path(__file__).parents[2]
FILES = {
    "/": ROOT / "tests/browser/pages/stub.html",
    "/stream.js": ROOT / "claude_nb/widgets/static/stream.js",
    "/stream.css": ROOT / "claude_nb/widgets/static/stream.css",
}
LANGUAGES = [
    language["names"].split()[0]
    for language in json.loads((ROOT / "claude_nb/widgets/languages.json").read_text())["languages"]
]
SPEC = ROOT / "claude_nb/widgets/js/node_modules/commonmark-spec/spec.txt"
XSS = ROOT.parent / "shared" / "xss" / "dompurify_expect.json"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium: install one or name it in CHROMIUM"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Page:
    """The stub page: a kernel's messages in, what the reader sees out, and whatever ran or was asked for."""

    def __init__(self, browser: Any, **options: Any) -> None:
        context = browser.new_context(viewport={"width": 860, "height": 700}, **options)
        self.tab = context.new_page()
        self.trouble: list[str] = []
        for name in ("alert", "confirm", "prompt"):
            context.expose_function(f"_{name}", lambda *_: self.trouble.append("script ran"))
            self.tab.add_init_script(f"window.{name} = window._{name}")
        self.tab.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.tab.on("dialog", lambda dialog: self.trouble.append(dialog.message))
        self.tab.on("popup", lambda popup: self.trouble.append(popup.url))
        context.route("**/*", self._serve)
        self.tab.goto("http://claude-nb.test/")
        self.tab.wait_for_function("window.ready")

    def _serve(self, route: Any) -> None:
        path = route.request.url.removeprefix("http://claude-nb.test")
        if path in FILES:
            route.fulfill(path=FILES[path])
        else:
            self.trouble.append(f"request {route.request.url}")
            route.abort()

    def push(self, *ops: list[Any]) -> None:
        self.tab.evaluate("async (ops) => { push(...ops); await settle(); }", list(ops))

    def push_as(self, number: int, *ops: list[Any]) -> None:
        self.tab.evaluate("async (m) => { receive(m); await settle(); }", {"q": number, "ops": list(ops)})

    def eval(self, code: str, argument: Any = None) -> Any:
        return self.tab.evaluate(code, argument)

    def text(self, selector: str = "#live .cnb-body") -> str:
        return str(self.eval("(s) => document.querySelector(s).innerText", selector))

    def save(self, html: str) -> None:
        """Show saved HTML as a trusting front end does: scripts in it would run."""
        self.eval(
            """async (html) => {
                const node = document.createRange().createContextualFragment(html);
                document.getElementById("saved").replaceChildren(node);
                await settle();
            }""",
            html,
        )


@pytest.fixture
def page(browser) -> Iterator[Page]:
    page = Page(browser)
    yield page
    assert page.trouble == []
    page.tab.context.close()


def state(phase: str, text: str = "") -> list[Any]:
    return ["state", {"phase": phase, "text": text}]


CHIPS = [
    {"kind": "stop", "text": "end_turn", "title": "the model was done", "tone": "ok"},
    {"kind": "tokens", "text": "2,095 in", "title": "", "tone": "muted"},
    {"kind": "price", "text": "$0.0138", "title": "", "tone": "muted"},
]
TEXT = """## Streaming

Use `stream` to *see* a reply, **block by block**: it costs $5 and $6. See [the docs](https://docs.example).

1. Open it
2. Read it
   - text
   - thinking

   loosely

> A quote with ~~struck~~ text.

| Model | Input |
|:------|------:|
| opus  |  5.00 |

```python
for text in stream.text_stream:
    print(text, end="")
```

That is all <b>there</b> &amp; is ![a cat](https://e.example/c.png).
"""


def reply() -> tuple[list[list[Any]], list[dict[str, Any]]]:
    """One reply with every kind of block: as operations, and as blocks to save."""
    source = {"title": "The docs", "url": "https://docs.example/a"}
    ops: list[list[Any]] = [
        *(["open", 0, "thinking", {}], ["add", 0, "Let me **look**."], ["close", 0]),
        ["note", 0, "48 tokens, 24 % of the output"],
        *(["open", 1, "thinking", {}], ["close", 1]),
        *(["open", 2, "redacted_thinking", {}], ["close", 2]),
        *(
            ["open", 3, "tool_use", {"name": "weather"}],
            ["add", 3, '{"city":"Zü'],
            ["add", 3, 'rich"}'],
            ["close", 3],
        ),
        *(["open", 4, "server_tool_use", {"name": "web_search"}], ["close", 4]),
        *(["open", 5, "web_search_tool_result", {"result": "3 pages"}], ["close", 5]),
        *(["open", 6, "text", {}], ["add", 6, "According to the docs, "], ["close", 6]),
        *(["open", 7, "text", {}], ["cite", 7, source], ["add", 7, "streaming works "], ["close", 7]),
        *(["open", 8, "text", {}], ["add", 8, "well.\n\n" + TEXT], ["close", 8]),
        *(["open", 9, "newer", {}], ["add", 9, "?"], ["close", 9]),
    ]
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "text": "Let me **look**.", "note": "48 tokens, 24 % of the output"},
        {"type": "thinking", "text": ""},
        {"type": "redacted_thinking"},
        {"type": "tool_use", "name": "weather", "input": {"city": "Zürich"}},
        {"type": "server_tool_use", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "result": "3 pages"},
        {"type": "text", "text": "According to the docs, "},
        {"type": "text", "text": "streaming works ", "citations": [source]},
        {"type": "text", "text": "well.\n\n" + TEXT},
        {"type": "newer", "text": "?"},
    ]
    return ops, blocks


def saved_html(blocks: Any, chips: Any = (), phase: Any = "done", text: str = "") -> str:
    return static_bundle(blocks, chips, state={"phase": phase, "text": text})["text/html"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("phase", "said"), [("done", ""), ("interrupted", "Stopped by you.")])
def test_the_saved_view_takes_over_unseen(browser, scheme, phase, said):
    """Same words, same boxes: only a few pixels may move when the stream ends."""
    page = Page(browser, color_scheme=scheme)
    ops, blocks = reply()
    page.push(*ops, ["footer", CHIPS], state(phase, said))
    page.save(saved_html(blocks, CHIPS, phase, said))
    page.eval("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    page.eval("document.querySelector('#live [aria-live]').remove()")
    page.eval("settle()")
    live, saved = (page.text(f"#{where} > .claude-nb").split() for where in ("live", "saved"))
    assert live == saved
    heights = page.eval(
        "['live', 'saved'].map((id) => document.querySelector(`#${id} > .claude-nb`).offsetHeight)"
    )
    assert abs(heights[0] - heights[1]) <= 6
    assert page.trouble == []
    page.tab.context.close()


def test_a_reply_forms_as_it_comes(page):
    page.push(state("writing", "Writing"), ["open", 0, "text", {}], ["add", 0, "# Ti"])
    assert page.text() == "Ti"
    # The page rests after a costly frame, so a loaded machine shows the rest a little later.
    page.push(["add", 0, "tle\n\n- a\n- **b"])
    page.tab.wait_for_function("document.querySelector('#live li:last-child')?.textContent.trim() === '**b'")
    assert page.text().split() == ["Title", "a", "**b"]
    page.push(["add", 0, "**\n"])
    page.tab.wait_for_function("document.querySelector('#live li:last-child > strong')?.textContent === 'b'")


def test_tool_input_is_shown_while_it_forms(page):
    page.push(["open", 0, "tool_use", {"name": "f"}], ["add", 0, '{"city":"Par'])
    assert page.text() == 'Tool call f\n{\n  "city": "Par'


def test_long_tool_input_is_capped_and_folded_when_it_is_complete(page):
    page.push(["open", 0, "tool_use", {"name": "f"}], ["add", 0, json.dumps(list(range(100)))])
    assert page.eval("document.querySelector('#live pre').offsetHeight") < 300
    page.push(["close", 0])
    assert page.eval("document.querySelector('#live details').open") is False


def test_thinking_is_folded_and_drawn_when_it_is_opened(page):
    page.push(["open", 0, "thinking", {}], ["add", 0, "so **be it**"])
    assert page.eval("document.querySelector('#live details strong')") is None
    page.eval("document.querySelector('#live summary').click()")
    page.eval("settle()")
    assert page.text() == "Thinking\n\nso be it"
    page.push(["add", 0, " then"])
    assert page.text() == "Thinking\n\nso be it then"


def test_a_missed_message_is_asked_for_and_a_snapshot_repairs_the_page(page):
    page.eval("receive({q: 1, ops: [['open', 0, 'text', {}], ['add', 0, 'one ']]})")
    page.eval("receive({q: 3, ops: [['add', 0, 'three']]})")
    assert page.eval("sent") == [{"want": "snapshot"}]
    block = {"index": 0, "type": "text", "info": {}, "text": "one two three", "cites": [], "closed": True}
    page.eval(
        "async (m) => { receive(m); await settle() }",
        {"q": 4, "snapshot": {"blocks": [block], "state": None, "footer": []}},
    )
    assert page.text() == "one two three"


def test_a_page_that_lost_the_first_messages_shows_what_comes_and_then_everything(page):
    """As in a host that attaches late: what opened the blocks is gone, and the answer takes its time."""
    page.push_as(4, ["add", 1, "ee *is* her"])
    assert page.text() == "ee is her"
    assert page.eval("sent") == [{"want": "snapshot"}]
    page.eval("receive({q: 5, ops: [['add', 1, 'e.'], ['close', 1]]})")
    blocks = [
        {"index": 0, "type": "tool_use", "info": {"name": "f"}, "text": "{}", "cites": [], "closed": True},
        {"index": 1, "type": "text", "info": {}, "text": "Coffee *is* here.", "cites": [], "closed": True},
    ]
    snapshot = {"blocks": blocks, "state": {"phase": "writing", "text": "Writing"}, "footer": []}
    page.eval("async (m) => { receive(m); await settle() }", {"q": 6, "snapshot": snapshot})
    page.eval("receive({q: 2, ops: [['add', 1, 'Coff']]})")  # comes after all, too late
    page.push_as(7, ["open", 2, "text", {}], ["add", 2, " Drink!"], state("done"))
    assert " ".join(page.text().split()) == "Tool call f {} Coffee is here. Drink!"
    assert page.eval("sent") == [{"want": "snapshot"}]


def test_a_page_that_hears_nothing_asks_once(page):
    page.tab.wait_for_function("sent.length > 0")
    assert page.eval("sent") == [{"want": "snapshot"}]


def test_a_view_that_comes_late_shows_everything(page):
    ops, _ = reply()
    page.push(*ops, ["footer", CHIPS], state("done"))
    page.eval("async () => { addView(); await settle() }")
    assert page.text("section .claude-nb") == page.text("#live .claude-nb")


def test_a_view_that_was_left_is_left_alone(page):
    page.push(["open", 0, "text", {}], ["add", 0, "one"])
    page.eval("leave()")
    page.push(["add", 0, " two"])
    assert page.text() == "one"


STOP = "#live .cnb-stop"


def test_stop_asks_the_program_and_leaves_the_kernel_alone_when_it_answers(page):
    page.push(state("writing", "Writing"))
    page.tab.click(STOP)
    page.eval("receive({ack: 'stop'})")
    page.tab.wait_for_timeout(450)
    assert (page.eval("sent"), page.eval("interrupts")) == ([{"do": "stop"}], 0)


def test_stop_interrupts_a_kernel_that_does_not_answer(page):
    page.push(state("writing", "Writing"))
    page.tab.click(STOP)
    assert page.tab.is_disabled(STOP)
    assert page.eval("interrupts") == 0
    page.tab.wait_for_function("interrupts === 1", timeout=2000)


def test_stop_pressed_again_interrupts_a_program_that_heard_but_goes_on(page):
    page.push(state("writing", "Writing"))
    page.tab.click(STOP)
    page.eval("receive({ack: 'stop'})")
    page.tab.click(STOP)
    assert (page.eval("sent"), page.eval("interrupts")) == ([{"do": "stop"}], 1)


def test_stop_never_hits_the_code_that_runs_after_the_reply(page):
    page.push(state("writing", "Writing"))
    page.tab.click(STOP)
    page.push(state("interrupted", "Stopped by you."))
    page.tab.wait_for_timeout(450)
    assert page.eval("interrupts") == 0
    assert page.tab.is_disabled(STOP)
    assert not page.tab.is_visible(STOP)


def test_stop_is_reached_and_pressed_by_keyboard(page):
    page.push(state("writing", "Writing"))
    page.tab.keyboard.press("Tab")
    assert page.eval("document.activeElement.getAttribute('aria-label')") == "Stop this reply"
    page.tab.keyboard.press("Enter")
    assert page.eval("sent") == [{"do": "stop"}]


def test_phases_are_announced_and_tokens_are_not(page):
    page.eval(
        """() => {
            window.said = [];
            const live = document.querySelectorAll("[aria-live], [role=status]");
            const observer = new MutationObserver(() => said.push(...[...live].map((e) => e.textContent)));
            for (const e of live) observer.observe(e, {childList: true, characterData: true, subtree: true});
        }"""
    )
    page.push(state("waiting", "Waiting"))
    page.push(["open", 0, "text", {}], ["add", 0, "one"], state("writing", "Writing"))
    page.push(["add", 0, "two"], state("writing", "Writing, 2 tokens"))
    page.push(["add", 0, "three"], state("writing", "Writing, 3 tokens"))
    page.push(state("done", "Done"))
    assert page.eval("said") == ["Waiting", "Writing", "Done"]


def test_the_page_follows_a_reader_at_the_end_and_never_moves_another(page):
    page.push(state("writing"), ["open", 0, "text", {}], ["add", 0, "line\n\n" * 100])
    page.eval("scrollTo(0, 1e6)")
    page.push(["add", 0, "line\n\n" * 10])
    assert page.eval("scrollY + innerHeight >= document.documentElement.scrollHeight - 40")
    page.eval("scrollTo(0, 500)")
    page.push(["add", 0, "line\n\n" * 10])
    assert page.eval("scrollY") == 500


def test_the_nearest_thing_that_scrolls_is_what_follows(page):
    """It may begin to scroll only when the reply has grown, as a new notebook does."""
    page.eval("document.querySelector('#live').setAttribute('style', 'height: 300px; overflow-y: auto')")
    page.push(state("writing"), ["open", 0, "text", {}], ["add", 0, "line\n\n"])
    page.push(["add", 0, "line\n\n" * 10])
    page.push(["add", 0, "line\n\n" * 10])
    assert (
        page.eval(
            "(() => { const l = document.querySelector('#live'); return l.scrollHeight - l.scrollTop - 300 })()"
        )
        < 40
    )


def test_code_that_cannot_be_copied_is_selected(page):
    page.eval("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.push(["open", 0, "text", {}], ["add", 0, "```py\nprint(1)\n```\n"])
    page.tab.hover("#live pre")
    page.tab.click("#live .cnb-copy")
    assert page.eval("getSelection().toString()").strip() == "print(1)"


def test_code_can_be_copied(browser):
    page = Page(browser, permissions=["clipboard-read", "clipboard-write"])
    page.eval("navigator.clipboard ??= {writeText: async (text) => (window.copied = text)}")
    page.push(["open", 0, "text", {}], ["add", 0, "```py\nprint('<b>')\n```\n"])
    page.tab.hover("#live pre")
    page.tab.click("#live .cnb-copy")
    page.tab.wait_for_selector(".cnb-copied")
    assert page.eval("window.copied ?? navigator.clipboard.readText()") == "print('<b>')\n"
    page.tab.context.close()


def test_nothing_turns_for_a_reader_who_wants_no_motion(browser):
    page = Page(browser, reduced_motion="reduce")
    page.push(state("writing"))
    assert page.eval("getComputedStyle(document.querySelector('.cnb-spinner')).animationName") == "none"
    page.tab.context.close()


# Hostile text

HARMLESS = (
    "div p pre code a em strong s ul ol li blockquote h1 h2 h3 h4 h5 h6 hr br sup span details summary button"
)
TABLES = "table thead tbody tr th td"
AUDIT = """(root) => {
    const allowed = new Set(%s), bad = [];
    for (const e of document.querySelectorAll(`${root} *`)) {
        if (!allowed.has(e.localName)) bad.push(e.localName);
        for (const {name, value} of e.attributes) {
            if (/^(on.*|src|srcdoc|action|formaction|id|name)$/.test(name)) bad.push(name);
            if (name === "href" && !/^(https?:\\/\\/|mailto:|#)/i.test(value)) bad.push(value);
            if (/url\\(|expression/i.test(name === "style" ? value : "")) bad.push(value);
        }
    }
    return bad;
}""" % json.dumps([*HARMLESS.split(), *TABLES.split()])  # noqa: UP031 - the script is full of braces

MARKDOWN_ATTACKS = [
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](java\tscript:alert(1))",
    "[a](&#106;avascript:alert(1))",
    "[a](javascript&colon;alert(1))",
    "[a](\x01javascript:alert(1))",
    "[a](<javascript:alert(1)>)",
    "[a](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[a](vbscript:msgbox(1))",
    "[a](blob:http://claude-nb.test/x)",
    "[a](//evil.example/x)",
    "[a](\\\\evil.example)",
    "<javascript:alert(1)>",
    "[a]\n\n[a]: javascript:alert(1)\n",
    "![a](https://evil.example/pixel.png)",
    "![a](https://evil.example/x.png 'onerror=alert(1)')",
    '![a](x "onerror=alert(1)")',
    '![a" onerror="alert(1)](x)',
    "[![a](https://evil.example/i.png)](javascript:alert(1))",
    "[a](https://e.example 'x\" onmouseover=\"alert(1)')",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<style>@import 'https://evil.example/x.css'</style>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<form action=https://evil.example><button>go</button></form>",
    "```\n</code></pre><script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "`</code><img src=x onerror=alert(1)>`",
    "| <img src=x onerror=alert(1)> |\n|---|\n| <script>alert(1)</script> |\n",
    "# <svg onload=alert(1)>",
    "> <b onmouseover=alert(1)>x</b>",
    "- <details open ontoggle=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u2e281\u2e29 \u2e28<script>alert(1)</script>\u2e29",
    "</div></details><script>alert(1)</script>",
    "<!--<img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "$\\href{javascript:alert(1)}{x}$",
    "\\(\\unicode{<img src=x onerror=alert(1)>}\\)",
    "$$\\text{<img src=x onerror=alert(1)>}$$",
    "$$\n<script>alert(1)</script>\n$$",
    "\\[ \\begin{matrix} <svg onload=alert(1)> \\end{matrix} \\]",
]


def attacks() -> list[str]:
    known = json.loads(XSS.read_text())["cases"] if XSS.exists() else []
    return [*MARKDOWN_ATTACKS, *(case["payload"] for case in known)]


def test_the_stub_page_notices_scripts_and_requests(browser):
    """So that the silence of the tests below means something."""
    page = Page(browser)
    page.save(
        "<div class=claude-nb><script>alert(1)</script><img src=https://evil.example/x.png onerror=alert(2)></div>"
    )
    page.tab.wait_for_timeout(100)
    assert sorted(page.trouble) == ["request https://evil.example/x.png", "script ran", "script ran"]
    assert page.eval(AUDIT, "#saved") == ["script", "img", "src", "onerror"]
    page.tab.context.close()


def test_hostile_text_does_nothing_wherever_it_stands(page):
    for number, text in enumerate(attacks()):
        source = {"title": text, "url": text}
        chip = {"kind": text, "text": text, "title": text, "tone": text}
        kinds = ["thinking", "tool_use", "web_search_tool_result", text, "text"]
        ops: list[list[Any]] = []
        for index, kind in enumerate(kinds, start=number * 10):
            ops += [["open", index, kind, {"name": text, "id": text, "result": text}]]
            ops += [["cite", index, source], ["add", index, text], ["close", index]]
        page.eval("(ops) => push(...ops)", [*ops, ["footer", [chip]], state("writing", text)])
    page.push(state("failed", attacks()[0]))
    page.eval("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    page.eval("settle()")
    assert page.eval(AUDIT, "#live") == []


def test_hostile_text_split_anywhere_does_nothing(page):
    """Every beginning of every text is drawn, as text, as thinking and as tool input; the rest arrives whole."""
    kinds = ["text", "thinking", "tool_use"]
    texts = [[text, kinds] for text in attacks()]
    bad = page.eval(
        """async ([texts, audit]) => {
            window.requestAnimationFrame = (draw) => draw(); // each letter at once
            const look = eval(audit);
            const bad = [];
            let q = 0;
            for (const [text, kinds] of texts) {
                receive({q: ++q, snapshot: {blocks: [], state: null, footer: []}});
                for (const [index, kind] of kinds.entries())
                    receive({q: ++q, ops: [["open", index, kind, {}]]});
                document.querySelectorAll("#live details").forEach((details) => (details.open = true));
                for (const letter of text)
                    receive({q: ++q, ops: kinds.map((_, index) => ["add", index, letter])});
                receive({q: ++q, ops: [["state", {phase: "interrupted", text}]]});
                bad.push(...look("#live"));
                if (text.length % 16 === 0) await new Promise((go) => setTimeout(go)); // what was to load or run, may
            }
            return bad;
        }""",
        [texts, AUDIT],
    )
    page.tab.wait_for_timeout(200)
    assert bad == []


def test_saved_hostile_text_does_nothing(page):
    saved = []
    for text in attacks():
        source = {"title": text, "url": text}
        kinds = ["thinking", "tool_use", "web_search_tool_result", text, "text"]
        blocks = [
            {"type": k, "text": text, "name": text, "result": text, "citations": [source]} for k in kinds
        ]
        chip = {"kind": text, "text": text, "title": text, "tone": text}
        saved.append(saved_html(blocks, [chip], "failed", text))
    page.save("\n".join(saved))
    page.eval("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    page.eval("settle()")
    assert page.eval(AUDIT, "#saved") == []
    assert page.eval("document.querySelectorAll('#saved > .claude-nb').length") == len(saved)


# Live and saved say the same

CORPUS = [
    TEXT,
    "# A\n\ntext\nmore\\\nhard  \nbreak\n\n***\n\n* a\n\n  b\n* c\n\n\n    code\n\n1) x\n2) y\n",
    "~~~\nopen fence\n\nnot closed",
    "a | b\n:-:|---\n`x|y` | \\|\n\nafter",
    "* * *\n+ [ ] task\n+ [x] done\n\nfoo\n===\nbar\n---\n",
    "Emoji 😀 and CJK 数学 **中文**强调, RTL שלום, combining e\u0301, ZWJ 👩‍👩‍👧",
    "Term[^1] and www.example.com and https://example.com/a_b_c and a@b.example",
    "a&Tab;b &semi; &notit; &nosuch; &ampx; &lt &hellip; &NotEqualTilde; &nbsp; &ZeroWidthSpace; &Auml;\n\n&nbsp;",
    "&copy; &#x1F600; &notanentity; \\* \\# \\[x\\] <https://e.example/?a=1&b=2> <a@e.example>",
    "$$\nx^2\n$$ and \\(y\\) and $5",
    "let $x_1$ be\n$$\n- y\n$$\nand \\[z < 1\\], $5 and $6, \\(\\href{javascript:alert(1)}{a}\\) and \\[1\\]",
    "[ref] and [Ref][] and ![img][ref]\n\n[ref]: https://e.example 'title'\n",
]


def spec() -> list[str]:
    examples = re.findall(r"^`{32} example\n(.*?)^\.$", SPEC.read_text(), re.MULTILINE | re.DOTALL)
    return [example.replace("→", "\t") for example in examples]


def differences(page: Page, replies: list[tuple[list[Any], str]]) -> list[Any]:
    """Where the words or links of the live view (operations) and the saved view (HTML) differ."""
    return page.eval(
        """async (replies) => {
            const read = (root) => [
                [...root.children].map((e) => e.textContent.replace(/\\s+/g, "")).join(""),
                ...[...root.querySelectorAll("a")].map((a) => `${a.textContent} -> ${a.getAttribute("href")}`),
                ...[...root.querySelectorAll("code.highlight > span")].map((s) => `${s.className} ${s.textContent}`),
            ].join("\\n");
            const bad = [];
            let q = 0;
            for (const [ops, html] of replies) {
                const saved = read(document.createRange().createContextualFragment(html).firstElementChild);
                receive({q: ++q, snapshot: {blocks: [], state: null, footer: []}});
                for (const op of ops) receive({q: ++q, ops: [op]});
                document.querySelectorAll("#live details").forEach((details) => (details.open = true));
                let live;
                for (let frame = 0; frame < 60 && live !== saved; frame++) {
                    await new Promise(requestAnimationFrame);
                    live = read(document.querySelector("#live .cnb-body"));
                }
                if (live !== saved) bad.push([live, saved]);
            }
            return bad;
        }""",
        replies,
    )


def told(text: str) -> tuple[list[Any], str]:
    """Text as one reply: live and saved."""
    ops = [["open", 0, "text", {}], ["add", 0, text], ["close", 0], state("done")]
    return ops, saved_html([{"type": "text", "text": text}])


def recorded(body: bytes) -> tuple[list[Any], str]:
    """A recorded reply: live and saved."""
    turn, ops = Turn(), []
    with Replay(body).client().beta.messages.stream(**ASK) as stream:
        for event in stream:
            ops += turn.fold(event)
    return [*ops, state("done")], saved_html([saved_block(block) for block in turn.blocks])


def test_the_comparison_notices_a_word_and_a_link(page):
    assert len(differences(page, [(told("a")[0], told("b")[1])])) == 1
    assert (
        len(differences(page, [(told("[a](https://a.example)")[0], told("[a](https://b.example)")[1])])) == 1
    )


@needs_recordings
def test_recorded_replies_are_saved_as_they_were_shown(page):
    replies = [recorded(recording.body) for recording in streams()]
    assert len(replies) > 10
    assert differences(page, replies) == []


def test_live_and_saved_text_agree_on_a_corpus(page):
    assert differences(page, [told(text) for text in CORPUS]) == []


MATH = [
    *(
        "$",
        "$$",
        "$$\n",
        "\\(",
        "\\)",
        "\\[",
        "\\]",
        "\\[\n",
        "\\]\n",
        "\\",
        "\\\\",
        "\n",
        "\n\n",
        " ",
        " ",
        "x",
        "x_1",
    ),
    *(
        "5",
        "10 ",
        "- ",
        "> ",
        "| a |\n|---|\n",
        "`",
        "[a](b)",
        "\\begin{aligned}",
        "and ",
        "=",
        "\n===\n",
        "# ",
        "1. ",
        "*a*",
    ),
]


def test_live_and_saved_mathematics_reads_the_same(page):
    chance = random.Random(2)  # noqa: S311 - the same texts in every run
    texts = ["".join(chance.choices(MATH, k=20)) for _ in range(400)]
    assert differences(page, [told(text) for text in texts]) == []


CODE = [
    *(
        "'",
        '"',
        "`",
        '"""',
        "'''",
        "/*",
        "*/",
        "//",
        "#",
        "--",
        "<!--",
        "-->",
        "<a b=",
        ">",
        "&amp;",
        "@x",
        "\\",
        "%",
    ),
    *(
        "\n",
        "\n",
        "\n    ",
        " ",
        ":",
        ": ",
        "=",
        "(",
        "[x]",
        "- ",
        "+",
        "-",
        "0x1F",
        "1.5e-3",
        "12px",
        "if",
        "true",
    ),
    *(
        "def f",
        "SELECT",
        "name",
        "größe",
        "😀",
        "'a'",
        "'\\n'",
        "$x",
        "#fff",
        "f'x'",
        ",",
        "key: v\n",
        "k = 1\n",
    ),
]


def test_live_and_saved_code_have_the_same_colours(page):
    """Whatever the code, and in whatever pieces it comes."""
    chance = random.Random(1)  # noqa: S311 - the same programs in every run
    replies = []
    for language in LANGUAGES * 12:
        text = "".join(chance.choices(CODE, k=40))
        text = f"~~~~~{language}\n{text}\n~~~~~\n"
        cut = chance.randrange(len(text))
        ops = [["open", 0, "text", {}], ["add", 0, text[:cut]], ["add", 0, text[cut:]], ["close", 0]]
        replies.append(([*ops, state("done")], saved_html([{"type": "text", "text": text}])))
    assert differences(page, replies) == []


@pytest.mark.skipif(not SPEC.exists(), reason="no CommonMark examples: run `npm ci` in claude_nb/widgets/js")
def test_live_and_saved_text_agree_on_every_commonmark_example(page):
    examples = spec()
    assert len(examples) > 640
    assert differences(page, [told(text) for text in examples]) == []
