"""One model for all replicas: its structure, and its initial values for every seed."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import backends
from dlclaims.errors import UsageError

if TYPE_CHECKING:
    import keras

    from dlclaims.seeds import Seeds

Build = Callable[[], "keras.Model"]

#: Name of the variable in which Keras keeps a layer's random state.
NOISE_STATE = "seed_generator_state"

_building = threading.RLock()


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Let Keras build and trace in `dtype`; its own settings come back afterwards.

    What a user's ``keras.json`` may hold otherwise, Keras' defaults are taken for.
    """
    backend = backends.load()
    from keras import config

    wanted = {
        "floatx": dtype,
        "dtype_policy": dtype,
        "epsilon": 1e-7,
        "image_data_format": "channels_last",
    }
    with _building:
        before = {name: getattr(config, name)() for name in wanted}
        for name, value in wanted.items():
            getattr(config, f"set_{name}")(value)
        try:
            with backend.precision(dtype):
                yield
        finally:
            for name, value in before.items():
                getattr(config, f"set_{name}")(value)


@contextmanager
def unchanged_random_state() -> Iterator[None]:
    """Keras seeds unseeded layers from Python's global generator: put it back."""
    before = random.getstate()
    try:
        yield
    finally:
        random.setstate(before)


@dataclass(frozen=True, eq=False)
class Blueprint:
    """A model and the law of each of its variables.

    Parameters
    ----------
    build : callable
        Returns a new model from stock Keras layers.
    dtype : str
        Of its weights and computations.
    model : keras.Model
        Only its structure is used; its values mean nothing.
    initializers : tuple
        The Keras initializer of each of the model's variables.
    """

    build: Build
    dtype: str
    model: keras.Model
    initializers: tuple[Any, ...] = field(repr=False)

    def replica(self, values: list[np.ndarray]) -> keras.Model:
        """Return a new model that holds `values`, in the order of its variables."""
        with precision(self.dtype), unchanged_random_state():
            model = self.build()
            for variable, value in zip(model.variables, values, strict=True):
                variable.assign(value)
        return model

    def draw(self, seeds: Seeds) -> list[np.ndarray]:
        """Return the initial values of each variable, shape (seeds, *shape).

        Variable k of a seed has the stream ``init/k`` (``noise/k`` for the state of a
        layer's random generator), so no draw depends on the order or number of others.
        """
        values = []
        for k, variable in enumerate(self.model.variables):
            drawn = np.empty((len(seeds), *variable.shape), variable.dtype)
            for row, seed in enumerate(seeds):
                if variable.name == NOISE_STATE:
                    rng = seeds.generator(seed, f"noise/{k}")
                    drawn[row] = rng.integers(2**31), 0
                else:
                    rng = seeds.generator(seed, f"init/{k}")
                    law = self.initializers[k]
                    drawn[row] = initial_value(law, variable.shape, rng)
            values.append(drawn)
        return values


def blueprint(build: Build, dtype: str) -> Blueprint:
    """Build once, without drawing any initial value.

    Raises
    ------
    UsageError
        When `build` does not return a new Keras model with all its weights.
    """
    with precision(dtype), unchanged_random_state():
        import keras

        # Inside a stateless scope Keras keeps each variable's initializer for later.
        with keras.StatelessScope():
            model = build()
            if not isinstance(model, keras.Model) or not model.built:
                raise UsageError(
                    "build() to return a keras.Model that knows its input shape",
                    f"{type(model).__name__}",
                    "start the model with keras.Input(shape)",
                )
            initializers = tuple(v._initializer for v in model.variables)
            if None in initializers:
                raise UsageError(
                    "build() to make all layers anew",
                    "a model with weights from before the call",
                    "create the layers inside build",
                )
    return Blueprint(build, dtype, model, initializers)


def parted(model: keras.Model, values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Return the trainable and the other ones of values in the model's order."""
    place = {id(variable): k for k, variable in enumerate(model.variables)}
    parts = model.trainable_variables, model.non_trainable_variables
    trained, others = ([values[place[id(v)]] for v in part] for part in parts)
    return trained, others


def joined(
    model: keras.Model, trained: Sequence[Any], others: Sequence[Any]
) -> list[Any]:
    """Return what `parted` was given."""
    variables = model.trainable_variables + model.non_trainable_variables
    values = zip(variables, [*trained, *others], strict=True)
    named = {id(variable): value for variable, value in values}
    return [named[id(variable)] for variable in model.variables]


def initial_value(
    initializer: Any, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Draw one variable by a Keras initializer's law.

    Keras' random laws are drawn with numpy: the same values on every backend, and three
    times faster. They are drawn in single precision whatever the model's dtype, so that
    a float32 and a float64 replica of one seed start from the same weights. Any other
    initializer is called as it is, with a seed from `rng` when it takes one.
    """
    from keras import initializers as known

    def is_law(kind: type) -> bool:
        return type(initializer).__call__ is kind.__call__

    if is_law(known.VarianceScaling):
        fan_in, fan_out = fans(initializer, shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out}.get(
            initializer.mode, (fan_in + fan_out) / 2
        )
        deviation = (initializer.scale / max(1.0, fan)) ** 0.5
        if initializer.distribution == "uniform":
            return uniform(rng, shape, -(3**0.5) * deviation, 3**0.5 * deviation)
        if initializer.distribution == "untruncated_normal":
            return deviation * normal(rng, shape)
        # Truncation at two deviations shrinks the deviation by this factor.
        return deviation / 0.87962566103423978 * truncated_normal(rng, shape)
    if is_law(known.RandomNormal):
        return initializer.mean + initializer.stddev * normal(rng, shape)
    if is_law(known.TruncatedNormal):
        return initializer.mean + initializer.stddev * truncated_normal(rng, shape)
    if is_law(known.RandomUniform):
        return uniform(rng, shape, initializer.minval, initializer.maxval)
    if is_law(known.Zeros):
        return np.zeros(shape, "float32")
    if is_law(known.Orthogonal):
        return initializer.gain * orthogonal(rng, shape)
    if "seed" in getattr(initializer, "get_config", dict)():
        config = {**initializer.get_config(), "seed": int(rng.integers(2**31))}
        initializer = type(initializer).from_config(config)
    return np.asarray(initializer(shape, dtype="float32"))


def fans(initializer: Any, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return fan-in and fan-out of a kernel by Keras' rules."""
    from keras.src.initializers.random_initializers import compute_fans

    return compute_fans(shape, initializer.input_axes, initializer.output_axes)


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw standard normals."""
    return rng.standard_normal(shape, dtype="float32")


def uniform(
    rng: np.random.Generator, shape: tuple[int, ...], low: float, high: float
) -> np.ndarray:
    """Draw uniform numbers in [low, high)."""
    return low + (high - low) * rng.random(shape, dtype="float32")


def truncated_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw standard normals again until all lie within two deviations."""
    values = normal(rng, shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = normal(rng, (int(outside.sum()),))
    return values


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw a matrix with orthonormal rows or columns, uniformly (Haar)."""
    rows, columns = int(np.prod(shape[:-1])), shape[-1]
    square = normal(rng, (max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(square.astype("float64"))
    q *= np.sign(np.diag(r))
    return (q.T if rows < columns else q).reshape(shape)
