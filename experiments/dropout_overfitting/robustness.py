"""What networks lose without some of their hidden units, and under noise on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import data, figures
from dlclaims.claims import Assertion, Claim, Criterion, Difference, Region, Value
from dlclaims.pages import Figure, Study, Variant

from . import evaluation, training
from .evaluation import Change
from .training import DATA, TITLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

EXAMPLES = 500
RATE = 0.5
TESTS = 1000  # test examples, or all where there are fewer
REMOVED = tuple(range(10, 100, 10))  # per cent of the units of both hidden layers
LEVELS = (0.25, 0.5, 1.0, 2.0)  # of noise, in units of a layer's rms activation
DRAWS = 5  # sets of units, or draws of noise, for each of these


def net(dataset: str, rate: float, mask: str = "unit") -> dict[str, Any]:
    return {"data": dataset, "rate": rate, "mask": mask}


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Test accuracy of intact, ablated and noisy networks; how units share the work."""
    import pandas as pd

    dataset = data.load(variant["data"])
    examples = training.examples(dataset, seeds, EXAMPLES)
    runs = training.train(
        training.Net(
            dataset.features, dataset.classes, variant["rate"], mask=variant["mask"]
        ),
        examples,
        seeds,
        variant,
        variant.steps(training.STEPS),
    )
    own = dict(zip(seeds, evaluation.spread(examples.test, TESTS), strict=True))
    probes = [
        probe(
            evaluation.network(runs, row),
            dataset.x[own[seed]],
            dataset.y[own[seed]],
            seeds.generator(seed, "noise/probe"),
        )
        for row, (seed, _) in enumerate(runs.replicas)
    ]
    rows = training.scored(runs.table(), runs, dataset.test, "error")
    return pd.concat([rows, pd.DataFrame(probes)], axis=1)


