"""Probes against gradients that are written out by hand."""

from functools import partial

import numpy as np
import pytest

from dlclaims import engine
from dlclaims.engine import cache
from dlclaims.errors import UsageError
from dlclaims.seeds import Seeds

SEEDS = Seeds("tests/probes", (3, 5))
EXAMPLES, INPUTS, OUTPUTS = 7, 4, 3
SLOPES = {
    "linear": lambda z: np.ones_like(z),
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "sigmoid": lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
}
FUNCTIONS = {
    "linear": lambda z: z,
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}


def stack(
    activation="tanh",
    depth=3,
    width=5,
    residual=False,
    initializer="he_normal",
    inputs=INPUTS,
    frozen=False,
):
    import keras

    dense = partial(keras.layers.Dense, kernel_initializer=initializer)
    x = first = keras.Input((inputs,))
    for layer in range(1, depth + 1):
        z = dense(width, name=f"pre_{layer}", trainable=not frozen)(x)
        a = keras.layers.Activation(activation, name=f"act_{layer}")(z)
        skips = residual and layer > 1
        x = keras.layers.Add(name=f"add_{layer}")([a, x]) if skips else a
    return keras.Model(first, dense(OUTPUTS, name="output")(x))


def initial(build=stack, seeds=SEEDS, dtype="float64"):
    return engine.initialize(build, seeds, dtype=dtype)


def inputs(features=INPUTS, examples=EXAMPLES, seeds=SEEDS):
    streams = [seeds.generator(seed, "data") for seed in seeds]
    return np.stack([s.standard_normal((examples, features)) for s in streams])


def kernels(runs, row):
    return [weight[row] for weight in runs.weights if weight.ndim == 3]


def forward(runs, row, x, activation, residual=False):
    """Pre-activations and activations of the hidden layers, biases being 0."""
    z, a = [], [x]
    for layer, kernel in enumerate(kernels(runs, row)[:-1]):
        z.append(a[-1] @ kernel)
        skip = a[-1] if residual and layer else 0
        a.append(FUNCTIONS[activation](z[-1]) + skip)
    return z, a[1:]


def backward(runs, row, z, at_last, activation, residual=False):
    """Gradients at all pre-activations and activations, from that at the last a_L."""
    slope = SLOPES[activation]
    at_a, at_z = [at_last], []
    for layer in reversed(range(len(z))):
        at_z.append(at_a[-1] * slope(z[layer]))
        through = at_z[-1] @ kernels(runs, row)[layer].T
        at_a.append(through + (at_a[-1] if residual and layer else 0))
    return at_z[::-1], at_a[-2::-1]


def readout(seed, width=5):
    return SEEDS.generator(seed, "noise/readout").standard_normal((EXAMPLES, width))


def log_rms(array):
    return np.log(np.mean(array**2)) / 2


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("residual", [False, True])
def test_gradients_at_preactivations_are_those_of_backpropagation(activation, residual):
    runs, x = initial(partial(stack, activation, residual=residual)), inputs()
    table = engine.preactivation_gradients(runs, x)
    for row, seed in enumerate(SEEDS):
        found = table[table.seed == seed].set_index("layer")
        z, _ = forward(runs, row, x[row], activation, residual)
        # J = readout z_3: back through layer 3's kernel, then through layers 2 and 1.
        at_z3 = readout(seed)
        at_a2 = at_z3 @ kernels(runs, row)[2].T
        at_z, at_a = backward(runs, row, z[:2], at_a2, activation, residual)
        for layer, (own_z, own_a) in enumerate(zip(at_z, at_a, strict=True), start=1):
            assert found.log_gradient[layer] == pytest.approx(log_rms(own_z))
            assert found.log_activation_gradient[layer] == pytest.approx(log_rms(own_a))
        assert found.log_gradient[3] == pytest.approx(log_rms(at_z3))
        assert np.isnan(found.log_activation_gradient[3])
        for layer in (1, 2, 3):
            assert found.log_second_moment[layer] == pytest.approx(
                2 * log_rms(z[layer - 1])
            )


def test_orthogonal_linear_layers_keep_gradients_exactly():
    build = partial(
        stack, "linear", depth=12, width=20, initializer="orthogonal", inputs=20
    )
    table = engine.preactivation_gradients(initial(build), inputs(20))
    spread = table.groupby("seed").log_gradient.agg(np.ptp)
    # The weights are orthogonal in single precision.
    assert spread.max() < 1e-5


def test_vanishing_gradients_do_not_underflow_in_single_precision():
    build = partial(stack, "sigmoid", depth=40, width=5)
    single, double = (
        engine.preactivation_gradients(initial(build, dtype=dtype), inputs())
        for dtype in ("float32", "float64")
    )
    assert single.log_gradient.min() < np.log(1e-19)  # its square is below 1e-38
    assert np.abs(single.log_gradient - double.log_gradient).max() < 1e-4


def test_examples_are_shared_or_each_seeds_own():
    runs, x = initial(), inputs()
    own = engine.preactivation_gradients(runs, x)
    shared = engine.preactivation_gradients(runs, x[0])
    assert own[own.seed == 3].equals(shared[shared.seed == 3])
    assert not own[own.seed == 5].equals(shared[shared.seed == 5])


def test_a_seed_is_probed_alike_in_any_company():
    together = engine.preactivation_gradients(initial(), inputs())
    alone = Seeds("tests/probes", (5,))
    table = engine.preactivation_gradients(initial(seeds=alone), inputs(seeds=alone))
    assert together[together.seed == 5].reset_index(drop=True).equals(table)


