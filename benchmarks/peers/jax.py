"""Keras' own stateless call under JAX: one compiled loop over all steps."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import keras
import numpy as np
from jax import numpy as jnp
from jax.tree_util import tree_map

from benchmarks.contenders import Clock, Outcome
from benchmarks.workloads import LEARNING_RATE, MEASURED, Job
from dlclaims.engine.blueprint import blueprint, parted

THREADS = 2


def mapped(job: Job) -> Outcome:
    """Train all replicas as one batch of models."""

    def run(compiled: Any, state: Any, order: Any) -> Any:
        return compiled(state, jnp.asarray(order))

    return train(job, run, jax.vmap, lambda arrays: arrays)


def threaded(job: Job) -> Outcome:
    """Train replica after replica by one program, on two Python threads."""

    def run(compiled: Any, state: Any, order: Any) -> Any:
        def one(row: int) -> Any:
            own = tree_map(lambda array: array[row], state)
            return tree_map(np.asarray, compiled(own, jnp.asarray(order[row])))

        with ThreadPoolExecutor(THREADS) as pool:
            rows = list(pool.map(one, range(len(order))))
        return tree_map(lambda *parts: np.stack(parts), *rows)

    return train(
        job, run, lambda f: f, lambda arrays: tree_map(lambda array: array[0], arrays)
    )


def train(job: Job, run: Any, over_replicas: Any, shapes: Any) -> Outcome:
    """Build, compile for `shapes` of the replicas' arrays, and `run`."""
    x, y = (jnp.asarray(array) for array in job.examples)
    clock = Clock()
    with clock:
        begun = time.perf_counter()
        # As the engine builds: Keras' own initializers would compile for seconds.
        plan = blueprint(job.workload.net.build, "float32")
        model = plan.model
        optimizer = keras.optimizers.Adam(LEARNING_RATE, clipnorm=job.workload.clipnorm)
        optimizer.build(model.trainable_variables)

        def loss(trained: Any, others: Any, x: Any, y: Any, training: bool) -> Any:
            output, others = model.stateless_call(trained, others, x, training=training)
            if job.workload.net.loss == "cross-entropy":
                values = keras.losses.sparse_categorical_crossentropy(
                    y, output, from_logits=True
                )
            else:
                values = keras.losses.mean_squared_error(y, output)
            return values.mean(), others

        gradient = jax.grad(loss, has_aux=True)

        def step(state: Any, batch: Any) -> Any:
            trained, others, slots = state
            slopes, others = gradient(trained, others, x[batch], y[batch], True)
            trained, slots = optimizer.stateless_apply(slots, slopes, trained)
            return (trained, others, slots), None

        def whole(state: Any, order: Any) -> Any:
            return jax.lax.scan(step, state, order)[0]

        slots = [np.asarray(variable) for variable in optimizer.variables]
        state = (
            *parted(model, list(job.initial or plan.draw(job.streams))),
            [np.stack([slot] * len(job.seeds)) for slot in slots],
        )
        arguments = shapes((state, job.order))
        compiled = jax.jit(over_replicas(whole)).lower(*arguments).compile()
        compiling = time.perf_counter() - begun
        trained, others, _ = tree_map(np.asarray, run(compiled, state, job.order))
    losses = []
    for row in range(len(job.seeds)):
        own = [[value[row] for value in part] for part in (trained, others)]
        losses.append(float(loss(*own, x[:MEASURED], y[:MEASURED], False)[0]))
    return Outcome(clock.seconds, compiling, clock.peak_mb, tuple(losses))
