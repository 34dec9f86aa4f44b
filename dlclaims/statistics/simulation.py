"""Claims whose truth is known: how often verdicts err, and how often they find.

A simulated claim has three conditions, whose effects are drawn around known ones and
judged by the code that judges pages. Effects are in standard deviations of the noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from dlclaims.claims import LogRatio, Region, Value
from dlclaims.seeds import MASTER
from dlclaims.statistics import answers, intervals, rules
from dlclaims.statistics.answers import Sides
from dlclaims.statistics.checks import checks as checks
from dlclaims.statistics.effects import contrast
from dlclaims.statistics.intervals import Array, Bounds
from dlclaims.statistics.rules import REFUTED, SUPPORTED

Row = dict[str, Any]

#: True effects: on the region's edge, of a true claim, and beyond all doubt.
EDGE, EFFECT, FAR = 0.5, 1.5, 100.0
INSIDE, OUTSIDE = (EDGE, FAR, FAR), (EDGE, -FAR, -FAR)

#: What is promised, apart from the constants of the code that must keep it.
MOST_WRONG = 0.025
COVERAGE = (0.94, 0.965)
LEAST_POWER = {16: 0.85}

PLANNED = (8, 10, 16, 20, 30)
#: With more seeds an exact test has so many signs that a tenth of the claims must do.
MANY = 20

DIVERGED = 0.05


class Judged(NamedTuple):
    """Verdicts, shape (claims,), and intervals, ends of shape (claims, conditions)."""

    verdicts: npt.NDArray[np.int64]
    bounds: Bounds


def judge_paired(values: Array, region: Region) -> Judged:
    """Judge paired effects, shape (claims, conditions, seeds)."""
    return Judged(rules.paired(values, region), intervals.student(values))


def judge_wins(values: Array, region: Region) -> Judged:
    """Judge the rates at which the first arm wins, from effects as `judge_paired`."""
    wins, seeds = (values > 0).sum(axis=-1), values.shape[-1]
    counts = range(seeds + 1)
    bounds = intervals.clopper_pearson(counts, seeds)
    sides = np.array([answers.rate_sides(k, seeds, region) for k in counts])[wins]
    found = answers.place(bounds, region)[wins]
    verdicts = rules.verdicts(found, Sides(sides[..., 0], sides[..., 1]))
    return Judged(verdicts, Bounds(*(np.asarray(end)[wins] for end in bounds)))


def win_rate(effect: npt.ArrayLike) -> Array:
    """Return how often the first arm wins where its diverged replicas lose."""
    return (1 - DIVERGED) * stats.norm.cdf(effect)


@dataclass(frozen=True)
class Family:
    """A kind of noise, and the scale on which claims under it are registered.

    Parameters
    ----------
    name, scale : str
        In words.
    draw : callable
        ``draw(rng, shape)`` returns noise of mean 0 and standard deviation 1, where a
        few diverged replicas do not count for the latter.
    is_gated : bool
        Whether verdicts on this scale must err as rarely as promised.
    is_skewed : bool
        Then claims are simulated in both directions, and the worse one counts.
    judge : callable
    truth : callable
        The true effect on the scale, from that in standard deviations.
    seeds : int or None
        None where any number will do.
    """

    name: str
    scale: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], Array]
    is_gated: bool = True
    is_skewed: bool = False
    judge: Callable[[Array, Region], Judged] = judge_paired
    truth: Callable[[npt.ArrayLike], Array] = np.asarray
    seeds: int | None = None


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw normal noise."""
    return rng.standard_normal(shape)


def heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw from Student's t with 3 degrees of freedom, whose variance is 3."""
    return rng.standard_t(3, shape) / math.sqrt(3)


