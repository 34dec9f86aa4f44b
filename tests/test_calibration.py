"""The quick calibration: verdicts err as rarely as promised, and the gates can fail."""

import math

import numpy as np
import pytest
from scipy import stats

from dlclaims.report import soundness
from dlclaims.statistics import (
    answers,
    checks,
    intervals,
    multiplicity,
    rules,
    simulation,
)
from dlclaims.statistics.simulation import EDGE, EFFECT, FAMILIES, NORMAL

CLAIMS = 2_000
NAMES = [f"{family.name}, {family.scale}" for family in FAMILIES]
GATED = [name for name, f in zip(NAMES, FAMILIES, strict=True) if f.is_gated]
SHOWN = [name for name in NAMES if name not in GATED]


def simulate(families, claims):
    """The rows as the report reads them, by family and scale."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "FAMILIES", families)
        rows = [soundness.Family(**row) for row in simulation.nulls(claims)]
    return {f"{row.family}, {row.scale}": row for row in rows}


@pytest.fixture(scope="module")
def found():
    gated = tuple(family for family in FAMILIES if family.is_gated)
    shown = tuple(family for family in FAMILIES if not family.is_gated)
    return simulate(gated, CLAIMS) | simulate(shown, CLAIMS // 5)


@pytest.mark.parametrize("name", GATED)
def test_a_gated_family_errs_as_rarely_as_promised(found, name):
    limit = 0.025 + 3 * math.sqrt(0.025 * 0.975 / CLAIMS)
    assert found[name].limit == pytest.approx(limit)
    assert 0 < found[name].false_supported <= limit
    assert 0 < found[name].false_refuted <= limit
    assert found[name].passes


@pytest.mark.parametrize("name", SHOWN)
def test_a_skewed_family_on_its_raw_scale_is_shown_and_would_not_pass(found, name):
    row = found[name]
    assert (row.gated, row.limit, row.passes) == (False, None, True)
    assert min(row.false_supported, row.false_refuted) > 0.1
    assert row.coverage < 0.9


def test_gated_are_the_scales_on_which_such_claims_must_be_registered():
    assert [f.scale for f in FAMILIES if f.name == "log-normal"] == [
        "log-ratio",
        "raw ratio",
    ]
    assert len(GATED) == 6
    assert len(SHOWN) == 2


def test_normal_intervals_cover_the_truth_and_no_others_are_gated(found):
    gates = {(row.coverage_low, row.coverage_high) for row in found.values()}
    assert gates == {(0.94, 0.965), (None, None)}
    assert 0.94 <= found["normal, difference"].coverage <= 0.965
    assert found["normal, difference"].coverage_high


def test_win_rates_err_and_find_as_the_binomial_distribution_says(found):
    edge, truth = 0.95 * stats.norm.cdf([EDGE, EFFECT])
    counts = np.arange(65)
    above = stats.binom.sf(counts - 1, 64, edge) <= 0.025
    below = stats.binom.cdf(counts, 64, edge) <= 0.025
    row = found["5 % diverged, win rate"]
    for share, expected in (
        (row.false_supported, stats.binom.pmf(counts, 64, edge)[above].sum()),
        (row.false_refuted, stats.binom.pmf(counts, 64, edge)[below].sum()),
        (row.power, stats.binom.pmf(counts, 64, truth)[above].sum() ** 3),
    ):
        assert abs(share - expected) <= 3 * math.sqrt(expected / CLAIMS)


def test_power_is_what_sixteen_seeds_were_chosen_for():
    rows = [soundness.Power(**row) for row in simulation.powers(CLAIMS)]
    assert [row.seeds for row in rows] == [8, 10, 16, 20, 30]
    assert [row.limit for row in rows] == [None, None, 0.85, None, None]
    assert [row.simulated for row in rows] == [CLAIMS] * 4 + [CLAIMS // 10]
    assert all(row.passes for row in rows)
    shares = [row.supported for row in rows]
    assert shares == sorted(shares)
    # That signs must agree costs few seeds some of the t test's 31, 53, 89 and 97 %.
    most = [
        stats.nct.sf(stats.t.isf(0.025, n - 1), n - 1, math.sqrt(n)) ** 3
        for n in (8, 10, 16, 20, 30)
    ]
    for row, chance in zip(rows, most, strict=True):
        error = math.sqrt(chance * (1 - chance) / row.simulated)
        assert chance - 0.1 <= row.supported <= chance + 3 * error


# Gates can fail.


def set_alpha(monkeypatch, factor):
    for module in (intervals, answers, rules):
        monkeypatch.setattr(module, "ALPHA", factor * 0.025)


def test_a_doubled_error_rate_fails_all_gates(monkeypatch):
    set_alpha(monkeypatch, 2)
    [row] = simulate((NORMAL,), CLAIMS).values()
    assert min(row.false_supported, row.false_refuted) > row.limit
    assert row.coverage < row.coverage_low
    assert not row.passes


def test_a_halved_error_rate_fails_the_gates_of_power_and_coverage(monkeypatch):
    set_alpha(monkeypatch, 0.5)
    monkeypatch.setattr(simulation, "PLANNED", (16,))
    [row] = simulate((NORMAL,), CLAIMS).values()
    assert row.coverage > row.coverage_high
    [power] = [soundness.Power(**row) for row in simulation.powers(CLAIMS)]
    assert power.supported < power.limit
    assert not row.passes
    assert not power.passes


@pytest.mark.parametrize("name", SHOWN)
def test_a_raw_scale_would_fail_the_gate(found, name):
    gated = simulation.limit(CLAIMS)
    assert max(found[name].false_supported, found[name].false_refuted) > 2 * gated


# The simulated worlds.


@pytest.mark.parametrize(
    ("draw", "quantile"),
    [
        (simulation.normal, stats.norm.ppf),
        (simulation.heavy, lambda q: stats.t.ppf(q, 3) / math.sqrt(3)),
        (simulation.log_ratios, stats.norm.ppf),
        (
            simulation.ratios,
            lambda q: (
                (stats.lognorm.ppf(q, 1) - stats.lognorm.mean(1)) / stats.lognorm.std(1)
            ),
        ),
    ],
)
def test_noise_has_its_distribution_in_standard_deviations(draw, quantile):
    noise = draw(np.random.default_rng(1), (100, 1_000))
    for q in (0.1, 0.25, 0.5, 0.9):
        assert abs((noise <= quantile(q)).mean() - q) < 0.006  # 4 s.e.


def test_ties_lie_on_a_grid():
    noise = simulation.tied(np.random.default_rng(1), (10_000,))
    np.testing.assert_array_equal(3 * noise, np.round(3 * noise))
    assert len(np.unique(noise)) < 40


@pytest.mark.parametrize("score", [-2.0, -10.0, -math.inf])
def test_one_replica_in_twenty_diverges(score):
    noise = simulation.diverging(np.random.default_rng(1), (100_000,), score)
    lost = noise == (score - 0.05 * score if math.isfinite(score) else score)
    assert abs(lost.mean() - 0.05) < 0.003
    if math.isfinite(score):
        assert abs(noise.mean()) < 4 * noise.std() / math.sqrt(noise.size)


def test_a_calibration_can_be_repeated_and_another_seed_gives_another():
    assert simulation.nulls(20) == simulation.nulls(20)
    assert simulation.nulls(20) != simulation.nulls(20, seed=1)
    assert simulation.powers(20) == simulation.powers(20)


# Cases whose answer is known.


def named():
    return {row["name"]: soundness.Check(**row) for row in checks.checks()}


def test_all_checks_come_out_right():
    rows = checks.checks()
    assert [row for row in rows if row["right"] != row["made"]] == []
    kinds = ("planted", "direction reversed", "constant added", "seeds perm", "oracle")
    for kind in kinds:
        assert sum(row["made"] for row in rows if row["name"].startswith(kind)) > 15


def test_a_missing_correction_fails_its_oracle(monkeypatch):
    monkeypatch.setattr(multiplicity, "holm", lambda p: np.asarray(p))
    row = named()["oracle: Holm, statsmodels"]
    assert row.right < row.made


def test_an_interval_that_leans_fails_the_symmetries_and_its_oracle(monkeypatch):
    right = intervals.student

    def leaning(values):
        low, high = right(values)
        return intervals.Bounds(low - 0.3, high)

    monkeypatch.setattr(intervals, "student", leaning)
    found = named()
    wrong = {name for name, row in found.items() if row.right < row.made}
    assert wrong == {
        "another unit",
        "arms exchanged",
        "oracle: Student's interval, scipy",
    }


def test_a_doubled_error_rate_fails_the_planted_rates(monkeypatch):
    exact = intervals.clopper_pearson
    monkeypatch.setattr(
        intervals, "clopper_pearson", lambda k, n: exact(k, n, alpha=0.05)
    )
    row = named()["planted rates"]
    assert row.right < row.made


def test_without_statsmodels_its_oracles_are_left_out(monkeypatch):
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    names = set(named())
    assert "oracle: Student's test, scipy" in names
    assert not any("statsmodels" in name for name in names)
