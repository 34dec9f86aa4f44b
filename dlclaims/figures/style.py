"""House style: how a level looks, how an axes is split, what the legend says.

A colour and a marker belong to a level's name: within a picture always, and between
pictures for the names in `SLOTS`. Dashes mean theory, so that a picture can be read in
grey. All that is not data is drawn in `INK`, which the report replaces in dark mode.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

#: Of seaborn's colour-blind palette, those with a contrast of 3:1 on white and on dark.
COLORS = ("#0173b2", "#d55e00", "#029e73", "#cc78bc", "#949494")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK = "#262626"
THEORY = (0, (4, 2))  # dash and gap, in line widths

#: Names that keep their colour in every picture; others take what is free.
SLOTS = {
    "relu": 0,
    "sigmoid": 1,
    "tanh": 2,
    "centred sigmoid": 3,
    "xavier": 0,
    "he": 2,
    "critical": 3,
    "residual": 0,
    "plain": 1,
}

SIZE = (8.0, 3.8)  # inches
LABEL = 36  # characters that fit beside an axes
STYLE: dict[Any, Any] = {
    "font.sans-serif": ["DejaVu Sans", "sans-serif"],
    "font.size": 10,
    "axes.labelsize": 10,
    "axes.titlesize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "path.simplify_threshold": 0.25,  # of a pixel: fewer points, the same picture
    "svg.fonttype": "none",  # text stays text: small, searchable, spoken
    "svg.hashsalt": "dlclaims",
}


@dataclass(frozen=True)
class Look:
    """How a level is drawn: its colour, its marker and the line of its mean."""

    color: str
    marker: str
    line: Literal["-", "-."]


@dataclass
class Notes:
    """What the verbs remember of one picture: looks, parts of its legend, words."""

    looks: dict[str, Look] = field(default_factory=dict)
    parts: set[str] = field(default_factory=set)
    words: list[tuple[Axes, str]] = field(default_factory=list)


_NOTES: WeakKeyDictionary[Any, Notes] = WeakKeyDictionary()


def notes(ax: Axes) -> Notes:
    """Return what the verbs noted on the picture to which an axes belongs."""
    return _NOTES.setdefault(ax.figure, Notes())


def look(ax: Axes, level: object) -> Look:
    """Return the look of a level, the same wherever its name appears in a picture.

    The sixth level shares a colour with an earlier one and differs by marker and line.
    """
    looks, name = notes(ax).looks, str(level)
    if name not in looks:
        taken = {own.color for own in looks.values()}
        slot = SLOTS.get(name.lower().replace("_", " "))
        wanted = () if slot is None else (COLORS[slot],)
        number = len(looks)
        free = [color for color in (*wanted, *COLORS) if color not in taken]
        color = free[0] if free else COLORS[number % len(COLORS)]
        marker = MARKERS[number % len(MARKERS)]
        looks[name] = Look(color, marker, "-" if number < len(COLORS) else "-.")
    return looks[name]


def panels(
    ax: Axes, names: Sequence[str], columns: int = 4, same: Literal["x", "y"] = "y"
) -> dict[str, Axes]:
    """Split an axes into one for each name, side by side with one y axis.

    The given axes becomes invisible. More panels than `columns` go to further rows,
    and the picture grows. With `same` "x" they have one x axis instead: different
    quantities under each other, in one column.
    """
    place = ax.get_subplotspec()
    assert place is not None, "panels need an axes that was made by add_subplot"
    rows = math.ceil(len(names) / columns)
    picture: Any = ax.figure
    picture.set_size_inches(SIZE[0], SIZE[1] * (1 + 0.75 * (rows - 1)))
    ax.set_axis_off()
    made: dict[str, Axes] = {}
    cells = place.subgridspec(rows, min(len(names), columns))
    for number, name in enumerate(names):
        first = next(iter(made.values()), None)
        made[name] = picture.add_subplot(cells[number], **{f"share{same}": first})
        made[name].set_title(name)
    return made


def finish(picture: Picture, noted: Notes) -> None:
    """Label rows of panels once; name levels and marks above them."""
    shown = [ax for ax in picture.axes if ax.axison]
    for ax in shown:
        ax.set_ylabel(textwrap.fill(ax.get_ylabel(), LABEL))
        place = ax.get_subplotspec()
        if place is not None and not place.is_first_col():
            ax.set_ylabel("")
            ax.tick_params(labelleft=False)
    labels = {ax.get_xlabel() for ax in shown}
    if len(shown) > 1 and len(labels) == 1:
        for ax in shown:
            ax.set_xlabel("")
        picture.supxlabel(labels.pop(), fontsize=STYLE["axes.labelsize"])
    handles = [h for h in (_level_handles(noted), _part_handles(noted)) if h]
    if handles:
        widest = max(len(h.get_label()) for row in handles for h in row)
        columns = int(picture.get_figwidth() / (0.62 + 0.07 * widest))
        rows, columns = _rows(handles, max(1, columns))
        picture.legend(
            handles=[row[column] for column in range(columns) for row in rows],
            loc="outside upper left",
            ncols=columns,
            frameon=False,
            handlelength=2.2,
        )


def _rows(groups: list[list[Any]], columns: int) -> tuple[list[list[Any]], int]:
    """Return rows of a legend, each group beginning a new one, filled up with blanks.

    Matplotlib fills a legend column by column.
    """
    from matplotlib.lines import Line2D

    columns = min(columns, max(len(group) for group in groups))
    rows = [
        group[start : start + columns]
        for group in groups
        for start in range(0, len(group), columns)
    ]
    blank = Line2D([], [], linestyle="none", label=" ")
    return [row + [blank] * (columns - len(row)) for row in rows], columns


def _level_handles(noted: Notes) -> list[Any]:
    from matplotlib.lines import Line2D

    lined = "line" in noted.parts
    return [
        Line2D(
            [],
            [],
            color=own.color,
            marker=own.marker,
            linestyle=own.line if lined else "none",
            label=name.replace("_", " "),
        )
        for name, own in noted.looks.items()
    ]


def _part_handles(noted: Notes) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def line(**look: Any) -> Line2D:
        return Line2D([], [], color=INK, **look)

    mean = "95 % interval"
    parts = {
        "line": line(linewidth=0.6, label="one seed"),
        "dot": line(marker="o", markersize=3.2, linestyle="", label="one seed"),
        "diverged": line(marker="x", linestyle="", label="diverged"),
        "band": Patch(color=INK, alpha=0.25, label=mean),
        "interval": line(linewidth=1.4, label=mean),
        "theory": line(linestyle=THEORY, linewidth=1.2, label="theory"),
        "agreement": line(linestyle=THEORY, linewidth=1.2, label="agreement"),
        "region": Patch(color=INK, alpha=0.1, label="region of the claim"),
    }
    return [handle for part, handle in parts.items() if part in noted.parts]
