"""How alike the gradients of neighbouring inputs are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dlclaims import figures
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Difference,
    Mean,
    Region,
    Slope,
    Value,
)
from dlclaims.pages import Figure, Study, Variant, grid, tidy
from dlclaims.theory import residual

from .blocks import normalized, weights

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

DEPTHS = (2, 8, 16, 24, 48)  # layers, two a block
MIDDLE = 16
WIDTH, PAIRS = 200, 128
NEAR = 0.999  # correlation of two neighbouring inputs

PER_LAYER = Slope("log_correlation", over="layers")
WORDS = {"plain": "plain", "residual": "with skips"}
NORMALIZATIONS = {
    "batch": "batch normalisation",
    "none": "no normalisation",
}


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Correlation of the input gradients of neighbours, by number of layers.

    Every depth is a network of its own, all arms with the same weights. Batch
    normalisation uses the statistics of all inputs, and gradients take them as fixed;
    without it branches beside skips are multiplied by 1 / sqrt(blocks). The logarithm
    is missing where normalised networks leave no correlation.
    """
    found = np.array(
        [
            [
                correlation(
                    depth // 2,
                    variant["arm"] == "residual",
                    variant["normalization"] == "batch",
                    seeds.generator(seed, "init"),
                )
                for depth in DEPTHS
            ]
            for seed in seeds
        ]
    )
    return tidy({"seed": seeds, "layers": DEPTHS}, **columns(variant, found))


def columns(variant: Variant, correlations: np.ndarray) -> dict[str, np.ndarray]:
    if variant["normalization"] == "batch":
        return {"correlation": correlations}
    return {"correlation": correlations, "log_correlation": np.log(correlations)}


def correlation(
    blocks: int, residual: bool, normalize: bool, rng: np.random.Generator
) -> float:
    """Return the mean cosine between the input gradients of pairs of neighbours."""
    here, other = rng.standard_normal((2, PAIRS, WIDTH))
    there = NEAR * here + math.sqrt(1 - NEAR**2) * other
    readout = rng.standard_normal((PAIRS, WIDTH))
    x = np.concatenate([here, there])
    slopes, passes = np.concatenate([readout, readout]), []
    share = 1 / math.sqrt(blocks) if residual and not normalize else 1.0
    for _ in range(blocks):
        branch, passed = x, []
        for layer in (weights(rng, WIDTH), weights(rng, WIDTH)):
            deviation = np.ones(WIDTH)
            if normalize:
                branch, deviation = normalized(branch)
            passed.append((layer, (branch > 0) / deviation))
            branch = np.maximum(branch, 0) @ layer
        passes.append(passed)
        x = x + share * branch if residual else branch
    for passed in reversed(passes):
        through = share * slopes
        for layer, slope in reversed(passed):
            through = through @ layer.T * slope
        slopes = slopes + through if residual else through
    one, two = slopes[:PAIRS], slopes[PAIRS:]
    cosines = np.sum(one * two, axis=1) / (
        np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    )
    return float(cosines.mean())


def predict(variant: Variant) -> pd.DataFrame:
    """The same table for infinite width."""
    found = np.array(
        [
            residual.gradient_correlation(
                NEAR,
                depth // 2,
                variant["arm"] == "residual",
                variant["normalization"] == "batch",
            )
            for depth in DEPTHS
        ]
    )
    return tidy({"layers": DEPTHS}, **columns(variant, found))


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Correlation of gradients by depth, one panel a normalisation."""
    named = table.assign(network=table["arm"].map(WORDS))
    for title, panel in figures.panels(ax, list(NORMALIZATIONS.values())).items():
        chosen = named[named["normalization"].map(NORMALIZATIONS) == title]
        figures.profile(chosen, panel, x="layers", y="correlation", hue="network")
        panel.set_xlabel("layers")
        panel.set_ylabel("correlation of the gradients at two neighbouring inputs")


STUDY = Study(
    name="shattering",
    title="Gradients at neighbouring inputs, at the start",
    measure=measure,
    predict=predict,
    standard=grid(arm=tuple(WORDS), normalization=tuple(NORMALIZATIONS)),
    smoke=grid(arm=("residual",), normalization=("none",)),
)

CORRELATION = Figure(
    name="gradient-correlation",
    study=STUDY.name,
    title="How alike gradients at two neighbouring inputs are",
    draw=draw,
    reading=(
        "Each thin line is one seed, dashed is theory: how alike the gradients are at"
        f" two inputs that correlate by {NEAR}. In plain networks every layer makes"
        " them less so, above all behind batch normalisation; skips slow that down."
    ),
)


def slope(arm: str, region: Region, reason: str, rival: str) -> Criterion:
    return Criterion(
        f"slope-{arm}",
        STUDY.name,
        Mean(PER_LAYER, {"arm": arm, "normalization": "none"}),
        region,
        "nats of correlation per layer",
        f"{WORDS[arm]}, no normalisation, He, width {WIDTH}, 2 to 48 layers",
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
        "In plain networks the gradients at two neighbouring inputs agree less with"
        " every layer. Skips keep them alike where branches are multiplied by"
        " 1/√blocks; with batch normalisation they keep them more alike.",
        (
            SHATTERS,
            SHATTERS.without(
                {"arm": "residual"},
                "with skips, branches times 1/√blocks",
                Region.around(0, 0.002),
                "0.002 nats a layer leave nine tenths of the correlation after 48",
            ),
            Criterion(
                "skips-batch",
                STUDY.name,
                Difference(
                    Value("correlation", at={"layers": MIDDLE}),
                    {"arm": "residual", "normalization": "batch"},
                    minus={"arm": "plain", "normalization": "batch"},
                ),
                Region.above(0.1),
                "correlation of gradients",
                f"with skips against plain, batch normalisation, {MIDDLE} layers of"
                f" {WIDTH}",
                "a tenth of the correlation",
                "normalisation that undoes what skips keep",
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
