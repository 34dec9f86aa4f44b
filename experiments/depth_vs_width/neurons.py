"""How many neurons a product of n inputs takes, in one layer and in log2 n layers.

Reported, not claimed: what theory counts are neurons of smooth activation for a product
as exact as one likes; here ReLU networks are trained to explain 99 % of the variance.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dlclaims import engine, figures
from dlclaims.pages import Figure, Study, Variant, grid

from . import depths, nets, targets

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

INPUTS = (2, 3, 4, 6, 8)
NEURONS = (4, 8, 16, 32, 64, 128, 256)  # of all hidden layers together
STEPS, BATCH = 6000, 64  # four times the steps at one size: neurons are to be the limit
MISSING = 0.01  # of the variance, where a network is said to have learnt
REACHED = math.log10(MISSING)
EXPLAINED = f"{100 * (1 - MISSING):g} % of the variance"


def layers(inputs: int) -> int:
    """Return the depth of a tree that multiplies two numbers in every node."""
    return math.ceil(math.log2(inputs))


def stream(inputs: int) -> engine.Stream:
    """Return fresh examples of a product, whose mean is 0 and variance 1 exactly."""

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        x = targets.cube(rng, n, inputs)
        return x, targets.product(x)

    # Products have heavy tails: their error is a mean over many examples.
    return engine.Stream(draw, validation=4000, test=10_000)


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Test error, as a fraction of the variance, and its log."""
    inputs = variant["inputs"]
    widths = depths.shape(variant["neurons"], variant["depth"])
    recipe = engine.Recipe(
        loss=depths.squared,
        optimizer=depths.adam,
        schedule=depths.cosine(STEPS),
        steps=STEPS,
        batch=BATCH,
        metrics=(),
    )
    runs = engine.train(
        lambda: nets.relu(inputs, widths),
        stream(inputs),
        recipe,
        seeds=seeds,
        learning_rates=variant.learning_rates,
    )
    rows = runs.table()
    return rows[["seed", "learning_rate", "status"]].assign(
        error=rows["test_loss"],
        log_error=np.log10(rows["test_loss"]),
        validation_score=-np.log10(rows["validation_loss"]),
        parameters=runs.parameters,
        multiply_accumulates=runs.multiply_accumulates,
        steps=STEPS,
        examples_seen=STEPS * BATCH,
    )


def by_arm(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of both arms; of two inputs, the tree is one layer as well."""
    import pandas as pd

    arms = {
        "one hidden layer": table["depth"] == 1,
        "log2 n hidden layers": table["depth"] == table["inputs"].map(layers),
    }
    return pd.concat(
        table[own].assign(network=name, variant=name) for name, own in arms.items()
    )


def needed(table: pd.DataFrame) -> pd.DataFrame:
    """Return each seed's fewest neurons that suffice; twice the most where none do.

    Returns
    -------
    DataFrame
        A row for each arm, `inputs` and `seed`, with the column `log2_neurons`.
    """
    enough = table["neurons"].where(table["log_error"] <= REACHED, 2 * NEURONS[-1])
    rows = table.assign(log2_neurons=np.log2(enough))
    keys = ["network", "variant", "source", "inputs", "seed"]
    return rows.groupby(keys, as_index=False, sort=False)["log2_neurons"].min()


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Error of every seed by neurons, a panel for each number of inputs."""
    rows = by_arm(table)
    counted = sorted(rows["inputs"].unique())
    names = [f"product of {inputs}" for inputs in counted]
    panels = figures.panels(ax, names, columns=len(names)).values()
    for inputs, panel in zip(counted, panels, strict=True):
        own = rows[rows["inputs"] == inputs]
        figures.profile(own, panel, x="neurons", y="log_error", hue="network")
        panel.axhline(REACHED, color="0.5", linewidth=0.8)
        panel.set_xscale("log", base=2)
        panel.set_xticks(NEURONS[::2], [str(neurons) for neurons in NEURONS[::2]])
        panel.set_xlabel("hidden neurons in all layers together")
        panel.set_ylabel("log10 error, fraction of variance")


def draw_needed(table: pd.DataFrame, ax: Axes) -> None:
    """Neurons that suffice by inputs, beside 2^n and 4n."""
    rows = needed(by_arm(table))
    figures.profile(rows, ax, x="inputs", y="log2_neurons", hue="network")
    inputs = np.array(sorted(rows["inputs"].unique()))
    for words, neurons in (("2^n", 2.0**inputs), ("4n", 4.0 * inputs)):
        heights = np.log2(neurons)
        ax.plot(inputs, heights, color="0.5", linestyle="--", linewidth=1)
        place = (inputs[-1], heights[-1])
        ax.annotate(words, place, (6, -3), textcoords="offset points")
    heights = np.log2([*NEURONS, 2 * NEURONS[-1]])
    ax.set_yticks(heights, [*map(str, NEURONS), f"more than {NEURONS[-1]}"])
    ax.set_xticks(inputs)
    ax.set_xlabel("n, inputs that are multiplied")
    ax.set_ylabel(f"hidden neurons that explain {EXPLAINED}")


STUDY = Study(
    name="neurons",
    title="Products by the number of neurons",
    measure=measure,
    standard=(),
    smoke=grid(inputs=(2,), depth=(1,), neurons=(8,)),
    full=tuple(
        variant
        for inputs in INPUTS
        for variant in grid(
            inputs=(inputs,),
            depth=tuple(dict.fromkeys((1, layers(inputs)))),
            neurons=NEURONS,
        )
    ),
    tuning=depths.STUDY.tuning,
    diverged=depths.STUDY.diverged,
    equal=("steps", "examples_seen"),
)

ERRORS = Figure(
    name="products-by-neurons",
    study=STUDY.name,
    title="Products of more and more inputs by the number of neurons",
    draw=draw,
    reading=(
        f"Below the grey line a network explains {EXPLAINED}. Did depth save"
        " neurons, log2 n layers (rounded up) would cross it farther to the left, and"
        " the more so the more inputs there are."
    ),
)

NEEDED = Figure(
    name="neurons-by-inputs",
    study=STUDY.name,
    title="Neurons that products of n inputs take after training",
    draw=draw_needed,
    reading=(
        f"A thin line is the fewest neurons with which a seed explains {EXPLAINED};"
        " where no number did, twice the most counts. The dashed lines are"
        " theory's counts of smooth neurons for a product as exact as one likes, 2^n in"
        " one layer, 4n in log2 n layers: slopes to compare with, not bounds, as"
        f" {100 * MISSING:g} % may be missing here."
    ),
)
