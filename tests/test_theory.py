"""Mean-field theory against closed values, quadrature, and a simulated network."""

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss
from scipy.integrate import quad
from scipy.special import polygamma

from dlclaims.errors import UsageError
from dlclaims.theory import gaussian, mean_field
from dlclaims.theory.mean_field import Initialization, Stack, initialization

SMOOTH = ("sigmoid", "centred_sigmoid", "tanh")


def stack(activation, name, depth=20, inputs=300, residual=False):
    law = initialization(name, activation)
    return Stack(inputs, depth, 300, activation, law, residual)


def amplitude(scale, activation):
    """Return the fixed point's factor; ReLU's does not depend on the variance."""
    q = np.nan_to_num(mean_field.fixed_point(scale, activation), nan=1.0)
    return float(np.sqrt(mean_field.chi(q, scale, activation)))


@pytest.mark.parametrize("activation", gaussian.ACTIVATIONS)
@pytest.mark.parametrize("q", [0.01, 1.0, 10.0, 50.0, 400.0])
def test_moments_equal_adaptive_quadrature(activation, q):
    phi = gaussian.ACTIVATIONS[activation]

    def integral(function):
        def weighted(z):
            return function(np.array(np.sqrt(q) * z)) * np.exp(-(z**2) / 2)

        # 0 is a break point: ReLU has its kink there.
        halves = [
            quad(weighted, *half, epsabs=1e-13, epsrel=1e-12, limit=400)[0]
            for half in ((-9, 0), (0, 9))
        ]
        return sum(halves) / np.sqrt(2 * np.pi)

    scale = 103.0
    second = integral(lambda z: phi.function(z) ** 2)
    slopes = integral(lambda z: phi.derivative(z) ** 2)
    fourth = integral(lambda z: phi.derivative(z) ** 4)
    assert mean_field.length_map(q, scale, activation) == pytest.approx(
        scale * second, abs=1e-8, rel=1e-12
    )
    assert mean_field.chi(q, scale, activation) == pytest.approx(
        scale * slopes, abs=1e-8
    )
    assert gaussian.slope_moment(activation, q, 4) == pytest.approx(fourth, abs=1e-8)
    assert gaussian.mean(activation, q) == pytest.approx(
        integral(phi.function), abs=1e-8
    )


