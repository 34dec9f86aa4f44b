"""Memory without gates: recurrent networks that start as the identity."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dlclaims import figures
from dlclaims.claims import Assertion, Claim, Criterion, Rate, Value
from dlclaims.data import sequences
from dlclaims.pages import Figure, Study, Variant, grid, tidy

from . import cells, training
from .recall import MOSTLY, SEVEN

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

STEPS = 1500
LENGTH = 50
LSTM, IDENTITY = "lstm-1", "irnn"


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Squared error of the sum of two marked numbers."""
    runs = training.adding(variant, seeds, variant.steps(STEPS))
    return training.scored(runs, sequences.ADDING_LOSS)


def predict(variant: Variant) -> pd.DataFrame:
    """The error of the best constant, which needs no memory."""
    return tidy({"test_loss": [sequences.ADDING_LOSS]})


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Squared error of every seed by cell, and that of the best constant."""
    table = table[table["length"] == table["length"].min()]
    named = table.assign(network=table["cell"].map(cells.CELLS))
    figures.dots(named, ax, x="network", y="test_loss", hue="network")
    ax.set_yscale("log")
    ax.set_xlabel("")
    ax.set_ylabel("mean squared error of the sum")


STUDY = Study(
    name="adding",
    title="Adding two marked numbers of a sequence",
    measure=measure,
    predict=predict,
    standard=grid(cell=(IDENTITY, LSTM), length=(LENGTH,)),
    quick=grid(cell=(IDENTITY,), length=(20,)),
    smoke=grid(cell=(IDENTITY,), length=(6,)),
    full=grid(cell=(IDENTITY, LSTM), length=(LENGTH, 100, 200)),
    tuning=replace(
        training.TUNING,
        rates=(0.0003, 0.001, 0.003, 0.01, 0.03, 0.1),
        trains_above=-0.95,
    ),
    diverged=training.DIVERGED_SHARE | {"test_loss": sequences.ADDING_LOSS},
    equal=("parameters", "steps"),
    sensitivity=("longer",),
)


FIGURE = Figure(
    name="adding",
    study=STUDY.name,
    title="Adding two marked numbers of a sequence",
    draw=draw,
    reading=(
        "Each dot is one seed. The dashed line is the best constant, 1/6: a network on"
        " it remembers nothing. Solved is a tenth of that."
    ),
)


def solves(cell: str) -> Criterion:
    return Criterion(
        f"solves-{cell}",
        STUDY.name,
        Rate(Value("solved"), {"cell": cell, "length": LENGTH}),
        MOSTLY,
        "fraction of seeds with a tenth of the best constant's squared error, or less",
        f"{cells.CELLS[cell]}, {LENGTH} numbers, {STEPS:,} steps, equal weights",
        SEVEN,
        "a few lucky seeds",
    )


IRNN_ALTERNATIVE = Claim(
    "lm-irnn-alternative",
    kinds=("difference",),
    document=None,
    corrected=Assertion(
        "Gates are not the only cure: a recurrent network of ReLUs that starts as the"
        " identity learns to add as an LSTM does.",
        (solves(IDENTITY), solves(LSTM)),
        expected="conditional",
    ),
    references=("le2015",),
)
