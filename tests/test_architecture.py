"""Multiply-accumulates of every layer, counted by hand."""

from functools import partial

import numpy as np
import pytest

from dlclaims.engine import architecture
from dlclaims.engine.blueprint import blueprint
from dlclaims.errors import UsageError

T, D, H = 7, 3, 4


def model(make, shape=(T, D), dtype=None):
    """The structure of a model, as the engine keeps it: no weight has a value."""
    import keras

    def build():
        inputs = keras.Input(shape, dtype=dtype)
        return keras.Model(inputs, make(keras.layers, inputs))

    return blueprint(build, "float32").model


def layer(name, *arguments, **options):
    """A body of one layer."""
    return lambda known, x: getattr(known, name)(*arguments, **options)(x)


IMAGE = (8, 9, 4)
RULES = {
    "dense": (layer("Dense", 5), (6,), 6 * 5),
    "dense at every step": (layer("Dense", 5), (T, D), T * D * 5),
    "einsum": (layer("EinsumDense", "abc,cd->abd", (None, 5)), (T, D), T * D * 5),
    "einsum over steps": (
        layer("EinsumDense", "abc,bd->acd", (D, 5)),
        (T, D),
        D * T * 5,
    ),
    "einsum of heads": (
        layer("EinsumDense", "...c,chk->...hk", (2, 5)),
        (T, D),
        T * D * 2 * 5,
    ),
    "convolution over time": (layer("Conv1D", 5, 3), (T, D), (T - 2) * 3 * D * 5),
    "strides": (layer("Conv1D", 5, 3, strides=2), (T, D), 3 * 3 * D * 5),
    "causal": (layer("Conv1D", 5, 3, padding="causal"), (T, D), T * 3 * D * 5),
    "dilation": (layer("Conv1D", 5, 3, dilation_rate=2), (T, D), (T - 4) * 3 * D * 5),
    "convolution": (layer("Conv2D", 5, 3), IMAGE, 6 * 7 * 9 * 4 * 5),
    "same": (
        layer("Conv2D", 5, (3, 2), strides=2, padding="same"),
        IMAGE,
        4 * 5 * 6 * 4 * 5,
    ),
    "groups": (layer("Conv2D", 6, 3, groups=2), IMAGE, 6 * 7 * 9 * 2 * 6),
    "depthwise": (
        layer("DepthwiseConv2D", 3, depth_multiplier=2),
        IMAGE,
        6 * 7 * 9 * 4 * 2,
    ),
    "separable": (
        layer("SeparableConv2D", 5, 3, depth_multiplier=2),
        IMAGE,
        6 * 7 * (9 * 8 + 8 * 5),
    ),
    "separable over time": (
        layer("SeparableConv1D", 5, 3),
        (T, D),
        (T - 2) * (3 * D + D * 5),
    ),
    "SimpleRNN": (layer("SimpleRNN", H), (T, D), T * (D * H + H * H)),
    "sequences": (
        layer("SimpleRNN", H, return_sequences=True),
        (T, D),
        T * (D * H + H * H),
    ),
    "LSTM": (layer("LSTM", H), (T, D), T * 4 * (D * H + H * H)),
    "GRU": (layer("GRU", H), (T, D), T * 3 * (D * H + H * H)),
    "GRU before": (layer("GRU", H, reset_after=False), (T, D), T * 3 * (D * H + H * H)),
    "embedding": (layer("Embedding", 11, 5), (T,), 0),
    "batch normalization": (layer("BatchNormalization"), (T, D), 0),
    "layer normalization": (layer("LayerNormalization", axis=(1, 2)), (T, D), 0),
    "pooling": (layer("MaxPooling2D", 2), IMAGE, 0),
    "average": (layer("GlobalAveragePooling2D"), IMAGE, 0),
    "dropout": (layer("Dropout", 0.5), (T, D), 0),
}


