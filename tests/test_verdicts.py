import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlclaims import data, plan, results, verdicts
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Deviation,
    Difference,
    Mean,
    Published,
    RankCorrelation,
    Rate,
    RateDifference,
    Region,
    Value,
)
from dlclaims.errors import PageError
from dlclaims.pages import Card, Page, Study, Tuning, grid, problems
from dlclaims.plan import PROFILES
from dlclaims.statistics import multiplicity, power, rules
from dlclaims.statistics import tables as made
from dlclaims.statistics.intervals import ALPHA

LEVELS = ("a", "b", "c")
SEEDS = 16


def criterion(level, region, effect=None, name=None):
    effect = effect or Mean(Value("score"), {"arm": level})
    return Criterion(
        name or level, "study", effect, region, "points", f"arm {level}", "why", "rival"
    )


def page(criteria, kinds=("difference",), tuned=False, controls=(), sampling="paired"):
    study = Study(
        "study",
        "A study",
        measure=lambda variant, seeds: None,
        standard=grid(arm=LEVELS),
        smoke=grid(arm=LEVELS),
        quick=grid(arm=LEVELS[:2]),
        tuning=Tuning((0.1, 0.2), "score", 0.0) if tuned else None,
        diverged={"score": -1.0},
        controls=controls,
        sampling=sampling,
    )
    claim = Claim(
        "x", kinds, Assertion("It is so.", tuple(criteria), "supported"), None
    )
    card = Card("Q?", ("A.",), "But.", ())
    return Page((study,), (claim,), (), card, name="stub")


def tables(own, values, profile="standard", **columns):
    """Outcomes and variants of a stub page from the scores of each arm's seeds."""
    measured = pd.concat(
        pd.DataFrame({"arm": arm, "seed": range(len(scores)), "score": scores})
        for arm, scores in values.items()
    ).assign(status="ok", elements=5)
    measured.insert(0, "study", "study")
    measured.insert(1, "variant", measured["arm"])
    for name, change in columns.items():
        measured[name] = change
    rows = {"study": measured.reset_index(drop=True)}
    return (
        made.outcomes(own, rows, {}),
        made.variants(own, PROFILES[profile], rows, {}, ()),
    )


def judge(own, values, profile="standard", change=None, digest=None):
    outcomes, variants = tables(own, values, profile)
    if change:
        change(outcomes, variants)
    registered = plan.registration(own, PROFILES[profile], data.DIGESTS)["digest"]
    found = verdicts.assess(
        own, PROFILES[profile], outcomes, variants, digest or registered
    )
    return found["claims"]["x"]["document"]


def around(mean, spread=0.1, n=SEEDS, seed=0):
    """Scores whose mean and standard deviation are exactly these."""
    noise = np.random.default_rng(seed).standard_normal(n)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return mean + spread * noise


def one(region, mean, **options):
    return judge(page([criterion("a", region)]), {"a": around(mean)}, **options)


def test_supported_when_the_interval_lies_inside():
    found = one(Region.above(0.5), 1.0)
    assert (found["verdict"], found["label"]) == ("supported", None)
    assert found["criteria"][0]["answer"] == "holds"
    assert found["seeds_to_decide"] is None


@pytest.mark.parametrize(
    ("region", "mean", "label"),
    [
        (Region.above(0.5), -1.0, "reversed"),
        (Region.above(0.5), 0.2, "too small"),
        (Region.above(0.5), 0.01, "too small"),  # across zero is not reversed
        (Region.below(-0.5), 1.0, "reversed"),
        (Region.below(-0.5), -0.2, "too small"),
        (Region.around(0, 0.5), 1.0, None),
        (Region.above(0.0), -1.0, "reversed"),  # its edge is zero itself
        (Region.below(0.5), 1.0, None),  # a region with zero inside has no direction
        (Region(0.5, 2.0), 3.0, None),  # beyond the farther edge
    ],
)
def test_refuted_says_how(region, mean, label):
    found = one(region, mean)
    assert (found["verdict"], found["label"]) == ("refuted", label)


