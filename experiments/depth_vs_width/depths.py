"""Networks of one number of parameters in one to eight layers, target by target."""

from __future__ import annotations

from dataclasses import replace
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
DEEP = 8  # layers, under `full`
STEPS = 1500
FRESH, BATCH = 64, 32  # examples a step, of functions and of data sets
#: Training examples of the data sets.
DATA = {"digits": 1000, "mnist1d": 3000, "fashion-mnist": 10_000}
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
    "fashion-mnist": "Fashion-MNIST",
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
def neurons_for(target: str, depth: int, cost: str, budget: int = BUDGET) -> int:
    """Return how many neurons cost as much as one hidden layer of the budget."""

    def of(depth: int, budget: int, cost: str) -> int:
        # Fewer neurons than layers would leave a layer empty.
        more = engine.width_for(
            lambda more: build(target, depth, more + depth - 1), budget, cost=cost
        )
        return more + depth - 1

    shallow = of(1, budget, "parameters")
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


def budget_of(variant: Variant) -> int:
    return dict(variant.factors).get("budget", BUDGET)


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Test error and its log; of data sets the fraction of examples that are wrong."""
    target, depth = variant["target"], variant["depth"]
    neurons = neurons_for(target, depth, variant.cost, budget_of(variant))
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
    """Error against depth, relative to one hidden layer of the same size and seed."""
    keys = ["target", "seed"]
    first = table[table["depth"] == 1].set_index(keys)["log_error"].rename("first")
    rows = table.join(first, on=keys)
    size = "networks of one size"
    rows = rows.assign(
        change=rows["log_error"] - rows["first"], variant=rows["target"], network=size
    )
    known = rows.groupby("target")["depth"].nunique()
    curves = known.index[known >= min(3, known.max())]  # controls have two depths
    shown = [target for target in TITLES if target in curves]
    names = [TITLES[target] for target in shown]
    panels = figures.panels(ax, names, columns=len(names)).values()
    for target, panel in zip(shown, panels, strict=True):
        own = rows[rows["target"] == target]
        figures.profile(own, panel, x="depth", y="change", hue="network")
        means = own.groupby("depth")["change"].mean()
        color = figures.look(panel, size).color
        panel.plot(means.idxmin(), means.min(), "*", c=color, markersize=15, zorder=4)
        panel.axhline(0, color="0.5", linewidth=0.8)
        panel.set_xticks(sorted(means.index))
        panel.set_xlabel("hidden layers")
        panel.set_ylabel("log10 test error against one layer")


def draw_products(table: pd.DataFrame, ax: Axes) -> None:
    """Errors of products by their number of inputs, one layer beside three."""
    rows = table[
        table["target"].str.startswith("product") & table["depth"].isin((1, 3))
    ]
    rows = rows.assign(
        inputs=rows["target"].str.removeprefix("product-").astype(int),
        network=rows["depth"].map({1: "one hidden layer", 3: "three hidden layers"}),
    )
    figures.dots(
        rows.sort_values(["inputs", "depth"]),
        ax,
        x="inputs",
        y="log_error",
        hue="network",
    )
    ax.axhline(-2, color="0.5", linewidth=0.8)
    ax.annotate(
        "below: 99 % of the variance explained",
        (1, -2),
        (-4, -14),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
    )
    ax.set_xlabel("inputs that are multiplied")
    ax.set_ylabel("log10 error, fraction of variance")


#: Targets with all depths; the others are controls.
CURVES = ("radial", "product-6", "smooth", "mnist1d", "digits")
IMAGES = "fashion-mnist"

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
    quick=(
        *grid(target=("radial", "smooth"), depth=(1, 2)),
        *grid(target=("product-4",), depth=(1, 3)),
    ),
    smoke=grid(target=("product-2",), depth=(1, 3)),
    full=(
        *STANDARD,
        *grid(target=CURVES, depth=(DEEP,)),
        *grid(target=("radial-16",), depth=(1, 2)),
    ),
    tuning=Tuning(
        rates=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
        choose="validation_score",
        trains_above=0.05,  # a constant and a guess are below
    ),
    diverged={"error": 1.0, "log_error": 0.0, "validation_score": 0.0},
    data=("digits", "mnist1d"),
    equal=("parameters", "steps", "examples_seen"),
    sensitivity=("longer", "equal-work"),
)


def resized(name: str, title: str, full: tuple[Variant, ...], *datasets: str) -> Study:
    """Networks of another size, under `full`; no claim is about them."""
    return replace(
        STUDY,
        name=name,
        title=title,
        standard=(),
        quick=(),
        smoke=(),
        full=full,
        data=datasets,
        sensitivity=(),
    )


#: A neuron is so much of 400 parameters that not every depth has a width within 2 % of
#: one layer's size: those without are left out, and so are the data sets, whose one
#: layer itself misses 400.
SMALLER = resized(
    "smaller",
    "Depth at 400 parameters",
    (
        *grid(target=("radial",), depth=(1, 2, 6, DEEP), budget=(400,)),
        *grid(target=("product-6",), depth=(*DEPTHS, DEEP), budget=(400,)),
        *grid(target=("smooth",), depth=(1, 4, 6, DEEP), budget=(400,)),
        *grid(target=("product-2", "product-4"), depth=(1, 3), budget=(400,)),
    ),
)
LARGER = resized(
    "larger",
    "Depth at 8,000 parameters",
    (
        *grid(target=CURVES, depth=(*DEPTHS, DEEP), budget=(8000,)),
        *grid(target=("product-2", "product-4"), depth=(1, 3), budget=(8000,)),
    ),
    *STUDY.data,
)
ON_IMAGES = resized(
    IMAGES,
    "Depth at 50,000 parameters on Fashion-MNIST",
    grid(target=(IMAGES,), depth=(*DEPTHS, DEEP), budget=(50_000,)),
    IMAGES,
)

CURVE = Figure(
    name="error-by-depth",
    study=STUDY.name,
    title="Test error by depth at 2,000 parameters, the best depth marked",
    draw=draw,
    reading=(
        "Below 0 a network does better than one hidden layer of as many parameters,"
        " above 0 worse; -0.3 is half the error. The star is the best depth: were depth"
        " good or bad in itself, all stars would stand at one end."
    ),
)

PRODUCTS = Figure(
    name="products-by-inputs",
    study=STUDY.name,
    title="Products of more and more inputs at 2,000 parameters",
    draw=draw_products,
    reading=(
        "Were three layers the better ones, their dots would lie below those of one."
        " One hidden layer has several times the 2^n units with which products of n"
        " inputs can be as exact as one likes, so that depth need not help here."
    ),
)

OF_SMALLER, OF_LARGER, OF_IMAGES = (
    replace(
        CURVE,
        name=f"error-by-depth-{study.name}",
        study=study.name,
        title=f"Test error: {study.title[0].lower()}{study.title[1:]}",
    )
    for study in (SMALLER, LARGER, ON_IMAGES)
)
