"""The calls of one program that train all replicas of a variant."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlclaims.engine import backends, schedule
from dlclaims.engine.numerics import Numerics
from dlclaims.engine.program import Program
from dlclaims.engine.recipe import typed


@dataclass(frozen=True, eq=False)
class Job:
    """All that the calls of a program need to train all replicas.

    Parameters
    ----------
    program : Program
    settings : Numerics
    source : Fixed or Fresh
    owner : ndarray of int, shape (replicas,)
        The position of each replica's seed.
    knobs : ndarray, shape (hyperparameters,)
    start : tuple
        The state before the first step, replicas first.
    often, last : list of ndarray of int, shape (replicas, m)
    """

    program: Program
    settings: Numerics
    source: schedule.Fixed | schedule.Fresh
    owner: np.ndarray
    knobs: np.ndarray
    start: Any
    often: list[np.ndarray]
    last: list[np.ndarray]

    @property
    def data(self) -> list[np.ndarray]:
        """The examples x and y that indices point into."""
        examples, dtype = self.source.examples, self.program.dtype
        return [typed(examples.x, dtype), typed(examples.y, dtype)]

    def arguments(self, chunk: np.ndarray, legs: schedule.Legs) -> list[Any]:
        """Return what comes after the data in the first call for a chunk."""
        from keras import tree

        batches = self.source.batches(self.owner[chunk], legs)
        own = self.start, self.often, self.last
        state, often, last = tree.map_structure(lambda array: array[chunk], own)
        return [batches, self.knobs, legs, state, often, last]

    def run(self) -> tuple[Any, np.ndarray, np.ndarray]:
        """Train; return state, records and final measures, replicas first."""
        from keras import tree

        number, replicas = self.settings.replicas_per_call, len(self.owner)
        # The last chunk is filled up with the last replica: all have one shape.
        filled = np.arange(-(-replicas // number) * number).clip(max=replicas - 1)
        chunks = filled.reshape(-1, number)
        first, *further = self.source.legs()
        data, tensor = self.data, backends.load().tensor
        example = [data, *self.arguments(chunks[0], first)]
        call = self.program.compiled(example, self.settings.xla)
        data = tree.map_structure(tensor, data)

        def train(chunk: np.ndarray) -> Any:
            given = tree.map_structure(tensor, self.arguments(chunk, first))
            _, knobs, _, _, often, last = given
            state, records, final = call(data, *given)
            kept = [np.asarray(records)[first.is_recorded > 0]]
            for legs in further:
                batches = self.source.batches(self.owner[chunk], legs)
                given = tree.map_structure(tensor, (batches, knobs, legs))
                state, records, final = call(data, *given, state, often, last)
                kept.append(np.asarray(records)[legs.is_recorded > 0])
            state, final = tree.map_structure(np.asarray, (state, final))
            return state, np.concatenate(kept).swapaxes(0, 1), final

        with ThreadPoolExecutor(self.settings.replica_threads) as pool:
            outputs = list(pool.map(train, chunks))
        return tree.map_structure(
            lambda *parts: np.concatenate(parts)[:replicas], *outputs
        )
