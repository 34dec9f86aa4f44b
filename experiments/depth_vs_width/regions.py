"""How many linear regions networks of one number of neurons have, by their depth."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import engine, figures
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    LogRatio,
    Published,
    Region,
    Trend,
    Value,
)
from dlclaims.pages import Figure, Study, Variant, tidy
from dlclaims.theory import piecewise

from . import nets, sawtooth

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

INPUTS = 16
LINES = 8  # segments between two random inputs, for each network
BIAS = 0.1  # deviation: kinks need biases of some spread to lie apart
NEURONS = (32, 64, 128)
DEPTHS = (1, 2, 4, 8)
NARROW = 16  # layers of 4 of the 64 neurons, reported only
FIFTH = math.log(1.2)


def net(neurons: int, depth: int) -> dict[str, Any]:
    return {"neurons": neurons, "depth": depth}


def shape(variant: Variant) -> tuple[int, ...]:
    return (variant["neurons"] // variant["depth"],) * variant["depth"]


def counts(runs: engine.Runs, row: int, ends: np.ndarray) -> float:
    """Return a replica's linear regions, the mean over segments.

    Parameters
    ----------
    runs : engine.Runs
    row : int
        Of the replica.
    ends : np.ndarray, shape (2, segments, inputs)
    """
    weights = [weight[row].astype(float) for weight in runs.weights]
    found = [
        1 + len(piecewise.breakpoints(weights, a, b))
        for a, b in zip(*ends, strict=True)
    ]
    return float(np.mean(found))


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Regions of untrained networks between two standard normal inputs."""
    widths = shape(variant)
    runs = engine.initialize(lambda: nets.relu(INPUTS, widths, bias=BIAS), seeds=seeds)
    found = np.array(
        [
            counts(
                runs,
                row,
                seeds.generator(seed, "data").standard_normal((2, LINES, INPUTS)),
            )
            for row, seed in enumerate(seeds)
        ]
    )
    return tidy(
        {"seed": seeds},
        regions=found,
        per_neuron=(found - 1) / variant["neurons"],
        log10_bound=math.log10(piecewise.most_regions(widths)),
        parameters=runs.parameters,
        multiply_accumulates=runs.multiply_accumulates,
    )


def predict(variant: Variant) -> pd.DataFrame:
    """The bound: no network of these widths has more regions along a line."""
    return tidy({"regions": [piecewise.most_regions(shape(variant))]})


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Regions by neurons, the depths beside each other, under their bounds."""
    rows = table[table["depth"].isin(DEPTHS)]
    names = {depth: f"{depth} layer{'s' if depth > 1 else ''}" for depth in DEPTHS}
    own = rows.assign(layers=rows["depth"].map(names))
    figures.dots(own, ax, x="neurons", y="regions", hue="layers")
    ax.set_yscale("log")
    ax.set_ylim(5, 10_000)
    ax.set_xlabel("hidden neurons in all layers together")
    ax.set_ylabel("linear regions between two inputs")


def nets_of(neurons: tuple[int, ...], *further: dict[str, Any]) -> tuple[Variant, ...]:
    """Networks whose layers are 8 neurons wide or wider, and others."""
    wide = [net(n, depth) for n in neurons for depth in DEPTHS if n >= 8 * depth]
    return tuple(Variant(tuple(levels.items())) for levels in (*wide, *further))


STUDY = Study(
    name="regions",
    title="Linear regions of untrained networks along a line",
    measure=measure,
    predict=predict,
    standard=nets_of(NEURONS, net(64, NARROW)),
    quick=nets_of((64,)),
    smoke=nets_of((32,)),
    sampling="rate",  # nets are cheap, and counts scatter
)

BY_NEURONS = Figure(
    name="regions-by-neurons",
    study=STUDY.name,
    title="Linear regions along a line before training, by neurons and layers",
    draw=draw,
    reading=(
        "Each dot is one seed's regions; equal heights side by side mean that depth"
        " does not matter, only the number of neurons. The dashed lines are the most"
        " that any weights could give: most of those of four layers or more lie far"
        " above the picture."
    ),
)


def ratio(
    name: str,
    of: dict[str, Any],
    over: dict[str, Any],
    region: Region,
    reason: str,
    rival: str,
) -> Criterion:
    def words(levels: dict[str, Any]) -> str:
        depth = levels["depth"]
        return (
            f"{depth} layer{'s' if depth > 1 else ''} of {levels['neurons'] // depth}"
        )

    return Criterion(
        name,
        STUDY.name,
        LogRatio(Value("regions"), of, over=over),
        region,
        "log ratio of regions",
        f"{words(of)} against {words(over)}, untrained, {INPUTS} inputs",
        reason,
        rival,
    )


def deeper_has_more(depth: int) -> Criterion:
    return ratio(
        f"more-{depth}",
        net(64, depth),
        net(64, 1),
        Region.above(FIFTH),
        "a fifth more regions are the least that one would call more expressive",
        "as many regions as the neurons give at any depth",
    )


def as_many(neurons: int, depth: int) -> Criterion:
    return ratio(
        f"as-many-{neurons}-{depth}",
        net(neurons, depth),
        net(neurons, 1),
        Region.around(0.0, FIFTH),
        "a fifth is far less than the factors of the bound",
        "regions that multiply from layer to layer",
    )


def in_proportion(depth: int) -> Criterion:
    return ratio(
        f"proportional-{depth}",
        net(128, depth),
        net(32, depth),
        Region.around(math.log(4), FIFTH),
        "four times the neurons, within a fifth",
        f"growth with the power {depth} of the width, as of the bound",
    )


BY_HAND = replace(
    sawtooth.has_pieces(8),
    name="by-hand",
    scope="8 layers of 2, weights of the folded tent, 256 pieces",
    rival="a count that cannot see more regions than neurons",
    mechanism="weights set by hand instead of drawn",
)

LINEAR_REGIONS = Claim(
    "dvw-linear-regions",
    kinds=("trend", "rate"),
    document=Assertion(
        "More depth makes networks more expressive, not only for the best of weights:"
        " with as many neurons, a deeper network typically has more linear regions.",
        tuple(deeper_has_more(depth) for depth in DEPTHS[1:]),
        expected="refuted",
    ),
    corrected=Assertion(
        "In untrained networks with layers of at least 8 neurons, the linear regions"
        " along a line grow with the number of neurons and not with depth, although"
        " weights set by hand can give exponentially many.",
        (
            *(as_many(64, depth) for depth in DEPTHS[1:]),
            as_many(128, 8),
            *(in_proportion(depth) for depth in (2, 4)),
            Criterion(
                "grows",
                STUDY.name,
                Trend(Value("regions"), "neurons", {"depth": 4}),
                Region.above(0.8),
                "rank correlation of regions with neurons",
                f"4 layers, 32, 64 and 128 neurons, untrained, {INPUTS} inputs",
                "of three sizes, nearly all seeds must put all in order",
                "a number of regions that the length of the line sets",
            ),
            BY_HAND,
        ),
        expected="supported",
    ),
    theory=(
        r"\text{untrained: regions} \approx c\,N,\ c \text{ free of depth};\quad"
        r"\text{at most} \prod_l (n_l + 1)"
    ),
    references=("hanin2019", "montufar2014", "raghu2017"),
    published=(
        Published(
            "linear growth with the number of neurons",
            "the average number of linear regions along a line, before training",
            "hanin2019",
            "abstract",
        ),
    ),
)
