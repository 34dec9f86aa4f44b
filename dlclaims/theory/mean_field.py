"""Mean-field theory of dense stacks at initialisation: signals and gradients.

In a wide stack of dense layers with independent zero-mean weights and zero biases the
pre-activations of a layer are Gaussian. Their variance q follows the length map
(Poole et al. 2016), the squared gradient is multiplied by chi in every layer on its way
to the input (Schoenholz et al. 2017), and the correlation of two inputs follows its own
map. At finite depth q is still on its way to its fixed point, so the recursion stands
here beside the fixed point: at the critical point of tanh q falls only as 1/layer, and
the fixed point alone is wrong at every finite depth.

Everywhere `scale` is fan_in times the variance of a weight, as in Keras'
`VarianceScaling`, `activation` is a name in `gaussian.ACTIVATIONS`, layers are the
hidden ones, counted from the input, and logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dlclaims.errors import UsageError, nearest
from dlclaims.theory import gaussian
from dlclaims.theory.gaussian import Array


@dataclass(frozen=True)
class Initialization:
    """The law of the weights: zero mean, independent, biases zero.

    Parameters
    ----------
    name : str
    scale : float, optional
        Normal weights of variance scale / fan_in.
    limit : float, optional
        Uniform weights in [-limit, limit], whatever the fan-in. Exactly one of the two
        is given.
    """

    name: str
    scale: float | None = None
    limit: float | None = None

    def __post_init__(self) -> None:
        if (self.scale is None) == (self.limit is None):
            raise ValueError(f"{self.name}: either a scale or a limit, not both")

    def scale_at(self, fan_in: int) -> float:
        """Return fan_in times the variance of a weight."""
        if self.scale is not None:
            return self.scale
        assert self.limit is not None
        return fan_in * self.limit**2 / 3


def initialization(name: str, activation: str) -> Initialization:
    """Return the initialisation of a name: document, xavier, he or critical.

    document is the uniform law on [-0.1, 0.1]; xavier has scale 1, which in a square
    layer is Glorot & Bengio's 2 / (fan_in + fan_out); he has scale 2 (He et al. 2015);
    critical is the scale at which chi is 1 for this activation.
    """
    if name == "critical":
        return Initialization(name, scale=critical_scale(activation))
    known = {
        "document": Initialization("document", limit=0.1),
        "xavier": Initialization("xavier", scale=1.0),
        "he": Initialization("he", scale=2.0),
    }
    if name not in known:
        raise UsageError(
            "the name of an initialisation", repr(name), nearest(name, known)
        )
    return known[name]


@dataclass(frozen=True)
class Stack:
    """A stack of equally wide hidden layers, as `networks.mlp` builds it.

    a_l = phi(z_l) with z_l = W_l a_{l-1} and a_0 = x; in a residual stack
    a_l = phi(z_l) + a_{l-1} from the second layer on.

    Parameters
    ----------
    inputs, depth, width : int
        Features, hidden layers, units of each.
    activation : str
    initialization : Initialization
    residual : bool
    """

    inputs: int
    depth: int
    width: int
    activation: str
    initialization: Initialization
    residual: bool = False

    @property
    def scales(self) -> Array:
        """Scale of each hidden layer; shape (depth,)."""
        later = self.initialization.scale_at(self.width)
        scales = np.full(self.depth, later)
        scales[0] = self.initialization.scale_at(self.inputs)
        return scales

    @property
    def skips(self) -> Array:
        """1 for a layer with a skip connection around it, else 0; shape (depth,)."""
        skips = np.full(self.depth, float(self.residual))
        skips[0] = 0.0
        return skips


def length_map(q: npt.ArrayLike, scale: float, activation: str) -> Array:
    """Return the next layer's pre-activation variance (Poole et al. 2016)."""
    return scale * gaussian.second_moment(activation, q)


def chi(q: npt.ArrayLike, scale: float, activation: str) -> Array:
    """Return the factor of the squared gradient per layer at pre-activation variance q.

    Its root is the factor of the gradient's amplitude (Schoenholz et al. 2017).
    """
    return scale * gaussian.slope_moment(activation, q)


def fixed_point(scale: float, activation: str) -> float:
    """Return the stable pre-activation variance of an infinitely deep stack.

    Returns
    -------
    float
        inf where the variance grows without bound, nan where every variance stays as
        it is (ReLU at scale 2, linear at scale 1).
    """
    phi = gaussian.find(activation)
    if phi.negative_slope is not None:
        growth = scale * (1 + phi.negative_slope**2) / 2
        return 0.0 if growth < 1 else np.inf if growth > 1 else np.nan
    zero = np.zeros(1)
    # The map is concave: without a push at 0 it leaves 0 only with a slope above 1.
    if phi.function(zero)[0] == 0 and chi(zero, scale, activation)[0] <= 1:
        return 0.0
    return _root(lambda q: float(length_map(q, scale, activation)) - q, 1e-15, scale)


@lru_cache
def critical_scale(activation: str) -> float:
    """Return the scale at which chi is 1 at the fixed point: gradients keep their size.

    1 for tanh and linear, 2 for ReLU, 16 for the centred sigmoid, 103 for the sigmoid.
    """
    phi = gaussian.find(activation)
    if phi.negative_slope is not None or phi.function(np.zeros(1))[0] == 0:
        return float(1 / gaussian.slope_moment(activation, 0.0))

    # chi(q) = 1 gives the scale for each q; the length map must then reproduce q.
    def drift(q: float) -> float:
        scale = float(1 / gaussian.slope_moment(activation, q))
        return float(length_map(q, scale, activation)) - q

    return float(1 / gaussian.slope_moment(activation, _root(drift, 1e-15, 1e4)))


