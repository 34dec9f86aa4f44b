"""Dropout as an ensemble: of its own sub-networks, and against independent networks."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import data, engine, figures
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Difference,
    LogRatio,
    Mean,
    Region,
    Value,
)
from dlclaims.pages import Figure, Study, Variant, grid

from . import averages, evaluation, overfitting, training
from .evaluation import log_softmax
from .training import DATA, TITLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

EXAMPLES = 500
RATE = 0.5
MEMBERS = 5
MASKS = 100  # sub-networks that are averaged
TESTS = 1000  # test examples on which they are, or all where there are fewer

#: A network alone, one with dropout, and independent ones that share its steps.
ARMS = ("single", "dropout", "independent")
WORDS = {
    "single": "one network",
    "independent": f"{MEMBERS} networks, 1/{MEMBERS} of the steps each",
}
SHORT = {"dropout": "dropout", "independent": "five networks"}

#: One rate more: a fifth of the steps asks for larger ones.
TUNING = replace(training.TUNING, rates=(*training.TUNING.rates, 0.1))


def net(dataset: str, arm: str, judged: str = "loss") -> dict[str, Any]:
    return {"data": dataset, "arm": arm, "judged": judged}


def members(
    variant: Variant, seeds: Seeds
) -> tuple[list[engine.Runs], engine.Examples]:
    """Train the networks of an arm; each of several has its own weights and order."""
    dataset, arm = data.load(variant["data"]), variant["arm"]
    examples = training.examples(dataset, seeds, EXAMPLES)
    rate = RATE if arm == "dropout" else 0.0
    number = MEMBERS if arm == "independent" else 1
    own = [renamed(seeds, member) if number > 1 else seeds for member in range(number)]
    steps = variant.steps(training.STEPS) // number
    shape = training.Net(dataset.features, dataset.classes, rate)
    return [training.train(shape, examples, s, variant, steps) for s in own], examples


def renamed(seeds: Seeds, member: int) -> Seeds:
    """The seeds with streams of a member's own for weights and batches."""
    known = dict(seeds.renamed)
    own = {
        name: f"{known.get(name, name)}-member-{member}" for name in ("init", "order")
    }
    return replace(seeds, renamed=tuple({**known, **own}.items()))


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Loss and accuracy of the mean prediction, and how its members differ."""
    import pandas as pd

    dataset = data.load(variant["data"])
    trained, examples = members(variant, seeds)
    places = {seed: row for row, seed in enumerate(seeds)}
    few = evaluation.spread(examples.test, TESTS)
    rows = []
    for row, (seed, _) in enumerate(trained[0].replicas):
        nets = [evaluation.network(runs, row) for runs in trained]
        splits = {
            "validation": examples.validation[places[seed]],
            "test": examples.test[places[seed]],
        }
        found = {
            f"{name}_{what}": value
            for name, split in splits.items()
            for what, value in predict(nets, dataset.x[split], dataset.y[split]).items()
        }
        parts = nets
        if variant["arm"] == "dropout":
            rng = seeds.generator(seed, "noise/masks")
            parts = [masked(nets[0], rng) for _ in range(MASKS)]
        x, y = (part[few[places[seed]]] for part in (dataset.x, dataset.y))
        averaged, intact = predict(parts, x, y), predict(nets, x, y)
        rows.append(
            found
            | {
                "averaged_minus_scaled": averaged["accuracy"] - intact["accuracy"],
                "diversity": diversity(parts, x, y),
            }
        )
    table = trained[0].table()[["seed", "learning_rate", "status"]]
    for runs in trained[1:]:
        is_lost = runs.table()["status"] == "diverged"
        table["status"] = table["status"].mask(is_lost, "diverged")
    table = pd.concat([table, pd.DataFrame(rows)], axis=1)
    return table.assign(
        validation_score=training.score(table, variant["judged"]),
        **training.costs(trained[0], len(trained)),
    )


def masked(network: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Return a sub-network: rows of outgoing weights are dropped or scaled up."""
    found = list(network)
    for layer in (2, 4):
        kept = rng.random(len(network[layer])) >= RATE
        found[layer] = network[layer] * (kept / (1 - RATE))[:, None].astype("float32")
    return found


