"""The calls of one program that train all replicas of a variant."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from dlclaims.engine import backends, schedule
from dlclaims.engine.numerics import Numerics
from dlclaims.engine.program import Program


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
    often, late : tuple of str
        The splits that are measured at every record, and after the last step.
    is_over : callable or None
        ``is_over(records)`` says of each replica's records of one step, shape
        (replicas, splits, measures), whether its training ends there; None: it never
        does before the last step.
    """

    program: Program
    settings: Numerics
    source: schedule.Fixed | schedule.Fresh
    owner: np.ndarray
    knobs: np.ndarray
    start: Any
    often: tuple[str, ...]
    late: tuple[str, ...]
    is_over: Callable[[np.ndarray], np.ndarray] | None = None

    def arguments(self, chunk: np.ndarray, legs: schedule.Legs) -> list[Any]:
        """Return what the first call for a chunk of replicas is given."""
        from keras import tree

        seeds = self.owner[chunk]
        examples = self.source.evaluated(seeds)
        often, late = (
            [getattr(examples, split).astype("int32") for split in splits]
            for splits in (self.often, self.late)
        )
        state = tree.map_structure(lambda array: array[chunk], self.start)
        data, batches = [examples.x, examples.y], self.source.batches(seeds, legs)
        return [data, batches, self.knobs, legs, state, often, late]

    def run(self) -> tuple[Any, np.ndarray, np.ndarray]:
        """Train; return state, records and final measures, replicas first."""
        from keras import tree

        number, replicas = self.settings.replicas_per_call, len(self.owner)
        # The last chunk is filled up with the last replica: all have one shape.
        filled = np.arange(-(-replicas // number) * number).clip(max=replicas - 1)
        chunks = filled.reshape(-1, number)
        first, *further = legs = self.source.legs()
        rows = sum(int(each.is_recorded.sum()) for each in legs)
        tensor, example = backends.load().tensor, self.arguments(chunks[0], first)
        call = self.program.compiled(example, self.settings.xla)

        def train(chunk: np.ndarray) -> Any:
            given = tree.map_structure(tensor, self.arguments(chunk, first))
            data, batches, knobs, _, _, often, late = given
            state, records, final = call(*given)
            kept = [*np.asarray(records)[first.is_recorded > 0]]
            ended: dict[int, Any] = {}  # what each replica was that is over
            for legs in further:
                over = set(self.over(kept)) - ended.keys()
                if over:
                    here = tree.map_structure(tensor, schedule.standing(legs))
                    own = call(data, batches, knobs, here, state, often, late)
                    own = tree.map_structure(np.asarray, (own[0], own[2]))
                    ended |= dict.fromkeys(over, (len(kept) - 1, own))
                if len(ended) == number:
                    break
                batches = self.source.batches(self.owner[chunk], legs)
                given = tree.map_structure(tensor, (batches, knobs, legs))
                state, records, final = call(data, *given, state, often, late)
                kept += [*np.asarray(records)[legs.is_recorded > 0]]
            kept += [kept[-1]] * (rows - len(kept))
            table = np.stack(kept, axis=1)
            outcome = tree.map_structure(np.array, (state, final))
            for row, (place, own) in ended.items():
                table[row, place:] = table[row, place]
                tree.map_structure(partial(_take_over, row), outcome, own)
            return outcome[0], table, outcome[1]

        with ThreadPoolExecutor(self.settings.replica_threads) as pool:
            outputs = list(pool.map(train, chunks))
        return tree.map_structure(
            lambda *parts: np.concatenate(parts)[:replicas], *outputs
        )

    def over(self, records: list[np.ndarray]) -> list[int]:
        """Return the replicas of a call whose training ends at the last record."""
        if self.is_over is None or not records:
            return []
        return np.flatnonzero(self.is_over(records[-1])).tolist()


def _take_over(row: int, into: np.ndarray, given: np.ndarray) -> None:
    into[row] = given[row]
