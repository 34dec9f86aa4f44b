"""Replica-batched training: all seeds and learning rates from one compiled program.

Importing this package is cheap; Keras and its backend are imported by the first call.
"""

from dlclaims.engine.numerics import Numerics, pin
from dlclaims.engine.probes import (
    LayerGradients,
    derivative,
    layer_gradients,
    preactivation_gradients,
    representations,
    signal_to_noise,
)
from dlclaims.engine.recipe import Examples, Recipe, Stream
from dlclaims.engine.runs import Runs
from dlclaims.engine.training import initialize, train

__all__ = [
    "Examples",
    "LayerGradients",
    "Numerics",
    "Recipe",
    "Runs",
    "Stream",
    "derivative",
    "initialize",
    "layer_gradients",
    "pin",
    "preactivation_gradients",
    "representations",
    "signal_to_noise",
    "train",
]
