"""The prompt cache of the sandbox: breakpoints, minimum, lookback, lifetimes, invalidation, diagnostics."""

import anthropic
import pytest

from claude_nb.models import MODEL
from claude_nb.sandbox import Sandbox

LONG = "The quick brown fox jumps over the lazy dog. " * 60  # about 1,080 tokens, over the minimum of 512
MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ask(clock):
    sandbox = Sandbox(clock=clock)
    http_client = anthropic.DefaultHttpxClient(transport=sandbox)
    client = anthropic.Anthropic(api_key="sandbox", http_client=http_client)

    def ask(messages="Hello", **settings):
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        settings = {"model": MODEL, "max_tokens": 64, "messages": messages} | settings
        counted = client.messages.count_tokens(
            **{name: value for name, value in settings.items() if name not in ("max_tokens", "diagnostics")}
        )
        message = client.messages.create(**settings)
        usage = message.usage
        split = usage.cache_creation
        total = usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens
        assert total == counted.input_tokens
        assert usage.cache_creation_input_tokens == (
            split.ephemeral_5m_input_tokens + split.ephemeral_1h_input_tokens
        )
        return message

    return ask


def text(content, mark=None):
    return {"type": "text", "text": content} | ({"cache_control": mark} if mark else {})


def system(mark=MARK, content=LONG):
    return [text(content, mark)]


def tool(name="lookup", mark=None):
    found = {"name": name, "description": LONG, "input_schema": {"type": "object"}}
    return found | ({"cache_control": mark} if mark else {})


def read(message):
    return message.usage.cache_read_input_tokens


def wrote(message):
    return message.usage.cache_creation_input_tokens


def test_nothing_is_cached_without_a_breakpoint(ask):
    for _ in range(2):
        message = ask(system=LONG)
        assert (read(message), wrote(message)) == (0, 0)


def test_the_second_request_reads_what_the_first_wrote(ask):
    first, second = ask(system=system()), ask("Another question", system=system())
    assert (read(first), wrote(first) > 1000) == (0, True)
    assert (read(second), wrote(second)) == (wrote(first), 0)


def test_a_prompt_under_the_minimum_is_silently_not_cached(ask):
    for _ in range(2):
        message = ask(system=system(content="Be brief."))
        assert (read(message), wrote(message)) == (0, 0)


def test_the_minimum_is_the_models(ask):
    """1,080 tokens are enough for Haiku 5.5 (512) and not for Opus 4.7 (2,048)."""
    assert wrote(ask(system=system(), model="claude-opus-4-7")) == 0
    assert wrote(ask(system=system())) > 0


@pytest.mark.parametrize(("mark", "lifetime"), [(MARK, 300), (HOUR, 3600)])
def test_an_entry_lives_as_long_as_its_ttl(ask, clock, mark, lifetime):
    ask(system=system(mark))
    clock.now += lifetime - 1
    assert read(ask(system=system(mark))) > 0
    clock.now += lifetime + 1
    assert read(ask(system=system(mark))) == 0


def test_use_renews_an_entry(ask, clock):
    ask(system=system())
    for _ in range(5):
        clock.now += 200
        assert read(ask(system=system())) > 0


def test_ttls_are_split_in_the_usage(ask):
    message = ask([{"role": "user", "content": [text(LONG, MARK), text("Why?")]}], system=system(HOUR))
    split = message.usage.cache_creation
    assert split.ephemeral_1h_input_tokens > 1000
    assert split.ephemeral_5m_input_tokens > 1000


def test_automatic_caching_moves_forward_with_the_conversation(ask):
    history = [{"role": "user", "content": LONG}]
    first = ask(history, cache_control=MARK)
    assert wrote(first) > 1000
    history += [first.to_param(), {"role": "user", "content": "And then?"}]
    second = ask(history, cache_control=MARK)
    assert read(second) == wrote(first)
    assert wrote(second) > 0


def test_a_read_looks_back_at_most_twenty_blocks(ask):
    """Entries 19 blocks before the breakpoint are found, entries 20 blocks before are not."""

    def after(extra):
        return [{"role": "user", "content": [text(LONG), *[text(f"block {n}") for n in range(extra)]]}]

    ask(after(0), cache_control=MARK)
    assert read(ask(after(20), cache_control=MARK)) == 0
    ask(after(0), cache_control=MARK)
    assert read(ask(after(19), cache_control=MARK)) > 1000


