"""A conversation that is valid by construction: :class:`History`."""

from .entry import Entry
from .history import Content, History, Role
from .view import CUT_NOTE

__all__ = ["CUT_NOTE", "Content", "Entry", "History", "Role"]
