"""What is trained on what, and how: plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dlclaims.errors import UsageError

if TYPE_CHECKING:
    import keras

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples shared by all seeds, and each seed's split of them.

    Parameters
    ----------
    x : ndarray, shape (n, ...)
    y : ndarray, shape (n,) or (n, k)
        Integer labels stay integers; other targets take the recipe's dtype.
    train, validation, test : ndarray of int, shape (seeds, m)
        Indices into `x`, one row a seed; m may be 0 for validation and test.
    """

    x: np.ndarray
    y: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def __post_init__(self) -> None:
        for name in SPLITS:
            split = getattr(self, name)
            if split.ndim != 2 or (
                split.size and not np.issubdtype(split.dtype, np.integer)
            ):
                raise UsageError(
                    f"Examples.{name} to be indices of shape (seeds, m)",
                    f"{split.dtype} of shape {split.shape}",
                    "stack one row of indices for each seed",
                )
            if split.size and not 0 <= split.min() <= split.max() < len(self.x):
                raise UsageError(
                    f"Examples.{name} to lie within 0..{len(self.x) - 1}",
                    f"{split.min()}..{split.max()}",
                    "index into Examples.x",
                )


@dataclass(frozen=True, eq=False)
class Stream:
    """Fresh examples at every step, each seed's own, and what is evaluated.

    Parameters
    ----------
    draw : callable
        ``draw(rng, n)`` returns n new examples x, shape (n, ...), and y, by a numpy
        generator; many steps' examples are drawn at once.
    validation, test : int
        Examples of these splits, drawn once for each seed; there is no training split.
    """

    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
    validation: int = 1000
    test: int = 1000

    def __post_init__(self) -> None:
        if min(self.validation, self.test) < 1:
            raise UsageError(
                "a stream with validation and test examples",
                f"validation={self.validation}, test={self.test}",
                "ask for 1 or more of each",
            )

    def examples(
        self, rng: np.random.Generator, n: int, dtype: str
    ) -> list[np.ndarray]:
        """Return n examples x and y, typed as an engine takes them."""
        parts = [np.asarray(part) for part in self.draw(rng, n)]
        if [len(part) for part in parts] != [n, n]:
            raise UsageError(
                f"draw(rng, {n}) to return x and y of {n} examples each",
                f"arrays of {[len(part) for part in parts]}",
                "let draw return as many examples as it is asked for",
            )
        return [typed(part, dtype) for part in parts]


@dataclass(frozen=True)
class Recipe:
    """How a model is trained and what is recorded.

    Parameters
    ----------
    loss : str or callable
        A Keras loss by name, or ``loss(y, prediction)`` with one value an example. A
        function defined once in a module is recognised again, a lambda compiles anew.
    optimizer : callable
        Returns a new Keras optimizer; each replica's own rate replaces its rate.
    schedule : callable, optional
        Factor of every replica's rate at a step, which counts from 0: a function of the
        step in `keras.ops`, or a schedule of `keras.optimizers.schedules` that starts
        from a rate of 1.
    steps, batch : int
        Gradient steps, and examples in each.
    record : tuple of int
        Steps after which metrics are recorded (0: before training); the last step
        always is.
    record_every : int
        Record after every so many steps as well; 0 for never.
    metrics : tuple of str or callable
        ``accuracy`` (which Keras resolves by the targets' shape), another function of
        `keras.metrics` by name, or ``metric(y, prediction)``.
    until : tuple of (str, float)
        Thresholds, e.g. ``("train_accuracy", 0.9)``: the table gets the first recorded
        step at which the column reaches it (for a loss: falls to it).
    stop : bool
        Training ends for a replica at the first recorded step that reaches all
        thresholds of `until`; its later rows repeat that one.
    train_examples : int or None
        Train metrics are computed on so many of a seed's training examples, the first
        of its row; None for all.
    test : str
        ``last``: the test split is evaluated after the last step only, and is missing
        in earlier rows; ``recorded``: at every recorded step.
    dtype : str
        ``float32`` or ``float64``.
    """

    loss: str | Callable[..., Any]
    optimizer: Callable[[], keras.optimizers.Optimizer]
    steps: int
    batch: int
    record: tuple[int, ...] = ()
    record_every: int = 0
    metrics: tuple[str | Callable[..., Any], ...] = ("accuracy",)
    until: tuple[tuple[str, float], ...] = ()
    stop: bool = False
    schedule: Callable[[Any], Any] | None = None
    train_examples: int | None = None
    test: Literal["last", "recorded"] = "last"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        wrong = [step for step in self.record if not 0 <= step <= self.steps]
        if wrong:
            raise UsageError(
                f"recorded steps within 0..{self.steps}",
                f"record={self.record}",
                f"leave out {wrong}",
            )
        columns = self.columns
        for column, _ in self.until:
            if column not in columns or column.startswith("test"):
                raise UsageError(
                    f"until to name one of {', '.join(columns)}, not of the test split",
                    repr(column),
                    "name a column of the table",
                )
        if self.stop and not self.until:
            raise UsageError(
                "until to say when training stops",
                "stop=True and no threshold",
                "name a column and its threshold",
            )

    def reached(self, column: str, threshold: float, values: np.ndarray) -> np.ndarray:
        """Return whether values of a column reach a threshold; NaN never does."""
        is_loss = column.endswith("loss")
        return values <= threshold if is_loss else values >= threshold

    @property
    def recorded(self) -> tuple[int, ...]:
        """Steps at which metrics are recorded, ascending."""
        every = range(0, self.steps, self.record_every) if self.record_every else ()
        return tuple(sorted({*self.record, *every[1:], self.steps}))

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of what is measured on each split: the loss, then the metrics."""
        names = [m if isinstance(m, str) else m.__name__ for m in self.metrics]
        return ("loss", *names)

    @property
    def columns(self) -> tuple[str, ...]:
        """Metric columns of the table: ``loss`` is the training split's."""
        names = [f"{split}_{name}" for split in SPLITS for name in self.measures]
        return ("loss", *names[1:])


def measure_of(metric: str | Callable[..., Any], y: np.ndarray, outputs: int) -> Any:
    """Return ``function(y, prediction)`` for a metric; accuracy depends on shapes."""
    import keras

    if not isinstance(metric, str):
        return metric
    if metric == "accuracy":
        if outputs == 1:
            metric = "binary_accuracy"
        else:
            metric = f"{'sparse_' if y.ndim == 1 else ''}categorical_accuracy"
    function = getattr(keras.metrics, metric, None)
    if function is None or isinstance(function, type):
        raise UsageError(
            "a metric to be the name of a function in keras.metrics",
            repr(metric),
            "use e.g. sparse_categorical_accuracy, or pass metric(y, prediction)",
        )
    return function


def typed(array: np.ndarray, dtype: str) -> np.ndarray:
    """Return integers as int32 and everything else in `dtype`."""
    dtype = "int32" if np.issubdtype(array.dtype, np.integer) else dtype
    return array.astype(dtype, copy=False)
