"""How the recurrent networks of this page are trained, on fresh sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

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
#: Training ends where this is reached on validation data; looked at every so often.
GOAL, LOOK = 0.99, 64
SOLVED_ADDING = sequences.ADDING_LOSS / 10
GOAL_ADDING = SOLVED_ADDING / 2

TUNING = Tuning(
    rates=(0.001, 0.004, 0.016, 0.064, 0.256),
    choose="score",
    trains_above=-0.95 * sequences.RECALL_LOSS,
)


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
    goal = ("validation_loss", GOAL_ADDING)
    if loss is cross_entropy:
        goal = ("validation_accuracy", GOAL)
    return engine.train(
        lambda: cells.build(cell, units, features, outputs, lag),
        engine.Stream(draw, VALIDATION, TESTS),
        engine.Recipe(
            loss,
            adam,
            steps,
            BATCH,
            metrics=("accuracy",) if loss is cross_entropy else (),
            record_every=LOOK,
            until=(goal,),
            stop=True,
        ),
        seeds=seeds,
        learning_rates=variant.learning_rates,
    )


def scored(runs: engine.Runs) -> pd.DataFrame:
    """Return one row a replica: the test's outcome, the score of tuning, and costs.

    The score is the mean over training of the validation loss, negative: what is learnt
    sooner scores higher. ``steps`` are those that could be taken, ``steps_taken`` those
    after which the goal was reached.
    """
    assert runs.recipe is not None
    every = runs.table()
    replica = ["seed", "learning_rate"]
    mean = every.groupby(replica, sort=False)["validation_loss"].mean()
    rows = every[every["step"] == runs.recipe.steps].reset_index(drop=True)
    taken = rows[next(name for name in rows if name.startswith("steps_to_"))]
    table = rows[[*replica, "status", "test_loss"]].assign(
        score=-mean.to_numpy(),
        parameters=runs.parameters,
        steps=runs.recipe.steps,
        steps_taken=taken,
    )
    if "test_accuracy" not in rows:
        solved = rows["test_loss"] <= SOLVED_ADDING
        return table.assign(solved=solved.astype(float))
    accuracy = rows["test_accuracy"]
    return table.assign(accuracy=accuracy, solved=(accuracy >= SOLVED).astype(float))


#: Scores of a replica that diverged: it guesses.
DIVERGED = {
    "accuracy": sequences.RECALL_CHANCE,
    "solved": 0.0,
    "score": -sequences.RECALL_LOSS,
    "test_loss": sequences.RECALL_LOSS,
}
