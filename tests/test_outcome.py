import json

import anthropic
import httpx2
import pytest
from anthropic.types import StopReason, TextBlock, ThinkingBlock

from claude_nb.errors import BadStream
from claude_nb.outcome import in_words, outcome_of

TEXT = TextBlock(type="text", text="x", citations=None)
THINKING = ThinkingBlock(type="thinking", thinking="", signature="s")


def outcome(stop_reason, content=(TEXT,), **fields):
    filled = {"stop_sequence": None, "stop_details": None, **fields}
    return outcome_of(
        anthropic.types.Message.construct(content=list(content), stop_reason=stop_reason, **filled)
    )


def test_every_stop_reason_of_the_sdk_is_known():
    for reason in StopReason.__args__:
        assert outcome(reason).stop_reason == reason
        assert "Unknown" not in outcome(reason).remedy


def test_only_whole_answers_are_complete():
    complete = {reason for reason in [*StopReason.__args__, None, "tomorrow"] if outcome(reason).complete}
    assert complete == {"end_turn", "stop_sequence", "tool_use"}


def test_what_is_incomplete_has_a_remedy():
    for reason in [*StopReason.__args__, None, "tomorrow"]:
        assert outcome(reason).complete or outcome(reason).remedy


def test_a_refusal_names_its_category_and_explains():
    refused = outcome(
        "refusal",
        stop_details=anthropic.types.RefusalStopDetails.construct(category="bio", explanation="No."),
    )
    assert refused.label == "refused (bio)"
    assert refused.remedy.startswith("No. ")


def test_a_stop_sequence_is_quoted():
    assert outcome("stop_sequence", stop_sequence="END").label == "stop sequence 'END'"


def test_a_ceiling_that_left_no_room_for_text_says_so():
    assert "No token was left for text" in outcome("max_tokens", [THINKING]).remedy


def test_an_empty_reply_is_complete_and_says_how_to_go_on():
    assert outcome("end_turn", []).complete
    assert "Please continue" in outcome("end_turn", []).remedy


def status_error(status: int, body: dict) -> anthropic.APIStatusError:
    response = httpx2.Response(status, json=body, request=httpx2.Request("POST", "http://test"))
    client = anthropic.Anthropic(api_key="sandbox")
    return client._make_status_error(str(body), body=body, response=response)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx2.ReadTimeout("x"), "the server went silent"),
        (httpx2.ReadError("reset by peer"), "connection lost: reset by peer"),
        (json.JSONDecodeError("x", "y", 0), "the server sent damaged data"),
        (BadStream("gateway.test answered with text/html"), "gateway.test answered with text/html"),
        (KeyError("k"), "'k'"),
        (
            AttributeError("'NoneType' object has no attribute 'x'"),
            "the server sent what the SDK cannot read",
        ),
        (RuntimeError(), "RuntimeError"),
        (
            status_error(
                200, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
            ),
            "overloaded error: Overloaded",
        ),
    ],
)
def test_failures_are_said_in_words(error, words):
    assert in_words(error) == words


def test_words_stay_on_one_short_line():
    said = in_words(RuntimeError("long\n" * 500))
    assert len(said) <= 200
    assert "\n" not in said
