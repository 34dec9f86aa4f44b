"""Whether dropout closes the gap between training and test, and for how much data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlclaims import data, figures
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Difference,
    Region,
    Value,
)
from dlclaims.pages import Figure, Study, Variant

from . import training
from .training import DATA, TITLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

#: Training examples: very few, some, and nearly all that there are.
FEW, SOME, MANY = 50, 500, {"digits": 1000, "mnist1d": 3000}
NARROW = 32  # units: a quarter
RECORD_EVERY, PATIENCE = 100, 3  # steps between looks, and looks without a new best

#: Rates of dropping by the name of a level. Of several, each seed takes the one that
#: does best on its validation data, as one would in practice.
RATES = {
    "none": (0.0,),
    "0.25": (0.25,),
    "0.5": (0.5,),
    "0.75": (0.75,),
    "best": (0.25, 0.5),
}

NATS = "nats"
ACCURACY = "test accuracy, fraction of examples"


def net(
    dataset: str, examples: int, dropout: str, judged: str, setup: str = "plain"
) -> dict[str, Any]:
    """Levels of a variant.

    `judged` is ``loss`` or ``error``, by which rates are chosen. `setup` is ``plain``;
    ``stopped`` (early, by the validation loss); ``narrow``; or ``paper``, which scales
    at evaluation.
    """
    return {
        "data": dataset,
        "examples": examples,
        "dropout": dropout,
        "judged": judged,
        "setup": setup,
    }


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Losses and errors in evaluation mode, after the last step or where it stopped."""
    import pandas as pd

    tables = [measure_rate(variant, seeds, rate) for rate in RATES[variant["dropout"]]]
    ranked = pd.concat(tables).sort_values(
        "validation_score", kind="stable", na_position="first"
    )
    replica = ["seed", "learning_rate"]
    return ranked.drop_duplicates(replica, keep="last").sort_values(replica)


def measure_rate(variant: Variant, seeds: Seeds, rate: float) -> pd.DataFrame:
    dataset, setup = data.load(variant["data"]), variant["setup"]
    is_stopped = setup == "stopped"
    runs = training.train(
        training.Net(
            dataset.features,
            dataset.classes,
            rate,
            width=NARROW if setup == "narrow" else training.WIDTH,
            form="paper" if setup == "paper" else "keras",
        ),
        training.examples(dataset, seeds, variant["examples"]),
        seeds,
        variant,
        variant.steps(training.STEPS if dataset.name in DATA else training.IMAGE_STEPS),
        record_every=RECORD_EVERY if is_stopped else 0,
    )
    rows = (
        runs.early_stopped("validation_loss", PATIENCE) if is_stopped else runs.table()
    )
    scored = training.scored(rows, runs, dataset.test, variant["judged"])
    return scored.assign(rate=rate)


def variants(*nets: dict[str, Any]) -> tuple[Variant, ...]:
    return tuple(Variant(tuple(levels.items())) for levels in nets)


def sizes(dataset: str, *examples: int) -> tuple[Variant, ...]:
    """Networks without dropout and with the best rate, judged by their errors."""
    return variants(
        *(net(dataset, n, name, "error") for n in examples for name in ("none", "best"))
    )


def losses(dataset: str) -> tuple[Variant, ...]:
    """All rates, and what else is said to help, judged by the loss."""
    return variants(
        *(net(dataset, SOME, name, "loss") for name in RATES),
        *(net(dataset, SOME, "none", "loss", setup) for setup in ("stopped", "narrow")),
    )


def forms(dataset: str) -> tuple[Variant, ...]:
    """Scaling in training and at evaluation."""
    return variants(
        *(net(dataset, SOME, "0.5", "error", setup) for setup in ("plain", "paper"))
    )


STANDARD = tuple(
    variant
    for dataset in DATA
    for variant in (
        *sizes(dataset, FEW, SOME, MANY[dataset]),
        *losses(dataset),
        *forms(dataset),
    )
)

