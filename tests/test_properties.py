"""What verdicts must not depend on, and what must turn them: whole pages, judged."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_verdicts import LEVELS, SEEDS, criterion, judge, page, tables

from dlclaims import data, plan, verdicts
from dlclaims.claims import (
    Assertion,
    Claim,
    Deviation,
    Difference,
    Gap,
    LogRatio,
    Mean,
    Rate,
    RateDifference,
    Region,
    Trend,
    Value,
)
from dlclaims.errors import PageError
from dlclaims.pages import grid
from dlclaims.plan import PROFILES
from dlclaims.statistics import rules
from dlclaims.statistics.answers import Sides

#: A page is judged in 20 ms.
FEW = settings(max_examples=25)

SCORE = Value("score")
ARMS = (("a", "b"), ("b", "c"), ("a", "c"))
SWAPPED = {"supported": "refuted", "refuted": "supported"}

#: Eighths, so that sums and differences are exact and ties are met.
EIGHTHS = st.integers(-24, 24).map(lambda whole: whole / 8)
SAMPLE = st.lists(EIGHTHS, min_size=SEEDS, max_size=SEEDS).map(np.array)
CENTRE = st.integers(-8, 8).map(lambda whole: whole / 2)


@st.composite
def samples(draw):
    """Scores of all arms: around different centres, so that all verdicts are met."""
    return {level: draw(CENTRE) + draw(SAMPLE) / 2 for level in LEVELS}


def regions(edges=EIGHTHS):
    two = st.tuples(edges, edges).map(sorted).map(lambda pair: Region(*pair))
    return st.one_of(edges.map(Region.above), edges.map(Region.below), two)


def compare(pairs, region, effect=Difference):
    """Criteria that compare arms, all with one region."""
    return [
        criterion(f"{one}-{two}", region, effect(SCORE, {"arm": one}, {"arm": two}))
        for one, two in pairs
    ]


def mirrored(region):
    return Region(-region.high, -region.low)


def verdict_of(criteria, values, **options):
    return judge(page(criteria), values, **options)["verdict"]


# Evidence in favour.

RANK = {"refuted": 0, "inconclusive": 1, "conditional": 1, "supported": 2}


@FEW
@given(values=samples(), edge=EIGHTHS, more=st.integers(0, 16), data=st.data())
def test_effects_that_move_into_the_region_never_lower_a_verdict(
    values, edge, more, data
):
    sign, moved = data.draw(st.sampled_from((1, -1))), data.draw(st.sampled_from("ac"))
    region = Region.above(edge) if sign > 0 else Region.below(edge)
    # Arm a is only ever the first of a pair, arm c only the second.
    push = sign * more / 8 * (1 if moved == "a" else -1)
    favoured = values | {moved: values[moved] + push}
    before, after = (
        verdict_of(compare(ARMS, region), given) for given in (values, favoured)
    )
    assert before != "supported" or after == "supported"
    assert after != "refuted" or before == "refuted"
    assert RANK[before] <= RANK[after]


@given(
    values=st.lists(SAMPLE, min_size=3, max_size=3).map(np.array),
    region=regions(),
    share=st.sampled_from((0.0, 0.25, 0.5, 0.75)),
)
def test_less_spread_around_effects_inside_the_region_never_costs_support(
    values, region, share
):
    middle = values.mean(axis=-1, keepdims=True)
    assume(((middle > region.low) & (middle < region.high)).all())
    before = rules.paired(values, region)
    after = rules.paired(middle + share * (values - middle), region)
    assert after in (before, rules.SUPPORTED)
    if share == 0:
        assert after == rules.SUPPORTED


@FEW
@given(
    won=st.lists(st.integers(0, 64), min_size=2, max_size=2),
    more=st.integers(0, 64),
    edge=st.sampled_from((0.3, 0.7)),
)
def test_more_successes_never_lower_a_verdict_on_rates(won, more, edge):
    criteria = [
        criterion(arm, Region.above(edge), Rate(SCORE, {"arm": arm})) for arm in "ab"
    ]
    own = page(criteria, ("success",), sampling="rate")

    def found(first):
        counts = {"a": first, "b": won[1]}
        values = {arm: (np.arange(64) < k).astype(float) for arm, k in counts.items()}
        return RANK[judge(own, values)["verdict"]]

    assert found(won[0]) <= found(min(won[0] + more, 64))


@FEW
@given(cells=st.lists(st.integers(0, 3), min_size=64, max_size=64), won=st.data())
def test_more_successes_of_the_first_arm_never_refute_what_was_supported(cells, won):
    first, second = np.array(cells) // 2, np.array(cells) % 2
    more = np.maximum(
        first, won.draw(st.lists(st.integers(0, 1), min_size=64, max_size=64))
    )
    own = page(
        compare([("a", "b")], Region.above(0.0), RateDifference),
        ("success",),
        sampling="rate",
    )
    before, after = (
        judge(own, {"a": one.astype(float), "b": second.astype(float)})["verdict"]
        for one in (first, more)
    )
    assert (before, after) != ("supported", "refuted")


# Directions.


@FEW
@given(values=samples(), edge=EIGHTHS)
def test_a_page_that_claims_the_opposite_gets_the_opposite_verdicts(values, edge):
    above = verdict_of(compare(ARMS, Region.above(edge)), values)
    below = verdict_of(compare(ARMS, Region.below(edge)), values)
    assert below == SWAPPED.get(above, above)


@FEW
@given(values=samples())
def test_a_page_that_swaps_its_arms_claims_the_opposite_of_a_direction(values):
    swapped = [(two, one) for one, two in ARMS]
    one_way = verdict_of(compare(ARMS, Region.above(0.0)), values)
    other = verdict_of(compare(swapped, Region.above(0.0)), values)
    assert other == SWAPPED.get(one_way, one_way)


@FEW
@given(
    values=samples(),
    region=regions(),
    effect=st.sampled_from((Difference, LogRatio, RateDifference)),
)
def test_swapping_the_arms_and_mirroring_the_regions_changes_nothing(
    values, region, effect
):
    if effect is LogRatio:
        values = {arm: np.exp(scores) for arm, scores in values.items()}
    if effect is RateDifference:
        values = {arm: (scores > 0).astype(float) for arm, scores in values.items()}
    swapped = [(two, one) for one, two in ARMS]
    there = judge(page(compare(ARMS, region, effect)), values)
    back = judge(page(compare(swapped, mirrored(region), effect)), values)
    for name in ("verdict", "label", "seeds_to_decide"):
        assert back[name] == there[name]
    assert back["p"] == pytest.approx(there["p"], rel=1e-9, abs=1e-12)
    for one, two in zip(there["criteria"], back["criteria"], strict=True):
        assert (one["answer"], one["p_holds"]) == (
            two["answer"],
            pytest.approx(two["p_holds"], rel=1e-9, abs=1e-12),
        )
        found = [two["value"], two["high"], two["low"]]
        assert np.negative(found) == pytest.approx(
            [one["value"], one["low"], one["high"]], rel=1e-12, abs=1e-12
        )
        odds = one["improvement"]["value"] + two["improvement"]["value"]
        assert odds == pytest.approx(1, abs=1e-12)


# What says nothing.


@FEW
@given(values=samples(), region=regions(), constant=EIGHTHS)
def test_a_constant_added_to_all_arms_changes_nothing(values, region, constant):
    criteria = compare(ARMS, region)
    shifted = {arm: scores + 1000 * constant for arm, scores in values.items()}
    assert judge(page(criteria), shifted) == judge(page(criteria), values)


@FEW
@given(values=samples(), region=regions(), power=st.integers(-8, 8))
def test_another_unit_changes_no_verdict(values, region, power):
    unit = 2.0**power
    scaled = {arm: unit * scores for arm, scores in values.items()}
    other = Region(unit * region.low, unit * region.high)
    found, expected = (
        judge(page(compare(ARMS, where)), given)
        for where, given in ((other, scaled), (region, values))
    )
    for name in ("verdict", "label", "p", "separated_by", "seeds_to_decide"):
        assert found[name] == expected[name]


def renamed(own, names):
    """A page whose arms have other names."""

    def arm(level):
        return {"arm": names[dict(level)["arm"]]}

    def moved(made):
        effect = replace(
            made.effect, where=arm(made.effect.where), minus=arm(made.effect.minus)
        )
        return replace(made, effect=effect)

    [study], [claim] = own.studies, own.claims
    levels = grid(arm=tuple(names.values()))
    study = replace(study, standard=levels, smoke=levels, quick=levels)
    document = replace(
        claim.document, criteria=tuple(map(moved, claim.document.criteria))
    )
    return replace(own, studies=(study,), claims=(replace(claim, document=document),))


@FEW
@given(values=samples(), region=regions(), order=st.permutations(("x", "y", "z")))
def test_the_names_and_the_order_of_variants_change_nothing(values, region, order):
    own, names = page(compare(ARMS, region)), dict(zip(LEVELS, order, strict=True))
    expected = judge(own, values)
    found = judge(
        renamed(own, names), {names[arm]: values[arm] for arm in reversed(LEVELS)}
    )
    for condition in (*found["criteria"], *expected["criteria"]):
        del condition["effect"]
    assert found == expected


@FEW
@given(values=samples(), region=regions(), random=st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(values, region, random):
    own = page(compare(ARMS, region))
    expected = judge(own, values)
    outcomes, variants = tables(own, values)
    order = list(range(len(outcomes)))
    random.shuffle(order)
    digest = plan.registration(own, PROFILES["standard"], data.DIGESTS)["digest"]
    found = verdicts.assess(
        own, PROFILES["standard"], outcomes.iloc[order], variants.iloc[::-1], digest
    )
    assert found["claims"]["x"]["document"] == expected


# Lost and doubled outcomes.


def lose(own, values, arm, seed, status):
    """Tables in which a replica has no score, and what is registered for this is -1."""
    scores = {level: scores.copy() for level, scores in values.items()}
    scores[arm][seed] = math.nan
    told = np.full((len(scores), SEEDS), "ok", dtype=object)
    told[list(scores).index(arm), seed] = status
    outcomes, variants = tables(own, scores, status=told.ravel())
    digest = plan.registration(own, PROFILES["standard"], data.DIGESTS)["digest"]
    found = verdicts.assess(own, PROFILES["standard"], outcomes, variants, digest)
    return found["claims"]["x"]["document"]


REPLICA = {"arm": st.sampled_from(LEVELS), "seed": st.integers(0, SEEDS - 1)}


@FEW
@given(values=samples(), region=regions(), **REPLICA)
def test_a_diverged_replica_is_judged_as_its_registered_score(
    values, region, arm, seed
):
    own = page(compare(ARMS, region))
    scored = {level: scores.copy() for level, scores in values.items()}
    scored[arm][seed] = -1.0
    assert lose(own, values, arm, seed, "diverged") == judge(own, scored)


@FEW
@given(values=samples(), region=regions(), **REPLICA)
def test_a_score_that_is_missing_without_a_reason_decides_nothing(
    values, region, arm, seed
):
    found = lose(page(compare(ARMS, region)), values, arm, seed, "ok")
    assert found["verdict"] == "inconclusive"
    told = "1 replica has no outcome and no registered score"
    assert told in found["reason"]
    for condition in found["criteria"]:
        is_touched = arm in condition["scope"].removeprefix("arm ").split("-")
        assert (condition["note"] == told) == is_touched
        assert (condition["value"] is None) == is_touched
        assert condition["answer"] == "undecided" or not is_touched


@FEW
@given(
    values=samples(),
    row=st.integers(0, len(LEVELS) * SEEDS - 1),
    copies=st.integers(1, 3),
)
def test_a_seed_that_stands_twice_in_any_arm_is_refused(values, row, copies):
    def double(outcomes, variants):
        for number in range(copies):
            outcomes.loc[len(outcomes) + number] = outcomes.loc[row]

    with pytest.raises(PageError, match="more than once"):
        judge(page(compare(ARMS, Region.above(0.0))), values, change=double)


# A variant against itself.


def twins(rng, claims):
    """The verdicts on claims that an arm is above, and below, a second one like it."""
    shared = rng.normal(0, 2.0, (claims, 1, SEEDS))  # of both arms: the seed's split
    scores = shared + rng.standard_normal((claims, 2, SEEDS))
    arms = [(f"{n}a", f"{n}b") for n in range(claims)]
    values = dict(zip(np.ravel(arms), scores.reshape(-1, SEEDS), strict=True))
    own = page(compare(ARMS, Region.above(0.0)))
    levels = grid(arm=tuple(map(str, values)))
    study = replace(own.studies[0], standard=levels, quick=levels, smoke=levels)
    both = [
        [
            Assertion("So.", tuple(compare([pair], region)), "refuted")
            for region in (Region.above(0.0), Region.below(0.0))
        ]
        for pair in arms
    ]
    made = tuple(Claim(str(n), ("difference",), *both[n]) for n in range(claims))
    own = replace(own, studies=(study,), claims=made)
    digest = plan.registration(own, PROFILES["standard"], data.DIGESTS)["digest"]
    found = verdicts.assess(own, PROFILES["standard"], *tables(own, values), digest)
    return [
        (claim["document"]["verdict"], claim["corrected"]["verdict"])
        for claim in found["claims"].values()
    ]


def test_a_variant_compared_with_itself_is_rarely_supported():
    rng = np.random.default_rng(20260101)
    found = [pair for _ in range(10) for pair in twins(rng, 20)]
    limit = 0.025 + 3 * math.sqrt(0.025 * 0.975 / len(found))
    above, below = zip(*found, strict=True)
    for given_verdicts in (above, below):
        assert set(given_verdicts) == {"supported", "refuted", "inconclusive"}
        assert given_verdicts.count("supported") / len(found) <= limit
        assert given_verdicts.count("refuted") / len(found) <= limit
    assert below == tuple(SWAPPED.get(verdict, verdict) for verdict in above)


# Planted truths, of every kind of effect.

ONES, MANY = np.ones(64), np.arange(64)
WAVE = np.resize([-0.1, 0.1], SEEDS)
LEVEL = {"a": 1.0, "b": 2.0, "c": 4.0}
SPREAD = {arm: level + WAVE * (level / 10) for arm, level in LEVEL.items()}
A, B = {"arm": "a"}, {"arm": "b"}


@pytest.mark.parametrize(
    ("effect", "true", "false"),
    [
        (Mean(SCORE, B), Region.around(2.0, 0.1), Region.below(1.9)),
        (Difference(SCORE, B, A), Region.around(1.0, 0.1), Region.above(1.1)),
        (LogRatio(SCORE, B, A), Region.around(math.log(2), 0.1), Region.below(0.5)),
        (Gap(SCORE, B), Region.around(0.0, 0.1), Region.above(0.1)),
    ],
)
def test_planted_effects_are_found_true_and_false(effect, true, false):
    for region, expected in ((true, "supported"), (false, "refuted")):
        own = page([criterion("a", region, effect)])
        found = judge(own, SPREAD, change=predict)
        assert found["verdict"] == expected


def predict(outcomes, variants):
    """Add what theory says about arm b: 2."""
    row = {"source": "theory", "study": "study", "variant": "b", "outcome": "score"}
    outcomes.loc[len(outcomes)] = pd.Series(row | {"value": 2.0})


@pytest.mark.parametrize(
    ("effect", "true", "false"),
    [
        (Rate(SCORE, A), Region.above(0.7), Region.below(0.3)),
        (RateDifference(SCORE, A, B), Region.above(0.5), Region.below(0.0)),
    ],
)
def test_planted_successes_are_found_true_and_false(effect, true, false):
    values = {"a": (MANY > 3) * ONES, "b": (MANY > 59) * ONES}
    for region, expected in ((true, "supported"), (false, "refuted")):
        own = page([criterion("a", region, effect)], ("success",), sampling="rate")
        assert judge(own, values)["verdict"] == expected


def test_planted_trends_and_deviations_are_found_true_and_false():
    own = page([criterion("a", Region.above(0.5), Trend(SCORE, "arm", {}))])
    names = dict(zip(LEVELS, (1, 2, 3), strict=True))
    levels = grid(arm=tuple(names.values()))
    study = replace(own.studies[0], standard=levels, quick=levels, smoke=levels)
    own = replace(own, studies=(study,))
    rising = {str(n): SPREAD[arm] for arm, n in names.items()}
    falling = dict(zip(rising, reversed(rising.values()), strict=True))
    assert judge(own, rising)["verdict"] == "supported"
    assert judge(own, falling)["verdict"] == "refuted"
    exact = page([criterion("a", Region.below(1e-9), Deviation(SCORE, A))], ("exact",))
    assert judge(exact, {"a": np.full(SEEDS, -1e-10)})["verdict"] == "supported"
    assert judge(exact, {"a": np.full(SEEDS, -1e-3)})["verdict"] == "refuted"


# The p-value of a claim that is mixed, or unfit.


def test_a_mixed_claim_rests_on_the_clearest_condition_of_each_side():
    found = np.array([1, 1, -1])
    sides = Sides(np.array([0.001, 0.004, 0.99]), np.array([0.99, 0.99, 0.0005]))
    p = rules.headline_p(rules.CONDITIONAL, found, sides)
    assert p == pytest.approx(max(3 * 0.001, 3 * 0.0005))


def test_an_unfit_claim_has_the_p_value_of_an_inconclusive_one():
    def lose(outcomes, variants):
        variants.loc[variants["variant"] == "a", "failed"] = SEEDS

    values = {arm: level + WAVE for arm, level in LEVEL.items()}
    criteria = compare((("b", "a"), ("a", "c")), Region.above(0.0))
    assert judge(page(criteria), values)["p"] == 2.0 ** (1 - SEEDS)
    unfit = judge(page(criteria), values, change=lose)
    assert (unfit["verdict"], unfit["p"]) == ("inconclusive", 1.0)
    assert unfit["reason"].endswith("Otherwise: conditional.")
