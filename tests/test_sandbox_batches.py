"""Message batches: create, poll, cancel, expire, read results."""

import anthropic
import pytest

from claude_nb.models import MODEL
from claude_nb.sandbox import Sandbox

PARAMS = {"model": MODEL, "max_tokens": 300, "messages": [{"role": "user", "content": "Hello"}]}


class Clock:
    now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(clock):
    http_client = anthropic.DefaultHttpxClient(transport=Sandbox(clock=clock))
    return anthropic.Anthropic(api_key="sandbox", http_client=http_client, max_retries=0)


def requests(count=4, **last):
    found = [{"custom_id": f"item-{number}", "params": PARAMS} for number in range(count)]
    found[-1] = {"custom_id": found[-1]["custom_id"], "params": PARAMS | last}
    return found


def ended(client, batch):
    while batch.processing_status != "ended":
        batch = client.messages.batches.retrieve(batch.id)
    return batch


def results(client, batch):
    return {row.custom_id: row.result for row in client.messages.batches.results(batch.id)}


def test_a_batch_runs_to_its_end_by_polling(client):
    batch = client.messages.batches.create(requests=requests())
    assert (batch.processing_status, batch.request_counts.processing) == ("in_progress", 4)
    assert batch.id.startswith("msgbatch_")
    batch = client.messages.batches.retrieve(batch.id)
    assert (batch.processing_status, batch.request_counts.processing) == ("in_progress", 4)
    batch = client.messages.batches.retrieve(batch.id)
    assert (batch.processing_status, batch.request_counts.succeeded) == ("ended", 4)
    found = results(client, batch)
    assert set(found) == {f"item-{number}" for number in range(4)}
    assert {result.type for result in found.values()} == {"succeeded"}
    message = found["item-0"].message
    assert message.content[-1].text
    assert message.usage.service_tier == "batch"


def test_results_come_in_an_order_of_their_own(client):
    batch = ended(client, client.messages.batches.create(requests=requests(20)))
    order = [row.custom_id for row in client.messages.batches.results(batch.id)]
    assert sorted(order) == sorted(f"item-{number}" for number in range(20))
    assert order != [f"item-{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"model": "claude-9"}, "not_found_error"),
        ({"messages": []}, "invalid_request_error"),
        ({"stream": True}, "invalid_request_error"),
        ({"speed": "fast"}, "invalid_request_error"),
        ({"max_tokens": 0}, "invalid_request_error"),
        ({"max_tokens": "many"}, "invalid_request_error"),
    ],
)
def test_a_wrong_item_is_errored_when_the_batch_runs_and_not_before(client, wrong, kind):
    batch = ended(client, client.messages.batches.create(requests=requests(3, **wrong)))
    assert (batch.request_counts.succeeded, batch.request_counts.errored) == (2, 1)
    result = results(client, batch)["item-2"]
    assert (result.type, result.error.error.type) == ("errored", kind)
    assert result.error.error.message


def test_cancelling_keeps_what_is_done(client):
    batch = client.messages.batches.create(requests=requests())
    client.messages.batches.retrieve(batch.id)
    batch = client.messages.batches.cancel(batch.id)
    assert batch.processing_status == "canceling"
    batch = ended(client, batch)
    assert (batch.request_counts.succeeded, batch.request_counts.canceled) == (2, 2)
    assert batch.cancel_initiated_at


def test_what_is_not_done_in_a_day_expires(client, clock):
    batch = client.messages.batches.create(requests=requests())
    clock.now += 24 * 3600
    batch = client.messages.batches.retrieve(batch.id)
    assert (batch.processing_status, batch.request_counts.expired) == ("ended", 4)
    assert {result.type for result in results(client, batch).values()} == {"expired"}


def test_results_before_the_end_are_an_error(client):
    batch = client.messages.batches.create(requests=requests())
    with pytest.raises(anthropic.AnthropicError):
        client.messages.batches.results(batch.id)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [{"custom_id": "a b", "params": PARAMS}],
        [{"custom_id": "x" * 65, "params": PARAMS}],
        [{"custom_id": "a", "params": PARAMS}] * 2,
        [{"custom_id": "a"}],
    ],
    ids=["empty", "space", "long", "twice", "no params"],
)
def test_a_wrong_list_of_requests_is_refused_at_once(client, wrong):
    with pytest.raises(anthropic.BadRequestError):
        client.messages.batches.create(requests=wrong)


def test_batches_are_listed_newest_first_and_can_be_deleted(client):
    made = [client.messages.batches.create(requests=requests(number)) for number in (1, 2, 3)]
    assert [batch.id for batch in client.messages.batches.list(limit=2)] == [
        batch.id for batch in reversed(made)
    ]
    with pytest.raises(anthropic.BadRequestError):
        client.messages.batches.delete(made[0].id)
    ended(client, made[0])
    assert client.messages.batches.delete(made[0].id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        client.messages.batches.retrieve(made[0].id)


def test_batch_items_drop_thinking_of_another_conversation_instead_of_failing(client):
    first = client.messages.create(**PARAMS)
    moved = [{"role": "user", "content": "Edited"}, first.to_param(), {"role": "user", "content": "And?"}]
    with pytest.raises(anthropic.BadRequestError):
        client.messages.create(**(PARAMS | {"messages": moved}))
    batch = ended(client, client.messages.batches.create(requests=requests(1, messages=moved)))
    assert batch.request_counts.succeeded == 1
