"""Verdicts from answers: the rules, their error rates and their symmetries."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import multitest

from dlclaims.claims import Region
from dlclaims.statistics import answers, intervals, multiplicity, rules
from dlclaims.statistics.answers import FAILS, HOLDS, UNDECIDED, Sides
from dlclaims.statistics.intervals import ALPHA
from dlclaims.statistics.rules import CONDITIONAL, INCONCLUSIVE, REFUTED, SUPPORTED

NAN = math.nan
CLEAR = 1e-9

ANSWERS = st.sampled_from((HOLDS, UNDECIDED, FAILS))


def sides(found, p=CLEAR):
    """Return p-values that agree with the answers: `p` on their side, else 1/2."""
    found = np.asarray(found)
    return Sides(np.where(found == HOLDS, p, 0.5), np.where(found == FAILS, p, 0.5))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_clear_answers_give_the_verdict_of_the_table(number):
    for found in itertools.product((HOLDS, UNDECIDED, FAILS), repeat=number):
        expected = INCONCLUSIVE
        if HOLDS in found and FAILS in found:
            expected = CONDITIONAL
        if set(found) == {HOLDS}:
            expected = SUPPORTED
        if set(found) == {FAILS}:
            expected = REFUTED
        assert rules.verdicts(np.array(found), sides(found)) == expected, found


@pytest.mark.parametrize(
    ("p", "verdict"), [(ALPHA / 3, CONDITIONAL), (1.01 * ALPHA / 3, INCONCLUSIVE)]
)
def test_a_condition_must_fail_after_holm_to_make_a_claim_conditional(p, verdict):
    found = np.array([HOLDS, HOLDS, FAILS])
    p_values = Sides(np.array([CLEAR, CLEAR, 0.5]), np.array([0.5, 0.5, p]))
    assert rules.verdicts(found, p_values) == verdict
    turned = Sides(p_values.fails, p_values.holds)
    assert rules.verdicts(-found, turned) == verdict


@pytest.mark.parametrize("answer", [HOLDS, FAILS])
def test_unanimous_conditions_need_no_correction(answer):
    found = np.full(3, answer)
    weak = sides(found, 0.9 * ALPHA)
    assert list(rules.after_holm(found, weak)) == [UNDECIDED] * 3
    assert rules.verdicts(found, weak) == (SUPPORTED if answer == HOLDS else REFUTED)


P = st.floats(0, 1)


@given(st.lists(st.tuples(ANSWERS, P, P, st.booleans()), min_size=1, max_size=6))
def test_answers_after_holm_equal_statsmodels_and_spare_exact_ones(conditions):
    found, holds, fails, is_exact = map(np.array, zip(*conditions, strict=True))
    given_p = Sides(np.where(is_exact, NAN, holds), np.where(is_exact, NAN, fails))
    expected = np.where(is_exact, found, UNDECIDED)
    for answer, p in ((HOLDS, holds), (FAILS, fails)):
        if not is_exact.all():
            adjusted = np.zeros(len(p))
            tests = multitest.multipletests(p[~is_exact], method="holm")[1]
            adjusted[~is_exact] = tests
            close = np.abs(adjusted - ALPHA) < 1e-12
            expected[(adjusted <= ALPHA) & (found == answer)] = answer
            if close.any():
                return
    np.testing.assert_array_equal(rules.after_holm(found, given_p), expected)


def test_holm_takes_many_families_at_once_and_leaves_gaps():
    p = np.array([[0.01, NAN, 0.03], [NAN, NAN, 0.2], [0.5, 0.01, 0.02], [NAN] * 3])
    expected = [[0.02, NAN, 0.03], [NAN, NAN, 0.2], [0.5, 0.03, 0.04], [NAN] * 3]
    np.testing.assert_allclose(multiplicity.holm(p), expected, rtol=1e-12)


def test_many_claims_at_once_equal_one_by_one():
    values = np.random.default_rng(3).normal(1.2, 0.6, (40, 3, 9))
    region = Region.above(0.5)
    found = rules.paired(values, region)
    assert list(found) == [rules.paired(one, region) for one in values]
    assert {SUPPORTED, INCONCLUSIVE} <= set(found)


# The p-value of an assertion.


@pytest.mark.parametrize(
    ("found", "holds", "fails", "verdict", "p"),
    [
        ((HOLDS, HOLDS), (0.01, 0.02), (0.9, 0.8), SUPPORTED, 0.02),
        ((FAILS, FAILS), (0.9, 0.8), (0.01, 0.02), REFUTED, 0.02),
        ((HOLDS, NAN), (0.01, NAN), (0.9, NAN), SUPPORTED, 1.0),
        ((HOLDS, FAILS), (0.001, 0.99), (0.99, 0.004), CONDITIONAL, 0.008),
        ((HOLDS, FAILS), (0.004, 0.99), (0.99, 0.001), CONDITIONAL, 0.008),
        ((UNDECIDED,), (0.1,), (0.9,), INCONCLUSIVE, 0.1),
        ((UNDECIDED,), (0.9,), (0.1,), INCONCLUSIVE, 0.1),
        ((UNDECIDED, HOLDS), (0.1, 0.01), (0.9, 0.7), INCONCLUSIVE, 0.1),
    ],
)
def test_the_headline_p(found, holds, fails, verdict, p):
    given_p = Sides(np.array(holds), np.array(fails))
    assert rules.headline_p(verdict, np.array(found), given_p) == pytest.approx(p)


def test_exact_conditions_have_no_p_of_their_own():
    none = Sides(np.array([NAN, NAN]), np.array([NAN, NAN]))
    both = np.array([HOLDS, HOLDS])
    assert rules.headline_p(SUPPORTED, both, none) is None
    one = Sides(np.array([NAN, 0.01]), np.array([NAN, 0.9]))
    assert rules.headline_p(SUPPORTED, both, one) == 0.01
    mixed = Sides(np.array([NAN, 0.99]), np.array([NAN, 0.01]))
    found = np.array([HOLDS, FAILS])
    assert rules.headline_p(CONDITIONAL, found, mixed) == 0.01
    assert rules.headline_p(INCONCLUSIVE, found, mixed) == 0.99


# Error rates, by simulation: through the code that judges a single claim.

CLAIMS = 2_000
FAMILIES = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "t with 3 degrees of freedom": lambda rng, shape: rng.standard_t(3, size=shape),
    "ties": lambda rng, shape: np.round(2 * rng.normal(size=shape)) / 2,
    "log-normal as log-ratio": lambda rng, shape: np.log(rng.lognormal(size=shape)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_at_the_edge_a_claim_is_wrongly_decided_as_rarely_as_promised(family):
    # One of three conditions lies on the edge, the others far inside or far outside:
    # the worst case of the intersection-union rule.
    noise = FAMILIES[family](np.random.default_rng(11), (CLAIMS, 3, 16))
    limit = ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / CLAIMS)
    away = np.array([[9.0], [9.0], [0.0]])
    inside = rules.paired(noise + away, Region.above(0.0))
    assert (inside == SUPPORTED).mean() <= limit
    assert (inside == CONDITIONAL).mean() <= limit
    assert not (inside == REFUTED).any()
    outside = rules.paired(noise - away, Region.above(0.0))
    assert (outside == REFUTED).mean() <= limit
    assert (outside == CONDITIONAL).mean() <= limit
    assert not (outside == SUPPORTED).any()


@pytest.mark.parametrize(
    ("seeds", "least"), [(8, 0.22), (10, 0.45), (16, 0.85), (20, 0.94)]
)
def test_power_of_three_conditions(seeds, least):
    # The t test alone: 31, 53, 89 and 97 %. That signs must agree costs few seeds some.
    noise = np.random.default_rng(seeds).normal(1.5, 1.0, (CLAIMS, 3, seeds))
    inside = answers.place(intervals.student(noise), Region.above(0.5)) == HOLDS
    quantile = stats.t.isf(ALPHA, seeds - 1)
    expected = stats.nct.sf(quantile, seeds - 1, math.sqrt(seeds)) ** 3
    by_t = inside.all(axis=1).mean()
    error = math.sqrt(expected * (1 - expected) / CLAIMS)
    assert abs(by_t - expected) <= 3 * error
    found = rules.paired(noise, Region.above(0.5))
    assert least <= (found == SUPPORTED).mean() <= by_t


@pytest.mark.parametrize(
    ("effects", "verdict"),
    [
        ((2.0, 2.0, 2.0), SUPPORTED),
        ((-2.0, -2.0, -2.0), REFUTED),
        ((2.0, -2.0, 2.0), CONDITIONAL),
    ],
)
def test_planted_truths_are_found(effects, verdict):
    noise = np.random.default_rng(5).normal(0, 0.5, (200, 3, 16))
    found = rules.paired(noise + np.array(effects)[:, None], Region.above(0.5))
    assert (found == verdict).mean() > 0.99


# Symmetries.

CLAIM = st.lists(
    st.lists(st.integers(-6, 6), min_size=8, max_size=8), min_size=1, max_size=3
).map(lambda rows: np.array(rows, float))
EDGE = st.integers(-4, 4).map(lambda whole: whole + 0.5)


@given(values=CLAIM, edge=EDGE)
def test_reversing_the_direction_swaps_supported_and_refuted(values, edge):
    above = rules.paired(values, Region.above(edge))
    below = rules.paired(values, Region.below(edge))
    swapped = {SUPPORTED: REFUTED, REFUTED: SUPPORTED}
    assert below == swapped.get(int(above), above)


@given(values=CLAIM, edge=EDGE, shift=st.integers(0, 12), data=st.data())
def test_evidence_in_favour_never_refutes_and_never_costs_support(
    values, edge, shift, data
):
    region = Region.above(edge)
    before = rules.paired(values, region)
    more = values.copy()
    more[data.draw(st.integers(0, len(values) - 1))] += shift
    after = rules.paired(more, region)
    assert before != SUPPORTED or after == SUPPORTED
    assert after != REFUTED or before == REFUTED


@given(values=CLAIM, edge=EDGE, data=st.data())
def test_the_order_of_seeds_and_of_conditions_changes_nothing(values, edge, data):
    region = Region.above(edge)
    seeds = data.draw(st.permutations(range(values.shape[1])))
    conditions = data.draw(st.permutations(range(len(values))))
    shuffled = values[conditions][:, seeds]
    assert rules.paired(shuffled, region) == rules.paired(values, region)
