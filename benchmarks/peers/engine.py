"""The engine of dlclaims, on the backend that ``KERAS_BACKEND`` names."""

from __future__ import annotations

import os
from functools import partial

import numpy as np

from benchmarks.contenders import Clock, Outcome
from benchmarks.workloads import LEARNING_RATE, MEASURED, Job
from dlclaims import engine

engine.pin(int(os.environ.get("REPLICA_THREADS", 1)))  # before a backend is imported

import keras  # noqa: E402

#: A second training tells what the first one spent on compiling; after a first one that
#: took longer, the difference would not be seen.
REPEATED_SECONDS = 10


def train(job: Job) -> Outcome:
    x, y = job.examples
    seeds = job.streams
    every = np.tile(np.arange(len(x)), (len(seeds), 1))
    examples = engine.Examples(x, y, every, every[:, :0], every[:, :0])
    recipe = engine.Recipe(
        cross_entropy if job.workload.net.loss == "cross-entropy" else "mse",
        partial(keras.optimizers.Adam, clipnorm=job.workload.clipnorm),
        job.steps,
        job.workload.batch,
        metrics=(),
        train_examples=MEASURED,
    )
    run = partial(
        engine.train, job.workload.net.build, examples, recipe, seeds, (LEARNING_RATE,)
    )
    clock, again = Clock(), Clock()
    with clock:
        runs = run()
    compiling = None
    if clock.seconds < REPEATED_SECONDS:
        with again:
            run()
        compiling = max(clock.seconds - again.seconds, 0.0)
    losses = tuple(runs.table().groupby("seed").loss.last())
    return Outcome(clock.seconds, compiling, clock.peak_mb, losses)


def cross_entropy(y, logits):
    return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
