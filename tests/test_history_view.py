"""The table of a conversation in its three forms, and its controls without a browser."""

import re

import pytest
from test_history import CALL, message, talk, text

from claude_nb import History
from claude_nb.errors import HistoryError
from claude_nb.history.panel import _Controls
from claude_nb.trim import keep_last

HOSTILE = "<script>alert(1)</script> | `x` $y$ [a](javascript:alert(1)) \x1b[31m \u202eabc"


def controls(history: History, page: int = 30) -> _Controls:
    made = _Controls(history, page)
    made.draw()
    return made


class TestTable:
    def test_it_says_turn_role_blocks_words_tokens_and_what_is_special(self):
        history = talk("one", message(CALL, stop_reason="tool_use"))
        history.results({"toolu_1": "2"})
        history.reply(message(text("done")))
        history.user("two")
        history.pin(0)
        history.request(trim=keep_last(1, step=0))
        lines = history.table().splitlines()
        assert re.split(r"\s{2,}", lines[0]) == [
            "at",
            "turn",
            "role",
            "blocks",
            "first words",
            "tokens (estimate)",
            "cached",
        ]
        assert re.match(r"0\s+1\s+user\s+text\s+one\s+\d+ ▇+\s+no\s+pinned$", lines[1])
        assert re.match(r"1\s+1\s+assistant\s+tool_use\s+\[tool_use\]", lines[2])
        assert lines[5].startswith("4   2     user")

    def test_what_the_cache_held_is_told(self):
        history = talk("x" * 1_000)
        usage = {"input_tokens": 12, "cache_creation_input_tokens": 500, "output_tokens": 9}
        history.reply(message(text("y"), usage={**usage, "cache_read_input_tokens": 0}))
        history.user("two")
        usage = {"input_tokens": 30, "cache_creation_input_tokens": 0, "output_tokens": 9}
        history.reply(message(text("z"), usage={**usage, "cache_read_input_tokens": 512}))
        assert [("yes" in line, "no" in line.split()) for line in history.table().splitlines()[1:]] == [
            (True, False),
            (False, True),
            (False, True),
            (False, True),
        ]

    @pytest.mark.parametrize("form", ["text", "markdown", "html"])
    def test_what_was_said_is_safe_in_every_form(self, form):
        shown = talk(HOSTILE, message(text(HOSTILE))).table(form)
        if form == "html":
            assert "<script>" not in shown
        if form != "html":
            assert "\x1b" not in shown
            assert "\u202e" not in shown
        if form == "markdown":
            assert all(line.replace("\\|", "").count("|") == 9 for line in shown.splitlines() if line)
            assert "](javascript" not in shown

    def test_a_long_one_says_what_it_does_not_show(self):
        history = History()
        for number in range(300):
            history.user(f"prompt {number}")
        shown = history.table("html")
        assert shown.count("<tr") < 210
        assert "100 of 300 messages not shown" in shown

    def test_another_form_is_refused(self):
        with pytest.raises(HistoryError, match="'text', 'markdown', 'html'"):
            History().table("pdf")


class TestControls:
    def test_pinning_is_an_act_and_its_opposite(self):
        history = talk("one", message(text("1")))
        view = controls(history)
        view.message.value = 0
        view.pin.click()
        assert "pinned" in history.table()
        assert (view.pin.description, view.told.value) == (
            "Unpin",
            "Message 0 is pinned: its turn is always sent.",
        )
        view.pin.click()
        assert "pinned" not in history.table()

    def test_undo_takes_the_last_prompt_back_and_switching_returns(self):
        history = talk("one", message(text("1")), "two")
        view = controls(history)
        view.undo.click()
        assert [entry.text for entry in history.entries] == ["one", "1"]
        view.branch.value = max(number for _, number in view.branch.options)
        assert [entry.text for entry in history.entries] == ["one", "1", "two"]

    def test_forking_goes_on_from_the_message_and_keeps_the_rest(self):
        history = talk("one", message(text("1")), "two", message(text("2")))
        view = controls(history)
        view.message.value = 1
        view.fork.click()
        history.user("drei")
        assert [entry.text for entry in history.entries] == ["one", "1", "drei"]
        assert len(history.branches()) == 2

    def test_editing_opens_with_the_words_and_keeps_them_when_they_are_refused(self):
        history = talk("one", message(text("1")), "two")
        view = controls(history)
        view.message.value = 2
        view.edit.click()
        assert (view.text.value, view.editor.layout.display) == ("two", "")
        view.text.value = " "
        view.save.click()
        assert "empty" in view.told.value
        assert view.editor.layout.display == ""
        view.text.value = "zwei"
        view.save.click()
        assert history.entries[-1].text == "zwei"
        assert view.editor.layout.display == "none"

    def test_images_of_an_edited_prompt_stay(self):
        image = {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
        }
        history = History()
        history.user([image, text("what?")])
        view = controls(history)
        view.edit.click()
        view.text.value = "what is it?"
        view.save.click()
        assert history.messages[0]["content"] == [image, text("what is it?")]

    def test_replies_cannot_be_edited(self):
        view = controls(talk("one", message(text("1"))))
        view.message.value = 1
        assert view.edit.disabled

    def test_after_a_change_elsewhere_it_acts_on_nothing_unseen(self):
        history = talk("one", message(text("1")))
        view = controls(history)
        history.user("two")
        view.undo.click()
        assert len(history) == 3
        assert "has changed in the meantime" in view.told.value
        view.undo.click()
        assert len(history) == 2

    def test_an_empty_conversation_offers_nothing(self):
        view = controls(History())
        assert all(one.disabled for one in (view.pin, view.fork, view.undo, view.edit))

    def test_a_long_conversation_is_shown_in_pages(self):
        history = History()
        for number in range(1_000):
            history.user(f"prompt {number}")
        view = controls(history, page=30)
        assert len(view.message.options) == 30
        assert view._static()["text/html"].count("<tr") == 31
        view.earlier.click()
        assert [at for _, at in view.message.options] == list(range(940, 970))
        assert "970 of 1,000 messages not shown" in view._static()["text/html"]

    def test_what_was_said_is_plain_text_in_the_controls(self):
        view = controls(talk(HOSTILE))
        assert type(view.message).__name__ == "Dropdown"  # its options are text nodes
        assert "&lt;script&gt;" in view._static()["text/html"]

    def test_in_a_terminal_it_is_a_table(self, capsys):
        talk("one").view()._ipython_display_()
        assert "first words" in capsys.readouterr().out

    @pytest.mark.parametrize("page", [0, "a", 1.5, True])
    def test_a_page_is_a_number_of_messages(self, page):
        with pytest.raises(HistoryError, match="page is"):
            History().view(page=page)
