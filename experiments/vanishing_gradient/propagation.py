"""How the gradient's size changes from layer to layer at initialisation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import engine, figures, networks
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Gap,
    Mean,
    RankCorrelation,
    Region,
    Slope,
    Value,
)
from dlclaims.pages import Figure, Study, Variant, grid, tidy
from dlclaims.theory import mean_field

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

EXAMPLES = 256

#: The initialisations that a claim speaks of, by activation.
INITIALIZATIONS = {
    "sigmoid": ("document", "xavier", "he", "critical"),
    "centred_sigmoid": ("critical",),
    "tanh": ("document", "xavier", "he", "scale-4"),
    "relu": ("document", "xavier", "he", "scale-4"),
}

#: In words, for scopes and legends.
ACTIVATIONS = {"centred_sigmoid": "centred sigmoid", "relu": "ReLU"}
RULES = {
    "document": "U(-0.1, 0.1)",
    "xavier": "Xavier",
    "he": "He",
    "critical": "critical scale",
    "scale-4": "variance 4/n",
}

#: Change of the log gradient per layer on the way from the input to the output; above
#: 0 the gradient vanishes on its way back, below 0 it explodes.
PER_LAYER = Slope("log_gradient", over="layer")


def initialization(name: str, activation: str) -> mean_field.Initialization:
    if name == "scale-4":
        return mean_field.Initialization(name, scale=4.0)
    return mean_field.initialization(name, activation)


def stack(variant: Variant) -> mean_field.Stack:
    """The variant as theory sees it; inputs are as wide as the layers."""
    return mean_field.Stack(
        inputs=variant["width"],
        depth=variant["depth"],
        width=variant["width"],
        activation=variant["activation"],
        initialization=initialization(variant["initialization"], variant["activation"]),
    )


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Rms gradient at the pre-activations of every layer, relative to the last one.

    Inputs are standard normal, one set a seed; each example has its own random
    read-out of the last layer, so that its gradient is J^T c with independent c.
    """
    runs = engine.initialize(lambda: networks.mlp(stack(variant)), seeds=seeds)
    inputs = [seeds.generator(seed, "data") for seed in seeds]
    x = np.stack([rng.standard_normal((EXAMPLES, variant["width"])) for rng in inputs])
    table = engine.preactivation_gradients(runs, x)
    last = table.groupby("seed")["log_gradient"].transform("last")
    return table.assign(log_gradient=table["log_gradient"] - last)


def predict(variant: Variant) -> pd.DataFrame:
    """The same table by the finite-depth mean-field recursion, for inputs of rms 1."""
    layers = range(1, variant["depth"] + 1)
    return tidy(
        {"layer": layers}, log_gradient=mean_field.log_gradient_norms(stack(variant))
    )


def named(table: pd.DataFrame) -> pd.DataFrame:
    """The table with activations and initialisations in words, and both as one."""
    activation = table["activation"].replace(ACTIVATIONS)
    rule = table["initialization"].replace(RULES)
    return table.assign(
        activation=activation, initialization=rule, network=activation + ", " + rule
    )


def draw_profiles(table: pd.DataFrame, ax: Axes) -> None:
    """Gradient against layer, one panel an activation."""
    table = named(table).assign(log10_gradient=table["log_gradient"] / np.log(10))
    names = [ACTIVATIONS.get(name, name) for name in INITIALIZATIONS]
    for activation, panel in figures.panels(ax, names).items():
        chosen = table[table["activation"] == activation]
        figures.profile(
            chosen, panel, x="layer", y="log10_gradient", hue="initialization"
        )
        panel.set_xlabel("layer, 1 next to the input")
        panel.set_ylabel("log10 gradient, relative to last layer")


def combinations(
    widths: tuple[int, ...], depths: tuple[int, ...]
) -> tuple[Variant, ...]:
    return tuple(
        variant
        for activation, names in INITIALIZATIONS.items()
        for variant in grid(
            activation=(activation,), initialization=names, width=widths, depth=depths
        )
    )


