"""How many seeds would decide what is undecided."""

from __future__ import annotations

import math

from scipy import stats

from dlclaims.claims import Region
from dlclaims.statistics.intervals import ALPHA

POWER = 0.8
LARGEST = 10_000
#: With fewer seeds no sign-flip test reaches the error rate: 2^-5 > ALPHA.
FEWEST = 6


def seeds_to_decide(mean: float, spread: float, region: Region) -> int | None:
    """Return the seeds at which the answer would fall with a chance of 80 %.

    As if the observed mean and spread (standard deviation over seeds) were the true
    ones: the usual formula for a t test against the nearest edge of the region.

    Returns
    -------
    int or None
        None where more than 10,000 seeds would be needed: the effect lies on the edge.
    """
    distance = min(
        abs(mean - edge) for edge in (region.low, region.high) if math.isfinite(edge)
    )
    if spread >= LARGEST * distance:
        return None
    size = (spread / distance) ** 2
    normal = size * (stats.norm.isf(ALPHA) + stats.norm.ppf(POWER)) ** 2
    n = max(FEWEST, math.floor(min(normal, LARGEST)))
    while n <= LARGEST:
        quantiles = stats.t.ppf(1 - ALPHA, n - 1) + stats.t.ppf(POWER, n - 1)
        if quantiles**2 * size <= n:
            return n
        n += 1
    return None
