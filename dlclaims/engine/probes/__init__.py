"""Looking into networks: gradients, activations, Jacobians, curvature, all replicas.

`taps` says what a hidden layer is and whose the examples are. Probes run in inference
mode, take initial or trained replicas, and return a table with ``seed`` first (then
``learning_rate`` of trained runs), or arrays with the replicas on the first axis.
"""

from dlclaims.engine.probes.activations import (
    ablation,
    activation_statistics,
    representations,
)
from dlclaims.engine.probes.gradients import (
    LayerGradients,
    derivative,
    layer_gradients,
    preactivation_gradients,
    signal_to_noise,
)
from dlclaims.engine.probes.hessians import curvature, hessian_products
from dlclaims.engine.probes.lags import lag_gradients, state_gradients
from dlclaims.engine.probes.sensitivity import (
    jacobian_norms,
    jacobians,
    position_jacobians,
)

__all__ = [
    "LayerGradients",
    "ablation",
    "activation_statistics",
    "curvature",
    "derivative",
    "hessian_products",
    "jacobian_norms",
    "jacobians",
    "lag_gradients",
    "layer_gradients",
    "position_jacobians",
    "preactivation_gradients",
    "representations",
    "signal_to_noise",
    "state_gradients",
]
