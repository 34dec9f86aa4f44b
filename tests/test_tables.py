"""Outcomes, learning rates, variants and theory, from tables with known answers."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dlclaims import results
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Deviation,
    Gap,
    Mean,
    RankCorrelation,
    Region,
    Slope,
    Value,
)
from dlclaims.errors import PageError
from dlclaims.pages import Card, Page, Study, Tuning, grid, tidy
from dlclaims.plan import PROFILES, Cell
from dlclaims.statistics import choose_rates, outcomes, tables, theory, variants
from dlclaims.statistics.quantities import reduce

KEYS = ["study", "variant", "seed"]
SLOPE = Slope("log_gradient", over="layer")
RANK = RankCorrelation("log_gradient", over="layer")
LAST = Value("log_gradient", at={"layer": 3})
ACCURACY = Value("accuracy")


def rows(variant="a", seeds=(0, 1), slopes=(0.5, -2.0), **columns):
    """Three layers of each seed, on a line that meets 1 at the first layer."""
    layers = np.array([1, 2, 3])
    lines = 1 + np.outer(slopes, layers - 1)
    table = tidy(
        {"seed": seeds, "layer": layers}, log_gradient=lines, status="ok"
    ).assign(**columns)
    table.insert(0, "study", "decay")
    table.insert(1, "variant", variant)
    return table


# Quantities.


def test_a_quantity_is_one_number_per_replica():
    table = rows()
    index = [("decay", "a", 0), ("decay", "a", 1)]
    for of, expected in (
        (SLOPE, [0.5, -2.0]),
        (RANK, [1.0, -1.0]),
        (LAST, [2.0, -3.0]),
    ):
        found = reduce(of, table, KEYS)
        assert list(found.index) == index
        np.testing.assert_allclose(found, expected, rtol=1e-15)


@given(y=st.lists(st.integers(-3, 3), min_size=3, max_size=8))
def test_slopes_and_ranks_equal_scipy(y):
    table = pd.DataFrame(
        {"seed": 0, "layer": np.arange(len(y)) ** 2, "log_gradient": y}
    )
    line = stats.linregress(table["layer"], y).slope
    assert reduce(SLOPE, table, ["seed"]).item() == pytest.approx(line, abs=1e-12)
    rank = stats.spearmanr(table["layer"], y).statistic if np.ptp(y) else 0.0
    assert reduce(RANK, table, ["seed"]).item() == pytest.approx(rank, abs=1e-12)


@pytest.mark.parametrize("of", [SLOPE, RANK, LAST])
def test_a_seed_that_stands_twice_is_refused(of):
    with pytest.raises(PageError, match="several at"):
        reduce(of, pd.concat([rows(), rows(seeds=(1, 2))]), KEYS)


def test_a_value_must_say_which_row_it_means():
    with pytest.raises(PageError, match="several at"):
        reduce(Value("log_gradient"), rows(), KEYS)


def test_a_replica_without_the_place_is_left_out_and_one_without_numbers_is_nan():
    table = rows()
    assert len(reduce(Value("log_gradient", at={"layer": 9}), table, KEYS)) == 0
    assert len(reduce(SLOPE, table.assign(layer=math.nan), KEYS)) == 0
    table.loc[table["seed"] == 0, "log_gradient"] = math.nan
    for of in (SLOPE, RANK, LAST):
        found = reduce(of, table, KEYS)
        assert math.isnan(found["decay", "a", 0])
        assert not math.isnan(found["decay", "a", 1])


@pytest.mark.parametrize(("of", "expected"), [(SLOPE, 0.5), (RANK, 1.0)])
def test_two_points_make_a_line_and_one_does_not(of, expected):
    table = rows(seeds=(0,), slopes=(0.5,))
    assert reduce(of, table.head(2), KEYS).item() == pytest.approx(expected)
    assert math.isnan(reduce(of, table.head(1), KEYS).item())


# Outcomes.


def page(*effects, diverged=(), tuning=None, levels=("a", "b")):
    study = Study(
        "decay",
        "A study",
        measure=lambda variant, seeds: None,
        predict=lambda variant: None,
        standard=grid(arm=levels),
        smoke=grid(arm=levels),
        diverged=diverged,
        tuning=tuning,
    )
    criteria = tuple(
        Criterion(str(i), "decay", effect, Region.above(0), "u", "s", "why", "rival")
        for i, effect in enumerate(effects)
    )
    claim = Claim("c", ("rate",), Assertion("So.", criteria, "supported"), None)
    return Page((study,), (claim,), (), Card("Q?", ("A.",), "But.", ()), name="page")


def measured(own, *parts, predicted=None):
    theory_rows = {"decay": predicted} if predicted is not None else {}
    return outcomes(own, {"decay": pd.concat(parts)}, theory_rows)


def test_outcomes_hold_each_quantity_of_each_replica_once_and_sorted():
    where = {"arm": "a"}
    own = page(Mean(SLOPE, where), Mean(LAST, where), Mean(SLOPE, {"arm": "b"}))
    found = measured(own, rows("b"), rows("a", learning_rate=0.1))
    assert list(found.columns) == tables.OUTCOMES
    assert [tuple(row) for row in found[["outcome", "variant", "seed"]].to_numpy()] == [
        (of.label, variant, seed)
        for of in (LAST, SLOPE)
        for variant in "ab"
        for seed in (0, 1)
    ]
    assert set(found["source"]) == {"measured"}
    by_rate = found.groupby("variant")["learning_rate"].max()
    assert by_rate["a"] == 0.1
    assert math.isnan(by_rate["b"])
    shuffled = pd.concat([rows("a", learning_rate=0.1), rows("b")]).sample(
        frac=1, random_state=np.random.RandomState(0)
    )
    pd.testing.assert_frame_equal(measured(own, shuffled), found)


def diverging(variant="a"):
    """Seed 1 diverged: its gradients are not a number."""
    table = rows(variant)
    is_lost = table["seed"] == 1
    table["log_gradient"] = table["log_gradient"].mask(is_lost)
    table["status"] = table["status"].mask(is_lost, "diverged")
    return table


@pytest.mark.parametrize(
    ("of", "name"),
    [(LAST, "log_gradient"), (SLOPE, SLOPE.label), (RANK, RANK.label)],
)
def test_a_diverged_replica_has_the_registered_score(of, name):
    where = {"arm": "a"}
    scored = measured(page(Mean(of, where), diverged={name: -7.0}), diverging())
    assert list(scored["value"]) == [reduce(of, rows(), KEYS).iloc[0], -7.0]
    assert list(scored["status"]) == ["ok", "diverged"]
    unscored = measured(page(Mean(of, where), diverged={"other": -7.0}), diverging())
    assert list(unscored["seed"]) == [0, 1]
    assert math.isnan(unscored["value"].iloc[1])


def test_a_columns_score_is_not_that_of_its_slope():
    own = page(Mean(SLOPE, {"arm": "a"}), diverged={"log_gradient": -7.0})
    assert math.isnan(measured(own, diverging())["value"].iloc[1])


def test_a_diverged_replica_is_scored_even_where_it_has_a_number():
    table = rows().assign(status="diverged")
    own = page(Mean(LAST, {"arm": "a"}), diverged={"log_gradient": -7.0})
    assert list(measured(own, table)["value"]) == [-7.0, -7.0]


def test_a_replica_that_diverges_in_one_row_diverged():
    table = rows().assign(status=["ok", "ok", "ok", "ok", "ok", "diverged"])
    own = page(Mean(SLOPE, {"arm": "a"}), diverged={SLOPE.label: -7.0})
    assert list(measured(own, table)["value"]) == [0.5, -7.0]
    counted = variants(own, PROFILES["standard"], {"decay": table}, {}, [])
    assert counted[["ok", "diverged"]].iloc[0].tolist() == [1, 1]


def test_predicted_outcomes_have_no_seed():
    predicted = rows("a", seeds=(0,), slopes=(0.25,)).drop(columns=["seed", "status"])
    own = page(Gap(SLOPE, {"arm": "a"}))
    found = measured(own, rows("a"), predicted=predicted)
    by_theory = found[found["source"] == "theory"]
    assert by_theory["value"].item() == pytest.approx(0.25)
    assert by_theory["seed"].isna().all()


def test_an_exact_deviation_brings_the_number_compared():
    table = rows().drop_duplicates("seed").assign(deviation=1e-9, elements=12)
    own = page(Deviation(Value("deviation"), {"arm": "a"}))
    found = measured(own, table).groupby("outcome")["value"]
    assert found.sum().to_dict() == pytest.approx({"deviation": 2e-9, "elements": 24})


def test_a_deviation_at_a_place_brings_the_number_compared_there():
    table = rows().assign(deviation=1e-9, elements=[5, 6, 7] * 2)
    own = page(Deviation(Value("deviation", at={"layer": 2}), {"arm": "a"}))
    found = measured(own, table).groupby("outcome")["value"].first().to_dict()
    assert found["elements[layer=2]"] == 6


def test_outcomes_survive_their_file(tmp_path):
    own = page(Mean(SLOPE, {"arm": "a"}), Mean(LAST, {"arm": "a"}))
    found = measured(own, rows(slopes=(1 / 3, 0.1 + 0.2)))
    results.write_table(tmp_path / "outcomes.csv", found)
    read = results.read_table(tmp_path / "outcomes.csv")
    assert (read["value"] == found["value"]).all()
    assert list(read["seed"]) == list(found["seed"])


# Learning rates.

RATES = (0.01, 0.1, 1.0)


def tuned(scores, rates=RATES, **options):
    """Choose among `scores`, shape (rates, seeds), of one variant."""
    scores = np.asarray(scores, float)
    table = tidy(
        {"learning_rate": rates, "seed": range(scores.shape[1])}, accuracy=scores
    )
    return chosen(table.assign(variant="a"), rates, **options)


def chosen(table, rates=RATES, diverged=(), above=0.2):
    tuning = Tuning(rates, choose="accuracy", trains_above=above)
    own = page(Mean(ACCURACY, {"arm": "a"}), tuning=tuning, diverged=diverged)
    found = choose_rates(own.studies[0], table)
    return found["learning_rate"].item(), found["tuning_flag"].item()


def test_the_best_rate_has_the_largest_mean_over_seeds():
    assert tuned([[0.5, 0.5], [0.9, 0.6], [0.8, 0.6]]) == (0.1, "")


def test_of_equal_rates_the_lowest_is_chosen():
    assert tuned([[0.5, 0.5], [0.8, 0.6], [0.6, 0.8]]) == (0.1, "")
    assert tuned([[0.7, 0.7]] * 3) == (0.01, "")


SPREAD = math.sqrt(0.5) / 4  # standard deviation of two seeds that are 1/4 apart


@pytest.mark.parametrize(("excess", "is_flagged"), [(1.01, True), (0.99, False)])
@pytest.mark.parametrize("spreads", [(0.25, 0.0), (0.0, 0.25), (0.25, 0.25)])
@pytest.mark.parametrize("edge", ["low edge", "high edge"])
def test_an_edge_is_flagged_beyond_the_spread_of_its_seeds(
    edge, spreads, excess, is_flagged
):
    best, neighbour = (np.array([-1, 1]) / 2 * spread for spread in spreads)
    scores = [0.6 + excess * SPREAD + best, 0.6 + neighbour, [0.3, 0.3]]
    expected = 0.01 if edge == "low edge" else 1.0
    scores = scores if edge == "low edge" else scores[::-1]
    assert tuned(scores) == (expected, edge if is_flagged else "")


def test_a_difference_of_exactly_the_spread_is_not_flagged():
    # Without spread a tie is no win, and any win is one.
    assert tuned([[0.5], [0.5], [0.25]]) == (0.01, "")
    assert tuned([[0.5], [0.25], [0.25]]) == (0.01, "low edge")


def test_the_only_rate_has_no_edge():
    assert tuned([[0.5, 0.6]], rates=(0.1,)) == (0.1, "")


def test_an_edge_beside_divergence_is_flagged():
    lost = [[0.9, 0.8], [math.nan, 0.7], [math.nan, math.nan]]
    assert tuned(lost) == (0.01, "low edge")
    assert tuned(lost, diverged={"accuracy": 0.1}) == (0.01, "low edge")
    assert tuned(lost[::-1]) == (1.0, "high edge")


@pytest.mark.parametrize("score", [0.1, math.nan])
def test_a_variant_that_stays_below_the_threshold_is_untrainable_not_flagged(score):
    scores = [[0.1, 0.1], [0.1, 0.1], [score, 0.1]]
    assert tuned(scores)[1] == "untrainable"
    assert tuned([[math.nan] * 2] * 3) == (0.01, "untrainable")
    assert tuned([[0.1] * 2, [0.2] * 2, [0.1] * 2]) == (0.1, "")  # at it, it trains


def test_divergence_counts_whatever_number_stands_there():
    table = tidy({"learning_rate": RATES, "seed": [0]}, accuracy=[[0.5], [0.6], [0.9]])
    table = table.assign(variant="a", status=["ok", "ok", "diverged"])
    assert chosen(table, diverged={"accuracy": 0.1}) == (0.1, "")
    assert chosen(table) == (0.1, "")


def test_a_tuning_seed_that_stands_twice_is_refused():
    table = tidy({"learning_rate": RATES, "seed": [0, 0]}, accuracy=0.5)
    with pytest.raises(ValueError, match="duplicate"):
        chosen(table.assign(variant="a"))


# Variants.


@dataclass(frozen=True)
class Failure:
    cell: Cell


def failure(stage, variant, seeds):
    return Failure(Cell("page", "decay", stage, (("arm", variant),), (), tuple(seeds)))


def test_variants_count_their_replicas_and_costs():
    own = page(Mean(SLOPE, {"arm": "a"}), levels=("a", "b", "c"))
    table = pd.concat([rows("a", parameters=7, steps=100), diverging("b")])
    rates = pd.DataFrame(
        {"variant": ["a"], "learning_rate": [0.1], "tuning_flag": ["low edge"]}
    )
    failures = [
        failure("evaluation", "b", range(2, 6)),
        failure("evaluation", "b", range(6, 9)),
        failure("tuning", "c", (10_000, 10_001)),
    ]
    found = variants(
        own, PROFILES["standard"], {"decay": table}, {"decay": rates}, failures
    ).set_index("variant")
    counts = found[["seeds", "ok", "diverged", "failed"]]
    assert counts.loc["a"].tolist() == [16, 2, 0, 0]
    assert counts.loc["b"].tolist() == [16, 1, 1, 7]
    assert counts.loc["c"].tolist() == [16, 0, 0, 16]  # without a rate nothing is run
    assert found.loc["a", ["learning_rate", "tuning_flag"]].tolist() == [
        0.1,
        "low edge",
    ]
    assert found.loc["a", ["parameters", "steps"]].tolist() == [7, 100]
    assert list(found["arm"]) == ["a", "b", "c"]
    assert found.loc["b", "tuning_flag"] == ""


# Theory.


def test_theory_lays_the_prediction_over_every_variant():
    own = page(Gap(SLOPE, {"arm": "a"}), Mean(LAST, {"arm": "a"}))
    slopes = {"a": (0.5, 0.7, 0.3), "b": (2.0, 2.5, 2.1)}
    parts = [rows(arm, seeds=range(3), slopes=s) for arm, s in slopes.items()]
    predicted = pd.concat(
        rows(arm, seeds=(0,), slopes=(0.4,)).drop(columns=["seed", "status"])
        for arm in slopes
    )
    found = theory(own, measured(own, *parts, predicted=predicted))
    assert list(found.columns) == [
        *("arm", "measured", "predicted", "gap", "gap_low", "gap_high"),
        *("study", "outcome"),
    ]
    assert set(found["outcome"]) == {SLOPE.label}
    for (_, row), values in zip(found.iterrows(), slopes.values(), strict=True):
        gaps = np.array(values) - 0.4
        low, high = stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
        expected = [np.mean(values), 0.4, gaps.mean(), low, high]
        given = row[["measured", "predicted", "gap", "gap_low", "gap_high"]]
        np.testing.assert_allclose(given.astype(float), expected, rtol=1e-12)
