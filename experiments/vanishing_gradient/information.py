"""What of the input is left in the layers of plain and residual stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import data, engine, figures, networks
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Deviation,
    Difference,
    Mean,
    RankCorrelation,
    Region,
    Trend,
    Value,
)
from dlclaims.pages import Figure, Study, Variant, grid, tidy
from dlclaims.theory.mean_field import Stack

from . import exact
from .propagation import ACTIVATIONS, RULES, initialization, named
from .training import loss

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

WIDTH = 100
DEPTHS = (2, 5, 10, 20)
DEPTH = DEPTHS[-1]
BATCH = 256  # examples whose gradients are compared
FITTED, EXAMPLES = 1200, 1700  # examples that the decoder is fitted on, and all
#: Ridge penalty as a fraction of the layer's mean square activation: information that
#: lies 30 dB below the layer's own level counts as lost.
PENALTY = 1e-3

PLAIN = (("sigmoid", "xavier"), ("tanh", "xavier"), ("tanh", "he"), ("relu", "he"))
RESIDUAL = (("tanh", "xavier"), ("relu", "he"))


def decode(features: np.ndarray, x: np.ndarray) -> float:
    """Share of the input's variance that ridge regression finds in held-out features.

    Parameters
    ----------
    features : np.ndarray
        Shape (examples, units): one layer's activations.
    x : np.ndarray
        Shape (examples, inputs).
    """
    centred = features - features[:FITTED].mean(axis=0)
    target = x - x[:FITTED].mean(axis=0)
    fit, held_out = centred[:FITTED], centred[FITTED:]
    penalty = PENALTY * FITTED * np.mean(features[:FITTED] ** 2)
    gram = fit.T @ fit + penalty * np.eye(features.shape[1])
    predicted = held_out @ np.linalg.solve(gram, fit.T @ target[:FITTED])
    missed = np.sum((target[FITTED:] - predicted) ** 2)
    return float(1 - missed / np.sum(target[FITTED:] ** 2))


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Decodability by layer, and the first layer's gradient signal-to-noise ratio.

    The signal-to-noise ratio of a weight is the size of its mean gradient over the
    examples in units of the spread over them; its median over the first layer's
    weights is reported.
    """
    dataset = data.load("digits")
    stack = Stack(
        inputs=dataset.features,
        depth=variant["depth"],
        width=WIDTH,
        activation=variant["activation"],
        initialization=initialization(variant["initialization"], variant["activation"]),
        residual=variant["stack"] == "residual",
    )
    runs = engine.initialize(
        lambda: networks.mlp(stack, outputs=dataset.classes), seeds=seeds
    )
    orders = [
        seeds.generator(seed, "split").permutation(len(dataset.x)) for seed in seeds
    ]
    chosen = np.stack([order[:EXAMPLES] for order in orders])
    layers = engine.representations(runs, dataset.x[chosen])
    noise = engine.signal_to_noise(
        runs, dataset.x[chosen[:, :BATCH]], dataset.y[chosen[:, :BATCH]], loss
    )
    return tidy(
        {"seed": seeds, "layer": range(1, variant["depth"] + 1)},
        decodability=[
            [decode(layer, dataset.x[rows]) for layer in own]
            for own, rows in zip(layers, chosen, strict=True)
        ],
        signal_to_noise=noise[:, None],
    )


def net(stack: str, activation: str, rule: str, depth: int = DEPTH) -> dict[str, Any]:
    return {
        "stack": stack,
        "activation": activation,
        "initialization": rule,
        "depth": depth,
    }


def words(activation: str, rule: str) -> str:
    return f"{ACTIVATIONS.get(activation, activation)}, {RULES[rule]}"


def decodability(region: Region) -> tuple[Criterion, ...]:
    """How the share of the input that can be read off changes with the layer."""
    return tuple(
        Criterion(
            f"decodability-{activation}-{rule}",
            STUDY.name,
            Mean(
                RankCorrelation("decodability", over="layer"),
                net("plain", activation, rule),
            ),
            region,
            "rank correlation with the layer",
            f"plain stack, {words(activation, rule)}, {DEPTH} layers of {WIDTH}",
            "beyond 0.5 most pairs of layers stand in the order claimed",
            "no relation between depth and what is left of the input",
        )
        for activation, rule in PLAIN
    )


