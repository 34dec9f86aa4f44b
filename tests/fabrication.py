"""Results of a page whose numbers are drawn, not trained: made at once, all kinds."""

from collections.abc import Iterator
from pathlib import Path

from dlclaims import assembly, pages, plan, statistics, tables
from dlclaims.store import Record

NAME = "drawn-numbers"

PAGE = '''
"""Numbers that were drawn.

A paragraph with **strong** words, a ``name`` and 1 < 2.

**Design.** Every outcome is drawn from a generator.
"""

import numpy as np

from dlclaims import figures
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Deviation,
    Difference,
    Gap,
    Mean,
    Published,
    Region,
    Slope,
    Value,
)
from dlclaims.pages import Card, Figure, Page, Study, Tuning, grid, tidy

LOSS = {"relu": 0.0, "sigmoid": 1.4}
SLOPE = Slope("log_gradient", over="layer")


def decay(variant):
    return LOSS[variant["activation"]] * (np.arange(variant["depth"]) - 10.0)


def measure_decay(variant, seeds):
    slopes = [seeds.generator(seed, "noise").normal(0, 0.002) for seed in seeds]
    lines = decay(variant) + np.outer(slopes, np.arange(variant["depth"]))
    layers = range(1, variant["depth"] + 1)
    return tidy({"seed": seeds, "layer": layers}, log_gradient=lines)


def predict_decay(variant):
    layers = range(1, variant["depth"] + 1)
    return tidy({"layer": layers}, log_gradient=decay(variant))


def measure_learning(variant, seeds):
    rates = variant.learning_rates
    noise = [[seeds.generator(s, "init").normal(0, 0.01)] for s in seeds]
    best = {"plain": 0.6, "residual": 0.9}[variant["network"]]
    accuracy = best - 0.1 * np.abs(np.log10(np.array(rates) / 0.01)) + noise
    lost = (variant["network"] == "plain") & (np.array(list(seeds)) == 3)
    lost = np.broadcast_to(lost[:, None], accuracy.shape)
    return tidy(
        {"seed": seeds, "learning_rate": rates},
        accuracy=np.where(lost, np.nan, accuracy),
        status=np.where(lost, "diverged", "ok"),
        parameters=1234,
        steps=100,
    )


def measure_exact(variant, seeds):
    return tidy({"seed": seeds}, deviation=1e-13, elements=500)


def draw_profiles(table, ax):
    for name, panel in figures.panels(ax, list(LOSS)).items():
        chosen = table[table["activation"] == name]
        figures.profile(chosen, panel, x="layer", y="log_gradient", hue="depth")


def draw_accuracy(table, ax):
    figures.dots(table, ax, x="network", y="accuracy", hue="network")
    ax.set_ylabel("accuracy, fraction of examples")


DECAY = Study(
    "decay",
    "Gradients by layer",
    measure_decay,
    standard=grid(activation=("relu", "sigmoid"), depth=(5, 10)),
    smoke=grid(activation=("relu",), depth=(5,)),
    predict=predict_decay,
)
LEARNING = Study(
    "learning",
    "Accuracy after training",
    measure_learning,
    standard=grid(network=("plain", "residual")),
    smoke=grid(network=("plain",)),
    tuning=Tuning((0.001, 0.01, 0.1), choose="accuracy", trains_above=0.2),
    diverged={"accuracy": 0.1},
)
EXACT = Study(
    "exact",
    "Rounding",
    measure_exact,
    standard=grid(kind=("one",)),
    smoke=grid(kind=("one",)),
    sampling="exact",
)


def slope(activation, region):
    return Criterion(
        f"slope-{activation}",
        "decay",
        Mean(SLOPE, {"activation": activation, "depth": 10}),
        region,
        "nats per layer",
        f"{activation}, 10 layers",
        "0.05 nats a layer halve the gradient within 14 layers",
        "gradients that shrink",
    )


def gap(activation):
    return Criterion(
        f"theory-{activation}",
        "decay",
        Gap(SLOPE, {"activation": activation, "depth": 10}),
        Region.around(0, 0.01),
        "nats per layer",
        f"{activation}, 10 layers",
        "one per cent",
        "another factor",
    )


def gain(region):
    return Criterion(
        "gain",
        "learning",
        Difference(Value("accuracy"), {"network": "plain"}, {"network": "residual"}),
        region,
        "accuracy, fraction of examples",
        "plain minus residual",
        "ten points are what a reader would call better",
        "no difference",
    )


ROUNDING = Criterion(
    "rounding",
    "exact",
    Deviation(Value("deviation"), {"kind": "one"}),
    Region.below(1e-10),
    "relative deviation",
    "float64",
    "rounding stays far below",
    "another formula",
)

PAGE = Page(
    studies=(DECAY, LEARNING, EXACT),
    claims=(
        Claim(
            "vg-relu-not-immune",
            kinds=("rate",),
            document=Assertion(
                "ReLU avoids vanishing gradients.",
                (
                    slope("relu", Region.below(0.05)),
                    slope("sigmoid", Region.below(0.05)),
                ),
                expected="conditional",
            ),
            corrected=Assertion(
                "Theory tells the factor.",
                (gap("relu"), gap("sigmoid")),
                expected="supported",
            ),
            theory=r"\\\\chi = \\\\sigma_w^2 / 2",
            references=("he2015", "unknown2000"),
            published=(Published("0 nats", "30 layers", "he2015", "Figure 3"),),
        ),
        Claim(
            "own-difference",
            kinds=("difference",),
            document=Assertion(
                "Plain networks are better.",
                (gain(Region.above(0.1)),),
                expected="refuted",
            ),
            corrected=Assertion(
                "Residual networks are better.",
                (gain(Region.below(-0.1)),),
                expected="supported",
            ),
        ),
        Claim(
            "own-exact",
            kinds=("exact",),
            document=None,
            corrected=Assertion("Rounding is small.", (ROUNDING,), "supported"),
        ),
        Claim(
            "own-unclear",
            kinds=("difference",),
            document=Assertion(
                "The difference is at most -0.31.",
                (gain(Region.below(-0.31)),),
                expected="supported",
            ),
            corrected=None,
        ),
    ),
    figures=(
        Figure(
            "profiles",
            "decay",
            "Gradients fall",
            draw_profiles,
            "Each thin line is a seed.",
        ),
        Figure(
            "accuracy",
            "learning",
            "Residual networks learn",
            draw_accuracy,
            "Each dot is a seed.",
        ),
    ),
    card=Card(
        "Do gradients vanish?",
        (
            "A sigmoid loses {vg-relu-not-immune/slope-sigmoid} nats per layer.",
            "Plain networks gain {own-difference/gain:points} points.",
        ),
        "Only at initialisation.",
        rests_on=("vg-relu-not-immune", "own-unclear"),
    ),
)
'''.replace("\\\\", "\\")


