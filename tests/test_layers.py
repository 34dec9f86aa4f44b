"""Every layer of the pages: a replica is what stock Keras would have trained alone."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from replicas import EXACT, distance, split, trained, trained_by_keras

from dlclaims import engine
from dlclaims.seeds import Seeds

SEEDS, RATES = Seeds("tests/layers", (3, 8)), (0.05, 0.02)
STEPS, BATCH = 20, 4
VECTOR, SEQUENCE, IMAGE, TOKENS = (6,), (5, 3), (6, 6, 2), (5,)


@dataclass(frozen=True)
class Net:
    """A small model: input shape, layers before the linear read-out, optimizer."""

    shape: tuple
    body: object
    optimizer: str = "SGD"
    options: tuple = ()

    def build(self):
        import keras

        is_token = self.shape == TOKENS
        inputs = keras.Input(self.shape, dtype="int32" if is_token else None)
        x = self.body(keras.layers, inputs)
        if len(x.shape) > 2:
            x = keras.layers.Flatten()(x)
        return keras.Model(inputs, keras.layers.Dense(3)(x))

    def rule(self):
        import keras

        return getattr(keras.optimizers, self.optimizer)(**dict(self.options))


def stack(*layers):
    """A body of layers one after the other, each (name, arguments, options)."""

    def body(known, x):
        for name, *arguments in layers:
            options = {}
            if arguments and isinstance(arguments[-1], dict):
                options = arguments.pop()
            x = getattr(known, name)(*arguments, **options)(x)
        return x

    return body


def cross_entropy(y, logits):
    import keras

    return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)


def bidirectional(known, x):
    return known.Bidirectional(known.LSTM(3))(x)


def cells(known, x):
    return known.RNN([known.GRUCell(3), known.SimpleRNNCell(3)])(x)


def attention(known, x):
    x = known.Dense(4)(x)
    y = known.MultiHeadAttention(num_heads=2, key_dim=4)(x, x)
    return known.LayerNormalization()(known.Add()([x, y]))


def scores(known, x):
    query, value = known.Dense(4)(x), known.Dense(4)(x)
    return known.Attention()([query, value])


def residual(known, x):
    x = known.Dense(4)(x)
    for _ in range(2):
        y = known.Activation("relu")(known.Dense(4)(x))
        x = known.Add()([x, y])
    return x


def shared(known, x):
    layer = known.Dense(6, "tanh")
    return layer(layer(x))


def distributed(known, x):
    return known.TimeDistributed(known.Dense(2, "tanh"))(x)


def alternating(shape, dtype=None):
    from keras import ops

    count = int(np.prod(shape))
    signs = np.where(np.arange(count) % 2, 0.5, -0.5) / (1 + np.arange(count) % 7)
    return ops.convert_to_tensor(signs.reshape(shape), dtype)


def centred(z):
    import keras

    return keras.ops.sigmoid(z) - 0.5


def own(known, x):
    return known.Dense(4, centred, kernel_initializer=alternating)(x)


def sgd(**options):
    return "SGD", tuple(options.items())


#: Keras on TensorFlow rounds an optimizer's constants to float32, on JAX it does not:
#: 7/8 is the same in both.
MOMENTUM = sgd(momentum=0.875)


def adam(**options):
    return "Adam", tuple(options.items())


def rmsprop(**options):
    return "RMSprop", tuple(options.items())


def one_hot(known, x):
    from keras import ops

    x = known.Lambda(ops.one_hot, arguments={"num_classes": 7})(x)
    return known.SimpleRNN(3)(known.Dense(3, use_bias=False)(x))


LOOKUP = ("Embedding", 7, 3, {"embeddings_initializer": "glorot_uniform"})
HALF = {"strides": 2, "padding": "same"}
AFTER = {"dilation_rate": 2, "padding": "causal"}
ALL_STEPS = {"return_sequences": True}
NETS = {
    "dense": Net(VECTOR, stack(("Dense", 4, "tanh")), *sgd(clipvalue=0.05)),
    "einsum": Net(SEQUENCE, stack(("EinsumDense", "abc,cd->abd", (5, 4)))),
    "conv1d": Net(SEQUENCE, stack(("Conv1D", 4, 3, HALF)), *adam()),
    "causal": Net(SEQUENCE, stack(("Conv1D", 4, 2, AFTER)), *adam(clipnorm=0.1)),
    "conv2d": Net(IMAGE, stack(("Conv2D", 4, 3)), *MOMENTUM),
    "strides": Net(IMAGE, stack(("Conv2D", 4, 3, HALF)), *rmsprop()),
    "groups": Net(IMAGE, stack(("Conv2D", 4, 3, {"groups": 2})), *sgd(clipnorm=0.1)),
    "separable": Net(IMAGE, stack(("DepthwiseConv2D", 3), ("SeparableConv2D", 4, 3))),
    "pool1d": Net(
        SEQUENCE, stack(("Dense", 4), ("MaxPooling1D", 2, 1), ("AveragePooling1D", 2))
    ),
    "pool2d": Net(
        IMAGE, stack(("Conv2D", 3, 3), ("MaxPooling2D", 2), ("AveragePooling2D", 2))
    ),
    "global": Net(IMAGE, stack(("Conv2D", 3, 3), ("GlobalAveragePooling2D",))),
    "simple": Net(SEQUENCE, stack(("SimpleRNN", 4)), *sgd(global_clipnorm=0.1)),
    "gru before": Net(
        SEQUENCE, stack(("GRU", 4, {"reset_after": False})), *rmsprop(clipnorm=0.1)
    ),
    "bidirectional": Net(SEQUENCE, bidirectional, *MOMENTUM),
    "stacked": Net(
        SEQUENCE,
        stack(("LSTM", 4, ALL_STEPS), ("GRU", 3)),
        *adam(global_clipnorm=0.5),
    ),
    "cells": Net(SEQUENCE, cells),
    "embedding": Net(TOKENS, stack(LOOKUP, ("SimpleRNN", 3)), *MOMENTUM),
    "attention": Net(SEQUENCE, attention, *sgd(momentum=0.9, weight_decay=0.01)),
    "scores": Net(SEQUENCE, scores, *MOMENTUM),
    "batch norm": Net(
        VECTOR,
        stack(("Dense", 4, {"use_bias": False}), ("BatchNormalization",)),
        *MOMENTUM,
    ),
    "layer norm": Net(
        VECTOR, stack(("Dense", 4), ("LayerNormalization",)), *rmsprop(clipvalue=0.02)
    ),
    "dropout": Net(VECTOR, stack(("Dense", 4, "tanh"), ("Dropout", 0.3)), *adam()),
    "noise": Net(VECTOR, stack(("GaussianNoise", 0.2), ("Dense", 4, "tanh"))),
    "residual": Net(VECTOR, residual, *adam(weight_decay=0.01)),
    "shared": Net(VECTOR, shared),
    "distributed": Net(SEQUENCE, distributed),
    "own": Net(VECTOR, own, *sgd(momentum=0.9, nesterov=True)),
    "look-up": Net(TOKENS, stack(LOOKUP, ("SimpleRNN", 3)), *adam(clipnorm=0.1)),
    "one-hot": Net(TOKENS, one_hot, *adam(clipnorm=0.1)),
}
LOOKUPS = ("look-up", "one-hot")
EACH = [name for name in NETS if name not in LOOKUPS]


def given(net):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, *net.shape))
    if net.shape == TOKENS:
        x = rng.integers(0, 7, (40, *net.shape))
    return split(x, rng.integers(0, 3, 40), SEEDS, (40, 0))


def recipe(net):
    return engine.Recipe(cross_entropy, net.rule, STEPS, BATCH, dtype="float64")


@cache
def replicas(net, share=1, xla=False):
    settings = {"replicas_per_call": share, "xla": xla}
    return trained(net.build, given(net), recipe(net), SEEDS, RATES, **settings)


def stock(net, seed, rate):
    return trained_by_keras(net.build, given(net), recipe(net), SEEDS, seed, rate)


def failing(names, reason):
    """These cases, the last of which fail for this reason."""
    names, last = names
    mark = pytest.mark.xfail(strict=True, reason=reason)
    return [*names, *(pytest.param(name, marks=mark) for name in last)]


@pytest.mark.parametrize("name", EACH)
def test_a_replica_is_the_model_that_keras_trains(name):
    net = NETS[name]
    own = replicas(net).replica(8, 0.02).get_weights()
    assert distance(own, stock(net, 8, 0.02).get_weights()) < EXACT


def test_a_look_up_is_a_product_with_one_hot_vectors():
    # Keras on TensorFlow squares a look-up's gradient before it sums it over equal
    # indices: with Adam or clipping by norm its Embedding is another function's.
    own = replicas(NETS["look-up"]).replica(8, 0.02).get_weights()
    assert distance(own, stock(NETS["one-hot"], 8, 0.02).get_weights()) < EXACT


UNMAPPED = ("groups",)


@pytest.mark.parametrize(
    "name",
    failing(
        ([name for name in EACH if name not in UNMAPPED], UNMAPPED),
        "TensorFlow has no gradient of grouped convolutions on a CPU but by XLA",
    ),
)
def test_replicas_that_share_a_call_are_those_alone(name):
    net = NETS[name]
    assert distance(replicas(net).weights, replicas(net, 4).weights) < EXACT


COMPILED = (
    *("conv1d", "simple", "stacked", "bidirectional", "embedding"),
    *("attention", "batch norm", "layer norm", "own"),
)


@pytest.mark.parametrize(
    "name",
    failing(
        (COMPILED, ("pool1d",)),
        "XLA has no deterministic gradient of a maximum over windows",
    ),
)
def test_xla_changes_rounding_only(name):
    net = NETS[name]
    compiled = replicas(net, xla=True)
    assert distance(replicas(net).weights, compiled.weights) < EXACT


@pytest.mark.parametrize(
    "name",
    failing(
        (("batch norm", "dropout", "noise"), ("simple", "conv1d")),
        "the lists of TensorFlow's vectorised map in loops are unknown to XLA",
    ),
)
def test_replicas_that_share_a_compiled_call_are_those_alone(name):
    net = NETS[name]
    alone, together = replicas(net, xla=True), replicas(net, 4, xla=True)
    assert distance(alone.weights, together.weights) < EXACT


def agreement(*share):
    """Weights of one net of each family.

    JAX' own attention, which MultiHeadAttention calls there, has a float32 softmax.
    """
    families = ("bidirectional", "conv2d", "embedding", "scores", "batch norm")
    runs = [replicas(NETS[name], *share) for name in families]
    return [weight for run in runs for weight in run.weights]


@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="JAX is not installed")
def test_tensorflow_and_jax_agree(tmp_path):
    code = (
        "import sys, numpy; sys.path.insert(0, sys.argv[2]); import test_layers;"
        "numpy.savez(sys.argv[1], *test_layers.agreement(4))"
    )
    file = tmp_path / "jax.npz"
    subprocess.run(
        [sys.executable, "-c", code, str(file), os.path.dirname(__file__)],
        check=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    with np.load(file) as found:
        assert distance(agreement(), found.values()) < EXACT
