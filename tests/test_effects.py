import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dlclaims import results, statistics
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Deviation,
    Difference,
    Gap,
    Interaction,
    LogRatio,
    Mean,
    RankCorrelation,
    Rate,
    RateDifference,
    Region,
    Slope,
    Trend,
    Value,
)
from dlclaims.errors import PageError
from dlclaims.pages import Card, Page, Study, Tuning, grid, tidy
from dlclaims.plan import PROFILES, Cell
from dlclaims.statistics import intervals

SEEDS = range(16)
DEPTHS = (1, 2, 4)


ABOVE_ZERO = Region.above(0.0)


def criterion(effect, region=None):
    if region is None:
        region = Region.below(1) if isinstance(effect, Deviation) else ABOVE_ZERO
    return Criterion("c", "study", effect, region, "points", "scope", "why", "rival")


def page(*effects, tuning=None, diverged=()):
    study = Study(
        "study",
        "A study",
        measure=lambda variant, seeds: None,
        predict=lambda variant: None,
        standard=grid(depth=DEPTHS),
        smoke=grid(depth=DEPTHS),
        tuning=tuning,
        diverged=diverged,
    )
    criteria = tuple(criterion(effect) for effect in effects)
    claim = Claim("x", ("rate",), Assertion("So.", criteria, "supported"), None)
    return Page((study,), (claim,), (), Card("Q?", ("A.",), "", ()), name="stub")


def located(depth, rows):
    return rows.assign(study="study", variant=str(depth), depth=depth)


def scores(seed=0):
    """One score a seed and depth: 3 * depth plus noise."""
    rng = np.random.default_rng(seed)
    return {depth: 3.0 * depth + rng.standard_normal(len(SEEDS)) for depth in DEPTHS}


def measured(values, **columns):
    return pd.concat(
        [
            located(depth, tidy({"seed": SEEDS}, score=value, **columns))
            for depth, value in values.items()
        ]
    )


def predicted(values):
    return pd.concat(
        [located(d, pd.DataFrame({"score": [value]})) for d, value in values.items()]
    )


def variants_of(own, rows):
    profile = PROFILES["standard"]
    return statistics.variants(own, profile, {"study": rows}, {}, ())


def judge(effect, rows, region=None, theory=None):
    own = page(effect)
    predictions = {"study": predicted(theory)} if theory else {}
    outcomes = statistics.outcomes(own, {"study": rows}, predictions)
    return statistics.estimate(
        criterion(effect, region), own.studies[0], outcomes, variants_of(own, rows)
    )


def estimate(effect, values, theory=None):
    return judge(effect, measured(values), theory=theory)


SCORE = Value("score")
INTERACTION = Interaction(
    SCORE, {"depth": 4}, over={"depth": 2}, minus={"depth": 2}, minus_over={"depth": 1}
)


def test_mean():
    found = estimate(Mean(SCORE, {"depth": 2}), scores())
    values = scores()[2]
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(
        [found.value, found.low, found.high], [values.mean(), low, high], rtol=1e-12
    )
    assert (found.n, found.seeds, found.values) == (16, tuple(SEEDS), tuple(values))
    assert found.standardized == pytest.approx(values.mean() / values.std(ddof=1))


def test_difference_and_its_reverse():
    arms = {"depth": 4}, {"depth": 1}
    forth = estimate(Difference(SCORE, arms[0], minus=arms[1]), scores())
    back = estimate(Difference(SCORE, arms[1], minus=arms[0]), scores())
    assert forth.value == pytest.approx((scores()[4] - scores()[1]).mean())
    assert (back.value, back.low, back.high) == (-forth.value, -forth.high, -forth.low)
    assert forth.improvement["value"] == 1.0
    assert back.improvement["value"] == 0.0


def test_a_constant_added_to_both_arms_changes_nothing():
    effect = Difference(SCORE, {"depth": 4}, minus={"depth": 1})
    whole = {depth: np.round(8 * value) for depth, value in scores().items()}
    shifted = {depth: value + 64 for depth, value in whole.items()}
    assert estimate(effect, shifted) == estimate(effect, whole)


