"""Intervals and tests for one effect; every function takes all seeds at once.

The paired intervals also take many simulated claims at once: their first axes are
claims, their last axis is seeds. The calibration runs through the same code.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

Array = npt.NDArray[np.float64]

LEVEL = 0.95
#: Numbers that differ by so small a fraction differ by rounding only.
ROUNDING = 1e-12
#: With more seeds than these, a sign-flip test counts on a grid of so many steps.
MOST_MATCHED, GRID = 32, 2**17
#: One-sided error rate of each side of an interval.
ALPHA = (1 - LEVEL) / 2


class Bounds(NamedTuple):
    """The ends of an interval; arrays where many claims were given."""

    low: Array | float
    high: Array | float


def student(values: npt.ArrayLike) -> Bounds:
    """Return the paired Student t interval of a mean (Student 1908).

    Parameters
    ----------
    values : array_like, shape (..., seeds)
        Paired effects, one a seed.
    """
    values = np.asarray(values, float)
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    if n < 2:
        return Bounds(np.full_like(mean, -np.inf), np.full_like(mean, np.inf))
    half = stats.t.ppf(1 - ALPHA, n - 1) * values.std(axis=-1, ddof=1) / math.sqrt(n)
    first = values[..., 0]
    is_point = np.ptp(values, axis=-1) <= ROUNDING * np.abs(values).max(axis=-1)
    mean, half = np.where(is_point, first, mean), np.where(is_point, 0.0, half)
    return Bounds(mean - half, mean + half)


def student_p(values: npt.ArrayLike, edge: float) -> Array:
    """Return the one-sided p-value of ``mean <= edge`` (Student 1908).

    Small where the mean lies above the edge; 0 or 1 (1/2 on the edge) where the values
    do not spread.
    """
    above = _above(values, edge)
    n = above.shape[-1]
    mean = above.mean(axis=-1)
    if n < 2:
        return np.ones_like(mean)
    error = above.std(axis=-1, ddof=1) / math.sqrt(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(error > 0, mean / error, np.sign(mean) * np.inf)
    return np.asarray(stats.t.sf(np.where(np.isnan(t), 0.0, t), n - 1))


def _above(values: npt.ArrayLike, edge: float) -> Array:
    """Return ``values - edge``; what lies on the edge but for rounding is exactly 0."""
    values = np.asarray(values, float)
    above = values - edge
    size = np.maximum(np.abs(values), abs(edge))
    return np.where(np.abs(above) <= ROUNDING * size, 0.0, above)


def sign_flip_p(values: npt.ArrayLike, edge: float) -> Array:
    """Return the exact one-sided sign-flip p-value of a centre at or below `edge`.

    The share of all 2^n assignments of signs to ``values - edge`` whose sum is at
    least the observed one (Fisher 1935, The Design of Experiments, sec. 21). Sums of
    the two halves of the seeds are matched by sorting, so that 30 seeds take 2^15 sums
    instead of 2^30. Sums that differ by rounding only count as equal. Beyond
    `MOST_MATCHED` seeds the p-value is a little larger than the exact one. NaN where a
    value is.
    """
    above = np.atleast_2d(_above(values, edge))
    rows = above.reshape(-1, above.shape[-1])
    test = _sign_flip if rows.shape[-1] <= MOST_MATCHED else _sign_flip_on_grid
    found = np.array([math.nan if np.isnan(row).any() else test(row) for row in rows])
    return found.reshape(np.shape(values)[:-1])


def _sign_flip(row: Array) -> float:
    rounding = ROUNDING * np.abs(row).sum()
    half = len(row) // 2
    one, two = _sums(row[:half]), np.sort(_sums(row[half:]))
    reached = row.sum() - rounding - one
    at_least = len(two) - np.searchsorted(two, reached, side="left")
    return float(at_least.sum() / 2.0 ** len(row))


def _sign_flip_on_grid(row: Array) -> float:
    """Return the share from the distribution of the sum, convolved seed by seed.

    Sizes are rounded to whole steps, which moves a sum by half a step a seed at most:
    what is counted is all sums that may have reached the observed one, so that the
    share is never below the exact one (Pagano & Tritchler 1983, J. Am. Statist. Assoc.
    78, 435-440, have the exact one on integers).
    """
    sizes = np.abs(row)
    step = sizes.sum() / GRID
    if step == 0:
        return 1.0
    whole = np.rint(sizes / step).astype(int)
    middle = int(whole.sum())
    shares = np.zeros(2 * middle + 1)  # of the sums from -middle to middle
    shares[middle] = 1.0
    for size in whole:
        shares = (np.roll(shares, size) + np.roll(shares, -size)) / 2
    reached = math.ceil(row.sum() / step - len(row) / 2 - GRID * ROUNDING)
    return min(float(shares[max(reached + middle, 0) :].sum()), 1.0)


def _sums(row: Array) -> Array:
    """Return the sums of `row` under all signs; shape (2 ** len(row),)."""
    sums = np.zeros(1)
    for value in row:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def clopper_pearson(successes: npt.ArrayLike, n: int, alpha: float = ALPHA) -> Bounds:
    """Return the exact interval of a rate (Clopper & Pearson 1934, Biometrika 26, 404).

    Parameters
    ----------
    successes : array_like of int
        Of `n` seeds; many at once.
    alpha : float
        Error rate of each side.
    """
    k = np.asarray(successes)
    low = np.where(k > 0, stats.beta.ppf(alpha, np.maximum(k, 1), n - k + 1), 0.0)
    high = np.where(k < n, stats.beta.isf(alpha, k + 1, np.maximum(n - k, 1)), 1.0)
    return Bounds(low, high)


def rate_p(successes: int, n: int, edge: float) -> float:
    """Return the exact one-sided p-value of ``rate <= edge`` (binomial tail).

    An edge below 0 is no rate: the p-value is 0.
    """
    return float(stats.binom.sf(successes - 1, n, min(edge, 1.0))) if edge >= 0 else 0.0


def newcombe(
    first: npt.ArrayLike, second: npt.ArrayLike, alpha: float = ALPHA
) -> Bounds:
    """Return the interval of the difference of two paired rates, first minus second.

    Method 10 of Newcombe 1998, Statistics in Medicine 17, 2635-2650: Wilson's score
    intervals of both rates, combined with their correlation.

    Parameters
    ----------
    first, second : array_like of bool, shape (seeds,)
    alpha : float
        Error rate of each side.
    """
    one, two = np.asarray(first, bool), np.asarray(second, bool)
    n = len(one)
    a, b = int((one & two).sum()), int((one & ~two).sum())
    c, d = int((~one & two).sum()), int((~one & ~two).sum())
    difference = (b - c) / n
    (p, (low_p, high_p)), (q, (low_q, high_q)) = (
        (k / n, wilson(k, n, alpha)) for k in (a + b, a + c)
    )
    product = math.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    excess: float = a * d - b * c
    if excess > 0:  # continuity correction of the correlation
        excess = max(excess - n / 2, 0)
    phi = excess / product if product else 0.0

    def length(x: float, y: float) -> float:
        return math.sqrt(max(x**2 - 2 * phi * x * y + y**2, 0.0))

    return Bounds(
        difference - length(p - low_p, high_q - q),
        difference + length(high_p - p, q - low_q),
    )


def wilson(successes: int, n: int, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the score interval of a rate (Wilson 1927)."""
    z, p = float(stats.norm.isf(alpha)), successes / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def newcombe_p(first: npt.ArrayLike, second: npt.ArrayLike, edge: float) -> float:
    """Return the one-sided error rate at which Newcombe's lower end meets `edge`.

    Small where the difference lies above the edge: the interval inverted into a test.
    """

    def beyond(alpha: float) -> float:
        return float(newcombe(first, second, alpha).low) - edge

    smallest, largest = 1e-12, 0.5
    if beyond(smallest) >= 0:
        return smallest
    if beyond(largest) < 0:
        return 1.0
    return float(optimize.brentq(beyond, smallest, largest))


def improvement(first: npt.ArrayLike, second: npt.ArrayLike) -> dict[str, float]:
    """Return the probability that one arm beats the other on a seed.

    The share of seeds with ``first > second``, ties counting half, with the exact
    interval of Clopper & Pearson 1934: its low end as if ties were lost, its high end
    as if they were won.
    """
    one, two = np.asarray(first, float), np.asarray(second, float)
    n, wins, ties = len(one), int((one > two).sum()), int((one == two).sum())
    return {
        "value": (wins + ties / 2) / n,
        "low": float(clopper_pearson(wins, n).low),
        "high": float(clopper_pearson(wins + ties, n).high),
    }
