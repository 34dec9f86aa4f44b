"""What every labelled data set has in common, and how seeds divide it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dlclaims.errors import UsageError
from dlclaims.seeds import Seeds


@dataclass(frozen=True)
class Classification:
    """Labelled examples: a pool that every seed divides anew, then perhaps a test set.

    Parameters
    ----------
    name : str
    x : float32 array
        Shape (examples, features), read-only.
    y : int32 array
        Shape (examples,), classes counted from 0, read-only.
    classes : int
    pool : int
        The first so many examples are divided by the seeds.
    test : int
        Test examples of each seed: all examples after the pool, the same for every
        seed; or, where none come after it, drawn from the pool.
    """

    name: str
    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.int32]
    classes: int
    pool: int
    test: int

    def __post_init__(self) -> None:
        self.x.flags.writeable = self.y.flags.writeable = False

    @property
    def features(self) -> int:
        """Features of an example."""
        return self.x.shape[1]

    @property
    def digest(self) -> str:
        """Half the sha256 of shapes and values: what a cell's key must contain."""
        content = hashlib.sha256(f"{self.x.shape}|{self.y.shape}|{self.pool}".encode())
        content.update(self.x.tobytes())
        content.update(self.y.tobytes())
        return content.hexdigest()[:32]


class Split(NamedTuple):
    """Indices of examples, one row a seed; the three never share an example."""

    train: npt.NDArray[np.int64]  # shape (seeds, train)
    validation: npt.NDArray[np.int64]  # shape (seeds, validation)
    test: npt.NDArray[np.int64]  # shape (seeds, test)


def split(dataset: Classification, seeds: Seeds, train: int, validation: int) -> Split:
    """Divide a data set once for every seed, from the stream ``split``.

    A seed's test and validation examples do not depend on `train`, and a smaller
    training set is the beginning of a larger one: sizes are compared on one split.

    Raises
    ------
    UsageError
        The pool is too small.
    """
    is_fixed = len(dataset.x) > dataset.pool
    drawn = 0 if is_fixed else dataset.test
    if train < 1 or validation < 1 or train + validation > dataset.pool - drawn:
        raise UsageError(
            f"at most {dataset.pool - drawn} training and validation examples of "
            f"{dataset.name}, at least one of each",
            f"{train} and {validation}",
            "ask for fewer",
        )
    orders = np.stack(
        [seeds.generator(seed, "split").permutation(dataset.pool) for seed in seeds]
    )
    test, validating, training, _ = np.split(
        orders, np.cumsum([drawn, validation, train]), axis=1
    )
    if is_fixed:
        test = np.tile(np.arange(dataset.pool, len(dataset.x)), (len(seeds), 1))
    return Split(training, validating, test)


def standardize(dataset: Classification) -> Classification:
    """Return the data set with its features at mean 0 and variance 1 over the pool.

    One mean and one variance for all features together: pixels that are almost always
    dark would reach 40 standard deviations of their own. A fixed test set takes no part
    in the statistics; test examples that are drawn from the pool do, but not their
    labels.
    """
    pool = dataset.x[: dataset.pool].astype(np.float64)
    x = (dataset.x - pool.mean()) / pool.std()
    return replace(dataset, x=x.astype(np.float32))
