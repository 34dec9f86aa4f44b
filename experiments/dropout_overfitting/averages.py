"""Which mean over all masks the network without masks is, where that is exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlclaims import engine
from dlclaims.claims import Criterion, Deviation, Region, Value
from dlclaims.pages import Study, Variant, grid, tidy
from dlclaims.theory import dropout

from . import evaluation
from .layer import RATES

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from dlclaims.seeds import Seeds

INPUTS, HIDDEN, OUTPUTS = 10, 6, 4
EXAMPLES = 20


def build(network: str, rate: float) -> keras.Model:
    """One softmax layer, or two linear ones, with dropout before each."""
    import keras

    layers = keras.layers
    x = inputs = keras.Input((INPUTS,))
    if network == "linear":
        x = layers.Dense(HIDDEN)(layers.Dropout(rate)(x))
    activation = "softmax" if network == "softmax" else None
    output = layers.Dense(OUTPUTS, activation=activation)
    return keras.Model(inputs, output(layers.Dropout(rate)(x)))


def subnetworks(
    weights: list[np.ndarray], x: np.ndarray, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs before the softmax of all sub-networks.

    Parameters
    ----------
    weights : list of np.ndarray
        Kernels and biases in turn, of one or two linear layers.
    x : np.ndarray
        Shape (examples, inputs).

    Returns
    -------
    outputs : np.ndarray
        Shape (masks, examples, outputs): 2^10 masks, or those of the inputs times
        those of the hidden units.
    probabilities : np.ndarray
        Shape (masks,).
    """
    outputs, probabilities = x[None], np.ones(1)
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        factors, own = dropout.masks(len(kernel), rate)
        masked = outputs[:, None] * factors[:, None]
        outputs = (masked @ kernel + bias).reshape(-1, len(x), len(bias))
        probabilities = np.outer(probabilities, own).ravel()
    return outputs, probabilities


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Deviation of Keras' evaluation from means over all sub-networks.

    ``geometric`` is the normalised geometric mean of the softmax, and is missing where
    there is none; ``arithmetic`` is the mean of the outputs.
    """
    network, rate = variant["network"], variant["rate"]
    runs = engine.initialize(lambda: build(network, rate), seeds=seeds, dtype="float64")
    geometric, arithmetic = [], []
    for row, seed in enumerate(seeds):
        x = seeds.generator(seed, "data").standard_normal((EXAMPLES, INPUTS))
        evaluated = np.asarray(runs.replica(seed)(x, training=False))
        found, probabilities = subnetworks(evaluation.network(runs, row), x, rate)
        if network == "softmax":
            found = np.exp(evaluation.log_softmax(found))
            mean = dropout.normalized_geometric_mean(found, probabilities)
            geometric.append(np.abs(mean - evaluated).max())
        mean = np.tensordot(probabilities, found, axes=1)
        arithmetic.append(np.abs(mean - evaluated).max())
    columns = {"arithmetic": arithmetic}
    if geometric:
        columns["geometric"] = geometric
    return tidy({"seed": seeds}, **columns, elements=EXAMPLES * OUTPUTS)


STUDY = Study(
    name="averages",
    title="The network without masks as a mean over all masks",
    measure=measure,
    standard=grid(network=("softmax", "linear"), rate=RATES),
    smoke=grid(network=("softmax", "linear"), rate=RATES),
    sampling="exact",
)


def exactly(mean: str, network: str, words: str, rival: str) -> tuple[Criterion, ...]:
    return tuple(
        Criterion(
            f"{mean}-{network}-{rate}".replace(".", ""),
            STUDY.name,
            Deviation(Value(mean), {"network": network, "rate": rate}),
            Region.below(1e-10),
            "largest deviation of an output",
            f"{words}, Dropout({rate}), all masks, float64",
            "rounding of a sum over all masks stays far below",
            rival,
        )
        for rate in RATES
    )


GEOMETRIC = exactly(
    "geometric",
    "softmax",
    "one softmax layer of 10 inputs",
    "the arithmetic mean of the probabilities",
)
ARITHMETIC = exactly(
    "arithmetic",
    "linear",
    "two linear layers of 10 and 6 inputs",
    "a mean that is exact for one layer only",
)
