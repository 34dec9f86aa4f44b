"""What depth does to training and test error, with and without skips.

All errors are those of evaluation mode: normalisation uses its moving averages.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import data, engine, figures
from dlclaims.pages import Figure, Study, Tuning, Variant, tidy
from dlclaims.theory import residual

from . import nets
from .nets import Net

if TYPE_CHECKING:
    import keras
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.data import Classification
    from dlclaims.seeds import Seeds

STEPS = 1000
TIMES = 3  # as many steps, where a deep network might only need more of them
EARLY = 100  # steps after which gradients are looked at again
BATCH = 64
TRAIN, VALIDATION = 3000, 500
SEEN = 1000  # training examples on which the training error is measured
TESTS = 1000  # test examples on which lesions are judged, from all over the split
GUESSING = math.log(10)
CHANCE = 0.1
DEPTHS = (4, 10, 20, 40)
DATA = "mnist1d"

TUNING = Tuning(
    rates=(0.001, 0.003, 0.01, 0.03, 0.1),
    choose="score",
    trains_above=-0.95 * GUESSING,
)


def adam() -> keras.optimizers.Optimizer:
    import keras

    return keras.optimizers.Adam()


def loss(y: Any, logits: Any) -> Any:
    import keras

    return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)


def dataset_of(variant: Variant) -> Classification:
    return data.load(dict(variant.factors).get("data", DATA))


def network(variant: Variant) -> Net:
    dataset = dataset_of(variant)
    return Net(
        dataset.features,
        dataset.classes,
        variant["depth"],
        variant["arm"],
        variant["normalization"],
    )


def train(
    build: Callable[[], keras.Model],
    variant: Variant,
    seeds: Seeds,
    steps: int,
    settings: engine.Numerics | None = None,
) -> engine.Runs:
    dataset = dataset_of(variant)
    examples = engine.Examples(
        dataset.x, dataset.y, *data.split(dataset, seeds, TRAIN, VALIDATION)
    )
    recipe = engine.Recipe(loss, adam, steps, BATCH, train_examples=SEEN)
    return engine.train(
        build, examples, recipe, seeds, variant.learning_rates, settings
    )


def final(runs: engine.Runs) -> pd.DataFrame:
    """Return what every replica has learnt, a row each, and what it cost."""
    last = runs.table().groupby(["seed", "learning_rate"], sort=False).tail(1)
    rows = last.reset_index(drop=True)
    assert runs.recipe is not None
    return rows[["seed", "learning_rate", "status", "test_accuracy"]].assign(
        training_accuracy=rows["train_accuracy"],
        training_loss=rows["loss"],
        score=-rows["loss"],
        parameters=runs.parameters,
        multiply_accumulates=runs.multiply_accumulates,
        steps=runs.recipe.steps,
        examples_seen=runs.recipe.steps * BATCH,
    )


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Accuracies in evaluation mode; gradients at the start and early; lesions.

    ``longer_accuracy`` is the training accuracy after `TIMES` as many steps at the same
    rate, of the networks in `LONGER`. ``gradient_start`` and ``gradient_early`` are
    log10 ratios of the rms gradient of the first block's first kernel to that of the
    last block's last, in training mode on one batch; ``early`` is after `EARLY` steps.
    ``lesion`` is the accuracy that is lost on average without one block,
    ``lesion_recomputed`` the same with statistics of normalisation computed anew on the
    examples that are judged. Tuning asks for none of them.
    """
    net = network(variant)
    runs = train(lambda: nets.build(net), variant, seeds, variant.steps(STEPS))
    table = final(runs)
    if len(variant.learning_rates) > 1:
        return table
    if dict(variant.factors) in LONGER and not variant.arm:
        longer = final(train(lambda: nets.build(net), variant, seeds, TIMES * STEPS))
        learnt = longer["training_accuracy"].fillna(CHANCE)  # diverged by then
        table = table.assign(longer_accuracy=learnt)
    if variant["normalization"] != "batch":
        return table
    return table.assign(
        **gradients(net, runs, variant, seeds), **lesions(net, runs, variant, seeds)
    )


def predict(variant: Variant) -> pd.DataFrame:
    """``gradient_start`` for infinite width; the rest has no theory here."""
    net = network(variant)
    has_theory = net.normalization == "batch"
    log = residual.normalized_gradient(net.blocks, net.arm == "residual")
    decades = log / math.log(10) if has_theory else math.nan
    return tidy({"gradient": ["start"]}, gradient_start=decades)[["gradient_start"]]


