"""Which examples are in which mini-batch: made with numpy, the same everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dlclaims.engine.recipe import SPLITS, Examples, Recipe, Stream, typed
from dlclaims.errors import UsageError

if TYPE_CHECKING:
    from dlclaims.seeds import Seeds

#: Steps of one call of a program: trainings of any length share what is compiled. Of a
#: stream the examples of so many steps are in memory, else only their indices.
CALL_STEPS, STREAM_STEPS = 512, 32


class Legs(NamedTuple):
    """From which step one call of a program trains on, and where it stops to look.

    Parameters
    ----------
    begin : ndarray of int, shape ()
        Steps taken before.
    stops : ndarray of int, shape (r,)
        Steps at which the call stops, ascending.
    is_recorded : ndarray of int, shape (r,)
        1 where the splits are measured at a stop.
    is_last : ndarray of int, shape ()
        1 where the late splits are measured after the last stop.
    """

    begin: np.ndarray
    stops: np.ndarray
    is_recorded: np.ndarray
    is_last: np.ndarray


@dataclass(frozen=True, eq=False)
class Fixed:
    """Mini-batches of examples that are there before training.

    Parameters
    ----------
    examples : Examples
    order : ndarray of int, shape (seeds, steps, batch)
    recipe : Recipe
    """

    examples: Examples
    order: np.ndarray
    recipe: Recipe

    def legs(self) -> list[Legs]:
        """Return what the calls do, one after another."""
        return _calls(self.recipe, CALL_STEPS)

    def batches(self, seeds: np.ndarray, legs: Legs) -> Any:
        """Return indices of the examples of a call, shape (steps, seeds, batch)."""
        steps = legs.begin + np.arange(CALL_STEPS)
        # After the last step stand batches that are not trained on.
        return self.order[seeds][:, steps.clip(max=self.recipe.steps - 1)].swapaxes(
            0, 1
        )

    def evaluated(self, seeds: np.ndarray) -> Examples:
        """Return what is measured in a call, a row of each split for each replica."""
        own = {name: getattr(self.examples, name)[seeds] for name in SPLITS}
        own["train"] = own["train"][:, : self.recipe.train_examples]
        return replace(self.examples, **own)


@dataclass(frozen=True, eq=False)
class Fresh:
    """Mini-batches that are drawn as training goes on, some steps a call.

    Parameters
    ----------
    x, y : ndarray, shape (seeds, validation + test, ...)
        What is evaluated, each seed's own.
    stream : Stream
    seeds : Seeds
    recipe : Recipe
    """

    x: np.ndarray
    y: np.ndarray
    stream: Stream
    seeds: Seeds
    recipe: Recipe

    def legs(self) -> list[Legs]:
        """Return what the calls do, one after another."""
        return _calls(self.recipe, STREAM_STEPS)

    def batches(self, seeds: np.ndarray, legs: Legs) -> Any:
        """Return the examples of a call, each of shape (steps, seeds, batch, ...)."""
        names = tuple(self.seeds)
        size = STREAM_STEPS, self.recipe.batch
        own = [
            self.stream.examples(
                self.seeds.generator(names[row], f"data/step/{legs.begin}"),
                math.prod(size),
                self.recipe.dtype,
            )
            for row in seeds
        ]
        return [
            np.stack([part.reshape(*size, *part.shape[1:]) for part in parts], axis=1)
            for parts in zip(*own, strict=True)
        ]

    def evaluated(self, seeds: np.ndarray) -> Examples:
        """Return what is measured in a call, a row of each split for each replica.

        It is those replicas' own, so that its size depends on no other seeds.
        """
        x, y = (np.concatenate(each[seeds]) for each in (self.x, self.y))
        rows = np.arange(len(x)).reshape(len(seeds), -1)
        validation, test = np.split(rows, [self.stream.validation], axis=1)
        return Examples(x, y, rows[:, :0], validation, test)


def standing(legs: Legs) -> Legs:
    """Return the call that takes no step, and measures the late splits."""
    begin = int(legs.begin)
    return _legs(begin, np.full(legs.stops.shape, begin), legs.is_recorded * 0, 1)


def fixed(examples: Examples, recipe: Recipe, seeds: Seeds) -> Fixed:
    """Return the mini-batches of a recipe's steps from given examples.

    Raises
    ------
    UsageError
        Splits and seeds differ in number, the batch exceeds the training split, or
        training should stop at steps that do not end a call.
    """
    _check_stop(recipe, CALL_STEPS)
    rows = [len(getattr(examples, name)) for name in SPLITS]
    if {*rows} != {len(seeds)}:
        raise UsageError(
            "one row of every split for each seed",
            f"{len(seeds)} seeds, splits of {rows} rows",
            "build the splits from the same seeds",
        )
    order = batches(examples.train, recipe.steps, recipe.batch, seeds)
    x, y = (typed(array, recipe.dtype) for array in (examples.x, examples.y))
    return Fixed(replace(examples, x=x, y=y), order, recipe)


def fresh(stream: Stream, recipe: Recipe, seeds: Seeds) -> Fresh:
    """Return the mini-batches of a recipe's steps from a stream.

    Its validation and test examples are each seed's own, drawn once.

    Raises
    ------
    UsageError
        Training should stop at steps that do not end a call.
    """
    _check_stop(recipe, STREAM_STEPS)
    drawn = [
        [
            stream.examples(seeds.generator(seed, f"data/{name}"), size, recipe.dtype)
            for seed in seeds
        ]
        for name, size in (("validation", stream.validation), ("test", stream.test))
    ]
    x, y = (
        np.concatenate([np.stack([own[part] for own in split]) for split in drawn], 1)
        for part in (0, 1)
    )
    return Fresh(x, y, stream, seeds, recipe)


def batches(train: np.ndarray, steps: int, batch: int, seeds: Seeds) -> np.ndarray:
    """Return each seed's mini-batches as indices, shape (seeds, steps, batch).

    Every epoch is a new shuffle of the seed's training indices, from its stream
    ``order``; what does not fill the epoch's last batch is left out of that epoch.

    Parameters
    ----------
    train : ndarray of int, shape (seeds, m)
    """
    per_epoch = train.shape[1] // batch
    if per_epoch == 0:
        raise UsageError(
            f"a batch of at most {train.shape[1]} examples, the training split's size",
            f"batch={batch}",
            "choose a smaller batch",
        )
    epochs = -(-steps // per_epoch)
    schedule = np.empty((len(seeds), epochs, per_epoch * batch), "int32")
    for row, seed in enumerate(seeds):
        rng = seeds.generator(seed, "order")
        for epoch in range(epochs):
            schedule[row, epoch] = rng.permutation(train[row])[: per_epoch * batch]
    return schedule.reshape(len(seeds), -1, batch)[:, :steps]


def _check_stop(recipe: Recipe, size: int) -> None:
    if recipe.stop and any(step % size for step in recipe.recorded[:-1]):
        raise UsageError(
            f"training that may stop to be recorded at multiples of {size}",
            f"records at {recipe.recorded}",
            f"use record_every={size} or a multiple",
        )


def _calls(recipe: Recipe, size: int) -> list[Legs]:
    """Return the calls of `size` steps that a recipe takes; the last may be shorter."""
    begins = range(0, recipe.steps, size)
    own = [
        [s for s in recipe.recorded if b < s <= b + size or s == b == 0] for b in begins
    ]
    places = 1 + max(map(len, own))
    legs = []
    for begin, stops in zip(begins, own, strict=True):
        last = min(begin + size, recipe.steps)
        filled = [*stops, *[last] * (places - len(stops))]
        is_recorded = np.arange(places) < len(stops)
        legs.append(_legs(begin, filled, is_recorded, last == recipe.steps))
    return legs


def _legs(begin: int, stops: Any, is_recorded: Any, is_last: int) -> Legs:
    return Legs(*(np.asarray(a, "int32") for a in (begin, stops, is_recorded, is_last)))
