"""The networks of this page, and how they are trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import data, engine, networks
from dlclaims.data import Classification
from dlclaims.engine import numerics
from dlclaims.pages import Tuning, Variant
from dlclaims.theory.mean_field import Initialization

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from dlclaims.seeds import Seeds

WIDTH = 128
STEPS, IMAGE_STEPS = 800, 4000
BATCH = 32
VALIDATION = 400
DATA = ("digits", "mnist1d")
TITLES = {
    "digits": "digits",
    "mnist1d": "MNIST-1D",
    "fashion-mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
}
CHANCE = 0.1  # all data sets have ten classes
GUESSING = math.log(10)  # nats: the loss of ten equal probabilities

#: Adam's rates, one grid for all networks. A network's rate is the best on validation
#: data by the measure that it is judged by: one that is chosen by its loss would lose
#: on accuracy, one that is chosen by its accuracy on the loss.
TUNING = Tuning(
    rates=(0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03),
    choose="validation_score",
    trains_above=-0.95 * GUESSING,
)


@dataclass(frozen=True)
class Net:
    """Two hidden ReLU layers, dropout after each.

    Parameters
    ----------
    inputs, outputs : int
    rate : float
        Of dropping; 0 leaves the layers out.
    width : int
    form : str
        ``keras``: kept units are scaled up in training; ``paper``: all units are scaled
        down at evaluation (Srivastava et al. 2014). Both start as the same function.
    mask : str
        ``unit``: every unit is dropped by itself; ``layer``: all units of a layer
        together, with the same variance for each.
    penalty : float
        What a unit of all kernels' summed squares adds to the training loss (L2).
    limit : float
        Largest norm of a hidden unit's incoming weights (max-norm); after a step,
        longer ones are scaled down to it.
    """

    inputs: int
    outputs: int
    rate: float
    width: int = WIDTH
    form: str = "keras"
    mask: str = "unit"
    penalty: float = 0.0
    limit: float = math.inf


def build(net: Net) -> keras.Model:
    """Build a network.

    The paper's form needs no layer of its own: what Keras' Dropout scales up in
    training, and leaves alone at evaluation, is scaled down by 1 - rate in both.
    """
    import keras

    keep = 1 - net.rate
    shape = (None, 1) if net.mask == "layer" else None
    scale = 2 / keep**2 if net.form == "paper" else 2.0

    def dense(units: int, number: int, activation: str | None) -> keras.layers.Layer:
        law = Initialization("he", scale=scale if number > 1 else 2.0)
        is_limited = activation is not None and net.limit < math.inf
        return keras.layers.Dense(
            units,
            activation,
            kernel_initializer=networks.initializer(law, number),
            kernel_regularizer=keras.regularizers.L2(net.penalty)
            if net.penalty
            else None,
            kernel_constraint=keras.constraints.MaxNorm(net.limit, axis=0)
            if is_limited
            else None,
        )

    x = inputs = keras.Input((net.inputs,))
    for number in (1, 2):
        x = dense(net.width, number, "relu")(x)
        if net.rate:
            x = keras.layers.Dropout(net.rate, noise_shape=shape)(x)
        if net.form == "paper":
            x = keras.layers.Rescaling(keep)(x)
    return keras.Model(inputs, dense(net.outputs, 3, None)(x))


def adam() -> keras.optimizers.Optimizer:
    import keras

    return keras.optimizers.Adam()


def loss(y: Any, logits: Any) -> Any:
    import keras

    return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)


def train(
    net: Net,
    examples: engine.Examples,
    seeds: Seeds,
    variant: Variant,
    steps: int,
    record_every: int = 0,
) -> engine.Runs:
    """Train a network; the test split is evaluated wherever something is recorded.

    Without XLA, which takes ten times as long to draw masks on a CPU, and draws others:
    all arms get their numerics from here.
    """
    recipe = engine.Recipe(
        loss=loss,
        optimizer=adam,
        steps=steps,
        batch=BATCH,
        record_every=record_every,
        test="recorded" if record_every else "last",
    )
    return engine.train(
        lambda: build(net),
        examples,
        recipe,
        seeds=seeds,
        learning_rates=variant.learning_rates,
        settings=numerics.current(),
    )


def examples(dataset: Classification, seeds: Seeds, number: int) -> engine.Examples:
    """Return `number` training examples for each seed, validation and test."""
    split = data.split(dataset, seeds, number, VALIDATION)
    return engine.Examples(dataset.x, dataset.y, *split)


def mislabelled(
    examples: engine.Examples, part: float, classes: int, seeds: Seeds
) -> engine.Examples:
    """Return examples with wrong labels on a part of each seed's training examples.

    Which ones, and which of the other classes, comes from a seed's stream
    ``data/labels``. A label is shared by all seeds and splits, so each seed trains on
    copies of its examples: validation and test labels stay true.
    """
    x, y = examples.x[examples.train], examples.y[examples.train]  # (seeds, m, ...)
    for row, seed in enumerate(seeds):
        rng = seeds.generator(seed, "data/labels")
        wrong = rng.permutation(y.shape[1])[: round(part * y.shape[1])]
        y[row, wrong] += rng.integers(1, classes, len(wrong), dtype=y.dtype)
    y %= classes
    return replace(
        examples,
        x=np.concatenate([examples.x, x.reshape(-1, *x.shape[2:])]),
        y=np.concatenate([examples.y, y.ravel()]),
        train=len(examples.x) + np.arange(y.size).reshape(y.shape),
    )


def scored(
    rows: pd.DataFrame, runs: engine.Runs, tests: int, judged: str
) -> pd.DataFrame:
    """Return losses and errors, all in evaluation mode, and what they cost.

    Those of training are by the labels that were trained on, right or wrong.

    Parameters
    ----------
    rows : DataFrame
        Of ``runs.table()``, one for each replica.
    runs : Runs
    tests : int
        Test examples. ``test_error`` counts half an error more in one example more, so
        that its logarithm exists.
    judged : str
        ``loss`` or ``error``, as in `score`.
    """
    assert runs.recipe is not None
    wrong = (1 - rows["test_accuracy"]) * tests
    return rows[
        ["seed", "learning_rate", "status", "test_loss", "test_accuracy"]
    ].assign(
        training_loss=rows["loss"],
        training_accuracy=rows["train_accuracy"],
        accuracy_gap=rows["train_accuracy"] - rows["test_accuracy"],
        test_error=(wrong + 0.5) / (tests + 1),
        validation_score=score(rows, judged),
        **costs(runs),
    )


def score(rows: pd.DataFrame, judged: str) -> pd.Series:
    """Return what is largest at the best rate, by validation data.

    Minus the loss, or the log of the accuracy, as networks are judged by ``loss`` or by
    ``error``: both are -log 10 for a network that guesses.
    """
    if judged == "loss":
        return -rows["validation_loss"]
    accuracy = np.maximum(rows["validation_accuracy"], 1 / (2 * VALIDATION))
    return np.log(accuracy)


def costs(runs: engine.Runs, networks: int = 1) -> dict[str, int]:
    """Return what training cost: size and work of one network, and steps of all."""
    assert runs.recipe is not None
    steps = networks * runs.recipe.steps
    return {
        "parameters": runs.parameters,
        "multiply_accumulates": runs.multiply_accumulates,
        "steps": steps,
        "examples_seen": steps * BATCH,
    }


#: Scores of a replica that diverged: it guesses.
DIVERGED = {
    "test_accuracy": CHANCE,
    "test_error": 1 - CHANCE,
    "test_loss": GUESSING,
    "training_loss": GUESSING,
    "accuracy_gap": 1 - CHANCE,
    "validation_score": -GUESSING,
}
