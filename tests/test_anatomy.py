import anthropic
import pytest
from replay import ASK

from claude_nb import Chat, Ledger, connect, show
from claude_nb.anatomy import anatomy
from claude_nb.errors import ClaudeNbError


@pytest.fixture
def client():
    return connect(mode="sandbox", quiet=True, ledger=False)


def names(thing) -> list[str]:
    return [row.name for row in anatomy(thing).rows]


def unexplained(thing) -> list[str]:
    return [row.name for row in anatomy(thing).rows if not row.meaning and "[" not in row.name]


def test_a_message_is_shown_field_by_field_and_every_field_is_explained(client, capsys):
    message = client.messages.create(**ASK)
    show(message)
    out = capsys.readouterr().out
    assert out.startswith("Message\nid ")
    assert "stop_reason" in out
    assert "Why the reply ended. Check it before you use the text." in out
    assert unexplained(message) == []


def test_the_order_is_that_of_importance_whatever_the_server_sent(client):
    message = client.messages.create(**ASK)
    assert names(message)[:4] == ["id", "type", "role", "model"]
    assert names(message.usage)[:2] == ["input_tokens", "output_tokens"]


@pytest.mark.parametrize(
    ("make", "title"),
    [
        (lambda client: client.messages.create(**ASK).usage, "Usage"),
        (lambda client: client.messages.create(**ASK).content[-1], "A text block"),
        (
            lambda client: client.messages.count_tokens(model=ASK["model"], messages=ASK["messages"]),
            "MessageTokensCount",
        ),
        (lambda client: client.models.retrieve(ASK["model"]), "ModelInfo"),
        (
            lambda client: {**ASK, "system": "s", "tools": [{"name": "f", "input_schema": {"a": {"b": 1}}}]},
            "A request",
        ),
        (lambda client: client.messages.create(**ASK).to_dict(), "Message"),
    ],
)
def test_everything_the_api_takes_and_gives_has_an_anatomy(client, make, title):
    found = anatomy(make(client))
    assert found.title == title
    assert found.rows


def test_a_request_is_explained_down_to_its_messages():
    request = {**ASK, "system": [{"type": "text", "text": "s"}], "tools": [{"name": "f", "description": "d"}]}
    assert unexplained(request) == []
    assert "messages[0]" in names(request)


def test_an_api_error_is_shown_with_its_status(client):
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(**{**ASK, "model": "claude-3-5-sonnet-20240620"})
    found = anatomy(caught.value)
    assert found.title == "NotFoundError: HTTP status 404"
    assert "not_found_error" in repr(found)


def test_a_stream_that_was_begun_shows_the_message_so_far(client):
    with client.messages.stream(**ASK) as stream:
        with pytest.raises(ClaudeNbError, match=r"has not begun. Read it with watch\(stream\)"):
            anatomy(stream)
        next(iter(stream))
        assert anatomy(stream).title == "MessageStream: the message so far"


@pytest.mark.parametrize("thing", [None, 5, "text", [1], {"a": 1}, object(), ValueError("x")])
def test_anything_else_is_refused(thing):
    with pytest.raises(ClaudeNbError, match=r"show\(\) explains what the API takes and gives"):
        show(thing)


def test_a_conversation_and_its_table_are_refused_too(client):
    chat = Chat(client, display=False)
    chat.send("hi")
    for thing in (chat, chat.history, chat.frame(), Ledger().frame()):
        with pytest.raises(ClaudeNbError, match=f"a model, an error\\), not {type(thing).__name__}"):
            show(thing)


def test_the_table_escapes_model_text_and_shortens_it():
    hostile = {"type": "text", "text": "<img src=x onerror=alert(1)>" * 20}
    found = anatomy(hostile)
    assert "<img" not in found._repr_html_()
    assert "characters)" in repr(found)


def test_fields_of_tomorrow_are_shown_without_an_explanation():
    rows = anatomy({"type": "message", "content": [], "brand_new": {"deep": [1, 2]}}).rows
    assert [(row.depth, row.name, row.meaning) for row in rows[-2:]] == [
        (0, "brand_new", ""),
        (1, "deep", ""),
    ]


def test_a_key_in_a_request_is_never_shown(key):
    request = {**ASK, "extra_headers": {"x-api-key": key}, "api_key": key, "note": f"my key is {key}"}
    for shown in (repr(anatomy(request)), anatomy(request)._repr_html_()):
        assert key not in shown
        assert key[-12:] not in shown
