"""Whether training finds the folded tent, which deep networks can represent."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import engine, figures
from dlclaims.claims import Assertion, Claim, Criterion, Rate, Region, Trend, Value
from dlclaims.pages import Figure, Study, Tuning, Variant, grid
from dlclaims.theory import piecewise

from . import nets

if TYPE_CHECKING:
    import keras
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

FOLDS = (1, 2, 4, 6)
DEPTH, WIDTH = 6, 16  # layers enough for all folds, eight times as wide as needed
STEPS, BATCH = 2000, 64
NOISE = 0.1  # of each constructed weight
VARIANCE = 1 / 12  # of every folded tent under uniform inputs
SOLVED = 0.1  # of the variance

#: Where training starts: deep and shallow at random, deep near the constructed weights.
STARTS = ("deep", "shallow", "constructed")
WORDS = {
    "deep": f"{DEPTH} hidden layers, random start",
    "shallow": "one hidden layer of as many weights, random start",
    "constructed": f"{DEPTH} hidden layers, start near the constructed weights",
}
SPREAD = math.sqrt(12)  # inputs have variance 1: u = SPREAD * (x - 1/2)


def build(
    start: str, folds: int = 1, width: int = WIDTH, noise: float = NOISE
) -> keras.Model:
    """Build a network of inputs u in [-sqrt 3, sqrt 3], for x in [0, 1]."""
    if start == "shallow":
        return nets.relu(1, (width,))
    shape = (width,) * DEPTH
    if start == "deep":
        return nets.relu(1, shape)
    kernel, bias, *later = piecewise.tent_weights(DEPTH, folds)
    first = [kernel / SPREAD, bias + kernel[0] / 2]
    return nets.relu(1, shape, near=[*first, *later], noise=noise)


@cache
def width_of(start: str, cost: str) -> int:
    """Return the width at which a network costs as much as the deep ones."""
    if start != "shallow":
        return WIDTH
    budget = engine.cost(build("deep"), cost)
    return engine.width_for(lambda width: build("shallow", width=width), budget, cost=cost)


def adam() -> keras.optimizers.Optimizer:
    import keras

    return keras.optimizers.Adam()


def loss(y: Any, prediction: Any) -> Any:
    import keras

    return keras.ops.square(prediction[:, 0] - y)


def stream(folds: int) -> engine.Stream:
    """Fresh uniform inputs at every step."""

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        x = rng.random(n)
        return (SPREAD * (x - 0.5))[:, None], piecewise.tent(x, folds)

    return engine.Stream(draw, validation=500, test=1000)


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Test errors as fractions of the variance, and whether they are below a tenth."""
    start, folds = variant["start"], variant["folds"]
    width = width_of(start, variant.cost)
    recipe = engine.Recipe(
        loss=loss,
        optimizer=adam,
        steps=variant.steps(STEPS),
        batch=BATCH,
        metrics=(),
    )
    runs = engine.train(
        lambda: build(start, folds, width),
        stream(folds),
        recipe,
        seeds=seeds,
        learning_rates=variant.learning_rates,
    )
    rows = runs.table()
    relative = rows["test_loss"] / VARIANCE
    return rows[["seed", "learning_rate", "status"]].assign(
        error=relative,
        log_error=np.log10(relative),
        solved=(relative < SOLVED).astype(float),
        validation_score=-np.log10(rows["validation_loss"] / VARIANCE),
        parameters=runs.parameters,
        multiply_accumulates=runs.multiply_accumulates,
        steps=recipe.steps,
        examples_seen=recipe.steps * BATCH,
    )
