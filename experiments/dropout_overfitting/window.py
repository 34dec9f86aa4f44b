"""For how much data dropout helps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dlclaims import figures
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Difference,
    Interaction,
    LogRatio,
    Region,
    Value,
)
from dlclaims.pages import Figure

from .overfitting import FEW, MANY, SMALLEST, SOME, STUDY, net
from .training import DATA, TITLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


TICKS = (2, 5, 10, 20, 50, 100)


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Test error of every seed by training examples, one panel a data set."""
    named = table.assign(
        data=table["data"].map(TITLES),
        trained=table["dropout"].map({"none": "no dropout", "best": "dropout"}),
        error=100 * table["test_error"],
    ).dropna(subset="trained")
    for title, panel in figures.panels(ax, list(named["data"].unique())).items():
        chosen = named[named["data"] == title]
        figures.dots(chosen, panel, x="examples", y="error", hue="trained")
        panel.set_yscale("log")
        panel.set_yticks(TICKS, [str(tick) for tick in TICKS])
        panel.set_xlabel("training examples")
        panel.set_ylabel("test error, per cent")


BENEFIT = Figure(
    name="benefit-by-examples",
    study=STUDY.name,
    title="Test error with and without dropout, by number of training examples",
    draw=draw,
    reading=(
        "Each dot is one seed's test error, without dropout and with the better of two"
        " rates of dropping, each at its own learning rate. What dropout is worth is"
        " the step from one colour to the other; what more data are worth is the fall"
        " from left to right."
    ),
    where={"setup": "plain", "judged": "error"},
)


def arms(dataset: str, examples: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The best rate of dropping, and none."""
    best, none = (net(dataset, examples, name, "error") for name in ("best", "none"))
    return best, none


def benefit(dataset: str, examples: int, rival: str) -> Criterion:
    size = {FEW: "few", SOME: "some"}.get(examples, "many")
    best, none = arms(dataset, examples)
    return Criterion(
        f"benefit-{size}-{dataset}",
        STUDY.name,
        LogRatio(Value("test_error"), best, over=none),
        Region.below(math.log(0.9)),
        "log ratio of test errors",
        f"{TITLES[dataset]}, {examples} examples, dropout 0.25 or 0.5 against none",
        "a tenth of the errors is what a reader would call a benefit",
        rival,
    )


def larger(dataset: str, than: int, rival: str) -> Criterion:
    """The benefit with some data is larger than with so many."""
    size = {FEW: "few"}.get(than, "many")
    (best, none), (best_there, none_there) = arms(dataset, SOME), arms(dataset, than)
    return Criterion(
        f"some-over-{size}-{dataset}",
        STUDY.name,
        Interaction(
            Value("test_error"),
            best,
            over=none,
            minus=best_there,
            minus_over=none_there,
        ),
        Region.below(0.0),
        "difference of the log ratios of test errors",
        f"{TITLES[dataset]}, {SOME} examples against {than}, dropout 0.25 or 0.5"
        " against none",
        "what is claimed is the order of the sizes, not by how much",
        rival,
    )


def underfits(dataset: str) -> Criterion:
    return Criterion(
        f"underfits-{dataset}",
        STUDY.name,
        Difference(
            Value("training_loss"),
            net(dataset, SOME, "0.75", "error"),
            minus=net(dataset, SOME, "0.5", "error"),
        ),
        Region.above(0.05),
        "nats of training loss",
        f"{TITLES[dataset]}, {SOME} examples, dropout 0.75 against 0.5",
        SMALLEST,
        "more dropping as more of the same remedy",
    )


DATA_SIZE_WINDOW = Claim(
    "do-data-size-window",
    kinds=("trend",),
    document=Assertion(
        "Dropout layers are a strong remedy for overfitting.",
        tuple(
            benefit(dataset, examples, "a remedy for some sizes only")
            for dataset in DATA
            for examples in (FEW, SOME, MANY[dataset])
        ),
        expected="conditional",
    ),
    corrected=Assertion(
        "Dropout helps with some hundred examples, and more than with very few or very"
        " many; at a rate of 0.75 networks underfit.",
        (
            *(benefit(dataset, SOME, "no benefit at any size") for dataset in DATA),
            *(
                larger(dataset, FEW, "a benefit that is largest for few data")
                for dataset in DATA
            ),
            *(
                larger(dataset, MANY[dataset], "a benefit that grows with the data")
                for dataset in DATA
            ),
            *(underfits(dataset) for dataset in DATA),
        ),
        expected="supported",
    ),
    references=("srivastava2014",),
)
