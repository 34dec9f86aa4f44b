"""Training all seeds and learning rates of a variant by one compiled program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import architecture, backends, cache, numerics, schedule
from dlclaims.engine.blueprint import Blueprint, blueprint, joined, precision
from dlclaims.engine.numerics import Numerics
from dlclaims.engine.program import Program
from dlclaims.engine.recipe import SPLITS, Examples, Recipe, typed
from dlclaims.engine.runs import Runs
from dlclaims.errors import UsageError

if TYPE_CHECKING:
    import keras

    from dlclaims.seeds import Seeds


def initialize(
    build: Callable[[], keras.Model], seeds: Seeds, dtype: str = "float32"
) -> Runs:
    """Draw the initial weights of all seeds; nothing is trained.

    Parameters
    ----------
    build : callable
        Returns a new Keras model from stock layers.
    dtype : str
        ``float32`` or ``float64``; the weights are the same numbers in both.
    """
    settings = numerics.current()
    plan = blueprint(build, dtype)
    return Runs(plan, seeds, (), tuple(plan.draw(seeds)), settings)


def train(
    build: Callable[[], keras.Model],
    examples: Examples,
    recipe: Recipe,
    seeds: Seeds,
    learning_rates: Sequence[float],
    settings: Numerics | None = None,
) -> Runs:
    """Train every seed at every learning rate.

    Replica (seed, rate) gets the weights that it would get alone: initial values,
    split, batches and noise depend on its seed only.

    Parameters
    ----------
    build : callable
        Returns a new Keras model from stock layers.
    examples : Examples
    recipe : Recipe
    seeds : Seeds
    learning_rates : sequence of float
        Data of the program, like seeds: more of them cost no compilation.
    settings : Numerics, optional
        Instead of what `numerics.plan` picks.

    Raises
    ------
    UsageError
        When splits and seeds differ in number, or the batch exceeds the training split.
    """
    rates = tuple(float(rate) for rate in learning_rates)
    rows = [len(getattr(examples, name)) for name in SPLITS]
    if not rates or {*rows} != {len(seeds)}:
        raise UsageError(
            "at least one learning rate, and one row of every split for each seed",
            f"{len(rates)} rates, {len(seeds)} seeds, splits of {rows} rows",
            "build the splits from the same seeds",
        )
    base = numerics.current()
    order = schedule.batches(examples.train, recipe.steps, recipe.batch, seeds)
    # Replicas run over the learning rates of the first seed, then of the second.
    owner = np.repeat(np.arange(len(seeds)), len(rates))
    often, late = measured(examples, recipe)
    with precision(recipe.dtype):
        plan = blueprint(build, recipe.dtype)
        settings = settings or pick(plan, recipe, base)
        program = prepare(plan, recipe, examples, settings)
        own = (
            program.start(
                [value[owner] for value in plan.draw(seeds)], np.tile(rates, len(seeds))
            ),
            order[owner],
            [split[owner] for split in often.values()],
            [split[owner] for split in late.values()],
        )
        run = partial(execute, program, recipe, settings, examples)
        state, records, final = run(own, recipe.steps)
        diverged_at = first_not_finite(state[3], records, recipe)
        restore(run, own, state, diverged_at)
    table = np.full((*records.shape[:2], len(SPLITS), records.shape[3]), np.nan)
    table[:, :, [SPLITS.index(name) for name in often]] = records
    if late:
        table[:, -1, [SPLITS.index(name) for name in late]] = final
    values = tuple(joined(plan.model, *state[:2]))
    return Runs(plan, seeds, rates, values, settings, recipe, table, diverged_at)


def first_not_finite(
    missed: np.ndarray, records: np.ndarray, recipe: Recipe
) -> np.ndarray:
    """Return the step at which each replica diverged, 0 for none.

    Parameters
    ----------
    missed : ndarray of int, shape (replicas,)
        The first step whose batch loss was not finite, 0 for none.
    records : ndarray, shape (replicas, recorded steps, splits, measures)
        The loss of the training split comes first; it may show it a step earlier.
    """
    never = recipe.steps + 1
    steps = np.maximum(recipe.recorded, 1)
    shown = np.where(np.isfinite(records[:, :, 0, 0]), never, steps).min(axis=1)
    first = np.minimum(np.where(missed > 0, missed, never), shown)
    return np.where(first < never, first, 0)


def restore(
    run: Callable[[Any, int], Any], own: Any, state: Any, diverged_at: np.ndarray
) -> None:
    """Put diverged replicas of `state` back to their last finite weights.

    Training repeats itself to the bit, so the way back is to run up to there again;
    that costs nothing where nothing diverges.
    """
    from keras import tree

    for row in np.flatnonzero(diverged_at):
        replica = tree.map_structure(lambda array: array[[row]], own)  # noqa: B023
        for stop in range(diverged_at[row] - 1, -1, -1):
            again, _, _ = run(replica, stop)
            if all(np.isfinite(array).all() for array in (*again[0], *again[1])):
                break
        for whole, part in zip(tree.flatten(state), tree.flatten(again), strict=True):
            whole[row] = part[0]


def measured(
    examples: Examples, recipe: Recipe
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the splits that are measured at every record, and after the last step."""
    splits = {name: getattr(examples, name).astype("int32") for name in SPLITS}
    splits["train"] = splits["train"][:, : recipe.train_examples]
    splits = {name: split for name, split in splits.items() if split.shape[1]}
    late = {"test"} & {*splits} if recipe.test == "last" else set()
    return (
        {name: split for name, split in splits.items() if name not in late},
        {name: splits[name] for name in late},
    )