def draw_agreement(table: pd.DataFrame, ax: Axes) -> None:
    """Predicted against measured change per layer, one dot a network.

    Gradients are relative to the last layer, so the first layer tells the change.
    """
    table = named(table).assign(change=table["log_gradient"] / (1 - table["depth"]))
    factors = ["activation", "initialization", "width", "depth"]
    means = table.groupby([*factors, "source"])["change"].mean().unstack("source")
    figures.diagonal(
        means.reset_index(), ax, x="theory", y="measured", hue="activation"
    )
    ax.set_xlabel("predicted change towards the output, nats per layer")
    ax.set_ylabel("measured, mean over seeds")


STUDY = Study(
    name="propagation",
    title="Gradients from layer to layer before any training",
    measure=measure,
    predict=predict,
    standard=combinations((64, 100, 300), (2, 5, 10, 20, 40)),
    quick=combinations((100, 300), (10, 20)),
    smoke=combinations((32,), (5,)),
    full=combinations((64, 100, 300, 1024), (2, 5, 10, 20, 40)),
)

PROFILES = Figure(
    name="gradient-profiles",
    study=STUDY.name,
    title="Gradient size from layer to layer before training",
    draw=draw_profiles,
    reading=(
        "Each thin line is one seed's gradient size in a network of 20 layers of 300"
        " units, read from the output (right) towards the input (left); the dashed"
        " line is what mean-field theory predicts without any fitted number. A line"
        " that falls to the left is a vanishing gradient, a level one is preserved."
    ),
    where={"width": 300, "depth": 20},
)

AGREEMENT = Figure(
    name="theory-agreement",
    study=STUDY.name,
    title="Change per layer: theory against measurement",
    draw=draw_agreement,
    reading=(
        "Each dot is one network: activation, initialisation, width and depth. On the"
        " diagonal theory and measurement agree; right of 0 gradients vanish, left of 0"
        " they explode."
    ),
    where={"layer": 1},
)

NATS = "nats per layer"

#: 0.05 nats a layer halve the gradient in 14 layers, well within the grid's depths.
VANISHES = Region.above(0.05)
KEEPS = Region.below(0.05)
HALVES = "0.05 nats a layer halve the gradient within 14 layers"


def net(
    activation: str, rule: str, width: int = 300, depth: int = 20
) -> dict[str, Any]:
    return {
        "activation": activation,
        "initialization": rule,
        "width": width,
        "depth": depth,
    }


def words(where: dict[str, Any]) -> str:
    activation = ACTIVATIONS.get(where["activation"], where["activation"])
    rule = RULES[where["initialization"]]
    return f"{activation}, {rule}, {where['depth']} layers of {where['width']}"


def label(where: dict[str, Any]) -> str:
    return "-".join(str(level) for level in where.values()).replace("_", "-")


def slope(where: dict[str, Any], region: Region, reason: str, rival: str) -> Criterion:
    """The measured change per layer must lie in the region."""
    return Criterion(
        f"slope-{label(where)}",
        STUDY.name,
        Mean(PER_LAYER, where),
        region,
        NATS,
        words(where),
        reason,
        rival,
    )


def agrees(
    where: dict[str, Any],
    tolerance: float = 0.01,
    reason: str = "0.01 nats are one per cent of the gradient in a layer",
) -> Criterion:
    """The measured change per layer must agree with the recursion."""
    return Criterion(
        f"theory-{label(where)}",
        STUDY.name,
        Gap(PER_LAYER, where),
        Region.around(0, tolerance),
        NATS,
        words(where),
        reason,
        "a factor given by the activation's slope alone, without the weights",
    )


def vanishes(where: dict[str, Any]) -> Criterion:
    return slope(where, VANISHES, HALVES, "gradients of one size in all layers")


def keeps(where: dict[str, Any]) -> Criterion:
    return slope(where, KEEPS, HALVES, "gradients that shrink towards the input")


NINE = tuple(
    net(activation, rule)
    for activation in ("sigmoid", "tanh", "relu")
    for rule in ("document", "xavier", "he")
)

