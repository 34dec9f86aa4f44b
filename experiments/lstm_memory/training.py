"""How the recurrent networks of this page are trained, on fresh sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dlclaims import engine
from dlclaims.data import sequences
from dlclaims.pages import Tuning, Variant, tidy

from . import cells

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from dlclaims.seeds import Seeds

BATCH = 32
VALIDATION, TESTS = 200, 500
#: Accuracy; and loss, in parts of that of a network without memory.
SOLVED, SOLVED_LOSS = 0.9, 0.1
#: Training ends where this is reached on validation data; looked at every so often.
GOAL, GOAL_LOSS, LOOK = 0.99, 0.05, 64

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


def is_tuning(variant: Variant) -> bool:
    return len(variant.learning_rates) > 1


def recall(variant: Variant, seeds: Seeds, steps: int) -> engine.Runs:
    """Train a cell on a design of recall."""
    design, lag = variant["design"], variant["lag"]
    shape = sequences.recall_features(design), sequences.SYMBOLS, lag
    draw, goal = sequences.recall(design, lag), ("validation_accuracy", GOAL)
    return train(shape, draw, cross_entropy, goal, variant, seeds, steps)


def adding(variant: Variant, seeds: Seeds, steps: int) -> engine.Runs:
    """Train a cell on the adding problem."""
    length = variant["length"]
    draw = sequences.adding(length)
    goal = ("validation_loss", GOAL_LOSS * sequences.ADDING_LOSS)
    return train((2, 1, length - 1), draw, squared_error, goal, variant, seeds, steps)


def copying(variant: Variant, seeds: Seeds, steps: int) -> engine.Runs:
    """Train a cell on the copy problem, where each symbol is asked for a lag later."""
    lag = variant["lag"]
    entries = sequences.SYMBOLS + 2
    shape = entries, entries - 1, sequences.COPIED + lag, sequences.COPIED * 2 + lag
    goal = ("validation_loss", GOAL_LOSS * sequences.copying_loss(lag))
    draw = sequences.copying(lag)
    return train(shape, draw, cross_entropy, goal, variant, seeds, steps)


def train(
    shape: tuple[int, ...],
    draw: sequences.Draw,
    loss: Callable[..., Any],
    goal: tuple[str, float],
    variant: Variant,
    seeds: Seeds,
    steps: int,
) -> engine.Runs:
    """Train a variant's cell until its goal, or for so many steps.

    Learning rates are compared over half of the steps: their score counts what is
    learnt soon.

    Parameters
    ----------
    shape : tuple of int
        Features, outputs and lag, and the steps where each is answered, as
        `cells.build` takes them.
    """
    cell, (features, outputs, *_) = variant["cell"], shape
    units = cells.units_of(cell, features, outputs)
    return engine.train(
        lambda: cells.build(cell, units, *shape),
        engine.Stream(draw, VALIDATION, TESTS),
        engine.Recipe(
            loss,
            adam,
            steps // 2 if is_tuning(variant) else steps,
            BATCH,
            metrics=("accuracy",) if goal[0].endswith("accuracy") else (),
            record_every=LOOK,
            until=(goal,),
            stop=True,
        ),
        seeds=seeds,
        learning_rates=variant.learning_rates,
    )


def scored(runs: engine.Runs, guessing: float | None = None) -> pd.DataFrame:
    """Return one row a replica: the test's outcome, the score of tuning, and costs.

    The score is the mean over training of the validation loss, negative: what is learnt
    sooner scores higher. ``steps`` are those that could be taken, ``steps_taken`` those
    after which the goal was reached.

    Parameters
    ----------
    guessing : float, optional
        The loss of a network without memory. ``share`` is then the test's loss in parts
        of it, by which ``solved`` is told, and not by accuracy; the score is in parts
        of it too.
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
    if guessing:
        share = rows["test_loss"] / guessing
        solved = (share <= SOLVED_LOSS).astype(float)
        return table.assign(score=table["score"] / guessing, share=share, solved=solved)
    accuracy = rows["test_accuracy"]
    return table.assign(accuracy=accuracy, solved=(accuracy >= SOLVED).astype(float))


def chance(variant: Variant) -> pd.DataFrame:
    """How often recall guesses right."""
    return tidy({"accuracy": [sequences.RECALL_CHANCE]})


#: Scores of a replica that diverged: it guesses.
DIVERGED = {
    "accuracy": sequences.RECALL_CHANCE,
    "solved": 0.0,
    "score": -sequences.RECALL_LOSS,
    "test_loss": sequences.RECALL_LOSS,
}
#: The same of a replica that is scored by its share of the loss of guessing.
DIVERGED_SHARE = {"share": 1.0, "solved": 0.0, "score": -1.0}
