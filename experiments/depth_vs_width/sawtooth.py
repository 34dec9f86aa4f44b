"""A function that depth represents with exponentially fewer weights: the folded tent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlclaims import engine, figures
from dlclaims.claims import Assertion, Claim, Criterion, Deviation, Region, Value
from dlclaims.pages import Figure, Study, Variant, grid, tidy
from dlclaims.theory import piecewise

from . import nets

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

FOLDS = tuple(range(1, 9))
FINEST = 12  # the grid holds all multiples of 2^-12, and so every bend

#: Bends of a single hidden layer with too few units, by name: all extrema but one, and
#: as many that are drawn at random; then as many as the tent has, and one from 0 on.
KNOTS = ("one-short", "random", "enough")


def measure_construction(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """The constructed network in Keras: its distance from the tent, pieces, weights."""
    folds = variant["folds"]
    weights = piecewise.tent_weights(folds)
    runs = engine.initialize(
        lambda: nets.relu(1, (2,) * folds, 1, near=weights), seeds, dtype="float64"
    )
    x = np.arange(2**FINEST + 1) / 2**FINEST
    found, pieces = [], []
    for row, seed in enumerate(seeds):
        outputs = np.asarray(runs.replica(seed)(x[:, None]))[:, 0]
        found.append(np.abs(outputs - piecewise.tent(x, folds)).max())
        own = [weight[row] for weight in runs.weights]
        pieces.append(piecewise.pieces(own, np.zeros(1), np.ones(1)))
    beating = piecewise.shallow_parameters(piecewise.fewest_units(folds))
    exact = piecewise.shallow_parameters(piecewise.exact_units(folds))
    return tidy(
        {"seed": seeds},
        deviation=found,
        pieces=pieces,
        pieces_off=np.abs(np.array(pieces) - 2**folds),
        parameters=runs.parameters,
        parameters_off=abs(runs.parameters - piecewise.deep_parameters(folds)),
        # Of the fewest weights with which one layer could be nearer than 1/2.
        share=runs.parameters / beating,
        difference=runs.parameters - exact,
        elements=len(x),
    )


def predict_construction(variant: Variant) -> pd.DataFrame:
    """The same numbers in closed form."""
    folds = variant["folds"]
    return tidy(
        {"folds": [folds]},
        pieces=2**folds,
        parameters=piecewise.deep_parameters(folds),
    ).drop(columns="folds")


def measure_one_layer(variant: Variant, seeds: Seeds) -> pd.DataFrame:
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


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Weights needed against folds, by depth."""
    rows = table[table["source"] == "measured"].drop_duplicates("folds")
    folds = rows.sort_values("folds")["folds"].to_numpy()
    deep = rows.sort_values("folds")["parameters"].to_numpy()
    shallow = [
        piecewise.shallow_parameters(piecewise.fewest_units(k)) for k in folds
    ]
    exact = [piecewise.shallow_parameters(piecewise.exact_units(k)) for k in folds]
    look = figures.look(ax, "deep")
    ax.plot(folds, deep, color=look.color, marker=look.marker, label="deep, built")
    look = figures.look(ax, "one hidden layer")
    ax.plot(
        folds, exact, color=look.color, marker=look.marker, label="one layer, built"
    )
    ax.plot(folds, shallow, color=look.color, linestyle="--", label="one layer, bound")
    ax.set_yscale("log")
    ax.set_xlabel("folds k: the tent has 2^k pieces")
    ax.set_ylabel("weights of the network")
