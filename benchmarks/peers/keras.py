"""What most people write: a loop over seeds around `keras.Model.fit`."""

from __future__ import annotations

import keras
import numpy as np

from benchmarks.contenders import Clock, Outcome
from benchmarks.workloads import LEARNING_RATE, MEASURED, Job


def fit(job: Job) -> Outcome:
    """Train a new model for every seed."""
    clock, losses = Clock(), []
    for row in range(len(job.seeds)):
        with clock:
            model = compiled(job, row)
            train(model, job, row)
        losses.append(loss(model, job))
    each = first_step(job)
    return Outcome(clock.seconds, each * len(job.seeds), clock.peak_mb, tuple(losses))


def refit(job: Job) -> Outcome:
    """Compile one model, and give it each seed's weights and a fresh optimizer."""
    clock, losses = Clock(), []
    with clock:
        model = compiled(job, 0)
        model.optimizer.build(model.trainable_variables)
        fresh = [np.array(variable) for variable in model.optimizer.variables]
    for row in range(len(job.seeds)):
        with clock:
            if row:
                model.set_weights(built(job, row).get_weights())
                for variable, value in zip(
                    model.optimizer.variables, fresh, strict=True
                ):
                    variable.assign(value)
            train(model, job, row)
        losses.append(loss(model, job))
    return Outcome(clock.seconds, first_step(job), clock.peak_mb, tuple(losses))


def built(job: Job, row: int) -> keras.Model:
    keras.utils.set_random_seed(job.seeds[row])
    model = job.workload.net.build()
    start = job.start(row)
    if start:
        model.set_weights(start)
    return model


def compiled(job: Job, row: int) -> keras.Model:
    model = built(job, row)
    optimizer = keras.optimizers.Adam(LEARNING_RATE, clipnorm=job.workload.clipnorm)
    model.compile(optimizer, objective(job))
    return model


def objective(job: Job) -> keras.Loss:
    if job.workload.net.loss == "cross-entropy":
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return keras.losses.MeanSquaredError()


def train(model: keras.Model, job: Job, row: int, steps: int | None = None) -> None:
    """Fit the seed's batches in their order.

    All epochs of the schedule are laid end to end and fitted as one: `fit` saves the
    cost of beginning an epoch.
    """
    x, y = job.examples
    order = job.order[row, :steps].ravel()
    model.fit(
        x[order], y[order], batch_size=job.workload.batch, shuffle=False, verbose=0
    )


def first_step(job: Job) -> float:
    """Return the seconds until a new model has taken its first step."""
    clock = Clock()
    with clock:
        train(compiled(job, 0), job, 0, steps=1)
    return clock.seconds


def loss(model: keras.Model, job: Job) -> float:
    x, y = (array[:MEASURED] for array in job.examples)
    return float(objective(job)(y, model(x, training=False)))