def test_log_ratio_is_natural_and_paired():
    values = {1: np.full(16, 2.0), 4: np.full(16, 2.0) * np.exp(np.linspace(1, 2, 16))}
    found = estimate(LogRatio(SCORE, {"depth": 4}, over={"depth": 1}), values)
    assert found.value == pytest.approx(1.5)
    np.testing.assert_allclose(found.values, np.linspace(1, 2, 16))


def test_an_interaction_is_one_log_ratio_minus_another_of_the_same_seed():
    wave = np.linspace(1, 2, 16)
    values = {1: 2 + wave, 2: (2 + wave) * 3, 4: (2 + wave) * 3 * np.exp(wave)}
    found = estimate(INTERACTION, values)
    np.testing.assert_allclose(found.values, wave - math.log(3))
    assert found.n == 16


RATIO = LogRatio(SCORE, {"depth": 4}, over={"depth": 1})


@pytest.mark.parametrize("effect", [RATIO, INTERACTION], ids=lambda e: e.kind)
def test_a_log_ratio_of_what_is_not_positive_is_undecided(effect):
    values = scores() | {1: np.zeros(16)}
    found = estimate(effect, values)
    assert (found.answer, found.note) == (
        "undecided",
        "a log-ratio needs positive outcomes",
    )


def test_gap_is_measurement_minus_theory():
    found = estimate(Gap(SCORE, {"depth": 2}), scores(), {2: 5.0})
    assert found.value == pytest.approx(scores()[2].mean() - 5.0)
    assert found.predicted == 5.0


def test_trend_is_each_seeds_rank_correlation_with_the_factor():
    values = {1: np.zeros(16), 2: np.ones(16), 4: np.full(16, 2.0)}
    values[4][:4] = 0.5  # ranks 1, 3, 2
    found = estimate(Trend(SCORE, along="depth", where={}), values)
    np.testing.assert_allclose(found.values, [0.5] * 4 + [1.0] * 12)


def test_rates():
    first, second = np.arange(16) < 12, np.arange(16) < 3
    values = {1: first.astype(float), 2: second.astype(float)}
    rate = estimate(Rate(SCORE, {"depth": 1}), values)
    assert (rate.value, rate.method) == (0.75, "Clopper-Pearson")
    assert (rate.low, rate.high) == intervals.clopper_pearson(12, 16)
    both = estimate(RateDifference(SCORE, {"depth": 1}, minus={"depth": 2}), values)
    assert both.value == 9 / 16
    assert (both.low, both.high) == intervals.newcombe(first, second)


def test_deviation_is_the_largest_of_all_seeds_and_counts_elements():
    effect = Deviation(SCORE, {"depth": 1})
    values = np.linspace(-2e-9, 1e-9, 16)
    rows = measured({1: values}, elements=100)
    found = judge(effect, rows, Region.below(1e-8))
    assert (found.value, found.n, found.answer) == (2e-9, 1600, "holds")
    assert (found.p_holds, found.p_fails) == (None, None)


@pytest.mark.parametrize("region", [Region.above(1e-8), Region(1e-8, 1.0)])
def test_a_deviation_without_a_tolerance_is_refused(region):
    with pytest.raises(PageError, match="tolerance"):
        judge(Deviation(SCORE, {"depth": 1}), measured({1: np.ones(16)}), region)


def test_a_log_ratio_spans_the_range_of_numbers():
    values = {1: np.full(16, 1e-300), 4: np.full(16, 1e300)}
    found = estimate(LogRatio(SCORE, {"depth": 4}, over={"depth": 1}), values)
    assert found.value == pytest.approx(600 * math.log(10), rel=1e-12)


def test_an_arm_is_missing_where_it_was_not_planned_and_undecided_where_it_was_lost():
    effect = Difference(SCORE, {"depth": 4}, minus={"depth": 1})
    rows = measured({1: scores()[1]})
    own = page(effect)
    outcomes = statistics.outcomes(own, {"study": rows}, {})
    planned = variants_of(own, rows)
    for variants, answer in (
        (planned, "undecided"),
        (planned[planned["depth"] < 4], "missing"),
    ):
        found = statistics.estimate(
            criterion(effect), own.studies[0], outcomes, variants
        )
        assert found.answer == answer


