"""Tells on ipykernel 6 whether Stop was pressed: its message waits for the cell, and only the interrupt arrives."""

import json
from contextlib import suppress
from typing import Any


def stop_waits(comm_id: str) -> bool:
    """Whether a Stop from this comm's page waits to be delivered; False wherever messages do not wait.

    From ipykernel 7 on a comm's messages are delivered while a cell runs. Before, they stand in the queue of the main
    shell; they stay there, and are handled in their turn.
    """
    with suppress(ImportError, AttributeError, TypeError, ValueError):  # another kernel, another queue
        from IPython import get_ipython

        kernel = get_ipython().kernel
        kernel.shell_stream.flush()
        waiting = [frame for _, _, args in kernel.msg_queue._queue for frame in args[0]]  # noqa: SLF001 - no public way
        return any(_is_stop(bytes(getattr(frame, "bytes", frame)), comm_id) for frame in waiting)
    return False


def _is_stop(frame: bytes, comm_id: str) -> bool:
    if b'"stop"' not in frame:
        return False
    content: Any = json.loads(frame)
    return bool(content.get("comm_id") == comm_id and content["data"].get("content") == {"do": "stop"})
