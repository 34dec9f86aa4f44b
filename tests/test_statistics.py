"""Answers equal the textbook's, err as rarely as promised, and know their symmetry."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import multitest, proportion
from statsmodels.stats.weightstats import DescrStatsW

from dlclaims.claims import Region
from dlclaims.statistics import answers, intervals, multiplicity, power, rules
from dlclaims.statistics.answers import FAILS, HOLDS, UNDECIDED
from dlclaims.statistics.intervals import ALPHA, Bounds

CLOSE = {"rtol": 1e-12, "atol": 1e-12}
INTEGERS = st.lists(st.integers(-20, 20), min_size=6, max_size=12)
EDGES = st.integers(-20, 20)
PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=30)


def regions():
    two = st.tuples(EDGES, EDGES).map(sorted).map(lambda edges: Region(*edges))
    return st.one_of(EDGES.map(Region.above), EDGES.map(Region.below), two)


def draw(*shape, seed=0, centre=0.0):
    return np.random.default_rng(seed).normal(centre, 1.0, shape)


def paired_rates(a, b, c, d):
    """Two arms: both succeed `a` times, only the first `b`, only the second `c`."""
    first = [True] * (a + b) + [False] * (c + d)
    second = [True] * a + [False] * b + [True] * c + [False] * d
    return np.array(first), np.array(second)


# Several tests at once.

PS = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(p=PS)
def test_holm_equals_statsmodels(p):
    expected = multitest.multipletests(p, method="holm")[1]
    np.testing.assert_allclose(multiplicity.holm(p), expected, **CLOSE)


@given(p=PS)
def test_benjamini_hochberg_equals_statsmodels(p):
    expected = multitest.multipletests(p, method="fdr_bh")[1]
    np.testing.assert_allclose(multiplicity.benjamini_hochberg(p), expected, **CLOSE)


def test_holm_of_a_textbook_example():
    found = multiplicity.holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(found, [0.03, 0.06, 0.06, 0.02], **CLOSE)


def test_no_tests_have_no_adjusted_p_values():
    assert len(multiplicity.holm([])) == 0
    assert len(multiplicity.benjamini_hochberg([])) == 0


# Student.


@pytest.mark.parametrize("n", [2, 3, 8, 16, 30])
def test_student_equals_scipy(n):
    values = draw(n, seed=n, centre=0.3)
    found = intervals.student(values)
    by_t = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    by_test = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(found, by_t, **CLOSE)
    np.testing.assert_allclose(found, by_test, **CLOSE)


@pytest.mark.parametrize("n", [2, 3, 8, 16, 30])
@pytest.mark.parametrize("edge", [-1.0, 0.0, 0.4, 2.0])
def test_student_p_equals_scipy(n, edge):
    values = draw(n, seed=n, centre=0.3)
    expected = stats.ttest_1samp(values, edge, alternative="greater").pvalue
    np.testing.assert_allclose(intervals.student_p(values, edge), expected, **CLOSE)


def test_many_claims_at_once_equal_one_by_one():
    values = draw(20, 9, seed=1, centre=0.5)
    region = Region(-0.2, 1.0)
    rows = [intervals.student(row) for row in values]
    np.testing.assert_allclose(intervals.student(values), np.transpose(rows), **CLOSE)
    for test in (intervals.student_p, intervals.sign_flip_p):
        one_by_one = [test(row, 0.1) for row in values]
        np.testing.assert_allclose(test(values, 0.1), one_by_one, **CLOSE)
    one_by_one = [answers.paired(row, region) for row in values]
    np.testing.assert_array_equal(answers.paired(values, region), one_by_one)
    cube = values.reshape(4, 5, 9)
    assert answers.paired(cube, region).shape == (4, 5)
    assert intervals.student(cube).low.shape == (4, 5)


def test_one_seed_says_nothing():
    assert intervals.student([3.0]) == (-math.inf, math.inf)
    assert intervals.student_p([3.0], 0.0) == 1
    assert answers.paired([3.0], Region.above(0.0)) == UNDECIDED


def test_student_p_without_spread_is_zero_half_or_one():
    found = [float(intervals.student_p([2.0] * 4, edge)) for edge in (1.0, 2.0, 3.0)]
    assert found == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("seed", range(5))
def test_inside_a_two_sided_region_is_the_two_one_sided_tests(seed):
    values, region = draw(10, seed=seed, centre=0.1), Region(-0.6, 0.9)
    expected, (_, below, _), (_, above, _) = DescrStatsW(values).ttost_mean(-0.6, 0.9)
    found = answers.student_sides(values, region)
    np.testing.assert_allclose(found.holds, expected, **CLOSE)
    assert expected == max(below, above)
    outside = min(1 - below, 1 - above)
    np.testing.assert_allclose(found.fails, outside, **CLOSE)


@pytest.mark.parametrize("region", [Region.above(0.2), Region.below(0.2)])
def test_a_one_sided_region_has_the_one_sided_tests(region):
    values = draw(10, seed=3)
    greater, less = (
        stats.ttest_1samp(values, 0.2, alternative=side).pvalue
        for side in ("greater", "less")
    )
    expected = (greater, less) if math.isfinite(region.low) else (less, greater)
    np.testing.assert_allclose(answers.student_sides(values, region), expected, **CLOSE)


@given(values=INTEGERS, region=regions())
def test_the_t_test_and_the_t_interval_agree(values, region):
    found = answers.student_sides(values, region)
    if np.ptp(values) and abs(found.holds - ALPHA) > 1e-9 < abs(found.fails - ALPHA):
        place = answers.place(intervals.student(values), region)
        assert (found.holds < ALPHA) == (place == HOLDS)
        assert (found.fails < ALPHA) == (place == FAILS)


# Sign flips.


def enumerated(values, edge):
    above = [value - edge for value in values]
    flips = itertools.product((1, -1), repeat=len(above))
    sums = [sum(s * v for s, v in zip(f, above, strict=True)) for f in flips]
    return sum(s >= sum(above) for s in sums) / 2 ** len(above)


@given(values=st.lists(st.integers(-4, 4), min_size=1, max_size=10), edge=EDGES)
def test_sign_flips_equal_enumeration_with_ties_and_zeros(values, edge):
    assert intervals.sign_flip_p(values, edge) == enumerated(values, edge)


@pytest.mark.parametrize("n", range(1, 11))
def test_sign_flips_equal_enumeration_of_real_numbers(n):
    values = draw(n, seed=n, centre=0.4)
    assert intervals.sign_flip_p(values, 0.0) == enumerated(values, 0.0)


def test_sign_flips_count_sums_that_differ_by_rounding_as_equal():
    tenths = [0.1, 0.2, -0.3, 0.6, -0.1, 0.7, 0.3, -0.2]
    assert intervals.sign_flip_p(tenths, 0.0) == enumerated(
        [round(10 * value) for value in tenths], 0
    )


@pytest.mark.parametrize("n", [1, 2, 5, 6, 16, 30])
def test_values_all_above_the_edge_leave_one_assignment(n):
    values = 0.5 + np.abs(draw(n, seed=n))
    assert intervals.sign_flip_p(values, 0.5 - 1e-3) == 2.0**-n
    assert intervals.sign_flip_p(-values, 0.0) == 1


@given(values=st.lists(st.integers(-9, 9), min_size=25, max_size=30))
@settings(max_examples=10)
def test_thirty_seeds_are_flipped_exactly(values):
    # Of whole numbers the sums can be counted, one seed after the other.
    counts = Counter({0: 1})
    for value in values:
        counts = sum(
            (Counter({t + s: w for t, w in counts.items()}) for s in (-value, value)),
            Counter(),
        )
    ways = sum(w for total, w in counts.items() if total >= sum(values))
    assert intervals.sign_flip_p(values, 0.0) == ways / 2 ** len(values)


def test_values_on_the_edge_say_nothing():
    assert intervals.sign_flip_p([0.5] * 8, 0.5) == 1


@given(values=INTEGERS, edge=EDGES)
def test_both_sign_flip_sides_overlap_in_the_ties(values, edge):
    found = answers.sign_flip_sides(values, Region.above(edge))
    assert found.holds + found.fails >= 1


def test_five_seeds_are_too_few_for_an_answer_and_six_are_enough():
    five = np.array([9.0, 9.1, 9.2, 9.3, 9.4])
    assert answers.paired(five, Region.above(0.0)) == UNDECIDED
    assert answers.paired([*five, 9.5], Region.above(0.0)) == HOLDS
    assert answers.paired([*five, 9.5], Region.below(0.0)) == FAILS


# Rates.


@pytest.mark.parametrize("n", [1, 2, 7, 16, 30])
def test_intervals_of_rates_equal_statsmodels(n):
    for k in range(n + 1):
        exact = proportion.proportion_confint(k, n, method="beta")
        np.testing.assert_allclose(intervals.clopper_pearson(k, n), exact, **CLOSE)
        score = proportion.proportion_confint(k, n, method="wilson")
        np.testing.assert_allclose(intervals.wilson(k, n), score, **CLOSE)


@pytest.mark.parametrize("n", [1, 7, 16])
@pytest.mark.parametrize("edge", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_rate_test_equals_scipy(n, edge):
    for k in range(n + 1):
        expected = stats.binomtest(k, n, edge, alternative="greater").pvalue
        assert intervals.rate_p(k, n, edge) == pytest.approx(expected, abs=1e-12)
        if edge in (0.0, 1.0):
            continue
        sides = answers.rate_sides(k, n, Region.above(edge))
        less = stats.binomtest(k, n, edge, alternative="less").pvalue
        np.testing.assert_allclose(sides, (expected, less), **CLOSE)
        other = answers.rate_sides(k, n, Region.below(edge))
        np.testing.assert_allclose(other, (less, expected), **CLOSE)


@given(n=st.integers(1, 30), data=st.data())
def test_the_exact_interval_of_a_rate_inverts_the_exact_test(n, data):
    k = data.draw(st.integers(1, n))
    low = intervals.clopper_pearson(k, n).low
    assert intervals.rate_p(k, n, low) == pytest.approx(ALPHA, abs=1e-9)


@pytest.mark.parametrize("table", [(4, 4, 4, 4), (2, 4, 3, 6), (8, 4, 4, 2)])
def test_newcombe_of_uncorrelated_rates_equals_statsmodels(table):
    first, second = paired_rates(*table)
    n = sum(table)
    expected = proportion.confint_proportions_2indep(
        first.sum(), n, second.sum(), n, method="newcomb", compare="diff"
    )
    np.testing.assert_allclose(intervals.newcombe(first, second), expected, **CLOSE)


def test_newcombe_of_opposite_rates_takes_both_worst_ends():
    first, second = paired_rates(0, 11, 5, 0)
    (low_p, high_p), (low_q, high_q) = intervals.wilson(11, 16), intervals.wilson(5, 16)
    expected = (low_p - high_q, high_p - low_q)
    np.testing.assert_allclose(intervals.newcombe(first, second), expected, **CLOSE)


def test_newcombe_of_equal_arms_corrects_their_correlation_for_continuity():
    first, second = paired_rates(8, 0, 0, 8)
    half = math.sqrt(2 * (1 - (64 - 8) / 64)) * (0.5 - intervals.wilson(8, 16)[0])
    np.testing.assert_allclose(
        intervals.newcombe(first, second), (-half, half), **CLOSE
    )


def test_newcombe_of_a_published_table():
    # Cavo et al. 2012 in Fagerland, Lydersen & Laake 2017, Statistical Analysis of
    # Contingency Tables, ch. 8, as printed by their R package contingencytables.
    found = intervals.newcombe(*paired_rates(59, 6, 16, 80))
    assert [round(end, 4) for end in found] == [-0.1186, -0.0046]


@given(pairs=PAIRS)
def test_newcombe_is_antisymmetric_and_inside_minus_one_and_one(pairs):
    first, second = np.transpose(pairs)
    found, other = intervals.newcombe(first, second), intervals.newcombe(second, first)
    np.testing.assert_allclose(found, (-other.high, -other.low), **CLOSE)
    difference = first.mean() - second.mean()
    assert -1 - 1e-12 <= found.low <= difference + 1e-12
    assert difference - 1e-12 <= found.high <= 1 + 1e-12


@pytest.mark.parametrize(
    "table", [(4, 4, 4, 4), (5, 9, 1, 1), (1, 2, 8, 5), (10, 3, 1, 6), (0, 12, 4, 0)]
)
def test_the_test_of_a_rate_difference_inverts_newcombe(table):
    arms = paired_rates(*table)
    low, high = intervals.newcombe(*arms)
    assert intervals.newcombe_p(*arms, low) == pytest.approx(ALPHA, abs=1e-6)
    above = answers.rate_difference_sides(*arms, Region.above(low))
    assert above.holds == pytest.approx(ALPHA, abs=1e-6)
    below = answers.rate_difference_sides(*arms, Region.below(high))
    assert below.holds == pytest.approx(ALPHA, abs=1e-6)
    outside = answers.rate_difference_sides(*arms, Region.above(high))
    assert outside.fails == pytest.approx(ALPHA, abs=1e-6)
    assert intervals.newcombe_p(*arms, -1.5) < 1e-11
    assert intervals.newcombe_p(*arms, 1.5) == 1


def test_improvement_counts_ties_half_and_bounds_them_both_ways():
    found = intervals.improvement([3, 2, 1, 5, 4, 0, 7, 8], [1, 2, 2, 1, 4, 1, 0, 0])
    assert found["value"] == (4 + 2 / 2) / 8
    low, high = (stats.binomtest(k, 8).proportion_ci(0.95) for k in (4, 6))
    assert found["low"] == pytest.approx(low.low, abs=1e-9)
    assert found["high"] == pytest.approx(high.high, abs=1e-9)


def test_improvement_of_equal_arms_is_a_half_and_unknown():
    assert intervals.improvement([1, 2], [1, 2]) == {"value": 0.5, "low": 0, "high": 1}


# Answers.


@pytest.mark.parametrize(
    ("bounds", "answer"),
    [
        ((1.2, 1.8), HOLDS),
        ((1.0, 2.0), HOLDS),
        ((1.0, 1.0), HOLDS),
        ((2.0, 2.0), HOLDS),
        ((0.9, 1.5), UNDECIDED),
        ((1.5, 2.1), UNDECIDED),
        ((0.9, 2.1), UNDECIDED),
        ((0.0, 1.0), UNDECIDED),
        ((2.0, 3.0), UNDECIDED),
        ((-math.inf, math.inf), UNDECIDED),
        ((0.0, 0.9), FAILS),
        ((2.1, 3.0), FAILS),
    ],
)
def test_an_interval_lies_inside_outside_or_across_closed_edges(bounds, answer):
    assert answers.place(Bounds(*bounds), Region(1.0, 2.0)) == answer


@pytest.mark.parametrize(
    ("bounds", "above", "below"),
    [
        ((1.0, 9.0), HOLDS, UNDECIDED),
        ((1.1, 9.0), HOLDS, FAILS),
        ((0.9, 1.1), UNDECIDED, UNDECIDED),
        ((-9.0, 1.0), UNDECIDED, HOLDS),
        ((-9.0, 0.9), FAILS, HOLDS),
    ],
)
def test_a_one_sided_region_has_one_edge(bounds, above, below):
    assert answers.place(Bounds(*bounds), Region.above(1.0)) == above
    assert answers.place(Bounds(*bounds), Region.below(1.0)) == below


def test_an_exact_deviation_fails_only_clearly_beyond_its_tolerance():
    region, step = Region.below(0.5), 1e-9
    found = [answers.exact(d, region) for d in (0.0, 0.5, 0.5 + step, 50.0, 50 + step)]
    assert found == [HOLDS, HOLDS, UNDECIDED, UNDECIDED, FAILS]


@pytest.mark.parametrize("value", [0.1, 0.25, 0.3, -0.7])
@pytest.mark.parametrize("n", [2, 3, 6, 7, 16])
def test_values_without_spread_are_a_point(value, n):
    values = [value] * n
    assert intervals.student(values) == (value, value)
    # Few are an exact number in a closed region; many are a sample on its edge.
    on_the_edge = HOLDS if n < answers.FEWEST else UNDECIDED
    assert answers.paired(values, Region.above(value)) == on_the_edge
    assert answers.paired(values, Region.below(value)) == on_the_edge
    assert answers.paired(values, Region.above(value + 0.01)) == FAILS
    assert answers.paired(values, Region.below(value - 0.01)) == FAILS


@pytest.mark.parametrize("n", [3, 16])
def test_rounding_moves_no_point_over_an_edge(n):
    on_the_edge = HOLDS if n < answers.FEWEST else UNDECIDED
    difference = np.full(n, 0.9) - np.full(n, 0.8)  # 0.1 less its last digit
    assert answers.paired(difference, Region.above(0.1)) == on_the_edge
    assert answers.paired(-difference, Region.below(-0.1)) == on_the_edge
    ways = np.resize([0.3 - 0.2, 0.2 - 0.1, 0.9 - 0.8], n)  # apart in the last digit
    low, high = intervals.student(ways)
    assert low == high
    assert answers.paired(ways, Region.above(0.05)) == HOLDS


def test_an_arm_that_equals_the_other_is_neither_better_nor_worse():
    tested = answers.paired_tests(np.zeros(16), Region.above(0.0))
    assert tested.found == UNDECIDED
    assert tested.sides == (1.0, 1.0)


def test_an_exact_number_has_no_error_rate():
    tested = answers.paired_tests(np.full((2, 3), [[1.0], [0.0]]), Region.above(0.5))
    assert tested.found.tolist() == [HOLDS, FAILS]
    assert np.isnan(tested.sides).all()
    assert rules.verdicts(tested.found, tested.sides) == rules.CONDITIONAL


def test_the_sign_flip_test_can_overrule_the_interval():
    values = [1.0, 1.1, 0.9, 1.0, 1.05]  # far from 0, but 2**-5 > 2.5 %
    assert answers.place(intervals.student(values), Region.above(0.0)) == HOLDS
    assert answers.paired(values, Region.above(0.0)) == UNDECIDED


@given(values=INTEGERS, region=regions())
def test_both_tests_together_have_the_larger_p(values, region):
    found = answers.paired_tests(values, region)
    for together, t, flips in zip(found.sides, found.t, found.flips, strict=True):
        assert together == max(t, flips)


@given(values=INTEGERS, region=regions(), data=st.data())
def test_the_order_of_seeds_changes_nothing(values, region, data):
    shuffled = data.draw(st.permutations(values))
    assert answers.paired(shuffled, region) == answers.paired(values, region)
    for sides in (answers.student_sides, answers.sign_flip_sides):
        found, expected = sides(shuffled, region), sides(values, region)
        np.testing.assert_allclose(found, expected, **CLOSE)


@given(values=INTEGERS, region=regions(), shift=st.integers(-8, 8))
def test_shifting_values_and_region_together_changes_nothing(values, region, shift):
    moved = Region(region.low + shift, region.high + shift)
    found = answers.paired(np.add(values, shift), moved)
    assert found == answers.paired(values, region)


@given(values=INTEGERS, edge=EDGES, shift=st.integers(0, 20))
def test_moving_into_a_one_sided_region_never_lowers_the_answer(values, edge, shift):
    before = answers.paired(values, Region.above(edge))
    assert answers.paired(np.add(values, shift), Region.above(edge)) >= before
    before = answers.paired(values, Region.below(edge))
    assert answers.paired(np.subtract(values, shift), Region.below(edge)) >= before


@given(values=INTEGERS, region=regions())
def test_negating_values_and_region_leaves_the_answer(values, region):
    mirrored = Region(-region.high, -region.low)
    found = answers.paired(np.negative(values), mirrored)
    assert found == answers.paired(values, region)


@given(values=INTEGERS, edge=EDGES, gap=st.sampled_from([0.5, 1.0, 2.0]))
def test_an_effect_is_never_above_and_below_at_once(values, edge, gap):
    above = answers.paired(values, Region.above(edge))
    below = answers.paired(values, Region.below(edge - gap))
    assert (above, below) != (HOLDS, HOLDS)
    assert above != HOLDS or below == FAILS or np.ptp(values) > 0


# Error rates and power, by simulation.

FAMILIES = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy tails": lambda rng, shape: rng.standard_t(3, size=shape),
    "ties": lambda rng, shape: np.round(2 * rng.normal(size=shape)) / 2,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_at_an_edge_at_most_one_answer_in_forty_is_wrong(family):
    claims = 2_000
    values = FAMILIES[family](np.random.default_rng(7), (claims, 16))
    found = answers.paired(values, Region.above(0.0))
    limit = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / claims)
    assert (found == HOLDS).mean() <= limit
    assert (found == FAILS).mean() <= limit
    assert (found != UNDECIDED).any()


def test_student_intervals_cover_the_truth_nineteen_times_in_twenty():
    low, high = intervals.student(draw(20_000, 8, seed=8, centre=3.0))
    assert 0.94 <= ((low <= 3) & (high >= 3)).mean() <= 0.965


@pytest.mark.parametrize(("n", "least", "most"), [(16, 0.85, 1.0), (8, 0.2, 0.45)])
def test_three_conditions_hold_together_as_often_as_planned(n, least, most):
    values = draw(1_000, 3, n, seed=n, centre=1.5)
    holds = answers.paired(values, Region.above(0.5)) == HOLDS
    assert least <= holds.all(axis=1).mean() <= most


def test_more_spread_needs_more_seeds():
    region = Region.above(0.0)
    needed = [power.seeds_to_decide(1.0, s, region) for s in np.linspace(0.1, 30, 200)]
    assert None not in needed
    assert needed == sorted(needed)


def test_on_an_edge_no_number_of_seeds_decides():
    assert power.seeds_to_decide(0.5, 1.0, Region.above(0.5)) is None
    assert power.seeds_to_decide(2.0, 1.0, Region(0.0, 2.0)) is None
    assert power.seeds_to_decide(1e-4, 1.0, Region.above(0.0)) is None
    assert power.seeds_to_decide(1e-300, 1.0, Region.above(0.0)) is None


@pytest.mark.parametrize("spread", [0.01, 0.1, 1.0, 1.3, 2.5])
@pytest.mark.parametrize("region", [Region.above(0.0), Region.below(2.0)])
def test_no_number_of_seeds_is_promised_that_cannot_decide(spread, region):
    n = power.seeds_to_decide(1.0, spread, region)
    assert n is not None
    assert n >= 6


@pytest.mark.parametrize(
    ("effect", "region"),
    [(1.0, Region.above(0.0)), (0.8, Region.above(0.0)), (0.2, Region.above(1.0))],
)
def test_the_promised_seeds_decide_four_times_in_five(effect, region):
    n = power.seeds_to_decide(effect, 1.0, region)
    assert n is not None
    assert n < 25
    found = answers.paired(draw(1_000, n, seed=4, centre=effect), region)
    right = HOLDS if effect > region.low else FAILS
    assert 0.7 <= (found == right).mean() <= 0.9


@pytest.mark.parametrize("spread", [2.0, 5.0, 20.0])
def test_the_promised_seeds_have_the_power_of_the_t_test(spread):
    n = power.seeds_to_decide(1.0, spread, Region.above(0.0))
    assert n is not None
    quantile = stats.t.ppf(1 - ALPHA, n - 1)
    chance = stats.nct.sf(quantile, n - 1, math.sqrt(n) / spread)
    assert chance == pytest.approx(power.POWER, abs=0.02)


def test_equivalence_needs_both_edges_to_be_cleared():
    region = Region.around(0.0, 0.5)
    n = power.seeds_to_decide(0.0, 1.0, region)
    assert n is not None
    low, high = intervals.student(draw(20_000, n, seed=6))
    found = answers.place(Bounds(low, high), region)
    assert (found == HOLDS).mean() == pytest.approx(power.POWER, abs=0.015)
    assert n > power.seeds_to_decide(0.0, 1.0, Region.above(-0.5))


@pytest.mark.parametrize(("n", "rate"), [(16, 1.0), (40, 0.95), (107, 0.9), (64, 0.5)])
def test_the_power_of_a_rate_adds_the_counts_that_decide(n, rate):
    exact = (proportion.proportion_confint(k, n, method="beta") for k in range(n + 1))
    decides = [
        low >= 0.8 if rate > 0.8 else high < 0.8 for low, high in map(tuple, exact)
    ]
    expected = stats.binom.pmf(range(n + 1), n, rate) @ np.array(decides)
    found = power.rate_chance(rate, Region.above(0.8), n)
    assert found == pytest.approx(expected, abs=1e-12)


def test_more_seeds_have_more_power():
    chances = [power.chance(0.2, 1.0, Region.above(0.0), n) for n in range(6, 300)]
    assert chances == sorted(chances)
    assert power.chance(0.2, 0.0, Region.above(0.0), 6) == 1
    assert power.chance(0.0, 0.0, Region.above(0.0), 6) == 0  # on the edge


def test_outside_a_region_only_the_nearer_edge_counts():
    beyond = power.seeds_to_decide(1.6, 1.0, Region(-1.0, 1.0))
    assert beyond == power.seeds_to_decide(1.6, 1.0, Region.below(1.0)) > power.FEWEST


@pytest.mark.parametrize("successes", [0, 3, 13, 16])
@pytest.mark.parametrize(
    ("region", "alone"),
    [
        (Region(-0.1, 0.3), Region.below(0.3)),
        (Region(0.0, 0.3), Region.below(0.3)),
        (Region(0.7, 1.0), Region.above(0.7)),
        (Region(0.7, 1.1), Region.above(0.7)),
    ],
)
def test_an_edge_that_no_rate_crosses_is_none(successes, region, alone):
    found = answers.rate_sides(successes, 16, region)
    assert found == answers.rate_sides(successes, 16, alone)


@pytest.mark.parametrize(
    ("region", "alone"),
    [(Region(0.2, 1.0), Region.above(0.2)), (Region(-1.0, 0.2), Region.below(0.2))],
)
@pytest.mark.parametrize("table", [(0, 16, 0, 0), (0, 0, 16, 0), (4, 7, 2, 3)])
def test_an_edge_that_no_difference_of_rates_crosses_is_none(region, alone, table):
    arms = paired_rates(*table)
    found = answers.rate_difference_sides(*arms, region)
    assert found == answers.rate_difference_sides(*arms, alone)


def test_only_all_or_no_successes_stand_on_the_last_edges():
    assert answers.rate_sides(16, 16, Region.above(1.0)) == (1, 1)
    assert answers.rate_sides(15, 16, Region.above(1.0)) == (1, 0)
    assert answers.rate_sides(0, 16, Region.below(0.0)) == (1, 1)
    assert answers.rate_sides(1, 16, Region.below(0.0)) == (1, 0)


@given(pairs=PAIRS, edges=st.tuples(st.integers(-9, 9), st.integers(-9, 9)))
def test_the_answer_for_rates_is_that_of_their_p_values(pairs, edges):
    one, two = np.transpose(pairs)
    n, successes = len(one), int(one.sum())
    low, high = sorted(edge / 10 for edge in edges)
    for region in (Region.above(low), Region.below(high), Region(low, high)):
        for sides, bounds in (
            (
                answers.rate_sides(successes, n, region),
                intervals.clopper_pearson(successes, n),
            ),
            (
                answers.rate_difference_sides(one, two, region),
                intervals.newcombe(one, two),
            ),
        ):
            place = answers.place(bounds, region)
            assert (sides.holds <= ALPHA) == (place == HOLDS)
            assert (sides.fails <= ALPHA) == (place == FAILS)


@given(counts=st.lists(st.integers(0, 12), min_size=4, max_size=4))
def test_newcombe_equals_the_law_of_cosines(counts):
    # Each end's distance is the third side of a triangle whose other two sides are the
    # distances of the rates' own ends, at an angle whose cosine is the correlation.
    a, b, c, d = counts
    n = sum(counts)
    if not n:
        return
    margins = [a + b, c + d, a + c, b + d]
    excess = a * d - b * c
    if a * d > b * c:
        excess = max(a * d - b * c - n / 2, 0)
    cosine = excess / math.prod(margins) ** 0.5 if all(margins) else 0.0
    angle = math.acos(np.clip(cosine, -1, 1))
    ends = [
        proportion.proportion_confint(k, n, method="wilson") for k in (a + b, a + c)
    ]
    (low_p, high_p), (low_q, high_q) = ends
    p, q = (a + b) / n, (a + c) / n

    def third(x, y):
        return abs(x - y * complex(math.cos(angle), math.sin(angle)))

    expected = (
        p - q - third(p - low_p, high_q - q),
        p - q + third(high_p - p, q - low_q),
    )
    found = intervals.newcombe(*paired_rates(a, b, c, d))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("width", "most"), [(0.0, 2 * ALPHA), (0.5, ALPHA)])
def test_a_region_narrower_than_the_standard_error_fails_at_most_twice_as_often(
    width, most
):
    claims = 4_000
    values = draw(claims, 8, seed=12)
    found = answers.paired(values + width, Region.around(0.0, width))
    assert (found == HOLDS).mean() <= ALPHA
    assert (found == FAILS).mean() <= most + 3 * math.sqrt(most * (1 - most) / claims)


@given(
    values=st.lists(st.floats(-1, 3), min_size=8, max_size=18),
    edge=st.sampled_from([0.0, 0.5]),
    steps=st.sampled_from([10, 30, intervals.GRID]),  # coarse: much is rounded
)
def test_sums_on_a_grid_give_no_smaller_p(values, edge, steps):
    above = intervals._above(values, edge)
    exact = intervals._sign_flip(above)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "GRID", steps)
        on_grid = intervals._sign_flip_on_grid(above)
    assert on_grid >= exact - 1e-12


def test_a_sum_on_a_grid_may_be_half_a_step_a_seed_too_small(monkeypatch):
    monkeypatch.setattr(intervals, "GRID", 25)  # 2.5 steps a seed, rounded to 2
    assert intervals._sign_flip_on_grid(np.ones(10)) == 2.0**-10


@pytest.mark.parametrize("seed", range(5))
def test_sums_on_a_grid_are_close_to_all_signs(seed):
    above = np.random.default_rng(seed).normal(0.3, 1, 24)
    exact = intervals._sign_flip(above)
    assert exact <= intervals._sign_flip_on_grid(above) <= 1.01 * exact


def test_sixty_four_seeds_have_a_sign_flip_test():
    values = np.random.default_rng(0).normal(0.2, 1, 64)
    z = values.sum() / np.sqrt((values**2).sum())
    assert intervals.sign_flip_p(values, 0.0) == pytest.approx(
        stats.norm.sf(z), rel=0.05
    )
    assert intervals.sign_flip_p(np.ones(64), 0.0) == pytest.approx(2.0**-64, rel=1e-9)
    assert intervals.sign_flip_p(np.zeros(64), 0.0) == 1.0


@pytest.mark.parametrize("n", [16, 64])
def test_a_value_that_is_none_has_no_p(n):
    assert np.isnan(intervals.sign_flip_p([1.0] * (n - 1) + [np.nan], 0.0))
