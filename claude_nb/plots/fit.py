"""What fits: captions, legends and labels in the room that the axes have."""

from collections.abc import Iterable, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 8.0, 3.6
"""Inches: the text column of a notebook."""
SMALL = 9.0
"""Points: the size of labels beside what they name."""
_PER_INCH = 130
"""Letters of one point that fit into an inch, about."""
_GAP = 0.1
"""Inches between a spot and its label."""
Way = tuple[str, str]
"""On which side of its spot a label stands, as its alignment: across, up."""
Box = tuple[float, float, float, float]
"""Left, right, bottom and top of a label in inches."""
_AROUND: tuple[Way, ...] = (
    ("left", "center"),
    ("right", "center"),
    ("center", "bottom"),
    ("center", "top"),
    ("left", "top"),
    ("right", "top"),
    ("left", "bottom"),
    ("right", "bottom"),
)


def width_of(ax: "Axes") -> float:
    """Inches from side to side of the axes; about, where a layout engine decides when the figure is drawn."""
    figure, spec = ax.get_figure(), ax.get_subplotspec()
    if figure is None:
        return WIDTH
    if figure.get_layout_engine() is None:
        return float(ax.get_position().width * figure.bbox.width / figure.dpi)
    share = len(spec.colspan) / spec.get_gridspec().ncols if spec is not None else 1
    names = max(
        (len(line) for label in ax.get_yticklabels() for line in label.get_text().split("\n")), default=0
    )
    return max(float(figure.bbox.width / figure.dpi) * share - 0.6 - wide(names), 1.0)


def height_of(ax: "Axes") -> float:
    """Inches from top to bottom of the axes, as ``width_of``."""
    figure, spec = ax.get_figure(), ax.get_subplotspec()
    if figure is None:
        return HEIGHT
    if figure.get_layout_engine() is None:
        return float(ax.get_position().height * figure.bbox.height / figure.dpi)
    share = len(spec.rowspan) / spec.get_gridspec().nrows if spec is not None else 1
    return max(float(figure.bbox.height / figure.dpi) * share - 1.1, 0.5)


def wide(letters: int, points: float = 10) -> float:
    """Inches that so many letters take, about."""
    return letters * points / _PER_INCH


def letters_in(inches: float) -> int:
    """How many letters of the usual size fit into so many inches."""
    return int(inches / wide(1))


def lines(parts: Sequence[str], letters: int) -> str:
    """The parts in lines of so many letters, broken between parts where that is possible, else between words."""
    made: list[str] = []
    for part in parts:
        if made and len(made[-1]) + len(part) + 2 <= letters:
            made[-1] += f"; {part}"
        else:
            made[-1:] = [f"{end};" for end in made[-1:]]
            made += wrap(part, max(letters, 1), break_long_words=False, break_on_hyphens=False)
    return "\n".join(made)


def legend(ax: "Axes", most: int) -> int:
    """Name the colours above the plot, at most so many in a line and as many as fit; gives the lines."""
    size = 8.5
    names = ax.get_legend_handles_labels()[1]
    if not names:
        return 0
    one = wide(max(map(len, names)), size) + 0.35
    columns = min(most, len(names), max(int((width_of(ax) + 0.3) / one), 2))
    ax.legend(
        ncols=columns,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        frameon=False,
        fontsize=size,
        borderaxespad=0.2,
        borderpad=0,
        columnspacing=1,
        handlelength=0.9,
        handletextpad=0.4,
    )
    return -(-len(names) // columns)


def end_for(ax: "Axes", bars: Iterable[tuple[float, str]]) -> float:
    """Where the x axis has to end so that the words behind each bar fit."""
    whole = width_of(ax)
    ends = [
        end / (1 - min((wide(len(text), SMALL) + 2 * _GAP) / whole, 0.75)) for end, text in bars if end > 0
    ]
    return max(ends, default=0) or 1


def label_apart(
    ax: "Axes",
    spots: Iterable[tuple[tuple[float, float], str]],
    points: Any,
    ways: Sequence[Way] = _AROUND,
    taken: Sequence[Box] = (),
    **text: Any,
) -> list[Box]:
    """Label spots where a label covers neither another one nor a point; for whom there is no room has none.

    Args:
        ax: The axes, their limits and scales set.
        spots: x, y and words, the most important first.
        points: The x and y of what must stay to be seen, a row a point.
        ways: On which sides of its spot a label may stand, the best first.
        taken: Boxes of earlier labels.
        **text: Properties of the text.

    Returns:
        The boxes of all labels.
    """
    from matplotlib.patheffects import withStroke

    size = (width_of(ax), height_of(ax))
    data = ax.transScale + ax.transLimits
    seen = data.transform(points) * size if len(points) else data.transform([(0.0, 0.0)])[:0]
    boxes = list(taken)
    for spot, words in spots:
        at = data.transform(spot) * size
        for way in ways:
            left, right, low, high = box = _box(at, words, way)
            inside = left >= 0 and right <= size[0] and low >= 0 and high <= size[1] + _GAP
            over = (
                (seen[:, 0] > left) & (seen[:, 0] < right) & (seen[:, 1] > low) & (seen[:, 1] < high)
            ).any()
            free = all(right < one[0] or left > one[1] or high < one[2] or low > one[3] for one in boxes)
            if inside and free and not over:
                across, up = ({"left": 7, "bottom": 5, "right": -7, "top": -5}.get(side, 0) for side in way)
                ax.annotate(
                    words,
                    spot,
                    (across, up),
                    textcoords="offset points",
                    ha=way[0],
                    va=way[1],
                    fontsize=SMALL,
                    path_effects=[withStroke(linewidth=3, foreground=ax.get_facecolor())],
                    **text,
                )
                boxes.append(box)
                break
    return boxes


def _box(at: Any, words: str, way: Way) -> Box:
    across, up = wide(len(words), SMALL), SMALL / 72 * 1.3
    left = at[0] + {"left": _GAP, "right": -_GAP - across}.get(way[0], -across / 2)
    low = at[1] + {"bottom": _GAP / 2, "top": -_GAP / 2 - up}.get(way[1], -up / 2)
    return left, left + across, low, low + up
