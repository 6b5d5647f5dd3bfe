import pytest
from replay import ASK

from claude_nb import Chat, connect
from claude_nb.loop import CONTINUE
from claude_nb.sandbox import filler, resume


def text(message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_a_chat_that_continues_ends_with_the_whole_text_without_a_seam():
    chat = Chat(connect(mode="sandbox", quiet=True, ledger=False), display=False, max_tokens=200)
    message = chat.send("Tell me a story of 300 words.", on_truncation="continue")
    assert text(message) == filler.text("Tell me a story of 300 words.")
    assert message.stop_reason == "end_turn"


@pytest.mark.parametrize(
    "prompt", ["Please continue.", "Go on exactly where you stopped.", "You were cut off."]
)
def test_a_plain_request_to_go_on_gets_the_rest(prompt):
    client = connect(mode="sandbox", quiet=True, ledger=False)
    ask = {**ASK, "max_tokens": 150, "messages": [{"role": "user", "content": "A story of 200 words."}]}
    first = text(client.messages.create(**ask))
    messages = [
        *ask["messages"],
        {"role": "assistant", "content": first},
        {"role": "user", "content": prompt},
    ]
    rest = text(client.messages.create(**{**ask, "max_tokens": 4000, "messages": messages}))
    assert (first.rstrip() + " " + rest).split() == filler.text("A story of 200 words.").split()


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "continue"}],
        [
            {"role": "user", "content": "A story of 200 words."},
            {"role": "assistant", "content": "Something else."},
            {"role": "user", "content": "continue"},
        ],
        [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": CONTINUE.format(end="hello")},
        ],
    ],
)
def test_where_nothing_was_cut_there_is_no_rest(messages):
    assert resume.rest(messages) is None


def test_after_the_end_it_says_so():
    whole = filler.text("A story of 50 words.")
    messages = [
        {"role": "user", "content": "A story of 50 words."},
        {"role": "assistant", "content": whole},
        {"role": "user", "content": "Go on."},
    ]
    assert resume.rest(messages) == "From the sandbox: that was all of it."
