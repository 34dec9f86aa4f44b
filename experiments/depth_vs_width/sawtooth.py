"""The folded tent: a function for which depth saves exponentially many weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlclaims import engine, figures
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Deviation,
    Published,
    Region,
    Value,
)
from dlclaims.pages import Figure, Study, Variant, grid, tidy
from dlclaims.theory import piecewise

from . import nets, one_layer

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

FOLDS = tuple(range(1, 9))
FINEST = 12  # the grid holds all multiples of 2^-12, and so every bend


def measure_construction(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """The constructed network in Keras: its distance from the tent, pieces, weights."""
    folds = variant["folds"]
    weights = piecewise.tent_weights(folds)
    runs = engine.initialize(
        lambda: nets.relu(1, (2,) * folds, near=weights), seeds, dtype="float64"
    )
    x = np.arange(2**FINEST + 1) / 2**FINEST
    found, pieces = [], []
    for row, seed in enumerate(seeds):
        outputs = np.asarray(runs.replica(seed)(x[:, None]))[:, 0]
        found.append(np.abs(outputs - piecewise.tent(x, folds)).max())
        own = [weight[row] for weight in runs.weights]
        pieces.append(piecewise.pieces(own, np.zeros(1), np.ones(1)))
    shallow = engine.cost(nets.relu(1, (piecewise.exact_units(folds),)))
    beating = piecewise.shallow_parameters(piecewise.fewest_units(folds))
    return tidy(
        {"seed": seeds},
        deviation=found,
        pieces=pieces,
        pieces_off=np.abs(np.array(pieces) - 2**folds),
        parameters=runs.parameters,
        parameters_off=abs(runs.parameters - piecewise.deep_parameters(folds)),
        shallow_parameters=shallow,
        share=runs.parameters / beating,
        difference=runs.parameters - shallow,
        elements=len(x),
    )


def predict_construction(variant: Variant) -> pd.DataFrame:
    """Pieces and weights in closed form; of one hidden layer, the lower bound."""
    folds = variant["folds"]
    return tidy(
        {"pieces": [2**folds]},
        parameters=piecewise.deep_parameters(folds),
        shallow_parameters=piecewise.shallow_parameters(piecewise.fewest_units(folds)),
    )


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Weights that were counted against folds; one layer's bound is shaded."""
    import pandas as pd

    networks = {
        "k layers of two units": "parameters",
        "one hidden layer": "shallow_parameters",
    }
    long = pd.concat(
        table.assign(network=name, variant=name, weights=table[column])
        for name, column in networks.items()
    )
    figures.profile(long, ax, x="folds", y="weights", hue="network")
    ax.set_yscale("log")
    bound = table[table["source"] == "theory"].sort_values("folds")
    floor = ax.get_ylim()[0]
    ax.fill_between(
        bound["folds"], floor, bound["shallow_parameters"], color="0.5", alpha=0.2, lw=0
    )
    ax.set_ylim(bottom=floor)
    words = "here one hidden layer misses the tent by 1/2 or more"
    ax.text(bound["folds"].max() - 0.1, 2 * floor, words, ha="right")
    ax.set_xlabel("folds k: the tent has 2^k pieces")
    ax.set_ylabel("weights, kernels and biases")


CONSTRUCTION = Study(
    name="construction",
    title="The folded tent as a deep network of two units a layer",
    measure=measure_construction,
    predict=predict_construction,
    standard=grid(folds=FOLDS),
    smoke=grid(folds=(1, 2, 4)),
    sampling="exact",
)

WEIGHTS = Figure(
    name="weights-by-folds",
    study=CONSTRUCTION.name,
    title="Weights that a folded tent needs, deep and shallow",
    draw=draw,
    reading=(
        "Solid lines are networks that are the tent exactly, counted in Keras. From"
        " three folds on the deep one lies in the shaded part, where it is proven that"
        " no single hidden layer comes nearer than 1/2. The axis of weights is"
        " logarithmic; dashed lines are theory."
    ),
)


def built(
    name: str,
    column: str,
    folds: int,
    region: Region,
    unit: str,
    reason: str,
    rival: str,
) -> Criterion:
    return Criterion(
        f"{name}-{folds}",
        CONSTRUCTION.name,
        Deviation(Value(column), {"folds": folds}),
        region,
        unit,
        f"{folds} fold{'s' if folds > 1 else ''}",
        reason,
        rival,
    )


def is_tent(folds: int) -> Criterion:
    return built(
        "is-tent",
        "deviation",
        folds,
        Region.below(1e-10),
        "largest distance from the tent on [0, 1]",
        "all weights are powers of 2, so float64 rounds next to nothing; the grid holds"
        " every bend of both, between which both are linear",
        "a network that is only near the tent, or a grid that misses its bends",
    )


def has_pieces(folds: int) -> Criterion:
    return built(
        "pieces",
        "pieces_off",
        folds,
        Region.below(0.0),
        "linear pieces more or fewer than 2^k",
        "a count is exact",
        "fewer pieces, of which a coarse grid sees as many",
    )


def has_weights(folds: int) -> Criterion:
    return built(
        "weights",
        "parameters_off",
        folds,
        Region.below(0.0),
        "weights more or fewer than 6k + 1",
        "a count is exact",
        "weights that grow as fast as the pieces",
    )


def is_smaller(folds: int) -> Criterion:
    return built(
        "share",
        "share",
        folds,
        Region.below(0.9),
        "weights as a fraction of the fewest with which one layer beats 1/2",
        "a tenth fewer weights are the least that one would call more efficient",
        "a deep network that needs as many weights",
    )


def no_saving(folds: int) -> Criterion:
    return built(
        "no-saving",
        "difference",
        folds,
        Region.below(0.0),
        "weights more or fewer than one hidden layer that is the tent",
        "a count is exact",
        "savings from the first fold on",
    )


SAWTOOTH_EXACT = Claim(
    "dvw-sawtooth-exact",
    kinds=("exact", "bound"),
    document=Assertion(
        "For the same functions, deeper networks are the more efficient approximators:"
        " there are functions for which they need far fewer weights.",
        tuple(made(folds) for folds in (4, 6, 8) for made in (is_tent, is_smaller)),
        expected="supported",
    ),
    corrected=Assertion(
        "A tent of k folds and 2^k pieces is exactly k layers of two ReLU units with"
        " 6k + 1 weights; one hidden layer of fewer than 2^k - 1 units misses it by 1/2"
        " or more. For one and two folds depth saves nothing.",
        (
            *(made(8) for made in (is_tent, has_pieces, has_weights)),
            *(
                one_layer.too_few(knots, folds)
                for folds in (4, 6)
                for knots in one_layer.KNOTS[:2]
            ),
            *(one_layer.enough(folds) for folds in (4, 6)),
            *(no_saving(folds) for folds in (1, 2)),
        ),
        expected="supported",
    ),
    theory=(
        r"T^{\circ k}:\ 6k+1 \text{ weights deep};\qquad"
        r"\sup_{[0,1]}|f - T^{\circ k}| \ge \tfrac12"
        r"\text{ for one layer of } m < 2^k-1 \text{ units}"
    ),
    references=("telgarsky2015", "telgarsky2016", "montufar2014"),
    published=(
        Published(
            "1/6 of the examples wrong or more",
            "shallow networks of fewer than exponentially many units in k, on tasks on"
            " which 2k layers of two units make no error",
            "telgarsky2015",
            "abstract",
        ),
    ),
)