def test_models_and_keys_do_not_share_entries(ask):
    ask(system=system())
    assert read(ask(system=system(), model="claude-opus-5-5")) == 0


@pytest.mark.parametrize(
    ("change", "tools_survive", "system_survives"),
    [
        ({"tools": [tool("other", MARK)]}, False, False),
        ({"system": system(content=LONG + "!")}, True, False),
        ({"speed": "fast"}, True, False),
        ({"tool_choice": {"type": "none"}}, True, True),
        ({"thinking": {"type": "disabled"}}, True, True),
        ({"output_config": {"effort": "high"}}, True, True),
    ],
    ids=["tools", "system", "speed", "tool_choice", "thinking", "effort"],
)
def test_a_change_invalidates_its_section_and_those_after_it(ask, change, tools_survive, system_survives):
    base = {"tools": [tool(mark=MARK)], "system": system()}
    messages = [{"role": "user", "content": [text(LONG, MARK)]}]
    whole = wrote(ask(messages, **base))
    found = read(ask(messages, **(base | change)))
    assert found < whole
    assert (found > 0) == tools_survive
    assert (found > whole / 2) == system_survives


def test_a_first_image_invalidates_the_messages_and_leaves_the_system_prompt(ask):
    question = {"role": "user", "content": [text(LONG, MARK)]}
    whole = wrote(ask([question], system=system()))
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    found = read(ask([question, {"role": "user", "content": [image]}], system=system()))
    assert 0 < found < whole


def test_spelling_out_the_default_effort_changes_nothing(ask):
    messages = [{"role": "user", "content": [text(LONG, MARK)]}]
    ask(messages)
    assert read(ask(messages, output_config={"effort": "medium"})) > 0


def test_a_late_system_message_does_not_invalidate(ask):
    history = [{"role": "user", "content": LONG}]
    first = ask(history, cache_control=MARK)
    later = ask([*history, {"role": "system", "content": "Be brief."}], cache_control=MARK)
    assert read(later) == wrote(first)


def test_max_tokens_zero_warms_the_cache_without_output(ask):
    warmed = ask(system=system(), max_tokens=0)
    assert (warmed.content, warmed.stop_reason, warmed.usage.output_tokens) == ([], "max_tokens", 0)
    assert read(ask(system=system())) == wrote(warmed)


def test_a_refused_request_writes_nothing(ask):
    with pytest.raises(anthropic.BadRequestError):
        ask(system=system(), thinking={"type": "enabled", "budget_tokens": 2000})
    assert read(ask(system=system())) == 0


def test_diagnostics_are_null_when_not_asked_for_or_when_nothing_diverged(ask):
    assert ask(system=system()).diagnostics is None
    first = ask(diagnostics={"previous_message_id": None})
    assert first.diagnostics is None
    turns = [{"role": "user", "content": "Hello"}, first.to_param(), {"role": "user", "content": "Go on"}]
    assert ask(turns, diagnostics={"previous_message_id": first.id}).diagnostics is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "claude-opus-5-5"}, "model_changed"),
        ({"system": "Other"}, "system_changed"),
        ({"tools": [tool()]}, "tools_changed"),
        ({"messages": "Different"}, "messages_changed"),
        ({"thinking": {"type": "disabled"}}, "unavailable"),
    ],
)
def test_diagnostics_name_what_changed(ask, change, reason):
    first = ask(system="One", diagnostics={"previous_message_id": None})
    message = ask(**({"system": "One", "diagnostics": {"previous_message_id": first.id}} | change))
    found = message.diagnostics.cache_miss_reason
    assert found.type == reason
    if reason != "unavailable":
        assert found.cache_missed_input_tokens > 0


def test_diagnostics_say_when_the_previous_message_is_unknown(ask):
    message = ask(diagnostics={"previous_message_id": "msg_unknown"})
    assert message.diagnostics.cache_miss_reason.type == "previous_message_not_found"
