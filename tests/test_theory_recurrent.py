"""Closed forms of recurrent networks against values that are known otherwise."""

import math

import numpy as np
import pytest

from dlclaims.errors import UsageError
from dlclaims.theory import recurrent


def test_forget_biases_keep_what_their_sigmoid_says_and_its_half_life():
    assert recurrent.keep(0) == 0.5
    assert recurrent.keep(1) == pytest.approx(0.7310586)
    assert recurrent.keep(math.log(9)) == pytest.approx(0.9)
    assert recurrent.half_life(0.5) == 1
    assert recurrent.half_life(recurrent.keep(1)) == pytest.approx(2.2127, abs=1e-4)
    assert recurrent.half_life(recurrent.keep(3)) == pytest.approx(14.266, abs=1e-3)
    assert recurrent.half_life(2**-0.25) == pytest.approx(4)


@pytest.mark.parametrize("kept", [0.0, 1.0, 1.2])
def test_a_gate_that_never_loses_half_is_refused(kept):
    with pytest.raises(UsageError, match="fraction kept"):
        recurrent.half_life(kept)


def test_the_product_starts_with_the_last_gate():
    gates = np.array([[0.5, 0.1], [0.25, 1.0]])
    products = np.exp(recurrent.log_gate_products(gates))
    assert products == pytest.approx(np.array([[1, 1], [0.25, 1], [0.125, 0.1]]))


@pytest.mark.parametrize(("lag", "longest"), [(1, 50), (20, 50), (100, 200), (200, 20)])
def test_the_chrono_gain_is_the_mean_over_the_law_it_names(lag, longest):
    u = 1 + (longest - 2) * (np.arange(400_000) + 0.5) / 400_000
    expected = 0.5 * np.log(np.mean((u / (1 + u)) ** (2 * lag)))
    assert recurrent.log_chrono_gain(lag, longest) == pytest.approx(expected, abs=1e-5)


def test_the_chrono_gain_of_no_lag_is_one_and_short_scales_are_refused():
    assert recurrent.log_chrono_gain(0, 100) == pytest.approx(0, abs=1e-9)
    with pytest.raises(UsageError, match="longest"):
        recurrent.log_chrono_gain(1, 2)


def test_the_bound_of_a_simple_network_holds_and_is_met_by_a_linear_orthogonal_one():
    assert recurrent.log_simple_bound(1.0, 1.0, 50) == 0
    assert recurrent.log_simple_bound(1.0, 0.25, 2) == pytest.approx(math.log(1 / 16))
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(8, 8)) / 4
    norm, product, h = np.linalg.norm(kernel, 2), np.eye(8), rng.normal(size=8)
    for lag in range(1, 20):
        h = np.tanh(h @ kernel)
        product = product @ (kernel * (1 - h**2))
        bound = recurrent.log_simple_bound(norm, 1.0, lag)
        assert np.log(np.linalg.norm(product, 2)) <= bound


@pytest.mark.parametrize(("units", "features"), [(1, 1), (5, 3), (50, 100)])
def test_numbers_of_weights_are_those_of_keras(units, features):
    import keras

    for layer, count in (
        (keras.layers.SimpleRNN, recurrent.simple_parameters),
        (keras.layers.LSTM, recurrent.lstm_parameters),
        (keras.layers.GRU, recurrent.gru_parameters),
    ):
        own = layer(units)
        own.build((None, None, features))
        assert count(units, features) == own.count_params()


def test_the_number_of_weights_of_a_named_lstm():
    assert recurrent.lstm_parameters(50, 100) == 30_200
