"""Activation statistics and ablations against sums that are written out."""

from functools import partial

import numpy as np
import pytest
from test_hessians import targets
from test_probes import OUTPUTS, SEEDS, initial, inputs, squares

from dlclaims import engine
from dlclaims.errors import UsageError


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
