"""What is sent to the page, and what the notebook keeps."""

import json
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm
from hypothesis import given
from hypothesis import strategies as st
from ipywidgets.widgets import widget as widgets

from claude_nb.turn import Op
from claude_nb.widgets.blocks import indent_json
from claude_nb.widgets.lexer import LIMIT, tokens
from claude_nb.widgets.markdown import render
from claude_nb.widgets.saved import static_bundle
from claude_nb.widgets.stream import StreamView
from claude_nb.widgets.wire import Outbox, Page

DONE = {"phase": "done", "text": ""}
STATIC = Path(__file__).parents[1] / "claude_nb" / "widgets" / "static"
JS = STATIC.parent / "js"
XSS = Path(__file__).parents[2] / "shared" / "xss" / "dompurify_expect.json"


class Wire(BaseComm):
    """A comm that writes down what goes to the page, as JSON would carry it."""

    sent: list[dict[str, Any]]

    def publish_msg(self, msg_type: str, data: Any = None, **_: Any) -> None:
        vars(self).setdefault("sent", []).append(
            {"type": msg_type, "data": json.loads(json.dumps(data or {}))}
        )
        self._reply_subshell_id = None  # as ipykernel 7.4 does

    @property
    def custom(self) -> list[dict[str, Any]]:
        return [m["data"]["content"] for m in self.sent if m["data"].get("method") == "custom"]

    def from_page(self, content: Any) -> None:
        self.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})


@pytest.fixture
def view(monkeypatch):
    monkeypatch.setattr(comm, "create_comm", Wire)
    view = StreamView()
    yield view
    view.clear()


def test_messages_are_numbered_from_one(view):
    view.push([["open", 0, "text", {}]])
    view.push([["add", 0, "Hello"], ["close", 0]])
    assert view.comm.custom == [
        {"q": 1, "ops": [["open", 0, "text", {}]]},
        {"q": 2, "ops": [["add", 0, "Hello"], ["close", 0]]},
    ]


def test_a_page_that_missed_something_gets_everything_so_far(view):
    chip = {"kind": "stop", "text": "end_turn", "title": "", "tone": "ok"}
    view.push([["open", 0, "text", {"a": 1}], ["add", 0, "Hel"], ["cite", 0, {"title": "t", "url": ""}]])
    view.push([["add", 0, "lo"], ["close", 0], ["state", DONE], ["footer", [chip]]])
    view.comm.from_page({"want": "snapshot"})
    block = {
        "index": 0,
        "type": "text",
        "info": {"a": 1},
        "text": "Hello",
        "cites": [{"title": "t", "url": ""}],
        "closed": True,
    }
    assert view.comm.custom[-1] == {
        "q": 3,
        "snapshot": {"blocks": [block], "state": DONE, "footer": [chip]},
    }


def test_stop_is_acknowledged_before_the_program_hears_it(view):
    """The page interrupts the kernel when it gets no answer; a slow handler must not look like none."""
    heard: list[Any] = []
    view.on_stop(lambda: heard.append(view.comm.custom[-1]))
    view.comm.from_page({"do": "stop"})
    assert heard == [{"ack": "stop"}]


def test_a_stop_that_waits_behind_the_running_cell_is_seen(view, monkeypatch):
    """As on ipykernel 6: the messages of the main shell stand in its queue until the cell is over."""

    def waiting(content: Any, comm_id: str) -> tuple[int, None, tuple[list[bytes]]]:
        message = {"comm_id": comm_id, "data": {"method": "custom", "content": content}}
        return 0, None, ([b"id", b"{}", json.dumps(message).encode()],)

    queue: list[Any] = []
    kernel = SimpleNamespace(
        shell_stream=SimpleNamespace(flush=lambda: None), msg_queue=SimpleNamespace(_queue=queue)
    )
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=kernel))
    queue += [waiting({"do": "stop"}, "another"), waiting({"want": "stop"}, view.comm.comm_id)]
    assert not view.stop_waits
    queue.append(waiting({"do": "stop"}, view.comm.comm_id))
    assert view.stop_waits


@pytest.mark.parametrize("content", [{}, {"do": "format"}, [], None, "stop"])
def test_a_message_that_means_nothing_does_nothing(view, content):
    view.on_stop(lambda: pytest.fail("stopped"))
    view.comm.from_page(content)
    assert view.comm.custom == []


