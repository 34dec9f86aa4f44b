"""How activations grow along skips without normalisation."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from dlclaims import figures
from dlclaims.claims import Assertion, Claim, Criterion, Gap, Mean, Region, Slope
from dlclaims.pages import Figure, Study, Variant, grid, tidy
from dlclaims.theory import residual

from .blocks import weights

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

BLOCKS, EXAMPLES = 40, 64
FROM = 10  # by then the document's block has forgotten the mean of its input

#: The document's block; ReLU and a layer, twice; the first without its skip.
KINDS = {
    "document": "a + relu(W a)",
    "two-layer": "x + V relu(W relu(x))",
    "no-skip": "relu(W a)",
}


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Log second moment of the stream after each block, from block `FROM` on."""
    found = [
        stream(variant["kind"], variant["width"], seeds.generator(seed, "init"))
        for seed in seeds
    ]
    return tidy(
        {"seed": seeds, "block": range(FROM, BLOCKS + 1)}, log_second_moment=found
    )


def stream(kind: str, width: int, rng: np.random.Generator) -> list[float]:
    """Return the log second moments after blocks `FROM` to `BLOCKS`."""
    a = rng.standard_normal((EXAMPLES, width))
    found = []
    for _ in range(BLOCKS):
        if kind == "two-layer":
            hidden = np.maximum(np.maximum(a, 0) @ weights(rng, width), 0)
            a = a + hidden @ weights(rng, width)
        else:
            branch = np.maximum(a @ weights(rng, width), 0)
            a = a + branch if kind == "document" else branch
        found.append(math.log(np.mean(a**2)))
    return found[FROM - 1 :]


def predict(variant: Variant) -> pd.DataFrame:
    """The same table for infinite width."""
    logs = {
        "document": [log for log, _ in islice(residual.document_block(), BLOCKS)],
        "two-layer": [math.log(2)] * BLOCKS,
        "no-skip": [0.0] * BLOCKS,
    }[variant["kind"]]
    return tidy(
        {"block": range(FROM, BLOCKS + 1)},
        log_second_moment=np.cumsum(logs)[FROM - 1 :],
    )


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Second moment by block."""
    named = table.assign(
        kind=table["kind"].map(KINDS), log10=table["log_second_moment"] / np.log(10)
    )
    figures.profile(named, ax, x="block", y="log10", hue="kind")
    ax.set_xlabel("block")
    ax.set_ylabel("log10 of the mean squared activation")


STUDY = Study(
    name="growth",
    title="Activations along skips, at the start and without normalisation",
    measure=measure,
    predict=predict,
    standard=grid(kind=tuple(KINDS), width=(300,)),
    smoke=grid(kind=("document",), width=(30,)),
    full=grid(kind=tuple(KINDS), width=(300, 1000)),
)

GROWTH = Figure(
    name="growth",
    study=STUDY.name,
    title="Skips alone make activations explode",
    draw=draw,
    reading=(
        "Each thin line is one seed: the mean squared activation after each block, on a"
        " logarithmic axis; dashed, what theory predicts without any fitted number. A"
        " straight line upwards is exponential growth; without the skip there is none."
    ),
    where={"width": 300},
)

PER_BLOCK = Slope("log_second_moment", over="block")
UNIT = "nats of the second moment per block"


def grows(kind: str, factor: float) -> Criterion:
    log = math.log(factor)
    return Criterion(
        f"slope-{kind}",
        STUDY.name,
        Mean(PER_BLOCK, {"kind": kind, "width": 300}),
        Region.around(log, 0.05 * log),
        UNIT,
        f"{KINDS[kind]}, He, width 300, blocks {FROM} to {BLOCKS}",
        "five per cent of the predicted rate",
        "growth by a fixed amount a block, or none",
    )


def agrees(kind: str) -> Criterion:
    return Criterion(
        f"theory-{kind}",
        STUDY.name,
        Gap(PER_BLOCK, {"kind": kind, "width": 300}),
        Region.around(0, 0.05),
        UNIT,
        f"{KINDS[kind]}, He, width 300, blocks {FROM} to {BLOCKS}",
        "five per cent of a factor of e",
        "a recursion that leaves out the activations' mean",
    )


DOCUMENT = grows("document", residual.document_growth())

VARIANCE_GROWTH = Claim(
    "rd-variance-growth",
    kinds=("rate",),
    document=None,
    corrected=Assertion(
        "Without normalisation skips make activations grow exponentially, at the rate"
        " that theory predicts: mean squares double with every block whose branch has"
        " mean 0, and nearly triple with every block of the document.",
        (
            DOCUMENT,
            grows("two-layer", 2.0),
            agrees("document"),
            agrees("two-layer"),
            DOCUMENT.without(
                {"kind": "no-skip"},
                "without the skip",
                Region.around(0, 0.05),
                "He's rule keeps the second moment",
            ),
        ),
        expected="supported",
    ),
    theory=(
        r"q' = 2q + 2m\sqrt{q/\pi},\qquad m' = m + \sqrt{q/\pi},"
        r"\qquad q'/q \to 2.904"
    ),
    references=("zhang2019",),
)
