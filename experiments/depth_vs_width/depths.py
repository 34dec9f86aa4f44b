"""Networks of one number of parameters in one to eight layers, on seven targets."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import data, engine, figures
from dlclaims.claims import Criterion, Difference, Region, Value
from dlclaims.pages import Figure, Study, Tuning, Variant, grid

from . import nets, targets

if TYPE_CHECKING:
    import keras
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

BUDGET = 2000  # parameters
DEPTHS = (1, 2, 3, 4, 6)
STEPS = 1500
FRESH, BATCH = 64, 32  # examples a step, of functions and of data sets
DATA = {"digits": 1000, "mnist1d": 3000}  # training examples of the data sets
VALIDATION = 300

#: Targets in words, as scopes and legends call them.
TITLES = {
    "radial": "radial, 8 inputs",
    "radial-16": "radial, 16 inputs",
    "ridge": "one direction, 8 inputs",
    "product-2": "product of 2",
    "product-4": "product of 4",
    "product-6": "product of 6",
    "smooth": "smooth, 3 inputs",
    "mnist1d": "MNIST-1D",
    "digits": "digits",
}


def shape(neurons: int, depth: int) -> tuple[int, ...]:
    """Return widths of hidden layers that differ by one unit at most.

    Layers of exactly one width would miss a budget by far more than 2 %.
    """
    base, more = divmod(neurons, depth)
    return (base,) * (depth - more) + (base + 1,) * more


def ends(target: str) -> tuple[int, int]:
    """Return a target's numbers of inputs and outputs."""
    if target in DATA:
        dataset = data.load(target)
        return dataset.features, dataset.classes
    return targets.TARGETS[target].inputs, 1


def build(target: str, depth: int, neurons: int) -> keras.Model:
    inputs, outputs = ends(target)
    return nets.relu(inputs, shape(neurons, depth), outputs)


@cache
def neurons_for(target: str, depth: int, cost: str) -> int:
    """Return how many neurons cost as much as one hidden layer of the budget."""

    def of(depth: int, budget: int, cost: str) -> int:
        # Fewer neurons than layers would leave a layer empty.
        more = engine.width_for(
            lambda more: build(target, depth, more + depth - 1), budget, cost=cost
        )
        return more + depth - 1

    shallow = of(1, BUDGET, "parameters")
    return of(depth, engine.cost(build(target, 1, shallow), cost), cost)


def adam() -> keras.optimizers.Optimizer:
    import keras

    return keras.optimizers.Adam()


@cache
def cosine(steps: int) -> Any:
    """Return the factor of a rate that falls to 0 along half a cosine."""
    import keras

    return keras.optimizers.schedules.CosineDecay(1.0, steps)


def squared(y: Any, prediction: Any) -> Any:
    import keras

    return keras.ops.square(prediction[:, 0] - y)


def entropy(y: Any, logits: Any) -> Any:
    import keras

    return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Test error and its log; of data sets the fraction of examples that are wrong."""
    target, depth = variant["target"], variant["depth"]
    neurons = neurons_for(target, depth, variant.cost)
    is_data = target in DATA
    batch = BATCH if is_data else FRESH
    recipe = engine.Recipe(
        loss=entropy if is_data else squared,
        optimizer=adam,
        schedule=cosine(variant.steps(STEPS)),
        steps=variant.steps(STEPS),
        batch=batch,
        metrics=("accuracy",) if is_data else (),
    )
    runs = engine.train(
        lambda: build(target, depth, neurons),
        labelled(target, seeds) if is_data else targets.stream(target),
        recipe,
        seeds=seeds,
        learning_rates=variant.learning_rates,
    )
    rows = runs.table()
    if is_data:
        error = wrong(rows["test_accuracy"], data.load(target).test)
        validation = wrong(rows["validation_accuracy"], VALIDATION)
    else:
        error, validation = rows["test_loss"], rows["validation_loss"]
    return rows[["seed", "learning_rate", "status"]].assign(
        error=error,
        log_error=np.log10(error),
        validation_score=-np.log10(validation),
        neurons=neurons,
        parameters=runs.parameters,
        multiply_accumulates=runs.multiply_accumulates,
        steps=recipe.steps,
        examples_seen=recipe.steps * batch,
    )


def labelled(name: str, seeds: Seeds) -> engine.Examples:
    dataset = data.load(name)
    split = data.split(dataset, seeds, DATA[name], VALIDATION)
    return engine.Examples(dataset.x, dataset.y, *split)


def wrong(accuracy: pd.Series, examples: int) -> pd.Series:
    """Return the fraction wrong, with half an error more so that its log exists."""
    return ((1 - accuracy) * examples + 0.5) / (examples + 1)


def net(target: str, depth: int) -> dict[str, Any]:
    return {"target": target, "depth": depth}


def against_one(
    target: str, depth: int, region: Region, reason: str, rival: str
) -> Criterion:
    """The log error of a network of `depth` layers minus that of one layer."""
    return Criterion(
        f"{target}-{depth}-against-1",
        STUDY.name,
        Difference(Value("log_error"), net(target, depth), minus=net(target, 1)),
        region,
        "decades of the test error",
        f"{depth} hidden layers against one, {TITLES[target]}, equal parameters",
        reason,
        rival,
    )


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Error against depth, relative to one hidden layer of the same seed."""
    shown = table[table["target"].isin(CURVES)]
    keys = ["target", "seed"]
    first = shown[shown["depth"] == 1].set_index(keys)["log_error"].rename("first")
    rows = shown.join(first, on=keys)
    rows = rows.assign(
        change=rows["log_error"] - rows["first"],
        target=rows["target"].map(TITLES),
        variant=rows["target"],
    )
    figures.profile(rows, ax, x="depth", y="change", hue="target")
    ax.axhline(0, color="0.5", linewidth=0.8)
    ax.set_xlabel("hidden layers, of one number of parameters in all")
    ax.set_ylabel("log10 test error relative to one layer")


#: Targets with all depths; the others are controls.
CURVES = ("radial", "product-6", "smooth", "mnist1d", "digits")

STANDARD = (
    *grid(target=CURVES, depth=DEPTHS),
    *grid(target=("ridge",), depth=(1, 2)),
    *grid(target=("product-2", "product-4"), depth=(1, 3)),
)

STUDY = Study(
    name="depths",
    title="Depth at one number of parameters",
    measure=measure,
    standard=STANDARD,
    quick=grid(target=("radial", "smooth"), depth=(1, 2)),
    smoke=grid(target=("product-2",), depth=(1, 3)),
    full=(
        *STANDARD,
        *grid(target=CURVES, depth=(8,)),
        *grid(target=("radial-16",), depth=(1, 2)),
    ),
    tuning=Tuning(
        rates=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
        choose="validation_score",
        trains_above=0.05,  # a constant and a guess are below
    ),
    diverged={"error": 1.0, "log_error": 0.0, "validation_score": 0.0},
    data=tuple(DATA),
    equal=("parameters", "steps", "examples_seen"),
    sensitivity=("longer", "equal-work"),
)

CURVE = Figure(
    name="error-by-depth",
    study=STUDY.name,
    title="Test error by depth at 2,000 parameters",
    draw=draw,
    reading=(
        "Below 0 a network does better than one hidden layer of as many parameters,"
        " above 0 worse; -0.3 is half the error. A line that turns has its best depth"
        " at the turn."
    ),
)
