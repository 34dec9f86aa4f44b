"""Second derivatives of the loss, without ever making a Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import backends
from dlclaims.engine.packing import Packing
from dlclaims.engine.probes.tables import tidy
from dlclaims.engine.recipe import typed
from dlclaims.engine.runs import Runs
from dlclaims.engine.taps import compute, own
from dlclaims.errors import UsageError

if TYPE_CHECKING:
    import keras
    import pandas as pd


def hessian_products(
    runs: Runs,
    x: np.ndarray,
    y: np.ndarray,
    loss: str | Callable[..., Any],
    vectors: np.ndarray,
) -> np.ndarray:
    """Return the product of the mean loss' Hessian with one vector for each replica.

    Parameters
    ----------
    runs, x, y, loss
        As in `layer_gradients`; penalties do not count.
    vectors : ndarray, shape (replicas, weights)
        In the order of the model's `trainable_variables`, each flattened.

    Returns
    -------
    ndarray, shape (replicas, weights)
    """
    expected = len(runs.replicas), weights_of(runs.plan.model)
    if vectors.shape != expected:
        raise UsageError(
            f"a vector of {expected[1]} weights for each of {expected[0]} replicas",
            f"shape {vectors.shape}",
            "flatten and join the trainable weights",
        )
    given = list(typed(vectors, runs.plan.dtype))
    return np.stack([product for _, product in products(runs, x, y, loss, given)])


def curvature(
    runs: Runs,
    x: np.ndarray,
    y: np.ndarray,
    loss: str | Callable[..., Any],
    tolerance: float = 1e-3,
) -> pd.DataFrame:
    """Return the extreme eigenvalues of the mean loss' Hessian.

    Parameters
    ----------
    runs, x, y, loss
        As in `hessian_products`.
    tolerance : float
        How far a value may be from an eigenvalue, as a fraction of the largest
        eigenvalue's size; an eigenvalue that stands apart is met far better.

    Returns
    -------
    DataFrame
        One row for each replica: ``gradient_norm``, the Euclidean norm of the gradient
        with respect to all trainable weights, ``smallest_eigenvalue`` and
        ``largest_eigenvalue``, by Lanczos iteration from a random vector (stream
        ``noise/curvature``); all NaN where the gradient is not finite.
    """
    size = weights_of(runs.plan.model)
    starts = [
        typed(
            runs.seeds.generator(seed, "noise/curvature").standard_normal(size),
            runs.plan.dtype,
        )
        for seed, _ in runs.replicas
    ]

    def drive(evaluate: Callable[..., Any], start: Any, *examples: Any) -> Any:
        gradient, _ = evaluate(start, *examples)
        if not np.isfinite(gradient).all():
            return np.full(3, np.nan)

        def product(vector: np.ndarray) -> np.ndarray:
            return evaluate(vector.astype(start.dtype), *examples)[1].astype(float)

        ends = extreme_eigenvalues(product, start.astype(float), tolerance)
        return np.linalg.norm(gradient.astype(float)), *ends

    found = np.array(products(runs, x, y, loss, starts, drive))
    names = ("gradient_norm", "smallest_eigenvalue", "largest_eigenvalue")
    return tidy(runs, {}, dict(zip(names, found.T, strict=True)))


def products(
    runs: Runs,
    x: np.ndarray,
    y: np.ndarray,
    loss: str | Callable[..., Any],
    vectors: list[np.ndarray],
    drive: Callable[..., Any] | None = None,
) -> list[Any]:
    """Return each replica's gradient, and the Hessian's product with its vector."""
    import keras
    from keras import ops

    gradients = backends.load().gradients

    def measure(model: keras.Model, weights: Any, vector: Any, x: Any, y: Any) -> Any:
        trained, others = weights
        packing = Packing(tuple(tuple(value.shape) for value in trained), is_flat=True)

        def mean_loss(packed: Any) -> tuple[Any, Any]:
            values = packing.unpack(packed)
            prediction, _ = model.stateless_call(values, others, x, training=False)
            return ops.mean(keras.losses.get(loss)(y, prediction)), ()

        def along(packed: Any) -> tuple[Any, Any]:
            slope = gradients(mean_loss, 1)(packed)[2][0]
            return ops.sum(slope * vector), slope

        _, slope, products = gradients(along, 1)(packing.pack(trained))
        return slope, products[0]

    inputs = own(runs, x, runs.plan.model.inputs[0].ndim)
    targets = own(runs, y, y.ndim - (x.ndim - inputs[0].ndim))
    name = "curvature", loss
    return compute(name, measure, runs, vectors, inputs, targets, drive=drive)


def weights_of(model: keras.Model) -> int:
    """Return the number of trainable weights."""
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def extreme_eigenvalues(
    product: Callable[[np.ndarray], np.ndarray], start: np.ndarray, tolerance: float
) -> tuple[float, float]:
    """Return a symmetric matrix' smallest and largest eigenvalue.

    Lanczos iteration, every new vector orthogonalised against all before it; an end of
    the spectrum is found when its residual is small. A zero matrix and repeated
    eigenvalues end the iteration early.

    Parameters
    ----------
    product : callable
        The matrix times a vector.
    start : ndarray, shape (n,)
        A vector with a part along every eigenvector, as a random one has.
    tolerance : float
        Bound on the residual norm, as a fraction of the largest eigenvalue's size.
    """
    basis = [start / np.linalg.norm(start)]
    diagonal: list[float] = []
    beside: list[float] = []
    while True:
        image = product(basis[-1])
        diagonal.append(float(basis[-1] @ image))
        known = np.stack(basis)
        for _ in range(2):  # once leaves rounding behind
            image = image - known.T @ (known @ image)
        rest = float(np.linalg.norm(image))
        within = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
        values, vectors = np.linalg.eigh(within)
        residual = rest * np.abs(vectors[-1, [0, -1]]).max()
        is_found = residual <= tolerance * np.abs(values).max()
        if is_found or len(basis) == len(start):
            return float(values[0]), float(values[-1])
        basis.append(image / rest)
        beside.append(rest)
