"""What is trained: a few networks as plain facts, their data, and their arithmetic.

A workload is an ordinary stock-Keras network, trained by Adam on fixed batches. Its
floating-point work follows from a closed formula, so that the same work is set against
every contender's seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.seeds import Seeds

if TYPE_CHECKING:
    import keras

REPLICAS = 16
LEARNING_RATE = 1e-3
LONG = 10  # a long training has so many times the steps
CLASSES = 10
DROPOUT = 0.1

#: Examples of every training set; the final loss is measured on the first of them.
EXAMPLES, MEASURED = 1280, 64


@dataclass(frozen=True)
class Dense:
    """`depth` hidden layers of ReLU on the 64 pixels of a digit."""

    depth: int
    width: int
    loss = "cross-entropy"

    def build(self) -> keras.Model:
        import keras

        hidden = [
            keras.layers.Dense(self.width, "relu", kernel_initializer="he_normal")
            for _ in range(self.depth)
        ]
        return keras.Sequential(
            [keras.Input((64,)), *hidden, keras.layers.Dense(CLASSES)]
        )

    @property
    def multiply_accumulates(self) -> int:
        return self.width * (64 + (self.depth - 1) * self.width + CLASSES)

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        return digits()


@dataclass(frozen=True)
class Recurrent:
    """One recurrent layer that adds the two marked values of a sequence."""

    cell: str  # SimpleRNN, LSTM or GRU
    units: int = 64
    length: int = 100
    loss = "mean_squared_error"

    def build(self) -> keras.Model:
        import keras

        layer = getattr(keras.layers, self.cell)(self.units)
        return keras.Sequential(
            [keras.Input((self.length, 2)), layer, keras.layers.Dense(1)]
        )

    @property
    def multiply_accumulates(self) -> int:
        gates = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}[self.cell]
        step = gates * self.units * (2 + self.units)
        return self.length * step + self.units

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        return adding(self.length)


@dataclass(frozen=True)
class Residual:
    """Eight convolutions with batch normalisation, six of them in residual blocks."""

    channels: int = 16
    blocks: int = 3
    loss = "cross-entropy"

    def build(self) -> keras.Model:
        import keras
        from keras import layers

        def normalized(x: Any) -> Any:
            x = layers.Conv2D(
                self.channels,
                3,
                padding="same",
                use_bias=False,
                kernel_initializer="he_normal",
            )(x)
            return layers.BatchNormalization()(x)

        inputs = keras.Input((8, 8, 1))
        x = layers.ReLU()(normalized(inputs))
        for _ in range(self.blocks):
            branch = layers.Dropout(DROPOUT)(layers.ReLU()(normalized(x)))
            x = layers.ReLU()(layers.Add()([x, normalized(branch)]))
        x = layers.ReLU()(normalized(x))
        x = layers.Dropout(DROPOUT)(layers.GlobalAveragePooling2D()(x))
        return keras.Model(inputs, layers.Dense(CLASSES)(x))

    @property
    def multiply_accumulates(self) -> int:
        inner = (2 * self.blocks + 1) * self.channels**2
        return 8 * 8 * 9 * (self.channels + inner) + self.channels * CLASSES

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        x, y = digits()
        return x.reshape(-1, 8, 8, 1), y


@dataclass(frozen=True)
class Transformer:
    """An encoder over 32 pairs of pixels, each with its place; mean-pooled."""

    width: int = 32
    blocks: int = 2
    heads: int = 4
    length: int = 32
    loss = "cross-entropy"

    @property
    def inner(self) -> int:
        """Width of the two-layer net in a block."""
        return 2 * self.width

    def build(self) -> keras.Model:
        import keras
        from keras import layers

        inputs = keras.Input((self.length, 3))
        x = layers.Dense(self.width)(inputs)
        for _ in range(self.blocks):
            y = layers.LayerNormalization()(x)
            attention = layers.MultiHeadAttention(self.heads, self.width // self.heads)
            x = layers.Add()([x, layers.Dropout(DROPOUT)(attention(y, y))])
            y = layers.LayerNormalization()(x)
            y = layers.Dense(self.inner, "relu", kernel_initializer="he_normal")(y)
            y = layers.Dropout(DROPOUT)(layers.Dense(self.width)(y))
            x = layers.Add()([x, y])
        x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
        return keras.Model(inputs, layers.Dense(CLASSES)(x))

    @property
    def multiply_accumulates(self) -> int:
        projections = 4 * self.length * self.width**2
        attention = 2 * self.length**2 * self.width
        net = 2 * self.length * self.width * self.inner
        ends = self.length * 3 * self.width + self.width * CLASSES
        return self.blocks * (projections + attention + net) + ends

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        x, y = digits()
        place = np.linspace(-1, 1, self.length, dtype="float32")[None, :, None]
        pairs = x.reshape(-1, self.length, 2)
        return np.concatenate([pairs, np.repeat(place, len(x), 0)], axis=2), y


@dataclass(frozen=True)
class Workload:
    """A network and how it is trained.

    Parameters
    ----------
    name, title : str
    net : Dense, Recurrent, Residual or Transformer
    batch, steps : int
    clipnorm : float, optional
        Largest norm of each weight's gradient.
    goal : float, optional
        How many times faster than a loop of `keras.fit` the engine shall be.
    """

    name: str
    title: str
    net: Dense | Recurrent | Residual | Transformer
    batch: int
    steps: int
    clipnorm: float | None = None
    goal: float | None = None

    @property
    def step_work(self) -> int:
        """Floating-point operations of a training step of one replica.

        Two for each multiply-accumulate; the gradient costs two forward passes more.
        """
        return 3 * 2 * self.batch * self.net.multiply_accumulates


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("W0", "5 dense of 16", Dense(5, 16), 32, 300, goal=55),
        Workload("W1", "20 dense of 64", Dense(20, 64), 128, 300, goal=30),
        Workload("W2s", "SimpleRNN of 64", Recurrent("SimpleRNN"), 64, 50, 1.0, 15),
        Workload("W2l", "LSTM of 64", Recurrent("LSTM"), 64, 50, 1.0, 9),
        Workload("GRU", "GRU of 64", Recurrent("GRU"), 64, 50, 1.0),
        Workload("W3", "ResNet of 8 convolutions", Residual(), 64, 50, goal=20),
        Workload("TR", "transformer of 2 blocks", Transformer(), 64, 50),
    )
}

#: Growth is measured on this one, and at these widths beside its own.
GROWING = WORKLOADS["W1"]
WIDTHS = (32, 128, 256)


def wide(width: int) -> Workload:
    """Return the growing workload at another width, named ``W1/128``."""
    name = f"{GROWING.name}/{width}"
    net = replace(GROWING.net, width=width)
    return replace(GROWING, name=name, title=f"20 dense of {width}", net=net, goal=None)


def named(name: str) -> Workload:
    """Return a workload by the name that a result's row has."""
    base, _, width = name.partition("/")
    return wide(int(width)) if width else WORKLOADS[base]


