"""Whether training finds the folded tent, which deep networks can represent."""

from __future__ import annotations

import math
from dataclasses import replace
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
VARIANCE = 1 / 12  # of every folded tent under uniform inputs
SOLVED = 0.1  # of the variance

#: How far each weight is from the constructed one, as a fraction of it, by start.
NOISE = {"constructed-10": 0.1, "constructed-1": 0.01}
WORDS = {
    "deep": f"{DEPTH} layers of {WIDTH}, random start",
    "shallow": "one hidden layer of as many weights, random start",
    "constructed-10": f"{DEPTH} layers of {WIDTH}, constructed weights with 10 % noise",
    "constructed-1": f"{DEPTH} layers of {WIDTH}, constructed weights with 1 % noise",
}
SPREAD = math.sqrt(12)  # inputs have variance 1: u = SPREAD * (x - 1/2)


def build(start: str, folds: int, width: int) -> keras.Model:
    """Build a network of inputs u in [-sqrt 3, sqrt 3], for x in [0, 1]."""
    if start == "shallow":
        return nets.relu(1, (width,))
    shape = (width,) * DEPTH
    if start == "deep":
        return nets.relu(1, shape)
    kernel, bias, *later = piecewise.tent_weights(DEPTH, folds)
    near = [kernel / SPREAD, bias + kernel[0] / 2, *later]
    return nets.relu(1, shape, near=near, noise=NOISE[start])


@cache
def width_of(start: str, cost: str) -> int:
    """Return the width at which a network costs as much as the deep ones."""
    if start != "shallow":
        return WIDTH
    budget = engine.cost(build("deep", 1, WIDTH), cost)
    return engine.width_for(lambda width: build(start, 1, width), budget, cost=cost)


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


def net(start: str, folds: int) -> dict[str, Any]:
    return {"start": start, "folds": folds}


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Test error of every seed by folds, as a fraction of the variance."""
    names = {
        "deep": "deep, random start",
        "shallow": "one hidden layer",
        "constructed-10": "deep, built, 10 % noise",
        "constructed-1": "deep, built, 1 % noise",
    }
    rows = table.assign(network=table["start"].map(names))
    figures.dots(rows, ax, x="folds", y="log_error", hue="network")
    for error, words in ((1.0, "no better than a constant"), (SOLVED, "learned below")):
        height = math.log10(error)
        ax.axhline(height, color="0.5", linewidth=0.8)
        ax.annotate(
            words,
            (0, height),
            (4, 3),
            textcoords="offset points",
            xycoords=("axes fraction", "data"),
        )
    ax.set_xlabel("folds k: the tent has 2^k pieces")
    ax.set_ylabel("log10 error, fraction of variance")


STUDY = Study(
    name="learned",
    title="The folded tent learned by gradient descent",
    measure=measure,
    standard=(
        *grid(start=("deep",), folds=FOLDS),
        *grid(start=("shallow",), folds=(1, 4, 6)),
        *grid(start=tuple(NOISE), folds=(4, 6)),
    ),
    quick=grid(start=("deep",), folds=(1, 6)),
    smoke=grid(start=("deep", "constructed-10"), folds=(4,)),
    tuning=Tuning(
        rates=(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03),
        choose="validation_score",
        trains_above=0.0,  # better than the mean of the target
    ),
    sampling="rate",
    diverged={"error": 1.0, "log_error": 0.0, "solved": 0.0, "validation_score": 0.0},
    equal=("parameters", "steps", "examples_seen"),
    sensitivity=("longer",),
)

ERRORS = Figure(
    name="tent-errors",
    study=STUDY.name,
    title="Test error on folded tents after training",
    draw=draw,
    reading=(
        "Each dot is one seed's test error. Every network is large enough to be the"
        " tent exactly; whose dot lies on the upper line has learned nothing of it."
    ),
)


def learns(start: str, folds: int) -> Criterion:
    return Criterion(
        f"learned-{start}-{folds}",
        STUDY.name,
        Rate(Value("solved"), net(start, folds)),
        Region.above(0.8),
        "fraction of seeds with a test error below a tenth of the variance",
        f"{folds} fold{'s' if folds > 1 else ''}, {WORDS[start]}",
        "four of five is what one would call reliable",
        "a network that succeeds now and then",
    )


def fails(start: str, folds: int) -> Criterion:
    return replace(
        learns(start, folds),
        name=f"fails-{start}-{folds}",
        region=Region.below(0.2),
        reason="one of five is luck, not a method",
        rival="a rate or a start with which training does work",
    )


def from_solution(start: str) -> Criterion:
    """The control: training from near the solution, in the same network."""
    own = fails("deep", 6).without(
        {"start": start},
        f"{WORDS[start]} instead",
        Region.above(0.8),
        "as reliable as what counts as learned",
    )
    return replace(own, name=f"from-{start}-6", scope=f"6 folds, {WORDS[start]}")


SAWTOOTH_LEARNED = Claim(
    "dvw-sawtooth-learned",
    kinds=("success", "trend"),
    document=Assertion(
        "Depth brings advantages of its own in learning: what deep networks approximate"
        " with few weights they also learn.",
        tuple(learns("deep", folds) for folds in FOLDS),
        expected="conditional",
    ),
    corrected=Assertion(
        "From random weights, gradient descent finds a tent of six folds neither in a"
        " deep nor in a shallow network, but it does from near the constructed weights;"
        " the more folds, the larger the error.",
        (
            fails("deep", 6),
            fails("shallow", 6),
            *(from_solution(start) for start in NOISE),
            Criterion(
                "error-by-folds",
                STUDY.name,
                Trend(Value("log_error"), "folds", {"start": "deep"}),
                Region.above(0.5),
                "rank correlation of the test error with the number of folds",
                f"1, 2, 4 and 6 folds, {WORDS['deep']}",
                "below a half single steps could go either way",
                "errors that have nothing to do with how fine the target is",
            ),
        ),
        expected="supported",
    ),
    references=("malach2019", "rahaman2019"),
)
