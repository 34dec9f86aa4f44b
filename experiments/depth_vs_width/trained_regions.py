"""Linear regions of networks before and after training: reported, not claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlclaims import data, engine, figures
from dlclaims.pages import Figure, Study, Tuning, Variant

from . import nets, regions
from .regions import BIAS, LINES

if TYPE_CHECKING:
    import keras
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

NEURONS = 64
STEPS, BATCH = 400, 32


def adam() -> keras.optimizers.Optimizer:
    import keras

    return keras.optimizers.Adam()


def loss(y: Any, logits: Any) -> Any:
    import keras

    return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Regions between two test examples of digits, before training and after it."""
    digits, widths = data.load("digits"), regions.shape(variant)

    def build() -> keras.Model:
        return nets.relu(digits.features, widths, digits.classes, bias=BIAS)

    split = data.split(digits, seeds, 1000, 300)
    examples = engine.Examples(digits.x, digits.y, *split)
    recipe = engine.Recipe(loss, adam, variant.steps(STEPS), BATCH)
    runs = engine.train(build, examples, recipe, seeds, variant.learning_rates)
    before = engine.initialize(build, seeds=seeds)
    chosen = {
        seed: digits.x[rows[: 2 * LINES]].reshape(2, LINES, -1)
        for seed, rows in zip(seeds, examples.test, strict=True)
    }
    untrained = {
        seed: regions.counts(before, row, chosen[seed])
        for row, seed in enumerate(seeds)
    }
    rows = runs.table()
    columns = ["seed", "learning_rate", "status", "test_accuracy"]
    trained = [
        regions.counts(runs, i, chosen[s]) for i, (s, _) in enumerate(runs.replicas)
    ]
    return rows[columns].assign(
        validation_score=rows["validation_accuracy"],
        regions_before=rows["seed"].map(untrained),
        regions_after=trained,
        parameters=runs.parameters,
        multiply_accumulates=runs.multiply_accumulates,
        steps=recipe.steps,
        examples_seen=recipe.steps * BATCH,
    )


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Regions of every seed before and after training, by depth."""
    import pandas as pd

    long = pd.concat(
        table.assign(regions=table[f"regions_{when}"], when=f"{when} training")
        for when in ("before", "after")
    )
    figures.dots(long, ax, x="depth", y="regions", hue="when")
    ax.set_ylim(bottom=0)
    ax.set_xlabel("hidden layers, of 64 neurons in all")
    ax.set_ylabel("linear regions between two images")


STUDY = Study(
    name="trained-regions",
    title="Linear regions before and after training on digits",
    measure=measure,
    standard=regions.nets_of((NEURONS,)),
    quick=regions.nets_of((NEURONS,))[::2],
    smoke=regions.nets_of((NEURONS,))[:1],
    tuning=Tuning(
        rates=(0.001, 0.003, 0.01, 0.03),
        choose="validation_score",
        trains_above=0.15,  # half as much again as guessing one of ten classes
    ),
    diverged={
        "test_accuracy": 0.1,
        "validation_score": 0.1,
        "regions_before": 1.0,
        "regions_after": 1.0,
    },
    data=("digits",),
    equal=("steps", "examples_seen"),
    sensitivity=("longer",),
)

AFTER_TRAINING = Figure(
    name="regions-after-training",
    study=STUDY.name,
    title="Linear regions between two images before and after training",
    draw=draw,
    reading=(
        "Each dot is one seed's mean number of regions between two test images of"
        " digits. Could training make use of what depth allows, the second colour would"
        " rise steeply from left to right."
    ),
)
