"""A conversation as a table: HTML for the notebook, Markdown and plain text for everywhere else."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Literal

from claude_nb.errors import HistoryError

from .branches import leaves, words
from .entry import Entry
from .sizes import model_of

if TYPE_CHECKING:
    from .history import History

Form = Literal["text", "markdown", "html"]
FORMS = ("text", "markdown", "html")

_TITLES = ("at", "turn", "role", "blocks", "first words", "tokens (estimate)", "cached", "")
_BAR = 80  # pixels of the widest message
_TICKS = 10  # characters of the widest message
_MOST_ROWS = 200
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)  # with those that turn the line around
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~$&:@])")


@dataclass(frozen=True)
class Row:
    """One message as the table shows it.

    Attributes:
        at: Its place.
        turn: Number of its turn, from 1; 0 before the first prompt.
        role: Who speaks.
        blocks: Kinds of its blocks.
        words: Its first words.
        tokens: An estimate.
        cached: Whether the prompt cache held it when the last reply was asked for; None where that is unknown.
        notes: What is special about it.
        sent: Whether the next request has it.
    """

    at: int
    turn: int
    role: str
    blocks: str
    words: str
    tokens: int
    cached: bool | None
    notes: str
    sent: bool


def table(history: "History", form: Form = "text", *, first: int = 0, end: int | None = None) -> str:
    """Give the conversation as a table: a row a message, with its tokens, whether it is cached, pinned or left out.

    Args:
        history: The conversation.
        form: ``"text"``, ``"markdown"`` or ``"html"``; what was said is safe in each.
        first: The first place to show.
        end: The place before which to end; default: 200 rows at most, those at the beginning and the newest.

    Raises:
        HistoryError: There is no such form.
    """
    if form not in FORMS:
        raise HistoryError(f"form is {form!r}; it is one of {', '.join(map(repr, FORMS))}.")
    length = len(history)
    places: list[range] = [range(length)[first:end]]
    if end is None and len(places[0]) > _MOST_ROWS:
        places = [places[0][: _MOST_ROWS // 10], places[0][len(places[0]) - _MOST_ROWS * 9 // 10 :]]
    shown: list[Row | None] = [*rows(history, places[0])]
    for more_places in places[1:]:
        shown += [None, *rows(history, more_places)]
    left_out = length - sum(map(len, places))
    tree = history._tree
    others = len(leaves(tree.entries, tree.head)) - (tree.head is not None)
    more = [f"{left_out:,} of {length:,} messages not shown"] if left_out else []
    more += [f"{others} other branch{'' if others == 1 else 'es'}: history.branches()"] if others else []
    most = max((size for size, _ in history._sizes.guesses(tree, model_of(tree.path()))), default=0) or 1
    make = {"text": _text, "markdown": _markdown, "html": _html}[form]
    return make(shown, "; ".join(more), most)


def rows(history: "History", places: Sequence[int]) -> list[Row]:
    """A row for each of these messages of the current branch."""
    tree = history._tree
    path = tree.path()
    tokens = [size for size, _ in history._sizes.guesses(tree, model_of(path))]
    turns = list(accumulate(entry.is_prompt for entry in path))
    cached = _cached(history, path)
    found = []
    for at in places:
        entry, notes = path[at], _notes(history, at, path[at])
        kinds = ", ".join(dict.fromkeys(str(block.get("type")) for block in entry.content)) or "empty"
        found.append(
            Row(
                at,
                int(turns[at]),
                entry.role,
                kinds,
                words(entry),
                tokens[at],
                cached[at],
                ", ".join(notes),
                sent=not any("not sent" in note for note in notes),
            )
        )
    return found


def _notes(history: "History", place: int, entry: Entry) -> list[str]:
    tree, cut = history._tree, history._shown_cut()
    notes = ["pinned"] if tree.numbers[place] in tree.pins else []
    if entry.summary_of is not None:
        notes.append("summary of what came before")
    if entry.is_reply:
        ended = "interrupted" if entry.interrupted else str(entry.stop_reason)
        notes.append(ended if entry.sendable else f"{ended}: not sent")
    if place in cut.places() and not entry.is_always_sent:
        notes.append("left out: not sent")
    elif place in cut.told_places():
        notes.append("sent in words")
    elif place in cut.cleared_places():
        notes.append("results cleared")
    return notes


def _cached(history: "History", path: Sequence[Entry]) -> list[bool | None]:
    """Which messages the prompt cache held after the last reply that says so: as far as its tokens reach."""
    asked = next((place for place in range(len(path) - 1, -1, -1) if path[place].prompt_tokens), None)
    if asked is None or path[asked].cut is not None:
        return [None] * len(path)
    usage = path[asked].usage or {}
    held = (usage.get("cache_read_input_tokens") or 0) + (usage.get("cache_creation_input_tokens") or 0)
    head, measured, _ = history._sizes.measured(history._tree)
    ends = accumulate((row["tokens"] for row in measured), initial=head["tokens"])
    return [place < asked and end <= held for place, end in enumerate(islice(ends, 1, None))]


def _cells(row: Row) -> list[str]:
    cached = {True: "yes", False: "no", None: ""}[row.cached]
    return [str(row.at), str(row.turn), row.role, row.blocks, row.words, f"{row.tokens:,}", cached, row.notes]


def _html(shown: Sequence[Row | None], more: str, most: int) -> str:
    head = "".join(f"<th style='text-align:left'>{title}</th>" for title in _TITLES)
    body = "".join(_html_row(row, most) for row in shown)
    caption = f"<caption style='caption-side:bottom;text-align:left'>{escape(more)}</caption>" if more else ""
    safe = "class='tex2jax_ignore mathjax_ignore'"  # what was said is no formula
    return f"<table {safe}>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _html_row(row: Row | None, most: int) -> str:
    if row is None:
        return f"<tr><td colspan='{len(_TITLES)}' style='text-align:left'>…</td></tr>"
    cells = [escape(cell) for cell in _cells(row)]
    cells[5] += f"<div style='background:#7a8aa0;height:3px;width:{row.tokens * _BAR // most}px'></div>"
    dim = "" if row.sent else " style='opacity:.5'"
    return f"<tr{dim}>" + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in cells) + "</tr>"


def _markdown(shown: Sequence[Row | None], more: str, most: int) -> str:
    lines = ["| " + " | ".join(_TITLES) + " |", "|" + " --- |" * len(_TITLES)]
    for row in shown:
        cells = _ticked(row, most) if row else ["…"] + [""] * (len(_TITLES) - 1)
        lines.append("| " + " | ".join(_SPECIAL.sub(r"\\\1", _printable(cell)) for cell in cells) + " |")
    return "\n".join([*lines, *(["", more] if more else [])]) + "\n"


def _text(shown: Sequence[Row | None], more: str, most: int) -> str:
    lines = [
        list(_TITLES),
        *(_ticked(row, most) if row else ["…"] + [""] * (len(_TITLES) - 1) for row in shown),
    ]
    cells = [[_printable(cell)[:50] for cell in line] for line in lines]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_TITLES))]
    aligned = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )
    return "\n".join([*aligned, *([more] if more else [])])


def _ticked(row: Row, most: int) -> list[str]:
    cells = _cells(row)
    cells[5] += " " + "▇" * (row.tokens * _TICKS // most)
    return cells


def _printable(text: str) -> str:
    """What was said must not steer a terminal, nor turn a line around."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)
