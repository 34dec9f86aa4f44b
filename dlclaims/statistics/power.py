"""How many seeds would decide what is undecided."""

from __future__ import annotations

import math

from scipy import stats

from dlclaims.claims import Region
from dlclaims.statistics.intervals import ALPHA

POWER = 0.8
LARGEST = 10_000


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
    n = 3
    while n <= LARGEST and distance > 0:
        quantiles = stats.t.ppf(1 - ALPHA, n - 1) + stats.t.ppf(POWER, n - 1)
        needed = math.ceil((quantiles * spread / distance) ** 2)
        if needed <= n:
            return n
        n = min(max(n + 1, needed // 2), LARGEST + 1) if needed > 2 * n else n + 1
    return None
