"""Replies the sandbox makes up. They say so, and describe the request as the API saw it."""

import json
import re
from typing import Any

from claude_nb.models import Model

from . import calls, fill, ids, prompt, thinking

Json = dict[str, Any]

_NAME = re.compile(
    r"\b(?:my name is|call me|i am called|i'm called|i am|i'm)\s+([A-Z][\w'-]*)", re.IGNORECASE
)
_ASKS_NAME = re.compile(
    r"\bwhat(?:'s| is| was) my name\b|\bwho am i\b|\b(?:know|remember) my name\b", re.IGNORECASE
)
_ASKS_EARLIER = re.compile(
    r"\bwhat did i (?:just )?(?:say|ask|tell|write)\b|\bmy (?:first|last|previous) (?:message|question)\b"
    r"|\bdo you remember\b|\bearlier i\b",
    re.IGNORECASE,
)
_COUNT_TO = re.compile(r"\bcount\b.*?\bto\s+(\d[\d,]*)", re.IGNORECASE | re.DOTALL)
_LENGTH = re.compile(r"\b(\d[\d,]*)[\s-]*(word|sentence|line|paragraph|page)s?\b", re.IGNORECASE)
_LONG = re.compile(
    r"\b(?:long|detailed|lengthy|in depth|comprehensive)\b|\b(?:story|essay|article)\b", re.IGNORECASE
)
_WORDS_IN = {"word": 1, "sentence": 14, "line": 14, "paragraph": 80, "page": 400}
_LONG_WORDS, _MOST_WORDS = 600, 100_000
_QUOTE = 60

_FILLER = (
    "This sentence only takes up room, so that you can see what a longer reply does to a budget.",
    "A real model would write your text here; the sandbox counts words instead.",
    "Watch `output_tokens` grow while it streams, and what happens when `max_tokens` is smaller.",
    "Every token of it would be billed at the output price, which is the dearest one.",
    "If the reply is cut, `stop_reason` says `max_tokens` and the last sentence has no end.",
)


def content(body: Json, model: Model, *, note: str | None = None) -> list[Json]:
    """The blocks of a reply, the same for the same request.

    Args:
        body: A valid request.
        model: The model it names.
        note: A sentence to end with, such as why a tape did not match.
    """
    asked = last_prompt(body)
    if paused := _open_search(body):
        return searched(asked, paused)[1:]
    answered = _tool_results(body)
    forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
    if (not answered or forced) and (chosen := calls.choose(body, asked)):
        names = " and ".join(f"`{name}`" for name in dict.fromkeys(name for name, _ in chosen))
        said = [] if forced else [_block(f"From the sandbox: calling {names}, which your prompt asks for.")]
        return said + [{"type": "tool_use", "name": name, "input": given} for name, given in chosen]
    if wanted := (body.get("output_config") or {}).get("format"):
        return [_block(json.dumps(fill.value(wanted["schema"], fill.Hints(asked)), ensure_ascii=False))]
    if not answered and calls.web_search(body, asked):
        return searched(asked, ids.mint("srvtoolu", "web_search", asked))
    reply = (
        answered or _remembered(body, asked) or _counted(asked) or _written(asked) or _described(body, model)
    )
    return [_block(f"{reply}\n\n{note}" if note else reply)]


def _open_search(body: Json) -> str | None:
    """Id of the search under way when a paused turn was sent back."""
    last = prompt.blocks(body["messages"][-1]["content"])
    if last and last[-1]["type"] == "server_tool_use":
        return str(last[-1]["id"])
    return None


def searched(asked: str, tool_id: str) -> list[Json]:
    """A web search with one invented result, and a sentence that cites it."""
    source = {"url": "https://example.com/sandbox", "title": "A page the sandbox made up"}
    quote = "No search was made."
    citation = {
        "type": "web_search_result_location",
        **source,
        "encrypted_index": "c2FuZGJveA==",
        "cited_text": quote,
    }
    result = {"type": "web_search_result", **source, "encrypted_content": "c2FuZGJveA==", "page_age": None}
    return [
        {"type": "server_tool_use", "id": tool_id, "name": "web_search", "input": {"query": asked[:200]}},
        {"type": "web_search_tool_result", "tool_use_id": tool_id, "content": [result]},
        _block("From the sandbox: "),
        {
            "type": "text",
            "text": "nothing was searched, this is an invented source.",
            "citations": [citation],
        },
        _block(" A real answer would cite the pages it found in the same way."),
    ]


def _block(text: str) -> Json:
    return {"type": "text", "text": text}


def last_prompt(body: Json) -> str:
    """The text of the last user message that has any, or ``""``."""
    for message in reversed(body["messages"]):
        if message["role"] == "user" and (found := _text(message)):
            return found
    return ""


def _text(message: Json) -> str:
    return "\n".join(
        block["text"] for block in prompt.blocks(message["content"]) if block["type"] == "text"
    ).strip()


def _tool_results(body: Json) -> str | None:
    last = prompt.blocks(body["messages"][-1]["content"])
    results = [block for block in last if block["type"] == "tool_result"]
    if not results:
        return None
    names = {
        block["id"]: block["name"]
        for message in body["messages"]
        for block in prompt.blocks(message["content"])
        if block["type"] == "tool_use"
    }
    lines = [
        "From the sandbox: your tools have answered. A model would now write its reply from these results:",
        "",
    ]
    for result in results:
        content = prompt.blocks(result.get("content"))
        shown = " ".join(block.get("text", f"[{block['type']}]") for block in content) or "(empty)"
        failed = " reported an error" if result.get("is_error") else ""
        lines.append(f"- `{names.get(result['tool_use_id'], 'tool')}`{failed}: {_quoted(shown, 200)}")
    return "\n".join(lines)


