"""Memory without gates: recurrent networks that start as the identity."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dlclaims.claims import Assertion, Claim, Criterion, Rate, Value
from dlclaims.data import sequences
from dlclaims.pages import Study, Variant, grid

from . import cells, training
from .recall import MOSTLY, SEVEN

if TYPE_CHECKING:
    import pandas as pd

    from dlclaims.seeds import Seeds

STEPS = 1000
LENGTH = 20
LSTM, IDENTITY = "lstm-1", "irnn"


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Squared error of the sum of two marked numbers."""
    return training.scored(training.adding(variant, seeds, variant.steps(STEPS)))


STUDY = Study(
    name="adding",
    title="Adding two marked numbers of a sequence",
    measure=measure,
    standard=grid(cell=(IDENTITY, LSTM), length=(LENGTH,)),
    quick=grid(cell=(IDENTITY,), length=(LENGTH,)),
    smoke=grid(cell=(IDENTITY,), length=(6,)),
    full=grid(cell=(IDENTITY, LSTM), length=(LENGTH, 50)),
    tuning=replace(
        training.TUNING,
        rates=(0.0003, 0.001, 0.003, 0.01, 0.03),
        trains_above=-0.95 * sequences.ADDING_LOSS,
    ),
    diverged={
        "solved": 0.0,
        "score": -sequences.ADDING_LOSS,
        "test_loss": sequences.ADDING_LOSS,
    },
    equal=("parameters", "steps", "examples_seen"),
    sensitivity=("longer",),
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