def test_the_comm_stays_open_to_the_page_while_a_cell_runs(view):
    view.push([["open", 0, "text", {}]])
    assert not hasattr(view.comm, "_reply_subshell_id")


def test_the_repr_is_one_stable_line_and_the_bundle_only_the_view(view):
    assert repr(view) == "StreamView()"
    data, _ = view._repr_mimebundle_()
    assert list(data) == ["application/vnd.jupyter.widget-view+json"]


def test_no_text_of_the_model_is_in_the_widget_state(view):
    view.push([["open", 0, "text", {}], ["add", 0, "a secret"]])
    assert "a secret" not in json.dumps({key: str(value) for key, value in view.get_state().items()})


def test_a_view_that_is_over_leaves_nothing_behind(view):
    """No open widget, and not the module in the state that nbclient keeps: it folds "state" of any comm message."""
    opened = {view.model_id, view.layout.model_id}
    sent, state = view.comm.sent, {}
    view.clear()
    assert not opened & set(widgets._instances)
    for message in sent:
        state |= message["data"].get("state", {})
    assert len(json.dumps(state)) < 1000


def test_half_a_character_does_not_stop_the_stream(view):
    view.push([["open", 0, "tool_use", {"name": "\udc00"}], ["add", 0, "a\ud83d"]])
    ops = view.comm.custom[0]["ops"]
    assert ops == [["open", 0, "tool_use", {"name": "\ufffd"}], ["add", 0, "a\ufffd"]]


def test_an_unknown_operation_is_refused_by_name(view):
    with pytest.raises(ValueError, match=r"not an operation of the stream view: \['paint'"):
        view.push([["paint", 0]])


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_text_for_one_block_becomes_one_operation():
    sent: list[list[Op]] = []
    outbox = Outbox(sent.append, clock=Clock())
    outbox.put(["open", 0, "text", {}])
    for piece in ("He", "l", "lo"):
        outbox.add(0, piece)
    outbox.add(1, "other")
    outbox.put(["close", 0])
    outbox.flush()
    assert sent == [[["open", 0, "text", {}]], [["add", 0, "Hello"], ["add", 1, "other"], ["close", 0]]]


def test_a_fast_stream_is_sent_at_most_every_fifty_milliseconds():
    sent: list[list[Op]] = []
    clock = Clock()
    outbox = Outbox(sent.append, clock=clock)
    for _ in range(1000):
        outbox.add(0, "x")
        clock.now += 0.001
    outbox.flush()
    assert 19 <= len(sent) <= 21
    assert sum(len(op[2]) for ops in sent for op in ops) == 1000


@pytest.mark.parametrize(("asked", "sends"), [(200, 5), (3, 20), (60_000, 1)])
def test_a_page_that_falls_behind_is_sent_less_often_and_never_less_than_once_a_second(view, asked, sends):
    sent: list[list[Op]] = []
    clock = Clock()
    outbox = Outbox(sent.append, clock=clock)
    view.on_pace(outbox.pace)
    view.comm.from_page({"do": "pace", "ms": asked})
    for _ in range(1000):
        outbox.add(0, "x")
        clock.now += 0.001
    outbox.flush()
    assert sends <= len(sent) <= sends + 2
    assert sum(len(op[2]) for ops in sent for op in ops) == 1000


@pytest.mark.parametrize(
    "odd", [{"do": "pace"}, {"do": "pace", "ms": "soon"}, {"do": "pace", "ms": None}, {}, [], 3]
)
def test_odd_messages_of_a_page_are_passed_over(view, odd):
    view.on_pace(lambda _: pytest.fail("paced"))
    view.comm.from_page(odd)


def test_text_does_not_wait_for_the_next_delta():
    """A stream may pause for seconds; what came before the pause is shown without it."""
    arrived = threading.Event()
    sent: list[list[Op]] = []

    def send(ops: list[Op]) -> None:
        sent.append(ops)
        if len(sent) == 2:
            arrived.set()

    outbox = Outbox(send, every=0.01)
    outbox.add(0, "first")
    outbox.add(0, "second")
    assert arrived.wait(10)
    assert sent == [[["add", 0, "first"]], [["add", 0, "second"]]]


indices = st.integers(0, 2)
operations = st.one_of(
    st.tuples(st.just("add"), indices, st.text(max_size=5)),
    st.tuples(st.just("cite"), indices, st.just({"title": "t", "url": "u"})),
    st.tuples(st.just("close"), indices),
    st.tuples(st.just("open"), indices, st.just("text"), st.just({})),
    st.tuples(st.just("state"), st.just(DONE)),
)


