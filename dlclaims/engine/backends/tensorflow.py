"""TensorFlow, the reference backend."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from dlclaims.engine.numerics import Machine, Numerics


def settings(wanted: Numerics) -> Numerics:
    """Apply the thread settings where that is still possible; return what holds."""
    # The vectorised map tells of every operation that it runs one replica at a time.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    threading = tf.config.threading
    try:
        threading.set_intra_op_parallelism_threads(wanted.intra_threads)
        threading.set_inter_op_parallelism_threads(wanted.inter_threads)
    except RuntimeError:  # the runtime is up, and keeps what it has
        pass
    return replace(
        wanted,
        intra_threads=threading.get_intra_op_parallelism_threads(),
        inter_threads=threading.get_inter_op_parallelism_threads(),
        onednn=os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0",
    )


@cache
def machine() -> Machine:
    """Return where programs run, after TensorFlow has taken its devices."""
    if not tf.config.list_logical_devices("GPU"):
        return Machine("tensorflow")
    from tensorflow.python.client import device_lib

    limits = [
        device.memory_limit
        for device in device_lib.list_local_devices()
        if device.device_type == "GPU"
    ]
    # What is free differs from day to day; a power of two hardly does.
    return Machine("tensorflow", gpu_bytes=2.0 ** math.floor(math.log2(limits[0])))


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Nothing to switch: TensorFlow computes in the dtype that it is given."""
    yield


def tensor(array: np.ndarray) -> tf.Tensor:
    """Return the array on the device."""
    return tf.constant(array)


def gather(array: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """Return rows of an array; the result's first axes are those of `indices`."""
    return tf.gather(array, indices)


def split(vector: tf.Tensor, sizes: Sequence[int]) -> list[tf.Tensor]:
    """Return the parts of a vector."""
    return tf.split(vector, sizes)


def compile(function: Callable[..., Any], xla: bool, arguments: Sequence[Any]) -> Any:
    """Return `function` compiled for the shapes of `arguments` (nested tensors)."""
    compiled = tf.function(function, jit_compile=xla, autograph=False)
    compiled.get_concrete_function(*arguments)
    return compiled


def repeat(body: Callable[..., Any], state: Any, start: Any, stop: Any) -> Any:
    """Return the state after ``state = body(i, state)`` for i in start..stop - 1."""

    def step(i: tf.Tensor, state: Any) -> Any:
        new = body(i, state)
        return i + 1, tf.nest.map_structure(
            lambda value, old: tf.ensure_shape(value, old.shape), new, state
        )

    return tf.while_loop(
        lambda i, _: i < stop, step, (start, state), parallel_iterations=1
    )[1]


def map_replicas(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    """Return `function` over a leading replica axis of every argument.

    With one replica in a call there is no such axis, and nothing to map.
    """
    if number == 1:
        return function

    def mapped(*arguments: Any) -> Any:
        return tf.vectorized_map(lambda each: function(*each), arguments)

    return mapped


def gradients(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    """Return a function that gives ``(values, extras, gradients)`` of all replicas.

    `function` maps (parameters, ...) to a scalar and extras. The gradient is taken of
    the sum over replicas, outside the map: that compiles in a quarter of the time, and
    replicas do not depend on each other's parameters. A look-up's gradient is summed
    over equal indices first: Keras' optimizers square it as it comes.
    """
    mapped = map_replicas(function, number)

    def evaluate(parameters: Any, *rest: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(parameters)
            values, extras = mapped(parameters, *rest)
            total = tf.reduce_sum(values)
        zero = tf.UnconnectedGradients.ZERO
        slopes = tape.gradient(total, parameters, unconnected_gradients=zero)
        return values, extras, tf.nest.map_structure(tf.convert_to_tensor, slopes)

    return evaluate


def dropout(inputs: Any, rate: Any, noise_shape: Any, seed: Any) -> Any:
    """Return what Keras' Dropout gives in training, its rate being a tensor."""
    from keras.src.backend.tensorflow import random
    from keras.src.random.seed_generator import draw_seed

    seed = random._cast_seed(draw_seed(seed))
    noise_shape = random._get_concrete_noise_shape(inputs, noise_shape)
    return tf.nn.experimental.stateless_dropout(
        inputs, tf.cast(rate, inputs.dtype), noise_shape=noise_shape, seed=seed
    )


def pure(optimizer: Any) -> Any:
    """Return the Keras optimizer with a working `stateless_apply`.

    Keras' TensorFlow optimizers go through `tf.distribute`, which needs variables; the
    base class has the same methods written with values only, and gets its own back.
    """
    from keras.src.backend.tensorflow.optimizer import TFOptimizer
    from keras.src.optimizers.base_optimizer import BaseOptimizer

    kept = ("__init__", "add_variable_from_reference")
    own = {
        name: method
        for name, method in vars(BaseOptimizer).items()
        if name in vars(TFOptimizer) and name not in kept and callable(method)
    }
    kind = type(optimizer)
    optimizer.__class__ = type(kind.__name__, (kind,), own)
    return optimizer
