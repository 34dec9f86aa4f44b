"""Networks compute what their stack says, from weights of the stated law."""

import numpy as np
import pytest

from dlclaims import networks
from dlclaims.errors import UsageError
from dlclaims.theory import gaussian
from dlclaims.theory.mean_field import Initialization, Stack, initialization


def stack(activation="tanh", name="xavier", residual=False, depth=3, width=7):
    return Stack(
        5, depth, width, activation, initialization(name, activation), residual
    )


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("activation", gaussian.ACTIVATIONS)
def test_mlp_computes_its_definition(activation, residual):
    model = networks.mlp(stack(activation, residual=residual), outputs=4)
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    a = x.astype(float)
    for layer in (1, 2, 3):
        kernel, bias = model.get_layer(f"pre_{layer}").get_weights()
        assert not bias.any()
        z = a @ kernel
        skip = a if residual and layer > 1 else 0
        a = gaussian.ACTIVATIONS[activation].function(z) + skip
    expected = a @ model.get_layer("output").get_weights()[0]
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)


def test_layers_have_the_names_that_probes_look_for():
    names = [layer.name for layer in networks.mlp(stack(residual=True), 4).layers[1:]]
    first, *rest = [[f"pre_{i}", f"act_{i}", f"add_{i}"] for i in (1, 2, 3)]
    assert names == [*first[:2], *rest[0], *rest[1], "output"]


def test_without_outputs_the_network_ends_with_the_last_hidden_layer():
    model = networks.mlp(stack())
    assert model.layers[-1].name == "act_3"
    assert model.output_shape == (None, 7)


def test_layers_of_one_shape_have_different_weights():
    model = networks.mlp(stack(depth=4))
    kernels = [model.get_layer(f"pre_{i}").get_weights()[0] for i in (2, 3, 4)]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not np.any(kernels[one] == kernels[other])


@pytest.mark.parametrize(
    "law",
    [
        initialization("document", "relu"),
        initialization("xavier", "relu"),
        initialization("critical", "sigmoid"),
        Initialization("scale-4", scale=4.0),
    ],
)
@pytest.mark.parametrize("shape", [(300, 300), (64, 1000)])
def test_initializers_have_the_stated_variance(law, shape):
    kernel = np.asarray(networks.initializer(law, seed=3)(shape)).astype(float)
    scale = law.scale_at(shape[0])
    assert shape[0] * kernel.var() == pytest.approx(scale, rel=0.03)
    assert abs(kernel.mean()) < 5 * kernel.std() / np.sqrt(kernel.size)
    if law.limit is not None:
        assert abs(kernel).max() <= law.limit
    else:
        # A normal law that is not cut off at two standard deviations.
        assert np.mean((kernel / kernel.std()) ** 4) == pytest.approx(3, abs=0.15)


def test_initializers_depend_on_the_seed_alone():
    law = initialization("he", "relu")
    draw = [np.asarray(networks.initializer(law, seed)((4, 4))) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(draw[0], draw[1])
    assert not np.any(draw[0] == draw[2])


def test_xavier_is_glorot_in_a_square_layer():
    import keras

    glorot = keras.initializers.GlorotUniform(seed=0)((300, 300))
    assert 300 * np.var(np.asarray(glorot)) == pytest.approx(1, rel=0.02)


def test_unknown_activation():
    law = initialization("he", "relu")
    with pytest.raises(UsageError, match="relu"):
        networks.mlp(Stack(5, 1, 7, "relo", law))
