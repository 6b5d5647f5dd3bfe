"""A conversation as a table for the notebook."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from claude_nb.trim import Cut

from .branches import leaves, words
from .entry import Entry
from .sizes import model_of

if TYPE_CHECKING:
    from .history import History

_BAR = 80  # pixels of the widest message


def table_of(history: "History") -> str:
    """The HTML of a conversation as it is now."""
    tree = history._tree
    path = tree.path()
    pinned = {place for place, number in enumerate(tree.numbers) if number in tree.pins}
    guesses = [size for size, _ in history._sizes.guesses(tree, model_of(path))]
    others = len(leaves(tree.entries, tree.head)) - (tree.head is not None)
    return table(path, guesses, history._shown_cut(), pinned, others=others)


def table(
    path: Sequence[Entry], tokens: Sequence[int], cut: Cut, pinned: set[int], *, others: int = 0
) -> str:
    """The HTML of a branch: a row a message, with its tokens as a bar and why it is not sent."""
    most = max(tokens, default=0) or 1
    rows = "".join(
        _row(place, entry, size, size * _BAR // most, _fate(place, entry, cut, pinned))
        for place, (entry, size) in enumerate(zip(path, tokens, strict=True))
    )
    titles = ("", "role", "blocks", "first words", "tokens (estimate)", "")
    head = "".join(f"<th style='text-align:left'>{title}</th>" for title in titles)
    more = f"{others} other branch{'' if others == 1 else 'es'}: history.branches()" if others else ""
    caption = f"<caption style='caption-side:bottom;text-align:left'>{more}</caption>" if more else ""
    safe = "class='tex2jax_ignore mathjax_ignore'"  # what was said is no formula
    return f"<table {safe}>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(place: int, entry: Entry, size: int, width: int, fate: str) -> str:
    kinds = ", ".join(dict.fromkeys(str(block.get("type")) for block in entry.content)) or "empty"
    bar = f"<div style='background:#7a8aa0;height:3px;width:{width}px'></div>"
    dim = " style='opacity:.5'" if "not sent" in fate else ""
    cells = (str(place), entry.role, escape(kinds), escape(words(entry)), f"{size:,}{bar}", escape(fate))
    return f"<tr{dim}>" + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in cells) + "</tr>"


def _fate(place: int, entry: Entry, cut: Cut, pinned: set[int]) -> str:
    told = ["pinned"] if place in pinned else []
    if entry.summary_of is not None:
        told.append("summary of what came before")
    if entry.is_reply:
        ended = "interrupted" if entry.interrupted else str(entry.stop_reason)
        told.append(ended if entry.sendable else f"{ended}: not sent")
    if place in cut.places() and not entry.is_always_sent:
        told.append("left out: not sent")
    elif place in cut.told_places():
        told.append("sent in words")
    elif place in cut.cleared_places():
        told.append("results cleared")
    return ", ".join(told)
