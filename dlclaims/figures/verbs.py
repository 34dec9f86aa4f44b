"""The verbs: replicas, means with intervals, theory, and words for all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.figures.style import INK, THEORY, Look, look, notes
from dlclaims.wording import count, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the means of the columns and their 95 % Student intervals.

    Parameters
    ----------
    values : np.ndarray
        Shape (replicas, points); missing values are left out. A column with fewer than
        two values has no interval, and one without values has no mean (NaN).

    Returns
    -------
    mean, low, high : np.ndarray
        Shape (points,).
    """
    from dlclaims.statistics import intervals  # scipy, which pages must not import

    found = np.full((3, values.shape[1]), np.nan)
    for column, own in enumerate(values.T):
        known = own[np.isfinite(own)]
        if len(known):
            found[0, column] = known.mean()
        if len(known) > 1:
            found[1:, column] = intervals.student(known)
    mean, low, high = found
    return mean, low, high


def profile(table: pd.DataFrame, ax: Axes, x: str, y: str, hue: str) -> None:
    """Draw `y` along a numeric `x`: a thin line a replica, means, theory dashed.

    Parameters
    ----------
    table : pd.DataFrame
        A figure's table; one row for each variant, seed and `x`.
    hue : str
        The column whose levels get a look; variants of one level share it.
    """
    noted, means = notes(ax), {}
    for level, name, measured, theory in _arms(table, hue):
        own = look(ax, level)
        if len(measured):
            wide = measured.pivot(index="seed", columns=x, values=y)
            at, lines = wide.columns.to_numpy(float), wide.to_numpy(float)
            _strands(ax, at, lines, own)
            mean, low, high = interval(lines)
            ax.fill_between(at, low, high, color=own.color, alpha=0.25, linewidth=0)
            ax.plot(
                at,
                mean,
                color=own.color,
                linestyle=own.line,
                marker=own.marker,
                markevery=_places(len(at), list(noted.looks.values()).index(own)),
            )
            noted.parts |= {"line", "band"}
            means[name] = (level, at, mean)
        if len(theory):
            rows = theory.sort_values(x)
            ax.plot(rows[x], rows[y], color=INK, ls=THEORY, linewidth=1.2, zorder=3)
            noted.parts.add("theory")
    _label(ax, x, y)
    if len(table) and (table[x] % 1 == 0).all():
        ax.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
    if means:
        _tell_profile(table, ax, x, y, means)


def dots(table: pd.DataFrame, ax: Axes, x: str, y: str, hue: str) -> None:
    """Draw `y` at the levels of `x`: a dot a replica, their mean and its interval.

    Arms stand beside each other at a level, unless they are the levels. Replicas whose
    ``status`` is ``diverged`` are crosses, at the lower edge when they have no value; a
    cross that has one counts in the mean.
    """
    levels = _sorted(table[x].unique()) if len(table) else []
    arms = list(_arms(table, hue))
    names = list(dict.fromkeys(str(level) for level, *_ in arms))
    width = 0.4 if x == hue else 0.8 / max(1, len(names))
    told: dict[str, dict[int, float]] = {name: {} for name in names}
    for level, _, measured, theory in arms:
        own = look(ax, level)
        beside = names.index(str(level)) - (len(names) - 1) / 2
        shift = 0.0 if x == hue else beside * width
        for place, rows in _at_levels(measured, x, levels):
            mean = _column_of_dots(rows, ax, y, place + shift, width, own)
            told[str(level)][place] = mean
        for place, rows in _at_levels(theory, x, levels):
            edges = place + shift + np.array([-0.45, 0.45]) * width
            for value in rows[y]:
                ax.plot(edges, [value] * 2, color=INK, ls=THEORY, linewidth=1.2)
            notes(ax).parts.add("theory")
    ax.set_xticks(range(len(levels)), [str(level) for level in levels])
    ax.grid(visible=False, axis="x")
    _label(ax, x, y)
    words = "; ".join(
        f"{name} "
        + " and ".join(
            f"{number(means[place])} at {levels[place]}"
            for place in sorted({min(means), max(means)})
        )
        for name, means in told.items()
        if means
    )
    if words:
        what = f"{y.replace('_', ' ')} by {x.replace('_', ' ')}"
        notes(ax).words.append((ax, f"{what}, means of {seeds(table)}: {words}"))


def diagonal(table: pd.DataFrame, ax: Axes, x: str, y: str, hue: str) -> None:
    """Draw `y` against `x`, a marker a row, and the dashed line on which they agree."""
    picture: Any = ax.figure
    picture.set_size_inches(5.6, 5.0)
    ax.axline((0, 0), slope=1, color=INK, linestyle=THEORY, linewidth=1.2)
    notes(ax).parts.add("agreement")
    for level in dict.fromkeys(table[hue]):
        rows, own = table[table[hue] == level], look(ax, level)
        ax.plot(
            rows[x],
            rows[y],
            own.marker,
            color=own.color,
            alpha=0.75,
        )
    both = table[[x, y]].to_numpy(float)
    both = both[np.isfinite(both).all(axis=1)]
    if len(both):
        margin = 0.05 * float(np.ptp(both)) or 1.0
        limits = (both.min() - margin, both.max() + margin)
        ax.set(xlim=limits, ylim=limits)
        apart = np.abs(both[:, 1] - both[:, 0])
        words = (
            f"{len(both)} points from {number(both.min())} to {number(both.max())};"
            f" {y} is {number(np.median(apart))} away from {x} in the median,"
            f" {number(apart.max())} at most"
        )
        notes(ax).words.append((ax, words))
    ax.set_aspect("equal")
    _label(ax, x, y)