STUDY = Study(
    name="overfitting",
    title="Training and test loss with and without dropout",
    measure=measure,
    standard=STANDARD,
    quick=(
        *sizes("digits", FEW, SOME),
        *variants(*(net("digits", SOME, name, "loss") for name in ("none", "best"))),
    ),
    smoke=sizes("digits", FEW),
    full=(
        *STANDARD,
        *(variant for dataset in DATA for variant in sizes(dataset, 100, 200)),
    ),
    tuning=training.TUNING,
    diverged=training.DIVERGED,
    data=DATA,
    equal=("steps", "examples_seen"),
    sensitivity=("longer",),
)


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Training and test loss of every seed by rate, one panel a data set."""
    import pandas as pd

    rows = table[table["dropout"] != "best"].assign(data=table["data"].map(TITLES))
    both = pd.concat(
        rows.assign(loss=rows[f"{part}_loss"], part=f"{part} loss")
        for part in ("training", "test")
    )
    for title, panel in figures.panels(ax, list(rows["data"].unique())).items():
        chosen = both[both["data"] == title]
        figures.dots(chosen, panel, x="rate", y="loss", hue="part")
        panel.set_yscale("log")
        panel.set_xlabel("rate of dropping (0: none)")
        panel.set_ylabel("loss in evaluation mode, nats")


GAPS = Figure(
    name="gap-by-rate",
    study=STUDY.name,
    title="Training and test loss by rate of dropping, 500 examples",
    draw=draw,
    reading=(
        "Each dot is one seed's loss, both measured without dropping anything. The two"
        " colours apart are overfitting (the axis is logarithmic: equal distances are"
        " equal ratios); together and high, they are underfitting."
    ),
    where={"setup": "plain", "judged": "loss"},
)


def against(
    name: str,
    column: str,
    dataset: str,
    region: Region,
    unit: str,
    reason: str,
    rival: str,
    setup: str = "plain",
) -> Criterion:
    """The best rate of dropping against none, with some data."""
    judged = "error" if column == "test_accuracy" else "loss"
    words = {
        "plain": "none",
        "stopped": "none and early stopping",
        "narrow": f"none and {NARROW} units",
    }[setup]
    return Criterion(
        f"{name}-{dataset}",
        STUDY.name,
        Difference(
            Value(column),
            net(dataset, SOME, "best", judged),
            minus=net(dataset, SOME, "none", judged, setup),
        ),
        region,
        unit,
        f"{TITLES[dataset]}, {SOME} examples, dropout 0.25 or 0.5 against {words}",
        reason,
        rival,
    )


SMALLEST = "0.05 nats are five per cent of the probability of the right class"
POINT = "half a point is two of the 360 test examples of digits"


def narrower(dataset: str) -> Criterion:
    return against(
        "gap",
        "gap",
        dataset,
        Region.below(-0.05),
        f"{NATS}, test minus training loss",
        SMALLEST,
        "a gap that only seems smaller because training loss is taken with dropout on",
    )


def lower(dataset: str) -> Criterion:
    return against(
        "loss",
        "test_loss",
        dataset,
        Region.below(-0.05),
        NATS,
        SMALLEST,
        "a gap that is closed by a worse fit alone",
    )


def fairly(dataset: str) -> tuple[Criterion, ...]:
    return (
        against(
            "stopped",
            "test_loss",
            dataset,
            Region.below(-0.05),
            NATS,
            SMALLEST,
            "early stopping, which costs nothing and does as well",
            "stopped",
        ),
        against(
            "narrow",
            "test_loss",
            dataset,
            Region.below(-0.05),
            NATS,
            SMALLEST,
            "a smaller network, which overfits less too",
            "narrow",
        ),
    )


REDUCES_OVERFITTING = Claim(
    "do-reduces-overfitting",
    kinds=("difference",),
    document=Assertion(
        "Dropout is a strong remedy for overfitting.",
        tuple(
            criterion
            for dataset in DATA
            for criterion in (
                narrower(dataset),
                against(
                    "accuracy",
                    "test_accuracy",
                    dataset,
                    Region.above(0.005),
                    ACCURACY,
                    POINT,
                    "better probabilities for the same decisions",
                ),
                *fairly(dataset),
            )
        ),
        expected="supported",
    ),
    corrected=Assertion(
        "At middling sample sizes dropout narrows the gap between training and test"
        " loss, both in evaluation mode, and lowers the test loss itself.",
        tuple(made(dataset) for dataset in DATA for made in (narrower, lower)),
        expected="supported",
    ),
    references=("srivastava2014",),
)
