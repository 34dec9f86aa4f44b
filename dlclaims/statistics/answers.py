"""Intervals and regions: an effect holds, fails, or is undecided.

Superiority, equivalence and agreement with theory are the same rule: inside the region
the interval holds, outside it fails, across an edge it is undecided. For paired effects
an exact sign-flip test must agree. All functions take many claims at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dlclaims.claims import Region
from dlclaims.statistics import intervals
from dlclaims.statistics.intervals import ALPHA, Array, Bounds

Answers = npt.NDArray[np.int64]
HOLDS, UNDECIDED, FAILS = 1, 0, -1
NAMES = {HOLDS: "holds", UNDECIDED: "undecided", FAILS: "fails"}

#: With fewer seeds no sign-flip test reaches the error rate: 2^-5 > ALPHA.
FEWEST = 6

#: An exact deviation beyond this multiple of its tolerance fails.
CLEARLY = 100.0

EVERYWHERE = Bounds(-math.inf, math.inf)


class Sides(NamedTuple):
    """One-sided p-values of lying inside a region, and of lying outside."""

    holds: Array
    fails: Array


class Tested(NamedTuple):
    """Answers (1 holds, 0 undecided, -1 fails) with both tests' p-values."""

    found: Answers
    t: Sides
    flips: Sides

    @property
    def sides(self) -> Sides:
        """The p-values of both tests together: the larger ones."""
        return Sides(*map(np.maximum, self.t, self.flips))


def place(bounds: Bounds, region: Region) -> Answers:
    """Return where intervals lie: inside (1), outside (-1) or across an edge (0)."""
    low, high = np.asarray(bounds.low), np.asarray(bounds.high)
    inside = (low >= region.low) & (high <= region.high)
    outside = (low > region.high) | (high < region.low)
    return np.where(inside, HOLDS, np.where(outside, FAILS, UNDECIDED))


def paired(values: npt.ArrayLike, region: Region) -> Answers:
    """Return the answers of paired effects: `paired_tests` without the tests.

    Parameters
    ----------
    values : array_like, shape (..., seeds)

    Returns
    -------
    ndarray of int, shape (...)
    """
    return paired_tests(values, region).found


def paired_tests(values: npt.ArrayLike, region: Region) -> Tested:
    """Return the answers of paired effects and the tests that they rest on.

    Parameters
    ----------
    values : array_like, shape (..., seeds)

    Returns
    -------
    Tested
        Arrays of shape (...). The t interval answers and the sign-flip test must
        agree. Values that do not spread, over so few seeds that no sign-flip test could
        agree, are no sample but an exact number: it lies in the closed region or not,
        without p-values.
    """
    values = np.asarray(values, float)
    bounds = intervals.student(values)
    found = place(bounds, region)
    t, flips = student_sides(values, region), sign_flip_sides(values, region)
    agrees = np.where(found == HOLDS, flips.holds, flips.fails) <= ALPHA
    found = np.where(agrees, found, UNDECIDED)
    if 1 < values.shape[-1] < FEWEST:
        is_exact = np.asarray(bounds.low == bounds.high)
        inside = t.holds <= 0.5  # 1/2 on an edge, whatever its last digit
        found = np.where(is_exact, np.where(inside, HOLDS, FAILS), found)
        none = np.where(is_exact, np.nan, 0.0)
        t, flips = (Sides(p.holds + none, p.fails + none) for p in (t, flips))
    return Tested(found, t, flips)


def exact(deviation: float, region: Region) -> int:
    """Return the answer for a largest deviation: no error rate, hence no interval."""
    if deviation <= region.high:
        return HOLDS
    return FAILS if deviation > CLEARLY * region.high else UNDECIDED


def student_sides(values: npt.ArrayLike, region: Region) -> Sides:
    """Return the p-values of the t test at the edges of a region."""
    return _sides(intervals.student_p, np.asarray(values, float), region)


def sign_flip_sides(values: npt.ArrayLike, region: Region) -> Sides:
    """Return the p-values of the exact sign-flip test at the edges of a region."""
    return _sides(intervals.sign_flip_p, np.asarray(values, float), region)


def rate_sides(successes: int, n: int, region: Region) -> Sides:
    """Return the p-values of the exact binomial test at the edges of a region."""
    counts = {1: successes, -1: n - successes}

    def test(sign: int, edge: float) -> float:
        return intervals.rate_p(counts[sign], n, edge if sign > 0 else 1 + edge)

    return _by_edge(test, region, Bounds(0.0, 1.0))


def rate_difference_sides(first: Array, second: Array, region: Region) -> Sides:
    """Return the error rates at which Newcombe's interval meets the edges."""
    arms = {1: (first, second), -1: (second, first)}

    def test(sign: int, edge: float) -> float:
        return intervals.newcombe_p(*arms[sign], edge)

    return _by_edge(test, region, Bounds(-1.0, 1.0))


def _sides(
    test: Callable[[Array, float], Array], values: Array, region: Region
) -> Sides:
    return _by_edge(lambda sign, edge: test(sign * values, edge), region)


def _by_edge(
    test: Callable[[int, float], Array | float],
    region: Region,
    possible: Bounds = EVERYWHERE,
) -> Sides:
    """Combine ``test(sign, edge)``, the p-value of ``sign * effect <= edge``.

    Inside means beyond both edges, so the larger p-value counts. Outside means beyond
    one of them, and the smaller one counts, as the interval has it: each direction has
    its own error rate. Only in a region that is narrower than the standard error can
    both directions err, together at most twice as often. An edge at or beyond what is
    `possible` is none, since no effect crosses it.
    """
    edges = [(1, region.low, possible.low), (-1, -region.high, -possible.high)]
    crossed = [(sign, edge) for sign, edge, end in edges if edge > end]
    inner = [np.asarray(test(sign, edge)) for sign, edge in crossed]
    outer = [np.asarray(test(-sign, -edge)) for sign, edge in crossed]
    return Sides(np.max(inner, axis=0, initial=0.0), np.min(outer, axis=0, initial=1.0))
