"""Depth against width: the folded tent, its learning, and regions along a line."""

from dataclasses import replace

import numpy as np
import pytest
from dlclaims.experiments.depth_vs_width import (
    learned,
    nets,
    one_layer,
    regions,
    sawtooth,
    trained_regions,
)

from dlclaims import engine
from dlclaims.seeds import Seeds
from dlclaims.theory import piecewise

SEEDS = Seeds("depth-vs-width/test", (10_000, 10_001))


@pytest.mark.parametrize("variant", sawtooth.CONSTRUCTION.smoke)
def test_the_constructed_network_is_the_tent_with_closed_counts(variant):
    found = sawtooth.measure_construction(variant, SEEDS)
    predicted = sawtooth.predict_construction(variant).iloc[0]
    assert (found.deviation == 0).all()
    assert (found.pieces == predicted.pieces).all()
    assert (found.parameters == predicted.parameters).all()
    assert (found[["pieces_off", "parameters_off"]] == 0).all(axis=None)
    assert (found.shallow_parameters == 3 * 2 ** variant["folds"] + 1).all()


def test_depth_saves_nothing_up_to_two_folds_and_much_at_eight():
    found = {
        variant["folds"]: sawtooth.measure_construction(variant, SEEDS).iloc[0]
        for variant in sawtooth.CONSTRUCTION.standard
        if variant["folds"] in (1, 2, 8)
    }
    assert found[1].difference == found[2].difference == 0
    assert found[2].share == 13 / 10
    assert found[8].share == 49 / 766


@pytest.mark.parametrize("variant", one_layer.STUDY.smoke)
def test_one_layer_misses_an_extremum_by_a_half_until_it_has_units_enough(variant):
    found = one_layer.measure(variant, SEEDS)
    is_enough = variant["knots"] == "enough"
    assert found.error.to_numpy() == pytest.approx(0.0 if is_enough else 0.5, abs=1e-6)
    least = 2 ** variant["folds"]
    assert (found.units == (least if is_enough else least - 2)).all()


def test_the_least_error_is_that_of_a_read_out_found_by_hand():
    # Values 0, 1, 0 by c + d max(x - 1/2, 0): c is as far from 0 as from 1.
    assert one_layer.least_error(np.array([0.5]), 1) == pytest.approx(0.5)
    assert one_layer.least_error(np.array([0.0, 0.5]), 1) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("folds", [1, 4, 6])
def test_near_the_constructed_weights_means_by_a_fraction_of_each(monkeypatch, folds):
    x = np.linspace(0, 1, 257)
    u = (learned.SPREAD * (x - 0.5))[:, None]

    def runs():
        def build():
            return learned.build("constructed-10", folds, 16)

        return engine.initialize(build, seeds=SEEDS, dtype="float64")

    monkeypatch.setitem(learned.NOISE, "constructed-10", 0.0)
    exact = runs()
    outputs = np.asarray(exact.replica(10_000)(u))[:, 0]
    assert outputs == pytest.approx(piecewise.tent(x, folds), abs=1e-4)
    monkeypatch.setitem(learned.NOISE, "constructed-10", 0.1)
    for near, given in zip(runs().weights, exact.weights, strict=True):
        is_given = given[0] == given[1]  # the others are drawn at random
        change, own = (near - given)[0][is_given], np.abs(given[0][is_given])
        assert (np.abs(change) <= 0.5 * own).all()  # five deviations; a zero stays


def test_kinks_of_a_random_start_lie_among_the_inputs():
    runs = engine.initialize(lambda: nets.relu(1, (400,)), seeds=SEEDS)
    kernel, bias = (weight[0].astype(float) for weight in runs.weights[:2])
    inside = np.abs(bias / kernel[0]) < np.sqrt(3)
    assert inside.mean() == pytest.approx(2 / 3, abs=0.08)  # Cauchy's law


def test_shallow_networks_cost_what_the_deep_ones_do():
    width = learned.width_of("shallow", "parameters")
    deep, shallow = (
        engine.cost(learned.build(start, 1, learned.width_of(start, "parameters")))
        for start in ("deep", "shallow")
    )
    assert shallow == pytest.approx(deep, rel=0.02)
    assert width > piecewise.exact_units(6)  # so both can be the tent


def test_errors_are_fractions_of_the_variance(monkeypatch):
    monkeypatch.setattr(learned, "STEPS", 20)
    for variant in learned.STUDY.smoke:
        tuned = replace(variant, learning_rates=(1e-12, 1e-3))
        found = learned.measure(tuned, SEEDS)
        assert len(found) == 4
        assert (found.solved == (found.error < 0.1)).all()
        assert found.log_error.to_numpy() == pytest.approx(np.log10(found.error))
        assert (found.steps == 20).all()
        assert (found.examples_seen == 20 * learned.BATCH).all()
    x, y = learned.stream(3).draw(np.random.default_rng(0), 100_000)
    assert x.var() == pytest.approx(1, abs=0.01)
    assert y.var() == pytest.approx(learned.VARIANCE, abs=0.001)


def test_regions_of_one_layer_are_one_more_than_units_that_switch():
    variant = regions.STUDY.smoke[0]
    found = regions.measure(variant, SEEDS)
    runs = engine.initialize(
        lambda: nets.relu(regions.INPUTS, (32,), bias=regions.BIAS), seeds=SEEDS
    )
    kernel, bias = (weight[0].astype(float) for weight in runs.weights[:2])
    rng = SEEDS.generator(10_000, "data")
    ends = rng.standard_normal((2, regions.LINES, regions.INPUTS))
    signs = ends @ kernel + bias > 0
    switches = (signs[0] != signs[1]).sum(axis=1)
    assert found.regions[0] == pytest.approx(1 + switches.mean())
    assert found.per_neuron[0] == pytest.approx(switches.mean() / 32)


def test_no_untrained_network_exceeds_the_bound():
    for variant in regions.STUDY.smoke:
        measured = regions.measure(variant, SEEDS).regions
        assert (measured <= regions.predict(variant).regions[0]).all()


def test_a_rate_of_nothing_leaves_the_regions_as_they_were(monkeypatch):
    monkeypatch.setattr(trained_regions, "STEPS", 5)
    variant = replace(trained_regions.STUDY.smoke[0], learning_rates=(1e-12, 0.1))
    found = trained_regions.measure(variant, SEEDS).set_index("learning_rate")
    still = found.loc[1e-12]
    assert still.regions_after.to_list() == still.regions_before.to_list()
    moved = found.loc[0.1]
    assert moved.regions_after.to_list() != moved.regions_before.to_list()