JACOBIAN_PRODUCT = Claim(
    "vg-jacobian-product",
    kinds=("rate",),
    document=Assertion(
        "Backpropagation multiplies one factor a layer; where the factors are below"
        " one, the gradient shrinks geometrically with depth.",
        tuple(
            vanishes(net(activation, rule))
            for activation, rule in (
                ("sigmoid", "xavier"),
                ("sigmoid", "he"),
                ("relu", "xavier"),
            )
        ),
        expected="supported",
    ),
    corrected=Assertion(
        "The factor is √χ with χ = σ_w² E[φ′(z)²], weights and slopes"
        " together: below one gradients vanish, above one they explode.",
        tuple(agrees(where) for where in NINE),
        expected="supported",
    ),
    theory=(
        r"\log\frac{|g_l|}{|g_{l+1}|} = \tfrac12\log\chi(q_l),\quad"
        r"\chi(q) = \sigma_w^2\,\mathbb{E}\,\varphi'(\sqrt{q}\,Z)^2,\quad "
        r"q_{l+1} = \sigma_w^2\,\mathbb{E}\,\varphi(\sqrt{q_l}\,Z)^2"
    ),
    references=("poole2016", "schoenholz2017"),
)


TEN = net("sigmoid", "xavier", depth=10)

SIGMOID_VANISHES = Claim(
    "vg-sigmoid-vanishes",
    kinds=("rate", "trend"),
    document=Assertion(
        "Sigmoid activations give exponentially small gradients in deep networks.",
        (
            agrees(TEN, 0.14, "a tenth of what theory predicts"),
            agrees(net("sigmoid", "xavier"), 0.14, "a tenth of what theory predicts"),
            agrees(
                net("sigmoid", "document", width=100, depth=10),
                0.19,
                "a tenth of what theory predicts",
            ),
            Criterion(
                "first-layer",
                STUDY.name,
                Mean(Value("log_gradient", at={"layer": 1}), TEN),
                Region.below(math.log(1e-4)),
                "nats",
                f"first layer relative to the last; {words(TEN)}",
                "ten thousand times smaller: no learning rate serves both ends",
                "a loss by a constant factor, or polynomial in the depth",
            ),
        ),
        expected="supported",
    ),
    corrected=None,
    theory=r"|g_1|/|g_{10}| \approx 0.236^{9}\quad(\sigma_w^2=1)",
    references=("hochreiter1991", "bengio1994", "glorot2010"),
)


DECREASING = (
    net("sigmoid", "xavier", depth=10),
    net("tanh", "document", width=100, depth=10),
)


def ranks(region: Region, rival: str) -> tuple[Criterion, ...]:
    return tuple(
        Criterion(
            f"order-{label(where)}",
            STUDY.name,
            Mean(RankCorrelation("log_activation_gradient", over="layer"), where),
            region,
            "rank correlation",
            words(where),
            "0.9 leaves room for two neighbours that change places",
            rival,
        )
        for where in DECREASING
    )


DIRECTION = Claim(
    "vg-direction-in-l",
    kinds=("trend",),
    document=Assertion(
        "Where gradients vanish, dL/da_l becomes smaller as the layer number l grows.",
        ranks(Region.below(-0.9), "gradients that grow with l"),
        expected="refuted",
    ),
    corrected=Assertion(
        "Where gradients vanish, dL/da_l gets smaller towards the input, as l falls.",
        ranks(Region.above(0.9), "gradients that fall with l"),
        expected="supported",
    ),
)


EXPLODING_CASES = (net("tanh", "he"), net("tanh", "scale-4"), net("relu", "scale-4"))

EXPLODING = Claim(
    "vg-exploding",
    kinds=("rate",),
    document=Assertion(
        "Gradients of deep networks can also explode.",
        tuple(
            slope(
                where,
                Region.below(-0.02),
                "0.02 nats a layer grow the gradient by half in 20 layers",
                "gradients that vanish or keep their size",
            )
            for where in EXPLODING_CASES
        ),
        expected="supported",
    ),
    corrected=Assertion(
        "Gradients explode where χ > 1, by √χ a layer.",
        tuple(agrees(where) for where in EXPLODING_CASES),
        expected="supported",
    ),
    theory=r"\sqrt{\chi}=\sqrt2\ \text{for ReLU at}\ \sigma_w^2=4",
    references=("poole2016", "schoenholz2017"),
)
