"""The page on residual networks: its passes, its quantities, every study at smoke."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from dlclaims.experiments.residual_degradation import (
    PAGE,
    blocks,
    convolution,
    docblock,
    dominance,
    growth,
    identity,
    nets,
    shattering,
    training,
)

from dlclaims import data, engine, figures, pages
from dlclaims.pages import Variant
from dlclaims.seeds import Seeds

NAME = "residual-degradation"


def seeds(study: str, number: int = 2) -> Seeds:
    return Seeds(f"{NAME}/{study}", tuple(range(10_000, 10_000 + number)))


def random_weights(net: nets.Net, rng: np.random.Generator) -> list[np.ndarray]:
    """Weights as Keras keeps them: statistics positive, everything else normal."""
    runs = engine.initialize(lambda: nets.build(net), seeds=seeds("depth", 1))
    found = []
    for variable in runs.plan.model.weights:
        value = rng.standard_normal(variable.shape) * 0.5
        found.append(np.abs(value) + 0.5 if "variance" in variable.path else value)
    return found


@pytest.mark.parametrize("arm", ["plain", "residual"])
@pytest.mark.parametrize("is_training", [False, True])
def test_the_forward_pass_is_that_of_keras(arm: str, is_training: bool):
    rng = np.random.default_rng(1)
    net = nets.Net(6, 3, 8, arm)
    weights = random_weights(net, rng)
    model = nets.build(net)
    model.set_weights(weights)
    x = rng.standard_normal((20, 6))
    expected = np.asarray(model(x, training=is_training))
    found, _ = nets.forward(net, nets.unpack(net, weights), x, is_training)
    assert found == pytest.approx(expected, abs=1e-3 * float(np.abs(expected).max()))


@pytest.mark.parametrize("arm", ["plain", "residual"])
def test_weight_gradients_are_those_of_finite_differences(arm: str):
    rng = np.random.default_rng(2)
    net = nets.Net(5, 3, 6, arm)
    weights = random_weights(net, rng)
    x, y = rng.standard_normal((12, 5)), rng.integers(0, 3, 12)

    def loss() -> float:
        logits, _ = nets.forward(net, nets.unpack(net, weights), x, training=True)
        logits = logits - logits.max(axis=1, keepdims=True)
        chosen = logits[np.arange(12), y] - np.log(np.exp(logits).sum(axis=1))
        return -float(chosen.mean())

    sizes = nets.weight_gradients(net, nets.unpack(net, weights), x, y)
    kernels = [w for w in weights if w.ndim == 2]
    for layer in (0, 1, 4, 5):
        squares = []
        for place in np.ndindex(kernels[layer].shape):
            kernels[layer][place] += 1e-5
            above = loss()
            kernels[layer][place] -= 2e-5
            squares.append(((above - loss()) / 2e-5) ** 2)
            kernels[layer][place] += 1e-5
        assert sizes[layer] == pytest.approx(math.sqrt(np.mean(squares)), rel=1e-3)


def test_skips_have_no_weights():
    sizes = {
        arm: nets.build(nets.Net(40, 10, 20, arm)).count_params()
        for arm in ("plain", "residual")
    }
    assert sizes["plain"] == sizes["residual"]
    document = nets.build(nets.Net(40, 10, 20, "document", "none")).count_params()
    residual = nets.build(nets.Net(40, 10, 20, "residual", "none")).count_params()
    assert document == residual


def test_branches_scaled_from_zero_start_as_the_identity():
    net = nets.Net(6, 3, 8, "residual", "skip-init")
    model = nets.build(net)
    x = np.random.default_rng(3).standard_normal((4, 6)).astype("float32")
    kernels = [w for w in model.get_weights() if w.ndim == 2]
    expected = np.maximum(x @ kernels[0], 0) @ kernels[-1]
    assert np.asarray(model(x)) == pytest.approx(expected, abs=1e-5)


def test_a_block_that_adds_nothing_is_not_missed():
    rng = np.random.default_rng(4)
    net = nets.Net(6, 3, 8, "residual")
    layers = nets.unpack(net, random_weights(net, rng))
    layers[4] = replace(layers[4], kernel=0 * layers[4].kernel, bias=0 * layers[4].bias)
    x = rng.standard_normal((9, 6))
    intact, _ = nets.forward(net, layers, x, training=False)
    without, _ = nets.forward(net, layers, x, training=False, without=1)
    other, _ = nets.forward(net, layers, x, training=False, without=0)
    assert without == pytest.approx(intact)
    assert np.abs(other - intact).max() > 0.01


def test_a_gradient_passes_a_skip_alone_unchanged():
    found = identity.gradients(1.0, 0.0, np.random.default_rng(5))
    assert found == pytest.approx([found[0]] * len(found))
    halved = identity.gradients(0.5, 0.0, np.random.default_rng(5))
    assert np.diff(halved) == pytest.approx(math.log(0.5))


def test_equal_neighbours_have_equal_gradients(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shattering, "NEAR", 1.0)
    rng = np.random.default_rng(6)
    assert shattering.correlation(2, True, True, rng) == pytest.approx(1)


def test_normalised_batches_have_mean_0_and_variance_1():
    x, deviation = blocks.normalized(np.random.default_rng(7).normal(3, 2, (50, 4)))
    assert x.mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert x.std(axis=0) == pytest.approx(1)
    assert deviation == pytest.approx(2, rel=0.4)


@pytest.mark.parametrize(
    "study", [growth.STUDY, identity.STUDY, dominance.STUDY, shattering.STUDY]
)
def test_theory_lies_over_the_measurement(study: pages.Study):
    for variant in study.standard:
        measured = study.measure(variant, seeds(study.name, 1))
        theory = study.predict(variant)
        for column in set(theory) & set(measured) - {"seed"}:
            gap = measured[column].to_numpy() - theory[column].to_numpy()
            assert np.nanmax(np.abs(gap), initial=0) < 1.0, (variant.name, column)


def test_the_documents_block_never_falls_and_needs_one_width():
    equal, unequal = (
        docblock.measure(variant, seeds("document-block"))
        for variant in docblock.STUDY.standard
    )
    assert equal["fall"].max() == 0
    assert equal["deviation"].max() < 1e-10
    assert equal["refused"].max() == 0
    assert unequal["refused"].min() == 1


def test_trained_networks_are_measured(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training, "STEPS", 20)
    monkeypatch.setattr(training, "EARLY", 5)
    [variant] = training.variants(training.variant("residual", 6))
    tuned = Variant(variant.factors, (0.01,))
    table = training.measure(tuned, seeds("depth"))
    assert len(table) == 2
    assert table["lesion"].between(-1, 1).all()
    assert np.isfinite(table[["gradient_start", "gradient_early"]]).all(axis=None)
    assert (table["steps"] == 20).all()
    assert "longer_accuracy" not in table
    rates = Variant(variant.factors, (0.001, 0.01))
    assert "lesion" not in training.measure(rates, seeds("depth"))


def test_plain_networks_get_three_times_the_steps_at_the_same_rate(
    monkeypatch: pytest.MonkeyPatch,
):
    short = training.variant("plain", 4, "none")
    monkeypatch.setattr(training, "STEPS", 10)
    monkeypatch.setattr(training, "LONGER", (short,))
    [variant] = training.variants(short)
    tuned = Variant(variant.factors, (0.01,))
    table = training.measure(tuned, seeds("depth"))
    monkeypatch.setattr(training, "STEPS", 30)
    longer = training.measure(tuned, seeds("depth"))
    assert list(table["longer_accuracy"]) == list(longer["training_accuracy"])
    assert (table["steps"] == 10).all()
    sensitivity = Variant(variant.factors, (0.01,), "longer")
    assert "longer_accuracy" not in training.measure(sensitivity, seeds("depth"))


@pytest.mark.parametrize("arm", ["plain", "residual"])
def test_gradients_of_normalised_networks_are_those_of_theory(arm: str):
    [variant] = training.variants(training.variant(arm, 20))
    net = replace(training.network(variant), inputs=64)
    rng = np.random.default_rng(8)
    runs = engine.initialize(lambda: nets.build(net), seeds=seeds("depth", 4))
    x, y = rng.standard_normal((256, 64)), rng.integers(0, 10, 256)
    ratios = []
    for row in range(4):
        layers = nets.unpack(net, training.replica(runs, row))
        sizes = nets.weight_gradients(net, layers, x, y)
        ratios.append(np.log10(sizes[1] / sizes[-2]))
    [expected] = training.predict(variant)["gradient_start"]
    assert np.mean(ratios) == pytest.approx(expected, abs=0.25)
    [bare] = training.variants(training.variant(arm, 20, "none"))
    assert training.predict(bare)["gradient_start"].isna().all()


def test_skips_of_convolutional_networks_have_no_weights():
    mnist1d = data.load("mnist1d")
    plain, skips = (
        convolution.build(mnist1d, 14, arm) for arm in ("plain", "residual")
    )
    assert plain.count_params() == skips.count_params()
    layers = [layer for layer in skips.layers if hasattr(layer, "kernel")]
    assert len(layers) == 14
    assert {layer.name.split("_")[0] for layer in layers} == {"conv1d", "dense"}


def test_images_lie_plane_by_plane():
    images = data.Classification(
        "cifar10", np.zeros((1, 3072), "float32"), np.zeros(1, "int32"), 10, 1, 0
    )
    model = convolution.build(images, 8, "residual")
    permuted = next(layer for layer in model.layers if "permute" in layer.name)
    planes = np.arange(3072, dtype="float32").reshape(1, 3, 32, 32)
    assert np.array_equal(permuted(planes)[0, 5, 7], planes[0, :, 5, 7])
    assert model.output_shape == (None, 10)


def test_convolutional_networks_are_trained(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(training, "STEPS", 3)
    study = convolution.STUDIES[0]
    variant = study.full[1]
    assert (variant["arm"], variant["depth"]) == ("residual", 8)
    tuned = Variant(variant.factors, (0.01,))
    table = study.measure(tuned, seeds(study.name))
    assert table["training_accuracy"].between(0, 1).all()
    assert not {*study.equal} - {*table}


def test_error_and_gradient_stand_under_each_other():
    table = pd.concat(
        [
            pd.DataFrame(
                {
                    "source": "measured",
                    "variant": f"{arm}-{depth}",
                    "arm": arm,
                    "depth": depth,
                    "normalization": "batch",
                    "seed": range(3),
                    "training_accuracy": 0.75,
                    "longer_accuracy": 0.5 if arm == "plain" else math.nan,
                    "gradient_start": 1.0,
                }
            )
            for arm in ("plain", "residual")
            for depth in (10, 40)
        ]
    )
    assert figures.alt_text(training.ERROR, table).endswith(
        "training error: error by depth, means of 3 seeds: plain 0.25 at 10 and 0.25 at"
        " 40; with skips 0.25 at 10 and 0.25 at 40; plain, 3,000 steps 0.5 at 10 and"
        " 0.5 at 40. gradient before training: gradient start by depth, means of 3"
        " seeds: plain 1 at 10 and 1 at 40; with skips 1 at 10 and 1 at 40."
    )


def test_the_page_is_sound():
    assert pages.problems(replace(PAGE, name=NAME, title="Residual networks")) == []