def gradients(
    net: Net, trained: engine.Runs, variant: Variant, seeds: Seeds
) -> dict[str, list[float]]:
    """Return the columns on gradients, a number for each replica.

    The first steps are those of the program that made `trained`.
    """
    dataset = dataset_of(variant)
    split = data.split(dataset, seeds, TRAIN, VALIDATION)
    batches = dict(zip(seeds, split.train[:, :BATCH], strict=True))
    early = train(lambda: nets.build(net), variant, seeds, EARLY, trained.numerics)
    fresh = engine.initialize(lambda: nets.build(net), seeds=seeds)

    def ratio(runs: engine.Runs, row: int, seed: int) -> float:
        found = nets.weight_gradients(
            net,
            nets.unpack(net, replica(runs, row)),
            dataset.x[batches[seed]].astype(float),
            dataset.y[batches[seed]],
        )
        return float(np.log10(found[1] / found[-2]))

    rows = {seed: row for row, seed in enumerate(seeds)}
    return {
        "gradient_start": [ratio(fresh, rows[s], s) for s, _ in early.replicas],
        "gradient_early": [
            ratio(early, row, s) for row, (s, _) in enumerate(early.replicas)
        ],
    }


def lesions(
    net: Net, runs: engine.Runs, variant: Variant, seeds: Seeds
) -> dict[str, list[float]]:
    """Return the columns on removed blocks, a number for each replica."""
    dataset = dataset_of(variant)
    tests = data.split(dataset, seeds, TRAIN, VALIDATION).test
    tests = tests[:, :: math.ceil(tests.shape[1] / TESTS)]
    own = dict(zip(seeds, tests, strict=True))

    def lost(row: int, seed: int, is_recomputed: bool) -> float:
        layers = nets.unpack(net, [weight[row] for weight in runs.weights])
        x, y = dataset.x[own[seed]].astype("float32"), dataset.y[own[seed]]

        def accuracy(training: bool, without: int | None) -> float:
            logits, _ = nets.forward(net, layers, x, training, without)
            return float(np.mean(logits.argmax(axis=1) == y))

        without = [accuracy(is_recomputed, block) for block in range(net.blocks)]
        return accuracy(False, None) - float(np.mean(without))

    return {
        name: [lost(row, seed, is_new) for row, (seed, _) in enumerate(runs.replicas)]
        for name, is_new in (("lesion", False), ("lesion_recomputed", True))
    }


def replica(runs: engine.Runs, row: int) -> list[np.ndarray]:
    return [weight[row].astype(float) for weight in runs.weights]


def variant(arm: str, depth: int, normalization: str = "batch") -> dict[str, Any]:
    return {"arm": arm, "depth": depth, "normalization": normalization}


def variants(*nets: dict[str, Any]) -> tuple[Variant, ...]:
    return tuple(Variant(tuple(levels.items())) for levels in nets)


def by_depth(*depths: int) -> tuple[dict[str, Any], ...]:
    return tuple(variant(arm, d) for d in depths for arm in ("plain", "residual"))


#: Plain networks that are trained for `TIMES` as many steps, too.
LONGER = (variant("plain", 10), variant("plain", 40))
#: Without batch normalisation: plain, none at all, SkipInit, the document's block.
BARE = (variant("plain", 10, "none"), variant("plain", 40, "none"))
WITHOUT = (
    *BARE,
    variant("residual", 40, "none"),
    variant("residual", 40, "skip-init"),
    variant("document", 40, "none"),
)

STUDY = Study(
    name="depth",
    title="Plain and residual networks of 4 to 40 layers",
    measure=measure,
    predict=predict,
    standard=variants(*by_depth(*DEPTHS), *WITHOUT),
    quick=variants(*by_depth(4, 20)),
    smoke=variants(*by_depth(4)),
    full=variants(*by_depth(*DEPTHS, 80), *WITHOUT),
    tuning=TUNING,
    diverged={
        "training_accuracy": CHANCE,
        "longer_accuracy": CHANCE,
        "test_accuracy": CHANCE,
        "training_loss": GUESSING,
        "score": -GUESSING,
        "lesion": 0.0,
        "lesion_recomputed": 0.0,
    },
    data=(DATA,),
    equal=("steps", "examples_seen"),
    sensitivity=("longer",),
    insensitive=("gradient_start", "gradient_early"),
)


