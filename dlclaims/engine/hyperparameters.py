"""Continuous hyperparameters as arguments of a program: other values compile nothing.

These are the optimizer's weight decay and clipping threshold and the rates of Dropout
layers. (A learning rate belongs to each replica; an initializer's scale is data, as
initial values are.) A rate of 0, no decay and no threshold are other programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import backends

if TYPE_CHECKING:
    import keras

#: The optimizer's rules for clipping; Keras allows one of them at a time.
CLIPS = ("clipnorm", "global_clipnorm", "clipvalue")
OF_OPTIMIZER = (*CLIPS, "weight_decay")


def of_optimizer(optimizer: keras.optimizers.Optimizer) -> tuple[str, ...]:
    """Return the names of the hyperparameters that an optimizer uses."""
    return tuple(name for name in OF_OPTIMIZER if getattr(optimizer, name))


def dropouts(model: keras.Model) -> list[keras.layers.Dropout]:
    """Return the layers that drop entries in training."""
    import keras

    return [
        layer
        for layer in model._flatten_layers()
        if type(layer) is keras.layers.Dropout and 0 < layer.rate < 1
    ]


def values(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> np.ndarray:
    """Return the values of all hyperparameters, the optimizer's first."""
    own = {name: float(getattr(optimizer, name)) for name in of_optimizer(optimizer)}
    if "weight_decay" in own:  # Keras on TensorFlow takes it in single precision
        own["weight_decay"] = float(np.float32(own["weight_decay"]))
    return np.array([*own.values(), *(layer.rate for layer in dropouts(model))])


@contextmanager
def dropping(model: keras.Model, rates: Sequence[Any]) -> Iterator[None]:
    """Let Dropout layers take their rates from tensors while the model is traced."""
    backend = backends.load()

    def call(layer: Any, rate: Any, inputs: Any, training: bool = False) -> Any:
        if not training:
            return inputs
        seed = layer.seed_generator
        return backend.dropout(inputs, rate, layer.noise_shape, seed)

    layers = dropouts(model)
    try:
        for layer, rate in zip(layers, rates, strict=True):
            object.__setattr__(layer, "call", partial(call, layer, rate))
        yield
    finally:
        for layer in layers:
            vars(layer).pop("call", None)


def clipped(slopes: list[Any], rule: str, threshold: Any) -> list[Any]:
    """Return the gradients of all weights after clipping by one of Keras' rules."""
    from keras import ops

    if rule == "clipvalue":
        return [ops.clip(slope, -threshold, threshold) for slope in slopes]
    squares = [ops.sum(ops.square(slope)) for slope in slopes]
    if rule == "global_clipnorm":
        squares = [sum(squares)] * len(slopes)
    norms = [ops.sqrt(square) for square in squares]
    return [
        slope * (threshold / ops.maximum(norm, threshold))
        for slope, norm in zip(slopes, norms, strict=True)
    ]