@pytest.mark.parametrize(
    ("means", "label"),
    [
        ((-1.0, -1.0), "reversed"),
        ((-1.0, 0.2), "too small"),
        ((0.2, -1.0), "too small"),
    ],
)
def test_a_refuted_claim_is_reversed_when_all_its_conditions_are(means, label):
    own = page([criterion(arm, Region.above(0.5)) for arm in "ab"])
    found = judge(own, {arm: around(m) for arm, m in zip("ab", means, strict=True)})
    assert (found["verdict"], found["label"]) == ("refuted", label)


def test_conditions_that_fail_on_different_sides_have_no_label():
    own = page([criterion("a", Region(0.5, 2.0)), criterion("b", Region(0.5, 2.0))])
    found = judge(own, {"a": around(0.1), "b": around(3.0)})
    assert (found["verdict"], found["label"]) == ("refuted", None)


def test_no_effect_at_all_is_too_small_not_reversed():
    own = page([criterion("a", Region.above(0.5))])
    found = judge(own, {"a": np.zeros(SEEDS)})
    assert (found["verdict"], found["label"]) == ("refuted", "too small")


def test_inconclusive_names_the_seeds_that_would_decide():
    found = one(Region.above(0.5), 0.52)
    assert found["verdict"] == "inconclusive"
    assert found["criteria"][0]["answer"] == "undecided"
    assert found["seeds_to_decide"] > SEEDS
    assert found["p"] == found["criteria"][0]["p_holds"] > ALPHA


def test_the_condition_that_needs_most_seeds_sets_their_number():
    region = Region.above(0.5)
    needed = [one(region, mean)["seeds_to_decide"] for mean in (0.52, 0.54)]
    own = page([criterion(arm, region) for arm in "ab"])
    for means in ((0.52, 0.54), (0.54, 0.52)):
        values = {arm: around(m) for arm, m in zip("ab", means, strict=True)}
        assert judge(own, values)["seeds_to_decide"] == max(needed) > min(needed)


def test_reversing_the_claim_swaps_supported_and_refuted():
    values = {"a": around(1.0), "b": around(0.0, seed=1)}
    arms = {"arm": "a"}, {"arm": "b"}
    forth = Difference(Value("score"), arms[0], minus=arms[1])
    back = Difference(Value("score"), arms[1], minus=arms[0])
    found = [
        judge(page([criterion("a", Region.above(0.5), effect)]), values)
        for effect in (forth, back)
    ]
    assert [one["verdict"] for one in found] == ["supported", "refuted"]
    assert found[1]["label"] == "reversed"
    low, high = (found[0]["criteria"][0][end] for end in ("low", "high"))
    assert [found[1]["criteria"][0][end] for end in ("high", "low")] == [-low, -high]


def three(means, spread=0.1):
    own = page([criterion(arm, Region.above(0.5)) for arm in LEVELS])
    arms = enumerate(zip(LEVELS, means, strict=True))
    return judge(own, {arm: around(mean, spread, seed=i) for i, (arm, mean) in arms})


@pytest.mark.parametrize(
    ("means", "verdict"),
    [
        ((1, 1, 1), "supported"),
        ((0, 0, 0), "refuted"),
        ((1, 0, 1), "conditional"),
        ((1, 0.5, 0), "conditional"),
        ((1, 0.5, 1), "inconclusive"),
        ((0, 0.5, 0), "inconclusive"),
    ],
)
def test_verdicts_of_three_conditions(means, verdict):
    assert three(means)["verdict"] == verdict


def test_a_conditional_verdict_names_the_factor():
    found = three((1, 0, 1))
    assert found["separated_by"] == "arm"
    assert "arm b" in found["reason"].split("Fails")[1]


def test_holm_over_the_conditions_can_leave_a_mixed_claim_inconclusive():
    # One condition fails clearly; the others hold at 2.5 % each, but not after Holm.
    spread = 0.1
    weak = 0.5 + 2.3 * spread / math.sqrt(SEEDS)
    found = three((weak, weak, 0.0), spread)
    answers = [c["answer"] for c in found["criteria"]]
    assert answers == ["holds", "holds", "fails"]
    p = max(found["criteria"][0][side] for side in ("p_holds", "sign_flip_holds"))
    assert p <= ALPHA < 2 * p
    assert found["verdict"] == "inconclusive"