def squares(y, prediction):
    from keras import ops

    return ops.sum(ops.square(prediction - y), axis=-1)


@pytest.mark.parametrize("frozen", [False, True])
def test_layer_gradients_are_those_of_backpropagation(frozen):
    runs, x = initial(partial(stack, frozen=frozen)), inputs()
    y = np.stack(
        [SEEDS.generator(s, "noise/y").random((EXAMPLES, OUTPUTS)) for s in SEEDS]
    )
    found = engine.layer_gradients(runs, x, y, squares)
    for row in range(len(SEEDS)):
        z, a = forward(runs, row, x[row], "tanh")
        output = kernels(runs, row)[-1]
        error = 2 * (a[-1] @ output - y[row]) / EXAMPLES
        at_z, at_a = backward(runs, row, z, error @ output.T, "tanh")
        for layer, before in enumerate([x[row], *a[:-1]]):
            assert np.allclose(
                found.preactivations[layer][row], at_z[layer], atol=1e-14
            )
            assert np.allclose(found.activations[layer][row], at_a[layer], atol=1e-14)
            expected = before.T @ at_z[layer]
            assert np.allclose(found.weights[layer][row], expected, atol=1e-14)
    table = found.table()
    first = table[(table.seed == 3) & (table.layer == 1)].iloc[0]
    assert first.log_gradient == pytest.approx(log_rms(found.preactivations[0][0]))
    assert first.log_weight_gradient == pytest.approx(log_rms(found.weights[0][0]))


def test_signal_to_noise_is_that_of_single_examples():
    runs, x = initial(), inputs()[0]
    y = np.zeros((EXAMPLES, OUTPUTS))
    each = np.stack(
        [
            engine.layer_gradients(runs, x[[e]], y[[e]], squares).weights[0]
            for e in range(EXAMPLES)
        ]
    )
    ratios = np.abs(each.mean(axis=0)) / each.std(axis=0)
    expected = np.median(ratios.reshape(len(SEEDS), -1), axis=1)
    assert np.allclose(engine.signal_to_noise(runs, x, y, squares), expected)


def test_inputs_that_are_always_zero_do_not_count_as_signal():
    runs, x = initial(), inputs()
    x[..., 0] = 0
    y = np.zeros((len(SEEDS), EXAMPLES, OUTPUTS))
    assert np.isfinite(engine.signal_to_noise(runs, x, y, squares)).all()
    assert np.isnan(engine.signal_to_noise(runs, 0 * x, y, squares)).all()


@pytest.mark.parametrize("residual", [False, True])
def test_representations_are_the_layers_activations(residual):
    runs, x = initial(partial(stack, residual=residual)), inputs()
    for row, layers in enumerate(engine.representations(runs, x)):
        _, expected = forward(runs, row, x[row], "tanh", residual)
        for own, activation in zip(layers, expected, strict=True):
            assert np.allclose(own, activation, atol=1e-14)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_derivatives_of_activations(activation):
    import keras

    z = np.linspace(-5, 5, 101)
    found = engine.derivative(keras.activations.get(activation), z)
    assert np.abs(found - SLOPES[activation](z)).max() < 1e-15


def test_trained_replicas_are_probed_as_the_models_that_they_are():
    x, y = inputs()[0], np.zeros(EXAMPLES, int)
    split = np.tile(np.arange(EXAMPLES), (2, 1))
    recipe = engine.Recipe(cross_entropy, momentum, 3, 5, dtype="float64")
    data = engine.Examples(x, y, split, split[:, :0], split[:, :0])
    runs = engine.train(stack, data, recipe, SEEDS, (0.1, 0.2))
    table = engine.preactivation_gradients(runs, x)
    assert list(table.columns[:3]) == ["seed", "learning_rate", "layer"]
    rates = [rate for _ in SEEDS for rate in (0.1, 0.2) for _ in range(3)]
    assert list(table.learning_rate) == rates
    activations = engine.representations(runs, x)[runs.row(5, 0.1)]
    model = runs.replica(5, 0.1)
    logits = activations[-1] @ np.asarray(model.get_layer("output").kernel)
    bias = np.asarray(model.get_layer("output").bias)
    assert np.allclose(logits + bias, model.predict_on_batch(x), atol=1e-14)


def cross_entropy(y, logits):
    import keras

    return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)


def momentum():
    import keras

    return keras.optimizers.SGD(momentum=0.9)


def test_other_initializers_and_seeds_trace_nothing_anew():
    engine.preactivation_gradients(initial(), inputs())
    before = set(cache._programs)
    seeds = Seeds("tests/probes", (1, 2, 8))
    other = initial(partial(stack, initializer="glorot_uniform"), seeds)
    engine.preactivation_gradients(other, inputs(seeds=seeds))
    assert set(cache._programs) == before


def test_probing_leaves_the_layers_as_they_were():
    runs, x = initial(), inputs()
    engine.preactivation_gradients(runs, x)
    assert not [layer for layer in runs.plan.model.layers if "call" in vars(layer)]


def test_layers_must_be_named():
    import keras

    def build():
        return keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(3, name="pre_1")]
        )

    with pytest.raises(UsageError, match="act_1"):
        engine.preactivation_gradients(initial(build), inputs())


def test_examples_must_belong_to_the_seeds():
    with pytest.raises(UsageError, match=r"each of 2\s+seeds"):
        engine.representations(initial(), np.zeros((3, EXAMPLES, INPUTS)))
