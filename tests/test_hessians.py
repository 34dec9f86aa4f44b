"""Second derivatives of the loss against closed forms and differences."""

from functools import partial

import numpy as np
import pytest
from test_probes import EXAMPLES, OUTPUTS, SEEDS, initial, inputs, squares, stack

from dlclaims import engine
from dlclaims.engine.probes.hessians import extreme_eigenvalues
from dlclaims.errors import UsageError


def straight(outputs=OUTPUTS):
    import keras

    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(outputs)(x))


def targets():
    streams = [SEEDS.generator(seed, "noise/y") for seed in SEEDS]
    return np.stack([stream.random((EXAMPLES, OUTPUTS)) for stream in streams])


def quadratic(x):
    """Hessian of the mean of |x W + b - y|^2 by the kernel, then the bias."""
    extended = np.column_stack([x, np.ones(len(x))])
    return np.kron(2 * extended.T @ extended / len(x), np.eye(OUTPUTS))


def test_the_hessian_of_linear_regression_is_the_inputs_covariance():
    runs, x, y = initial(straight), inputs(), targets()
    size = runs.parameters
    vectors = np.stack(
        [SEEDS.generator(seed, "noise").standard_normal(size) for seed in SEEDS]
    )
    found = engine.hessian_products(runs, x, y, squares, vectors)
    table = engine.curvature(runs, x, y, squares, tolerance=1e-12)
    for row in range(len(SEEDS)):
        hessian = quadratic(x[row])
        assert np.allclose(found[row], hessian @ vectors[row], atol=1e-12)
        values = np.linalg.eigvalsh(hessian)
        assert table.smallest_eigenvalue[row] == pytest.approx(values[0])
        assert table.largest_eigenvalue[row] == pytest.approx(values[-1])
        error = x[row] @ runs.weights[0][row] - y[row]
        slopes = 2 / EXAMPLES * np.vstack([x[row].T @ error, error.sum(axis=0)])
        assert table.gradient_norm[row] == pytest.approx(np.linalg.norm(slopes))


def flat_gradient(runs, row, flat, x, y):
    """Backpropagation through x -> tanh(x A + a) -> B + b, by hand."""
    shapes = [weight.shape[1:] for weight in runs.weights]
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    parts = np.split(flat, ends[:-1])
    first, bias, last, shift = (
        p.reshape(s) for p, s in zip(parts, shapes, strict=True)
    )
    a = np.tanh(x @ first + bias)
    error = 2 * (a @ last + shift - y) / len(x)
    at_z = error @ last.T * (1 - a**2)
    gradients = x.T @ at_z, at_z.sum(axis=0), a.T @ error, error.sum(axis=0)
    return np.concatenate([g.ravel() for g in gradients])


def flat_weights(runs, row):
    return np.concatenate([weight[row].ravel() for weight in runs.weights])


def test_hessian_products_are_differences_of_gradients():
    runs, x, y = initial(partial(stack, depth=1, width=3)), inputs(), targets()
    size, step = runs.parameters, 1e-5
    table = engine.curvature(runs, x, y, squares, tolerance=1e-10)
    hessians = []
    for row in range(len(SEEDS)):
        columns = []
        for unit in np.eye(size):
            ends = [
                flat_gradient(runs, row, flat_weights(runs, row) + push, x[row], y[row])
                for push in (step * unit, -step * unit)
            ]
            columns.append((ends[0] - ends[1]) / (2 * step))
        hessians.append(np.stack(columns))
        values = np.linalg.eigvalsh((hessians[row] + hessians[row].T) / 2)
        assert values[0] < 0  # no minimum, and Lanczos finds both ends
        assert table.smallest_eigenvalue[row] == pytest.approx(values[0], abs=1e-8)
        assert table.largest_eigenvalue[row] == pytest.approx(values[-1], abs=1e-8)
    vectors = np.ones((len(SEEDS), size))
    found = engine.hessian_products(runs, x, y, squares, vectors)
    assert np.allclose(found, np.sum(hessians, axis=-1), atol=1e-8)


def test_vectors_have_a_part_for_each_trainable_weight():
    runs = initial(partial(stack, depth=1, width=3, frozen=True))
    read_out = 3 * OUTPUTS + OUTPUTS
    with pytest.raises(UsageError, match=f"{read_out} weights"):
        engine.hessian_products(
            runs, inputs(), targets(), squares, np.ones((2, runs.parameters))
        )


@pytest.mark.parametrize(
    "spectrum",
    [[0.0] * 4, [2.0], [1.0, 1.0, 1.0], [-3.0, 0.0, 0.0, 1.0], np.arange(60.0)],
)
def test_lanczos_finds_both_ends_of_a_spectrum(spectrum):
    rng = np.random.default_rng(0)
    size = len(spectrum)
    basis = np.linalg.qr(rng.standard_normal((size, size)))[0]
    matrix = basis * spectrum @ basis.T
    found = extreme_eigenvalues(matrix.dot, rng.standard_normal(size), 1e-9)
    assert np.allclose(found, (min(spectrum), max(spectrum)), atol=1e-8)


def test_a_looser_tolerance_takes_fewer_products():
    spectrum, counts = np.linspace(0, 1, 300) ** 3, []
    for tolerance in (1e-2, 1e-6):
        calls = []

        def product(vector, calls=calls):
            calls.append(vector)
            return spectrum * vector

        start = np.random.default_rng(0).standard_normal(300)
        found = extreme_eigenvalues(product, start, tolerance)
        assert np.allclose(found, (0, 1), atol=tolerance)
        counts.append(len(calls))
    assert counts[0] < counts[1] < 300