def on_images(dataset: str, title: str) -> Study:
    """The networks of all depths on images, under `full` where a machine has them."""
    return replace(
        STUDY,
        name=dataset,
        title=f"Plain and residual networks of 4 to 80 layers on {title}",
        predict=None,
        standard=(),
        quick=(),
        smoke=(),
        full=variants(*({"data": dataset, **v} for v in by_depth(*DEPTHS, 80))),
        data=(dataset,),
        sensitivity=(),
    )


IMAGES = {
    "fashion-mnist": on_images("fashion-mnist", "Fashion-MNIST"),
    "cifar10": on_images("cifar10", "CIFAR-10"),
}

WORDS = {"plain": "plain", "residual": "with skips"}


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of networks with batch normalisation, and their words."""
    chosen = table[table["normalization"] == "batch"]
    return chosen.assign(network=chosen["arm"].map(WORDS))


def draw_error(table: pd.DataFrame, ax: Axes) -> None:
    """Training error of every seed by depth."""
    rows = named(table[table["source"] == "measured"])
    errors = rows.assign(error=1 - rows["training_accuracy"])
    figures.dots(errors, ax, x="depth", y="error", hue="network")
    ax.set_xlabel("layers")
    ax.set_ylabel("training error, fraction of examples")


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Training error of every seed by depth, and under it gradients at the start."""
    import pandas as pd

    measured = table[table["source"] == "measured"]
    bare = measured[
        (measured["arm"] == "plain") & (measured["normalization"] == "none")
    ]
    parts = [
        named(measured),
        bare.assign(network="plain, no normalisation"),
    ]
    if "longer_accuracy" in measured:
        longer = named(measured.dropna(subset="longer_accuracy"))
        parts.append(
            longer.assign(
                training_accuracy=longer["longer_accuracy"],
                network=f"plain, {TIMES * STEPS:,} steps",
            )
        )
    rows = pd.concat(parts)
    errors = rows.assign(error=1 - rows["training_accuracy"])
    titles = ("training error", "gradient before training")
    above, below = figures.panels(ax, titles, columns=1, same="x").values()
    figures.dots(errors, above, x="depth", y="error", hue="network")
    above.set_ylabel("fraction of training examples")
    figures.dots(named(table), below, x="depth", y="gradient_start", hue="network")
    below.axhline(0, color="0.5", linewidth=1)
    below.set_ylabel("log10 of the gradient, first block over last")
    for panel in (above, below):
        panel.set_xlabel("dense layers")


ERROR = Figure(
    name="error-by-depth",
    study=STUDY.name,
    title="Training error and gradients by depth, with and without skips",
    draw=draw,
    reading=(
        "Each dot is one seed, trained at the rate that is best for its network; dashed"
        " is theory for wide layers. Above: with depth plain networks learn their own"
        " training examples worse and worse, with three times the steps and without"
        " normalisation as well; the same layers with skips do not. Below: 0 means that"
        " the first block's gradient is as large as the last one's, and a vanishing"
        " gradient would lie far under it. Plain networks that fail lie far above."
    ),
)


def error_on(study: str, of: str) -> Figure:
    return Figure(
        name=f"error-{study}",
        study=study,
        title=f"Training error by depth: {of}",
        draw=draw_error,
        reading=(
            "Each dot is one seed, trained at the rate that is best for its network:"
            " what networks of more and more layers get wrong on their own training"
            " examples."
        ),
    )


ERRORS_ON_IMAGES = tuple(error_on(name, name) for name in IMAGES)


def draw_lesions(table: pd.DataFrame, ax: Axes) -> None:
    """Accuracy that is lost without one block, by depth."""
    deep = named(table[(table["depth"] > 4) & (table["source"] == "measured")])
    figures.dots(deep, ax, x="depth", y="lesion", hue="network")
    ax.set_xlabel("dense layers")
    ax.set_ylabel("test accuracy lost without a block, mean over blocks")


LESION = Figure(
    name="lesion",
    study=STUDY.name,
    title="What a network loses without one of its blocks",
    draw=draw_lesions,
    reading=(
        "Each dot is one seed: the mean, over all blocks, of the test accuracy that is"
        " lost when a block of two layers is left out after training. What a plain"
        " network lost already by its depth, no lesion can take again."
    ),
)
