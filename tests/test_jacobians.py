"""Jacobians, lag gradients and curvature against what is written out by hand."""

from functools import partial

import numpy as np
import pytest
from test_probes import (
    EXAMPLES,
    SEEDS,
    SLOPES,
    forward,
    initial,
    inputs,
    kernels,
)

from dlclaims import engine
from dlclaims.engine.blueprint import precision
from dlclaims.errors import UsageError

STEPS, FEATURES, UNITS = 6, 2, 4


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def log_rms(array):
    return np.log(np.mean(np.square(array))) / 2


def exact_jacobians(runs, row, x, activation="tanh"):
    """W' diag(f'(z_l)) W' ... of every example, shape (examples, outputs, inputs)."""
    z, _ = forward(runs, row, x, activation)
    *hidden, last = kernels(runs, row)
    found = np.repeat(last.T[None], len(x), axis=0)
    for kernel, before in zip(reversed(hidden), reversed(z), strict=True):
        found = found * SLOPES[activation](before)[:, None] @ kernel.T
    return found


def test_jacobians_are_the_products_of_weights_and_slopes():
    runs, x = initial(), inputs()
    found, table = engine.jacobians(runs, x), engine.jacobian_norms(runs, x)
    for row in range(len(SEEDS)):
        expected = exact_jacobians(runs, row, x[row])
        assert np.allclose(found[row], expected, atol=1e-14)
        singular = np.linalg.svd(expected)[1]
        frobenius = np.log(np.mean(np.sum(singular**2, axis=1))) / 2
        assert table.log_frobenius[row] == pytest.approx(frobenius)
        assert table.log_spectral[row] == pytest.approx(log_rms(singular[:, 0]))


def test_jacobians_by_a_layers_output_start_there():
    runs, x = initial(), inputs()
    found = engine.jacobians(runs, x, "act_3")
    for row in range(len(SEEDS)):
        assert np.allclose(found[row], kernels(runs, row)[-1].T, atol=1e-14)


def recurrent(name="SimpleRNN", sequences=False, steps=STEPS, **options):
    import keras

    x = keras.Input((steps, FEATURES))
    layer = getattr(keras.layers, name)
    out = layer(UNITS, return_sequences=sequences, name="memory", **options)(x)
    return keras.Model(x, out)


linear = partial(recurrent, activation="linear")


def sequences(steps=STEPS):
    streams = [SEEDS.generator(seed, "data") for seed in SEEDS]
    return np.stack([s.standard_normal((EXAMPLES, steps, FEATURES)) for s in streams])


def readout(seed, units=UNITS):
    return SEEDS.generator(seed, "noise/readout").standard_normal((EXAMPLES, units))


@pytest.mark.parametrize("returns", [False, True])
@pytest.mark.parametrize("steps", [STEPS, None])
def test_lag_gradients_of_a_linear_recurrence_are_powers_of_its_kernel(returns, steps):
    runs = initial(partial(linear, sequences=returns, steps=steps))
    kernel, recurrence, _ = runs.weights
    by_input = engine.lag_gradients(runs, sequences())
    by_state = engine.state_gradients(runs, sequences(), "memory")
    for row, seed in enumerate(SEEDS):
        at_state = readout(seed)
        expected = []
        for _ in range(STEPS + 1):
            expected.append((log_rms(at_state @ kernel[row].T), log_rms(at_state)))
            at_state = at_state @ recurrence[row].T
        inward, states = zip(*expected, strict=True)
        own = by_input[by_input.seed == seed]
        assert list(own.lag) == list(range(STEPS))
        assert np.allclose(own.log_gradient, inward[:STEPS], atol=1e-12)
        own = by_state[by_state.seed == seed]
        assert set(own.state) == {1}
        assert list(own.lag) == list(range(STEPS + 1))
        assert np.allclose(own.log_gradient, states, atol=1e-12)


def test_an_orthogonal_recurrence_hands_gradients_on_exactly():
    runs = initial(partial(linear, kernel_initializer="zeros"))
    table = engine.state_gradients(runs, sequences(), "memory")
    for _, own in table.groupby("seed"):
        assert abs(np.polyfit(own.lag, own.log_gradient, 1)[0]) < 1e-5


def lstm(bias, **options):
    """No recurrence into the gates, whose biases are all the same."""
    import keras

    return recurrent(
        "LSTM",
        recurrent_initializer="zeros",
        bias_initializer=keras.initializers.Constant(bias),
        unit_forget_bias=False,
        **options,
    )


