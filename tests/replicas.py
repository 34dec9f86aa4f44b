"""What a replica is compared with: stock Keras, step by step, from the same values."""

from dataclasses import replace

import numpy as np

from dlclaims import engine
from dlclaims.engine import schedule
from dlclaims.engine.blueprint import precision

EXACT = 1e-12


def distance(weights, others):
    return max(
        float(np.abs(np.asarray(a) - np.asarray(b)).max())
        for a, b in zip(weights, others, strict=True)
    )


def split(x, y, seeds, sizes):
    """Examples whose training and validation splits are drawn for each seed."""
    rows = [seeds.generator(seed, "split").permutation(len(x)) for seed in seeds]
    train, validation, test = np.split(np.stack(rows), np.cumsum(sizes), axis=1)
    return engine.Examples(x, y, train, validation, test)


def trained_by_keras(build, given, recipe, seeds, seed, rate):
    """The stock model after `train_on_batch` on the same values and batches."""
    model = engine.initialize(build, seeds, dtype="float64").replica(seed)
    batches = schedule.batches(given.train, recipe.steps, recipe.batch, seeds)
    with precision("float64"):
        optimizer = recipe.optimizer()
        optimizer.learning_rate = rate
        model.compile(optimizer, recipe.loss, run_eagerly=True)
        for batch in batches[tuple(seeds).index(seed)]:
            model.train_on_batch(given.x[batch], given.y[batch])
    return model


def trained(build, given, recipe, seeds, rates, **settings):
    """The replicas of a run with these settings, else one at a time and without XLA."""
    return engine.train(
        build, given, recipe, seeds, rates, replace(engine.Numerics(), **settings)
    )