def test_all_arms_use_the_seeds_that_all_have():
    rows = measured({1: scores()[1], 4: scores()[4]})
    lost = ((rows["depth"] == 1) & (rows["seed"] == 0)) | (
        (rows["depth"] == 4) & (rows["seed"] == 5)
    )
    effect = Difference(SCORE, {"depth": 4}, minus={"depth": 1})
    found = judge(effect, rows[~lost])
    kept = [seed for seed in SEEDS if seed not in (0, 5)]
    assert found.seeds == tuple(kept)
    np.testing.assert_array_equal(found.values, (scores()[4] - scores()[1])[kept])


@pytest.mark.parametrize(
    ("effect", "predicted"),
    [
        (Mean(SCORE, {"depth": 4}), 8.0),
        (Gap(SCORE, {"depth": 4}), 8.0),  # what the quantity should be
        (Difference(SCORE, {"depth": 4}, minus={"depth": 1}), 6.0),
        (LogRatio(SCORE, {"depth": 4}, over={"depth": 1}), math.log(4)),
        (INTERACTION, math.log(8 / 9) - math.log(9 / 2)),
        (Trend(SCORE, along="depth", where={}), 0.5),
        (Mean(Value("score", at={}), {"depth": 2}), 9.0),
    ],
)
def test_theory_predicts_the_effect_itself(effect, predicted):
    found = estimate(effect, scores(), {1: 2.0, 2: 9.0, 4: 8.0})
    assert found.predicted == pytest.approx(predicted)


def test_theory_of_one_arm_predicts_no_contrast():
    effect = Difference(SCORE, {"depth": 4}, minus={"depth": 1})
    assert estimate(effect, scores(), {4: 8.0}).predicted is None
    assert estimate(effect, scores()).predicted is None
    ratio = LogRatio(SCORE, {"depth": 4}, over={"depth": 1})
    assert estimate(ratio, {1: scores()[4], 4: scores()[4]}, {1: 0.0, 4: 1.0}).n == 16


def test_a_gap_without_theory_is_undecided():
    found = estimate(Gap(SCORE, {"depth": 2}), scores(), {4: 5.0})
    assert (found.answer, found.note) == ("undecided", "theory predicts nothing here")


@pytest.mark.parametrize(
    "effect",
    [Rate(SCORE, {"depth": 1}), RateDifference(SCORE, {"depth": 1}, {"depth": 2})],
)
def test_a_success_is_0_or_1(effect):
    values = {1: np.ones(16), 2: np.zeros(16)}
    assert estimate(effect, values).n == 16
    values[1][3] = 0.5
    with pytest.raises(PageError, match=r"0 or 1 in score.*\n.*0\.5, 1"):
        estimate(effect, values)


def test_levels_of_a_trend_must_differ():
    trend = Trend(SCORE, along="depth", where={})
    both = page(trend)
    two = replace(both.studies[0], standard=grid(depth=DEPTHS, data=("a", "b")))
    table = pd.DataFrame({"study": "study", "variant": [v.name for v in two.standard]})
    with pytest.raises(PageError, match="one variant for each level of depth"):
        statistics.estimate(
            criterion(trend), two, statistics.outcomes(both, {}, {}), table
        )


def test_no_spread_is_said():
    found = estimate(Mean(SCORE, {"depth": 1}), {1: np.full(16, 0.1)})
    assert (found.value, found.low, found.high) == (0.1, 0.1, 0.1)
    assert "no spread" in found.note
    assert found.standardized is None


def test_five_seeds_can_never_decide():
    rows = measured({1: scores()[1]})
    found = judge(Mean(SCORE, {"depth": 1}), rows[rows["seed"] < 5])
    assert found.low > 0
    assert found.answer == "undecided"
    assert found.note == "the t interval and the sign-flip test disagree"


FOUR_MINUS_ONE = Difference(SCORE, {"depth": 4}, minus={"depth": 1})
EVERY_KIND = (
    Mean(SCORE, {"depth": 2}),
    FOUR_MINUS_ONE,
    LogRatio(SCORE, {"depth": 4}, over={"depth": 2}),
    INTERACTION,
    Gap(SCORE, {"depth": 2}),
    Trend(SCORE, along="depth", where={}),
    Rate(SCORE, {"depth": 2}),
    RateDifference(SCORE, {"depth": 2}, minus={"depth": 1}),
    Deviation(SCORE, {"depth": 2}),
)
any_kind = pytest.mark.parametrize("effect", EVERY_KIND, ids=lambda e: e.kind)