def test_holm_compares_with_the_level_of_one_side():
    own = page([criterion(arm, Region.above(0.5)) for arm in LEVELS[:2]])
    weak = 0.5 + 2.3 * 0.1 / math.sqrt(SEEDS)
    found = judge(own, {"a": around(weak), "b": around(0.0, seed=1)})
    assert ALPHA < 2 * found["criteria"][0]["p_holds"] < 2 * ALPHA
    assert found["verdict"] == "inconclusive"


def test_the_headline_p_is_the_largest_of_the_conditions():
    found = three((1, 0.7, 1))
    p = [max(c["p_holds"], c["sign_flip_holds"]) for c in found["criteria"]]
    assert found["p"] == max(p)


def test_exact_conditions_stay_outside_holm():
    exact = criterion("c", Region.below(1e-6), Deviation(Value("score"), {"arm": "c"}))
    own = page([criterion("a", Region.above(0.5)), exact])
    weak = 0.5 + 2.3 * 0.1 / math.sqrt(SEEDS)
    found = judge(own, {"a": around(weak), "c": np.ones(SEEDS)})
    assert [c["answer"] for c in found["criteria"]] == ["holds", "fails"]
    assert found["verdict"] == "conditional"
    assert found["criteria"][1]["p_fails"] is None


@pytest.mark.parametrize(
    ("deviation", "verdict"),
    [
        (1e-6, "supported"),
        (1.1e-6, "inconclusive"),
        (9.9e-5, "inconclusive"),
        (1.1e-4, "refuted"),
    ],
)
def test_exact_claims(deviation, verdict):
    found = judge(exact_page(), {"a": [0.0, -deviation, 0.0]}, "smoke")
    assert (found["verdict"], found["p"]) == (verdict, None)


def exact_page():
    effect = Deviation(Value("score"), {"arm": "a"})
    return page(
        [criterion("a", Region.below(1e-6), effect)], ("exact",), sampling="exact"
    )


def test_smoke_judges_exact_claims_only():
    assert judge(exact_page(), {"a": [0.0] * 3}, "smoke")["verdict"] == "supported"
    found = one(Region.above(0.5), 1.0, profile="smoke")
    assert found["verdict"] == "not assessed"
    assert "smoke" in found["reason"]


def test_the_number_compared_is_n_of_an_exact_claim():
    assert judge(exact_page(), {"a": [0.0] * 3})["criteria"][0]["n"] == 15


def test_another_registration_gets_no_verdict():
    found = one(Region.above(0.5), 1.0, digest="0" * 64)
    assert found["verdict"] == "not assessed"
    assert "changed" in found["reason"]


def test_a_condition_outside_the_profiles_grid_is_not_assessed():
    own = page([criterion("a", Region.above(0.5)), criterion("c", Region.above(0.5))])
    found = judge(own, {"a": around(1.0, n=8)}, profile="quick")
    assert found["verdict"] == "not assessed"
    assert "arm c" in found["reason"]


def set_column(column, value):
    def change(outcomes, variants):
        variants.loc[variants["variant"] == "a", column] = value

    return change


def test_an_optimum_at_the_edge_of_the_grid_makes_inconclusive():
    for flag, verdict in (
        ("low edge", "inconclusive"),
        ("high edge", "inconclusive"),
        ("untrainable", "supported"),
        ("", "supported"),
    ):
        change = set_column("tuning_flag", flag)
        found = one(Region.above(0.5), 1.0, change=change)
        assert found["verdict"] == verdict, flag


@pytest.mark.parametrize(("failed", "verdict"), [(4, "supported"), (5, "inconclusive")])
def test_more_than_a_fifth_failed_makes_inconclusive(failed, verdict):
    found = one(Region.above(0.5), 1.0, change=set_column("failed", failed))
    assert found["verdict"] == verdict  # 4 of 20 are a fifth, 5 of 21 are more


def test_an_arm_that_the_machinery_lost_makes_inconclusive():
    own = page([criterion("a", Region.above(0.5)), criterion("b", Region.above(0.5))])

    def lose(outcomes, variants):
        variants.loc[variants["variant"] == "b", "failed"] = 16

    found = judge(own, {"a": around(1.0)}, change=lose)
    assert found["verdict"] == "inconclusive"
    assert "arm b: 0 seeds instead of 16: no seed has an outcome" in found["reason"]
    assert "b: 100 % of the replicas failed." in found["reason"]
    assert found["criteria"][1]["note"] == "no seed has an outcome in every arm"
    assert found["seeds_to_decide"] is None


