"""Replies the sandbox makes up. They say so, and describe the request as the API saw it."""

import json
import re
from typing import Any

from claude_nb.models import Model

from . import calls, fill, filler, ids, prompt, recall, resume, thinking

Json = dict[str, Any]

_QUOTED_RESULT = 200
_MOST_QUOTED = 3


def content(body: Json, model: Model, *, note: str | None = None) -> list[Json]:
    """The blocks of a reply, the same for the same request.

    Args:
        body: A valid request.
        model: The model it names.
        note: A sentence to end with, such as why a tape did not match.
    """
    asked = recall.last_prompt(body["messages"])
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
    messages = body["messages"]
    reply = (
        answered
        or resume.rest(messages)
        or recall.answer(messages, asked)
        or filler.text(asked)
        or _described(body, model)
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
        lines.append(
            f"- `{names.get(result['tool_use_id'], 'tool')}`{failed}: {recall.quoted(shown, _QUOTED_RESULT)}"
        )
    return "\n".join(lines)


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
        f"- **System prompt**: {recall.quoted(system) if system else 'none'}",
        f"- **Thinking**: {_thinking(body, model)}",
    ]
    if tools := body.get("tools"):
        named = ", ".join(f"`{tool.get('name', tool.get('type'))}`" for tool in tools)
        lines.append(f"- **Tools**: {named}; the prompt names none, so none is called")
    if cached := _cached(body, parts, model):
        lines.append(f"- **Prompt cache**: {cached}")
    lines += ["", f"Your last message: {recall.quoted(recall.last_prompt(body['messages'])) or 'no text'}"]
    return "\n".join(lines) + _garnish(recall.last_prompt(body["messages"]))


def _messages(messages: list[Json]) -> str:
    if len(messages) == 1:
        return "1, so the conversation starts here"
    quotes = [recall.quoted(text) for _, text in recall.earlier(messages)[-_MOST_QUOTED:]]
    said = f" You wrote before: {', '.join(quotes)}" if quotes else ""
    return f"{len(messages)}; the earlier ones were sent again.{said}"


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
    number = "1 breakpoint" if len(marks) == 1 else f"{len(marks)} breakpoints"
    return f"{number} over about {size:,} tokens: {verdict}"


def _garnish(asked: str) -> str:
    """A code block or a table when the prompt speaks of one, so that rendering can be seen."""
    if re.search(r"\b(?:code|python|function|script)\b", asked, re.IGNORECASE):
        return '\n\n```python\ndef sandbox() -> str:\n    return "code would stand here"\n```'
    if re.search(r"\btable\b", asked, re.IGNORECASE):
        return "\n\n| column | value |\n|---|---|\n| source | sandbox |\n| model called | no |"
    return ""
