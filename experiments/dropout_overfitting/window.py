"""For how much data dropout helps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dlclaims import figures
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Difference,
    LogRatio,
    Region,
    Value,
)
from dlclaims.pages import Figure

from .overfitting import FEW, MANY, NATS, SMALLEST, SOME, STUDY, net
from .training import DATA, TITLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


HELPS, HARDLY = Region.below(math.log(0.9)), Region.above(math.log(0.9))


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Test error of every seed with dropout as a part of that without, by examples."""
    keys = ["data", "examples", "seed"]
    none, best = (
        table[table["dropout"] == name].set_index(keys) for name in ("none", "best")
    )
    both = best.assign(ratio=best["test_error"] / none["test_error"]).reset_index()
    named = both.assign(data=both["data"].map(TITLES))
    ax.axhline(1, color="0.5", linewidth=1)
    figures.dots(named, ax, x="examples", y="ratio", hue="data")
    figures.region(ax, -math.inf, math.exp(HELPS.high))
    ax.set_xlabel("training examples")
    ax.set_ylabel("test error with dropout as a part of that without")


BENEFIT = Figure(
    name="benefit-by-examples",
    study=STUDY.name,
    title="What dropout does to the test error, by number of training examples",
    draw=draw,
    reading=(
        "Each dot is one seed's test error with the best of two rates of dropping,"
        " divided by that of the same seed without dropout, each at its own learning"
        " rate. At 1 dropout changes nothing; in the band it spares a tenth of the"
        " errors or more."
    ),
    where={"setup": "plain", "judged": "error"},
)

TENTH = "a tenth of the errors is what a reader would call a benefit"


def benefit(dataset: str, examples: int, region: Region, rival: str) -> Criterion:
    size = {FEW: "few", SOME: "some"}.get(examples, "many")
    return Criterion(
        f"benefit-{size}-{dataset}",
        STUDY.name,
        LogRatio(
            Value("test_error"),
            net(dataset, examples, "best", "error"),
            over=net(dataset, examples, "none", "error"),
        ),
        region,
        "log ratio of test errors",
        f"{TITLES[dataset]}, {examples} examples, dropout 0.25 or 0.5 against none",
        TENTH,
        rival,
    )


def underfits(dataset: str) -> Criterion:
    return Criterion(
        f"underfits-{dataset}",
        STUDY.name,
        Difference(
            Value("training_loss"),
            net(dataset, SOME, "0.75", "loss"),
            minus=net(dataset, SOME, "0.5", "loss"),
        ),
        Region.above(0.05),
        f"{NATS}, training loss in evaluation mode",
        f"{TITLES[dataset]}, {SOME} examples, dropout 0.75 against 0.5",
        SMALLEST,
        "more dropping as more of the same remedy",
    )


DATA_SIZE_WINDOW = Claim(
    "do-data-size-window",
    kinds=("trend",),
    document=Assertion(
        "Dropout is a strong remedy for overfitting, with no condition on the data.",
        tuple(
            benefit(dataset, examples, HELPS, "a remedy for some sizes only")
            for dataset in DATA
            for examples in (FEW, SOME, MANY[dataset])
        ),
        expected="conditional",
    ),
    corrected=Assertion(
        "The benefit is small for very few examples, peaks in between and fades for"
        " many; at a rate of 0.75 networks underfit.",
        tuple(
            criterion
            for dataset in DATA
            for criterion in (
                benefit(dataset, FEW, HARDLY, "a benefit that is largest for few data"),
                benefit(dataset, SOME, HELPS, "no benefit at any size"),
                benefit(dataset, MANY[dataset], HARDLY, "a benefit that grows with n"),
                underfits(dataset),
            )
        ),
        expected="supported",
    ),
    references=("srivastava2014",),
)