def fitting(effect):
    """Scores that an effect can be estimated from: 0 or 1 for success rates."""
    found = {depth: np.abs(value) for depth, value in scores().items()}
    if isinstance(effect, Rate | RateDifference):
        return {depth: (value % 1 < 0.5) * 1.0 for depth, value in found.items()}
    return found


@any_kind
def test_the_order_of_rows_changes_no_estimate(effect):
    rows = measured(fitting(effect))
    found = judge(effect, rows, theory={2: 5.0})
    mixed = judge(effect, rows.sample(frac=1, random_state=1), theory={2: 5.0})
    assert found == mixed


@any_kind
def test_an_estimate_from_files_is_the_estimate(effect, tmp_path):
    own = page(effect)
    rows = measured({d: v / 3 for d, v in fitting(effect).items()})
    if isinstance(effect, Rate | RateDifference):
        rows = measured(fitting(effect))
    outcomes = statistics.outcomes(own, {"study": rows}, {"study": predicted({2: 0.1})})
    made = [outcomes, variants_of(own, rows)]
    read = []
    for name, table in zip(("outcomes", "variants"), made, strict=True):
        results.write_table(tmp_path / name, table)
        read.append(results.read_table(tmp_path / name))
    found, again = (
        statistics.estimate(criterion(effect), own.studies[0], *tables)
        for tables in (made, read)
    )
    assert found.n > 0
    assert found == again


@any_kind
def test_a_seed_that_stands_twice_is_refused(effect):
    own = page(effect)
    rows = measured(fitting(effect))
    outcomes = statistics.outcomes(own, {"study": rows}, {"study": predicted({2: 5.0})})
    own_rows = outcomes[(outcomes["variant"] == "2") & (outcomes["seed"] == 7)]
    if effect is FOUR_MINUS_ONE:
        own_rows = own_rows.assign(variant="1")
    twice = pd.concat([outcomes, own_rows])
    with pytest.raises(PageError, match="more than once: 7"):
        statistics.estimate(
            criterion(effect), own.studies[0], twice, variants_of(own, rows)
        )


@any_kind
@pytest.mark.parametrize(
    ("seeds", "words"), [([3], "1 replica has"), ([3, 5], "2 replicas have")]
)
def test_a_missing_outcome_leaves_an_effect_undecided(effect, seeds, words):
    rows = measured(fitting(effect))
    depth = 4 if effect in (FOUR_MINUS_ONE, INTERACTION) else 2
    is_lost = (rows["depth"] == depth) & rows["seed"].isin(seeds)
    rows["score"] = rows["score"].mask(is_lost)
    found = judge(effect, rows, theory={2: 5.0})
    assert found.answer == "undecided"
    assert found.note == f"{words} no outcome and no registered score"
    assert math.isnan(found.value)
    assert (found.n, found.seeds, found.values) == (0, (), ())


@pytest.mark.parametrize(("level", "answer"), [(2.0, "holds"), (-2.0, "fails")])
def test_without_spread_a_mean_is_a_point_and_says_so(level, answer):
    found = estimate(Mean(SCORE, {"depth": 2}), {2: np.full(16, level)})
    assert (found.value, found.low, found.high) == (level, level, level)
    assert found.note.startswith("no spread over seeds: the interval is a point; up to")
    assert (found.answer, found.standardized) == (answer, None)


def test_one_seed_decides_nothing():
    rows = measured(scores())
    found = judge(Mean(SCORE, {"depth": 4}), rows[rows["seed"] == 0])
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert (found.answer, found.n) == ("undecided", 1)


@pytest.mark.parametrize(("n", "answer"), [(5, "undecided"), (6, "holds")])
def test_the_smallest_sign_flip_p_of_n_seeds_is_two_to_the_minus_n(n, answer):
    rows = measured({1: 1 + np.arange(16) / 100})
    found = judge(Mean(SCORE, {"depth": 1}), rows[rows["seed"] < n])
    assert found.p_holds < 0.001
    assert found.sign_flip_holds == 2.0**-n
    assert found.answer == answer


def test_an_interval_across_the_edge_is_undecided_without_a_note():
    found = estimate(Mean(SCORE, {"depth": 1}), {1: np.linspace(-1, 1, 16)})
    assert (found.answer, found.note) == ("undecided", "")


