import signal
import threading

import anthropic
import pytest
from replay import Replay
from test_stream import END, OPEN, START, STOP, WHOLE, delta, done

from claude_nb import MODEL, Sandbox, connect, connect_async
from claude_nb.comparison import acompare, compare
from claude_nb.errors import ClaudeNbError, ModelError, PromptError
from claude_nb.sandbox import faults

MODELS = ["claude-haiku-5-5", "claude-opus-4-8", "claude-sonnet-5-5"]


def client(**settings) -> anthropic.Anthropic:
    return connect(sandbox=Sandbox(**settings), quiet=True, max_retries=0)


def test_models_are_asked_the_same_and_stand_in_the_order_given():
    sandbox = Sandbox()
    found = compare(
        "What is a token?", models=MODELS, client=connect(sandbox=sandbox, quiet=True), system="Be brief."
    )
    assert [answer.label for answer in found.answers] == MODELS
    assert [answer.message.model for answer in found.answers] == MODELS
    assert {body["system"] for body in sandbox.requests} == {"Be brief."}
    assert len(found) == 3


def test_prompts_and_systems_are_compared_too():
    found = compare(prompts=["one", "two"], client=client())
    assert [answer.label for answer in found.answers] == ["1. one", "2. two"]
    sandbox = Sandbox()
    compare("hi", systems=["a", "b"], client=connect(sandbox=sandbox, quiet=True))
    assert sorted(body["system"] for body in sandbox.requests) == ["a", "b"]
    assert {body["model"] for body in sandbox.requests} == {MODEL}


def test_async_does_the_same(run):
    found = run(acompare("hi", models=MODELS, client=connect_async(mode="sandbox", quiet=True)))
    assert [answer.message.stop_reason for answer in found.answers] == ["end_turn"] * 3


def test_the_frame_has_a_row_an_answer_with_price_and_stop_reason():
    frame = compare("hi", models=MODELS, client=client(), max_tokens=3000).frame()
    assert list(frame["label"]) == MODELS
    assert (frame["cost_usd"] > 0).all()
    assert frame["complete"].all()
    assert frame["first_token"].isna().all()  # the sandbox has no time worth telling


def test_a_live_answer_has_its_time_to_the_first_token():
    (answer,) = compare("hi", models=["m"], client=Replay(*WHOLE).client()).answers
    assert 0 <= answer.first_token <= answer.seconds


def test_a_failure_stands_in_its_column_and_the_others_are_kept():
    found = compare("hi", models=["claude-tomorrow-9", MODEL], client=client())
    assert "not found" in found[0].error
    assert found[MODEL].error is None
    assert found.frame()["complete"].tolist() == [False, True]
    assert "claude-tomorrow-9" in found._repr_html_()


@pytest.mark.parametrize("fault", [faults.cut(), faults.truncated(), faults.refusal(), faults.overloaded()])
def test_what_is_not_complete_does_not_look_complete(fault):
    frame = compare("hi", models=[MODEL], client=client(faults=[fault])).frame()
    assert not frame["complete"][0]


def test_a_cut_answer_has_unknown_output_and_price():
    row = compare("hi", models=[MODEL], client=client(faults=[faults.truncated()])).frame().iloc[0]
    assert row["output_tokens"] is None
    assert row["cost_usd"] is None


def test_an_interrupt_keeps_what_had_come():
    """One answer is whole by then, the other is cut where it was."""
    replies = Sandbox(
        replies=lambda body: "Hi." if "short" in str(body) else "word " * 5_000, pace="300 tok/s"
    )
    slow = connect(sandbox=replies, quiet=True)
    main = threading.main_thread().ident
    threading.Timer(1.5, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt) as interrupted:
        compare(prompts=["short", "long"], client=slow, max_tokens=20_000)
    whole, cut = interrupted.value.answers
    assert (whole.message.stop_reason, cut.message.stop_reason) == ("end_turn", None)
    assert 0 < len(cut.message.content[-1].text) < 10_000
    assert cut.cost_usd is None


def test_a_server_that_sends_no_message_is_said_to():
    found = compare(
        "hi", models=["m"], client=Replay(b"{}", headers={"content-type": "application/json"}).client()
    )
    assert "api.anthropic.com answered the stream request with application/json" in found[0].error


def test_answers_read_one_after_the_other_as_text():
    said = repr(compare(prompts=["one", "two"], client=client()))
    assert said.index("== 1. one") < said.index("== 2. two")
    assert "sandbox" in said


def test_model_text_and_labels_cannot_run_in_the_page():
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    replay = Replay(START, OPEN, delta(evil), END, done(), STOP)
    html = compare(prompts=[evil], client=replay.client())._repr_html_()
    assert "<script" not in html
    assert "<img" not in html


@pytest.mark.parametrize(
    "given",
    [
        {"prompt": "hi"},
        {"prompt": "hi", "models": MODELS, "systems": ["a"]},
        {"prompt": "hi", "prompts": ["a"]},
        {"models": MODELS},
        {"prompt": "hi", "models": []},
        {"prompt": "hi", "models": MODEL},
        {"prompt": "hi", "models": 5},
        {"prompts": ["a", " "]},
        {"prompt": "hi", "models": ["claude-3-opus-20240229"]},
        {"prompt": "hi", "models": [3]},
    ],
)
def test_what_cannot_be_compared_is_one_clear_error_and_nothing_is_sent(given):
    sandbox = Sandbox()
    with pytest.raises((PromptError, ModelError)):
        compare(**given, client=connect(sandbox=sandbox, quiet=True))
    assert not sandbox.requests


@pytest.mark.parametrize("given", [{"models": MODELS}, {}, {"systems": ["a"]}])
def test_a_list_of_texts_as_the_prompt_is_pointed_to_prompts(given):
    with pytest.raises(PromptError, match=r"list of texts.*compare\(prompts=\[…\]\)"):
        compare(["a", "b"], **given)


def test_an_unknown_label_names_those_there_are():
    with pytest.raises(KeyError, match="claude-haiku-5-5"):
        compare("hi", models=MODELS, client=client())["gpt"]


@pytest.mark.parametrize("wrong", ["sk-x", connect_async, 3])
def test_what_is_no_client_is_said_to_be_none(wrong):
    with pytest.raises(ClaudeNbError, match="not a client of the SDK"):
        compare("hi", models=MODELS, client=wrong)


def test_a_client_of_the_other_kind_is_told_what_to_call(run):
    with pytest.raises(ClaudeNbError, match="await acompare"):
        compare("hi", models=MODELS, client=connect_async(mode="sandbox", quiet=True))
    with pytest.raises(ClaudeNbError, match=r"use compare\("):
        run(acompare("hi", models=MODELS, client=client()))


def test_money_in_a_label_is_not_typeset_as_a_formula():
    html = compare(prompts=["$5 and $6"], client=client())._repr_html_()
    assert 'mathjax_ignore"><b>1. $5 and $6</b>' in html