@pytest.mark.parametrize("activation", gaussian.ACTIVATIONS)
def test_moments_of_an_array_are_those_of_its_elements(activation):
    q = np.array([[0.1, 1.0], [4.0, 50.0]])
    for moment in (gaussian.mean, gaussian.second_moment, gaussian.slope_moment):
        each = [[float(moment(activation, value)) for value in row] for row in q]
        np.testing.assert_allclose(moment(activation, q), each, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("activation", gaussian.ACTIVATIONS)
@pytest.mark.parametrize("q", [0.3, 45.6])
def test_product_moment_at_its_ends(activation, q):
    product = gaussian.product_moment
    second = gaussian.second_moment(activation, q)
    mean = gaussian.mean(activation, q)
    assert product(activation, q, 1.0) == pytest.approx(float(second), rel=1e-12)
    assert product(activation, q, 0.0) == pytest.approx(float(mean) ** 2, abs=1e-12)
    # phi(-z) is -phi(z) for odd functions, 1 - phi(z) for the sigmoid, and the other
    # half line for ReLU.
    opposite = {"sigmoid": mean - second, "relu": 0.0}.get(activation, -second)
    assert product(activation, q, -1.0) == pytest.approx(float(opposite), abs=1e-12)


@pytest.mark.parametrize("activation", SMOOTH)
def test_product_moment_equals_gauss_hermite(activation):
    z, weights = hermegauss(120)
    weights = weights / weights.sum()
    phi = gaussian.ACTIVATIONS[activation].function
    v = 0.6 * z[:, None] + 0.8 * z
    expected = (weights * phi(z)) @ phi(v) @ weights
    assert gaussian.product_moment(activation, 1.0, 0.6) == pytest.approx(
        expected, abs=1e-9
    )


def test_derivative_moments_of_the_catalogue():
    q = [0.1, 1.0, 4.0]
    np.testing.assert_allclose(
        gaussian.slope_moment("sigmoid", q), [0.0596, 0.0448, 0.0290], atol=5e-5
    )
    np.testing.assert_allclose(
        gaussian.slope_moment("tanh", q), [0.8492, 0.4644, 0.2560], atol=5e-5
    )


@pytest.mark.parametrize(
    ("scale", "sigmoid", "tanh", "relu"),
    [
        (1.0, 0.236, 1.0, 0.707),
        (2.0, 0.318, 1.051, 1.0),
        (100 * 0.01 / 3, 0.141, 0.577, 0.408),
        (300 * 0.01 / 3, 0.236, 1.0, 0.707),
        (512 * 0.01 / 3, 0.298, 1.033, 0.924),
    ],
)
def test_amplitude_per_layer_of_the_catalogue(scale, sigmoid, tanh, relu):
    assert amplitude(scale, "sigmoid") == pytest.approx(sigmoid, abs=5e-4)
    assert amplitude(scale, "tanh") == pytest.approx(tanh, abs=5e-4)
    assert amplitude(scale, "relu") == pytest.approx(relu, abs=5e-4)


def test_critical_scales():
    for activation, scale in {
        "tanh": 1,
        "relu": 2,
        "linear": 1,
        "centred_sigmoid": 16,
    }.items():
        assert mean_field.critical_scale(activation) == pytest.approx(scale, rel=1e-12)
    assert np.sqrt(mean_field.critical_scale("sigmoid")) == pytest.approx(
        10.15, abs=0.005
    )


@pytest.mark.parametrize("activation", SMOOTH)
def test_chi_crosses_one_at_the_critical_scale(activation):
    scale = mean_field.critical_scale(activation)
    assert amplitude(scale, activation) == pytest.approx(1, abs=1e-10)
    assert amplitude(0.9 * scale, activation) < 1 < amplitude(1.1 * scale, activation)


def test_fixed_points():
    assert mean_field.fixed_point(
        mean_field.critical_scale("sigmoid"), "sigmoid"
    ) == pytest.approx(45.6, abs=0.05)
    assert mean_field.fixed_point(1.0, "tanh") == 0
    assert mean_field.fixed_point(1.9, "relu") == 0
    assert mean_field.fixed_point(2.1, "relu") == np.inf
    assert np.isnan(mean_field.fixed_point(2.0, "relu"))
    q = mean_field.fixed_point(2.0, "tanh")
    assert mean_field.length_map(q, 2.0, "tanh") == pytest.approx(q, rel=1e-12)


def test_initializations():
    assert initialization("document", "tanh").scale_at(300) == pytest.approx(1)
    assert initialization("he", "relu").scale_at(7) == 2
    assert initialization("critical", "tanh").scale_at(7) == 1
    document = stack("relu", "document", depth=3, inputs=64)
    np.testing.assert_allclose(document.scales, [0.64 / 3, 1, 1])
    with pytest.raises(UsageError, match="xavier"):
        initialization("xavir", "tanh")
    with pytest.raises(UsageError, match="tanh"):
        gaussian.mean("tan", 1.0)
    with pytest.raises(ValueError, match="not both"):
        Initialization("both", scale=1.0, limit=0.1)


@pytest.mark.parametrize(
    ("name", "slope"), [("he", 0.0), ("xavier", -np.log(2) / 2), ("critical", 0.0)]
)
def test_relu_slope_is_exact_at_any_input_length(name, slope):
    logs = mean_field.log_gradient_norms(stack("relu", name), np.array([0.1, 1, 30]))
    np.testing.assert_allclose(mean_field.slope_per_layer(logs), slope, atol=1e-14)


def test_gradients_of_a_linear_stack_follow_the_scale():
    plain = stack("linear", "he", depth=6)
    np.testing.assert_allclose(
        mean_field.log_gradient_norms(plain), np.log(2) / 2 * np.arange(5, -1, -1)
    )
    residual = stack("linear", "he", depth=6, residual=True)
    np.testing.assert_allclose(
        mean_field.log_gradient_norms(residual), np.log(3) / 2 * np.arange(5, -1, -1)
    )
    np.testing.assert_allclose(
        mean_field.pre_activation_variance(residual), [2, *4 * 3.0 ** np.arange(5)]
    )


def test_each_factor_takes_the_variance_of_the_layer_that_it_enters():
    net = stack("tanh", "he", depth=3)
    q = mean_field.pre_activation_variance(net, 1.0)
    logs = mean_field.log_gradient_norms(net, 1.0)
    factors = np.log(mean_field.chi(q, 2.0, "tanh")) / 2
    np.testing.assert_allclose(logs, [factors[0] + factors[1], factors[1], 0])


def test_far_from_the_input_the_recursion_is_the_fixed_point():
    logs = mean_field.log_gradient_norms(stack("sigmoid", "he", depth=40))
    assert logs[20] - logs[21] == pytest.approx(
        np.log(amplitude(2.0, "sigmoid")), abs=1e-10
    )


def test_critical_tanh_is_far_from_its_fixed_point_at_finite_depth():
    net = stack("tanh", "xavier", depth=2000)
    q = mean_field.pre_activation_variance(net)
    assert q[-1] * 2 * 2000 == pytest.approx(1, abs=0.01)  # q' = q - 2 q^2 + ...
    slope = mean_field.slope_per_layer(
        mean_field.log_gradient_norms(stack("tanh", "xavier"))
    )
    assert np.exp(slope) == pytest.approx(0.917, abs=0.001)


def test_residual_relu_stack_grows_as_its_closed_form():
    # Growth g per layer solves g = 2 + 2 / (pi (sqrt(g) - 1)): 2.904.
    q = mean_field.pre_activation_variance(stack("relu", "he", 60, residual=True))
    growth = q[-1] / q[-2]
    assert growth == pytest.approx(2 + 2 / (np.pi * (np.sqrt(growth) - 1)), rel=1e-10)
    assert growth == pytest.approx(2.904, abs=0.001)


def test_correlations():
    for residual in (False, True):
        same = mean_field.correlations(stack("sigmoid", "he", residual=residual), 1.0)
        np.testing.assert_allclose(same, 1, rtol=1e-12)
    relu = mean_field.correlations(stack("relu", "he", depth=3), 0.0)
    np.testing.assert_allclose(relu[:2], [0, 1 / np.pi], atol=1e-15)
    odd = mean_field.correlations(stack("tanh", "he"), 0.0)
    np.testing.assert_allclose(odd, 0, atol=1e-15)
    ordered = mean_field.correlations(stack("sigmoid", "xavier"), -0.5)
    assert np.all(np.diff(ordered[:8]) > 0)
    assert ordered[-1] == pytest.approx(1, abs=1e-10)


def test_correlation_fixed_points():
    fixed = mean_field.correlation_fixed_point
    assert fixed(0.5, "tanh") == fixed(1.0, "tanh") == fixed(2.0, "relu") == 1
    assert fixed(4.0, "tanh") == 0
    c = fixed(200.0, "sigmoid")
    assert 0 < c < 1
    q = mean_field.fixed_point(200.0, "sigmoid")
    assert mean_field.correlation_map(c, q, 200.0, "sigmoid") == pytest.approx(
        c, abs=1e-12
    )


def test_alike_inputs_approach_each_other_at_the_rate_chi():
    q = mean_field.fixed_point(2.0, "sigmoid")
    apart = 1e-4
    step = 1 - mean_field.correlation_map(1 - apart, q, 2.0, "sigmoid")
    assert step / apart == pytest.approx(amplitude(2.0, "sigmoid") ** 2, rel=1e-3)


def test_depth_scale():
    assert mean_field.depth_scale(np.exp(-0.25)) == pytest.approx(4)
    assert mean_field.depth_scale(np.exp(0.25)) == pytest.approx(4)
    assert mean_field.depth_scale(1.0) == np.inf


def test_log_norm_variance():
    assert mean_field.log_norm_variance(10, 100) == pytest.approx(10 * 5 / 400)
    # |g_l|^2 / |g_{l+1}|^2 of a linear layer is chi-squared(n) / n.
    assert mean_field.log_norm_variance(1, 300, "linear") == pytest.approx(
        polygamma(1, 150) / 4, rel=0.01
    )


def simulate(net, seed):
    """Return log gradient norms and variances of one network and one input."""
    rng = np.random.default_rng(seed)
    phi = gaussian.ACTIVATIONS[net.activation]
    a = np.ones(net.inputs)
    kernels, z = [], []
    for scale, skip in zip(net.scales, net.skips, strict=True):
        kernels.append(rng.normal(0, np.sqrt(scale / len(a)), (net.width, len(a))))
        z.append(kernels[-1] @ a)
        a = phi.function(z[-1]) + (a if skip else 0)
    upstream = rng.normal(size=net.width)
    logs = []
    for kernel, pre, skip in zip(kernels[::-1], z[::-1], net.skips[::-1], strict=True):
        gradient = phi.derivative(pre) * upstream
        upstream = kernel.T @ gradient + (upstream if skip else 0)
        logs.insert(0, np.log(np.mean(gradient**2)) / 2)
    return np.array(logs) - logs[-1], np.mean(np.square(z), axis=1)


@pytest.mark.parametrize(
    ("activation", "name", "residual"),
    [
        ("sigmoid", "xavier", False),
        ("tanh", "xavier", False),
        ("tanh", "document", False),
        ("relu", "he", False),
        ("relu", "xavier", False),
        ("tanh", "he", True),
        ("sigmoid", "he", True),
    ],
)
def test_recursion_predicts_a_simulated_network(activation, name, residual):
    net = stack(activation, name, depth=10, inputs=64, residual=residual)
    runs = [simulate(net, seed) for seed in range(8)]
    measured = mean_field.slope_per_layer([logs for logs, _ in runs])
    predicted = mean_field.slope_per_layer(mean_field.log_gradient_norms(net))
    error = np.std(measured, ddof=1) / np.sqrt(8)
    assert error < 0.01
    assert np.mean(measured) == pytest.approx(predicted, abs=0.005 + 3 * error)
    lengths = np.log([variances for _, variances in runs])
    errors = np.std(lengths, axis=0, ddof=1) / np.sqrt(8)
    gaps = lengths.mean(axis=0) - np.log(mean_field.pre_activation_variance(net))
    assert np.all(np.abs(gaps) < 0.1 + 3 * errors)
