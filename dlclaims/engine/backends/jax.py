"""JAX, the second backend: always compiled by XLA."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import numpy as np

from dlclaims.engine.numerics import Machine, Numerics


def settings(wanted: Numerics) -> Numerics:
    """Return the settings that hold: threads were set before JAX was imported."""
    return replace(wanted, xla=True)


@cache
def machine() -> Machine:
    """Return where programs run."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return Machine("jax")
    return Machine("jax", gpu_bytes=float(device.memory_stats()["bytes_limit"]))


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Allow float64, which JAX and Keras on JAX otherwise turn into float32.

    For all threads, unlike JAX's own context; float32 arrays stay what they are.
    """
    from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE

    before = jax.config.jax_enable_x64, BIT64_TO_BIT32_DTYPE["float64"]
    jax.config.update("jax_enable_x64", True)
    BIT64_TO_BIT32_DTYPE["float64"] = dtype
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before[0])
        BIT64_TO_BIT32_DTYPE["float64"] = before[1]


def tensor(array: np.ndarray) -> jax.Array:
    """Return the array on the device."""
    return jax.numpy.asarray(array)


def gather(array: jax.Array, indices: jax.Array) -> jax.Array:
    """Return rows of an array; the result's first axes are those of `indices`."""
    return array[indices]


def split(vector: jax.Array, sizes: Sequence[int]) -> list[jax.Array]:
    """Return the parts of a vector."""
    return jax.numpy.split(vector, np.cumsum(sizes)[:-1])


def compile(function: Callable[..., Any], xla: bool, arguments: Sequence[Any]) -> Any:
    """Return `function` compiled for the shapes of `arguments` (nested arrays)."""
    return jax.jit(function).lower(*arguments).compile()


def repeat(body: Callable[..., Any], state: Any, start: Any, stop: Any) -> Any:
    """Return the state after ``state = body(i, state)`` for i in start..stop - 1."""
    return jax.lax.fori_loop(start, stop, body, state)


def map_replicas(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    """Return `function` over a leading replica axis of every argument.

    With one replica in a call there is no such axis, and nothing to map.
    """
    return function if number == 1 else jax.vmap(function)


def gradients(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    """Return a function that gives ``(values, extras, gradients)`` of all replicas.

    `function` maps (parameters, ...) to a scalar and extras.
    """
    mapped = map_replicas(jax.value_and_grad(function, has_aux=True), number)

    def evaluate(parameters: Any, *rest: Any) -> Any:
        (values, extras), slopes = mapped(parameters, *rest)
        return values, extras, slopes

    return evaluate


def dropout(inputs: Any, rate: Any, noise_shape: Any, seed: Any) -> Any:
    """Return what Keras' Dropout gives in training, its rate being a tensor."""
    from keras.src.backend.jax import random

    noise_shape = random._get_concrete_noise_shape(inputs, noise_shape)
    kept = 1.0 - rate.astype(inputs.dtype)
    mask = jax.random.bernoulli(random.jax_draw_seed(seed), kept, noise_shape)
    mask = jax.numpy.broadcast_to(mask, inputs.shape)
    return jax.numpy.where(mask, inputs / kept, 0)


def pure(optimizer: Any) -> Any:
    """Return the optimizer: Keras' are pure on JAX already."""
    return optimizer