def test_an_effect_beyond_the_region_fails():
    found = judge(Mean(SCORE, {"depth": 4}), measured(scores()), Region.below(1.0))
    assert found.answer == "fails"
    assert found.p_fails < 0.025 < 0.975 < found.p_holds
    assert (found.sign_flip_fails, found.sign_flip_holds) == (2.0**-16, 1.0)


def test_swapped_arms_negate_a_log_ratio_and_a_difference_of_rates():
    arms = {"depth": 4}, {"depth": 2}
    positive = fitting(FOUR_MINUS_ONE)
    forth = estimate(LogRatio(SCORE, arms[0], over=arms[1]), positive)
    back = estimate(LogRatio(SCORE, arms[1], over=arms[0]), positive)
    np.testing.assert_allclose(
        [back.value, back.low, back.high], [-forth.value, -forth.high, -forth.low]
    )
    success = {4: np.arange(16) < 11.0, 2: np.arange(16) % 3 < 1.0}
    success = {depth: value * 1.0 for depth, value in success.items()}
    forth = estimate(RateDifference(SCORE, arms[0], minus=arms[1]), success)
    back = estimate(RateDifference(SCORE, arms[1], minus=arms[0]), success)
    np.testing.assert_allclose(
        [back.value, back.low, back.high], [-forth.value, -forth.high, -forth.low]
    )


def test_rates_of_textbooks():
    # Clopper & Pearson for 0 of 16: 1 - 0.025^(1/16).
    found = estimate(Rate(SCORE, {"depth": 1}), {1: np.zeros(16)})
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 16), rel=1e-12)
    # Newcombe 1998, method 10, for 36 both, 12 the first alone, 2 the second alone.
    one, two = np.repeat([(1.0, 1.0), (1.0, 0.0), (0.0, 1.0)], (36, 12, 2), axis=0).T
    seeds = {"seed": range(50)}
    rows = pd.concat(
        [located(1, tidy(seeds, score=one)), located(2, tidy(seeds, score=two))]
    )
    found = judge(RateDifference(SCORE, {"depth": 1}, minus={"depth": 2}), rows)
    assert found.value == pytest.approx(0.2)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0569, 0.3404)
    assert (found.answer, found.method, found.n) == ("holds", "Newcombe", 50)
    assert found.improvement["value"] == (12 + 36 / 2) / 50


def test_a_gap_to_a_far_prediction_fails_and_to_the_truth_holds():
    effect, within = Gap(SCORE, {"depth": 2}), Region.around(0.0, 1.0)
    rows = measured(scores())
    assert judge(effect, rows, within, {2: 6.0}).answer == "holds"
    assert judge(effect, rows, within, {2: 9.0}).answer == "fails"


def test_a_log_ratio_to_a_predicted_zero_is_not_predicted():
    effect = LogRatio(SCORE, {"depth": 4}, over={"depth": 2})
    found = estimate(effect, fitting(effect), {4: 8.0, 2: 0.0})
    assert (found.predicted, found.note) == (None, "")


def test_a_trend_that_falls_has_the_opposite_sign():
    falling = {depth: -value for depth, value in scores().items()}
    effect = Trend(SCORE, along="depth", where={})
    up, down = estimate(effect, scores()), estimate(effect, falling)
    assert down.values == tuple(-value for value in up.values)
    assert (up.value, up.variants) == (1.0, ("1", "2", "4"))


def test_a_trend_over_two_levels_is_missing():
    effect = Trend(SCORE, along="depth", where={})
    own, rows = page(effect), measured(scores())
    table = variants_of(own, rows)
    found = statistics.estimate(
        criterion(effect),
        own.studies[0],
        statistics.outcomes(own, {"study": rows}, {}),
        table[table["depth"] > 1],
    )
    assert (found.answer, found.variants) == ("missing", ())


@pytest.mark.parametrize(
    ("largest", "answer"), [(1.0, "holds"), (1.5, "undecided"), (101.0, "fails")]
)
def test_a_deviation_fails_clearly_beyond_its_tolerance_only(largest, answer):
    values = np.r_[-largest, np.zeros(15)]
    found = judge(
        Deviation(SCORE, {"depth": 1}), measured({1: values}), Region.below(1.0)
    )
    assert (found.value, found.answer) == (largest, answer)
    assert found.n == 16  # without a column of elements its seeds are counted


