"""Python values as content of a message: text, tables as CSV, figures and pictures as images, other data as JSON."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

ROWS = 50  # of a frame
CHARACTERS = 100_000  # of any text

_IMAGES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
_BLOCKS = ("text", "image", "document", "search_result")


def content(value: Any, *, rows: int = ROWS) -> list[dict[str, Any]]:
    """Give a value as content blocks of the API.

    Frames become CSV with at most ``rows`` rows and a line that says how many there are; figures, axes, PIL images
    and the bytes of a picture become images; content blocks stay as they are; everything else is text or JSON.
    Nothing is cut without a note.

    Args:
        value: Anything.
        rows: Rows of a frame that are given at most.
    """
    if isinstance(value, Sequence) and value and all(_is_block(item) for item in value):
        return [dict(item) for item in value]
    if _is_block(value):
        return [dict(value)]
    if picture := _picture(value):
        return [_image(picture)]
    return [{"type": "text", "text": text(value, rows=rows)}]


def text(value: Any, *, rows: int = ROWS) -> str:
    """Give a value as text that the API accepts: never empty, never without end, always well formed."""
    found = value if isinstance(value, str) else _table(value, rows) or _json(value)
    if len(found) > CHARACTERS:
        found = f"{found[:CHARACTERS]}\n… (cut: {CHARACTERS:,} of {len(found):,} characters)"
    found = found.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate cannot be sent
    return found if found.strip() else "(empty)"


def _is_block(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("type") in _BLOCKS and len(value) > 1


def _table(value: Any, rows: int) -> str | None:
    if type(value).__module__.split(".")[0] != "pandas" or not hasattr(value, "to_csv"):
        return None
    plain = list(value.index) == list(range(len(value)))
    table: str = value.head(rows).to_csv(index=not plain)
    if len(value) > rows:
        table += f"… (the first {rows:,} of {len(value):,} rows)"
    return table


def _json(value: Any) -> str:
    import pydantic_core

    if value is None:
        return "(empty)"
    if isinstance(value, bytes):
        return f"({len(value):,} bytes)"
    plain = value.tolist() if hasattr(value, "tolist") else value  # numpy's
    return pydantic_core.to_json(plain, fallback=str, inf_nan_mode="constants").decode()


def _picture(value: Any) -> bytes | None:
    """Give the bytes of what is a picture."""
    found = io.BytesIO()
    module = type(value).__module__
    if isinstance(value, bytes):
        return value if _media_type(value) else None
    if module.startswith("matplotlib") and not isinstance(value, type):
        figure = value if hasattr(value, "savefig") else getattr(value, "figure", None)
        if figure is not None:
            figure.savefig(found, format="png")
            return found.getvalue()
    if module.startswith("PIL.") and hasattr(value, "save"):
        value.save(found, format="PNG")
        return found.getvalue()
    if module.startswith("IPython.") and isinstance(data := getattr(value, "data", None), bytes):
        return data if _media_type(data) else None
    return None


def _media_type(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _IMAGES.items() if data.startswith(start)), None)


def _image(data: bytes) -> dict[str, Any]:
    source = {
        "type": "base64",
        "media_type": _media_type(data),
        "data": base64.standard_b64encode(data).decode(),
    }
    return {"type": "image", "source": source}
