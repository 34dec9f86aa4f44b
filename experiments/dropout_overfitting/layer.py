"""What Keras' Dropout does to its inputs, in training and at evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlclaims.claims import Assertion, Claim, Criterion, Deviation, Region, Value
from dlclaims.pages import Study, Variant, grid

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from dlclaims.seeds import Seeds

#: At 0.5 the two readings of the argument agree; at 0.2 they do not.
RATES = (0.2, 0.5)
EXAMPLES, UNITS = 1000, 1000


def of(variant: Variant, seeds: Seeds, seed: int) -> keras.layers.Dropout:
    """Keras' Dropout with the replica's stream of noise."""
    import keras

    own = int(seeds.generator(seed, "noise").integers(2**31))
    return keras.layers.Dropout(variant["rate"], seed=own)


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Which entries of positive inputs are dropped, and what becomes of the others."""
    import pandas as pd

    return pd.DataFrame(
        {"seed": seed, **masks_of(variant, seeds, seed), "elements": EXAMPLES * UNITS}
        for seed in seeds
    )


def masks_of(variant: Variant, seeds: Seeds, seed: int) -> dict[str, float]:
    drop, rate = of(variant, seeds, seed), variant["rate"]
    x = seeds.generator(seed, "data").uniform(1, 2, (EXAMPLES, UNITS)).astype("float32")
    first, second = (np.asarray(drop(x, training=True)) for _ in range(2))
    evaluated = np.asarray(drop(x, training=False))
    dropped, again = first == 0, second == 0
    kept = ~dropped
    alike = rate**2 + (1 - rate) ** 2  # two independent entries: both dropped or kept
    return {
        "from_dropping": abs(dropped.mean() - rate),
        "from_keeping": abs(dropped.mean() - (1 - rate)),
        "kept_from_scaled_up": np.abs(first[kept] * (1 - rate) / x[kept] - 1).max(),
        "evaluated_from_input": np.abs(evaluated / x - 1).max(),
        "evaluated_from_scaled_down": np.abs(evaluated / x - (1 - rate)).max(),
        "evaluated_zeros": np.mean(evaluated == 0),
        "unlike_first_row": np.mean((dropped[1:] != dropped[:1]).any(axis=1)),
        "repeated_rows": np.mean((dropped == again).all(axis=1)),
        "row_dependence": abs(np.mean(dropped[1:] == dropped[:-1]) - alike),
        "unit_dependence": abs(np.mean(dropped[:, 1:] == dropped[:, :-1]) - alike),
    }


MASKS = Study(
    name="masks",
    title="What Keras' Dropout drops, and when",
    measure=measure,
    standard=grid(rate=RATES),
    smoke=grid(rate=RATES),
    sampling="exact",
)

#: Tolerances of fractions and moments that are estimated from random masks are six of
#: their standard errors or more: no seed comes near by chance.
FRACTION = Region.below(0.003)
SIX = "six standard errors of a million draws"
ENTRIES = "1,000 examples of 1,000 units"


def check(
    name: str,
    column: str,
    region: Region,
    unit: str,
    reason: str,
    rival: str,
    study: Study = MASKS,
    scope: str = ENTRIES,
) -> tuple[Criterion, ...]:
    """The largest deviation over seeds, at each rate."""
    return tuple(
        Criterion(
            f"{name}-{rate}".replace(".", ""),
            study.name,
            Deviation(Value(column), {"rate": rate}),
            region,
            unit,
            f"Dropout({rate}), {scope}",
            reason,
            rival,
        )
        for rate in RATES
    )


DROPPED = "distance of the fraction dropped from what the argument would mean"

KEEP_VS_RATE = Claim(
    "do-keep-vs-rate",
    kinds=("exact",),
    document=Assertion(
        "While training, each neuron stays active with probability p.",
        check(
            "keeps",
            "from_keeping",
            FRACTION,
            DROPPED,
            SIX,
            "the fraction dropped is p",
            scope=f"p as the argument, {ENTRIES}",
        ),
        expected="conditional",
    ),
    corrected=Assertion(
        "Keras' rate is the probability of dropping; the paper's p, that of keeping, is"
        " 1 - rate. At 0.5 the two cannot be told apart.",
        check(
            "drops",
            "from_dropping",
            FRACTION,
            DROPPED,
            SIX,
            "the fraction kept is p",
        ),
        expected="supported",
    ),
    references=("srivastava2014",),
)

ROUNDING = "rounding of a product in single precision"

EVAL_SCALING = Claim(
    "do-eval-scaling",
    kinds=("exact",),
    document=Assertion(
        "At evaluation, Keras' dropout layer scales neuron outputs down by p.",
        check(
            "scaled-down",
            "evaluated_from_scaled_down",
            Region.below(1e-6),
            "deviation from p times the input, relative to the input",
            ROUNDING,
            "outputs that are left alone at evaluation",
        ),
        expected="refuted",
    ),
    corrected=Assertion(
        "Keras divides what it keeps by 1 - rate in training; at evaluation it changes"
        " nothing, and all neurons stay.",
        (
            *check(
                "scaled-up",
                "kept_from_scaled_up",
                Region.below(1e-6),
                "relative deviation of kept entries, times 1 - rate, from the input",
                ROUNDING,
                "kept entries that are passed on as they are, as in the paper",
            ),
            *check(
                "identity",
                "evaluated_from_input",
                Region.below(0.0),
                "relative deviation from the input",
                "nothing is computed, so nothing is rounded",
                "any scaling at evaluation",
            ),
            *check(
                "all-stay",
                "evaluated_zeros",
                Region.below(0.0),
                "fraction of entries that are 0 at evaluation",
                "none may be dropped",
                "dropping at evaluation too",
            ),
        ),
        expected="supported",
    ),
    theory=(
        r"\text{training: } \tilde h_j = \frac{m_j}{1-r}\,h_j,\quad "
        r"m_j \sim \text{Bernoulli}(1-r);\qquad \text{evaluation: } \tilde h_j = h_j"
    ),
    references=("srivastava2014",),
)


def fresh() -> tuple[Criterion, ...]:
    return check(
        "fresh",
        "repeated_rows",
        Region.below(0.0),
        "fraction of examples with the same mask in two calls",
        "of 1,000 units, some differ in any two draws",
        "one mask for the whole training",
    )


MASK_GRANULARITY = Claim(
    "do-mask-granularity",
    kinds=("exact",),
    document=Assertion(
        "The neurons to drop are drawn at random once for every batch.",
        (
            *fresh(),
            *check(
                "one-for-the-batch",
                "unlike_first_row",
                Region.below(0.0),
                "fraction of examples whose mask is not that of the first",
                "one mask for the batch is the same for all its examples",
                "a mask for each example",
            ),
        ),
        expected="conditional",
    ),
    corrected=Assertion(
        "Every unit of every example is dropped independently of the others, anew in"
        " every call.",
        (
            *fresh(),
            *check(
                "rows-independent",
                "row_dependence",
                FRACTION,
                "excess of agreement between neighbouring examples over r² + (1 - r)²",
                SIX,
                "a mask for the batch: agreement 1",
            ),
            *check(
                "units-independent",
                "unit_dependence",
                FRACTION,
                "excess of agreement between neighbouring units over r² + (1 - r)²",
                SIX,
                "whole examples dropped: agreement 1",
            ),
        ),
        expected="supported",
    ),
    theory=r"P(m_{ij} = m_{kl}) = r^2 + (1-r)^2",
    references=("srivastava2014",),
)