def pick(plan: Blueprint, recipe: Recipe, base: Numerics) -> Numerics:
    """Return the numerics of a configuration; the plainest where work is unknown."""
    try:
        forward = 2.0 * architecture.multiply_accumulates(plan.model)
    except UsageError:
        return base
    return numerics.plan(
        3 * forward * recipe.batch,  # the gradient costs two forward passes more
        recipe.steps,
        architecture.has_convolution(plan.model),
        plan.is_random,
        base,
    )


def prepare(
    plan: Blueprint, recipe: Recipe, examples: Examples, settings: Numerics
) -> Program:
    """Return the program of a configuration, which this process may have already.

    Raises
    ------
    UsageError
        The optimizer's learning rate is a schedule.
    """
    structure, kept = architecture.fingerprint(plan.model)
    optimizer = recipe.optimizer()
    config = optimizer.get_config()
    if not isinstance(config["learning_rate"], float):
        raise UsageError(
            "an optimizer with a constant learning rate",
            f"{type(optimizer).__name__} with {config['learning_rate']}",
            "leave the rate out: each replica has its own",
        )
    shapes = examples.x.shape, examples.y.shape
    sizes = tuple(getattr(examples, name).shape[1] for name in SPLITS)
    key = (
        *(structure, recipe.loss, recipe.metrics, recipe.dtype, recipe.test),
        *(type(optimizer), repr({**config, "learning_rate": 0, "name": ""})),
        *(recipe.train_examples, recipe.steps, recipe.batch, len(recipe.recorded)),
        *(shapes, sizes, examples.x.dtype.kind, examples.y.dtype.kind, settings),
    )
    number = settings.replicas_per_call
    return cache.once(
        key, kept, lambda: Program(plan.model, recipe, examples.y, number)
    )


def execute(
    program: Program,
    recipe: Recipe,
    settings: Numerics,
    examples: Examples,
    own: Any,
    stop: int,
) -> tuple[Any, np.ndarray, np.ndarray]:
    """Run all replicas up to step `stop`; return state, records, final, replicas first.

    Parameters
    ----------
    own : (state, order, often, last)
        As `Program.run` takes them, but with the replicas as first axis everywhere.
    """
    from keras import tree

    backend, number = backends.load(), settings.replicas_per_call
    data = [backend.tensor(typed(a, recipe.dtype)) for a in (examples.x, examples.y)]
    recorded = backend.tensor(np.minimum(recipe.recorded, stop, dtype="int32"))
    replicas = len(own[1])
    # The last chunk is filled up with its last replica, so that all have one shape.
    rows = np.arange(-(-replicas // number) * number).clip(max=replicas - 1)

    def arguments(chunk: np.ndarray) -> list[Any]:
        state, order, often, last = tree.map_structure(lambda a: a[chunk], own)
        each = state, order.swapaxes(0, 1), often, last
        return [data, *tree.map_structure(backend.tensor, each), recorded]

    def run(chunk: np.ndarray) -> Any:
        outputs = program.call(*arguments(chunk))
        state, records, final = tree.map_structure(np.asarray, outputs)
        return state, records.swapaxes(0, 1), final

    chunks = list(rows.reshape(-1, number))
    program.compile(arguments(chunks[0]), settings.xla)
    with ThreadPoolExecutor(settings.replica_threads) as pool:
        outputs = list(pool.map(run, chunks))
    return tree.map_structure(lambda *parts: np.concatenate(parts)[:replicas], *outputs)
