"""Widths of equal cost: closed forms of the costs, and what training records."""

import random
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlclaims import engine, networks
from dlclaims.engine import sizing
from dlclaims.errors import PageError
from dlclaims.seeds import Seeds
from dlclaims.theory.mean_field import Stack, initialization

INPUTS, OUTPUTS, STEPS = 40, 10, 8


def dense(depth, width, residual=False):
    law = initialization("he", "relu")
    stack = Stack(INPUTS, depth, width, "relu", law, residual)
    return networks.mlp(stack, outputs=OUTPUTS)


def recurrent(kind, width):
    import keras

    inputs = keras.Input((STEPS, 3))
    return keras.Model(inputs, getattr(keras.layers, kind)(width)(inputs))


def convolutional(width):
    import keras

    known = keras.layers
    return keras.Sequential(
        [
            keras.Input((INPUTS, 1)),
            known.Conv1D(width, 5, padding="same"),
            known.BatchNormalization(),
            known.ReLU(),
            known.Conv1D(2 * width, 3),
            known.GlobalAveragePooling1D(),
            known.Dropout(0.5),
            known.Dense(OUTPUTS),
        ]
    )


def dense_costs(depth, width):
    square = (depth - 1) * width**2
    linear = (INPUTS + OUTPUTS) * width
    return {
        "parameters": square + linear + depth * width + OUTPUTS,
        "multiply_accumulates": square + linear,
    }


def recurrent_costs(gates, width):
    return {
        "parameters": gates * width * (3 + width + 1),
        "multiply_accumulates": STEPS * gates * width * (3 + width),
    }


def convolutional_costs(width):
    weights = 5 * width + 3 * width * 2 * width, 2 * width * OUTPUTS
    others = width + 4 * width + 2 * width + OUTPUTS
    positions = INPUTS * 5 * width + (INPUTS - 2) * 6 * width**2
    return {
        "parameters": sum(weights) + others,
        "multiply_accumulates": positions + weights[1],
    }


NETS = {
    "1 layer": (partial(dense, 1), partial(dense_costs, 1)),
    "5 layers": (partial(dense, 5), partial(dense_costs, 5)),
    "residual": (partial(dense, 5, residual=True), partial(dense_costs, 5)),
    "SimpleRNN": (partial(recurrent, "SimpleRNN"), partial(recurrent_costs, 1)),
    "LSTM": (partial(recurrent, "LSTM"), partial(recurrent_costs, 4)),
    "convolutional": (convolutional, convolutional_costs),
}


@pytest.mark.parametrize("cost", sizing.COUNTS)
@pytest.mark.parametrize("name", NETS)
def test_a_width_is_found_again_from_its_cost(name, cost):
    build, costs = NETS[name]
    for width in (1, 2, 93):
        budget = costs(width)[cost]
        assert engine.cost(build(width), cost) == budget
        assert engine.width_for(build, budget, cost=cost, tolerance=0) == width


@pytest.mark.parametrize("cost", sizing.COUNTS)
@pytest.mark.parametrize("name", NETS)
def test_arms_of_all_kinds_meet_one_budget_within_two_percent(name, cost):
    build, costs = NETS[name]
    width = engine.width_for(build, 500_000, cost=cost)
    below, found, above = (costs(w)[cost] for w in (width - 1, width, width + 1))
    assert below < found < above
    assert abs(found - 500_000) <= 10_000
    assert abs(found - 500_000) <= min(500_000 - below, above - 500_000)


def test_few_models_are_built():
    built = []

    def build(width):
        built.append(width)
        return dense(5, width)

    engine.width_for(build, 200_000)
    assert len(built) == len(set(built)) <= 10


def test_no_weight_is_drawn():
    import keras

    def law(shape, dtype=None):
        raise AssertionError("drawn")

    def build(width):
        layer = keras.layers.Dense(width, kernel_initializer=law)
        return keras.Sequential([keras.Input((3,)), layer])

    assert engine.width_for(build, 400) == 100


