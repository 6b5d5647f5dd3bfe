"""The most a request can use, before it is sent: what a budget reserves for it."""

from collections.abc import Mapping
from typing import Any

from claude_nb.models import find

from .rates import normalise

_LETTERS = bytes(range(65, 91)) + bytes(range(97, 123)) + b" "
_BEYOND_ASCII = bytes(range(128, 256))
_LETTERS_PER_TOKEN = 2
"""For an estimate on the high side: Claude's text has 2.5 characters a token, older models' more."""
_IMAGE_TOKENS = 5_000
"""The most an image is, whatever the length of its base64."""
_TTLS = ("", "5m", "1h")


def worst_usage(body: Mapping[str, Any], input_tokens: int | None = None) -> dict[str, Any] | None:
    """The most a request can use: its counted or estimated prompt, at the dearest class, and all of ``max_tokens``.

    A document by its address or file id counts as the model's whole window, since it is not here to be measured. Of
    ``fallbacks`` each model is counted, of an advisor its first advice. What other server tools will read cannot be
    known beforehand.

    Args:
        body: The request's JSON.
        input_tokens: The counted prompt (``count_tokens``); estimated from its length if not given.

    Returns:
        A usage in the API's fields; None for a request without ``max_tokens``, or one with such a document for a model
        whose window is not known.
    """
    most = body.get("max_tokens")
    if not isinstance(most, int):
        return None
    measure = _Measure()
    measure.add(body)
    prompt = measure.tokens if input_tokens is None else input_tokens
    if measure.elsewhere and input_tokens is None:
        window = _window(body.get("model"))
        if window is None:
            return None
        prompt = max(prompt, window)
    usage: dict[str, Any] = {"input_tokens": prompt, "output_tokens": most}
    if measure.ttl:
        ttl = "ephemeral_1h_input_tokens" if measure.ttl == "1h" else "ephemeral_5m_input_tokens"
        usage = {"input_tokens": 0, "output_tokens": most, "cache_creation_input_tokens": prompt}
        usage["cache_creation"] = {ttl: prompt}
    if beside := _beside(body):
        usage["iterations"] = [
            {"type": "message", **usage},
            *({"type": kind, "model": model, **usage} for kind, model in beside),
        ]
    return {**usage, "speed": body.get("speed"), "inference_geo": body.get("inference_geo")}


def _window(model: Any) -> int | None:
    known = find(normalise(model)[0]) or find(model) if isinstance(model, str) else None
    return known.max_input_tokens if known else None


def _beside(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The models that can answer beside the one that is asked, each with the type of its ``iterations``."""
    advisors = [tool for tool in _mappings(body.get("tools")) if str(tool.get("type")).startswith("advisor")]
    found = [("fallback_message", entry) for entry in _mappings(body.get("fallbacks"))]
    found += [("advisor_message", tool) for tool in advisors]
    return [(kind, str(entry["model"])) for kind, entry in found if entry.get("model")]


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list | tuple) else []


class _Measure:
    """How long a request is, and the longest time it asks the cache to keep.

    Words have two letters a token at least; of figures, signs and whatever else is ASCII each can be one.
    """

    def __init__(self) -> None:
        self._halves = 0
        self.ttl = ""
        self.elsewhere = False  # holds a document by its address or file id

    @property
    def tokens(self) -> int:
        """Tokens, on the high side."""
        return self._halves // _LETTERS_PER_TOKEN

    def add(self, value: Any) -> None:
        """A value of the request's JSON, or an SDK object in it."""
        if isinstance(value, str):
            self._halves += _halves(value)
        elif isinstance(value, Mapping):
            self._add_mapping(value)
        elif isinstance(value, list | tuple):
            for inner in value:
                self.add(inner)
        elif hasattr(value, "to_dict"):
            self.add(value.to_dict())
        else:
            self._halves += 8

    def _add_mapping(self, value: Mapping[str, Any]) -> None:
        if value.get("type") == "image":
            self._halves += _IMAGE_TOKENS * _LETTERS_PER_TOKEN
            return
        source = value.get("source")
        if value.get("type") == "document" and isinstance(source, Mapping):
            self.elsewhere |= source.get("type") in ("url", "file")
        if isinstance(value.get("cache_control"), Mapping):
            self.ttl = max(self.ttl, _ttl(value["cache_control"]), key=_TTLS.index)
        for name, inner in value.items():
            self._halves += len(name) + 4  # quotes, colon, comma
            self.add(inner)


def _halves(text: str) -> int:
    """Half tokens: one for a letter, two for another ASCII character, one for each byte of all others."""
    data = text.encode("utf-8", "surrogatepass")
    others = data.translate(None, _LETTERS)
    return len(data) + len(others.translate(None, _BEYOND_ASCII))


def _ttl(cache_control: Mapping[str, Any]) -> str:
    return "1h" if cache_control.get("ttl") == "1h" else "5m"
