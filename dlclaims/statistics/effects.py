"""From outcomes to the estimate of an effect: its interval, p-values and answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dlclaims.claims import (
    Criterion,
    Deviation,
    Difference,
    Effect,
    Gap,
    Interaction,
    LogRatio,
    Rate,
    RateDifference,
    Region,
    Trend,
)
from dlclaims.errors import PageError
from dlclaims.pages import Study, Variant, selections
from dlclaims.statistics import answers, intervals
from dlclaims.statistics.answers import NAMES, Sides
from dlclaims.statistics.intervals import Array, Bounds
from dlclaims.statistics.quantities import elements_of, spearman

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Estimate:
    """An effect, its interval, and what its answer rests on.

    Parameters
    ----------
    answer : str
        ``holds``, ``fails``, ``undecided``; ``missing`` where an arm is not in the grid
        of the profile.
    value, low, high : float
        NaN where nothing can be said.
    method : str
        How the interval was made.
    n : int
        Seeds; for an exact deviation the numbers compared.
    p_holds, p_fails, sign_flip_holds, sign_flip_fails : float or None
        One-sided; None where there is no such test.
    standardized : float or None
        Effect divided by the standard deviation over seeds.
    improvement : dict or None
        Probability that the first arm beats the second, with its interval.
    predicted : float or None
        The effect in theory; for a gap, what theory predicts for the quantity.
    seeds, values : tuple
        The effect of each seed.
    note : str
    variants : tuple of str
        The arms.
    """

    answer: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    method: str = ""
    n: int = 0
    p_holds: float | None = None
    p_fails: float | None = None
    sign_flip_holds: float | None = None
    sign_flip_fails: float | None = None
    standardized: float | None = None
    improvement: dict[str, float] | None = None
    predicted: float | None = None
    seeds: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    note: str = ""
    variants: tuple[str, ...] = ()


def estimate(
    criterion: Criterion, study: Study, outcomes: pd.DataFrame, variants: pd.DataFrame
) -> Estimate:
    """Estimate a criterion's effect from a page's outcomes.

    All arms use the same seeds: those that have an outcome in every arm.

    Parameters
    ----------
    criterion : Criterion
    study : Study
        The one that the criterion names.
    outcomes, variants : DataFrame
        As in ``outcomes.csv`` and ``variants.csv``; the latter holds the grid that was
        run.

    Raises
    ------
    PageError
        When a seed stands twice in an arm, when a success is neither 0 nor 1, when two
        arms of a trend share a level, or when a deviation has no tolerance.
    """
    effect = criterion.effect
    grid = set(variants.loc[variants["study"] == study.name, "variant"])
    arms = _arms(effect, criterion, [v for v in all_variants(study) if v.name in grid])
    if not arms:
        return Estimate("missing", note="an arm is not in the grid of this profile")
    own = outcomes[
        (outcomes["study"] == study.name) & (outcomes["outcome"] == effect.of.label)
    ]
    columns = [_by_seed(own, arm) for arm in arms]
    seeds = sorted(set.intersection(*(set(column.index) for column in columns)))
    samples = np.array([column.loc[seeds] for column in columns], float)
    theory = np.array([_predicted(own, arm) for arm in arms])
    values, note = _values(effect, arms, samples, theory)
    found = (
        Estimate("undecided", note=note)
        if note
        else _decide(criterion, samples, values, outcomes, arms[0])
    )
    return replace(
        found,
        predicted=_predicted_effect(effect, arms, theory),
        seeds=tuple(int(seed) for seed in seeds) if not note else (),
        values=tuple(float(value) for value in values),
        variants=tuple(arm.name for arm in arms),
    )


def contrast(effect: Effect, samples: Array, along: Sequence[float] = ()) -> Array:
    """Return an effect's value of each seed; shape (seeds,).

    Parameters
    ----------
    effect : Effect
        A gap is the first arm here; what theory predicts is not subtracted.
    samples : Array, shape (arms, seeds)
    along : sequence of float
        The level of each arm, for a `Trend`: its correlation over levels is bounded,
        so that the mean over seeds has an interval that keeps its error rate.
    """
    match effect:
        case Difference() | RateDifference():
            return samples[0] - samples[1]
        case LogRatio():
            return np.log(samples[0]) - np.log(samples[1])  # a ratio may overflow
        case Interaction():
            here, over, there, there_over = np.log(samples)
            return (here - over) - (there - there_over)
        case Trend():
            return spearman(np.asarray(along), samples)
    return samples[0]


def all_variants(study: Study) -> tuple[Variant, ...]:
    """Return the variants of all profiles, each once."""
    profiles = (study.standard, study.full, study.quick, study.smoke)
    return tuple({v.name: v for grid in profiles for v in grid}.values())


def _arms(
    effect: Effect, criterion: Criterion, variants: Sequence[Variant]
) -> list[Variant]:
    """Return the variants that an effect compares; none where one was not run."""
    found = [[v for v in variants if v.matches(arm)] for arm in selections(criterion)]
    if not isinstance(effect, Trend):
        return [arm for (arm,) in found] if all(len(f) == 1 for f in found) else []
    arms = sorted(found[0], key=lambda variant: float(variant[effect.along]))
    levels = [float(arm[effect.along]) for arm in arms]
    if len(set(levels)) < len(levels):
        raise PageError(
            f"one variant for each level of {effect.along} in {criterion.name}",
            ", ".join(arm.name for arm in arms),
            "name the levels of all other factors in where",
        )
    return arms if len(arms) > 2 else []


def _by_seed(own: pd.DataFrame, variant: Variant) -> pd.Series:
    rows = own[(own["source"] == "measured") & (own["variant"] == variant.name)]
    twice = rows["seed"].duplicated()
    if twice.any():
        seeds = sorted(set(rows.loc[twice, "seed"].astype(int)))
        raise PageError(
            f"each seed of variant {variant.name} once",
            f"seeds more than once: {', '.join(map(str, seeds))}",
            "a seed that is counted twice is no evidence: remove its second rows",
        )
    return rows.set_index(rows["seed"].astype(int))["value"]


def _predicted(own: pd.DataFrame, variant: Variant) -> float:
    rows = own[(own["source"] == "theory") & (own["variant"] == variant.name)]
    return float(rows["value"].iloc[0]) if len(rows) else math.nan


def _values(
    effect: Effect, arms: Sequence[Variant], samples: Array, theory: Array
) -> tuple[Array, str]:
    """Return the effect of each seed, or none and why there is none."""
    none = np.empty(0)
    lost = int((~np.isfinite(samples)).sum())
    if not samples.size:
        return none, "no seed has an outcome in every arm"
    if lost:
        words = "1 replica has" if lost == 1 else f"{lost} replicas have"
        return none, f"{words} no outcome and no registered score"
    if isinstance(effect, Gap) and not math.isfinite(theory[0]):
        return none, "theory predicts nothing here"
    if isinstance(effect, LogRatio | Interaction) and samples.min() <= 0:
        return none, "a log-ratio needs positive outcomes"
    if isinstance(effect, Rate | RateDifference) and not np.isin(samples, (0, 1)).all():
        raise PageError(
            f"0 or 1 in {effect.of.column}, which a {effect.kind} counts",
            ", ".join(f"{value:g}" for value in np.unique(samples)[:5]),
            "let measure return whether the replica succeeded",
        )
    values = contrast(effect, samples, _levels(effect, arms))
    return values - theory[0] if isinstance(effect, Gap) else values, ""


def _levels(effect: Effect, arms: Sequence[Variant]) -> list[float]:
    return [float(a[effect.along]) for a in arms] if isinstance(effect, Trend) else []


def _predicted_effect(
    effect: Effect, arms: Sequence[Variant], theory: Array
) -> float | None:
    if not np.isfinite(theory).all() or (
        isinstance(effect, LogRatio | Interaction) and theory.min() <= 0
    ):
        return None
    return float(contrast(effect, theory[:, None], _levels(effect, arms))[0])


def _decide(
    criterion: Criterion,
    samples: Array,
    values: Array,
    outcomes: pd.DataFrame,
    arm: Variant,
) -> Estimate:
    effect, region = criterion.effect, criterion.region
    match effect:
        case Deviation():
            if region.low > 0 or math.isinf(region.high):
                raise PageError(
                    f"the region of {criterion.name} to end at a tolerance",
                    f"{region}",
                    "write Region.below(tolerance)",
                )
            compared = _compared(outcomes, criterion, arm, default=len(values))
            return _deviation(values, region, compared)
        case Rate():
            n, successes = len(values), int(values.sum())
            return _rates(
                successes / n,
                intervals.clopper_pearson(successes, n),
                "Clopper-Pearson",
                answers.rate_sides(successes, n, region),
                region,
                n,
            )
        case RateDifference():
            one, two = samples.astype(bool)
            found = _rates(
                float(values.mean()),
                intervals.newcombe(one, two),
                "Newcombe",
                answers.rate_difference_sides(one, two, region),
                region,
                len(values),
            )
        case _:
            found = _paired(values, region)
    if isinstance(effect, Difference | LogRatio | RateDifference):
        return replace(found, improvement=intervals.improvement(*samples))
    return found


def _paired(values: Array, region: Region) -> Estimate:
    bounds = intervals.student(values)
    answer, t, flips = answers.paired_tests(values, region)
    spread = float(values.std(ddof=1)) if np.ptp(values) > 0 else 0.0
    note = ""
    if len(values) > 1 and not spread:
        unseen = intervals.clopper_pearson(0, len(values)).high
        note = (
            "no spread over seeds: the interval is a point; up to"
            f" {100 * unseen:.0f} % of seeds may be others"
        )
    elif not answer and answers.place(bounds, region):
        note = "the t interval and the sign-flip test disagree"
    return Estimate(
        NAMES[int(answer)],
        float(values.mean()) if spread else float(values[0]),
        float(bounds.low),
        float(bounds.high),
        "paired Student t",
        len(values),
        p_holds=_probability(t.holds),
        p_fails=_probability(t.fails),
        sign_flip_holds=_probability(flips.holds),
        sign_flip_fails=_probability(flips.fails),
        standardized=float(values.mean() / spread) if spread else None,
        note=note,
    )


def _probability(p: Array) -> float | None:
    return None if np.isnan(p) else float(p)


def _rates(
    value: float, bounds: Bounds, method: str, sides: Sides, region: Region, n: int
) -> Estimate:
    return Estimate(
        NAMES[int(answers.place(bounds, region))],
        value,
        float(bounds.low),
        float(bounds.high),
        method,
        n,
        p_holds=float(sides.holds),
        p_fails=float(sides.fails),
    )


def _deviation(values: Array, region: Region, compared: int) -> Estimate:
    largest = float(np.abs(values).max())
    answer = NAMES[answers.exact(largest, region)]
    return Estimate(answer, largest, largest, largest, "exact", compared)


def _compared(
    outcomes: pd.DataFrame, criterion: Criterion, arm: Variant, default: int
) -> int:
    assert isinstance(criterion.effect, Deviation)
    own = outcomes[
        (outcomes["study"] == criterion.study)
        & (outcomes["outcome"] == elements_of(criterion.effect).label)
    ]
    counted = _by_seed(own, arm)
    return int(counted.sum()) if len(counted) else default
