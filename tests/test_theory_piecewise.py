"""Closed forms of folded tents and regions against values that are counted by hand."""

import itertools

import numpy as np
import pytest

from dlclaims.theory import piecewise


def test_the_tent_is_a_tent_and_its_folds_are_itself_applied_again():
    assert piecewise.tent([0, 0.25, 0.5, 0.75, 1], 1).tolist() == [0, 0.5, 1, 0.5, 0]
    x = np.linspace(0, 1, 101)
    again = x
    for folds in range(1, 6):
        again = np.minimum(2 * again, 2 - 2 * again)
        assert piecewise.tent(x, folds) == pytest.approx(again, abs=1e-12)


@pytest.mark.parametrize("folds", [1, 2, 5])
def test_at_its_extrema_the_tent_is_zero_and_one_in_turn(folds):
    found = piecewise.tent(piecewise.extrema(folds), folds)
    assert found.tolist() == [0, *[1, 0] * 2 ** (folds - 1)]


@pytest.mark.parametrize(("layers", "folds"), [(1, 1), (3, 3), (8, 8), (6, 1), (6, 4)])
def test_the_constructed_weights_are_the_tent(layers, folds):
    weights = piecewise.tent_weights(layers, folds)
    x = piecewise.extrema(10)
    h = x[:, None]
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        h = np.maximum(h @ kernel + bias, 0)
    assert (h @ weights[-2])[:, 0].tolist() == piecewise.tent(x, folds).tolist()
    assert piecewise.pieces(weights, np.zeros(1), np.ones(1)) == 2**folds
    if layers == folds:
        assert sum(w.size for w in weights) == piecewise.deep_parameters(folds)


def test_weights_of_both_kinds_are_as_counted_by_hand():
    folds = (2, 4, 6, 8)
    assert [piecewise.deep_parameters(k) for k in folds] == [13, 25, 37, 49]
    bound = [piecewise.shallow_parameters(piecewise.fewest_units(k)) for k in folds]
    assert bound == [10, 46, 190, 766]
    exact = [piecewise.shallow_parameters(piecewise.exact_units(k)) for k in (1, 2)]
    assert exact == [piecewise.deep_parameters(k) for k in (1, 2)]


def test_breakpoints_of_one_layer_are_where_its_units_are_zero():
    kernel, bias = np.array([[1.0, 2.0, -1.0]]), np.array([-0.25, -1.8, 3.0])
    weights = [kernel, bias, np.ones((3, 1)), np.zeros(1)]
    found = piecewise.breakpoints(weights, np.zeros(1), np.ones(1))
    assert found == pytest.approx([0.25, 0.9])  # the third, at 3, lies outside
    half = piecewise.breakpoints(weights, np.zeros(1), np.full(1, 0.5))
    assert half == pytest.approx([0.5])


def test_a_unit_may_switch_again_on_every_region_of_the_layer_before():
    first = [np.array([[1.0, -1.0]]), np.array([-0.5, 0.5])]  # |x - 1/2| in two parts
    second = [np.ones((2, 1)), np.array([-0.25])]
    weights = [*first, *second, np.ones((1, 1)), np.zeros(1)]
    found = piecewise.breakpoints(weights, np.zeros(1), np.ones(1))
    assert found == pytest.approx([0.25, 0.5, 0.75])
    # Between 1/4 and 3/4 the output is 0: the bend at 1/2 does not reach it.
    assert piecewise.pieces(weights, np.zeros(1), np.ones(1)) == 3


def test_breakpoints_are_those_that_a_fine_grid_sees_and_obey_the_bound():
    rng = np.random.default_rng(0)
    widths = (6, 5, 4)
    sizes = (3, *widths, 1)
    weights = []
    for a, b in itertools.pairwise(sizes):
        weights += [rng.normal(size=(a, b)), rng.normal(size=b)]
    start, end = rng.normal(size=(2, 3))
    x = np.linspace(0, 1, 20_001)
    h, signs = start + x[:, None] * (end - start), []
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        z = h @ kernel + bias
        signs.append(z > 0)
        h = np.maximum(z, 0)
    switches = np.any(np.diff(np.hstack(signs), axis=0), axis=1)
    found = piecewise.breakpoints(weights, start, end)
    seen = x[1:][switches]
    assert len(found) == len(seen) > 3
    assert found == pytest.approx(seen, abs=1e-4)
    assert piecewise.most_regions(widths) == 7 * 6 * 5 > len(found)
