"""How the recurrent networks of this page are trained, on fresh sequences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import engine
from dlclaims.data import sequences
from dlclaims.pages import Tuning, Variant

from . import cells

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from dlclaims.seeds import Seeds

BATCH = 32
VALIDATION, TESTS = 200, 500
SOLVED = 0.9  # accuracy
SOLVED_ADDING = sequences.ADDING_LOSS / 10

TUNING = Tuning(
    rates=(0.001, 0.004, 0.016, 0.064, 0.256),
    choose="score",
    trains_above=-0.95 * sequences.RECALL_LOSS,
)
SLOW = replace(TUNING, rates=(0.00025, 0.001, 0.004, 0.016))  # for longer training


def adam() -> keras.optimizers.Optimizer:
    import keras

    return keras.optimizers.Adam(clipnorm=1.0)


def cross_entropy(y: Any, logits: Any) -> Any:
    import keras

    return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)


def squared_error(y: Any, prediction: Any) -> Any:
    from keras import ops

    return ops.square(prediction[:, 0] - y[:, 0])


def recall(variant: Variant, seeds: Seeds, steps: int) -> engine.Runs:
    """Train a cell on a design of recall."""
    design, lag = variant["design"], variant["lag"]
    return train(
        variant["cell"],
        lag,
        sequences.recall_features(design),
        sequences.SYMBOLS,
        sequences.recall(design, lag),
        cross_entropy,
        variant,
        seeds,
        steps,
    )


def adding(variant: Variant, seeds: Seeds, steps: int) -> engine.Runs:
    """Train a cell on the adding problem."""
    length = variant["length"]
    draw = sequences.adding(length)
    return train(
        variant["cell"], length - 1, 2, 1, draw, squared_error, variant, seeds, steps
    )


def train(
    cell: str,
    lag: int,
    features: int,
    outputs: int,
    draw: sequences.Draw,
    loss: Callable[..., Any],
    variant: Variant,
    seeds: Seeds,
    steps: int,
) -> engine.Runs:
    units = cells.units_of(cell, features, outputs)
    return engine.train(
        lambda: cells.build(cell, units, features, outputs, lag),
        engine.Stream(draw, VALIDATION, TESTS),
        engine.Recipe(
            loss,
            adam,
            steps,
            BATCH,
            metrics=("accuracy",) if loss is cross_entropy else (),
        ),
        seeds=seeds,
        learning_rates=variant.learning_rates,
    )


def scored(runs: engine.Runs) -> pd.DataFrame:
    """Return one row a replica: the test's outcome, the score of tuning, and costs."""
    assert runs.recipe is not None
    rows = runs.table()
    table = rows[["seed", "learning_rate", "status", "test_loss"]].assign(
        score=-rows["validation_loss"],
        parameters=runs.parameters,
        steps=runs.recipe.steps,
        examples_seen=runs.recipe.steps * BATCH,
    )
    if "test_accuracy" not in rows:
        solved = rows["test_loss"] <= SOLVED_ADDING
        return table.assign(solved=solved.astype(float))
    accuracy = rows["test_accuracy"]
    return table.assign(accuracy=accuracy, solved=(accuracy >= SOLVED).astype(float))


def reach(runs: engine.Runs, x: np.ndarray, lag: int) -> list[float]:
    """Return how far gradients reach back: decades between lag 1 and `lag`.

    Of the gradient at an LSTM's cell state, one number a replica.

    Parameters
    ----------
    x : np.ndarray
        Shape (seeds, examples, steps, features).
    """
    table = engine.state_gradients(runs, x, "memory")
    cell = table[table["state"] == 2]
    near, far = (cell[cell["lag"] == at]["log_gradient"].to_numpy() for at in (1, lag))
    return list((far - near) / math.log(10))


#: Scores of a replica that diverged: it guesses.
DIVERGED = {
    "accuracy": sequences.RECALL_CHANCE,
    "solved": 0.0,
    "score": -sequences.RECALL_LOSS,
    "test_loss": sequences.RECALL_LOSS,
}