def test_fewer_seeds_than_planned_make_inconclusive():
    found = judge(page([criterion("a", Region.above(0.5))]), {"a": around(1, n=15)})
    assert found["verdict"] == "inconclusive"
    assert "15 seeds instead of 16" in found["reason"]


def test_more_seeds_than_planned_are_exploratory():
    own = page([criterion("a", Region.above(0.5))])
    found = [judge(own, {"a": around(1, n=n)}) for n in (16, 17)]
    assert [f["exploratory"] for f in found] == [False, True]


def test_other_seeds_than_registered_are_exploratory():
    def later(outcomes, variants):
        outcomes["seed"] += 16

    found = one(Region.above(0.5), 1.0, change=later)
    assert (found["verdict"], found["exploratory"]) == ("supported", True)


def test_a_control_outside_the_grid_makes_inconclusive():
    control = criterion("c", Region.above(0.5), name="works")
    own = page([criterion("a", Region.above(0.5))], controls=(control,))
    found = judge(own, {"a": around(1, n=8)}, profile="quick")
    assert found["verdict"] == "inconclusive"
    assert "works (arm c) was not measured" in found["reason"]


def test_smoke_checks_exact_controls_only():
    exact = criterion("a", Region.below(1e-6), Deviation(Value("score"), {"arm": "a"}))
    rough = criterion("b", Region.above(0.5), name="rough")
    scores = {"a": np.zeros(3), "b": np.zeros(3)}
    own = page([exact], controls=(rough,), sampling="exact")
    assert judge(own, scores, "smoke")["verdict"] == "supported"
    assert judge(own, scores, "standard")["verdict"] == "inconclusive"
    broken = criterion("b", Region.below(1e-6), Deviation(Value("score"), {"arm": "b"}))
    own = page([exact], controls=(broken,), sampling="exact")
    assert judge(own, scores | {"b": np.ones(3)}, "smoke")["verdict"] == "inconclusive"


def test_a_broken_control_makes_inconclusive():
    own = page(
        [criterion("a", Region.above(0.5))],
        controls=(criterion("b", Region.above(0.5), name="works"),),
    )
    verdicts_of = {
        m: judge(own, {"a": around(1), "b": around(m)})["verdict"] for m in (1, 0.5, 0)
    }
    assert verdicts_of == {1: "supported", 0.5: "inconclusive", 0: "inconclusive"}


def test_tests_that_disagree_leave_a_claim_undecided():
    # Five seeds are all above the edge, which a flip of signs makes one in 32.
    found = judge(page([criterion("a", Region.above(0.5))]), {"a": around(1, n=5)})
    condition = found["criteria"][0]
    assert condition["low"] > 0.5
    assert condition["p_holds"] < ALPHA < condition["sign_flip_holds"] == 2.0**-5
    assert condition["answer"] == "undecided"
    assert found["verdict"] == "inconclusive"
    assert found["p"] == condition["sign_flip_holds"]


def test_a_diverged_replica_counts_with_its_registered_score():
    own = page([criterion("a", Region.above(0.5))])
    scores = np.full(SEEDS, 1.0)
    scores[0] = math.nan
    status = np.where(np.isnan(scores), "diverged", "ok")
    outcomes, variants = tables(own, {"a": scores}, status=status)
    digest = plan.registration(own, PROFILES["standard"], data.DIGESTS)["digest"]
    found = verdicts.assess(own, PROFILES["standard"], outcomes, variants, digest)
    condition = found["claims"]["x"]["document"]["criteria"][0]
    assert condition["value"] == pytest.approx((15 * 1.0 - 1.0) / 16)
    assert condition["n"] == SEEDS


def test_a_missing_outcome_without_a_score_is_inconclusive():
    scores = around(1.0)
    scores[3] = math.nan
    found = judge(page([criterion("a", Region.above(0.5))]), {"a": scores})
    assert found["verdict"] == "inconclusive"
    assert found["criteria"][0]["value"] is None


def test_duplicated_seeds_are_refused():
    own = page([criterion("a", Region.above(0.5))])
    outcomes, variants = tables(own, {"a": around(1.0)})
    twice = pd.concat([outcomes, outcomes.head(1)])
    digest = plan.registration(own, PROFILES["standard"], data.DIGESTS)["digest"]
    with pytest.raises(PageError, match="more than once"):
        verdicts.assess(own, PROFILES["standard"], twice, variants, digest)


