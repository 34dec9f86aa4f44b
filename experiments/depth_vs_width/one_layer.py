"""What the best single hidden layer can do at the extrema of a folded tent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dlclaims.claims import Criterion, Deviation, Region, Value
from dlclaims.pages import Study, Variant, grid, tidy
from dlclaims.theory import piecewise

if TYPE_CHECKING:
    import pandas as pd

    from dlclaims.seeds import Seeds

#: Bends of a single hidden layer with too few units, by name: all extrema but one, and
#: as many that are drawn at random; then as many as the tent has, and one from 0 on.
KNOTS = ("one-short", "random", "enough")


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """The least error at the extrema of one hidden layer with given bends."""
    folds = variant["folds"]
    errors, units = [], 0
    for seed in seeds:
        knots = drawn_knots(variant["knots"], folds, seeds.generator(seed, "init"))
        errors.append(least_error(knots, folds))
        units = len(knots)
    return tidy(
        {"seed": seeds},
        error=errors,
        shortfall=np.maximum(0.5 - np.array(errors), 0),
        units=units,
        parameters=piecewise.shallow_parameters(units),
        elements=2**folds + 1,
    )


def drawn_knots(name: str, folds: int, rng: np.random.Generator) -> np.ndarray:
    """Return bends of a hidden layer, by a name of `KNOTS`; shape (units,)."""
    inner = piecewise.extrema(folds)[:-1]  # from 0, where a unit is on from the start
    if name == "enough":
        return inner
    few = piecewise.fewest_units(folds) - 1
    if name == "random":
        return np.sort(rng.random(few))
    return np.sort(rng.permutation(inner)[:few])


def least_error(knots: np.ndarray, folds: int) -> float:
    """Return the least largest error at the extrema, over all read-outs.

    A linear program: for given units max(x - knot, 0) the best of all read-outs is
    found, not only one that some training happened to reach.
    """
    from scipy import optimize

    x = piecewise.extrema(folds)
    basis = np.maximum(x[:, None] - knots, 0)
    design = np.column_stack([np.ones(len(x)), basis])
    slack = np.ones((len(x), 1))
    y = piecewise.tent(x, folds)
    found = optimize.linprog(
        np.append(np.zeros(design.shape[1]), 1),
        A_ub=np.block([[design, -slack], [-design, -slack]]),
        b_ub=np.concatenate([y, -y]),
        bounds=[*[(None, None)] * design.shape[1], (0, None)],
        method="highs",
    )
    return float(found.fun)


STUDY = Study(
    name="one-layer",
    title="The best read-out of one hidden layer at the tent's extrema",
    measure=measure,
    standard=grid(folds=(2, 4, 6, 8), knots=KNOTS),
    quick=grid(folds=(2, 4, 6), knots=KNOTS),
    smoke=grid(folds=(2, 4), knots=KNOTS),
    sampling="exact",
)


def fitted(
    name: str, knots: str, column: str, folds: int, reason: str, rival: str
) -> Criterion:
    words = {
        "one-short": "bends at all extrema but one, 2^k - 2 units",
        "random": "bends anywhere, 2^k - 2 units",
        "enough": "bends at all extrema, 2^k units",
    }
    unit = {
        "shortfall": "how far the largest error at the extrema is below 1/2",
        "error": "largest error at the extrema",
    }
    return Criterion(
        f"{name}-{folds}",
        STUDY.name,
        Deviation(Value(column), {"folds": folds, "knots": knots}),
        Region.below(1e-6),
        unit[column],
        f"{folds} folds, one hidden layer, {words[knots]}, the best read-out",
        reason,
        rival,
    )


SOLVER = "the linear program is solved to about 1e-7"


def too_few(knots: str, folds: int) -> Criterion:
    return fitted(
        f"bound-{knots}",
        knots,
        "shortfall",
        folds,
        SOLVER,
        "units that make up by their read-out for what they lack in number",
    )


def enough(folds: int) -> Criterion:
    """The control: with as many units as bends the same fit finds the tent."""
    return replace(
        fitted(
            "enough",
            "enough",
            "error",
            folds,
            SOLVER,
            "a fit that finds nothing, whatever the number of units",
        ),
        mechanism="one hidden layer with units enough",
    )
