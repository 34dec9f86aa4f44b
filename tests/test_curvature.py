"""Second derivatives, activation statistics and ablation against closed forms."""

from functools import partial

import numpy as np
import pytest
from test_probes import EXAMPLES, OUTPUTS, SEEDS, initial, inputs, squares, stack

from dlclaims import engine
from dlclaims.engine.probes.curvature import extreme_eigenvalues
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


def test_frozen_weights_have_no_curvature():
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


def rectified(bias=0.0, width=6):
    """Two layers; the first one's biases are all `bias`."""
    import keras

    x = keras.Input((4,))
    z = keras.layers.Dense(
        width, bias_initializer=keras.initializers.Constant(bias), name="pre_1"
    )(x)
    a = keras.layers.Activation("relu", name="act_1")(z)
    z = keras.layers.Dense(width, name="pre_2")(a)
    a = keras.layers.Activation("tanh", name="act_2")(z)
    return keras.Model(x, keras.layers.Dense(OUTPUTS, name="output")(a))


def test_activation_statistics_are_those_of_the_representations():
    runs, x = initial(partial(rectified, -1.0)), inputs()
    table = engine.activation_statistics(runs, x).set_index(["seed", "layer"])
    counted = []
    for seed, layers in zip(SEEDS, engine.representations(runs, x), strict=True):
        for layer, a in enumerate(layers, start=1):
            found = table.loc[(seed, layer)]
            assert found["mean"] == pytest.approx(a.mean())
            assert found.standard_deviation == pytest.approx(a.std())
            assert found.zeros == pytest.approx(np.mean(a == 0))
            assert found.dead_units == pytest.approx((a == 0).all(axis=0).mean())
            counted.append((found.zeros, found.dead_units))
    assert all(0 < dead < zeros < 1 for zeros, dead in counted[::2])


def test_biases_far_below_zero_kill_every_unit():
    table = engine.activation_statistics(initial(partial(rectified, -100.0)), inputs())
    first, second = table[table.layer == 1], table[table.layer == 2]
    for dead in (first, second):  # tanh(0) is 0 as well
        assert (dead[["zeros", "dead_units"]] == 1).all(axis=None)
        assert (dead[["mean", "standard_deviation"]] == 0).all(axis=None)


def mean_squares(y, prediction):
    return squares(y, prediction)


@pytest.mark.parametrize("removed", [None, [[0, 2], [], [1, 2, 3]]])
def test_ablation_is_cutting_the_outgoing_weights(removed):
    runs, x, y = initial(rectified), inputs(), targets()
    table = engine.ablation(runs, x, y, "act_2", mean_squares, removed)
    assert list(table.columns) == [
        *("seed", "layer", "unit", "mean_squares", "intact_mean_squares")
    ]
    sets = [[unit] for unit in range(6)] if removed is None else removed
    for row, seed in enumerate(SEEDS):
        own = table[table.seed == seed].set_index("unit")
        assert list(own.index) == list(range(len(sets)))
        hidden = engine.representations(runs, x)[row][-1]
        outgoing, bias = runs.weights[-2][row], runs.weights[-1][row]

        def loss(weights, hidden=hidden, bias=bias, row=row):
            return np.mean(np.sum((hidden @ weights + bias - y[row]) ** 2, axis=1))

        assert own.intact_mean_squares.to_numpy() == pytest.approx(loss(outgoing))
        for unit, chosen in enumerate(sets):
            cut = outgoing.copy()
            cut[chosen] = 0
            assert own.mean_squares[unit] == pytest.approx(loss(cut))


def test_ablation_of_a_classifier_by_name():
    runs, x = initial(rectified), inputs()
    labels = targets().argmax(axis=-1)
    table = engine.ablation(runs, x, labels, "act_2", removed=[range(6)])
    for row in range(len(SEEDS)):
        # Without any hidden unit the biases decide, and all are 0: the first class.
        assert table.accuracy[row] == np.mean(labels[row] == 0)


def test_ablation_needs_a_layer_of_the_model():
    with pytest.raises(UsageError, match="act_2"):
        engine.ablation(initial(rectified), inputs(), targets(), "act_22")
