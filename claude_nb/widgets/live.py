"""What every live view has in common: it shows itself alone, leaves nothing behind, and can always be answered."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anywidget

if TYPE_CHECKING:
    from IPython.display import DisplayHandle


class LiveView(anywidget.AnyWidget):
    """A view that lives while a cell runs; what the notebook keeps is a display of its own."""

    _handle: "DisplayHandle | None" = None

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._let_page_speak()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        return {mime: value for mime, value in data.items() if mime.endswith("widget-view+json")}, metadata

    def show(self) -> None:
        """Display the view in the running cell, and only the view: the saved output is a second display."""
        from IPython.display import display

        data, metadata = self._repr_mimebundle_()
        self._handle = display(data, metadata=metadata, raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython has no types

    def clear(self) -> None:
        """Empty the live display and end the view, so that a notebook keeps only the saved output."""
        if self._handle is not None:
            self._handle.update({}, raw=True)  # type: ignore[no-untyped-call]  # IPython has no types
            self._handle = None
        self.close()

    def _send(self, msg: Any, buffers: Any = None) -> None:
        super()._send(msg, buffers)
        self._let_page_speak()

    def _let_page_speak(self) -> None:
        # ipykernel >= 7.4 delivers a comm's messages to the shell that last sent on it. While a cell runs
        # that is the busy main shell, and Stop would arrive after the end. Without this mark it is at once.
        with suppress(AttributeError):
            del self.comm._reply_subshell_id  # noqa: SLF001 - there is no public way
