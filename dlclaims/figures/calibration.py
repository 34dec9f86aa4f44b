"""How often the verdicts err: the picture of a calibration.

Three tables make it: simulated claims, claims that are true, and claims on one variant
that was measured twice. In all panels a look belongs to the verdict that is given.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.figures.picture import save as save_figure
from dlclaims.figures.style import INK, SIZE, THEORY, look, notes
from dlclaims.pages import Figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: The column that tells the three tables apart in the picture's CSV, and its levels.
PANEL, NULLS, POWERS, TWINS = "panel", "nulls", "powers", "twins"

GIVEN = {"supported": "called supported", "refuted": "called refuted"}
ERRORS = 3  # standard errors that a bar is long, to either side
GREY = "#949494"
LABEL = 18  # characters of a family's name in a line


def save(made: Mapping[str, Any], twins: pd.DataFrame, folder: Path) -> None:
    """Write ``calibration.csv``, and from it ``calibration.svg`` and ``.png``.

    Parameters
    ----------
    made : mapping
        The content of ``calibration.json``: of ``nulls`` are drawn ``family``,
        ``scale``, ``gated``, ``simulated``, ``false_supported``, ``false_refuted``
        (fractions of the simulated claims) and ``limit``; of ``powers`` are drawn
        ``seeds``, ``simulated``, ``supported`` (a fraction) and ``limit``, which is
        None where nothing is required.
    twins : DataFrame
        The content of ``aa.csv``, one row for each claim on a variant that was measured
        twice: ``value``, ``low``, ``high``, ``region_low`` and ``verdict_at_zero``,
        what the verdict would be if the claim's region began at zero.
    folder : Path
    """
    import pandas as pd

    nulls, powers = (pd.DataFrame(made[name]) for name in (NULLS, POWERS))
    save_figure(FIGURE, table(nulls, powers, twins), folder)


def table(
    nulls: pd.DataFrame, powers: pd.DataFrame, twins: pd.DataFrame
) -> pd.DataFrame:
    """Return the three tables as one; a column that a table lacks is empty there."""
    import pandas as pd

    named = ((NULLS, nulls), (POWERS, powers), (TWINS, twins))
    parts = [rows.assign(**{PANEL: name}) for name, rows in named if len(rows)]
    whole = pd.concat(parts, ignore_index=True)
    return whole[[PANEL, *whole.columns.drop(PANEL)]]


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Draw false verdicts by family, power by seeds, and variants against themselves.

    Parameters
    ----------
    table : DataFrame
        From `table`.
    """
    for verdict in GIVEN.values():
        look(ax, verdict)
    draw_part = {NULLS: _families, POWERS: _power, TWINS: _twins}
    for name, panel in _panels(ax).items():
        rows = table[table[PANEL] == name]
        if len(rows):
            draw_part[name](rows, panel)
        else:
            panel.set_axis_off()
            panel.text(0, 0.5, "nothing measured yet")


def _panels(ax: Axes) -> dict[str, Axes]:
    """Return three panels with axes of their own.

    Each lies in a grid of one cell, so that `style.finish` labels it as a first column.
    """
    place = ax.get_subplotspec()
    assert place is not None, "panels need an axes that was made by add_subplot"
    picture: Any = ax.figure
    picture.set_size_inches(SIZE[0], 4.2)
    ax.set_axis_off()
    cells = place.subgridspec(1, 3, width_ratios=(1.3, 1, 1))
    return {
        name: picture.add_subplot(cells[number].subgridspec(1, 1)[0])
        for number, name in enumerate((NULLS, POWERS, TWINS))
    }


