"""How many tokens the sandbox says something is: a fixed rule, an estimate, never the model's tokenizer.

Rule of thumb of the documentation: 2.5 characters a token from Claude 4.7 on, about 30 % fewer tokens before.
Bytes instead of characters make scripts other than Latin dearer, as they are. Of recorded plain-text prompts, half are
within 10 % of this estimate.
"""

import base64
import binascii
import json
import math
from typing import Any

from claude_nb.models import Model

Json = dict[str, Any]

MESSAGE_OVERHEAD = 3
PROMPT_OVERHEAD = 3
_TOOLS_OVERHEAD = {1: 496, 2: 354}
_FORMAT_OVERHEAD = 160
_BYTES_PER_TOKEN = {1: 3.3, 2: 2.5}
_IMAGE_DEFAULT, _IMAGE_LARGEST, _PIXELS_PER_TOKEN = 1_500, 1_600, 750
_PDF_PAGE = 2_000
_PNG_SIZE = slice(16, 24)


def count_text(text: str, model: Model) -> int:
    """Tokens of a text; 0 only for the empty text."""
    return math.ceil(len(text.encode(errors="replace")) / _BYTES_PER_TOKEN[model.tokenizer])


def cut_text(text: str, tokens: int, model: Model) -> str:
    """The beginning of ``text`` that is at most ``tokens`` tokens long."""
    size = int(tokens * _BYTES_PER_TOKEN[model.tokenizer])
    return text.encode(errors="replace")[:size].decode(errors="ignore")


def tools_overhead(model: Model) -> int:
    """Tokens of the hidden prompt that declaring any tool adds."""
    return _TOOLS_OVERHEAD[model.tokenizer]


def format_overhead(schema: Json, model: Model) -> int:
    """Tokens of the hidden prompt that a structured output adds."""
    return _FORMAT_OVERHEAD + count_text(json.dumps(schema), model)


def count_block(block: Json, model: Model) -> int:
    """Tokens of one content block of a request, thinking excepted."""
    match block.get("type"):
        case "text":
            return count_text(block["text"], model)
        case "image":
            return _image(block.get("source", {}))
        case "document":
            return _document(block, model)
        case "tool_result" | "search_result":
            return 8 + _nested(block.get("content"), model)
        case "tool_use" | "server_tool_use":
            return 8 + count_text(block["name"] + json.dumps(block.get("input")), model)
        case _:
            return count_text(json.dumps(block, ensure_ascii=False), model)


def _nested(content: Any, model: Model) -> int:
    if isinstance(content, str):
        return count_text(content, model)
    return sum(count_block(block, model) for block in content or ())


def _image(source: Json) -> int:
    if source.get("type") != "base64":
        return _IMAGE_DEFAULT
    try:
        head = base64.b64decode(str(source["data"])[:32], validate=True)
    except (binascii.Error, ValueError):
        return _IMAGE_DEFAULT
    if not head.startswith(b"\x89PNG") or len(head) < _PNG_SIZE.stop:
        return _IMAGE_DEFAULT
    size = head[_PNG_SIZE]
    width, height = int.from_bytes(size[:4], "big"), int.from_bytes(size[4:], "big")
    return max(1, min(_IMAGE_LARGEST, width * height // _PIXELS_PER_TOKEN))


def _document(block: Json, model: Model) -> int:
    source = block.get("source", {})
    match source.get("type"):
        case "text":
            return count_text(source["data"], model)
        case "content":
            return _nested(source["content"], model)
        case "base64":
            try:
                pages = base64.b64decode(source["data"]).count(b"/Type /Page\n")
            except (binascii.Error, ValueError):
                pages = 1
            return _PDF_PAGE * max(1, pages)
        case _:
            return _PDF_PAGE
