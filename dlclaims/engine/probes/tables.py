"""What probes return: tidy tables, and sizes as logarithms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine.recipe import typed
from dlclaims.engine.runs import Runs

if TYPE_CHECKING:
    import pandas as pd


def tidy(
    runs: Runs, index: Mapping[str, Sequence[Any]], columns: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Return a row for each replica and each combination of the index' values.

    Parameters
    ----------
    runs : Runs
    index : mapping of str to sequence
        Columns after ``seed`` (and ``learning_rate``), the last one changes fastest.
    columns : mapping of str to ndarray
        Each of shape (replicas, *lengths of the index).
    """
    import pandas as pd

    points = list(product(*index.values()))
    rows = [(*replica, *point) for replica in runs.replicas for point in points]
    table = pd.DataFrame(rows, columns=["seed", "learning_rate", *index])
    if not runs.learning_rates:
        table = table.drop(columns="learning_rate")
    return table.assign(**{name: np.ravel(each) for name, each in columns.items()})


def log_rms(array: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """Return the natural logarithm of the rms over some axes, -inf for zeros only.

    Squares of vanishing numbers would leave double precision's range: they are scaled.
    """
    axis = tuple(axes)
    sizes = np.abs(array, dtype="float64")
    largest = sizes.max(axis, keepdims=True)
    scale = np.where(largest > 0, largest, 1)
    with np.errstate(divide="ignore"):  # the log of nothing at all
        logs = np.log(np.square(sizes / scale).mean(axis)) / 2
    return logs + np.log(scale.squeeze(axis))


def gaussian_readouts(runs: Runs, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return standard normal entries for every replica, by stream ``noise/readout``."""
    return [
        typed(
            runs.seeds.generator(seed, "noise/readout").standard_normal(shape),
            runs.plan.dtype,
        )
        for seed, _ in runs.replicas
    ]