def probe(
    network: list[np.ndarray], x: np.ndarray, y: np.ndarray, rng: np.random.Generator
) -> dict[str, float]:
    """Return the columns of one replica.

    Parameters
    ----------
    network : list of np.ndarray
        Kernels and biases in turn.
    x, y : np.ndarray
        Shapes (examples, features) and (examples,).
    rng : np.random.Generator
        Equal for all networks of a seed, which lose the same units.
    """
    units = network[0].shape[1]

    def without(percent: int) -> Change:
        count = round(units * percent / 100)
        kept = np.ones(units, "float32")
        kept[rng.permutation(units)[:count]] = 0
        return lambda a: a * (kept * units / (units - count))

    def noisy(level: float) -> Change:
        noise = rng.standard_normal((len(x), units), dtype="float32")
        return lambda a: a + level * np.sqrt(np.mean(a**2)) * noise

    def accuracy(made: Callable[[Any], Change], amount: float) -> float:
        return float(
            np.mean(
                [
                    evaluation.outputs(network, x, (made(amount), made(amount))).argmax(
                        axis=1
                    )
                    == y
                    for _ in range(DRAWS)
                ]
            )
        )

    ablated = {percent: accuracy(without, percent) for percent in REMOVED}
    noised = [accuracy(noisy, level) for level in LEVELS]
    last = evaluation.hidden(evaluation.hidden(x, *network[:2]), *network[2:4])
    return {
        "accuracy_without_0": float(
            np.mean(evaluation.outputs(network, x).argmax(axis=1) == y)
        ),
        **{f"accuracy_without_{percent}": a for percent, a in ablated.items()},
        "ablation_area": float(np.mean([*ablated.values()])),
        "noise_area": float(np.mean(noised)),
        "correlation": evaluation.excess_correlation(last),
        "sharing": evaluation.sharing(last, network[4], network[5], y),
    }


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Accuracy against units removed, one panel a data set."""
    percents = (0, *REMOVED)
    keys = ["source", "variant", "seed", "data", "network"]
    names = {(0.0, "unit"): "no dropout", (RATE, "unit"): "dropout"}
    of = [
        names.get(levels, "one mask a layer")
        for levels in zip(table["rate"], table["mask"], strict=True)
    ]
    columns = {f"accuracy_without_{percent}": percent for percent in percents}
    long = (
        table.assign(network=of, data=table["data"].map(TITLES))[[*keys, *columns]]
        .rename(columns=columns)
        .melt(keys, var_name="removed", value_name="accuracy")
        .astype({"removed": int})
    )
    for title, panel in figures.panels(ax, list(long["data"].unique())).items():
        chosen = long[long["data"] == title]
        figures.profile(chosen, panel, x="removed", y="accuracy", hue="network")
        panel.set_xlabel("hidden units removed, per cent")
        panel.set_ylabel("test accuracy, fraction of examples")


STUDY = Study(
    name="robustness",
    title="Networks without some of their hidden units",
    measure=measure,
    standard=tuple(
        Variant(tuple(net(dataset, *rest).items()))
        for dataset in DATA
        for rest in ((0.0,), (RATE,), (RATE, "layer"))
    ),
    quick=tuple(
        Variant(tuple(net("digits", *rest).items()))
        for rest in ((0.0,), (RATE,), (RATE, "layer"))
    ),
    smoke=tuple(Variant(tuple(net("digits", rate).items())) for rate in (0.0, RATE)),
    tuning=training.TUNING,
    diverged=training.DIVERGED
    | {
        "ablation_area": training.CHANCE,
        "noise_area": training.CHANCE,
        "correlation": 1.0,
        "sharing": 0.0,
    },
    data=DATA,
    equal=("parameters", "multiply_accumulates", "steps", "examples_seen"),
    sensitivity=("longer",),
)

ABLATION = Figure(
    name="units-removed",
    study=STUDY.name,
    title="Test accuracy without some of the hidden units",
    draw=draw,
    reading=(
        "Each thin line is one seed's accuracy while random units of both hidden layers"
        " are removed and the others scaled up. What falls late depends little on"
        " particular units. One mask a layer is as much noise, without independence."
    ),
)


def against(
    name: str,
    column: str,
    dataset: str,
    region: Region,
    unit: str,
    reason: str,
    rival: str,
) -> Criterion:
    return Criterion(
        f"{name}-{dataset}",
        STUDY.name,
        Difference(Value(column), net(dataset, RATE), minus=net(dataset, 0.0)),
        region,
        unit,
        f"{TITLES[dataset]}, dropout {RATE} against none, {EXAMPLES} examples",
        reason,
        rival,
    )


def ablated(dataset: str) -> Criterion:
    return against(
        "ablation",
        "ablation_area",
        dataset,
        Region.above(0.05),
        "test accuracy, mean over 10 to 90 % of units removed",
        "five points on average are as much as a tenth of the units more",
        "a network that is only better when it is intact",
    )


def noised(dataset: str) -> Criterion:
    return against(
        "noise",
        "noise_area",
        dataset,
        Region.above(0.05),
        "test accuracy, mean over Gaussian noise of 1/4 to 2 rms on hidden units",
        "the same five points as for removed units",
        "robustness to the very perturbation that it was trained under, and no other",
    )


def uncorrelated(dataset: str) -> Criterion:
    return against(
        "correlation",
        "correlation",
        dataset,
        Region.below(-0.02),
        "mean absolute correlation of two units of the last hidden layer",
        "below two hundredths nothing that a reader would see changes",
        "units that are copies of each other, so that none is missed",
    )


def shared(dataset: str) -> Criterion:
    return against(
        "sharing",
        "sharing",
        dataset,
        Region.above(0.05),
        "participation ratio of the units' usefulness",
        "one unit in twenty more that takes part",
        "a few units that do the work, with or without dropout",
    )


def together(dataset: str) -> Criterion:
    """The same noise for each unit, but all units of a layer at once."""
    own = ablated(dataset)
    return replace(
        own,
        name=f"{own.name}-control",
        effect=Difference(
            Value("ablation_area"),
            net(dataset, RATE, "layer"),
            minus=net(dataset, 0.0),
        ),
        region=Region.below(0.05),
        scope=f"{TITLES[dataset]}, one mask for a whole layer at {RATE} against none,"
        f" {EXAMPLES} examples",
        reason="less than what counts as an effect",
        rival="robustness that any multiplicative noise of this variance gives",
        mechanism="units dropped together, none without the others",
    )


COADAPTATION = Claim(
    "do-coadaptation",
    kinds=("difference",),
    document=Assertion(
        "Dropout prevents neurons from co-adapting: every neuron becomes useful in many"
        " contexts, a model depends less on particular ones, and learning is more"
        " robust.",
        tuple(
            made(dataset)
            for made in (ablated, noised, uncorrelated, shared)
            for dataset in DATA
        ),
        expected="supported",
    ),
    corrected=Assertion(
        "Networks trained with dropout lose less accuracy when hidden units are"
        " removed, because units were missing independently of each other in training.",
        tuple(made(dataset) for made in (ablated, together) for dataset in DATA),
        expected="supported",
    ),
    references=("srivastava2014", "hinton2012"),
)