def test_no_spread_over_seeds_decides_by_the_point():
    own = page([criterion("a", Region.above(0.5))])
    for value, verdict in (
        (0.51, "supported"),
        (0.5, "inconclusive"),  # as an arm compared with itself on the edge 0
        (0.49, "refuted"),
    ):
        found = judge(own, {"a": np.full(SEEDS, value)})
        assert found["verdict"] == verdict
        assert found["criteria"][0]["note"] == (
            "no spread over seeds: the interval is a point; up to 21 % of seeds may be"
            " others"
        )
        assert found["p"] >= 2.0**-SEEDS  # the sign-flip test's smallest


def test_success_rates_need_many_seeds():
    effect = Rate(Value("score"), {"arm": "a"})
    own = page([criterion("a", Region.above(0.8), effect)], ("success",))
    sixteen = judge(own, {"a": np.ones(16)})
    assert sixteen["verdict"] == "inconclusive"  # Clopper-Pearson reaches down to 0.79
    own = page(
        [criterion("a", Region.above(0.9), effect)], ("success",), sampling="rate"
    )
    assert judge(own, {"a": np.ones(64)})["verdict"] == "supported"


def test_seeds_that_would_decide_a_success_rate():
    effect = Rate(Value("score"), {"arm": "a"})
    own = page([criterion("a", Region.above(0.8), effect)], ("success",))
    assert judge(own, {"a": np.ones(16)})["seeds_to_decide"] == 17
    own = page([criterion("a", Region.above(1.0), effect)], ("success",))
    assert judge(own, {"a": np.ones(16)})["seeds_to_decide"] is None  # on the edge


def test_seeds_that_would_decide_a_difference_of_rates():
    effect = RateDifference(Value("score"), {"arm": "a"}, {"arm": "b"})
    own = page([criterion("a", Region.around(0, 0.1), effect)], ("success",))
    same = judge(own, {"a": np.ones(16), "b": np.ones(16)})  # no spread at all
    assert same["verdict"] == "inconclusive"
    assert same["seeds_to_decide"] > SEEDS
    wider = page([criterion("a", Region.around(0, 0.15), effect)], ("success",))
    found = judge(wider, {"a": np.ones(16), "b": np.ones(16)})
    assert SEEDS < found["seeds_to_decide"] < same["seeds_to_decide"]


def test_seeds_that_would_decide_in_spite_of_holm():
    weak = 0.5 + 2.3 * 0.1 / math.sqrt(SEEDS)
    found = three((weak, weak, 0.0))
    assert found["verdict"] == "inconclusive"
    assert "Holm" in found["reason"]
    one_alone = power.seeds_to_decide(weak, 0.1, Region.above(0.5))
    assert found["seeds_to_decide"] > one_alone > SEEDS


def test_an_exact_condition_between_the_bounds_is_not_decided_by_seeds():
    found = judge(exact_page(), {"a": [0.0, 1e-5, 0.0]})
    assert (found["verdict"], found["seeds_to_decide"]) == ("inconclusive", None)


@given(st.data())
def test_one_claim_is_judged_as_the_simulation_judges_thousands(data):
    whole = st.lists(st.integers(-4, 8), min_size=SEEDS, max_size=SEEDS)
    values = np.array([data.draw(whole) for _ in LEVELS], float)
    region = Region.above(0.5)
    own = page([criterion(level, region) for level in LEVELS])
    found = judge(own, dict(zip(LEVELS, values, strict=True)))
    assert found["verdict"] == rules.NAMES[int(rules.paired(values, region))]


def test_judging_from_csv_is_the_same(tmp_path):
    own = page([criterion("a", Region.above(0.5)), criterion("b", Region.above(0.5))])
    outcomes, variants = tables(own, {"a": around(1 / 3 + 1), "b": around(0.1)})
    digest = plan.registration(own, PROFILES["standard"], data.DIGESTS)["digest"]
    direct = verdicts.assess(own, PROFILES["standard"], outcomes, variants, digest)
    for name, table in (("o.csv", outcomes), ("v.csv", variants)):
        results.write_table(tmp_path / name, table)
    read = [results.read_table(tmp_path / name) for name in ("o.csv", "v.csv")]
    assert verdicts.assess(own, PROFILES["standard"], *read, digest) == direct


