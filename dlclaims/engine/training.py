"""Training all seeds and learning rates of a variant by one compiled program."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import (
    architecture,
    backends,
    cache,
    hyperparameters,
    numerics,
    schedule,
)
from dlclaims.engine.blueprint import Blueprint, blueprint, joined, precision
from dlclaims.engine.job import Job
from dlclaims.engine.numerics import Numerics, Pick, Work
from dlclaims.engine.program import Program
from dlclaims.engine.recipe import SPLITS, Examples, Recipe, Stream, typed
from dlclaims.engine.runs import Runs
from dlclaims.errors import DlclaimsError, UsageError

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
    examples: Examples | Stream,
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
    examples : Examples or Stream
        Fixed ones, gone through in epochs, or fresh ones at every step.
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
    if not rates:
        raise UsageError("at least one learning rate", "none", "name the rates")
    base = numerics.current()
    # Replicas run over the learning rates of the first seed, then of the second.
    owner = np.repeat(np.arange(len(seeds)), len(rates))
    with precision(recipe.dtype):
        source: schedule.Fixed | schedule.Fresh
        if isinstance(examples, Stream):
            source = schedule.fresh(examples, recipe, seeds)
        else:
            source = schedule.fixed(examples, recipe, seeds)
        sample = source.evaluated(np.zeros(1, int))
        often, late = measured(sample, recipe)
        plan = blueprint(build, recipe.dtype)
        optimizer = recipe.optimizer()
        knobs = typed(hyperparameters.values(plan.model, optimizer), recipe.dtype)
        values = [value[owner] for value in plan.draw(seeds)]

        def work(settings: Numerics) -> tuple[Job, Any]:
            program = prepare(plan, recipe, optimizer, sample.y, settings)
            job = Job(
                program,
                settings,
                source,
                owner,
                knobs,
                program.start(values, np.tile(rates, len(seeds))),
                often,
                late,
                ending(recipe, often),
            )
            return job, job.run()

        if settings:
            job, found = work(settings)
        else:
            choice = capped(pick(plan, recipe, optimizer, base), len(owner))
            job, found = planned(work, choice, base)
        state, records, final = found
        diverged_at = first_not_finite(state[3], records, recipe)
    table = np.full((*records.shape[:2], len(SPLITS), records.shape[3]), np.nan)
    table[:, :, [SPLITS.index(name) for name in often]] = records
    if late:
        table[:, -1, [SPLITS.index(name) for name in late]] = final
    weights = job.program.packing.unpack_replicas(state[0])
    return Runs(
        *(plan, seeds, rates, tuple(joined(plan.model, weights, state[1]))),
        *(job.settings, recipe, table, diverged_at),
    )


def planned(
    work: Callable[[Numerics], tuple[Job, Any]], pick: Pick, base: Numerics
) -> tuple[Job, Any]:
    """Return what `work` returns under what was picked, or else without any of it.

    A layer of a page's own, or a full device, may bear neither XLA nor several replicas
    in a call. What is wrong all the same is raised by the second attempt.
    """
    try:
        found = work(pick.numerics)
    except Exception as error:
        if pick.numerics == base or isinstance(error, DlclaimsError):
            raise
        reason = f"the plan's choice ended with {type(error).__name__}"
        pick = Pick(pick.work, base, reason)
        found = work(base)
    numerics.note(pick)
    return found


def ending(
    recipe: Recipe, splits: tuple[str, ...]
) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return what says from records whether replicas are over; None without `stop`.

    Parameters
    ----------
    splits : tuple of str
        Those that are recorded, in the order of the records' second axis.
    """
    if not recipe.stop:
        return None
    number = len(recipe.measures)
    places = [divmod(recipe.columns.index(name), number) for name, _ in recipe.until]
    at = [(splits.index(SPLITS[split]), measure) for split, measure in places]

    def is_over(records: np.ndarray) -> np.ndarray:
        reached = [
            recipe.reached(name, threshold, records[:, split, measure])
            for (name, threshold), (split, measure) in zip(
                recipe.until, at, strict=True
            )
        ]
        return np.all(reached, axis=0)

    return is_over


