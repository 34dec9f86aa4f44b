"""Cases whose answer is known: planted truths, symmetries, other people's code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from dlclaims.claims import Region
from dlclaims.seeds import MASTER
from dlclaims.statistics import answers, intervals, multiplicity, rules
from dlclaims.statistics.answers import FAILS, HOLDS, UNDECIDED
from dlclaims.statistics.intervals import Array
from dlclaims.statistics.rules import CONDITIONAL, INCONCLUSIVE, REFUTED, SUPPORTED

Row = dict[str, Any]

CLAIMS, SEEDS = 200, 10
EDGE = 0.5
REGION = Region.above(EDGE)

#: Largest deviation from the same number computed elsewhere.
TOLERANCE = 1e-12


def checks(seed: int = MASTER) -> list[Row]:
    """Return what was checked in cases whose answer is known, and how many came right.

    Returns
    -------
    list of dict
        ``name``, ``what`` in words, ``made`` and ``right``: numbers of cases.
    """
    rng = np.random.default_rng([seed, 0])
    return [*_planted(rng), *_symmetries(rng), *_oracles(rng)]


def _row(name: str, what: str, is_right: npt.ArrayLike) -> Row:
    cases = np.asarray(is_right, bool)
    return {"name": name, "what": what, "made": cases.size, "right": int(cases.sum())}


def _planted(rng: np.random.Generator) -> Iterator[Row]:
    """Yield claims that are true or false by construction.

    The noise reaches from -1/2 to 1/2, and no effect lies nearer to its edge.
    """
    noise = rng.uniform(-0.5, 0.5, (CLAIMS, 3, SEEDS))
    for what, effects, verdict in (
        ("three true conditions are supported", (1.5, 1.5, 1.5), SUPPORTED),
        ("three false conditions are refuted", (-0.5, -0.5, -0.5), REFUTED),
        ("a true and two false ones are conditional", (1.5, -0.5, -0.5), CONDITIONAL),
    ):
        found = rules.paired(np.array(effects)[:, None] + noise, REGION)
        yield _row("planted effects", what, found == verdict)
    balanced = EDGE + np.concatenate([noise, -noise], axis=-1)
    found = rules.paired(balanced, REGION)
    what = "what lies on the edge itself is inconclusive"
    yield _row("planted effects", what, found == INCONCLUSIVE)
    counts, region = np.arange(65), Region.above(EDGE)
    rates = answers.place(intervals.clopper_pearson(counts, 64), region)
    truth = np.select([counts > 40, counts < 24], [HOLDS, FAILS], UNDECIDED)
    what = "of 64 seeds, 41 successes or more are above one half, 23 or fewer below"
    yield _row("planted rates", what, rates == truth)
    deviations = np.array([0.0, 1.0, 1.01, 100.0, 101.0])
    exact = [answers.exact(d, Region.below(1.0)) for d in deviations]
    what = "up to the tolerance holds, above a hundred times it fails"
    right = np.equal(exact, [HOLDS, HOLDS, UNDECIDED, UNDECIDED, FAILS])
    yield _row("planted deviations", what, right)


def _symmetries(rng: np.random.Generator) -> Iterator[Row]:
    """Yield what must not change a verdict, and what must turn it round.

    Values are multiples of 1/8, so that sums are exact and ties are met.
    """
    centres = rng.uniform(-1, 2, (CLAIMS, 1, 1)) + rng.normal(0, 0.5, (CLAIMS, 3, 1))
    noise = rng.standard_normal((CLAIMS, 3, SEEDS)) / 2
    values = np.round(8 * (centres + noise)) / 8
    before = rules.paired(values, REGION)
    below = rules.paired(values, Region.below(EDGE))
    swapped = {SUPPORTED: REFUTED, REFUTED: SUPPORTED}
    turned = [swapped.get(int(verdict), int(verdict)) for verdict in before]
    what = "supported and refuted change places"
    yield _row("direction reversed", what, below == turned)
    base = np.round(8 * rng.standard_normal(values.shape)) / 8
    one_by_one = np.array([rules.paired(claim, REGION) for claim in values])
    for what, after in {
        "arms exchanged": rules.paired(-values, Region.below(-EDGE)),
        "constant added to both arms": rules.paired(
            (values + base + 1000) - (base + 1000), REGION
        ),
        "seeds permuted": rules.paired(rng.permuted(values, axis=-1), REGION),
        "conditions permuted": rules.paired(values[:, ::-1], REGION),
        "another unit": rules.paired(1000 * values, Region.above(1000 * EDGE)),
        "one claim at a time": one_by_one,
    }.items():
        yield _row(what, "the verdict stays", after == before)
    favoured = rules.paired(values + 0.25, REGION)
    is_kept = (before != SUPPORTED) | (favoured == SUPPORTED)
    is_kept &= (favoured != REFUTED) | (before == REFUTED)
    what = "support is never lost, and nothing becomes refuted"
    yield _row("effects moved into the region", what, is_kept)


def _oracles(rng: np.random.Generator) -> Iterator[Row]:
    """Yield comparisons with scipy and, where it is installed, with statsmodels."""
    samples = rng.normal(0.3, 1.0, (20, SEEDS))
    p_values = rng.uniform(size=(20, 12)) ** 3

    def each(of: Callable[..., Any], cases: npt.ArrayLike = samples) -> Array:
        return np.array([of(case) for case in np.asarray(cases)], float)

    yield _compared(
        "Student's interval, scipy",
        np.stack(intervals.student(samples), axis=-1),
        each(lambda x: stats.ttest_1samp(x, 0).confidence_interval(0.95)),
    )
    yield _compared(
        "Student's test, scipy",
        intervals.student_p(samples, 0.2),
        each(lambda x: stats.ttest_1samp(x, 0.2, alternative="greater").pvalue),
    )
    yield _compared(
        "sign-flip test, scipy",
        intervals.sign_flip_p(samples, 0.2),
        each(lambda x: _flipped(x - 0.2)),
    )
    counts = np.arange(17)
    yield _compared(
        "test of a rate, scipy",
        each(lambda k: intervals.rate_p(int(k), 16, 0.7), counts),
        each(
            lambda k: stats.binomtest(int(k), 16, 0.7, alternative="greater").pvalue,
            counts,
        ),
    )
    if find_spec("statsmodels") is None:
        return
    from statsmodels.stats import multitest, proportion
    from statsmodels.stats.weightstats import DescrStatsW

    for name, ours, method in (
        ("Holm, statsmodels", multiplicity.holm, "holm"),
        ("Benjamini-Hochberg, statsmodels", multiplicity.benjamini_hochberg, "fdr_bh"),
    ):
        theirs = [multitest.multipletests(p, method=method)[1] for p in p_values]
        yield _compared(name, each(ours, p_values), theirs)
    yield _compared(
        "equivalence (TOST), statsmodels",
        answers.student_sides(samples, Region(-0.6, 0.9)).holds,
        each(lambda x: DescrStatsW(x).ttost_mean(-0.6, 0.9)[0]),
    )
    yield _compared(
        "Clopper-Pearson, statsmodels",
        np.stack(intervals.clopper_pearson(counts, 16), axis=-1),
        each(lambda k: proportion.proportion_confint(k, 16, method="beta"), counts),
    )


def _flipped(values: Array) -> float:
    """Return the exact sign-flip p-value of a mean, from scipy."""
    test = stats.permutation_test(
        (values,),
        np.mean,
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
    )
    return float(test.pvalue)


def _compared(name: str, ours: npt.ArrayLike, theirs: npt.ArrayLike) -> Row:
    deviations = np.abs(np.subtract(ours, theirs))
    what = f"equal to {TOLERANCE:g}; largest deviation {deviations.max():.1g}"
    return _row(f"oracle: {name}", what, deviations <= TOLERANCE)
