"""Closed values of sums along skips."""

import math
from itertools import islice

import numpy as np
import pytest

from dlclaims.theory import residual


def test_a_gradient_keeps_its_size_along_a_skip_of_one_beside_no_branch():
    assert residual.log_gain(1.0, 0.0) == 0
    assert residual.log_gain(0.6, 0.64) == pytest.approx(0)
    assert residual.log_gain(0.0, 0.25) == pytest.approx(math.log(0.5))
    assert residual.log_gain(0.0, 0.0) == -math.inf


def test_the_documents_block_doubles_first_and_tends_to_its_fixed_point():
    logs = [log for log, _ in islice(residual.document_block(), 50)]
    assert math.exp(logs[0]) == pytest.approx(2)
    assert math.exp(logs[-1]) == pytest.approx(residual.document_growth())
    # g = 2 + 2 r / sqrt(pi), where r is what a block leaves as it is
    r = (residual.document_growth() - 2) * math.sqrt(math.pi) / 2
    assert (r + 1 / math.sqrt(math.pi)) / math.sqrt(
        residual.document_growth()
    ) == pytest.approx(r)


def test_the_documents_block_with_larger_weights_is_that_of_a_wide_layer():
    rng, times = np.random.default_rng(1), 3.0
    a, width = rng.standard_normal((64, 1000)), 1000
    for log, ratio in islice(residual.document_block(times=times), 3):
        w = rng.standard_normal((width, width)) * times * math.sqrt(2 / width)
        before, a = np.mean(a**2), np.maximum(a @ w, 0) + a
        assert math.log(np.mean(a**2) / before) == pytest.approx(log, abs=0.05)
        assert np.mean(a) / np.sqrt(np.mean(a**2)) == pytest.approx(ratio, abs=0.05)


def test_gradients_grow_by_a_factor_a_layer_unless_there_are_skips():
    growth = math.log(math.pi / (math.pi - 1)) / 2
    for blocks in (1, 4, 19):
        plain = residual.normalized_gradient(blocks, False)
        assert plain == pytest.approx((2 * blocks - 1) * growth)
    assert residual.normalized_gradient(1, True) == pytest.approx(growth)
    # d log / d blocks is 1 / (2 VARIANCE^2 blocks): a power of the depth
    power = 1 / (2 * residual.VARIANCE**2)
    far = residual.normalized_gradient(40_000, True)
    near = residual.normalized_gradient(4_000, True)
    assert far - near == pytest.approx(power * math.log(10), rel=1e-3)


def test_kernels_are_those_of_normal_signals():
    assert residual.correlated_signals(1.0) == pytest.approx(1)
    assert residual.correlated_signals(0.0) == pytest.approx(1 / math.pi)
    assert residual.correlated_signals(-1.0) == pytest.approx(0)
    assert residual.correlated_slopes(0.0) == pytest.approx(0.5)
    rng, rho = np.random.default_rng(0), 0.6
    u, v = rng.standard_normal((2, 200_000))
    v = rho * u + math.sqrt(1 - rho**2) * v
    signals = 2 * np.mean(np.maximum(u, 0) * np.maximum(v, 0))
    slopes = 2 * np.mean((u > 0) & (v > 0))
    assert residual.correlated_signals(rho) == pytest.approx(signals, abs=0.01)
    assert residual.correlated_slopes(rho) == pytest.approx(slopes, abs=0.01)


@pytest.mark.parametrize("is_residual", [False, True])
@pytest.mark.parametrize("is_normalized", [False, True])
def test_equal_inputs_have_equal_gradients(is_residual: bool, is_normalized: bool):
    found = residual.gradient_correlation(1.0, 8, is_residual, is_normalized)
    assert found == pytest.approx(1)


@pytest.mark.parametrize("is_normalized", [False, True])
def test_skips_keep_gradients_alike(is_normalized: bool):
    plain, skips = (
        residual.gradient_correlation(0.99, 8, is_residual, is_normalized)
        for is_residual in (False, True)
    )
    assert plain < skips < 1


def test_one_block_is_the_product_of_two_kernels():
    rho = 0.7
    inside = residual.correlated_signals(rho)
    both = residual.correlated_slopes(rho) * residual.correlated_slopes(inside)
    assert residual.gradient_correlation(rho, 1, False, False) == pytest.approx(both)
    half = residual.gradient_correlation(rho, 1, True, False)
    assert half == pytest.approx((1 + both) / 2)
