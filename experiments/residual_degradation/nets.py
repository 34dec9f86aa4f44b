"""The networks of this page, and their passes written out.

Every network has a stem and a head of one dense layer each; between them are blocks of
two, each behind its own normalisation and ReLU (He et al. 2016, ECCV: full
pre-activation). A plain network is the same without the skips, which have no weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import networks
from dlclaims.theory.mean_field import Initialization

if TYPE_CHECKING:
    import keras

WIDTH = 32
EPSILON = 1e-3  # Keras' own
HE = Initialization("he", scale=2.0)


@dataclass(frozen=True)
class Net:
    """A network of `depth` dense layers, ReLU between them.

    Parameters
    ----------
    inputs, outputs : int
    depth : int
        Even, 4 or more.
    arm : str
        ``plain``, ``residual``; ``document``: blocks of one layer, whose skip is added
        after ReLU.
    normalization : str
        ``batch``, ``none``; ``skip-init``: none, but each branch is scaled by a number
        that is learnt and starts at 0 (De & Smith 2020, NeurIPS).
    """

    inputs: int
    outputs: int
    depth: int
    arm: str
    normalization: str = "batch"

    @property
    def blocks(self) -> int:
        """Blocks between stem and head."""
        layers = self.depth - 2
        return layers if self.arm == "document" else layers // 2


def build(net: Net) -> keras.Model:
    """Build a network; biases start at 0, weights by He's rule."""
    import keras

    layers = keras.layers
    number = iter(range(1, net.depth + 1))

    def dense(units: int = WIDTH) -> keras.layers.Layer:
        rule = networks.initializer(HE, next(number))
        return layers.Dense(units, kernel_initializer=rule)

    def activated(x: Any) -> Any:
        if net.normalization == "batch":
            x = layers.BatchNormalization(momentum=0.9, epsilon=EPSILON)(x)
        return layers.ReLU()(x)

    x = inputs = keras.Input((net.inputs,))
    x = dense()(x)
    for _ in range(net.blocks):
        if net.arm == "document":
            x = layers.Add()([layers.ReLU()(dense()(x)), x])
            continue
        branch = dense()(activated(dense()(activated(x))))
        if net.normalization == "skip-init":
            branch = branch_scale()()(branch)
        x = layers.Add()([x, branch]) if net.arm == "residual" else branch
    return keras.Model(inputs, dense(net.outputs)(activated(x)))


@cache
def branch_scale() -> type[keras.layers.Layer]:
    """Return the layer that multiplies by one learnt number, 0 at the start."""
    import keras

    class BranchScale(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(shape=(), initializer="zeros", name="scale")

        def call(self, x: Any) -> Any:
            return self.scale * x

    return BranchScale


@dataclass(frozen=True)
class Layer:
    """A dense layer with what stands before it; each array of one replica.

    `norm` is gamma, beta, moving mean and moving variance, or None.
    """

    kernel: np.ndarray
    bias: np.ndarray
    norm: tuple[np.ndarray, ...] | None


def unpack(net: Net, weights: list[np.ndarray]) -> list[Layer]:
    """Return a plain or residual network's dense layers, from Keras' flat list.

    `weights` are in the order of ``model.weights``, in float64.
    """
    rest = iter(weights)
    found = []
    for number in range(net.depth):
        has_norm = net.normalization == "batch" and number > 0
        norm = tuple(next(rest) for _ in range(4)) if has_norm else None
        found.append(Layer(next(rest), next(rest), norm))
    return found


@dataclass
class Tape:
    """What a layer's backward pass needs."""

    normed: np.ndarray | None = None
    deviation: np.ndarray | None = None
    is_positive: np.ndarray | None = None
    inputs: np.ndarray | None = None


def forward(
    net: Net,
    layers: list[Layer],
    x: np.ndarray,
    training: bool,
    without: int | None = None,
) -> tuple[np.ndarray, list[Tape]]:
    """Return logits, shape (examples, outputs), and the tape of every layer.

    Parameters
    ----------
    x : np.ndarray
        Shape (examples, inputs).
    training : bool
        Whether normalisation uses the batch's statistics instead of moving averages.
    without : int, optional
        A block that is left out, counted from 0.
    """
    tapes = [Tape() for _ in layers]

    def apply(number: int, x: np.ndarray) -> np.ndarray:
        layer, tape = layers[number], tapes[number]
        if number > 0:
            if layer.norm is not None:
                gamma, beta, mean, variance = layer.norm
                if training:
                    mean, variance = x.mean(axis=0), x.var(axis=0)
                tape.deviation = np.sqrt(variance + EPSILON)
                tape.normed = (x - mean) / tape.deviation
                x = gamma * tape.normed + beta
            tape.is_positive = x > 0
            x = x * tape.is_positive
        tape.inputs = x
        return x @ layer.kernel + layer.bias

    x = apply(0, x)
    for block in range(net.blocks):
        if block != without:
            branch = apply(2 * block + 2, apply(2 * block + 1, x))
            x = x + branch if net.arm == "residual" else branch
    return apply(net.depth - 1, x), tapes


def weight_gradients(
    net: Net, layers: list[Layer], x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """Return the rms gradient of the mean cross-entropy at every layer's kernel.

    In training mode, so through the batch's statistics too; shape (depth,).

    Parameters
    ----------
    x, y : np.ndarray
        Shapes (examples, inputs) and (examples,).
    """
    logits, tapes = forward(net, layers, x, training=True)
    sizes = np.zeros(net.depth)

    def back(number: int, slope: np.ndarray) -> np.ndarray:
        layer, tape = layers[number], tapes[number]
        assert tape.inputs is not None
        sizes[number] = np.sqrt(np.mean((tape.inputs.T @ slope) ** 2))
        if number == 0:
            return slope
        slope = slope @ layer.kernel.T * tape.is_positive
        if layer.norm is not None:
            normed = tape.normed
            slope = slope * layer.norm[0]
            slope -= slope.mean(axis=0) + normed * (slope * normed).mean(axis=0)
            slope /= tape.deviation
        return slope

    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    chances[np.arange(len(y)), y] -= 1
    slope = back(net.depth - 1, chances / len(y))
    for block in reversed(range(net.blocks)):
        through = back(2 * block + 1, back(2 * block + 2, slope))
        slope = slope + through if net.arm == "residual" else through
    back(0, slope)
    return sizes