@pytest.mark.parametrize("name", RULES)
def test_multiply_accumulates_of_a_layer(name):
    make, shape, expected = RULES[name]
    assert architecture.multiply_accumulates(model(make, shape)) == expected


LINEAR = (
    *("dense", "dense at every step", "einsum", "einsum over steps", "einsum of heads"),
    *("convolution over time", "strides", "dilation", "convolution", "groups"),
    "depthwise",
)


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_layer_of_ones_adds_up_its_multiply_accumulates(name):
    # Each of them adds 1 * 1 to the sum of the outputs where nothing is padded.
    import keras

    make, shape, expected = RULES[name]
    inputs = keras.Input(shape)
    net = keras.Model(inputs, make(keras.layers, inputs))
    net.set_weights([np.full(w.shape, float(w.ndim > 1)) for w in net.get_weights()])
    assert net.predict_on_batch(np.ones((1, *shape))).sum() == expected


def test_an_lstm_as_wide_as_its_input_takes_8_t_d_squared():
    lstm = model(layer("LSTM", 6), (T, 6))
    assert architecture.multiply_accumulates(lstm) == 8 * T * 6**2


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_takes_2_t_squared_d_and_4_t_d_squared(heads):
    width = 6

    def body(known, x):
        return known.MultiHeadAttention(heads, width // heads)(x, x)

    attention = model(body, (T, width))
    expected = 2 * T**2 * width + 4 * T * width**2
    assert architecture.multiply_accumulates(attention) == expected


def test_attention_to_another_sequence():
    def body(known, x):
        read = known.AveragePooling1D(2)(x)  # 3 steps
        attend = known.MultiHeadAttention(2, 5, value_dim=4, output_shape=6)
        return attend(value=read, query=x)

    projections = T * D * 2 * 5 + 3 * D * 2 * (5 + 4) + T * 2 * 4 * 6
    core = 2 * T * 3 * (5 + 4)
    found = architecture.multiply_accumulates(model(body))
    assert found == projections + core


def test_attention_by_hand_is_counted_as_the_layer():
    from keras import ops

    width = 6

    def body(known, x):
        query, key, value = (known.Dense(width)(x) for _ in range(3))
        scores = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 2, 1))))
        return known.Dense(width)(ops.einsum("bqk,bkd->bqd", scores, value))

    expected = 2 * T**2 * width + 4 * T * width**2
    assert architecture.multiply_accumulates(model(body, (T, width))) == expected


def test_both_directions_are_counted():
    def body(known, x):
        return known.Bidirectional(known.LSTM(H))(x)

    assert architecture.multiply_accumulates(model(body)) == 2 * T * 4 * (D * H + H * H)


def test_cells_are_counted_at_every_step():
    def body(known, x):
        return known.RNN([known.GRUCell(H), known.SimpleRNNCell(5)])(x)

    step = 3 * (D * H + H * H) + (H * 5 + 5 * 5)
    assert architecture.multiply_accumulates(model(body)) == T * step


def test_a_layer_at_every_step_is_counted_at_every_step():
    def body(known, x):
        return known.TimeDistributed(known.Conv1D(5, 3))(x)

    found = architecture.multiply_accumulates(model(body, (T, 6, D)))
    assert found == T * 4 * 3 * D * 5


def shared(known, x):
    """Three layers at one of which two applications meet, in a model of its own."""
    import keras

    inputs = keras.Input((6,))
    inner = keras.Model(inputs, known.Dense(6)(inputs))
    twice = keras.Sequential([keras.Input((6,)), known.Dense(6), known.Dense(6)])
    return twice(inner(inner(x)))


def test_a_layer_that_is_applied_twice_counts_twice():
    assert architecture.multiply_accumulates(model(shared, (6,))) == 4 * 6 * 6


def test_a_part_of_a_model_counts_its_own_applications():
    import keras

    inputs = keras.Input((6,))
    first = keras.layers.Dense(5)(inputs)
    part = keras.Model(inputs, first)
    keras.Model(inputs, keras.layers.Dense(3)(first))
    assert architecture.multiply_accumulates(part) == 6 * 5


