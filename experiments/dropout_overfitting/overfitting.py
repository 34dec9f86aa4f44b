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
RATE = 0.5  # of the document's code
NARROW = 32  # units: a quarter
RECORD_EVERY, PATIENCE = 100, 3  # steps between looks, and looks without a new best

NATS = "nats"
ACCURACY = "test accuracy, fraction of examples"


def net(
    dataset: str, examples: int, rate: float, judged: str, setup: str = "plain"
) -> dict[str, Any]:
    """Levels of a variant.

    `judged` is ``loss`` or ``error``, by which its learning rate is chosen. `setup` is
    ``plain``; ``stopped`` (early, by the validation loss); ``narrow``; or ``paper``,
    which scales at evaluation.
    """
    return {
        "data": dataset,
        "examples": examples,
        "rate": rate,
        "judged": judged,
        "setup": setup,
    }


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Losses and errors in evaluation mode, after the last step or where it stopped."""
    dataset, setup = data.load(variant["data"]), variant["setup"]
    is_stopped = setup == "stopped"
    runs = training.train(
        training.Net(
            dataset.features,
            dataset.classes,
            variant["rate"],
            width=NARROW if setup == "narrow" else training.WIDTH,
            form="paper" if setup == "paper" else "keras",
        ),
        training.examples(dataset, seeds, variant["examples"]),
        seeds,
        variant,
        variant.steps(training.STEPS),
        record_every=RECORD_EVERY if is_stopped else 0,
    )
    rows = (
        runs.early_stopped("validation_loss", PATIENCE) if is_stopped else runs.table()
    )
    return training.scored(rows, runs, dataset.test, variant["judged"])


def variants(*nets: dict[str, Any]) -> tuple[Variant, ...]:
    return tuple(Variant(tuple(levels.items())) for levels in nets)


SIZES = variants(
    *(
        net(dataset, examples, rate, "error")
        for dataset in DATA
        for examples in (FEW, SOME, MANY[dataset])
        for rate in (0.0, RATE)
    )
)
OTHERS = variants(
    *(
        net(dataset, SOME, rate, judged, setup)
        for dataset in DATA
        for rate, judged, setup in (
            (0.0, "loss", "plain"),
            (0.25, "loss", "plain"),
            (RATE, "loss", "plain"),
            (0.75, "loss", "plain"),
            (0.0, "loss", "stopped"),
            (RATE, "loss", "stopped"),
            (0.0, "loss", "narrow"),
            (RATE, "error", "paper"),
        )
    )
)

STUDY = Study(
    name="overfitting",
    title="Training and test loss with and without dropout",
    measure=measure,
    standard=SIZES + OTHERS,
    quick=variants(
        *(net("digits", SOME, rate, "loss") for rate in (0.0, RATE)),
        *(
            net("digits", examples, rate, "error")
            for examples in (FEW, SOME)
            for rate in (0.0, RATE)
        ),
    ),
    smoke=variants(*(net("digits", FEW, rate, "error") for rate in (0.0, RATE))),
    full=SIZES
    + OTHERS
    + variants(
        *(
            net(dataset, examples, rate, "error")
            for dataset in DATA
            for examples in (100, 200)
            for rate in (0.0, RATE)
        )
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

    rows = table.assign(data=table["data"].map(TITLES))
    both = pd.concat(
        rows.assign(loss=rows[f"{part}_loss"], part=f"{part} loss")
        for part in ("train", "test")
    )
    for title, panel in figures.panels(ax, list(TITLES.values())).items():
        chosen = both[both["data"] == title]
        figures.dots(chosen, panel, x="rate", y="loss", hue="part")
        panel.set_xlabel("rate of dropping (0: none)")
        panel.set_ylabel("loss in evaluation mode, nats")


GAPS = Figure(
    name="gap-by-rate",
    study=STUDY.name,
    title="The gap between training and test loss by rate of dropping, 500 examples",
    draw=draw,
    reading=(
        "Each dot is one seed's loss, both measured without dropping anything. The gap"
        " between the two colours is the overfitting; where both rise, the network"
        " underfits."
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
    setups: tuple[str, str] = ("plain", "plain"),
) -> Criterion:
    """Dropout at the document's rate against none, with some data."""
    own, other = setups
    judged = "error" if column == "test_accuracy" else "loss"
    words = {
        ("plain", "plain"): "against none",
        ("stopped", "stopped"): "against none, both stopped early",
        ("plain", "narrow"): f"against {NARROW} units without",
    }[setups]
    return Criterion(
        f"{name}-{dataset}",
        STUDY.name,
        Difference(
            Value(column),
            net(dataset, SOME, RATE, judged, own),
            minus=net(dataset, SOME, 0.0, judged, other),
        ),
        region,
        unit,
        f"{TITLES[dataset]}, {SOME} examples, dropout {RATE} {words}",
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
            ("stopped", "stopped"),
        ),
        against(
            "narrow",
            "test_loss",
            dataset,
            Region.below(-0.05),
            NATS,
            SMALLEST,
            "a smaller network, which overfits less too",
            ("plain", "narrow"),
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
