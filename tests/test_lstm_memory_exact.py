"""The LSTM's equations, gates and untrained gradients where the answer is known."""

import numpy as np
import pytest
from dlclaims.experiments.lstm_memory import (
    equations,
    forget,
    formulas,
    gates,
    gradients,
)

from dlclaims import engine
from dlclaims.pages import Variant
from dlclaims.seeds import Seeds
from dlclaims.theory import recurrent

SEEDS = Seeds("lstm-memory/test", (10_000, 10_001))


def variant(**factors):
    return Variant(tuple(factors.items()))


@pytest.fixture
def tiny(monkeypatch):
    """Short sequences of few examples, and few units."""
    monkeypatch.setattr(gradients, "STEPS", 40)
    monkeypatch.setattr(gradients, "EXAMPLES", 2)
    monkeypatch.setattr(gradients, "LAGS", (1, 10, 40))
    monkeypatch.setattr(forget, "UNITS", 6)
    monkeypatch.setattr(forget, "LONGEST", 20)
    monkeypatch.setattr(forget, "LAGS", range(0, 21, 10))


# Equations


def test_one_step_by_hand():
    own = formulas.maps(np.zeros((1, 4)), np.zeros((1, 4)), np.zeros(4))
    half, one = np.full((1, 1), 0.5), np.ones((1, 1))
    # All gates are a half and the candidate is 0: half of the state is kept.
    after = formulas.update(own, one, one, one)
    assert after == pytest.approx(half)
    read = {
        reading: formulas.output(reading, own, one, one, one, after)[0, 0]
        for reading in ("formulas", "sigmoid", "gate", "order")
    }
    sigmoid = 1 / (1 + np.exp(-np.array([0.5, 1.0])))
    assert read["formulas"] == pytest.approx(np.tanh(0.5) / 2)
    assert read["sigmoid"] == pytest.approx(sigmoid[1])
    assert read["gate"] == pytest.approx(sigmoid[0] * np.tanh(0.5))
    assert read["order"] == pytest.approx(np.tanh(1.0) / 2)


def test_maps_read_the_previous_output_before_the_input():
    kernel, loop = np.arange(8.0).reshape(1, 8), 10 + np.arange(16.0).reshape(2, 8)
    own = formulas.maps(kernel, loop, 100 + np.arange(8.0))
    found = own("forget", np.array([[1.0, 0.0]]), np.array([[1.0]]))
    assert found == pytest.approx(np.array([[12 + 2 + 102, 13 + 3 + 103]]))


@pytest.mark.parametrize("case", equations.STUDY.standard)
def test_the_formulas_are_keras_and_no_reading_of_the_prose_is(case):
    found = equations.measure(case, SEEDS)
    assert found.formulas.max() < 1e-12
    for reading in ("sigmoid", "gate", "order"):
        assert found[reading].min() > 0.1
    assert (found.order_short == 0).all()
    assert (found.from_default_bias == 0).all()


@pytest.mark.parametrize("case", equations.STUDY.smoke)
def test_with_the_cell_state_held_the_output_moves_by_its_gate_alone(case):
    found = equations.measure(case, SEEDS)
    assert found.state_moved.max() < 1e-12
    assert found.output_moved.min() > 0.1
    assert (found.moved_short == 0).all()
    assert found.output_unexplained.max() < 1e-12


def test_what_is_too_small_to_be_seen_falls_short():
    assert equations.short(0.02) == pytest.approx(0.08)
    assert equations.short(0.1) == 0


# Gates


@pytest.mark.parametrize("case", gates.STUDY.smoke)
def test_an_open_forget_gate_keeps_and_a_shut_one_erases(case):
    found = gates.measure(case, SEEDS)
    for column in ("from_count", "kept_at_1", "left_at_0"):
        assert (found[column] == 0).all()
    assert found.from_keeping.max() < 1e-12
    assert found.from_removing.min() > 0.1


def test_gates_are_set_in_the_order_of_keras():
    biases = gates.with_gates(np.arange(8.0), -1, 1)
    assert biases.tolist() == [-1000, -1000, 1000, 1000, 4, 5, 6, 7]


# Gradients


@pytest.mark.parametrize("inputs", list(gradients.INPUTS))
def test_sequences_are_what_they_say(inputs, tiny):
    x = gradients.sequences(inputs, SEEDS, examples=5)
    assert x.shape == (2, 5, 40, {"adding": 2, "symbols": 8}[inputs])
    assert not np.array_equal(x[0], x[1])
    if inputs == "symbols":
        assert (x.sum(axis=-1) == 1).all()
    else:
        assert (x[..., :20, 1].sum(axis=-1) == 1).all()
        assert (x[..., 20:, 1].sum(axis=-1) == 1).all()
        assert 0 <= x[..., 0].min() < x[..., 0].max() < 1