def layers(values):
    """Rows with a layer axis; the last layer has no value."""
    rows = tidy({"seed": SEEDS, "layer": [1, 2, 3, 4, 5]}, score=values)
    rows.loc[rows["layer"] == 5, "score"] = math.nan
    return located(1, rows)


def test_quantities_within_a_replica():
    values = np.random.default_rng(0).standard_normal((16, 5))
    of = (
        Value("score", at={"layer": 2}),
        Slope("score", over="layer"),
        RankCorrelation("score", over="layer"),
    )
    own = page(*(Mean(each, {"depth": 1}) for each in of))
    table = statistics.outcomes(own, {"study": layers(values)}, {})
    x = np.arange(1, 5)
    expected = {
        "score[layer=2]": values[:, 1],
        "slope of score over layer": [np.polyfit(x, v[:4], 1)[0] for v in values],
        "rank correlation of score with layer": [
            stats.spearmanr(x, v[:4]).statistic for v in values
        ],
    }
    for label, wanted in expected.items():
        found = table[table["outcome"] == label].sort_values("seed")["value"]
        np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert len(table) == 48


def test_a_value_that_names_several_rows_is_refused():
    own = page(Mean(SCORE, {"depth": 1}))
    with pytest.raises(PageError, match="several at"):
        statistics.outcomes(own, {"study": layers(np.zeros((16, 5)))}, {})


def test_a_diverged_replica_has_its_registered_score_or_none():
    rows = measured({1: np.full(16, 0.8)}).assign(status="ok", learning_rate=0.1)
    rows.loc[rows["seed"] == 3, ["score", "status"]] = [math.nan, "diverged"]
    for diverged, wanted in (((), math.nan), ({"score": 0.1}, 0.1)):
        own = page(Mean(SCORE, {"depth": 1}), diverged=diverged)
        table = statistics.outcomes(own, {"study": rows}, {})
        lost = table[table["seed"] == 3].iloc[0]
        np.testing.assert_equal(lost["value"], wanted)
        assert (lost["status"], lost["learning_rate"]) == ("diverged", 0.1)


def test_outcomes_survive_csv_and_the_order_of_rows(tmp_path):
    own = page(Gap(SCORE, {"depth": 2}))
    rows = measured({d: v / 3 for d, v in scores().items()})
    theory = {"study": predicted({1: 1 / 3, 2: 2 / 3})}
    table = statistics.outcomes(own, {"study": rows}, theory)
    mixed = statistics.outcomes(
        own, {"study": rows.sample(frac=1, random_state=0)}, theory
    )
    results.write_table(tmp_path / "one.csv", table)
    results.write_table(tmp_path / "two.csv", mixed)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    back = results.read_table(tmp_path / "one.csv")
    assert list(back["value"]) == list(table["value"])
    assert back.loc[back["source"] == "theory", "seed"].isna().all()


def test_theory_table():
    own = page(Gap(SCORE, {"depth": 2}))
    outcomes = statistics.outcomes(
        own, {"study": measured(scores())}, {"study": predicted({2: 5.0, 4: 12.0})}
    )
    table = statistics.theory(own, outcomes)
    assert list(table.columns) == [
        *("depth", "measured", "predicted", "gap", "gap_low", "gap_high"),
        *("study", "outcome"),
    ]
    assert list(table["depth"]) == [2, 4]
    row = table.iloc[0]
    assert row["gap"] == row["measured"] - row["predicted"]
    np.testing.assert_allclose(
        [row["gap_low"], row["gap_high"]], intervals.student(scores()[2] - 5.0)
    )


def test_a_rank_correlation_ignores_rows_without_the_other_column():
    of = RankCorrelation("score", over="layer")
    values = np.random.default_rng(1).standard_normal((16, 5))
    rows = located(1, tidy({"seed": SEEDS, "layer": range(5)}, score=values))
    rows["layer"] = rows["layer"].astype(float).replace({1.0: math.nan})
    own = page(Mean(of, {"depth": 1}))
    table = statistics.outcomes(own, {"study": rows}, {}).sort_values("seed")
    x = [0, 2, 3, 4]
    expected = [stats.spearmanr(x, v[x]).statistic for v in values]
    np.testing.assert_allclose(table["value"], expected, atol=1e-12)