def cell_gradients(runs, x, seed):
    table = engine.state_gradients(runs, x, "memory")
    return table[(table.seed == seed) & (table.state == 2)].log_gradient.to_numpy()


def test_an_lstms_cell_forgets_by_the_product_of_its_gates():
    runs, x = initial(partial(lstm, 1.0)), sequences()
    kernel, _, bias = runs.weights
    for row, seed in enumerate(SEEDS):
        gates = np.split(x[row] @ kernel[row] + bias[row], 4, axis=-1)
        i, f, o = (sigmoid(gates[k]) for k in (0, 1, 3))
        c = np.zeros((EXAMPLES, UNITS))
        for t in range(STEPS):
            c = f[:, t] * c + i[:, t] * np.tanh(gates[2][:, t])
        slope = readout(seed) * o[:, -1] * (1 - np.tanh(c) ** 2)  # h_T = o_T tanh(c_T)
        expected = [-np.inf]  # J reads h_T, not c_T
        for t in reversed(range(STEPS)):
            slope = slope * f[:, t]
            expected.append(log_rms(slope))
        assert np.allclose(cell_gradients(runs, x, seed), expected, atol=1e-12)


@pytest.mark.parametrize("bias", [0.0, 1.0, 3.0])
def test_an_lstm_without_input_forgets_at_the_rate_of_its_bias(bias):
    runs = initial(partial(lstm, bias, kernel_initializer="zeros"))
    for seed in SEEDS:
        steps = np.diff(cell_gradients(runs, sequences(), seed)[1:])
        assert np.allclose(steps, np.log(sigmoid(bias)), atol=1e-12)


@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM"])
def test_gradients_at_initial_states_are_those_of_keras_own_layer(name):
    runs, x = initial(partial(recurrent, name)), sequences()
    table = engine.state_gradients(runs, x, "memory")
    count, step = table.state.max(), 1e-5
    for row, seed in enumerate(SEEDS):
        layer = runs.replica(seed).get_layer("memory")

        def scalars(states, layer=layer, row=row, seed=seed):
            with precision("float64"):
                output = layer(x[row], initial_state=list(states))
            return np.sum(readout(seed) * np.asarray(output), axis=-1)

        for state in range(count):
            slopes = []
            for unit in range(UNITS):
                push = np.zeros((count, EXAMPLES, UNITS))
                push[state, :, unit] = step
                slopes.append((scalars(push) - scalars(-push)) / (2 * step))
            own = table[(table.seed == seed) & (table.state == state + 1)]
            found = own.log_gradient[own.lag == STEPS].item()
            assert found == pytest.approx(log_rms(slopes), abs=1e-8)


def test_later_inputs_do_not_matter_and_positions_are_told_apart():
    runs, x = initial(partial(linear, sequences=True)), sequences()
    table = engine.position_jacobians(runs, x)
    kernel, recurrence, _ = runs.weights
    for row, seed in enumerate(SEEDS):
        own = table[table.seed == seed].pivot(
            index="output_position", columns="input_position", values="log_frobenius"
        )
        for t in range(1, STEPS + 1):
            for s in range(1, STEPS + 1):
                power = np.linalg.matrix_power(recurrence[row], max(0, t - s))
                block = np.log(np.linalg.norm(kernel[row] @ power))
                expected = block if s <= t else -np.inf
                assert own.loc[t, s] == pytest.approx(expected, abs=1e-12)


def tokens(steps=5):
    import keras

    x = keras.Input((steps,), dtype="int32")
    embedded = keras.layers.Embedding(7, UNITS, name="embedding")(x)
    attended = keras.layers.MultiHeadAttention(2, 3, name="attention")(
        embedded, embedded, use_causal_mask=True
    )
    return keras.Model(x, keras.layers.Dense(2)(attended))


def test_causal_attention_depends_on_the_past_alone():
    x = SEEDS.generator(3, "data").integers(0, 7, (EXAMPLES, 5))
    runs = initial(tokens)
    table = engine.position_jacobians(runs, x, "embedding")
    is_past = table.input_position <= table.output_position
    assert (np.isfinite(table.log_frobenius) == is_past).all()
    lags = engine.lag_gradients(runs, x, "embedding")
    assert list(lags[lags.seed == 3].lag) == [0, 1, 2, 3, 4]
    assert np.isfinite(lags.log_gradient).all()
    with pytest.raises(UsageError, match="int64 inputs"):
        engine.lag_gradients(runs, x)