def tied(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw normal noise on a grid, as accuracies on a hundred examples have it."""
    return np.round(3 * rng.standard_normal(shape)) / 3


def log_ratios(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw two log-normal arms and compare them as pages do."""
    arms = rng.lognormal(0, math.sqrt(1 / 2), (2, *shape))
    return contrast(LogRatio(Value("loss"), {}, {}), arms)


def ratios(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw log-normal ratios."""
    mean, variance = math.exp(1 / 2), (math.e - 1) * math.e
    return (rng.lognormal(size=shape) - mean) / math.sqrt(variance)


def diverging(
    rng: np.random.Generator, shape: tuple[int, ...], score: float = -math.inf
) -> Array:
    """Draw normal noise in which some replicas have a score; their mean is taken off.

    Without a score they lose to everything, and there is no mean to take off.
    """
    noise = rng.standard_normal(shape)
    noise[rng.random(shape) < DIVERGED] = score
    return noise - DIVERGED * score if math.isfinite(score) else noise


NORMAL = Family("normal", "difference", normal)
FAMILIES = (
    NORMAL,
    Family("Student t, 3 d.f.", "difference", heavy),
    Family("ties (1/3 s.d.)", "difference", tied),
    Family("log-normal", "log-ratio", log_ratios),
    Family(
        "5 % diverged",
        "win rate",
        diverging,
        judge=judge_wins,
        truth=win_rate,
        seeds=64,
    ),
    Family(
        "5 % diverged",
        "score, -2 s.d.",
        partial(diverging, score=-2.0),
        is_skewed=True,
    ),
    Family("log-normal", "raw ratio", ratios, is_gated=False, is_skewed=True),
    Family(
        "5 % diverged",
        "raw mean, -10 s.d.",
        partial(diverging, score=-10.0),
        is_gated=False,
        is_skewed=True,
    ),
)


def nulls(simulated: int = 10_000, seeds: int = 16, seed: int = MASTER) -> list[Row]:
    """Return how often claims on an edge are decided, by family of noise.

    The worst case of three conditions: one effect lies exactly on the region's edge,
    the others far inside it (is the claim called supported?) or far outside (refuted?).

    Parameters
    ----------
    simulated : int
        Claims for each number.
    seeds : int
        Of a condition, where the family has no number of its own.
    seed : int

    Returns
    -------
    list of dict
        ``false_supported``, ``false_refuted`` and ``power`` are fractions of the
        simulated claims, ``coverage`` one of the intervals of their conditions;
        ``limit``, ``coverage_low`` and ``coverage_high`` are None where nothing is
        promised.
    """
    return [
        _null(family, simulated, family.seeds or seeds, _generator(seed, number))
        for number, family in enumerate(FAMILIES)
    ]


def powers(simulated: int = 10_000, seed: int = MASTER) -> list[Row]:
    """Return how often true claims are supported under normal noise, by seeds.

    Their three effects lie one standard deviation inside the region.

    Parameters
    ----------
    simulated : int
        Claims for each number of seeds; a tenth of them for more than `MANY` seeds.
    """
    rows = []
    for seeds in PLANNED:
        made = simulated if seeds <= MANY else max(simulated // 10, 1)
        rng = _generator(seed, len(FAMILIES) + seeds)
        found = _judged(NORMAL, (EFFECT,) * 3, made, seeds, rng).verdicts
        rows.append(
            {
                "seeds": seeds,
                "simulated": made,
                "supported": _share(found == SUPPORTED),
                "limit": LEAST_POWER.get(seeds),
                "edge": EDGE,
                "effect": EFFECT,
            }
        )
    return rows


def limit(simulated: int) -> float:
    """Return the largest fraction of wrong verdicts that chance explains: 3 s.e."""
    return MOST_WRONG + 3 * math.sqrt(MOST_WRONG * (1 - MOST_WRONG) / simulated)


def _null(family: Family, simulated: int, seeds: int, rng: np.random.Generator) -> Row:
    supported, refuted, power, coverage = [], [], [], []
    for sign in (1, -1) if family.is_skewed else (1,):
        judge = partial(_judged, family, simulated=simulated, seeds=seeds, rng=rng)
        supported.append(_share(judge(INSIDE, sign=sign).verdicts == SUPPORTED))
        refuted.append(_share(judge(OUTSIDE, sign=sign).verdicts == REFUTED))
        found, bounds = judge((EFFECT,) * 3, sign=sign)
        truth = family.truth(EFFECT)
        power.append(_share(found == SUPPORTED))
        coverage.append(_share((bounds.low <= truth) & (truth <= bounds.high)))
    low, high = COVERAGE if family is NORMAL else (None, None)
    return {
        "family": family.name,
        "scale": family.scale,
        "gated": family.is_gated,
        "seeds": seeds,
        "simulated": simulated,
        "false_supported": max(supported),
        "false_refuted": max(refuted),
        "limit": limit(simulated) if family.is_gated else None,
        "coverage": min(coverage),
        "coverage_low": low,
        "coverage_high": high,
        "power": min(power),
    }


def _judged(
    family: Family,
    effects: tuple[float, ...],
    simulated: int,
    seeds: int,
    rng: np.random.Generator,
    sign: int = 1,
) -> Judged:
    """Draw claims with these true effects of their conditions, and judge them."""
    noise = sign * family.draw(rng, (simulated, len(effects), seeds))
    region = Region.above(float(family.truth(EDGE)))
    return family.judge(np.array(effects)[:, None] + noise, region)


def _generator(seed: int, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, number])


def _share(is_so: npt.NDArray[np.bool_]) -> float:
    return float(np.mean(is_so))
