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


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Test error of every seed by training examples, one panel a data set."""
    words = {"none": "no dropout", "best": "dropout 0.25 or 0.5"}
    named = table["dropout"].map(words)
    table = table.assign(data=table["data"].map(TITLES), network=named)
    table = table[named.notna()]
    for title, panel in figures.panels(ax, list(TITLES.values())).items():
        chosen = table[table["data"] == title]
        figures.dots(chosen, panel, x="examples", y="test_error", hue="network")
        panel.set_yscale("log")
        panel.set_xlabel("training examples")
        panel.set_ylabel("test error, fraction of examples")


BY_SIZE = Figure(
    name="error-by-examples",
    study=STUDY.name,
    title="Test error by number of training examples",
    draw=draw,
    reading=(
        "Each dot is one seed's test error at the learning rate that was chosen for its"
        " network. Dropout helps where its dots lie below those without."
    ),
    where={"setup": "plain", "judged": "error"},
)

TENTH = "a tenth of the errors is what a reader would call a benefit"
HELPS, HARDLY = Region.below(math.log(0.9)), Region.above(math.log(0.9))


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