def test_forget_biases_go_to_the_forget_gates_only():
    runs = gradients.initial("lstm-3", 4, 2, SEEDS)
    bias = runs.weights[2]
    assert bias.tolist() == [[0] * 4 + [3] * 4 + [0] * 8] * 2
    default = gradients.initial("lstm-1", 4, 2, SEEDS)
    for one, other in zip(runs.weights[:2], default.weights[:2], strict=True):
        assert np.array_equal(one, other)


def test_chrono_biases_are_logs_of_time_scales_and_their_negatives():
    bias = gradients.initial("lstm-chrono", 500, 1, SEEDS).weights[2]
    entry, forget_gate, *others = np.split(bias, 4, axis=1)
    assert np.array_equal(entry, -forget_gate)
    scales = np.exp(forget_gate)
    assert scales.min() >= 1
    assert scales.max() <= gradients.STEPS - 1
    assert scales.mean() == pytest.approx(gradients.STEPS / 2, rel=0.05)
    assert np.concatenate(others).max() == 0
    assert not np.array_equal(bias[0], bias[1])


@pytest.mark.parametrize("cell", ["rnn-uniform", "lstm-uniform"])
def test_uniform_cells_draw_every_weight_within_one_over_root_units(cell):
    runs = gradients.initial(cell, 16, 2, SEEDS)
    for weight in runs.weights:
        assert 0.2 < np.abs(weight).max() <= 0.25
        assert weight.min() < 0 < weight.max()


@pytest.mark.parametrize("cell", ["rnn-orthogonal", "lstm-1", "gru"])
def test_gradients_start_at_one_and_their_lags_are_those_asked_for(cell, tiny):
    found = gradients.measure(variant(cell=cell, inputs="adding", units=6), SEEDS)
    assert found.groupby("seed").lag.apply(list).tolist() == [[1, 10, 40]] * 2
    assert (found.log10_gradient[found.lag == 1] == 0).all()
    count = {
        "rnn-orthogonal": recurrent.simple_parameters,
        "lstm-1": recurrent.lstm_parameters,
        "gru": recurrent.gru_parameters,
    }[cell]
    assert (found.parameters == count(6, 2)).all()


def test_an_lstms_memory_is_its_cell_state(tiny):
    case = variant(cell="lstm-1", inputs="adding", units=6)
    found = gradients.measure(case, SEEDS).set_index(["seed", "lag"]).log10_gradient
    x = gradients.sequences("adding", SEEDS)
    table = engine.state_gradients(
        gradients.initial("lstm-1", 6, 2, SEEDS), x, "memory"
    )
    sizes = table.set_index(["state", "seed", "lag"]).log_gradient
    for seed in SEEDS:
        own = (sizes[2, seed, 40] - sizes[2, seed, 1]) / np.log(10)
        assert found[seed, 40] == pytest.approx(own)


def test_a_simple_network_stays_below_its_bound(tiny):
    found = gradients.measure(
        variant(cell="rnn-orthogonal", inputs="symbols", units=6), SEEDS
    )
    assert recurrent.log_simple_bound(1.0, 1.0, 40) == 0
    assert (found.log10_gradient < 1e-6).all()


# Forget gates


@pytest.mark.parametrize("bias", forget.BIASES)
def test_without_recurrence_the_gradient_is_the_product_of_gates(tiny, bias):
    found = forget.measure(variant(recurrence="none", forget_bias=bias), SEEDS)
    assert found.from_product.max() < 1e-13
    assert np.abs(found.excess).max() < 1e-13


@pytest.mark.parametrize("recurrence", ["candidate", "keras"])
def test_any_path_through_the_output_breaks_the_product(tiny, recurrence):
    found = forget.measure(variant(recurrence=recurrence, forget_bias="1"), SEEDS)
    last = found[found.lag == 20]
    assert last.from_product.min() > 1e-3
    apart = (last.log10_gradient - last.log10_product) * np.log(10) / 20
    assert last.excess.to_numpy() == pytest.approx(apart.to_numpy())
    assert (last.from_product > np.abs(last.excess)).all()


def test_only_the_candidate_keeps_its_recurrent_kernel(tiny):
    case = variant(recurrence="candidate", forget_bias="1")
    kernel = forget.initial(case, SEEDS).weights[1]
    parts = [np.abs(part).max() for part in np.split(kernel, 4, axis=2)]
    assert [part > 0 for part in parts] == [False, False, True, False]


def test_theory_keeps_half_a_step_at_a_bias_of_zero():
    found = forget.predict(variant(recurrence="none", forget_bias="0"))
    assert found.log10_gradient.to_numpy() == pytest.approx(
        -np.log10(2) * found.lag.to_numpy()
    )
