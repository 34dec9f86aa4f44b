"""Depth against width, trained: targets, sizes and gaps where the answer is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from dlclaims.experiments.depth_vs_width import (
    confound,
    depths,
    neurons,
    optimum,
    targets,
)
from matplotlib.figure import Figure

from dlclaims import engine
from dlclaims.errors import PageError
from dlclaims.pages import Variant
from dlclaims.seeds import Seeds

SEEDS = Seeds("depth-vs-width/test", (10_000, 10_001))


@pytest.fixture
def rng():
    return SEEDS.generator(10_000, "data")


# Targets


@pytest.mark.parametrize("name", targets.TARGETS)
def test_inputs_and_targets_have_variance_1(name, rng):
    x, y = targets.stream(name).draw(rng, 100_000)
    assert x.shape == (100_000, targets.TARGETS[name].inputs)
    np.testing.assert_allclose(x.var(axis=0), 1, atol=0.03)
    assert abs(y.mean()) < 0.03
    # A product of six has a kurtosis of 34, so that its variance is known to 2 %.
    assert y.var() == pytest.approx(1, abs=0.1 if name == "product-6" else 0.04)


def test_the_radial_target_depends_on_the_norm_only_and_has_two_periods(rng):
    matrix, _ = np.linalg.qr(rng.standard_normal((8, 8)))
    x = targets.ball(rng, 100, 8)
    np.testing.assert_allclose(targets.radial(x @ matrix), targets.radial(x))
    line = np.linspace(0, targets.edge(8), 10_001)[:, None] * np.eye(8)[0]
    crossings = np.sum(np.diff(np.sign(targets.radial(line))) != 0)
    assert crossings == 2 * targets.PERIODS


def test_the_ridge_oscillates_as_fast_along_one_direction_and_not_across_it(rng):
    along = np.full(8, 8**-0.5)
    line = np.linspace(0, targets.edge(8), 1001)[:, None]
    np.testing.assert_allclose(
        targets.ridge(line * along), targets.radial(line * along), atol=1e-12
    )
    across = np.zeros(8)
    across[:2] = 1, -1
    np.testing.assert_allclose(targets.ridge(line * across), 1)


def test_no_factor_of_a_product_tells_anything_without_the_others(rng):
    x, y = targets.stream("product-4").draw(rng, 100_000)
    np.testing.assert_allclose(x.T @ y / len(y), 0, atol=0.02)


def test_the_smooth_target_is_one_function_for_all_seeds(rng):
    x = targets.cube(rng, 10, 3)
    waves, phases = targets.cosines(3)
    by_hand = sum(
        np.cos(x @ wave + phase) for wave, phase in zip(waves.T, phases, strict=True)
    )
    np.testing.assert_allclose(targets.smooth(x), by_hand)


def test_products_have_variance_1_without_being_scaled(rng):
    for inputs in (2, 3):
        x, y = neurons.stream(inputs).draw(rng, 100_000)
        np.testing.assert_array_equal(y, x.prod(axis=1))
        assert (y.mean(), y.var()) == pytest.approx((0, 1), abs=0.03)


# Sizes


@pytest.mark.parametrize(("neurons", "depth"), [(200, 1), (79, 2), (111, 6), (8, 8)])
def test_layers_share_the_neurons_and_differ_by_one_at_most(neurons, depth):
    shape = depths.shape(neurons, depth)
    assert (len(shape), sum(shape)) == (depth, neurons)
    assert max(shape) - min(shape) <= 1


@pytest.mark.parametrize("target", ["radial", "mnist1d", "digits"])
@pytest.mark.parametrize("cost", ["parameters", "multiply_accumulates"])
def test_all_depths_cost_as_much_as_one_layer(target, cost):
    found = [
        engine.cost(
            depths.build(target, depth, depths.neurons_for(target, depth, cost)), cost
        )
        for depth in depths.DEPTHS
    ]
    np.testing.assert_allclose(found, found[0], rtol=0.02)
    if cost == "parameters":
        assert found[0] == pytest.approx(depths.BUDGET, rel=0.02)
        assert max(found) / min(found) < 1.02  # any two may be compared


def parameters(target, depth, budget):
    hidden = depths.neurons_for(target, depth, "parameters", budget)
    return engine.cost(depths.build(target, depth, hidden))


def test_larger_networks_can_be_compared_as_well():
    found = [
        parameters(v["target"], v["depth"], v["budget"])
        for v in depths.LARGER.full
        if v["target"] in ("radial", "digits")
    ]
    assert found == pytest.approx([8000] * len(found), rel=0.01)


def test_of_400_parameters_every_depth_that_can_be_compared_is():
    planned = {(v["target"], v["depth"]) for v in depths.SMALLER.full}
    for target in depths.CURVES:
        for depth in (*depths.DEPTHS, depths.DEEP):
            if (target, depth) in planned:
                first = parameters(target, 1, 400)
                assert parameters(target, depth, 400) == pytest.approx(first, rel=0.02)
            else:
                with pytest.raises(PageError, match="within 2 %"):
                    parameters(target, depth, 400)


@pytest.mark.parametrize(("inputs", "depth"), [(2, 1), (3, 2), (4, 2), (6, 3), (8, 3)])
def test_a_tree_of_pairs_is_as_deep_as_the_log_of_its_leaves(inputs, depth):
    assert neurons.layers(inputs) == depth
    arms = {v["depth"] for v in neurons.STUDY.full if v["inputs"] == inputs}
    assert arms == {1, depth}


def test_one_layer_of_2000_parameters_has_more_units_than_products_need():
    inputs = 6
    neurons = depths.neurons_for("product-6", 1, "parameters")
    assert neurons * (inputs + 2) + 1 == pytest.approx(depths.BUDGET, rel=0.02)
    assert neurons > 2**inputs


def test_the_document_s_sizes_are_16_fold_apart_and_the_matched_pair_is_even():
    found = pd.concat(
        confound.count(variant, SEEDS) for variant in confound.COUNTS.standard
    )
    assert (found["from_count"] == 0).all()
    counts = confound.SIZES
    assert round(counts["deep"] / counts["shallow"], 1) == 16.1
    assert counts["matched"] == pytest.approx(counts["deep"], rel=0.002)
    wider = engine.cost(confound.build((162,)))
    assert abs(wider - counts["deep"]) > abs(counts["matched"] - counts["deep"])


# Criteria


def test_the_best_depth_is_claimed_against_every_other():
    found = {}
    for made in optimum.INTERIOR_OPTIMUM.corrected.criteria:
        arm, first = dict(made.effect.where), dict(made.effect.minus)
        assert first == {"target": arm["target"], "depth": 1}
        sign = 1 if made.region.low > 0 else -1
        found.setdefault((arm["target"], sign), []).append(arm["depth"])
    deeper = list(depths.DEPTHS[1:])
    assert found.pop(("radial", -1))  # somewhere one layer is not the best
    assert found == {("product-6", 1): deeper, ("mnist1d", 1): deeper}


def test_what_is_left_of_a_gap_is_at_most_half_of_the_least_that_counts():
    for task in confound.NONLINEAR:
        there, stays = confound.there(task), confound.stays(task)
        shrinks = confound.shrinks(task)
        assert shrinks.region.high == stays.region.low == there.region.low / 2
        assert shrinks.effect == stays.effect
        assert shrinks.effect.minus == there.effect.minus


# Measurements


def test_a_fraction_wrong_has_a_log_even_without_errors():
    found = depths.wrong(pd.Series([1.0, 0.5, 0.0]), 99)
    np.testing.assert_allclose(found, [0.005, 0.5, 0.995])


@pytest.mark.parametrize("name", ["product-2-3", "digits-1"])
def test_depths_are_measured_for_every_seed_and_rate(monkeypatch, name):
    monkeypatch.setattr(depths, "STEPS", 4)
    target, _, depth = name.rpartition("-")
    variant = Variant(
        tuple(depths.net(target, int(depth)).items()), learning_rates=(0.001, 0.01)
    )
    found = depths.measure(variant, SEEDS)
    assert len(found) == 2 * len(SEEDS)
    np.testing.assert_allclose(found["log_error"], np.log10(found["error"]))
    batch = depths.BATCH if target in depths.DATA else depths.FRESH
    assert set(found["examples_seen"]) == {4 * batch}


def test_more_steps_learn_a_product_of_two(monkeypatch):
    monkeypatch.setattr(depths, "STEPS", 150)
    variant = Variant(tuple(depths.net("product-2", 3).items()), (0.01,))
    assert depths.measure(variant, SEEDS)["error"].max() < 0.2


def test_the_fewest_neurons_are_measured_and_found(monkeypatch):
    monkeypatch.setattr(neurons, "STEPS", 300)
    [variant] = neurons.STUDY.smoke
    found = neurons.measure(replace(variant, learning_rates=(1e-9, 0.03)), SEEDS)
    trained, drawn = (found[found["learning_rate"] == r] for r in (0.03, 1e-9))
    assert trained["error"].max() < 0.5 < drawn["error"].min()
    assert set(found["parameters"]) == {8 * (2 + 2) + 1}
    assert set(found["examples_seen"]) == {300 * neurons.BATCH}


def test_a_short_run_of_the_document_s_pair_on_digits(monkeypatch):
    monkeypatch.setitem(confound.STEPS, "digits", 60)
    for network, parameters in confound.SIZES.items():
        variant = Variant(tuple(confound.net("digits", network).items()), (1e-9, 0.01))
        found = confound.measure(variant, SEEDS).set_index("learning_rate")
        trained, drawn = (found.loc[rate, "error"].to_numpy() for rate in (0.01, 1e-9))
        assert (trained < 0.4).all()
        assert (trained < drawn - 0.1).all()
        assert (found["parameters"] == parameters).all()
        assert (found["examples_seen"] == 60 * confound.BATCH).all()


def test_a_plane_separates_the_linear_task_and_not_the_teacher_s(monkeypatch):
    def fitted(name):
        own = confound.task(name)
        x, y = own.x[: own.pool], 2.0 * own.y[: own.pool] - 1
        plane, *_ = np.linalg.lstsq(x, y, rcond=None)
        return np.mean((own.x[own.pool :] @ plane > 0) == own.y[own.pool :])

    assert fitted("linear") > 0.97
    assert fitted("teacher") < 0.9
    assert confound.task("teacher").y.mean() == pytest.approx(0.5)


# Figures


def test_the_curve_shows_changes_from_one_layer_of_the_same_seed_and_the_best():
    table = pd.DataFrame(
        depths.net(target, depth)
        | {"log_error": seed + abs(depth - best), "seed": seed, "source": "measured"}
        for target, best in (("ridge", 2), ("digits", 1), ("radial", 2))
        for depth in (1, 2, 3)[: 2 if target == "ridge" else 3]
        for seed in SEEDS
    )
    picture = Figure()
    depths.draw(table, picture.add_subplot())
    shown = {
        ax.get_title(): (
            [line.get_ydata() for line in ax.lines if len(line.get_xdata()) == 3],
            [line.get_xdata() for line in ax.lines if line.get_marker() == "*"],
        )
        for ax in picture.axes[1:]
    }
    assert list(shown) == ["radial, 8 inputs", "digits"]
    for (means, (stars,)), changes, best in zip(
        shown.values(), ([0, -1, 0], [0, 1, 2]), (2, 1), strict=True
    ):
        np.testing.assert_allclose(means, [changes])
        assert list(stars) == [best]


def test_curves_of_smaller_networks_are_shown_with_the_depths_that_they_have():
    table = pd.DataFrame(
        dict(variant.factors)
        | {"log_error": -variant["depth"], "seed": seed, "source": "measured"}
        for variant in depths.SMALLER.full
        for seed in SEEDS
    )
    picture = Figure()
    depths.draw(table, picture.add_subplot())
    shown = {ax.get_title(): list(ax.get_xticks()) for ax in picture.axes[1:]}
    assert shown == {
        "radial, 8 inputs": [1, 2, 6, 8],
        "product of 6": [1, 2, 3, 4, 6, 8],
        "smooth, 3 inputs": [1, 4, 6, 8],
    }


def test_products_are_drawn_by_their_number_of_inputs():
    table = pd.DataFrame(
        depths.net(f"product-{inputs}", depth)
        | {"log_error": inputs - depth, "seed": seed, "source": "measured"}
        for inputs in (6, 2, 4)
        for depth in (1, 2, 3)
        for seed in SEEDS
    )
    ax = Figure().add_subplot()
    depths.draw_products(table.assign(variant=table["target"]), ax)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2", "4", "6"]
    shown = {float(y) for line in ax.lines for y in line.get_ydata()}
    assert shown == {1, 3, 5, -1, -2}  # two layers are not shown


@pytest.fixture
def products():
    """Errors of nets that explain 99 % from 2^(depth + inputs) neurons on."""
    return pd.DataFrame(
        dict(variant.factors)
        | {
            "log_error": variant["depth"] + variant["inputs"] - 2 - exponent,
            "seed": seed,
            "source": "measured",
            "variant": variant.name,
        }
        for variant in neurons.STUDY.full
        for exponent in [np.log2(variant["neurons"])]
        for seed in SEEDS
    )


def test_the_fewest_neurons_that_suffice_are_a_seed_s_own_or_more_than_tried(products):
    found = neurons.needed(neurons.by_arm(products))
    assert len(found) == 2 * len(neurons.INPUTS) * len(SEEDS)
    shown = found.groupby(["network", "inputs"])["log2_neurons"].agg(["min", "max"])
    for (network, inputs), (low, high) in shown.iterrows():
        layers = 1 if "one" in network else neurons.layers(inputs)
        assert low == high == min(layers + inputs, 9)
    first = products["seed"] == SEEDS.values[0]
    products.loc[first, "log_error"] = 0.0
    changed = neurons.needed(neurons.by_arm(products))
    assert set(changed.loc[changed["seed"] == SEEDS.values[0], "log2_neurons"]) == {9}


def test_neurons_are_drawn_beside_both_counts_of_theory(products):
    ax = Figure().add_subplot()
    neurons.draw_needed(products, ax)
    dashed = [line.get_ydata() for line in ax.lines if line.get_linestyle() == "--"]
    inputs = np.array(neurons.INPUTS)
    np.testing.assert_allclose(dashed, np.log2([2.0**inputs, 4.0 * inputs]))
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[-2:] == ["256", "more than 256"]


def test_errors_of_products_have_a_panel_for_each_number_of_inputs(products):
    picture = Figure()
    neurons.draw(products, picture.add_subplot())
    titles = [ax.get_title() for ax in picture.axes[1:]]
    assert titles == [f"product of {inputs}" for inputs in neurons.INPUTS]


def test_the_pairs_show_both_gaps_of_every_task_by_seed():
    errors = {"shallow": 0.04, "deep": 0.01, "matched": 0.02}
    table = pd.DataFrame(
        confound.net(task, network) | {"seed": seed, "error": error * (1 + seed % 2)}
        for task in confound.TASKS
        for network, error in errors.items()
        for seed in SEEDS
    )
    ax = Figure().add_subplot()
    confound.draw(table, ax)
    shown = {round(float(y), 9) for line in ax.lines for y in line.get_ydata()}
    assert {0.03, 0.06, 0.01, 0.02} <= shown
