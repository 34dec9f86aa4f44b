"""How many seeds would decide what is undecided."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import stats

from dlclaims.claims import Region
from dlclaims.statistics import answers, intervals
from dlclaims.statistics.answers import FAILS, HOLDS
from dlclaims.statistics.intervals import ALPHA, Bounds

POWER = 0.8
LARGEST = 10_000
#: With fewer seeds no sign-flip test reaches the error rate: 2^-5 > ALPHA.
FEWEST = 6


def seeds_to_decide(
    mean: float, spread: float, region: Region, alpha: float = ALPHA
) -> int | None:
    """Return the seeds at which a paired effect is decided with a chance of 80 %.

    Parameters
    ----------
    mean, spread : float
        Of the effect over seeds (standard deviation): as if they were the true ones.
    region : Region
    alpha : float
        Error rate of each side.

    Returns
    -------
    int or None
        None where 10,000 seeds are too few: the effect lies on an edge.
    """
    return _fewest(lambda seeds: chance(mean, spread, region, seeds, alpha))


def seeds_to_decide_rate(
    rate: float, region: Region, alpha: float = ALPHA
) -> int | None:
    """Return the same for a success rate, as if the observed one were the true one."""
    return _fewest(lambda seeds: rate_chance(rate, region, seeds, alpha))


def chance(
    mean: float, spread: float, region: Region, seeds: int, alpha: float = ALPHA
) -> float:
    """Return how likely the t interval lies on the side of the edges where `mean` does.

    By the noncentral t distribution (Johnson & Welch 1940, Biometrika 31, 362-389); of
    two edges both must be cleared, whose misses are added (Bonferroni's bound).
    """
    finite = [edge for edge in (region.low, region.high) if math.isfinite(edge)]
    if spread == 0:
        return float(mean not in finite)
    is_inside = region.low <= mean <= region.high
    distances = [abs(mean - edge) for edge in finite]
    if not is_inside:
        distances = [min(distances)]
    quantile = stats.t.isf(alpha, seeds - 1)
    shifts = [math.sqrt(seeds) * distance / spread for distance in distances]
    # Beyond a shift of 30 the distribution is not computed: no interval is missed.
    misses = [stats.nct.cdf(quantile, seeds - 1, min(shift, 30.0)) for shift in shifts]
    return max(1 - float(sum(misses)), 0.0)


def rate_chance(rate: float, region: Region, seeds: int, alpha: float = ALPHA) -> float:
    """Return how likely a rate's exact interval falls where `rate` lies."""
    counts = np.arange(seeds + 1)
    found = answers.place(intervals.clopper_pearson(counts, seeds, alpha), region)
    is_inside = answers.place(Bounds(rate, rate), region) == HOLDS
    likely = stats.binom.pmf(counts, seeds, rate)
    return float(likely[found == (HOLDS if is_inside else FAILS)].sum())


def _fewest(chance_of: Callable[[int], float]) -> int | None:
    """Return the fewest seeds with enough power, where more seeds have more."""
    low, high = FEWEST - 1, FEWEST
    while chance_of(high) < POWER:
        if high == LARGEST:
            return None
        low, high = high, min(2 * high, LARGEST)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance_of(middle) >= POWER else (middle, high)
    return high