def first_not_finite(
    missed: np.ndarray, records: np.ndarray, recipe: Recipe
) -> np.ndarray:
    """Return the step at which each replica diverged, 0 for none.

    Parameters
    ----------
    missed : ndarray of int, shape (replicas,)
        The first step whose batch loss or weights were not finite, 0 for none.
    records : ndarray, shape (replicas, recorded steps, splits, measures)
        The loss of the first split, which may show it a step earlier, comes first.
    """
    never = recipe.steps + 1
    steps = np.maximum(recipe.recorded, 1)
    shown = np.where(np.isfinite(records[:, :, 0, 0]), never, steps).min(axis=1)
    first = np.minimum(np.where(missed > 0, missed, never), shown)
    return np.where(first < never, first, 0)


def measured(
    examples: Examples, recipe: Recipe
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the splits that are measured at every record, and after the last step."""
    splits = [name for name in SPLITS if getattr(examples, name).shape[1]]
    late = [name for name in splits if name == "test" and recipe.test == "last"]
    return tuple(name for name in splits if name not in late), tuple(late)


def pick(
    plan: Blueprint,
    recipe: Recipe,
    optimizer: keras.optimizers.Optimizer,
    base: Numerics,
) -> Pick:
    """Return what the plan picks; the plainest where the work is unknown."""
    model = plan.model
    try:
        forward = 2.0 * architecture.multiply_accumulates(model)
        floats = architecture.activation_floats(model)
    except UsageError as error:
        return Pick(Work(math.nan, recipe.steps), base, f"no rule for {error.received}")
    itemsize = np.dtype(recipe.dtype).itemsize
    work = Work(
        step_work=3 * forward * recipe.batch,  # the gradient costs two forward passes
        steps=recipe.steps,
        # Weights, gradients and two optimizer variables; activations and gradients.
        replica_bytes=itemsize * (4 * model.count_params() + 2 * floats * recipe.batch),
        has_convolution=architecture.has_convolution(model),
        has_recurrence=architecture.has_recurrence(model),
        has_max_pooling=architecture.has_max_pooling(model),
        is_random=architecture.is_random(model),
    )
    return numerics.plan(work, backends.load().machine(), base)


def capped(pick: Pick, replicas: int) -> Pick:
    """Return a pick whose calls are not mostly filling: what a GPU holds can be a lot.

    The replicas of a cell belong to its key, so its bits still follow from that.
    """
    most = max(numerics.SHARE, 1 << (replicas - 1).bit_length())
    share = min(pick.numerics.replicas_per_call, most)
    return replace(pick, numerics=replace(pick.numerics, replicas_per_call=share))


def prepare(
    plan: Blueprint,
    recipe: Recipe,
    optimizer: keras.optimizers.Optimizer,
    y: np.ndarray,
    settings: Numerics,
) -> Program:
    """Return the program of a configuration, which this process may have already.

    Raises
    ------
    UsageError
        The optimizer's learning rate is a schedule.
    """
    structure, kept = architecture.fingerprint(plan.model)
    config = optimizer.get_config()
    if not isinstance(config["learning_rate"], float):
        raise UsageError(
            "an optimizer with a constant learning rate",
            f"{type(optimizer).__name__} with {config['learning_rate']}",
            "leave the rate out, and give the schedule to Recipe(schedule=...)",
        )
    data = dict.fromkeys(hyperparameters.of_optimizer(optimizer), True)
    undecayed = getattr(optimizer, "_exclude_from_weight_decay_pattern", None)
    rule = {**config, **data, "learning_rate": 0, "name": "", "undecayed": undecayed}
    key = (
        *(structure, recipe.loss, recipe.metrics, recipe.schedule, recipe.dtype),
        *(type(optimizer), repr(rule), y.ndim, settings),
    )
    number = settings.replicas_per_call
    return cache.once(key, kept, lambda: Program(plan.model, recipe, y, number))
