"""Mean and variance of what dropout lets through, and whether scaling is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlclaims.claims import Assertion, Claim, Region
from dlclaims.pages import Study, Variant, grid, tidy
from dlclaims.theory import dropout

from . import layer

if TYPE_CHECKING:
    import pandas as pd

    from dlclaims.seeds import Seeds

DRAWS, ENTRIES = 100_000, 20  # masks whose moments are taken, and entries in each
SMALLEST = 0.01  # relative fall of a unit's share that would count as depending less


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Moments of dropped-out activations over many masks, and the shares of units.

    A unit's share in an input of the next layer is its part of the sum of absolute
    contributions, outgoing weights normal; the largest of all units counts.
    """
    rate, rows = variant["rate"], []
    for seed in seeds:
        rng = seeds.generator(seed, "data")
        h, weights = rng.uniform(1, 2, ENTRIES), rng.standard_normal(ENTRIES)
        inputs = np.broadcast_to(h.astype("float32"), (DRAWS, ENTRIES))
        drawn = np.asarray(layer.of(variant, seeds, seed)(inputs, training=True), float)
        variance = dropout.relative_variance(rate) * h**2
        before, after = (
            np.abs(output * weights).max() / np.abs(output * weights).sum()
            for output in (h, (1 - rate) * h)
        )
        rows.append(
            (
                np.abs(drawn.mean(axis=0) / h - 1).max(),
                np.abs(drawn.var(axis=0) / variance - 1).max(),
                abs(after / before - 1),
                max(0.0, after / before - (1 - SMALLEST)),
            )
        )
    names = ("mean_error", "variance_error", "share_change", "share_excess")
    columns = dict(zip(names, np.transpose(rows), strict=True))
    return tidy({"seed": seeds}, **columns, elements=ENTRIES)


MOMENTS = Study(
    name="moments",
    title="Mean and variance over masks",
    measure=measure,
    standard=grid(rate=layer.RATES),
    smoke=grid(rate=layer.RATES),
    sampling="exact",
)


SCALING_REASON = Claim(
    "do-scaling-reason",
    kinds=("exact",),
    document=Assertion(
        "Scaling outputs at evaluation keeps the model from relying too much on any one"
        " neuron.",
        layer.check(
            "share",
            "share_excess",
            Region.below(0.0),
            "excess of the largest unit's share over 99 % of its share unscaled",
            "a share that falls by less than one per cent is no lesser dependence",
            "all units scaled alike, which leaves their shares as they were",
            MOMENTS,
            "20 activations",
        ),
        expected="refuted",
    ),
    corrected=Assertion(
        "Scaling keeps the mean of an activation the same in both modes. Masks add a"
        " variance of r/(1 - r) times its square. No neuron's share of a sum changes.",
        (
            *layer.check(
                "mean",
                "mean_error",
                Region.below(0.02),
                "relative deviation of the mean from the activation",
                "six standard errors of 100,000 masks",
                "a mean of p times the activation",
                MOMENTS,
                "20 activations",
            ),
            *layer.check(
                "variance",
                "variance_error",
                Region.below(0.03),
                "relative deviation of the variance from r/(1 - r) h²",
                "six standard errors of 100,000 masks",
                "the variance without scaling, r(1 - r) h²",
                MOMENTS,
                "20 activations",
            ),
            *layer.check(
                "same-share",
                "share_change",
                Region.below(1e-12),
                "relative change of the largest unit's share",
                "rounding in double precision",
                "a dependence that scaling changes",
                MOMENTS,
                "20 activations",
            ),
        ),
        expected="supported",
    ),
    theory=(
        r"\mathbb{E}\,\frac{m_j}{1-r}h_j = h_j,\quad"
        r"\operatorname{Var}\frac{m_j}{1-r}h_j = \frac{r}{1-r}\,h_j^2"
    ),
    references=("srivastava2014",),
)
