"""Real recorded traffic for tests: read in place from ``../shared/recordings``, never part of the project.

Usage::

    from recordings import RECORDINGS, needs_recordings, streams

    @needs_recordings
    @pytest.mark.parametrize("recording", streams(), ids=str)
    def test_...(recording): ...
"""

import base64
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "recordings"
"""The folder the recordings are read from; it may be missing."""

COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
"""The token classes of a usage."""

needs_recordings = pytest.mark.skipif(
    not RECORDINGS.is_dir(), reason="the recorded traffic (../shared/recordings) is not on this machine"
)


@dataclass(frozen=True)
class Recording:
    """One recorded exchange with the real API.

    Attributes:
        name: Folder and file name without suffix, the key used by ``expected.json``.
        kind: ``"sse"`` or ``"json"``.
        data: The whole recording as parsed.
    """

    name: str
    kind: str
    data: dict[str, Any]

    def __str__(self) -> str:
        return self.name

    @property
    def request(self) -> dict[str, Any]:
        """The request: ``method``, ``path``, ``headers``, ``body``."""
        request: dict[str, Any] = self.data["request"]
        return request

    @property
    def status(self) -> int:
        """The HTTP status of the response."""
        return int(self.data["response"]["status"])

    @property
    def headers(self) -> dict[str, str]:
        """The response headers the recorder kept."""
        return dict(self.data["response"].get("headers") or {})

    @property
    def body(self) -> bytes:
        """The response body, byte for byte as the recorder kept it."""
        response = self.data["response"]
        if "body_base64" in response:
            return base64.b64decode(response["body_base64"])
        return str(response["body"]).encode()

    def counted(self, usage: dict[str, Any]) -> dict[str, int]:
        """The tokens that are billed: of the requests behind the reply where it names them, else of its usage.

        The counts beside ``iterations`` leave out some of them.
        """
        found = re.findall(rb'"iterations":\s*(\[[^\]]*\])', self.body)
        named = json.loads(found[-1]) if found else []
        declined = {"type": "message", "output_tokens": 0}  # gave nothing before another model took over
        took_over = any(one["type"] == "fallback_message" for one in named)
        billed = [one for one in named if not (took_over and declined.items() <= one.items())] or [usage]
        return {name: sum(one.get(name) or 0 for one in billed) for name in COUNTS}

    def events(self) -> list[dict[str, Any]]:
        """The parsed ``data`` of each server-sent event, in order, pings included."""
        lines = self.body.decode().splitlines()
        return [json.loads(line[5:]) for line in lines if line.startswith("data:") and line[5:].strip()]


@cache
def recordings() -> tuple[Recording, ...]:
    """Every recording, in name order; empty when the folder is missing."""
    found = []
    for path in sorted(RECORDINGS.glob("*/*.json")):
        data = json.loads(path.read_bytes())
        found.append(Recording(f"{path.parent.name}/{path.stem}", data["kind"], data))
    return tuple(found)


def streams() -> list[Recording]:
    """The recorded successful streams of ``POST /v1/messages``."""
    return [recording for recording in recordings() if recording.kind == "sse" and recording.status == 200]


@cache
def expected() -> dict[str, dict[str, Any]]:
    """What the SDK makes of each recording, by name (``expected.json``)."""
    path = RECORDINGS / "expected.json"
    if not path.is_file():
        return {}
    found: dict[str, dict[str, Any]] = json.loads(path.read_bytes())["recordings"]
    return found


@cache
def sequences() -> list[list[Recording]]:
    """Runs of consecutive turns of one recorded test (``sequences.json``)."""
    path = RECORDINGS / "sequences.json"
    if not path.is_file():
        return []
    by_name = {recording.name: recording for recording in recordings()}
    runs = json.loads(path.read_bytes())["sequences"]
    return [[by_name[name] for name in run["recordings"] if name in by_name] for run in runs]