@dataclass(frozen=True)
class Job:
    """One training of all replicas, the same for every contender.

    Parameters
    ----------
    workload : Workload
    seeds : tuple of int
    steps : int
    initial : tuple of ndarray, optional
        Initial weights in the order of ``model.weights``, each of shape (seeds, ...);
        without them a contender draws its own.
    """

    workload: Workload
    seeds: tuple[int, ...]
    steps: int
    initial: tuple[np.ndarray, ...] | None = None

    @property
    def streams(self) -> Seeds:
        return Seeds(f"benchmarks/{self.workload.name}", self.seeds)

    @cached_property
    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        return self.workload.net.examples()

    @cached_property
    def order(self) -> np.ndarray:
        """Mini-batches as indices, shape (seeds, steps, batch), as the engine's are.

        Every epoch is a new shuffle from the seed's stream ``order``.
        """
        batch = self.workload.batch
        epoch = EXAMPLES // batch
        epochs = range(-(-self.steps // epoch))
        rows = []
        for rng in (self.streams.generator(seed, "order") for seed in self.seeds):
            shuffled = [rng.permutation(EXAMPLES)[: epoch * batch] for _ in epochs]
            rows.append(np.concatenate(shuffled)[: self.steps * batch])
        return np.stack(rows).reshape(len(rows), self.steps, batch)

    def start(self, row: int) -> list[np.ndarray] | None:
        """Return the initial weights of one seed, if they were handed in."""
        return self.initial and [value[row] for value in self.initial]


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return pixels of handwritten digits, shape (n, 64), in -0.3..0.7, and classes."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return (x[:EXAMPLES] / 16 - 0.3).astype("float32"), y[:EXAMPLES].astype("int32")


def adding(length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the adding problem (Hochreiter & Schmidhuber 1997).

    Values in [0, 1) and a mark on one of each half; the target, shape (n, 1), is the
    sum of the two marked values.
    """
    rng = np.random.default_rng(0)
    values = rng.random((EXAMPLES, length), dtype="float32")
    marks = np.zeros_like(values)
    half = length // 2
    for first in (0, half):
        marks[np.arange(EXAMPLES), first + rng.integers(half, size=EXAMPLES)] = 1
    return np.stack([values, marks], 2), (values * marks).sum(1, keepdims=True)