def _families(rows: pd.DataFrame, ax: Axes) -> None:
    """Draw both rates of each family, gated ones first; hollow marks are not gated."""
    rows = rows.sort_values("gated", ascending=False, kind="stable")
    gated = rows["gated"].to_numpy(bool)
    places = np.arange(len(rows)) + 0.5 * ~gated
    for shift, (verdict, name) in zip((-0.16, 0.16), GIVEN.items(), strict=True):
        own = look(ax, name)
        share = rows[f"false_{verdict}"].to_numpy(float)
        error = ERRORS * _standard_error(share, rows["simulated"].to_numpy(float))
        for kind, fill in ((gated, own.color), (~gated, "none")):
            ax.errorbar(
                100 * share[kind],
                places[kind] + shift,
                xerr=100 * np.array([np.minimum(error, share), error])[:, kind],
                fmt=own.marker,
                color=own.color,
                markerfacecolor=fill,
                elinewidth=1.2,
                markersize=3.6,
            )
    limit = 100 * rows["limit"].max()
    ax.axvline(limit, color=INK, linestyle=THEORY, linewidth=1.2)
    ax.annotate(
        f"limit {limit:.3g} %",
        (limit, gated.sum() - 0.25),
        (5, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
    )
    ax.set_xscale("function", functions=(lambda x: np.sqrt(np.abs(x)), np.square))
    most = max(1.15 * ax.get_xlim()[1], 6)
    ax.set_xlim(0, most)
    ax.set_xticks([tick for tick in (0, 2.5, 10, 20, 40, 80) if tick < most])
    ax.xaxis.set_major_formatter("{x:g}")
    names = (f"{row.family}, {row.scale}" for row in rows.itertuples())
    ax.set_yticks(places, [textwrap.fill(name, LABEL) for name in names])
    ax.set_ylim(places[-1] + 0.6, -0.6)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel("wrong verdicts, %, root scale\n(hollow: not gated)")
    ax.set_title("On the edge")
    worst = 100 * rows.loc[gated, [f"false_{verdict}" for verdict in GIVEN]].max()
    told = " and ".join(
        f"at most {worst[f'false_{verdict}']:.2g} % {name}"
        for verdict, name in GIVEN.items()
    )
    notes(ax).words.append(
        (ax, f"gated families of noise: {gated.sum()}, {told}, limit {limit:.3g} %")
    )


def _power(rows: pd.DataFrame, ax: Axes) -> None:
    """Draw the share of true claims that are supported, and what is required."""
    own = look(ax, GIVEN["supported"])
    rows = rows.sort_values("seeds")
    seeds, share = (rows[name].to_numpy(float) for name in ("seeds", "supported"))
    error = ERRORS * _standard_error(share, rows["simulated"].to_numpy(float))
    ax.errorbar(seeds, 100 * share, 100 * error, fmt=f"{own.marker}-", color=own.color)
    gates = rows[rows["limit"].notna()]
    for gate in gates.itertuples():
        at: Any = gate.seeds
        ax.plot([at - 2, at + 2], [100 * gate.limit] * 2, color=INK, lw=2.2, zorder=3)
        ax.annotate(
            f"at least {gate.limit:.0%}".replace("%", " %"),
            (at + 2, 100 * gate.limit),
            (4, -2),
            textcoords="offset points",
            va="top",
            fontsize=9,
        )
    ax.set_ylim(0, 103)
    ax.set_xticks(seeds, [f"{n:g}" for n in seeds])
    ax.set_xlabel("seeds\n(bars: 3 standard errors)")
    ax.set_ylabel("called supported, %")
    ax.set_title("True by 1 s.d.")
    told = ", ".join(
        f"{100 * s:.0f} % with {n:g} seeds" for n, s in zip(seeds, share, strict=True)
    )
    notes(ax).words.append((ax, f"supported {told}"))


def _twins(rows: pd.DataFrame, ax: Axes) -> None:
    """Draw each effect in half-widths of its interval, the claim's direction right."""
    value, low, high = (rows[n].to_numpy(float) for n in ("value", "low", "high"))
    half = (high - low) / 2
    alone = np.where(value == 0, 1.0, np.abs(value))  # without spread: at 0, 1 or -1
    half = np.where(half == 0, alone, half)
    scale = np.where(rows["region_low"].to_numpy(float) >= 0, 1, -1) / half
    order = np.argsort(value * scale, kind="stable")
    ends = np.sort(np.array([low, high]) * scale, axis=0)[:, order]
    middle, given = (value * scale)[order], rows["verdict_at_zero"].to_numpy()[order]
    places = np.arange(len(rows))
    ax.axvline(0, color=INK, linewidth=1.2)
    for verdict in ("", *GIVEN):
        at = given == verdict if verdict else ~np.isin(given, list(GIVEN))
        own = look(ax, GIVEN[verdict]) if verdict else None
        color, marker, size = (own.color, own.marker, 5) if own else (GREY, "o", 2.6)
        low, high = ends[:, at]
        ax.hlines(places[at], low, high, color, linewidth=1.2)
        ax.plot(middle[at], places[at], marker, color=color, markersize=size)
    reach = max(2.5, 1.05 * np.nanmax(np.abs(ends), initial=0))
    ax.set_xlim(-reach, reach)
    ax.set_yticks([])
    ax.set_xlabel("effect, half-widths of its\ninterval (right: as claimed)")
    ax.set_ylabel("comparisons, by effect")
    ax.set_title("One network twice")
    called = ", ".join(f"{(given == v).sum()} {name}" for v, name in GIVEN.items())
    notes(ax).words.append((ax, f"{len(rows)} comparisons, judged at zero: {called}"))


def _standard_error(share: np.ndarray, simulated: np.ndarray) -> np.ndarray:
    return np.sqrt(share * (1 - share) / simulated)


FIGURE = Figure(
    "calibration",
    "",
    "How often the verdicts err",
    draw,
    "Left: simulated claims on the edge between true and false, by the noise of their"
    " outcomes and the scale on which they are registered; the dashed line is the limit"
    " for filled marks. Middle: simulated claims that are true. Right: claims on real"
    " training whose two arms are the same network, with another initialisation; each"
    " bar is the interval of one.",
)
