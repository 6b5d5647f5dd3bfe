"""Signatures of thinking blocks: made here, checked when a block comes back.

The real API binds a thinking block to the conversation it was produced in. So does the sandbox, without keeping
state: a signature carries digests of what came before, sealed so that a changed character shows.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

Json = dict[str, Any]

_MARK = b"claude_nb sandbox:"
_SEAL_BYTES = 12
_FOREIGN_LENGTH = 64  # the shortest real signatures are several hundred characters


@dataclass(frozen=True, slots=True)
class Seal:
    """What a sandbox signature says.

    Attributes:
        model: Id of the model that "thought".
        tokens: Thinking tokens, billed again as input when the block is sent back.
        text: Digest of the thinking text.
        prefix: Digest of system, tools and everything before the block except thinking.
        earlier: Digests of the thinking blocks before it, oldest first.
        within: How many of those stand in the same assistant turn.
    """

    model: str
    tokens: int
    text: str
    prefix: str
    earlier: tuple[str, ...] = ()
    within: int = 0


def digest(text: str, size: int = 6) -> str:
    """A short digest, as hexadecimal."""
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=size).hexdigest()


def sign(seal: Seal) -> str:
    """The signature, as the API writes one: base64."""
    payload = _MARK + json.dumps(asdict(seal), separators=(",", ":")).encode()
    return base64.b64encode(payload + _mac(payload)).decode()


def read(block: Json) -> Seal | None:
    """The seal of a thinking block, or ``None`` when the sandbox did not make it or it was altered."""
    return _unsealed(str(block.get("signature") or ""))


@lru_cache(maxsize=4096)
def _unsealed(signature: str) -> Seal | None:
    raw = _decoded(signature)
    if raw is None or not raw.startswith(_MARK):
        return None
    payload, mac = raw[:-_SEAL_BYTES], raw[-_SEAL_BYTES:]
    if mac != _mac(payload):
        return None
    values = json.loads(payload[len(_MARK) :])
    return Seal(**{**values, "earlier": tuple(values["earlier"])})


def is_foreign(block: Json) -> bool:
    """Whether a signature looks like one of the real API, which the sandbox can neither read nor refute."""
    signature = str(block.get("signature", ""))
    return len(signature) >= _FOREIGN_LENGTH and signature.startswith("E") and _decoded(signature) is not None


def _mac(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_SEAL_BYTES, key=_MARK).digest()


def _decoded(signature: str) -> bytes | None:
    try:
        return base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return None
