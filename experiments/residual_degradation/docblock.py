"""The document's block, a_l = g(W a_(l-1) + b) + a_(l-1), in Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlclaims import engine
from dlclaims.claims import Criterion, Deviation, Region, Value
from dlclaims.pages import Study, Variant, grid, tidy

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from dlclaims.seeds import Seeds

BLOCKS, EXAMPLES = 5, 64
WIDTHS = {"equal": (32, 32), "unequal": (32, 24)}


def build(width: int) -> keras.Model:
    """Build a stack of the document's blocks that returns the stream at every block."""
    import keras

    x = inputs = keras.Input((width,))
    stream = []
    for _ in range(BLOCKS):
        branch = keras.layers.Dense(width, "relu", bias_initializer="normal")(x)
        x = keras.layers.Add()([branch, x])
        stream.append(x)
    return keras.Model(inputs, keras.layers.Concatenate()(stream))


def is_refused(width: int, units: int) -> bool:
    """Whether Keras refuses to add a branch of so many units to a stream of a width."""
    import keras

    x = keras.Input((width,))
    try:
        keras.layers.Add()([keras.layers.Dense(units, "relu")(x), x])
    except ValueError:
        return True
    return False


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """What the sum does at equal widths, and whether there is one at others.

    ``deviation`` from the formula in numpy; ``fall``, the largest fall of an activation
    from block to block; ``refused``, 1 where the sum does not exist, and ``accepted``.
    """
    width, units = WIDTHS[variant["widths"]]
    refused = float(is_refused(width, units))
    columns = {"refused": refused, "accepted": 1 - refused}
    if width != units:
        return tidy({"seed": seeds}, **columns, elements=1)
    runs = engine.initialize(lambda: build(width), seeds=seeds, dtype="float64")
    deviations, falls = [], []
    for row, seed in enumerate(seeds):
        x = seeds.generator(seed, "data").standard_normal((EXAMPLES, width))
        found = np.asarray(runs.replica(seed)(x)).reshape(EXAMPLES, BLOCKS, width)
        own, stream = [weight[row] for weight in runs.weights], [x]
        for kernel, bias in zip(own[::2], own[1::2], strict=True):
            stream.append(np.maximum(stream[-1] @ kernel + bias, 0) + stream[-1])
        deviations.append(np.abs(np.stack(stream[1:], axis=1) - found).max())
        changes = np.diff(np.concatenate([x[:, None], found], axis=1), axis=1)
        falls.append(max(0.0, -changes.min()))
    return tidy(
        {"seed": seeds},
        deviation=deviations,
        fall=falls,
        **columns,
        elements=EXAMPLES * BLOCKS * width,
    )


STUDY = Study(
    name="document-block",
    title="The document's block in Keras",
    measure=measure,
    standard=grid(widths=tuple(WIDTHS)),
    smoke=grid(widths=tuple(WIDTHS)),
    sampling="exact",
)


def exactly(
    name: str,
    column: str,
    widths: str,
    tolerance: float,
    unit: str,
    reason: str,
    rival: str,
) -> Criterion:
    scope = {
        "equal": f"layers of 32 units, {BLOCKS} blocks, float64",
        "unequal": "a layer of 24 units after one of 32",
    }[widths]
    return Criterion(
        name,
        STUDY.name,
        Deviation(Value(column), {"widths": widths}),
        Region.below(tolerance),
        unit,
        scope,
        reason,
        rival,
    )


ONE = "the sum exists or it does not"
EQUAL_WIDTHS = exactly(
    "equal-widths",
    "deviation",
    "equal",
    1e-10,
    "largest deviation from the formula",
    "rounding of sums stays far below",
    "a skip that is added before the nonlinearity",
)
UNEQUAL_WIDTHS = exactly(
    "unequal-widths",
    "refused",
    "unequal",
    0.0,
    "refused sums",
    ONE,
    "a formula that needs a projection where widths change",
)
UNEQUAL_REFUSED = exactly(
    "unequal-refused",
    "accepted",
    "unequal",
    0.0,
    "accepted sums",
    ONE,
    "a sum over layers of any widths",
)
NEVER_FALLS = exactly(
    "never-falls",
    "fall",
    "equal",
    0.0,
    "largest fall of an activation between blocks",
    "what is added is never below 0, and rounding keeps the order",
    "branches that can correct the stream downwards",
)
