"""Closed forms of dropout against sums over all masks, which are written out."""

import numpy as np
import pytest

from dlclaims.errors import UsageError
from dlclaims.theory import dropout

RATES = (0.2, 0.5)


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    scales = np.array([0.5, 1.0, 2.0, 3.0])
    x = rng.normal(size=(30, 4)) * scales
    return x, x @ [1.0, -1.0, 0.5, 0.0] + rng.normal(size=30), rng.normal(size=4)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_masks_have_mean_one_and_the_variance_of_theory(rate):
    factors, probabilities = dropout.masks(5, rate)
    assert factors.shape == (32, 5)
    assert len({tuple(row) for row in factors}) == 32
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities @ factors == pytest.approx(np.ones(5))
    variance = probabilities @ (factors - 1) ** 2
    assert variance == pytest.approx(np.full(5, dropout.relative_variance(rate)))
    assert probabilities @ (factors == 0) == pytest.approx(np.full(5, rate))


def test_the_relative_variance_of_a_half_is_one():
    assert dropout.relative_variance(0.5) == 1
    assert dropout.relative_variance(0.2) == pytest.approx(0.25)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_that_keeps_nothing_is_refused(rate):
    with pytest.raises(UsageError, match="rate of dropping"):
        dropout.masks(3, rate)


@pytest.mark.parametrize("units", [0, 17])
def test_too_many_masks_are_not_listed(units):
    with pytest.raises(UsageError, match="units"):
        dropout.masks(units, 0.5)


@pytest.mark.parametrize("rate", RATES)
def test_the_expected_loss_is_the_mean_over_all_masks(problem, rate):
    x, y, w = problem
    factors, probabilities = dropout.masks(4, rate)
    # Examples have masks of their own, but a sum's mean is the sum of the means.
    losses = ((y - (factors[:, None] * x) @ w) ** 2).sum(axis=1)
    mean = probabilities @ losses
    assert dropout.expected_squared_loss(w, x, y, rate) == pytest.approx(mean)


@pytest.mark.parametrize("rate", RATES)
def test_adaptive_ridge_is_where_the_expected_loss_is_least(problem, rate):
    x, y, _ = problem
    best = dropout.adaptive_ridge(x, y, rate)
    least = dropout.expected_squared_loss(best, x, y, rate)
    for step in 1e-3 * np.vstack([np.eye(4), -np.eye(4)]):
        assert dropout.expected_squared_loss(best + step, x, y, rate) > least


def test_without_dropout_it_is_least_squares(problem):
    x, y, _ = problem
    expected = np.linalg.lstsq(x, y, rcond=None)[0]
    assert dropout.adaptive_ridge(x, y, 0.0) == pytest.approx(expected)


@pytest.mark.parametrize("rate", RATES)
def test_orthogonal_features_are_shrunk_by_the_fraction_kept(problem, rate):
    x, y, _ = problem
    x = np.linalg.qr(x)[0] * [1.0, 2.0, 3.0, 4.0]
    expected = (1 - rate) * np.linalg.lstsq(x, y, rcond=None)[0]
    assert dropout.adaptive_ridge(x, y, rate) == pytest.approx(expected)


@pytest.mark.parametrize("rate", RATES)
def test_features_of_one_size_are_penalised_alike(problem, rate):
    x, y, _ = problem
    x = x / np.sqrt((x**2).sum(axis=0))
    penalty = dropout.relative_variance(rate) * np.eye(4)
    plain = np.linalg.solve(x.T @ x + penalty, x.T @ y)
    assert dropout.adaptive_ridge(x, y, rate) == pytest.approx(plain)


def test_the_geometric_mean_of_a_fair_coin_and_a_certain_one():
    predictions = np.array([[[0.5, 0.5]], [[0.8, 0.2]]])
    found = dropout.normalized_geometric_mean(predictions, np.array([0.5, 0.5]))
    # sqrt(0.5 0.8) : sqrt(0.5 0.2) = 2 : 1
    assert found == pytest.approx(np.array([[2 / 3, 1 / 3]]))


def test_a_certain_mask_decides_alone():
    predictions = np.array([[[0.9, 0.1]], [[0.3, 0.7]]])
    found = dropout.normalized_geometric_mean(predictions, np.array([0.0, 1.0]))
    assert found == pytest.approx(predictions[1])
