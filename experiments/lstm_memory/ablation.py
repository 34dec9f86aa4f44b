"""LSTMs without one of their gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlclaims import figures
from dlclaims.claims import Assertion, Claim, Criterion, Rate, Region, Value
from dlclaims.pages import Figure, Study, Variant

from . import cells, gates, training
from .recall import MOSTLY, RARELY, SEVEN, SUCCESS, net, variants

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

STEPS = 600
LAG = 10
DESIGNS = {"cued": "one target", "reset": "targets that replace each other"}
GATES = {
    "forget": "lstm-no-forget",
    "input": "lstm-no-input",
    "output": "lstm-no-output",
}


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Accuracy of naming the last target that was cued."""
    return training.scored(training.recall(variant, seeds, variant.steps(STEPS)))


def every(*designs: str) -> tuple[dict[str, Any], ...]:
    return tuple(
        net(cell, design, LAG)
        for design in designs
        for cell in ("lstm-1", *GATES.values())
    )


STUDY = Study(
    name="ablation",
    title="LSTMs without one gate, where memory must be kept or replaced",
    measure=measure,
    predict=training.chance,
    standard=variants(*every(*DESIGNS)),
    quick=variants(net(GATES["forget"], "reset", LAG)),
    smoke=variants(net(GATES["forget"], "reset", 4)),
    tuning=training.TUNING,
    diverged=training.DIVERGED,
    equal=("parameters", "steps"),
)

SHORT_NAMES = {
    "lstm-1": "all gates",
    "lstm-no-forget": "no forget",
    "lstm-no-input": "no input",
    "lstm-no-output": "no output",
}


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Accuracy of every seed by gate removed, one panel a design."""
    for title, panel in figures.panels(ax, list(DESIGNS.values())).items():
        chosen = table[table["design"].map(DESIGNS) == title]
        named = chosen.assign(network=chosen["cell"].map(SHORT_NAMES))
        figures.dots(named, panel, x="network", y="accuracy", hue="network")
        panel.set_xlabel("")
        panel.set_ylabel("accuracy after the lag")


WITHOUT_GATES = Figure(
    name="gates",
    study=STUDY.name,
    title="LSTMs without one of their gates",
    draw=draw,
    reading=(
        "Each dot is one seed; the dashed line is guessing. Left, the first symbol must"
        " be kept; right, up to five others replace it, so that much must be forgotten."
        " All have as many weights."
    ),
)


def rate(gate: str | None, design: str, region: Region, rival: str) -> Criterion:
    cell = GATES[gate] if gate else "lstm-1"
    return Criterion(
        f"{'solves' if region == MOSTLY else 'fails'}-{cell}-{design}",
        STUDY.name,
        Rate(Value("solved"), net(cell, design, LAG)),
        region,
        SUCCESS,
        f"{cells.CELLS[cell]}, {DESIGNS[design]}, lag {LAG}, {STEPS} steps, equal"
        " weights",
        SEVEN,
        rival,
    )


NEEDED = "a gate that the others replace"

THREE_GATES = Claim(
    "lm-three-gates",
    kinds=("difference",),
    document=Assertion(
        "Three gates protect and control the cell state; the forget gate decides what"
        " is removed.",
        (
            *gates.LITERAL,
            rate(None, "reset", MOSTLY, "a task that no LSTM of this size solves"),
            *(rate(gate, "reset", RARELY, NEEDED) for gate in GATES),
        ),
        expected="conditional",
    ),
    corrected=Assertion(
        "The forget gate says what is kept. To keep one symbol an LSTM does without it;"
        " where memories replace each other it does not, but without an output gate.",
        (
            *gates.CORRECT,
            rate("forget", "cued", MOSTLY, "a forget gate that every memory needs"),
            rate("forget", "reset", RARELY, NEEDED),
            rate("output", "reset", MOSTLY, "an output gate that every memory needs"),
        ),
        expected="supported",
    ),
    theory=r"C_t = f_t \odot C_{t-1} + i_t \odot \tilde C_t",
    references=("greff2017", "jozefowicz2015"),
)