def signal_to_noise(region: Region) -> tuple[Criterion, ...]:
    """How the first layer's gradient signal changes with the depth of the stack."""
    return tuple(
        Criterion(
            f"signal-{activation}-{rule}",
            STUDY.name,
            Trend(
                Value("signal_to_noise", at={"layer": 1}),
                along="depth",
                where={
                    "stack": "plain",
                    "activation": activation,
                    "initialization": rule,
                },
            ),
            region,
            "rank correlation with the depth",
            f"plain stacks, {words(activation, rule)}, {DEPTHS[0]} to {DEPTH} layers",
            "beyond 0.5 most pairs of depths stand in the order claimed",
            "no relation between depth and the gradient's signal",
        )
        for activation, rule in PLAIN
    )


def skip_connections() -> tuple[Criterion, ...]:
    """The last layer of a residual stack against that of the plain one."""
    at_the_end = Value("decodability", at={"layer": DEPTH})
    return tuple(
        Criterion(
            f"skip-{activation}-{rule}",
            STUDY.name,
            Difference(
                at_the_end,
                net("residual", activation, rule),
                minus=net("plain", activation, rule),
            ),
            Region.above(0.1),
            "share of the input's variance",
            f"residual minus plain, {words(activation, rule)}, layer {DEPTH}",
            "a tenth of the input",
            "skip connections that help training by other means only",
        )
        for activation, rule in RESIDUAL
    )


def draw_kept(table: pd.DataFrame, ax: Axes) -> None:
    """Decodability by layer, plain and residual side by side."""
    table = named(table)
    for stack, panel in figures.panels(ax, ["plain", "residual"]).items():
        chosen = table[table["stack"] == stack]
        figures.profile(chosen, panel, x="layer", y="decodability", hue="network")
        panel.set_xlabel("layer, 1 next to the input")
        panel.set_ylabel("input's variance that can be decoded")


STUDY = Study(
    name="information",
    title="What of the input is left in the layers",
    measure=measure,
    standard=tuple(
        variant
        for stack, pairs in (("plain", PLAIN), ("residual", RESIDUAL))
        for activation, rule in pairs
        for variant in grid(
            stack=(stack,),
            activation=(activation,),
            initialization=(rule,),
            depth=DEPTHS,
        )
    ),
    smoke=grid(
        stack=("plain",), activation=("tanh",), initialization=("xavier",), depth=(3,)
    ),
    data=("digits",),
)

KEPT = Figure(
    name="input-kept",
    study=STUDY.name,
    title="What is left of the input, layer by layer",
    draw=draw_kept,
    reading=(
        "The share of the input's variance that a ridge regression recovers from each"
        " layer of an untrained network; thin lines are seeds. A plain stack that"
        " carried its input more directly the deeper it is would rise."
    ),
    where={"depth": DEPTH},
)

DEEPER_MORE_DIRECT = Claim(
    "vg-deeper-more-direct",
    kinds=("trend", "exact"),
    document=Assertion(
        "A deeper network carries its input more directly to the output, and so gets a"
        " better gradient signal.",
        (
            *decodability(Region.above(0.5)),
            *signal_to_noise(Region.above(0.5)),
        ),
        expected="refuted",
    ),
    corrected=Assertion(
        "In a plain stack every layer loses some of the input; skip connections keep it"
        " in reach. Nothing accumulates on the way back: float32 gradients are accurate"
        " however small.",
        (
            *decodability(Region.below(-0.5)),
            *skip_connections(),
            Criterion(
                "no-accumulation",
                exact.PRECISION.name,
                Deviation(Value("deviation"), {"activation": "sigmoid", "depth": 10}),
                Region.below(1e-4),
                "relative deviation of float32 from float64 gradients",
                "sigmoid, Xavier, 10 layers of 100, first layer",
                "a thousand times float32's rounding unit",
                "rounding errors that add up on the way back",
            ),
        ),
        expected="supported",
    ),
    references=("schoenholz2017", "he2016", "balduzzi2017"),
)