def test_verdicts_are_json_without_nan():
    own = page([criterion("a", Region.above(0.5)), criterion("b", Region.below(0.5))])
    scores = around(1.0)
    scores[0] = math.nan
    json.dumps(judge(own, {"a": scores, "b": around(1.0)}), allow_nan=False)


def claims_with(p_values):
    return {
        "claims": {
            f"c{i}": {"document": {"p": p, "verdict": "supported"}, "corrected": None}
            for i, p in enumerate(p_values)
        }
    }


def test_the_correction_spans_all_pages_and_skips_exact_claims():
    p = [0.001, 0.02, None, 0.024]
    judged = verdicts.correct([claims_with(p[:2]), claims_with(p[2:])])
    parts = [c["document"] for page in judged for c in page["claims"].values()]
    tested = [part for part in parts if part["p"] is not None]
    given_p = [part["p"] for part in tested]
    assert [part["holm"] for part in tested] == list(multiplicity.holm(given_p))
    assert [part["q"] for part in tested] == list(
        multiplicity.benjamini_hochberg(given_p)
    )
    assert "q" not in parts[2] or parts[2]["q"] is None


def test_a_verdict_that_needs_the_uncorrected_level_is_marked():
    for others, is_marked in ((0, False), (1, True)):
        judged = verdicts.correct([claims_with([0.02] + [0.9] * others)])
        first = judged[0]["claims"]["c0"]["document"]
        assert first["uncorrected_only"] == is_marked  # q is 0.02, then 0.04


def test_what_was_not_decided_counts_in_the_family_and_is_not_marked():
    pages = [claims_with([0.01, 0.2])]
    pages[0]["claims"]["c1"]["document"]["verdict"] = "inconclusive"
    pages[0]["claims"]["c0"]["corrected"] = {"p": 0.012, "verdict": "refuted"}
    judged = verdicts.correct(pages)[0]["claims"]
    documents = [judged[name]["document"] for name in ("c0", "c1")]
    family = [documents[0], judged["c0"]["corrected"], documents[1]]
    assert [made["holm"] for made in family] == pytest.approx([0.03, 0.03, 0.2])
    assert [made["q"] for made in family] == pytest.approx([0.018, 0.018, 0.2])
    assert [made["uncorrected_only"] for made in family] == [False] * 3
    assert "holm" not in pages[0]["claims"]["c0"]["document"]  # a new list


RANK = {"refuted": 0, "inconclusive": 1, "supported": 2}


@given(
    st.lists(st.integers(-8, 8), min_size=SEEDS, max_size=SEEDS),
    st.integers(0, 12),
)
def test_evidence_in_favour_never_lowers_a_verdict(scores, more):
    region = Region.above(0.5)
    own = page([criterion("a", region)])
    before, after = (
        judge(own, {"a": np.array(scores, float) + shift})["verdict"]
        for shift in (0, more)
    )
    assert RANK[before] <= RANK[after]


@given(st.lists(st.integers(-8, 8), min_size=SEEDS, max_size=SEEDS), st.randoms())
def test_the_order_of_rows_does_not_matter(scores, random):
    own = page([criterion("a", Region.above(0.5))])
    outcomes, variants = tables(own, {"a": np.array(scores, float)})
    order = list(range(len(outcomes)))
    random.shuffle(order)
    digest = plan.registration(own, PROFILES["standard"], data.DIGESTS)["digest"]
    one_way, other = (
        verdicts.assess(own, PROFILES["standard"], rows, variants, digest)
        for rows in (outcomes, outcomes.iloc[order])
    )
    assert one_way == other


def test_an_effect_that_stays_without_its_cause_is_conditional_and_says_so():
    gain = criterion(
        "a",
        Region.above(0.5),
        Difference(Value("score"), {"arm": "a"}, minus={"arm": "b"}),
    )
    control = gain.without(
        {"arm": "c"}, "positions shuffled", Region.around(0, 0.2), "-"
    )
    control = replace(control, effect=Mean(Value("score"), {"arm": "c"}))
    stays = judge(
        page([gain, control]), {"a": around(2), "b": around(0), "c": around(1)}
    )
    assert stays["verdict"] == "conditional"
    assert stays["reason"].endswith(
        "The effect does not go where its alleged cause goes (positions shuffled)."
    )
    assert [c["mechanism"] for c in stays["criteria"]] == [None, "positions shuffled"]
    goes = judge(
        page([gain, control]), {"a": around(2), "b": around(0), "c": around(0)}
    )
    assert goes["verdict"] == "supported"


