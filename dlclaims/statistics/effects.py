"""From outcomes to the estimate of an effect.

Outcomes are one number per replica and quantity; an estimate is the effect with its
interval, its p-values and the value of every seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.claims import (
    Criterion,
    Deviation,
    Difference,
    Gap,
    Levels,
    LogRatio,
    Mean,
    Quantity,
    Rate,
    RateDifference,
    Region,
    Slope,
    Trend,
    Value,
    levels,
)
from dlclaims.pages import Study, Variant
from dlclaims.statistics import answers, intervals
from dlclaims.statistics.answers import NAMES, Sides
from dlclaims.statistics.intervals import Array, Bounds

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Estimate:
    """An effect, its interval, and what its answer rests on.

    Parameters
    ----------
    value, low, high : float
        NaN where nothing was measured.
    method : str
    answer : str
        ``holds``, ``fails``, ``undecided``, or ``missing`` where an arm was not run.
    n : int
        Seeds; for an exact deviation the numbers compared.
    p_holds, p_fails, sign_flip_holds, sign_flip_fails : float or None
        One-sided; None where there is no such test.
    standardized : float or None
        Effect divided by the standard deviation over seeds.
    improvement : dict or None
        Probability that the first arm beats the second, with its interval.
    predicted : float or None
        What theory predicts for the quantity of the (first) arm.
    seeds, values : tuple
        The effect of each seed.
    note : str
    variants : tuple of str
        The arms.
    """

    value: float
    low: float
    high: float
    method: str
    answer: str
    n: int
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


def estimate(criterion: Criterion, study: Study, outcomes: pd.DataFrame) -> Estimate:
    """Estimate a criterion's effect from a page's outcomes.

    Parameters
    ----------
    criterion : Criterion
    study : Study
        The one that the criterion names.
    outcomes : DataFrame
        As in ``outcomes.csv``.

    Raises
    ------
    ValueError
        When a seed stands twice in an arm.
    """
    effect, region = criterion.effect, criterion.region
    own = outcomes[outcomes["study"] == study.name]
    run = set(own.loc[own["source"] == "measured", "variant"])
    variants = [v for v in all_variants(study) if v.name in run]
    if isinstance(effect, Trend):
        arms = [v for v in variants if v.matches(effect.where)]
        if len(arms) < 3:
            return _missing(
                f"needs three levels of {effect.along}, {len(arms)} were run"
            )
    else:
        chosen = [_arm(variants, where) for where in _places(effect)]
        if None in chosen:
            return _missing("an arm is not in the grid of this profile")
        arms = [v for v in chosen if v is not None]
    of = effect.of
    columns = [_by_seed(own, v, of) for v in arms]
    seeds = sorted(set(columns[0].index).intersection(*(c.index for c in columns)))
    samples = [column.loc[seeds].to_numpy(float) for column in columns]
    names = tuple(v.name for v in arms)
    predicted = _predicted(own, arms[0], of)
    if not seeds or any(not np.isfinite(sample).all() for sample in samples):
        lost = sum(int((~np.isfinite(sample)).sum()) for sample in samples)
        note = f"{lost} replicas have no outcome and no registered score"
        return _missing(note, answer="undecided", variants=names)
    common: dict[str, Any] = {
        "seeds": tuple(int(seed) for seed in seeds),
        "predicted": predicted,
        "variants": names,
    }
    match effect:
        case Deviation():
            return _deviation(own, arms[0], samples[0], region, common)
        case Rate():
            return _rate(samples[0], region, common)
        case RateDifference():
            return _rate_difference(samples[0], samples[1], region, common)
        case Mean():
            return _paired(samples[0], region, common)
        case Gap():
            if predicted is None or not math.isfinite(predicted):
                return _missing("theory predicts nothing here", "undecided", names)
            return _paired(samples[0] - predicted, region, common)
        case Difference():
            better = intervals.improvement(samples[0], samples[1])
            return _paired(samples[0] - samples[1], region, common, better)
        case LogRatio():
            if min(samples[0].min(), samples[1].min()) <= 0:
                return _missing(
                    "a log ratio needs positive outcomes", "undecided", names
                )
            better = intervals.improvement(samples[0], samples[1])
            return _paired(np.log(samples[0] / samples[1]), region, common, better)
        case Trend():
            along = [float(v[effect.along]) for v in arms]
            return _paired(_rank_trend(along, np.stack(samples)), region, common)


def _places(effect: Any) -> list[Levels]:
    """Factor levels of each arm, the first one first."""
    second = [getattr(effect, a) for a in ("minus", "over") if hasattr(effect, a)]
    return [effect.where, *second]


def _arm(variants: list[Variant], where: Levels) -> Variant | None:
    found = [variant for variant in variants if variant.matches(where)]
    return found[0] if len(found) == 1 else None


def _by_seed(own: pd.DataFrame, variant: Variant, of: Quantity) -> pd.Series:
    rows = own[
        (own["source"] == "measured")
        & (own["variant"] == variant.name)
        & (own["outcome"] == of.label)
    ]
    if rows["seed"].duplicated().any():
        twice = sorted(set(rows.loc[rows["seed"].duplicated(), "seed"].astype(int)))
        raise ValueError(f"variant {variant.name} has seeds more than once: {twice}")
    return rows.set_index(rows["seed"].astype(int))["value"]


def _predicted(own: pd.DataFrame, variant: Variant, of: Quantity) -> float | None:
    rows = own[
        (own["source"] == "theory")
        & (own["variant"] == variant.name)
        & (own["outcome"] == of.label)
    ]
    return float(rows["value"].iloc[0]) if len(rows) else None


def _missing(
    note: str, answer: str = "missing", variants: tuple[str, ...] = ()
) -> Estimate:
    nan = math.nan
    return Estimate(nan, nan, nan, "", answer, 0, note=note, variants=variants)


def _paired(
    values: Array,
    region: Region,
    common: dict[str, Any],
    improvement: dict[str, float] | None = None,
) -> Estimate:
    bounds = intervals.student(values)
    t, flips = (
        sides(values, region)
        for sides in (answers.student_sides, answers.sign_flip_sides)
    )
    spread = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    is_point = len(values) > 1 and float(np.ptp(values)) == 0
    answer = NAMES[int(answers.paired(values, region))]
    note = ""
    if is_point:
        note = "no spread over seeds: the interval is a point"
    elif answer == "undecided" and int(answers.place(bounds, region)):
        note = "the t interval and the sign-flip test disagree"
    return Estimate(
        **_interval(float(values.mean()), bounds, "paired Student t", answer),
        n=len(values),
        p_holds=float(t.holds),
        p_fails=float(t.fails),
        sign_flip_holds=float(flips.holds),
        sign_flip_fails=float(flips.fails),
        standardized=float(values.mean() / spread) if spread > 0 else None,
        improvement=improvement,
        values=tuple(float(value) for value in values),
        note=note,
        **common,
    )


def _interval(value: float, bounds: Bounds, method: str, answer: str) -> dict[str, Any]:
    return {
        "value": value,
        "low": float(bounds.low),
        "high": float(bounds.high),
        "method": method,
        "answer": answer,
    }


def _rates(
    value: float,
    bounds: Bounds,
    method: str,
    sides: Sides,
    values: Array,
    region: Region,
    common: dict[str, Any],
    improvement: dict[str, float] | None = None,
) -> Estimate:
    answer = NAMES[int(answers.place(bounds, region))]
    return Estimate(
        **_interval(value, bounds, method, answer),
        n=len(values),
        p_holds=float(sides.holds),
        p_fails=float(sides.fails),
        improvement=improvement,
        values=tuple(float(v) for v in values),
        **common,
    )


def _rate(sample: Array, region: Region, common: dict[str, Any]) -> Estimate:
    n, successes = len(sample), int(sample.sum())
    sides = answers.rate_sides(successes, n, region)
    bounds = intervals.clopper_pearson(successes, n)
    return _rates(
        successes / n, bounds, "Clopper-Pearson", sides, sample, region, common
    )


def _rate_difference(
    first: Array, second: Array, region: Region, common: dict[str, Any]
) -> Estimate:
    one, two = first.astype(bool), second.astype(bool)
    sides = answers.rate_difference_sides(one, two, region)
    return _rates(
        float(one.mean() - two.mean()),
        intervals.newcombe(one, two),
        "Newcombe, paired",
        sides,
        first - second,
        region,
        common,
        intervals.improvement(first, second),
    )


def _deviation(
    own: pd.DataFrame,
    variant: Variant,
    sample: Array,
    region: Region,
    common: dict[str, Any],
) -> Estimate:
    largest = float(np.abs(sample).max())
    compared = _by_seed(own, variant, Value("elements"))
    point = Bounds(largest, largest)
    return Estimate(
        **_interval(largest, point, "exact", NAMES[answers.exact(largest, region)]),
        n=int(compared.sum()) if len(compared) else len(sample),
        values=tuple(float(value) for value in sample),
        **common,
    )


def _rank_trend(along: list[float], samples: Array) -> Array:
    """Spearman's correlation of outcomes with factor levels, one a seed.

    Parameters
    ----------
    along : list of float
        Levels of the factor, one an arm.
    samples : Array, shape (arms, seeds)
    """
    return np.array([spearman(np.asarray(along), sample) for sample in samples.T])


def spearman(x: Array, y: Array) -> float:
    """Return Spearman's rank correlation; 0 where either does not vary."""
    from scipy import stats

    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(stats.spearmanr(x, y).statistic)


def all_variants(study: Study) -> tuple[Variant, ...]:
    """Return the variants of all profiles, each once."""
    profiles = (study.standard, study.full, study.quick, study.smoke)
    return tuple({v.name: v for grid in profiles for v in grid}.values())


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
        Indexed by `keys`; a replica without the rows that `Value` names is left out.

    Raises
    ------
    ValueError
        When `Value` names several rows of a replica.
    """
    if isinstance(of, Value):
        for name, level in levels(of.at):
            rows = rows[rows[name] == level]
        if rows.duplicated(keys).any():
            raise ValueError(f"{of.label} names several rows of a replica")
        return rows.set_index(keys)[of.column].astype(float)
    summary = _slope if isinstance(of, Slope) else spearman
    ordered = rows.dropna(subset=[of.over, of.column])

    def of_replica(own: pd.DataFrame) -> float:
        x, y = own[[of.over, of.column]].to_numpy(float).T
        return summary(x, y) if len(x) > 1 else math.nan

    found = ordered.groupby(keys, sort=False)[[of.over, of.column]].apply(of_replica)
    return found.astype(float)


def _slope(x: Array, y: Array) -> float:
    centred = x - x.mean()
    return float(centred @ y / (centred @ centred))