def test_a_study_without_rows_has_no_outcomes():
    own = page(Mean(SCORE, {"depth": 1}))
    table = statistics.outcomes(own, {}, {})
    assert (len(table), "value" in table) == (0, True)
    found = statistics.estimate(
        criterion(Mean(SCORE, {"depth": 1})),
        own.studies[0],
        table,
        variants_of(own, None),
    )
    assert found.answer == "undecided"
    assert found.note == "no seed has an outcome in every arm"


RATES = (0.1, 1.0, 10.0)


def tuned(means, spread=0.0, lost=(), above=0.2):
    rows = tidy(
        {"seed": (0, 1), "learning_rate": RATES}, score=np.array([means, means])
    )
    rows["score"] += np.where(rows["seed"] == 0, spread, -spread)
    is_lost = rows["learning_rate"].isin(lost)
    rows["status"] = np.where(is_lost, "diverged", "ok")
    rows.loc[is_lost, "score"] = math.nan
    tuning = Tuning(RATES, choose="score", trains_above=above)
    study = page(Mean(SCORE, {"depth": 1}), tuning=tuning).studies[0]
    found = statistics.choose_rates(study, located(1, rows))
    return tuple(found[["learning_rate", "tuning_flag"]].iloc[0])


@pytest.mark.parametrize(
    ("means", "spread", "lost", "wanted"),
    [
        ((0.5, 0.9, 0.5), 0.0, (), (1.0, "")),
        ((0.9, 0.5, 0.3), 0.0, (), (0.1, "low edge")),
        ((0.3, 0.5, 0.9), 0.0, (), (10.0, "high edge")),
        ((0.9, 0.8, 0.3), 0.1, (), (0.1, "")),  # within the tuning seeds' spread
        ((0.9, 0.7, 0.3), 0.1, (), (0.1, "low edge")),
        ((0.1, 0.15, 0.1), 0.0, (), (1.0, "untrainable")),
        ((0.5, 0.6, 0.9), 0.0, (10.0,), (1.0, "")),  # what diverged never wins
        ((0.9, 0.9, 0.9), 0.0, RATES, (0.1, "untrainable")),
        ((0.9, 0.9, 0.9), 0.0, (1.0, 10.0), (0.1, "low edge")),
    ],
)
def test_choice_of_the_rate(means, spread, lost, wanted):
    assert tuned(means, spread, lost) == wanted


def test_variants_count_replicas_and_costs():
    own = page(Mean(SCORE, {"depth": 1}))
    rows = measured({1: scores()[1], 2: scores()[2]}, parameters=7).assign(status="ok")
    rows.loc[(rows["seed"] == 3) & (rows["depth"] == 1), "status"] = "diverged"
    cell = Cell("stub", "study", "evaluation", (("depth", 4),), (), tuple(SEEDS))

    class Failure:
        def __init__(self, cell):
            self.cell = cell

    table = statistics.variants(
        own, PROFILES["standard"], {"study": rows}, {}, [Failure(cell)]
    )
    counted = table[["depth", "seeds", "ok", "diverged", "failed"]].to_numpy().tolist()
    assert counted == [[1, 16, 15, 1, 0], [2, 16, 16, 0, 0], [4, 16, 0, 0, 16]]
    assert table["parameters"].iloc[0] == 7


@pytest.mark.parametrize("above", [0.2, -100.0, -math.inf])
def test_a_variant_that_always_diverges_is_untrainable(above):
    assert tuned((0.9, 0.9, 0.9), lost=RATES, above=above) == (0.1, "untrainable")


def test_variants_have_the_factors_of_all_studies_and_profiles():
    first = replace(
        page(FOUR_MINUS_ONE).studies[0], full=grid(depth=DEPTHS, width=(8,))
    )
    second = replace(first, name="other", standard=grid(arm=("a",)), full=())
    own = replace(page(FOUR_MINUS_ONE), studies=(first, second))
    table = variants_of(own, None)
    assert list(table.columns[:5]) == ["study", "variant", "depth", "width", "arm"]
    assert list(table["study"]) == ["study"] * 3 + ["other"]
    assert list(table["depth"][:3]) == [1, 2, 4]
    assert table["width"].isna().all()
    assert table["arm"].isna().tolist() == [True, True, True, False]
    assert (table[["ok", "diverged", "failed"]] == 0).all(axis=None)