polynomials = st.tuples(*[st.integers(0, top) for top in (10_000, 300, 50)])


@given(polynomials.filter(lambda p: p[1] or p[2]), st.integers(-5, 300), st.integers())
def test_no_other_width_is_nearer(coefficients, width, excess):
    constant, linear, square = coefficients

    def cost_at(width):
        return constant + linear * width + square * width**2

    budget = cost_at(width) + excess % 1000
    costs = {w: cost_at(w) for w in range(1, 2000)}
    expected = min(costs, key=lambda w: abs(costs[w] - budget))
    if expected < max(costs):
        assert sizing.nearest_width(cost_at, budget) == (expected, costs[expected])


def test_a_cost_that_jumps():
    def cost_at(width):
        return width + 10**6 * (width >= 50)

    assert sizing.nearest_width(cost_at, 60) == (49, 49)


def test_what_is_solved_is_what_training_records():
    import keras

    def build(width):
        model = dense(3, width)
        model.get_layer("pre_2").trainable = False
        rest = [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
        return keras.Sequential([keras.Input((INPUTS,)), model, *rest])

    def train(width):
        x = np.random.default_rng(0).normal(size=(16, INPUTS)).astype("float32")
        rows, none = np.arange(16)[None], np.empty((1, 0), int)
        examples = engine.Examples(x, np.zeros((16, OUTPUTS)), rows, none, none)
        recipe = engine.Recipe(
            loss=keras.losses.mean_squared_error,
            optimizer=keras.optimizers.SGD,
            steps=1,
            batch=8,
        )
        seeds = Seeds("page/sizing", (0,))
        return engine.train(partial(build, width), examples, recipe, seeds, [0.1])

    for cost in sizing.COUNTS:
        width = engine.width_for(build, 5000, cost=cost)
        recorded = getattr(train(width), cost)
        assert recorded == engine.cost(build(width), cost)
        assert recorded == pytest.approx(5000, rel=0.02)


def test_solving_changes_no_random_state():
    import keras

    def build(width):
        inputs = keras.Input((3,))
        x = keras.layers.Dropout(0.5)(keras.layers.Dense(width)(inputs))
        return keras.Model(inputs, x)

    def state():
        legacy = np.random.get_state()[1]  # noqa: NPY002 - it is what is guarded
        return random.getstate(), legacy.tobytes()

    def draw(between):
        keras.utils.set_random_seed(1)
        before = state()
        between()
        assert state() == before
        return float(keras.random.uniform(()))

    assert draw(lambda: engine.width_for(build, 400)) == draw(lambda: None)


def test_a_budget_that_no_width_meets_is_refused():
    for budget, cost, width in ((5, 61, 1), (120, 112, 2)):
        with pytest.raises(PageError, match="take") as raised:
            engine.width_for(partial(dense, 1), budget)
        expected = f"{cost} parameters at the nearest width, {width}"
        assert raised.value.received == expected
    assert engine.width_for(partial(dense, 1), 120, tolerance=0.07) == 2


def test_a_cost_that_does_not_grow_is_refused():
    for build in (lambda width: dense(2, 7), lambda width: dense(2, 100 // width)):
        with pytest.raises(PageError, match="grows with the width"):
            engine.width_for(build, 400)


def test_an_unknown_cost_is_named():
    with pytest.raises(PageError, match="did you mean parameters"):
        engine.width_for(partial(dense, 1), 400, cost="parameter")


def test_a_layer_without_a_rule_has_no_cost():
    import keras

    def build(width):
        inputs = keras.Input((STEPS, 3))
        return keras.Model(inputs, keras.layers.Conv1DTranspose(width, 3)(inputs))

    assert engine.width_for(build, 10 * 7) == 7
    with pytest.raises(PageError, match="Conv1DTranspose"):
        engine.width_for(build, 70, cost="multiply_accumulates")
