"""Ids with the API's prefixes, derived from a request: the same request always gets the same ids."""

import hashlib
import json
from typing import Any

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_LENGTH = 22


def mint(prefix: str, *seed: Any) -> str:
    """An id such as ``msg_01…`` (also ``toolu_01…``, ``req_01…``, ``msgbatch_01…``)."""
    number = int.from_bytes(hashlib.blake2b(json.dumps(seed).encode(), digest_size=20).digest(), "big")
    digits = []
    for _ in range(_LENGTH):
        number, rest = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[rest])
    return f"{prefix}_01{''.join(digits)}"


def digest(content: bytes) -> str:
    """A digest of bytes."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def fingerprint(body: dict[str, Any]) -> str:
    """A digest of a request body; streaming or not, the reply is the same one."""
    kept = {name: value for name, value in body.items() if name != "stream"}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=True)
    return digest(text.encode())