def depth_scale(chi: float) -> float:
    """Return the layers in which squared gradients change by e: 1 / |log chi|.

    In the ordered phase (chi < 1) also the layers in which two inputs become alike
    (Schoenholz et al. 2017). inf at the critical point.
    """
    return np.inf if chi == 1 else float(1 / abs(np.log(chi)))


def correlation_map(c: float, q: float, scale: float, activation: str) -> float:
    """Return the next layer's correlation of two inputs of equal variance q.

    The correlation is the cosine of the pre-activations (Poole et al. 2016).
    """
    product = scale * gaussian.product_moment(activation, q, c)
    return product / float(length_map(q, scale, activation))


def correlation_fixed_point(scale: float, activation: str) -> float:
    """Return the correlation to which two different inputs converge with depth.

    1 in the ordered phase and on its edge: the stack forgets which input it saw; less
    in the chaotic phase. ReLU's map does not depend on the scale and ends at 1.
    """
    q = fixed_point(scale, activation)
    if activation == "linear":
        raise ValueError("a linear stack keeps every correlation: no fixed point")
    if not 0 < q < np.inf or chi(q, scale, activation) <= 1:
        return 1.0

    def drift(c: float) -> float:
        return correlation_map(c, q, scale, activation) - c

    return _root(drift, 0.0, 1 - 1e-9) if drift(0.0) > 1e-12 else 0.0


def pre_activation_variance(stack: Stack, q0: npt.ArrayLike = 1.0) -> Array:
    """Return the variance of z_l in every layer.

    Parameters
    ----------
    stack : Stack
    q0 : array_like
        Mean square of an input's features: a number, or one for each of some inputs.

    Returns
    -------
    Array
        Shape q0.shape + (depth,): mean over units of z_l^2, layer 1 first.
    """
    length, shift = np.asarray(q0, float), np.zeros(np.shape(q0))
    variances = []
    for scale, skip in zip(stack.scales, stack.skips, strict=True):
        q = scale * length
        m = gaussian.mean(stack.activation, q)
        moment = gaussian.second_moment(stack.activation, q)
        length = moment + skip * (length + 2 * m * shift)
        shift = m + skip * shift
        variances.append(q)
    return np.stack(variances, axis=-1)


def correlations(stack: Stack, initial: float, q0: float = 1.0) -> Array:
    """Return the cosine between the pre-activations of two inputs in every layer.

    Parameters
    ----------
    stack : Stack
    initial : float
        Cosine between the inputs, both of mean square `q0`.

    Returns
    -------
    Array
        Shape (depth,), layer 1 first.
    """
    product, shift = initial * q0, 0.0
    variances = pre_activation_variance(stack, q0)
    cosines = []
    for q, scale, skip in zip(variances, stack.scales, stack.skips, strict=True):
        c = scale * product / q
        m = float(gaussian.mean(stack.activation, q))
        moment = gaussian.product_moment(stack.activation, q, c)
        product = moment + skip * (product + 2 * m * shift)
        shift = m + skip * shift
        cosines.append(c)
    return np.array(cosines)


def log_gradient_norms(stack: Stack, q0: npt.ArrayLike = 1.0) -> Array:
    """Return the log rms of dJ/dz_l in every layer, relative to the last hidden one.

    From dJ/dz_l = phi'(z_l) * W_{l+1}^T dJ/dz_{l+1}: going from layer l+1 to layer l
    the square is multiplied by E phi'(z_l)^2, at the variance of layer l, and by the
    scale of layer l+1. A skip adds 1 to the factor of dJ/da. Weights of the way back
    are taken as independent of those of the way forth (Schoenholz et al. 2017).

    Returns
    -------
    Array
        Shape q0.shape + (depth,), nats, layer 1 first; the last entry is 0.
    """
    q = pre_activation_variance(stack, q0)
    slopes = gaussian.slope_moment(stack.activation, q)
    crossed = np.log(stack.scales * slopes + stack.skips)  # from dJ/da_l to dJ/da_{l-1}
    behind = np.cumsum(crossed[..., ::-1], axis=-1)[..., ::-1] - crossed
    logs = np.log(slopes) + behind
    return (logs - logs[..., -1:]) / 2


def slope_per_layer(log_norms: npt.ArrayLike) -> Array:
    """Return the log amplitude factor per layer towards the input, in nats.

    End to end, (first - last) / (depth - 1): the best linear estimate when the noise is
    a random walk over layers, as a product of random factors is. Negative: vanishing.

    Parameters
    ----------
    log_norms : array_like
        Shape (..., depth), layer 1 first; depth at least 2.
    """
    log_norms = np.asarray(log_norms, float)
    return (log_norms[..., 0] - log_norms[..., -1]) / (log_norms.shape[-1] - 1)


def log_norm_variance(
    layers: int, width: int, activation: str = "relu", q: float = 1.0
) -> float:
    """Return the variance of one input's log gradient norm after crossing some layers.

    To first order in 1 / width: (3 E phi'^4 / (E phi'^2)^2 - 1) / 4 for each layer; for
    ReLU 5 / (4 width), so that it grows with the sum of inverse widths (Hanin 2018).
    The mean of the log lies below the log of the root mean square, which is what
    `log_gradient_norms` gives, by the same number of nats. Plain stacks; fluctuations
    of the length map, which matter for a saturated activation, come on top.
    """
    fourth = gaussian.slope_moment(activation, q, power=4)
    ratio = fourth / gaussian.slope_moment(activation, q) ** 2
    return float(layers / width * (3 * ratio - 1) / 4)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Bisect a function that is positive at `low` and negative at `high`."""
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if function(middle) > 0 else (low, middle)
    return middle
