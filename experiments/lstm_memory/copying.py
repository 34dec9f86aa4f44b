"""Copying ten symbols after a lag: more memory than one symbol takes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dlclaims import figures
from dlclaims.data import sequences
from dlclaims.pages import Figure, Study, Variant, grid, tidy

from . import training
from .recall import SHORT_NAMES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

STEPS = 512
LAG = 10
CELLS = ("rnn", "lstm-1", "lstm-chrono")


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Cross-entropy of naming all symbols again, and its share of what is free."""
    runs = training.copying(variant, seeds, variant.steps(STEPS))
    return training.scored(runs, sequences.copying_loss(variant["lag"]))


def predict(variant: Variant) -> pd.DataFrame:
    """The loss of blanks and then guesses, which need no memory."""
    return tidy({"test_loss": [sequences.copying_loss(variant["lag"])]}, share=1.0)


STUDY = Study(
    name="copying",
    title="Copying ten symbols after a lag",
    measure=measure,
    predict=predict,
    standard=grid(cell=CELLS, lag=(LAG,)),
    quick=grid(cell=("rnn",), lag=(2,)),
    smoke=grid(cell=("rnn",), lag=(2,)),
    full=grid(cell=(*CELLS, "gru"), lag=(LAG, 30, 100)),
    tuning=replace(training.TUNING, trains_above=-0.95),
    diverged=training.DIVERGED_SHARE | {"test_loss": sequences.copying_loss(LAG)},
    equal=("parameters", "steps"),
)


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Cross-entropy of every seed by cell, and that of blanks and guesses."""
    table = table[table["lag"] == table["lag"].min()]
    named = table.assign(network=table["cell"].map(SHORT_NAMES))
    figures.dots(named, ax, x="network", y="test_loss", hue="network")
    ax.set_xlabel("")
    ax.set_ylabel("cross-entropy a step, nats")


FIGURE = Figure(
    name="copying",
    study=STUDY.name,
    title="Copying ten symbols after a lag",
    draw=draw,
    reading=(
        "Each dot is one seed. The dashed line is a network without memory, which knows"
        " when to answer and guesses what: 10 ln 8 nats, spread over the lag and twenty"
        " steps. The budget is short: who is below the line has begun to remember."
    ),
)
