"""One view for an answer of several replies."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay import ASK, Replay

from claude_nb import showing
from claude_nb.join import added, seam
from claude_nb.screens import Silent
from claude_nb.showing import Showing
from claude_nb.stream import read

CUT = "The sum of the first hundred numbers, as the young Gauss saw at once, is five thou"

BLOCKS = {
    "text": {"text": ""},
    "thinking": {"thinking": ""},
    "tool_use": {"id": "t", "name": "f", "input": {}},
}


def event(kind: str, **data) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


def body(*blocks: tuple[str, str], reason: str = "end_turn", tokens: int = 7) -> bytes:
    """A reply of these blocks, each text in pieces of five characters."""
    usage = {"input_tokens": 10, "output_tokens": 1}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-5-5",
        "content": [],
    }
    out = event(
        "message_start", message={**message, "stop_reason": None, "stop_sequence": None, "usage": usage}
    )
    for index, (kind, text) in enumerate(blocks):
        out += event("content_block_start", index=index, content_block={**BLOCKS[kind], "type": kind})
        for at in range(0, len(text), 5):
            delta = {"type": f"{kind}_delta", kind: text[at : at + 5]}
            out += event("content_block_delta", index=index, delta=delta)
        out += event("content_block_stop", index=index)
    ended = {"stop_reason": reason, "stop_sequence": None}
    return out + event("message_delta", delta=ended, usage={"output_tokens": tokens}) + event("message_stop")


class Recorder(Silent):
    """A screen that writes down what it is told."""

    all: list["Recorder"]

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self.kinds: dict[int, str] = {}
        self.closed: list[int] = []
        self.ended, self.gone = None, False
        self.all.append(self)

    def draw(self, ops):
        for name, *args in ops:
            if name == "open":
                assert args[0] not in self.kinds
                self.kinds[args[0]], self.texts[args[0]] = args[1], ""
            elif name == "add":
                self.texts[args[0]] += args[1]
            elif name == "close":
                self.closed.append(args[0])

    def end(self, blocks, ending):
        self.ended = ([(block.type, block.text) for block in blocks], ending)

    def cancel(self):
        self.gone = True


@pytest.fixture
def screens(monkeypatch):
    Recorder.all = []
    monkeypatch.setattr(showing, "screen_here", Recorder)
    return Recorder.all


def answer(*bodies: bytes, alone: bool = False) -> list:
    """Show these replies, each going on with the one before, and give their messages."""
    shown, messages = Showing(), []
    for each in bodies:
        after = messages[-1] if messages and not alone else None
        with shown.reply(after=after) as screen, Replay(each).client().messages.stream(**ASK) as stream:
            messages.append(read(stream, screen=screen).message)
    shown.settle()
    return messages


def test_a_cut_text_grows_on_in_its_view_and_shows_the_repetition_once(screens):
    answer(
        body(("thinking", "hm"), ("text", CUT), reason="max_tokens"),
        body(("thinking", "where was I"), ("text", CUT[-40:] + "sand and fifty."), ("text", " Yes.")),
    )
    [screen] = screens
    blocks, ending = screen.ended
    assert screen.texts == {0: "hm", 1: CUT + "sand and fifty.", 2: " Yes."}
    assert blocks == [("thinking", "hm"), ("text", CUT + "sand and fifty."), ("text", " Yes.")]
    assert screen.closed == [0, 1, 2]
    assert (ending.message.usage.input_tokens, ending.message.usage.output_tokens) == (20, 14)
    assert ending.message.stop_reason == "end_turn"


def test_a_continuation_that_repeats_nothing_is_joined_as_the_message_is(screens):
    answer(body(("text", CUT), reason="max_tokens"), body(("text", "sand and fifty.")))
    assert screens[0].texts == {0: CUT + "sand and fifty."}


def test_it_can_be_cut_again_and_again(screens):
    words = "one two three four five six seven eight nine ten"
    answer(*(body(("text", words[at : at + 12]), reason="max_tokens") for at in range(0, len(words), 12)))
    assert [screen.texts for screen in screens] == [{0: words}]


def test_a_continuation_that_calls_a_tool_shows_the_call_and_not_what_was_thought_before(screens):
    answer(
        body(("text", CUT), reason="max_tokens"), body(("thinking", "hm"), ("tool_use", ""), ("text", "so"))
    )
    assert screens[0].texts == {0: CUT, 1: "", 2: "so"}
    assert [kind for kind, _ in screens[0].ended[0]] == ["text", "tool_use", "text"]


def test_a_continuation_that_only_thinks_adds_nothing(screens):
    answer(body(("text", CUT), reason="max_tokens"), body(("thinking", "hm"), reason="max_tokens"))
    assert screens[0].texts == {0: CUT}
    assert screens[0].ended[0] == [("text", CUT)]


def test_what_stood_behind_the_cut_text_gives_way(screens):
    answer(body(("text", CUT), ("tool_use", ""), reason="max_tokens"), body(("text", "sand and fifty.")))
    assert screens[0].texts == {0: CUT + "sand and fifty.", 1: ""}
    assert screens[0].ended[0] == [("text", CUT + "sand and fifty.")]


def test_a_paused_reply_is_followed_by_the_blocks_of_the_next(screens):
    answer(body(("text", "Searching."), reason="pause_turn"), body(("text", "Searching.")))
    assert screens[0].texts == {0: "Searching.", 1: "Searching."}
    assert screens[0].ended[0] == [("text", "Searching.")] * 2


def test_a_reply_of_its_own_gets_a_view_of_its_own(screens):
    answer(body(("text", "one")), body(("text", "two")), alone=True)
    assert [screen.texts for screen in screens] == [{0: "one"}, {0: "two"}]
    assert all(screen.ended for screen in screens)


def test_what_is_there_stays_when_the_next_request_fails(screens):
    shown = Showing()
    with (
        shown.reply() as screen,
        Replay(body(("text", CUT), reason="max_tokens")).client().messages.stream(**ASK) as stream,
    ):
        message = read(stream, screen=screen).message
    with pytest.raises(ConnectionError), shown.reply(after=message):
        raise ConnectionError
    shown.settle()
    assert [(screen.ended[0], screen.gone) for screen in screens] == [([("text", CUT)], False)]
    assert screens[0].ended[1].message.stop_reason == "max_tokens"


def test_where_no_reply_begins_the_view_is_taken_away(screens):
    shown = Showing()
    with pytest.raises(ConnectionError), shown.reply():
        raise ConnectionError
    shown.settle()
    assert [(screen.ended, screen.gone) for screen in screens] == [(None, True)]


def test_a_terminal_prints_the_answer_as_one(capsys):
    answer(body(("text", CUT), reason="max_tokens"), body(("text", CUT[-40:] + "sand and fifty.")))
    assert capsys.readouterr().out.startswith(CUT + "sand and fifty.\n[finished")


@given(st.text(alphabet="ab \n", max_size=120), st.text(alphabet="ab \n", max_size=120))
def test_what_is_added_to_the_view_is_what_the_joined_text_has_more(before, after):
    whole = seam(before, after)
    shown = before if whole.startswith(before) else before.rstrip()
    assert shown + added(before, after) == whole