def load(folder: Path, text: str = PAGE) -> dict[str, pages.Page]:
    """Return the page that is written into `folder`, by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "drawn_numbers.py"
    file.write_text(text, encoding="utf-8")
    return {NAME: pages.load(NAME, file)}


def run(
    page: pages.Page, out: Path, profile: plan.Profile = plan.PROFILES["standard"]
) -> None:
    """Write the page's results, as a run would, without cells on disk."""
    assembly.write(out / page.name, page, profile, [*_records(page, profile)], [], True)


def _records(page: pages.Page, profile: plan.Profile) -> Iterator[Record]:
    for study in page.studies:
        tuned = [_record(page, c) for c in plan.tuning_cells(page, study, profile)]
        yield from tuned
        chosen: dict[str, float] = {}
        if tuned:
            rates = statistics.choose_rates(study, tables.measured(study, tuned))
            chosen = dict(zip(rates["variant"], rates["learning_rate"], strict=True))
        for cell in plan.evaluation_cells(page, study, profile, chosen):
            yield _record(page, cell)


def _record(page: pages.Page, cell: plan.Cell) -> Record:
    table = page.study(cell.study).measure(cell.variant, cell.streams)
    versions = {"keras": "3.15.1"}
    return Record(
        cell, "", table, {"seconds": 1.5, "device": "cpu", "versions": versions}
    )
