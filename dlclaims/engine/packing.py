"""A replica's trained weights as one vector, where its optimizer works by elements.

An optimizer that treats every element alike gives the same numbers for one long vector
as for many weights, and takes a dozen operations instead of a dozen for each weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import backends

if TYPE_CHECKING:
    import keras

#: Keras' optimizers whose update of an element depends on that element alone.
ELEMENTWISE = (
    *("SGD", "RMSprop", "Adagrad", "Adadelta", "Ftrl", "Lion"),
    *("Adam", "AdamW", "Adamax", "Nadam"),
)


@dataclass(frozen=True)
class Packing:
    """How weights are kept: as one vector, or each by itself.

    Parameters
    ----------
    shapes : tuple of tuple of int
        Of the weights.
    is_flat : bool
    """

    shapes: tuple[tuple[int, ...], ...]
    is_flat: bool

    @property
    def sizes(self) -> list[int]:
        """Numbers of elements of the weights."""
        return [prod(shape) for shape in self.shapes]

    def pack(self, weights: list[Any]) -> list[Any]:
        """Return weights as they are kept: tensors of one replica."""
        from keras import ops

        if not self.is_flat:
            return weights
        return [ops.concatenate([ops.reshape(weight, (-1,)) for weight in weights])]

    def unpack(self, packed: list[Any]) -> list[Any]:
        """Return the weights that `pack` was given."""
        from keras import ops

        if not self.is_flat:
            return packed
        parts = backends.load().split(packed[0], self.sizes)
        return [ops.reshape(*each) for each in zip(parts, self.shapes, strict=True)]

    def pack_replicas(self, weights: list[np.ndarray]) -> list[np.ndarray]:
        """Return weights of shape (replicas, *shape) as they are kept."""
        if not self.is_flat:
            return weights
        return [np.concatenate([each.reshape(len(each), -1) for each in weights], 1)]

    def unpack_replicas(self, packed: list[np.ndarray]) -> list[np.ndarray]:
        """Return the weights that `pack_replicas` was given."""
        if not self.is_flat:
            return packed
        parts = np.split(packed[0], np.cumsum(self.sizes)[:-1], 1)
        return [
            part.reshape(len(part), *shape)
            for part, shape in zip(parts, self.shapes, strict=True)
        ]


def packing(
    model: keras.Model, optimizer: keras.optimizers.Optimizer
) -> tuple[Packing, list[Any]]:
    """Return how a model's trained weights are kept, and variables of those shapes.

    The variables are what the optimizer is built for. Weights with a constraint of
    their own, or without weight decay, are kept by themselves.
    """
    import keras

    weights = model.trainable_variables
    is_flat = (
        len(weights) > 0
        and type(optimizer).__name__ in ELEMENTWISE
        and type(optimizer).__module__.startswith("keras.")
        and not any(weight.constraint for weight in weights)
        and not hasattr(optimizer, "_exclude_from_weight_decay")
    )
    own = Packing(tuple(tuple(weight.shape) for weight in weights), is_flat)
    if is_flat:
        zeros = np.zeros(sum(own.sizes))
        weights = [keras.Variable(zeros, dtype=weights[0].dtype)]
    return own, weights
