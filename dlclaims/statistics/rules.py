"""From the answers of a claim's conditions to its verdict; many claims at once.

The rules are those of a single claim: calibration simulates thousands of claims through
this code and no other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dlclaims.claims import Region
from dlclaims.statistics import answers, multiplicity
from dlclaims.statistics.answers import FAILS, HOLDS, UNDECIDED, Answers, Sides
from dlclaims.statistics.intervals import ALPHA, Array

REFUTED, INCONCLUSIVE, CONDITIONAL, SUPPORTED = -1, 0, 1, 2
NAMES = {
    REFUTED: "refuted",
    INCONCLUSIVE: "inconclusive",
    CONDITIONAL: "conditional",
    SUPPORTED: "supported",
}


def verdicts(found: Answers, sides: Sides) -> npt.NDArray[np.int64]:
    """Return the verdicts of claims.

    Supported: all conditions hold; refuted: all fail (intersection-union, so neither
    needs a correction: Berger 1982, Technometrics 24, 295-300). Conditional: at least
    one holds and at least one fails after Holm's correction. Inconclusive: the rest.

    Parameters
    ----------
    found : Answers, shape (..., conditions)
    sides : Sides
        Arrays of the same shape; NaN where a condition is exact.

    Returns
    -------
    ndarray of int, shape (...)
        Keys of `NAMES`.
    """
    kept = after_holm(found, sides)
    is_mixed = (kept == HOLDS).any(axis=-1) & (kept == FAILS).any(axis=-1)
    return np.select(
        [(found == HOLDS).all(axis=-1), (found == FAILS).all(axis=-1), is_mixed],
        [SUPPORTED, REFUTED, CONDITIONAL],
        INCONCLUSIVE,
    )


def after_holm(found: Answers, sides: Sides) -> Answers:
    """Return the answers that stand after Holm's correction over a claim's conditions.

    The p-values of the two sides are corrected apart. An exact condition (its p-values
    are NaN) has no error rate: it stays as it is, outside the correction.

    Parameters
    ----------
    found : Answers, shape (..., conditions)
    sides : Sides
        Arrays of the same shape.
    """
    kept = [
        (found == answer) & ~(multiplicity.holm(p) > ALPHA)
        for answer, p in ((HOLDS, sides.holds), (FAILS, sides.fails))
    ]
    return np.select(kept, [HOLDS, FAILS], UNDECIDED)


def paired(values: npt.ArrayLike, region: Region) -> npt.NDArray[np.int64]:
    """Return the verdicts of claims whose conditions are paired effects.

    Parameters
    ----------
    values : array_like, shape (..., conditions, seeds)
    region : Region
        Of every condition.
    """
    tested = answers.paired_tests(values, region)
    return verdicts(tested.found, tested.sides)


def headline_p(verdict: int, found: Answers, sides: Sides) -> float | None:
    """Return the one-sided p-value that a verdict stands on; None without any test.

    Supported and refuted: the largest over conditions (intersection-union).
    Conditional: the larger of the smallest Holm-adjusted ones of the two sides.
    Inconclusive: that of supported or refuted, whichever is nearer. An exact condition
    has 0 on the side of its answer and 1 on the other.
    """
    if np.isnan(sides.holds).all():
        return None
    if verdict == CONDITIONAL:
        kept = after_holm(found, sides)
        return max(
            float(_filled(multiplicity.holm(p), found, answer)[kept == answer].min())
            for answer, p in ((HOLDS, sides.holds), (FAILS, sides.fails))
        )
    supported, refuted = (
        float(_filled(p, found, answer).max())
        for answer, p in ((HOLDS, sides.holds), (FAILS, sides.fails))
    )
    chosen = {SUPPORTED: supported, REFUTED: refuted}
    return chosen.get(verdict, min(supported, refuted))


def _filled(p: Array, found: Answers, answer: int) -> Array:
    return np.where(np.isnan(p), found != answer, p)
