"""What training returns: weights and records of all replicas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dlclaims.engine import architecture
from dlclaims.engine.blueprint import NOISE_STATE, Blueprint
from dlclaims.engine.numerics import Numerics
from dlclaims.engine.recipe import Recipe
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
        The first step at which the loss or the weights were not finite, 0 for none;
        `values` are then the last finite ones.
    """

    plan: Blueprint
    seeds: Seeds
    learning_rates: tuple[float, ...]
    values: tuple[np.ndarray, ...] = field(repr=False)
    numerics: Numerics
    recipe: Recipe | None = None
    records: np.ndarray = field(
        default_factory=lambda: np.zeros((0, 0, 0, 0)), repr=False
    )
    diverged_at: np.ndarray = field(
        default_factory=lambda: np.zeros(0, int), repr=False
    )

    @property
    def replicas(self) -> list[tuple[int, float]]:
        """Seed and learning rate of each replica; NaN where nothing was trained."""
        rates = self.learning_rates or (float("nan"),)
        return [(seed, rate) for seed in self.seeds for rate in rates]

    @property
    def weights(self) -> tuple[np.ndarray, ...]:
        """The weights in the order of `model.weights`, each with replicas first."""
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
            There is no such replica, or the rate is left out and there are several.
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

        Columns: ``seed``, ``learning_rate``, ``step``; ``loss`` and ``train_<metric>``
        of the training split, and the same for ``validation_`` and ``test_`` with
        ``validation_loss`` and ``test_loss``: means over the split's examples in
        inference mode, without penalties, NaN where the split is empty or was not
        evaluated. For each threshold ``steps_to_<column>_<threshold>``, the first
        recorded step that reached it, or the recipe's steps when none did, and
        ``reached_<column>_<threshold>``, false for the latter (censored). ``status``,
        ``ok`` or ``diverged``, and ``diverged_at``, the step that was not finite, NaN
        for none; from there on the metrics are NaN.
        """
        import pandas as pd

        keys = ["seed", "learning_rate", "step"]
        if self.recipe is None:
            rows = [(*replica, 0) for replica in self.replicas]
            table = pd.DataFrame(rows, columns=keys)
            return table.assign(status="ok", diverged_at=float("nan"))
        steps = np.array(self.recipe.recorded)
        rows = [(*replica, int(step)) for replica in self.replicas for step in steps]
        diverged_at = np.where(self.diverged_at, self.diverged_at, np.nan)[:, None]
        is_over = steps >= diverged_at  # never, where it is NaN
        kept = np.where(is_over[..., None, None], np.nan, self.records)
        metrics = np.moveaxis(kept.reshape(*is_over.shape, -1), -1, 0)
        columns = dict(zip(self.recipe.columns, metrics, strict=True))
        for name, threshold in self.recipe.until:
            reached = self.recipe.reached(name, threshold, columns[name])
            ever = reached.any(axis=1, keepdims=True)
            first = steps[reached.argmax(axis=1)][:, None]
            columns[f"steps_to_{name}_{threshold:g}"] = np.where(ever, first, steps[-1])
            columns[f"reached_{name}_{threshold:g}"] = ever
        columns["status"] = np.where(np.isnan(diverged_at), "ok", "diverged")
        columns["diverged_at"] = diverged_at
        long = {
            name: np.broadcast_to(column, is_over.shape).ravel()
            for name, column in columns.items()
        }
        return pd.DataFrame(rows, columns=keys).assign(**long)

    def early_stopped(self, column: str, patience: int) -> pd.DataFrame:
        """Return the row of `table` that early stopping would have kept.

        Training goes on to the recipe's last step all the same, so that one run serves
        every rule of stopping.

        Parameters
        ----------
        column : str
            What is watched at every recorded step, e.g. ``validation_loss``: a loss
            should fall, anything else rise.
        patience : int
            Recorded steps without a new best value after which training would end.

        Returns
        -------
        DataFrame
            One row for each replica: the one with the best value so far, and
            ``stopped_at``, the step at which training would have ended.

        Raises
        ------
        UsageError
            The column is not in the table, or `patience` is below 1.
        """
        table = self.table()
        if column not in table or patience < 1:
            raise UsageError(
                f"a column of {', '.join(table.columns)}, and a patience of 1 or more",
                f"{column!r}, patience {patience}",
                "name what is watched, and how many recorded steps may pass",
            )
        values = table[column].to_numpy().reshape(len(self.replicas), -1)
        values = np.nan_to_num(
            -values if column.endswith("loss") else values, nan=-np.inf
        )
        places = np.arange(values.shape[1])
        best = np.maximum.accumulate(values, axis=1)
        is_new = np.ones(values.shape, bool)
        is_new[:, 1:] = values[:, 1:] > best[:, :-1]
        at_best = np.maximum.accumulate(np.where(is_new, places, 0), axis=1)
        is_over = (places - at_best >= patience) | (places == places[-1])
        ends = is_over.argmax(axis=1)
        kept = np.take_along_axis(at_best, ends[:, None], axis=1)[:, 0]
        rows = table.iloc[np.arange(len(kept)) * len(places) + kept]
        steps = table["step"].to_numpy()[: len(places)]
        return rows.assign(stopped_at=steps[ends]).reset_index(drop=True)
