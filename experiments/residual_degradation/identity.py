"""What a gradient keeps along a skip of some strength."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import figures
from dlclaims.claims import Assertion, Claim, Criterion, Gap, Mean, Region, Slope
from dlclaims.pages import Figure, Study, Variant, grid, tidy
from dlclaims.theory import residual

from .blocks import rms, weights

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

BLOCKS, WIDTH, EXAMPLES = 20, 300, 64
SKIPS = (0.0, 0.5, 0.9, 1.0, 1.1)
BRANCHES = (0.05, 1.0)  # mean squared singular values of the branch's Jacobian

PER_BLOCK = Slope("log_gradient", over="blocks_passed")


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Log rms gradient after so many blocks on its way to the input.

    Blocks are x' = skip x + W relu(x); ReLU passes half of a symmetric signal, so W has
    twice the branch's energy. Every example has its own random read-out.
    """
    found = [
        gradients(variant["skip"], variant["branch"], seeds.generator(seed, "init"))
        for seed in seeds
    ]
    return tidy({"seed": seeds, "blocks_passed": range(BLOCKS + 1)}, log_gradient=found)


def gradients(skip: float, branch: float, rng: np.random.Generator) -> list[float]:
    """Return the log rms gradients, from the output (0) to the input."""
    x = rng.standard_normal((EXAMPLES, WIDTH))
    layers = [weights(rng, WIDTH, 2 * branch) for _ in range(BLOCKS)]
    active = []
    for layer in layers:
        active.append(x > 0)
        x = skip * x + np.maximum(x, 0) @ layer
    slope = rng.standard_normal((EXAMPLES, WIDTH))
    found = [math.log(rms(slope))]
    for layer, is_active in zip(reversed(layers), reversed(active), strict=True):
        slope = skip * slope + slope @ layer.T * is_active
        found.append(math.log(rms(slope)))
    return found


def predict(variant: Variant) -> pd.DataFrame:
    """The same table for infinite width."""
    passed = np.arange(BLOCKS + 1)
    gain = residual.log_gain(variant["skip"], variant["branch"])
    return tidy({"blocks_passed": passed}, log_gradient=passed * gain)


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Gradient by blocks passed, one panel a branch."""
    titles = {branch: f"branch energy {branch:g}" for branch in BRANCHES}
    named = table.assign(
        title=table["branch"].map(titles),
        log10=table["log_gradient"] / np.log(10),
        strength=table["skip"].map("skip of {:g}".format),
    )
    for title, panel in figures.panels(ax, list(titles.values())).items():
        chosen = named[named["title"] == title]
        figures.profile(chosen, panel, x="blocks_passed", y="log10", hue="strength")
        panel.set_xlabel("blocks passed, from the output")
        panel.set_ylabel("log10 gradient")


STUDY = Study(
    name="identity",
    title="Gradients along skips of some strength, at the start",
    measure=measure,
    predict=predict,
    standard=grid(skip=SKIPS, branch=BRANCHES),
    smoke=grid(skip=(1.0,), branch=(0.05,)),
)

PATHS = Figure(
    name="identity-path",
    study=STUDY.name,
    title="What a gradient keeps on its way back, by strength of the skip",
    draw=draw,
    reading=(
        "Each thin line is one seed's gradient after so many blocks, colours are what"
        " the skip is multiplied by (0: no skip); dashed, theory. With weak branches"
        " only a skip of 1 keeps the gradient: 0.9 already loses it."
    ),
)


def net(skip: float, branch: float) -> dict[str, Any]:
    return {"skip": skip, "branch": branch}


def words(skip: float, branch: float) -> str:
    return f"skip times {skip:g}, branch energy {branch:g}, width {WIDTH}"


def label(skip: float, branch: float) -> str:
    return f"{skip:g}-{branch:g}".replace(".", "")


NATS = "nats per block, towards the input"
KEEPS = Region.above(-0.05)
HALVES = "0.05 nats a block halve the gradient within 14 blocks"


def keeps(skip: float, branch: float) -> Criterion:
    return Criterion(
        f"keeps-{label(skip, branch)}",
        STUDY.name,
        Mean(PER_BLOCK, net(skip, branch)),
        KEEPS,
        NATS,
        words(skip, branch),
        HALVES,
        "a gradient that shrinks from block to block",
    )


def agrees(skip: float, branch: float) -> Criterion:
    return Criterion(
        f"theory-{label(skip, branch)}",
        STUDY.name,
        Gap(PER_BLOCK, net(skip, branch)),
        Region.around(0, 0.02),
        NATS,
        words(skip, branch),
        "two per cent of the gradient in a block",
        "a path along the skip alone, or along the branches alone",
    )


LOSES, GROWS = Region.below(-0.05), Region.above(0.05)


def passes(skip: float, region: Region, rival: str) -> Criterion:
    """Beside weak branches: what a skip of another strength does."""
    return Criterion(
        f"{'loses' if region == LOSES else 'grows'}-{label(skip, BRANCHES[0])}",
        STUDY.name,
        Mean(PER_BLOCK, net(skip, BRANCHES[0])),
        region,
        NATS,
        words(skip, BRANCHES[0]),
        HALVES if region == LOSES else "0.05 nats a block double it within 14 blocks",
        rival,
    )


IDENTITY_PATH = Claim(
    "rd-identity-path",
    kinds=("rate",),
    document=Assertion(
        "Shortcut connections let information flow directly between layers, so that"
        " gradients do not vanish.",
        tuple(keeps(1.0, branch) for branch in BRANCHES),
        expected="supported",
    ),
    corrected=Assertion(
        "Along a skip times λ gradients change by √(λ² + branch energy) a block: beside"
        " weak branches a skip of 1 keeps them, a weaker one or none loses them, and"
        " beyond 1 they grow.",
        (
            *(agrees(skip, b) for b in BRANCHES for skip in SKIPS if skip),
            keeps(1.0, BRANCHES[0]),
            passes(0.9, LOSES, "a skip that need not be 1"),
            passes(1.1, GROWS, "a skip that may be stronger at no cost"),
            keeps(1.0, BRANCHES[0]).without(
                {"skip": 0.0},
                "without the skip",
                LOSES,
                HALVES,
            ),
        ),
        expected="supported",
    ),
    theory=(
        r"\frac{|\partial J / \partial x_l|}{|\partial J / \partial x_{l+1}|}"
        r" = \sqrt{\lambda^2 + \chi_F}"
    ),
    references=("he2016identity",),
)
