"""Uploaded files as content blocks: pictures, PDFs and texts."""

import base64
from dataclasses import dataclass
from typing import Any

from claude_nb.attach import content
from claude_nb.errors import PromptError

ACCEPT = ".png,.jpg,.jpeg,.gif,.webp,.pdf,.txt,.md,.csv,.json,.py"

_KB = 1000
_LARGEST_IMAGE = 5 * 1024 * 1024  # bytes in base64 (build-with-claude/vision, general limits)


@dataclass(frozen=True)
class File:
    """An attached file.

    Attributes:
        label: Its name, kind and size.
        block: Its content block.
    """

    label: str
    block: dict[str, Any]

    @classmethod
    def read(cls, name: str, data: bytes) -> "File":
        """Give the file of these bytes.

        Raises:
            PromptError: As :func:`block_of`.
        """
        block = block_of(name, data)
        return cls(label_of({**block, "title": name}), block)


def block_of(name: str, data: bytes) -> dict[str, Any]:
    """Give the content block for a file: an image, or a document with its name as title.

    What it is, is read from its bytes; a name may say anything.

    Raises:
        PromptError: It is empty, too large, or of a kind that the API does not take.
    """
    if not data:
        raise PromptError(f"{name} is empty.")
    if data.startswith(b"%PDF-"):
        return _document(name, {"type": "base64", "media_type": "application/pdf", "data": _base64(data)})
    [block] = content(data)
    if block["type"] == "image":
        if len(block["source"]["data"]) > _LARGEST_IMAGE:
            raise PromptError(f"{name} is too large: the API takes images of up to 3.7 MB. Make it smaller.")
        return block
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = ""
    if not text.strip() or "\0" in text:
        raise PromptError(f"{name} is no picture (PNG, JPEG, GIF, WebP), no PDF and no text in UTF-8.")
    return _document(name, {"type": "text", "media_type": "text/plain", "data": text})


def label_of(block: dict[str, Any]) -> str:
    """Give what a reader is told of an attached block: its name where it has one, its kind and its size."""
    source = block.get("source") or {}
    data = str(source.get("data") or "")
    kind = str(source.get("media_type") or block["type"]).rpartition("/")[2]
    kind = "text" if kind == "plain" else kind.upper()
    size = len(data) * 3 // 4 if source.get("type") == "base64" else len(data.encode("utf-8", "replace"))
    named = block.get("title") or ("Image" if block["type"] == "image" else block["type"].replace("_", " "))
    return f"{named} ({kind}, {_size(size)})" if data else str(named)


def _document(name: str, source: dict[str, Any]) -> dict[str, Any]:
    return {"type": "document", "source": source, "title": name[:255]}


def _base64(data: bytes) -> str:
    return base64.standard_b64encode(data).decode()


def _size(count: int) -> str:
    return f"{count:,} bytes" if count < _KB else f"{count / _KB:,.0f} kB"
