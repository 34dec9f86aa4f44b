"""From answers to verdicts.

A verdict is a function of a page's declarations and of the committed tables
``outcomes.csv`` and ``variants.csv`` alone. What is returned is JSON-ready.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import data, plan
from dlclaims.claims import Assertion, Criterion, Region
from dlclaims.pages import Page, selections
from dlclaims.plan import Profile
from dlclaims.statistics import faults, multiplicity, power, reasons, rules
from dlclaims.statistics.answers import NAMES as ANSWERS
from dlclaims.statistics.answers import Sides
from dlclaims.statistics.effects import Estimate, estimate
from dlclaims.statistics.intervals import ALPHA, LEVEL
from dlclaims.statistics.reasons import Judged

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1


def assess(
    page: Page,
    profile: Profile,
    outcomes: pd.DataFrame,
    variants: pd.DataFrame,
    registration: str,
) -> dict[str, Any]:
    """Judge all claims of a page.

    Parameters
    ----------
    profile : Profile
        The one under which the tables were made.
    outcomes, variants : DataFrame
        As in ``outcomes.csv`` and ``variants.csv``.
    registration : str
        The digest under which the tables were made; under another than the page's own
        no claim gets a verdict.

    Returns
    -------
    dict
        The content of ``verdicts.json``; p-values over the report (`correct`) still
        missing.
    """
    current = plan.registration(page, profile, data.DIGESTS)["digest"]
    stale = current != registration
    return {
        "schema": SCHEMA,
        "page": page.name,
        "profile": profile.name,
        "registration": registration,
        "claims": {
            claim.id: {
                "kinds": list(claim.kinds),
                **{
                    role: _judge(page, made, profile, outcomes, variants, stale)
                    if (made := getattr(claim, role))
                    else None
                    for role in ("document", "corrected")
                },
            }
            for claim in page.claims
        },
    }


def _judge(
    page: Page,
    assertion: Assertion,
    profile: Profile,
    outcomes: pd.DataFrame,
    variants: pd.DataFrame,
    stale: bool,
) -> dict[str, Any]:
    judged = [
        (c, estimate(c, page.study(c.study), outcomes, variants))
        for c in assertion.criteria
    ]
    studies = {c.study: page.study(c.study) for c in assertion.criteria}.values()
    why_not = unassessed(profile.name, judged, stale)
    if why_not:
        ruling = _ruling("not assessed", why_not)
    else:
        flaws = [
            *faults.defects(judged, profile, studies, variants),
            *faults.broken_controls(studies, profile, outcomes, variants),
        ]
        ruling = rule(judged, flaws)
    return {
        "text": assertion.text,
        "expected": assertion.expected,
        **ruling,
        "exploratory": any(
            faults.is_exploratory(s, profile, outcomes) for s in studies
        ),
        "holm": None,
        "q": None,
        "uncorrected_only": False,
        "criteria": [describe(criterion, found) for criterion, found in judged],
    }


def unassessed(profile: str, judged: Sequence[Judged], stale: bool) -> str:
    """Return why a claim gets no verdict; empty where it gets one."""
    if stale:
        return "The page's design has changed since these results were made."
    missing = [
        name
        for name, (_, found) in zip(reasons.names(judged), judged, strict=True)
        if found.answer == "missing"
    ]
    if missing:
        return (
            f"{len(missing)} of {len(judged)} conditions were not measured under the"
            f" {profile} profile: {reasons.listed(missing)}."
        )
    if profile == "smoke" and not all(faults.is_exact(c) for c, _ in judged):
        return "The smoke profile has too few seeds for a verdict."
    return ""


def rule(judged: Sequence[Judged], flaws: Sequence[str]) -> dict[str, Any]:
    """Return verdict, label, reason and what follows from the answers.

    Any flaw makes the claim inconclusive; the reason says what it would be otherwise.
    """
    found = np.array([CODES[e.answer] for _, e in judged])
    sides = Sides(
        *(np.array([side_p(e, side) for _, e in judged]) for side in ("holds", "fails"))
    )
    kept = rules.after_holm(found, sides)
    standing = [ANSWERS[int(answer)] for answer in kept]
    code = int(rules.verdicts(found, sides))
    verdict = rules.NAMES[code]
    if flaws:
        reason = f"{' '.join(flaws)} Otherwise: {verdict}."
        p = rules.headline_p(rules.INCONCLUSIVE, found, sides)
        return _ruling("inconclusive", reason, p=p)
    return _ruling(
        verdict,
        reasons.explain(verdict, judged, standing),
        label=sublabel(judged) if verdict == "refuted" else None,
        separated_by=reasons.separated_by(judged, standing)
        if verdict == "conditional"
        else None,
        seeds_to_decide=seeds_to_decide(judged, standing)
        if verdict == "inconclusive"
        else None,
        p=rules.headline_p(code, found, sides),
    )


#: Answers as numbers, by name.
CODES = {name: code for code, name in ANSWERS.items()}


def _ruling(
    verdict: str,
    reason: str,
    label: str | None = None,
    separated_by: str | None = None,
    seeds_to_decide: int | None = None,
    p: float | None = None,
) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "label": label,
        "reason": reason,
        "separated_by": separated_by,
        "seeds_to_decide": seeds_to_decide,
        "p": p,
    }


def side_p(found: Estimate, side: str) -> float:
    """Return the p-value of a side: the larger of the t and the sign-flip test's.

    NaN where there is no test.
    """
    both = (
        (found.p_holds, found.sign_flip_holds)
        if side == "holds"
        else (found.p_fails, found.sign_flip_fails)
    )
    return max((p for p in both if p is not None), default=math.nan)


def sublabel(judged: Sequence[Judged]) -> str | None:
    """Return how a refuted assertion fails.

    A region that does not reach beyond zero claims a direction: its own side of zero.
    ``reversed``: every effect lies, with its whole interval, strictly on the other side
    of zero. ``too small``: every effect falls short of the edge that is nearer to zero,
    and not all are reversed. None where a region claims no direction (it has zero
    inside, as agreement and equivalence have), where an effect lies beyond the farther
    edge, and for exact deviations, which have no sign.
    """
    sides = [direction(criterion.region) for criterion, _ in judged]
    if 0 in sides or any(faults.is_exact(criterion) for criterion, _ in judged):
        return None
    # As if all regions lay above zero: the interval's upper end and the nearer edge.
    turned = [
        (e.high, c.region.low) if side > 0 else (-e.low, -c.region.high)
        for side, (c, e) in zip(sides, judged, strict=True)
    ]
    if all(high < 0 for high, _ in turned):
        return "reversed"
    return "too small" if all(high < edge for high, edge in turned) else None


def direction(region: Region) -> int:
    """Return the side of zero on which a region lies: 1, -1; 0 if zero is inside it."""
    return int(region.low >= 0) - int(region.high <= 0)


def seeds_to_decide(judged: Sequence[Judged], standing: Sequence[str]) -> int | None:
    """Return the seeds that decide all open conditions with 80 %; None if unknown.

    Open are the undecided ones; if there are none, those that Holm's correction takes
    away, at the smallest level that it may ask for. No seeds decide an exact condition
    or replace an outcome that is missing.
    """
    undecided = [(c, e, ALPHA) for c, e in judged if e.answer == "undecided"]
    taken = [
        (criterion, found, ALPHA / len(judged))
        for (criterion, found), kept in zip(judged, standing, strict=True)
        if kept != found.answer
    ]
    chances = [power.chance_of(*condition) for condition in undecided or taken]
    known = [chance for chance in chances if chance]
    return power.seeds_to_decide_all(known) if len(known) == len(chances) else None


def describe(criterion: Criterion, found: Estimate) -> dict[str, Any]:
    """Return a criterion and its estimate as JSON; what is not finite becomes null."""
    effect = criterion.effect
    arms = [dict(arm) for arm in selections(criterion)]
    return {
        "name": criterion.name,
        "study": criterion.study,
        "scope": criterion.scope,
        "unit": criterion.unit,
        "reason": criterion.reason,
        "rival": criterion.rival,
        "mechanism": criterion.mechanism,
        "effect": {
            "kind": effect.kind,
            "quantity": effect.of.label,
            "where": arms[0],
            "against": arms[1] if len(arms) > 1 else None,
        },
        "value": _finite(found.value),
        "low": _finite(found.low),
        "high": _finite(found.high),
        "level": LEVEL,
        "method": found.method,
        "region": [_finite(criterion.region.low), _finite(criterion.region.high)],
        "answer": found.answer,
        "n": found.n,
        "p_holds": found.p_holds,
        "p_fails": found.p_fails,
        "sign_flip_holds": found.sign_flip_holds,
        "sign_flip_fails": found.sign_flip_fails,
        "standardized": found.standardized,
        "improvement": found.improvement,
        "predicted": found.predicted,
        "seeds": list(found.seeds),
        "values": list(found.values),
        "note": found.note,
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def correct(pages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Correct for the number of verdicts in a report.

    Parameters
    ----------
    pages : sequence of dict
        As `assess` returns them.

    Returns
    -------
    list of dict
        The same, with Holm's p-value and Benjamini and Hochberg's q-value. Their family
        is every assertion that has a p-value, whatever became of it: a family of the
        decided ones would have been chosen by its p-values. `uncorrected_only` marks a
        verdict whose q is above `ALPHA`: p-values are one-sided, of the side that the
        outcomes chose, so that 2.5 % of a side are 5 % of both.
    """
    judged = copy.deepcopy(list(pages))
    family = [
        made
        for page in judged
        for claim in page["claims"].values()
        for role in ("document", "corrected")
        if (made := claim[role]) and made["p"] is not None
    ]
    p = [made["p"] for made in family]
    adjusted = multiplicity.holm(p), multiplicity.benjamini_hochberg(p)
    for made, holm, q in zip(family, *adjusted, strict=True):
        made |= {
            "holm": float(holm),
            "q": float(q),
            "uncorrected_only": bool(q > ALPHA) and made["verdict"] != "inconclusive",
        }
    return [dict(page) for page in judged]