def _remembered(body: Json, asked: str) -> str | None:
    before = [message for message in body["messages"][:-1] if message["role"] == "user"]
    if _ASKS_NAME.search(asked):
        for position, message in reversed(list(enumerate(body["messages"]))):
            if message["role"] == "user" and (found := _NAME.search(_text(message))):
                return (
                    f"From the sandbox: your name is **{found.group(1)}**. "
                    f"It is in this request, in `messages[{position}]`. The API remembers nothing between calls; "
                    "you sent it along."
                )
        return (
            "From the sandbox: this request does not contain your name. The API keeps no memory between calls: "
            "what is not in `messages`, the model cannot know. Send the earlier turns again and ask once more."
        )
    if _ASKS_EARLIER.search(asked):
        if not before:
            return (
                "From the sandbox: this request holds one message, the question itself, so nothing came before it. "
                "The API keeps no memory between calls: send the earlier turns again."
            )
        lines = [f"From the sandbox: this request holds {len(before)} earlier message(s) of yours:", ""]
        lines += [f"{number}. {_quoted(_text(message))}" for number, message in enumerate(before, 1)]
        return "\n".join([*lines, "", "The model knows them only because you sent them again."])
    return None


def _counted(asked: str) -> str | None:
    if not (found := _COUNT_TO.search(asked)):
        return None
    last = min(_number(found.group(1)), _MOST_WORDS)
    return "From the sandbox: " + ", ".join(str(number) for number in range(1, last + 1)) + "."


def _written(asked: str) -> str | None:
    if found := _LENGTH.search(asked):
        wanted = _number(found.group(1)) * _WORDS_IN[found.group(2).lower()]
    elif _LONG.search(asked):
        wanted = _LONG_WORDS
    else:
        return None
    words = f"From the sandbox: about {wanted} words of filler, as asked.".split()
    sentence = 0
    while len(words) < min(wanted, _MOST_WORDS):
        start = "\n\n" if sentence % len(_FILLER) == 0 else ""
        number, *rest = f"{sentence + 1}. {_FILLER[sentence % len(_FILLER)]}".split()
        words += [start + number, *rest]
        sentence += 1
    body = " ".join(words[: max(wanted, 1)]).replace(" \n\n", "\n\n")
    return body.rstrip(".,;") + "."


def _described(body: Json, model: Model) -> str:
    parts = prompt.parts(body, model)
    size = sum(part.tokens for part in parts)
    messages = body["messages"]
    system = "\n".join(block.get("text", "") for block in prompt.blocks(body.get("system")))
    lines = [
        "This reply comes from the **sandbox**: no model was called. This is your request as the API saw it:",
        "",
        f"- **Model**: `{model.id}`, at most {body['max_tokens']:,} output tokens",
        f"- **Messages**: {_messages(messages)}",
        f"- **Input**: about {size:,} tokens, everything counted",
        f"- **System prompt**: {_quoted(system) if system else 'none'}",
        f"- **Thinking**: {_thinking(body, model)}",
    ]
    if tools := body.get("tools"):
        named = ", ".join(f"`{tool.get('name', tool.get('type'))}`" for tool in tools)
        lines.append(f"- **Tools**: {named}; the prompt names none, so none is called")
    if cached := _cached(body, parts, model):
        lines.append(f"- **Prompt cache**: {cached}")
    lines += ["", f"Your last message: {_quoted(last_prompt(body)) or 'no text'}"]
    return "\n".join(lines) + _garnish(last_prompt(body))


def _messages(messages: list[Json]) -> str:
    if len(messages) == 1:
        return "1, so the conversation starts here"
    return f"{len(messages)}, so {len(messages) - 1} earlier ones were sent again"


def _thinking(body: Json, model: Model) -> str:
    if not thinking.is_on(body, model):
        return "off"
    shown = "summarized" if thinking.is_shown(body, model) else "hidden"
    level = thinking.effort(body, model)
    return f"on, {shown}" + (f", effort `{level}`" if level else "")


def _cached(body: Json, parts: list[prompt.Part], model: Model) -> str | None:
    marks = [index for index, part in enumerate(parts) if part.cache_control]
    if body.get("cache_control") and parts:
        marks.append(len(parts) - 1)
    if not marks:
        return None
    size = sum(part.tokens for part in parts[: marks[-1] + 1])
    least = model.min_cacheable_tokens or 0
    verdict = "stored" if size >= least else f"not stored, the minimum is {least:,}"
    return f"{len(marks)} breakpoint(s) over about {size:,} tokens: {verdict}"


def _garnish(asked: str) -> str:
    """A code block or a table when the prompt speaks of one, so that rendering can be seen."""
    if re.search(r"\b(?:code|python|function|script)\b", asked, re.IGNORECASE):
        return '\n\n```python\ndef sandbox() -> str:\n    return "code would stand here"\n```'
    if re.search(r"\btable\b", asked, re.IGNORECASE):
        return "\n\n| column | value |\n|---|---|\n| source | sandbox |\n| model called | no |"
    return ""


def _number(digits: str) -> int:
    return int(digits.replace(",", "")[:9])


def _quoted(text: str, length: int = _QUOTE) -> str:
    flat = " ".join(text.replace("`", "'").split())
    if not flat:
        return ""
    return f"“{flat}”" if len(flat) <= length else f"“{flat[: length - 1].rstrip()}…”"