def log_mean(predictions: np.ndarray) -> np.ndarray:
    """Return the log of the mean probability, for log-probabilities (members, ...)."""
    top = predictions.max(axis=0)
    return top + np.log(np.mean(np.exp(predictions - top), axis=0))


def predict(
    nets: list[list[np.ndarray]], x: np.ndarray, y: np.ndarray
) -> dict[str, float]:
    """Return loss and accuracy of the mean of the networks' probabilities."""
    each = np.stack([log_softmax(evaluation.outputs(network, x)) for network in nets])
    mean = log_mean(each)
    return {
        "loss": -float(mean[np.arange(len(y)), y].mean()),
        "accuracy": float(np.mean(mean.argmax(axis=1) == y)),
    }


def diversity(nets: list[list[np.ndarray]], x: np.ndarray, y: np.ndarray) -> float:
    """Return how often two networks decide differently, by how often one is wrong.

    A network alone has none; errors are at least one.
    """
    if len(nets) == 1:
        return 0.0
    each = np.stack([evaluation.outputs(network, x) for network in nets])
    decisions = each.argmax(axis=2)
    error = max(float(np.mean(decisions != y)), 1 / decisions.size)
    return evaluation.disagreement(decisions, each.shape[2]) / error


def by_arm(table: pd.DataFrame, ax: Axes, column: str, label: str) -> list[Axes]:
    """A column of every seed with dropout and of five networks, a panel a data set."""
    named = table[table["arm"].isin(list(SHORT))].assign(
        data=table["data"].map(TITLES), trained=table["arm"].map(SHORT)
    )
    panels = figures.panels(ax, list(named["data"].unique()))
    for title, panel in panels.items():
        chosen = named[named["data"] == title]
        figures.dots(chosen, panel, x="trained", y=column, hue="trained")
        panel.set_xlabel("")
        panel.set_ylabel(label)
    return list(panels.values())


def draw_losses(table: pd.DataFrame, ax: Axes) -> None:
    """Test losses relative to those of one network with the same seed."""
    replica = ["data", "seed"]
    one = table[table["arm"] == "single"].set_index(replica)["test_loss"]
    both = table.join(one.rename("one"), on=replica)
    relative = both.assign(ratio=both["test_loss"] / both["one"])
    words = "test loss as a part of one network's"
    for panel in by_arm(relative.dropna(subset="ratio"), ax, "ratio", words):
        panel.axhline(1, color="0.5", linewidth=1)


def draw_differences(table: pd.DataFrame, ax: Axes) -> None:
    by_arm(table, ax, "diversity", "disagreement of two, by the error of one")


STUDY = Study(
    name="ensemble",
    title="Dropout against independent networks at equal training",
    measure=measure,
    standard=(
        *grid(data=DATA, arm=ARMS, judged=("loss",)),
        *grid(data=DATA, arm=ARMS[1:], judged=("error",)),
    ),
    quick=grid(data=("digits",), arm=ARMS, judged=("loss",)),
    smoke=grid(data=("digits",), arm=ARMS, judged=("loss",)),
    tuning=TUNING,
    diverged=training.DIVERGED | {"averaged_minus_scaled": 0.0},
    data=DATA,
    equal=("multiply_accumulates", "steps", "examples_seen"),
    sensitivity=("longer",),
)

LOSSES = Figure(
    name="loss-by-ensemble",
    study=STUDY.name,
    title="Test loss with dropout and of five networks, against one network",
    draw=draw_losses,
    reading=(
        "Each dot is one seed's test loss divided by that of one network without"
        " dropout, after the same number of gradient steps in all: five independent"
        " networks share them, and their probabilities are averaged. Below the line an"
        " ensemble predicts better than one network."
    ),
    where={"judged": "loss"},
)

DIFFERENCES = Figure(
    name="disagreement-by-ensemble",
    study=STUDY.name,
    title="How much the members of an ensemble differ",
    draw=draw_differences,
    reading=(
        "Each dot is one seed: how often two of dropout's sub-networks, or two of five"
        " independent networks, decide differently, as a part of how often one is"
        " wrong. Weights that are shared could make members more alike, the dots of"
        " dropout lower."
    ),
    where={"judged": "loss"},
)

FIVE = "five per cent of the loss"


