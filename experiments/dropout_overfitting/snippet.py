"""The document's example: dropout as the last layer of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlclaims import engine
from dlclaims.claims import Assertion, Claim, Criterion, Deviation, Region, Value
from dlclaims.pages import Study, Variant, grid, tidy
from dlclaims.theory import dropout

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from dlclaims.seeds import Seeds

#: The document leaves its features open; 20 of them stand for any.
FEATURES, UNITS, RATE = 20, 64, 0.5
EXAMPLES = 8192


def build() -> keras.Model:
    """What the document's code builds."""
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(UNITS, activation="relu"),
            layers.Dropout(RATE),
        ]
    )


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """What happens to the outputs in training, where evaluation gives a positive one.

    ``loss_error`` compares the squared loss in training mode with that at evaluation
    plus the variance of the masks, relative to the latter; targets are normal.
    """
    runs = engine.initialize(build, seeds=seeds)
    zeroed, errors = [], []
    for seed in seeds:
        model, rng = runs.replica(seed), seeds.generator(seed, "data")
        features = rng.standard_normal((EXAMPLES, FEATURES)).astype("float32")
        targets = rng.standard_normal((EXAMPLES, UNITS))
        trained, evaluated = (
            np.asarray(model(features, training=mode), float) for mode in (True, False)
        )
        zeroed.append(np.mean(trained[evaluated > 0] == 0))
        added = dropout.relative_variance(RATE) * np.mean(evaluated**2)
        expected = np.mean((evaluated - targets) ** 2) + added
        errors.append(abs(np.mean((trained - targets) ** 2) / expected - 1))
    return tidy(
        {"seed": seeds},
        zeroed_from_half=np.abs(np.array(zeroed) - RATE),
        loss_error=errors,
        elements=EXAMPLES * UNITS,
    )


STUDY = Study(
    name="snippet",
    title="The document's code with features supplied",
    measure=measure,
    standard=grid(layers=("dense-dropout",)),
    smoke=grid(layers=("dense-dropout",)),
    sampling="exact",
)


def check(
    name: str, column: str, tolerance: float, unit: str, reason: str, rival: str
) -> Criterion:
    return Criterion(
        name,
        STUDY.name,
        Deviation(Value(column), {"layers": "dense-dropout"}),
        Region.below(tolerance),
        unit,
        "64 ReLU units and Dropout(0.5) as the last layer",
        reason,
        rival,
    )


HALF = check(
    "half-dropped",
    "zeroed_from_half",
    0.01,
    "distance from 0.5 of the fraction of positive units that are 0 in training",
    "ten standard errors of 260,000 draws",
    "another probability than that of the comment",
)

CODE_PLACEMENT = Claim(
    "do-code-placement",
    kinds=("exact",),
    document=Assertion(
        "A dropout layer with argument 0.5 drops each neuron with probability 0.5.",
        (HALF,),
        expected="supported",
    ),
    corrected=Assertion(
        "In this code the neurons that are dropped are the model's outputs: half of"
        " those that are not 0 already become 0 in training, which adds the masks'"
        " variance to a squared loss.",
        (
            HALF,
            check(
                "loss-inflated",
                "loss_error",
                0.02,
                "relative deviation of the training loss from the closed form",
                "six standard errors of 8,192 examples",
                "a loss on outputs that dropout left alone",
            ),
        ),
        expected="supported",
    ),
    theory=(
        r"\mathbb{E}\,(\tilde f - t)^2 = (f - t)^2 + \frac{r}{1-r} f^2,"
        r"\quad \tilde f = \frac{m}{1-r} f"
    ),
)