def multiplied(known, x):
    from keras import ops

    return ops.matmul(x, np.ones((D, 5)))


@pytest.mark.parametrize(
    ("make", "shape", "words"),
    [
        (layer("Conv1DTranspose", 5, 3), (T, D), "Conv1DTranspose"),
        (layer("ConvLSTM1D", 5, 3), (T, 6, D), "ConvLSTMCell"),
        (lambda known, x: known.MultiHeadAttention(1, 2)(x, x), IMAGE, "MultiHead"),
        (lambda known, x: known.Attention()([x, x]), (T, D), "Attention"),
        (lambda known, x: known.Dot(1)([x, x]), (T, D), "Dot"),
        (multiplied, (T, D), "Matmul"),
    ],
    ids=["transposed", "ConvLSTM", "axes", "Attention", "Dot", "constant"],
)
def test_layers_without_a_rule_are_not_counted_wrongly(make, shape, words):
    with pytest.raises(UsageError, match=words):
        architecture.multiply_accumulates(model(make, shape))


def test_a_length_must_be_known():
    with pytest.raises(UsageError, match="unknown length"):
        architecture.multiply_accumulates(model(layer("LSTM", H), (None, D)))


def test_a_class_of_ones_own_has_no_graph():
    import keras

    class Own(keras.Model):
        pass

    with pytest.raises(UsageError, match="functional or sequential"):
        architecture.multiply_accumulates(Own())


def test_activations_are_outputs_and_results_of_products():
    def count(make, shape=(T, D)):
        return architecture.activation_floats(model(make, shape))

    assert count(layer("Dense", 5)) == T * 5 + T * 5
    assert count(layer("ReLU")) == T * D
    assert count(shared, (6,)) == 4 * (6 + 6)
    assert count(layer("LSTM", H)) == T * 2 * 4 * H + H
    heads, width = 2, 6

    def attend(known, x):
        return known.MultiHeadAttention(heads, width // heads)(x, x)

    assert count(attend, (T, width)) == 5 * T * width + heads * T**2 + T * width


def flags(make, shape=(T, D)):
    net = model(make, shape)
    return [
        name
        for name in (
            "has_convolution",
            "has_recurrence",
            "has_max_pooling",
            "is_random",
        )
        if getattr(architecture, name)(net)
    ]


def test_kinds_of_layers_are_found_wherever_they_are():
    def wrapped(known, x):
        return known.Bidirectional(known.GRU(H))(x)

    def distributed(known, x):
        return known.TimeDistributed(known.Conv1D(5, 3))(x)

    assert flags(layer("Dense", 5)) == []
    assert flags(wrapped) == ["has_recurrence"]
    assert flags(distributed, (T, 6, D)) == ["has_convolution"]
    assert flags(layer("SeparableConv2D", 5, 3), IMAGE) == ["has_convolution"]
    assert flags(layer("MaxPooling1D", 2)) == ["has_max_pooling"]
    assert flags(layer("GlobalMaxPooling1D")) == []


def test_layers_that_draw_are_told_from_those_that_only_could():
    def attend(rate, known, x):
        return known.MultiHeadAttention(1, 2, dropout=rate)(x, x)

    for quiet in (
        layer("Dropout", 0.0),
        layer("GaussianNoise", 0.0),
        partial(attend, 0.0),
    ):
        assert flags(quiet) == []
    for noisy in (
        layer("Dropout", 0.1),
        layer("GaussianNoise", 0.1),
        partial(attend, 0.1),
    ):
        assert flags(noisy) == ["is_random"]
    assert flags(layer("LSTM", H)) == ["has_recurrence"]
    assert flags(layer("LSTM", H, recurrent_dropout=0.1)) == [
        "has_recurrence",
        "is_random",
    ]
