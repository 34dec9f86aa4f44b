"""How many seeds would decide what is undecided, and how little a design can see."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import optimize, stats

from dlclaims.claims import Criterion, Deviation, Rate, RateDifference, Region
from dlclaims.statistics import answers, intervals
from dlclaims.statistics.answers import FAILS, FEWEST, HOLDS
from dlclaims.statistics.effects import Estimate
from dlclaims.statistics.intervals import ALPHA, Bounds

POWER = 0.8
LARGEST = 10_000

#: How likely something is decided, by seeds.
Chance = Callable[[int], float]


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


def seeds_to_decide_all(chances: Sequence[Chance]) -> int | None:
    """Return the seeds at which several effects are all decided, by the same chance."""
    return _fewest(chance_of_all(chances))


def chance_of_all(chances: Sequence[Chance]) -> Chance:
    """Return how likely several effects are all decided, by seeds, at least.

    Their misses are added (Bonferroni's bound): effects of one study share seeds.
    """
    return lambda seeds: max(1 - sum(1 - chance(seeds) for chance in chances), 0.0)


def chance_of(
    criterion: Criterion, found: Estimate, alpha: float = ALPHA
) -> Chance | None:
    """Return how likely a condition is decided, by seeds, if what was seen is true.

    None where no number of seeds decides: exact conditions, outcomes that are missing.
    """
    effect, region = criterion.effect, criterion.region
    if isinstance(effect, Deviation) or len(found.values) < 2:
        return None
    if isinstance(effect, Rate):
        return lambda seeds: rate_chance(found.value, region, seeds, alpha)
    return lambda seeds: chance(
        found.value, spread(criterion, found), region, seeds, alpha
    )


def spread(criterion: Criterion, found: Estimate) -> float:
    """Return the standard deviation of an effect over seeds."""
    values = np.array(found.values)
    if isinstance(criterion.effect, RateDifference):
        # Half a seed in each cell, or arms that agree would have no spread (Agresti &
        # Min 2005, Statistics in Medicine 24, 729-740): two seeds, sum 0, squares 1.
        values = np.concatenate([values, [0.5**0.5, -(0.5**0.5)]])
    return float(values.std(ddof=1))


def visible(seeds: int, alpha: float = ALPHA) -> float:
    """Return the smallest distance from an edge that is decided with a chance of 80 %.

    In standard deviations of the effect over seeds; infinite for too few seeds. It does
    not depend on the effect that was seen: what a design can see before it is run.
    """

    def excess(distance: float) -> float:
        return chance(distance, 1.0, Region.above(0.0), seeds, alpha) - POWER

    if 2.0**-seeds > alpha:
        return math.inf
    return float(optimize.brentq(excess, 0.0, 30.0))


def chance(
    mean: float, spread: float, region: Region, seeds: int, alpha: float = ALPHA
) -> float:
    """Return how likely the t interval lies on the side of the edges where `mean` does.

    By the noncentral t distribution (Johnson & Welch 1940, Biometrika 31, 362-389); of
    two edges both must be cleared, whose misses are added (Bonferroni's bound). Zero
    where no sign-flip test of so many seeds reaches the error rate.
    """
    if 2.0**-seeds > alpha:
        return 0.0
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


def _fewest(chance: Chance) -> int | None:
    """Return the fewest seeds with enough power, where more seeds have more."""
    low, high = FEWEST - 1, FEWEST
    while not chance(high) >= POWER:
        if high == LARGEST:
            return None
        low, high = high, min(2 * high, LARGEST)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle) >= POWER else (middle, high)
    return high