@given(st.lists(st.tuples(operations, st.floats(0, 0.06)), max_size=40))
def test_the_page_sees_what_was_said_however_it_is_collected(steps):
    begin: list[Op] = [["open", index, "text", {}] for index in range(3)]
    direct, collected, clock = Page(), Page(), Clock()
    outbox = Outbox(collected.fold, clock=clock)
    direct.fold(begin)
    collected.fold(begin)
    for (name, *args), pause in steps:
        direct.fold([[name, *args]])
        if name == "add":
            outbox.add(*args)
        else:
            outbox.put([name, *args])
        clock.now += pause
    outbox.flush()
    assert collected.snapshot() == direct.snapshot()


TAGS = {
    *(
        "div",
        "p",
        "pre",
        "code",
        "a",
        "em",
        "strong",
        "s",
        "ul",
        "ol",
        "li",
        "blockquote",
        "hr",
        "br",
        "sup",
        "span",
    ),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"),
}


class Auditor(HTMLParser):
    """Finds whatever saved HTML may never hold."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        for name, value in attrs:
            assert name in {"href", "rel", "target", "title", "style", "class", "start", "open"}, name
            if name == "href":
                assert re.match(r"(https?://|mailto:|#)", value or "", re.IGNORECASE), value
            if name == "style":
                assert "url" not in (value or "")

    def handle_decl(self, decl: str) -> None:
        pytest.fail(f"declaration {decl}")

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"comment {data}")

    def handle_pi(self, data: str) -> None:
        pytest.fail(f"instruction {data}")

    def handle_data(self, data: str) -> None:
        self.text += data


def audit(html: str) -> str:
    auditor = Auditor()
    auditor.feed(html)
    auditor.close()
    return auditor.text


def everywhere(text: str) -> dict[str, str]:
    """The bundle of a turn in which ``text`` stands wherever text of others may stand."""
    kinds = ["text", "thinking", "tool_use", "server_tool_use", "web_search_tool_result", "newer", text]
    source = {"title": text, "url": text}
    blocks = [
        {
            "type": kind,
            "text": text,
            "name": text,
            "result": text,
            "input": {text: text},
            "citations": [source],
        }
        for kind in kinds
    ]
    chip = {"kind": "error", "text": text, "title": text, "tone": text}
    return static_bundle(blocks, [chip], state={"phase": "failed", "text": text})  # type: ignore[list-item] # hostile on purpose


FRAGMENTS = [
    *(
        "$$",
        "\\(",
        "\\)",
        "\\[",
        "\\]",
        "$x$",
        "\\frac",
        "\\href{javascript:alert(1)}{x}",
        "\\begin{matrix}",
        "{",
        "}",
    ),
    *(
        "<",
        ">",
        "</",
        "<script>",
        "<!--",
        "<?",
        "]]>",
        "&lt;",
        "&#106;avascript:",
        '"',
        "'",
        "\\",
        '" onclick="x',
    ),
    *("`", "```", "~~~", "\n", "\n\n", " ", "    ", "#", "- ", "1. ", "> ", "*", "_", "$", "| a |\n|---|\n"),
    *(
        "[x](",
        ")",
        "![",
        "](javascript:alert(1))",
        "](data:text/html,x)",
        "[x]: javascript:a\n",
        "http://",
        "mailto:",
    ),
    *("<javascript:alert(1)>", "<svg/onload=x>", "\u2e281\u2e29", "\x00", "\x1b[31m", "\ud800", "é", "😀"),
]
fragments = st.sampled_from(FRAGMENTS)
hostile = st.lists(st.one_of(fragments, st.text(max_size=8)), max_size=30).map("".join)


@given(hostile)
def test_saved_html_holds_only_harmless_elements_whatever_is_said(text):
    audit(everywhere(text)["text/html"])


@given(hostile)
def test_saved_text_has_no_control_characters_and_can_be_stored(text):
    plain = everywhere(text)["text/plain"]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", plain)
    json.dumps(everywhere(text), ensure_ascii=False).encode()


@given(hostile)
def test_equal_turns_are_saved_as_equal_bytes(text):
    assert everywhere(text) == everywhere(text)


@pytest.mark.skipif(not XSS.exists(), reason="the attack strings are kept outside the project")
def test_known_attack_strings_are_saved_as_text():
    cases = json.loads(XSS.read_text())["cases"]
    assert len(cases) > 200
    for case in cases:
        audit(everywhere(case["payload"])["text/html"])


def test_an_image_is_saved_as_a_link_that_loads_nothing():
    assert render("![a *cat*](https://e.example/c.png)") == (
        '<p><a href="https://e.example/c.png" rel="noopener noreferrer" target="_blank">a cat</a></p>\n'
    )


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//e.example", "/a", "file:///etc/passwd"]
)
def test_a_link_that_leads_nowhere_safe_has_no_target(url):
    assert "href" not in render(f"[x]({url}) ![y](<{url}>)")


def test_text_nested_too_deep_is_saved_as_source():
    assert "deep" in audit(render(">" * 80 + " deep"))


def saved(*blocks: dict[str, Any]) -> tuple[str, str]:
    bundle = static_bundle(blocks, [], state=DONE)  # type: ignore[arg-type] # hostile on purpose
    return audit(bundle["text/html"]).strip(), bundle["text/plain"]


def test_cited_text_in_several_blocks_reads_as_one_sentence_with_numbered_sources():
    a, b = {"title": "A", "url": "https://a.example"}, {"title": "B", "url": None}
    html, plain = saved(
        {"type": "text", "text": "It is ", "citations": None},
        {"type": "text", "text": "sunny ", "citations": [a, b, a]},
        {"type": "text", "text": "and warm.", "citations": [b]},
    )
    assert html == "It is sunny[1][2] and warm.[2]\n\nSources: [1] A · [2] B"
    assert plain == "It is sunny[1][2] and warm.[2]\n\n[1] A https://a.example\n[2] B"


def test_text_blocks_that_follow_each_other_are_joined_as_the_sdk_joins_them():
    assert saved({"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}) == ("Hello", "Hello")


@pytest.mark.parametrize(
    ("block", "plain"),
    [
        ({"type": "thinking", "text": "hm"}, "[Thinking]\nhm"),
        ({"type": "thinking", "text": "hm", "done": False}, "[Thinking (incomplete)]\nhm"),
        ({"type": "thinking", "text": ""}, "[Thinking (hidden by the model)]"),
        ({"type": "redacted_thinking"}, "[Thinking (redacted)]"),
        ({"type": "tool_use", "name": "f", "input": {"a": "é"}}, '[Tool call: f]\n{\n  "a": "é"\n}'),
        ({"type": "tool_use", "name": "f", "input": {}}, "[Tool call: f]\n{}"),
        (
            {"type": "tool_use", "name": "f", "text": '{"a', "done": False},
            '[Tool call (incomplete): f]\n{\n  "a',
        ),
        (
            {"type": "server_tool_use", "name": "web_search", "input": {}},
            "[Server tool call: web_search]\n{}",
        ),
        ({"type": "web_search_tool_result", "result": "3 pages"}, "[Tool result: web_search]\n3 pages"),
        ({"type": "newer", "text": "x"}, "[Block: newer]\nx"),
    ],
)
def test_every_kind_of_block_is_named_in_plain_text_and_in_html(block, plain):
    html, text = saved(block)
    assert text == plain
    assert html.split() == re.sub(r"^\[(.*?)(?:: (.*))?\]$", r"\1 \2", plain, flags=re.MULTILINE).split()


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(json_values, st.booleans())
def test_streamed_json_is_indented_as_json_dumps_does(value, escaped):
    text = json.dumps(value, ensure_ascii=escaped)
    assert indent_json(text) == json.dumps(value, indent=2, ensure_ascii=escaped)


def test_json_that_was_cut_is_shown_as_far_as_it_goes():
    assert (
        indent_json('{"path":"/tmp/a b","lines":[1.10') == '{\n  "path": "/tmp/a b",\n  "lines": [\n    1.10'
    )


def test_how_a_turn_ended_stands_below_it():
    chips: list[Any] = [
        {"kind": "stop", "text": "max_tokens", "title": "cut", "tone": "warn"},
        {"kind": "price", "text": "$0.01", "title": "", "tone": "muted"},
    ]
    bundle = static_bundle(
        [{"type": "text", "text": "Hal"}], chips, state={"phase": "interrupted", "text": "Stopped."}
    )
    assert bundle["text/plain"] == "Hal\n\nStopped.\n\nmax_tokens · $0.01"
    assert audit(bundle["text/html"]).split() == ["Hal", "Stopped.max_tokens", "·", "$0.01"]


@pytest.mark.parametrize(
    "source",
    [
        "$x_1$",
        r"\(\frac{a}{b}\)",
        r"\[\begin{aligned}a&=b\\c&<d\end{aligned}\]",
        "$$\nx\n$$",
        r"$a \text{ if } b$",
    ],
)
def test_formulas_are_given_to_the_typesetter_as_they_are_written(source):
    html = render(f"{source}\n")
    assert html.count('class="tex2jax_process mathjax_process">') == 1
    assert audit(html).strip() == source


@pytest.mark.parametrize(
    "source",
    [
        r"\(\href{javascript:alert(1)}{x}\)",
        r"$$\require{html}\class{x}{y}$$",
        r"\[\def\x{1}\x\]",
        r"$\unicode{x41}$",
        r"$\style{background:url(//e.example)}{x}$",
        r"$\bbox[background:url(//e.example)]{x}$",
        r"$\begin{evil}x\end{evil}$",
        r"$\begin {aligned}x\end{aligned}$",
        r"\(\csname href\endcsname\)",
        r"$\text{\class{x}{y}}$",
        "$$\nx\n$$ y",
        "\\[\nx",
    ],
)
def test_what_does_more_than_typeset_stays_source_that_no_typesetter_finds(source):
    html = render(source)
    assert "mathjax_process" not in html
    assert not re.search(r"[$\\]", html.replace("<span>$</span>", "").replace("<span>\\</span>", ""))
    assert audit(html).strip() == source


def test_dollars_are_kept_from_the_typesetter_with_and_without_our_classes():
    html = static_bundle([{"type": "text", "text": "$5 and $6"}], [], state=DONE)["text/html"]
    assert re.match(r'<div class="[^"]*\btex2jax_ignore\b[^"]*\bmathjax_ignore\b', html)
    assert "<p><span>$</span>5 and <span>$</span>6</p>" in html


def test_code_is_coloured_by_the_names_that_jupyter_styles():
    assert render("```python\nif x:  # why\n```") == (
        '<pre style="margin:0 0 1em;padding:8px 12px;border-radius:6px;background:rgba(128,128,128,.1)">'
        '<code class="highlight language-python" style="display:block;overflow-x:auto;white-space:pre;background:none">'
        '<span class="k" style="color:var(--hk)">if</span> x:  <span class="c" style="color:var(--hc)"># why</span>\n'
        "</code></pre>\n"
    )
    html = static_bundle([{"type": "text", "text": "```python\nif x:\n```"}], [], state=DONE)["text/html"]
    assert ";--hk:var(--jp-mirror-editor-keyword-color," in html


LANGUAGES = [
    language["names"].split()[0]
    for language in json.loads((JS.parent / "languages.json").read_text())["languages"]
]


@given(st.sampled_from(LANGUAGES), hostile)
def test_colours_change_nothing_of_what_code_says(language, text):
    assert "".join(piece for _, piece in tokens(text, language)) == text


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_code_cannot_make_the_kernel_hang(language):
    for part in (*FRAGMENTS, "'''", '"""', "/*", "//", "a:", "a=", "1", "1.", "[", "{", "\\'", '="', "--"):
        list(tokens(part * (LIMIT // len(part)), language))


def test_very_long_code_is_coloured_at_its_beginning_only():
    roles = [role for role, _ in tokens("if\n" * LIMIT, "python")]
    assert roles.count("k") == LIMIT // 3 + 1
    assert roles[-1] == ""


def test_the_bundle_names_every_licence_inside_it():
    notices = (STATIC / "stream.LICENSES.txt").read_text()
    for package in ("markdown-it", "mdurl", "punycode.js", "uc.micro"):
        assert re.search(rf"^{re.escape(package)} \d", notices, re.MULTILINE), package


@pytest.mark.skipif(not (JS / "node_modules").exists(), reason="no Node packages: run `npm ci` in widgets/js")
def test_the_committed_bundle_is_what_the_sources_build(tmp_path):
    shutil.copytree(JS, tmp_path / "js", symlinks=True)
    shutil.copy(JS.parent / "languages.json", tmp_path)
    (tmp_path / "static").mkdir()
    subprocess.run(["node", "build.mjs"], cwd=tmp_path / "js", check=True)
    for built in sorted((tmp_path / "static").iterdir()):
        assert built.read_bytes() == (STATIC / built.name).read_bytes(), built.name


def test_the_saved_view_needs_no_widget_library():
    code = "import sys, claude_nb.widgets.saved; sys.exit('anywidget' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
