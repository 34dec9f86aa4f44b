"""Reasons are made of the numbers; what separates is found, not told."""

import math
from dataclasses import replace

import pytest

from dlclaims.claims import (
    Criterion,
    Deviation,
    Difference,
    Gap,
    Mean,
    Rate,
    Region,
    Value,
)
from dlclaims.statistics import reasons
from dlclaims.statistics.effects import Estimate

SCORE = Value("score")
AT_LEAST_HALF = Region.above(0.5)


def condition(
    answer, value=1.0, half=0.1, region=AT_LEAST_HALF, name="", unit="points", **arm
):
    effect = Mean(SCORE, arm)
    scope = name or ", ".join(map(str, arm.values()))
    made = Criterion("c", "study", effect, region, unit, scope, "why", "rival")
    return made, Estimate(answer, value, value - half, value + half)


def told(verdict, *judged, standing=None):
    kept = standing or [estimate.answer for _, estimate in judged]
    return reasons.explain(verdict, judged, kept)


def test_one_condition_is_told_with_interval_unit_and_region():
    assert told("supported", condition("holds")) == (
        "The condition holds: 1.00 [0.90, 1.10] points; needed: at least 0.5."
    )
    point = condition("fails", 0.25, 0.0, Region(0.5, 2.0))
    assert told("refuted", point) == (
        "The condition fails: 0.25 points; needed: between 0.5 and 2."
    )


def test_of_many_conditions_the_one_nearest_to_an_edge_is_told():
    far, near = condition("holds", 5.0, name="far"), condition("holds", name="near")
    assert told("supported", far, near) == (
        "Both conditions hold. Nearest to an edge: near (1.00 [0.90, 1.10] points;"
        " needed: at least 0.5)."
    )
    assert told("supported", far, near, far).startswith("All 3 conditions hold.")


def test_nearness_is_measured_in_widths_of_the_interval():
    # Both end 0.5 from the edge: a fifth of the first width, five of the second.
    wide, narrow = condition("holds", 2.25, 1.25), condition("holds", 1.05, 0.05)
    assert reasons.closest([narrow, wide]) == 1


def exact(answer, value, high=1e-10):
    effect = Deviation(SCORE, {})
    made = Criterion("c", "study", effect, Region.below(high), "u", "s", "why", "rival")
    return made, Estimate(answer, value, value, value)


def test_an_exact_zero_is_never_the_nearest_and_many_are_told_in_a_word():
    zero, some = exact("holds", 0.0, 0.0), exact("holds", 1e-12)
    assert reasons.closest([zero, some]) == 1
    assert told("supported", zero, zero) == (
        "Both conditions hold: every deviation is exactly 0."
    )


def test_a_conditional_verdict_tells_both_sides_with_the_range_of_effects():
    judged = (
        condition("holds", 1.0, arm="a"),
        condition("fails", 0.1, arm="b"),
        condition("holds", 3.0, arm="c"),
        condition("undecided", 0.5, arm="d"),
    )
    assert told("conditional", *judged) == (
        "Holds in 2 of 4 conditions: a; c (1 to 3 points). Fails in 1: b (0.1 points)."
        " Undecided in 1: d (0.5 points)."
    )


def test_of_many_conditions_the_first_are_named_and_the_others_counted():
    many = [condition("holds", float(n), arm=f"a{n}") for n in range(1, 7)]
    reason = told("conditional", *many, condition("fails", 0.1, arm="b"))
    assert reason.startswith(
        "Holds in 6 of 7 conditions: a1; a2; and 4 more (1 to 6 points)."
    )
    units = [condition("holds", arm="a", unit=f"points of {n}") for n in range(5)]
    reason = told("conditional", *units, condition("fails", 0.1, arm="b"))
    assert "a (1 points of 0); a (1 points of 1); and 3 more. Fails" in reason


def test_what_all_conditions_share_is_left_out():
    judged = (
        condition("holds", name="ReLU, He, 600 steps"),
        condition("fails", 0.1, name="ReLU, Xavier, 600 steps"),
    )
    assert told("conditional", *judged) == (
        "Holds in 1 of 2 conditions: He (1 points). Fails in 1: Xavier (0.1 points)."
    )


def test_effects_of_different_units_are_not_mixed():
    judged = (
        condition("holds", 1.0, arm="a"),
        condition("holds", 20.0, unit="steps", arm="a"),
        condition("holds", 2.0, arm="a"),
        condition("fails", 30.0, unit="steps", arm="b"),
    )
    assert told("conditional", *judged) == (
        "Holds in 3 of 4 conditions: a (1 to 2 points); a (20 steps)."
        " Fails in 1: b (30 steps)."
    )


def test_a_long_unit_is_not_said_twice_in_a_row():
    unit = "points of a very long name"
    judged = (
        condition("holds", 1.0, arm="a", unit=unit),
        condition("fails", 0.1, arm="b", unit=unit),
    )
    assert told("conditional", *judged).endswith(f"a (1 {unit}). Fails in 1: b (0.1).")