def deep(dataset: str) -> Criterion:
    return Criterion(
        f"deep-{dataset}",
        STUDY.name,
        Mean(Value("averaged_minus_scaled"), net(dataset, "dropout")),
        Region.around(0, 0.005),
        "test accuracy of 100 averaged sub-networks minus that of the network",
        f"{TITLES[dataset]}, dropout {RATE} on two hidden layers",
        "half a point, in either direction",
        "a network without masks that is something else than its sub-networks' mean",
    )


def better(dataset: str, other: str, region: Region, rival: str) -> Criterion:
    """The test loss with dropout against that of another arm."""
    return Criterion(
        f"against-{other}-{dataset}",
        STUDY.name,
        LogRatio(Value("test_loss"), net(dataset, "dropout"), over=net(dataset, other)),
        region,
        "log ratio of test losses",
        f"{TITLES[dataset]}, dropout {RATE} against {WORDS[other]},"
        f" {EXAMPLES} examples",
        FIVE,
        rival,
    )


def more_accurate(dataset: str) -> Criterion:
    """Test accuracy with dropout against that of a network alone."""
    own = partial(overfitting.net, dataset, EXAMPLES, judged="error")
    return Criterion(
        f"accuracy-single-{dataset}",
        overfitting.STUDY.name,
        Difference(
            Value("test_accuracy"),
            own(dropout=str(RATE)),
            minus=own(dropout="none"),
        ),
        Region.above(0.005),
        overfitting.ACCURACY,
        f"{TITLES[dataset]}, dropout {RATE} against {WORDS['single']},"
        f" {EXAMPLES} examples",
        overfitting.POINT,
        "better probabilities for the same decisions",
    )


def less_accurate(dataset: str) -> Criterion:
    """Test accuracy with dropout against that of independent networks."""
    return Criterion(
        f"accuracy-independent-{dataset}",
        STUDY.name,
        Difference(
            Value("test_accuracy"),
            net(dataset, "dropout", "error"),
            minus=net(dataset, "independent", "error"),
        ),
        Region.below(-0.005),
        overfitting.ACCURACY,
        f"{TITLES[dataset]}, dropout {RATE} against {WORDS['independent']},"
        f" {EXAMPLES} examples",
        overfitting.POINT,
        "worse probabilities for the same decisions",
    )


WEIGHT_SCALING_ENSEMBLE = Claim(
    "do-weight-scaling-ensemble",
    kinds=("exact", "difference"),
    document=Assertion(
        "The trained model can be seen as an ensemble of its sub-networks.",
        tuple(deep(dataset) for dataset in DATA),
        expected="supported",
    ),
    corrected=Assertion(
        "The network without masks is exactly the normalised geometric mean over all"
        " masks for one softmax layer, and the arithmetic mean for linear layers; deep"
        " networks decide as the mean of their sub-networks within half a point.",
        (
            *averages.GEOMETRIC,
            *averages.ARITHMETIC,
            *(deep(dataset) for dataset in DATA),
        ),
        expected="supported",
    ),
    theory=(
        r"\frac{\prod_m p(k \mid m)^{P(m)}}{\sum_j \prod_m p(j \mid m)^{P(m)}}"
        r"= \operatorname{softmax}_k(Wx + b)"
    ),
    references=("baldi2013", "wardefarley2014", "srivastava2014"),
)

BETTER = math.log(1.05)

VS_TRUE_ENSEMBLE = Claim(
    "do-vs-true-ensemble",
    kinds=("difference",),
    document=Assertion(
        "The ensemble that dropout forms often predicts better.",
        (
            *(
                better(
                    dataset,
                    "single",
                    Region.below(-BETTER),
                    "a single network that is as good",
                )
                for dataset in DATA
            ),
            *(more_accurate(dataset) for dataset in DATA),
        ),
        expected="conditional",
    ),
    corrected=Assertion(
        "Dropout is a weaker ensemble than independent networks that share its training"
        " steps: its test loss is higher and its test accuracy lower.",
        (
            *(
                better(
                    dataset,
                    "independent",
                    Region.above(BETTER),
                    "sub-networks that are worth as much as independent ones",
                )
                for dataset in DATA
            ),
            *(less_accurate(dataset) for dataset in DATA),
        ),
        expected="supported",
    ),
    references=("lakshminarayanan2017", "fort2019"),
)
