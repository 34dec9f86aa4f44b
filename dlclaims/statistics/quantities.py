"""Quantities: one number per replica, from the rows of its table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from dlclaims.claims import Deviation, Quantity, Slope, Value, levels
from dlclaims.errors import PageError
from dlclaims.statistics.intervals import Array

if TYPE_CHECKING:
    import pandas as pd


def reduce(of: Quantity, rows: pd.DataFrame, keys: list[str]) -> pd.Series:
    """Return a quantity of every replica.

    Parameters
    ----------
    of : Quantity
    rows : DataFrame
        The rows of many replicas, told apart by the columns `keys`.

    Returns
    -------
    Series
        Indexed by `keys`. A replica without the rows that are asked for (the layer of
        a `Value`, the `over` of the others) is left out. A slope or a rank correlation
        uses the rows that have both columns and is NaN where these are fewer than two.

    Raises
    ------
    PageError
        When several rows of a replica have the same place: seeds that stand twice, or a
        `Value` that does not say which row it means.
    """
    import pandas as pd

    if isinstance(of, Value):
        for name, level in levels(of.at):
            rows = rows[rows[name] == level]
        place = keys
    else:
        rows = rows.dropna(subset=[of.over])
        place = [*keys, of.over]
    if rows.duplicated(place).any():
        twice = rows.loc[rows.duplicated(place), place].iloc[0]
        raise PageError(
            f"one row of {of.label} at each place of a replica",
            "several at " + ", ".join(f"{name} {twice[name]}" for name in place),
            "let measure return each seed once, or say in `at` which row is meant",
        )
    if isinstance(of, Value):
        return rows.set_index(keys)[of.column].astype(float)
    summary = slope if isinstance(of, Slope) else spearman

    def of_replica(own: pd.DataFrame) -> float:
        x, y = own.dropna().to_numpy(float).T
        return float(summary(x, y)) if len(x) > 1 else math.nan

    replicas = rows.groupby(keys, sort=False)[[of.over, of.column]]
    index = pd.MultiIndex.from_frame(rows[keys].drop_duplicates())
    found = [of_replica(own) for _, own in replicas]
    return pd.Series(found, index=index, dtype=float)


def slope(x: Array, y: Array) -> float:
    """Return the least-squares slope of `y` over `x`."""
    centred = x - x.mean()
    return float(centred @ (y - y.mean()) / (centred @ centred))


def spearman(x: Array, y: Array) -> Array:
    """Return Spearman's rank correlations (Spearman 1904), 0 where `y` does not vary.

    Parameters
    ----------
    x : Array, shape (points,)
    y : Array, shape (points,) or (points, seeds)

    Returns
    -------
    Array, shape () or (seeds,)
        Within [-1, 1]: ties have their mean rank.
    """
    one, two = stats.rankdata(x), stats.rankdata(y, axis=0)
    one, two = one - one.mean(), two - two.mean(axis=0)
    norm = np.sqrt((one @ one) * (two**2).sum(axis=0))
    return np.divide(one @ two, norm, out=np.zeros(norm.shape), where=norm > 0)


def elements_of(effect: Deviation) -> Value:
    """Return how many numbers a deviation was taken over, where it was taken."""
    return Value("elements", at=getattr(effect.of, "at", ()))
