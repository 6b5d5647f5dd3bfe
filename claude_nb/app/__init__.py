"""The chat window in a cell: ``chat.app()``.

``window`` puts it together of standard controls and the parts in ``claude_nb.widgets.app``; ``talk`` says what is
written there, beside the cells; ``transcript`` makes what is read, in the window and in the saved notebook; ``facts``
tells models, cost and context; ``files`` turns uploads into content blocks.
"""

from .window import Window, open_window

__all__ = ["Window", "open_window"]
