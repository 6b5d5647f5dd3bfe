"""What a chat shows of its history, and what of that can still be changed."""

from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, NoReturn

from .errors import HistoryError, PromptError
from .frames import frame_of
from .history import Content, History
from .trim import Policy, Trim

if TYPE_CHECKING:
    import pandas as pd


class Conversation:
    """The side of a chat that is its history's."""

    model: str
    _history: History

    @property
    def history(self) -> History:
        """The conversation itself; another one can be set, to go on from there."""
        return self._history

    @history.setter
    def history(self, history: History) -> None:
        if not isinstance(history, History):
            raise PromptError(f"history= takes a History. {_history_from(history)}")
        self._history = history

    @property
    def system(self) -> Any:
        """The system prompt, or None. It never changes; :meth:`instruct` gives later instructions."""
        return self.history.system

    @system.setter
    def system(self, _: Any) -> NoReturn:
        raise HistoryError(
            "the system prompt of a conversation never changes. chat.instruct('…') gives instructions from here on; "
            "Chat(client, system='…') begins another conversation."
        )

    @property
    def tools(self) -> list[dict[str, Any]]:
        """What the API is told of the tools, one dict each; they never change."""
        return self.history.tools

    @tools.setter
    def tools(self, _: Any) -> NoReturn:
        raise HistoryError(
            "the tools of a conversation never change. Chat(client, tools=[…]) begins another one; "
            "chat.send('…', tools=[…]) shows the model other definitions once."
        )

    @property
    def trim(self) -> tuple[Policy, ...]:
        """The policies of :mod:`claude_nb.trim` that every request is made under; can be set."""
        return self.history.trim

    @trim.setter
    def trim(self, trim: Trim | None) -> None:
        self.history.trim = trim

    def instruct(self, text: Content) -> int:
        """Change the instructions from here on, and give the place of that in ``chat.history.messages``.

        The system prompt of a conversation never changes: that would rewrite the prompt cache and make the thinking
        so far invalid. A later instruction is sent as a message of the role ``system`` in its place, and to models
        that take none as words of the user. It counts from the next ``send`` on, and is never trimmed.

        Args:
            text: The instruction, or a list of text blocks.

        Raises:
            PromptError: It is empty, or not text.
            HistoryError: The last reply is paused; go on with ``chat.send()`` first.

        Example:
            >>> chat.instruct("From now on answer in French.")
        """
        return self.history.instruct(text)

    def frame(self) -> "pd.DataFrame":
        """Give a row a reply: the API's own usage columns in tokens, and ``cost_usd`` (None where unknown)."""
        return frame_of(self.history)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model}, {self.history!r})"

    def _repr_html_(self) -> str:
        return self.history._repr_html_()


def _history_from(thing: Any) -> str:
    """How to make a history of what was given in its place."""
    if isinstance(thing, str | PathLike):
        return f"A saved one is read by History.load({fspath(thing)!r})."
    return "Make one of a list with History.from_messages([...])."