def test_replicated_seeds_are_no_more_exploratory_than_the_first():
    own, first = page([criterion("a", Region.above(0.5))]), 20_000
    again = replace(PROFILES["standard"], first=first)
    outcomes, variants = tables(own, {"a": around(1)})
    moved = outcomes.assign(seed=outcomes["seed"] + first)
    digest = plan.registration(own, again, data.DIGESTS)["digest"]
    found = verdicts.assess(own, again, moved, variants, digest)
    judged = found["claims"]["x"]["document"]
    assert (judged["verdict"], judged["exploratory"]) == ("supported", False)
    stranger = verdicts.assess(own, again, outcomes, variants, digest)
    assert stranger["claims"]["x"]["document"]["exploratory"]


@pytest.mark.parametrize(
    ("effect", "region", "told"),
    [
        (
            Rate(Value("x"), {"arm": "a"}),
            Region.above(0.0),
            "its effect lies in [0, 1]",
        ),
        (Rate(Value("x"), {"arm": "a"}), Region(0.5, 1.0), "its effect lies in [0, 1]"),
        (
            Mean(RankCorrelation("x", over="y"), {"arm": "a"}),
            Region(-1.0, -0.9),
            "effect lies in [-1, 1]",
        ),
        (
            RateDifference(Value("x"), {"arm": "a"}, minus={"arm": "b"}),
            Region.above(0.1),
            "needs sampling='rate'",
        ),
        (
            Deviation(Value("x"), {"arm": "a"}),
            Region.above(0.1),
            "a deviation needs Region.below(tolerance)",
        ),
        (Mean(Value("x"), {"arm": "a"}), Region.above(0.0), ""),
        (Rate(Value("x"), {"arm": "a"}), Region.above(0.7), ""),
    ],
)
def test_a_criterion_that_cannot_be_judged_is_refused_at_load(effect, region, told):
    own = replace(page([criterion("a", region, effect)]), title="A page")
    found = " ".join(problems(own))
    assert told in found if told else found == ""


def test_a_control_reads_its_own_study():
    stranger = replace(criterion("a", Region.above(0)), study="other")
    own = page([criterion("a", Region.above(0))], controls=(stranger,))
    assert "the control a reads other" in " ".join(problems(own))


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("{c/a}", ""),
        ("{c/a:percent} and {c/a:nats}", ""),
        ("{c/b}", "the card tells 'c/b'; did you mean c/a?"),
        ("{d/other}", "the card tells 'd/other'"),
        ("{c/a:percnt}", "the card tells c/a as 'percnt'; did you mean percent?"),
        ("{c/a: percent}", "the card has {c/a: percent}; write"),
    ],
)
def test_a_card_tells_what_its_page_measures(sentence, told):
    own = page([criterion("a", Region.above(0.0), name="a")])
    claim = replace(own.claims[0], id="c")
    card = replace(own.card, answer=(sentence,), rests_on=())
    found = " ".join(problems(replace(own, title="T", claims=(claim,), card=card)))
    assert told in found if told else found == ""


def test_a_number_of_others_has_its_paper_among_the_references():
    own = page([criterion("a", Region.above(0.0))])
    number = Published("1 nat", "a network", "he2015", "Table 1")
    for references, told in (("he2015",), ""), ((), "it does not refer to 'he2015'"):
        claim = replace(own.claims[0], published=(number,), references=references)
        found = " ".join(problems(replace(own, title="T", claims=(claim,))))
        assert told in found if told else found == ""


def test_outcomes_that_tell_conditions_apart_are_named():
    criteria = [
        replace(
            criterion("a", Region.above(0.5), name=name), effect=Mean(Value(name), arm)
        )
        for arm in [{"arm": "a"}]
        for name in ("score", "elements")
    ]
    judged = judge(page(criteria), {"a": around(-2)})
    assert (judged["verdict"], judged["separated_by"]) == ("conditional", "outcome")