def region(ax: Axes, low: float, high: float, axis: str = "y") -> None:
    """Shade the values that a claim predicts; an infinite edge is the axes' own."""
    limits = ax.get_ylim() if axis == "y" else ax.get_xlim()
    edges = [
        edge if math.isfinite(edge) else limit
        for edge, limit in zip((low, high), limits, strict=True)
    ]
    span = ax.axhspan if axis == "y" else ax.axvspan
    span(edges[0], edges[1], color=INK, alpha=0.1, linewidth=0, zorder=0)
    notes(ax).parts.add("region")


def seeds(table: pd.DataFrame) -> str:
    """Return ``16 seeds``: how many a table holds."""
    return count(table["seed"].dropna().nunique() if "seed" in table else 0, "seed")


def _places(points: int, turn: int) -> tuple[int, int]:
    """Return where a line gets markers; lines that coincide take turns."""
    every = max(1, points // 8)
    return turn % every, every


def _strands(ax: Axes, at: np.ndarray, lines: np.ndarray, own: Look) -> None:
    """Draw all replicas as one path: NaN lifts the pen between them."""
    gap = np.full((len(lines), 1), np.nan)
    ax.plot(
        np.tile([*at, np.nan], len(lines)),
        np.hstack([lines, gap]).ravel(),
        color=own.color,
        linewidth=0.6,
        alpha=0.45,
    )


def _column_of_dots(
    rows: pd.DataFrame, ax: Axes, y: str, centre: float, width: float, own: Look
) -> float:
    """Draw one variant's replicas, in the order of their seeds; return the mean."""
    rows, parts = rows.sort_values("seed"), notes(ax).parts
    values = rows[y].to_numpy(float)
    lost = np.zeros(len(rows), bool)
    if "status" in rows:
        lost = (rows["status"] == "diverged").to_numpy()
    spread = 0.3 * width if len(values) > 1 else 0.0
    at = np.linspace(centre - spread, centre + spread, len(values))
    small: Any = {"color": own.color, "markersize": 3.2, "alpha": 0.55}
    ax.plot(at[~lost], values[~lost], "o", **small)
    parts |= {"dot", "interval"}
    if lost.any():
        cross: Any = {"color": own.color, "markersize": 5}
        known = lost & np.isfinite(values)
        ax.plot(at[known], values[known], "x", **cross)
        nowhere = at[lost & ~known]
        edge = np.full(len(nowhere), 0.02)
        ax.plot(nowhere, edge, "x", transform=ax.get_xaxis_transform(), **cross)
        parts.add("diverged")
    mean, low, high = (float(v[0]) for v in interval(values[:, None]))
    ax.plot([centre] * 2, [low, high], color=INK, linewidth=1.4, zorder=3)
    ax.plot(
        centre,
        mean,
        own.marker,
        color=own.color,
        markeredgecolor=INK,
        markersize=6.5,
        zorder=4,
    )
    return mean


def _arms(
    table: pd.DataFrame, hue: str
) -> Iterator[tuple[Any, str, pd.DataFrame, pd.DataFrame]]:
    """Yield level, variant, its measured rows and its theory's, as they come."""
    if not len(table):
        return
    for (level, name), rows in table.groupby([hue, "variant"], sort=False):
        source = rows["source"]
        yield level, name, rows[source == "measured"], rows[source == "theory"]


def _at_levels(
    rows: pd.DataFrame, x: str, levels: list[Any]
) -> Iterator[tuple[int, pd.DataFrame]]:
    for place, level in enumerate(levels):
        chosen = rows[rows[x] == level]
        if len(chosen):
            yield place, chosen


def _sorted(levels: Iterable[Any]) -> list[Any]:
    """Numbers ascending; words as they come."""
    found = list(levels)
    numbers = all(isinstance(level, int | float | np.number) for level in found)
    return sorted(found) if numbers else found


def _label(ax: Axes, x: str, y: str) -> None:
    ax.set_xlabel(x.replace("_", " "))
    ax.set_ylabel(y.replace("_", " "))


def _tell_profile(
    table: pd.DataFrame, ax: Axes, x: str, y: str, means: dict[str, Any]
) -> None:
    """Say each arm's mean, beside theory's, at the end of `x` where the arms differ."""
    spread = [np.ptp([mean[end] for *_, mean in means.values()]) for end in (0, -1)]
    end = 0 if spread[0] > spread[1] else -1
    theory = table[table["source"] == "theory"]
    parts = []
    for name, (level, at, mean) in means.items():
        same = theory[(theory["variant"] == name) & (theory[x] == at[end])][y]
        dashed = f" (theory {number(same.iloc[0])})" if len(same) else ""
        parts.append(f"{level} {number(mean[end])}{dashed}")
    place = next(iter(means.values()))[1][end]
    what = f"{y.replace('_', ' ')} at {x.replace('_', ' ')} {place:g}"
    words = f"{what}, means of {seeds(table)}: {', '.join(parts)}"
    notes(ax).words.append((ax, words))
