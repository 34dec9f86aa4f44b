"""What training returns: weights and records of all replicas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dlclaims.engine import architecture
from dlclaims.engine.blueprint import NOISE_STATE, Blueprint
from dlclaims.engine.numerics import Numerics
from dlclaims.engine.recipe import SPLITS, Recipe
from dlclaims.errors import UsageError

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from dlclaims.seeds import Seeds


@dataclass(frozen=True, eq=False)
class Runs:
    """All replicas of a variant: seeds, and for each seed its learning rates.

    Parameters
    ----------
    plan : Blueprint
    seeds : Seeds
    learning_rates : tuple of float
        Empty where nothing was trained.
    values : tuple of ndarray
        The model's variables in its order, each of shape (replicas, *shape).
    numerics : Numerics
        The settings that the bits depend on.
    recipe : Recipe or None
    records : ndarray, shape (replicas, recorded steps, splits, measures)
    diverged_at : ndarray of int, shape (replicas,)
        The step whose loss or weights were not finite and which was not taken; 0: none.
    """

    plan: Blueprint
    seeds: Seeds
    learning_rates: tuple[float, ...]
    values: tuple[np.ndarray, ...]
    numerics: Numerics
    recipe: Recipe | None = None
    records: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0, 0)))
    diverged_at: np.ndarray = field(default_factory=lambda: np.zeros(0, int))

    @property
    def replicas(self) -> list[tuple[int, float]]:
        """Seed and learning rate of each replica; NaN where nothing was trained."""
        rates = self.learning_rates or (float("nan"),)
        return [(seed, rate) for seed in self.seeds for rate in rates]

    @property
    def weights(self) -> tuple[np.ndarray, ...]:
        """The model's weights, as `model.weights` has them, each with replicas first."""
        return tuple(
            value
            for value, variable in zip(
                self.values, self.plan.model.variables, strict=True
            )
            if variable.name != NOISE_STATE
        )

    @property
    def parameters(self) -> int:
        """Number of weights of one replica, frozen ones and statistics included."""
        return int(sum(weight[0].size for weight in self.weights))

    @property
    def multiply_accumulates(self) -> int:
        """Multiply-accumulates of one forward pass of one example."""
        return architecture.multiply_accumulates(self.plan.model)

    def row(self, seed: int, learning_rate: float | None = None) -> int:
        """Return the position of a replica on every array's first axis.

        Raises
        ------
        UsageError
            When there is no such replica, or the rate is left out and there are several.
        """
        rates = self.learning_rates or (None,)
        rate = rates[0] if learning_rate is None and len(rates) == 1 else learning_rate
        if seed not in tuple(self.seeds) or rate not in rates:
            raise UsageError(
                f"a seed of {tuple(self.seeds)} and a learning rate of {rates}",
                f"seed {seed}, learning rate {learning_rate}",
                "name a replica that was run",
            )
        return tuple(self.seeds).index(seed) * len(rates) + rates.index(rate)

    def replica(self, seed: int, learning_rate: float | None = None) -> keras.Model:
        """Return a new Keras model that carries a replica's weights."""
        row = self.row(seed, learning_rate)
        return self.plan.replica([value[row] for value in self.values])

    def table(self) -> pd.DataFrame:
        """Return one row for each seed, learning rate and recorded step.

        Columns: ``seed``, ``learning_rate``, ``step``; ``loss`` (of the training split,
        in inference mode and without penalties), ``train_<metric>``, and the same for
        ``validation_`` and ``test_`` with ``validation_loss``, ``test_loss``: means over
        the split's examples, NaN where the split is empty or was not evaluated; for each
        threshold ``steps_to_<column>_<threshold>``, the first recorded step that reached
        it, or the recipe's steps when none did, and ``reached_<column>_<threshold>``,
        false for the latter (censored); ``status``, ``ok`` or ``diverged``, and
        ``diverged_at``, the step that was not finite, NaN for none. From there on, a
        diverged replica's metrics are NaN.
        """
        import pandas as pd

        keys = ["seed", "learning_rate", "step"]
        if self.recipe is None:
            rows = [(*replica, 0) for replica in self.replicas]
            table = pd.DataFrame(rows, columns=keys)
            return table.assign(status="ok", diverged_at=float("nan"))
        steps = np.array(self.recipe.recorded)
        rows = [(*replica, int(step)) for replica in self.replicas for step in steps]
        table = pd.DataFrame(rows, columns=keys)
        diverged_at = self._diverged_at()
        is_over = steps >= diverged_at[:, None]
        columns = dict(zip(self.recipe.columns, self._by_column(is_over), strict=True))
        for name, column in columns.items():
            table[name] = column.ravel()
        for name, threshold in self.recipe.until:
            reaches = columns[name] >= threshold
            if name.endswith("loss"):
                reaches = columns[name] <= threshold
            first = np.where(reaches.any(1), steps[reaches.argmax(1)], steps[-1])
            table[f"steps_to_{name}_{threshold:g}"] = np.repeat(first, len(steps))
            table[f"reached_{name}_{threshold:g}"] = np.repeat(
                reaches.any(1), len(steps)
            )
        return table.assign(
            status=np.repeat(
                np.where(np.isinf(diverged_at), "ok", "diverged"), len(steps)
            ),
            diverged_at=np.repeat(
                np.where(np.isinf(diverged_at), np.nan, diverged_at), len(steps)
            ),
        )

    def _by_column(self, is_over: np.ndarray) -> list[np.ndarray]:
        replicas, steps, splits, measures = self.records.shape
        values = np.where(is_over[..., None, None], np.nan, self.records)
        assert splits == len(SPLITS)
        return list(np.moveaxis(values.reshape(replicas, steps, -1), -1, 0))

    def _diverged_at(self) -> np.ndarray:
        """Step of divergence, infinite for none; a recorded loss may show it first."""
        assert self.recipe is not None
        steps = np.array(self.recipe.recorded, float)
        is_lost = ~np.isfinite(self.records[:, :, 0, 0])
        shown = np.where(is_lost, steps, np.inf).min(axis=1)
        missed = np.where(self.diverged_at > 0, self.diverged_at, np.inf)
        return np.minimum(shown, missed)
