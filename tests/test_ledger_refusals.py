"""What a refusal costs is the same in the ledger's row, the chat's frame, the footer and a saved conversation."""

import pytest

from claude_nb import Chat, History, Ledger, Sandbox, connect
from claude_nb.bill import cost_of
from claude_nb.footer import footer
from claude_nb.ledger import made_output
from claude_nb.sandbox import faults


@pytest.mark.parametrize(
    ("category", "after", "billed"),
    [(None, 0, False), ("cyber", 0, False), ("bio", 0, True), ("cyber", 8, True), (None, 8, True)],
)
def test_rows_frames_and_footers_agree_on_what_a_refusal_costs(category, after, billed, tmp_path):
    sandbox = Sandbox(faults=[faults.refusal(category=category, after=after)])
    chat = Chat(connect(sandbox=sandbox, quiet=True), display=False)
    message = chat.send("Something that is refused.")
    assert message.stop_reason == "refusal"
    row = Ledger().frame().iloc[-1]
    said = next(chip["text"] for chip in footer(message) if chip["kind"] == "price")
    assert bool(row["cost_usd"] > 0) is billed
    assert (said != "not billed") is billed
    chat.history.save(tmp_path / "talk.json")
    kept = Chat(
        connect(sandbox=sandbox, quiet=True), display=False, history=History.load(tmp_path / "talk.json")
    )
    for one in (chat, kept):
        assert float(one.frame()["cost_usd"].iloc[-1]) == row["cost_usd"] == float(cost_of(message))


def test_an_empty_text_is_no_output():
    assert not made_output([{"type": "text", "text": ""}, {"type": "fallback"}, None])
    assert made_output([{"type": "tool_use", "name": "f", "input": {}}])
