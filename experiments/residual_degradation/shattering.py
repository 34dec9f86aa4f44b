"""How alike the gradients of neighbouring inputs are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dlclaims import figures
from dlclaims.claims import Assertion, Claim, Criterion, Mean, Region, Slope
from dlclaims.pages import Figure, Study, Variant, grid, tidy
from dlclaims.theory import residual

from .blocks import normalized, weights

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

DEPTHS = (2, 8, 16, 24, 48)  # layers, two a block
WIDTH, PAIRS = 200, 128
NEAR = 0.999  # correlation of two neighbouring inputs

PER_LAYER = Slope("log_correlation", over="layers")
WORDS = {"plain": "plain", "residual": "with skips"}


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Log correlation of the input gradients of neighbours, by number of layers.

    Every depth is a network of its own, both arms with the same weights; batch
    normalisation uses the statistics of all inputs, and gradients take them as fixed.
    """
    found = [
        [
            correlation(
                depth, variant["arm"] == "residual", seeds.generator(seed, "init")
            )
            for depth in DEPTHS
        ]
        for seed in seeds
    ]
    return tidy({"seed": seeds, "layers": DEPTHS}, log_correlation=np.log(found))


def correlation(depth: int, residual: bool, rng: np.random.Generator) -> float:
    """Return the mean cosine between the input gradients of pairs of neighbours."""
    here, other = rng.standard_normal((2, PAIRS, WIDTH))
    there = NEAR * here + math.sqrt(1 - NEAR**2) * other
    readout = rng.standard_normal((PAIRS, WIDTH))
    x = np.concatenate([here, there])
    slopes, blocks = np.concatenate([readout, readout]), []
    for _ in range(depth // 2):
        branch, passes = x, []
        for layer in (weights(rng, WIDTH), weights(rng, WIDTH)):
            branch, deviation = normalized(branch)
            passes.append((layer, branch > 0, deviation))
            branch = np.maximum(branch, 0) @ layer
        blocks.append(passes)
        x = x + branch if residual else branch
    for passes in reversed(blocks):
        through = slopes
        for layer, is_active, deviation in reversed(passes):
            through = through @ layer.T * is_active / deviation
        slopes = slopes + through if residual else through
    one, two = slopes[:PAIRS], slopes[PAIRS:]
    cosines = np.sum(one * two, axis=1) / (
        np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    )
    return float(cosines.mean())


def predict(variant: Variant) -> pd.DataFrame:
    """The same table for infinite width."""
    by_block = residual.gradient_correlation(
        NEAR, DEPTHS[-1] // 2, variant["arm"] == "residual"
    )
    blocks = [depth // 2 for depth in DEPTHS]
    return tidy({"layers": DEPTHS}, log_correlation=np.log(by_block[blocks]))


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Correlation of gradients by depth."""
    named = table.assign(
        network=table["arm"].map(WORDS), correlation=np.exp(table["log_correlation"])
    )
    figures.profile(named, ax, x="layers", y="correlation", hue="network")
    ax.set_xlabel("layers")
    ax.set_ylabel("correlation of the gradients at two neighbouring inputs")


STUDY = Study(
    name="shattering",
    title="Gradients at neighbouring inputs, at the start",
    measure=measure,
    predict=predict,
    standard=grid(arm=tuple(WORDS)),
    smoke=grid(arm=("residual",)),
)

CORRELATION = Figure(
    name="gradient-correlation",
    study=STUDY.name,
    title="Gradients at two neighbouring inputs agree less and less in plain networks",
    draw=draw,
    reading=(
        "Each thin line is one seed, dashed is theory: how alike the gradients are at"
        f" two inputs that correlate by {NEAR}. Both arms have the same weights and"
        " batch normalisation; one has skips."
    ),
)


def slope(arm: str, region: Region, reason: str, rival: str) -> Criterion:
    return Criterion(
        f"slope-{arm}",
        STUDY.name,
        Mean(PER_LAYER, {"arm": arm}),
        region,
        "nats of the correlation per layer",
        f"{WORDS[arm]}, batch normalisation, He, width {WIDTH}, 2 to 48 layers",
        reason,
        rival,
    )


SHATTERS = slope(
    "plain",
    Region.below(-0.005),
    "0.005 nats a layer lose a fifth of the correlation in 48 layers",
    "gradients that differ as little as the inputs, whatever the depth",
)

SHATTERING = Claim(
    "rd-shattering",
    kinds=("rate", "trend"),
    document=None,
    corrected=Assertion(
        "At neighbouring inputs gradients of plain networks agree less with every"
        " layer; with skips they hardly lose any agreement.",
        (
            SHATTERS,
            SHATTERS.without(
                {"arm": "residual"},
                "with skips",
                Region.around(0, 0.002),
                "0.002 nats a layer leave nine tenths of the correlation after 48",
            ),
        ),
        expected="supported",
    ),
    theory=(
        r"\rho_{\nabla}' = \rho_{\nabla}\,\kappa_0(\rho)\,\kappa_0(\kappa_1(\rho)),"
        r"\qquad \kappa_0(\rho) = 1 - \tfrac{1}{\pi}\arccos\rho"
    ),
    references=("balduzzi2017",),
)
