"""A replica's trained weights as one vector, where its optimizer works by elements.

An optimizer that treats every element alike gives the same numbers for one long vector
as for many weights, and takes a dozen operations instead of a dozen for each weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

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

    def pack(self, weights: list[Any], xp: Any = np) -> list[Any]:
        """Return weights as they are kept; further axes come before their own.

        Parameters
        ----------
        xp : module
            numpy or `keras.ops`.
        """
        if not self.is_flat:
            return weights
        vectors = [
            xp.reshape(weight, (*weight.shape[: weight.ndim - len(shape)], prod(shape)))
            for weight, shape in zip(weights, self.shapes, strict=True)
        ]
        return [xp.concatenate(vectors, -1)]

    def unpack(self, packed: list[Any], xp: Any = np) -> list[Any]:
        """Return the weights that `pack` was given."""
        if not self.is_flat:
            return packed
        (vector,) = packed
        ends = np.cumsum([prod(shape) for shape in self.shapes])[:-1].tolist()
        parts = xp.split(vector, ends, -1) if ends else [vector]
        return [
            xp.reshape(part, (*vector.shape[:-1], *shape))
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
        length = sum(prod(shape) for shape in own.shapes)
        weights = [keras.Variable(np.zeros(length), dtype=weights[0].dtype)]
    return own, weights
