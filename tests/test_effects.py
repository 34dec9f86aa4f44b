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


def criterion(effect, region=ABOVE_ZERO):
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
    spent = pd.DataFrame(columns=["study", "variant", "stage", "seconds"])
    profile = PROFILES["standard"]
    return statistics.variants(own, profile, {"study": rows}, {}, (), spent)


def judge(effect, rows, region=ABOVE_ZERO, theory=None):
    own = page(effect)
    predictions = {"study": predicted(theory)} if theory else {}
    outcomes = statistics.outcomes(own, {"study": rows}, predictions)
    return statistics.estimate(
        criterion(effect, region), own.studies[0], outcomes, variants_of(own, rows)
    )


def estimate(effect, values, theory=None):
    return judge(effect, measured(values), theory=theory)


SCORE = Value("score")


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


def test_a_log_ratio_of_what_is_not_positive_is_undecided():
    values = scores() | {1: np.zeros(16)}
    found = estimate(LogRatio(SCORE, {"depth": 4}, over={"depth": 1}), values)
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
    with pytest.raises(ValueError, match="several rows"):
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


RATES = (0.1, 1.0, 10.0)


def tuned(means, spread=0.0, lost=()):
    rows = tidy(
        {"seed": (0, 1), "learning_rate": RATES}, score=np.array([means, means])
    )
    rows["score"] += np.where(rows["seed"] == 0, spread, -spread)
    is_lost = rows["learning_rate"].isin(lost)
    rows["status"] = np.where(is_lost, "diverged", "ok")
    rows.loc[is_lost, "score"] = math.nan
    tuning = Tuning(RATES, choose="score", trains_above=0.2)
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
    spent = pd.DataFrame(
        [("study", "1", "evaluation", 2.0), ("study", "1", "tuning", 1.0)],
        columns=["study", "variant", "stage", "seconds"],
    )

    class Failure:
        def __init__(self, cell):
            self.cell = cell

    table = statistics.variants(
        own, PROFILES["standard"], {"study": rows}, {}, [Failure(cell)], spent
    )
    counted = table[["depth", "seeds", "ok", "diverged", "failed"]].to_numpy().tolist()
    assert counted == [[1, 16, 15, 1, 0], [2, 16, 16, 0, 0], [4, 16, 0, 0, 16]]
    assert table["parameters"].iloc[0] == 7
    assert table["seconds"].iloc[0] == 3.0
