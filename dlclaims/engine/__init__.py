"""Replica-batched training: all seeds and learning rates from one compiled program.

Importing this package is cheap; Keras and its backend are imported by the first call.
"""

from dlclaims.engine.numerics import Numerics, pin
from dlclaims.engine.probes import (
    LayerGradients,
    ablation,
    activation_statistics,
    curvature,
    derivative,
    hessian_products,
    jacobian_norms,
    jacobians,
    lag_gradients,
    layer_gradients,
    position_jacobians,
    preactivation_gradients,
    representations,
    signal_to_noise,
    state_gradients,
)
from dlclaims.engine.recipe import Examples, Recipe, Stream
from dlclaims.engine.runs import Runs
from dlclaims.engine.sizing import cost, width_for
from dlclaims.engine.training import initialize, train

__all__ = [
    "Examples",
    "LayerGradients",
    "Numerics",
    "Recipe",
    "Runs",
    "Stream",
    "ablation",
    "activation_statistics",
    "cost",
    "curvature",
    "derivative",
    "hessian_products",
    "initialize",
    "jacobian_norms",
    "jacobians",
    "lag_gradients",
    "layer_gradients",
    "pin",
    "position_jacobians",
    "preactivation_gradients",
    "representations",
    "signal_to_noise",
    "state_gradients",
    "train",
    "width_for",
]