def test_success_rates_are_told_in_seeds():
    unit = "fraction of seeds with 90 % right"

    def rate(answer, right, name):
        made = Criterion(
            *("c", "study", Rate(SCORE, {"arm": name}), Region.above(0.7), unit, name),
            *("why", "rival"),
        )
        return made, Estimate(answer, right / 16, 0.698, 0.998, n=16)

    assert told("inconclusive", rate("undecided", 15, "a"), rate("holds", 16, "b")) == (
        "Of 2 conditions 1 holds and 1 is undecided: a (90 % right in 15 of 16 seeds"
        " = 93.8 % [69.8 %, 99.8 %]; needed: at least 70 %)."
    )
    several = rate("fails", 0, "a"), rate("fails", 11, "b"), rate("holds", 16, "c")
    assert told("conditional", *several) == (
        "Holds in 1 of 3 conditions: c (90 % right in 16 of 16 seeds)."
        " Fails in 2: a; b (0 to 11 of 16 seeds)."
    )


def test_a_gap_says_what_is_subtracted():
    made, found = condition("holds")
    gap = replace(made, effect=Gap(SCORE, {}))
    assert "points, measured minus theory; needed" in told("supported", (gap, found))


def test_what_holds_only_before_holm_is_told_as_undecided():
    judged = condition("holds", arm="a"), condition("holds", arm="b")
    kept = ["holds", "undecided"]
    assert "Undecided in 1: b" in told("conditional", *judged, standing=kept)


def test_an_inconclusive_verdict_counts_and_names_what_is_open():
    judged = (
        condition("holds"),
        condition("holds"),
        condition("undecided", 0.5, arm="b"),
    )
    assert told("inconclusive", *judged) == (
        "Of 3 conditions 2 hold and 1 is undecided: b (0.50 [0.40, 0.60] points;"
        " needed: at least 0.5)."
    )
    assert told("inconclusive", judged[2]).startswith("The condition is undecided: 0.5")


def test_a_disagreement_that_holm_takes_away_is_told():
    judged = condition("holds"), condition("fails"), condition("fails")
    kept = ["holds", "undecided", "undecided"]
    assert told("inconclusive", *judged, standing=kept) == (
        "Of 3 conditions 1 holds and 2 fail, but not after Holm's correction for their"
        " number."
    )


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (["holds"], "1 holds"),
        (["holds", "fails", "holds"], "2 hold and 1 fails"),
        (
            ["undecided", "holds", "undecided", "fails"],
            "1 holds, 1 fails and 2 are undecided",
        ),
    ],
)
def test_tally(answers, words):
    assert reasons.tally(answers) == words


def test_without_a_number_the_note_is_told():
    made, _ = condition("undecided", arm="a")
    lost = made, Estimate("undecided", note="2 replicas have no outcome")
    sentence = told("inconclusive", lost, condition("holds"))
    assert sentence.endswith("1 is undecided: a (2 replicas have no outcome).")
    mixed = lost, condition("holds", arm="b"), condition("fails", arm="c")
    assert "nan" not in told("conditional", *mixed)


# What separates.


def separated(*judged):
    return reasons.separated_by(judged, [estimate.answer for _, estimate in judged])


def test_a_factor_separates_when_no_level_is_on_both_sides():
    assert (
        separated(
            condition("holds", depth=2, network="plain"),
            condition("holds", depth=5, network="residual"),
            condition("fails", depth=20, network="plain"),
        )
        == "depth"
    )


def test_several_factors_may_separate():
    assert (
        separated(
            condition("holds", depth=2, network="plain", data="digits"),
            condition("fails", depth=20, network="residual", data="digits"),
        )
        == "depth, network"
    )


def test_a_combination_separates_where_no_single_factor_does():
    assert (
        separated(
            condition("holds", depth=2, network="plain", data="digits"),
            condition("holds", depth=20, network="residual", data="digits"),
            condition("fails", depth=20, network="plain", data="digits"),
        )
        == "depth and network"
    )


def test_undecided_conditions_separate_nothing():
    assert (
        separated(
            condition("holds", depth=2),
            condition("fails", depth=5),
            condition("undecided", depth=5),
        )
        == "depth"
    )


def test_the_same_place_on_both_sides_is_not_separated():
    assert separated(condition("holds", depth=2), condition("fails", depth=2)) is None


def variation(answer, effect, study="study"):
    made = Criterion("c", study, effect, Region.above(0), "u", "s", "why", "rival")
    return made, Estimate(answer, math.nan)


def test_the_study_separates_where_nothing_else_does():
    one, two = (Mean(SCORE, {"arm": "a"}), Mean(SCORE, {"layers": 3}))
    assert (
        separated(variation("holds", one), variation("fails", two, "other")) == "study"
    )
    deep = Mean(SCORE, {"arm": "b"})
    by_arm = separated(variation("holds", one), variation("fails", deep, "other"))
    assert by_arm == "arm"


def test_the_place_of_a_quantity_separates_like_a_factor():
    first, last = (Mean(Value("x", at={"layer": n}), {"depth": 5}) for n in (1, 5))
    assert separated(variation("holds", first), variation("fails", last)) == "layer"


def test_both_arms_of_a_difference_count():
    def plain_minus_residual(depth):
        arms = ({"network": n, "depth": depth} for n in ("plain", "residual"))
        return Difference(SCORE, *arms)

    shallow, deep = plain_minus_residual(2), plain_minus_residual(20)
    assert separated(variation("holds", shallow), variation("fails", deep)) == "depth"
