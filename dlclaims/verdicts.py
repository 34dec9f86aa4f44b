"""From answers to verdicts.

A verdict is a function of a page's declarations and of the committed tables
``outcomes.csv`` and ``variants.csv`` alone. What is returned is JSON-ready.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlclaims import data, plan
from dlclaims.claims import Assertion, Criterion, Deviation, Rate, Region
from dlclaims.pages import Page, Study, selections
from dlclaims.plan import PROFILES
from dlclaims.statistics import multiplicity, power
from dlclaims.statistics.effects import Estimate, estimate
from dlclaims.statistics.intervals import ALPHA, LEVEL

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1

#: Share of a variant's replicas that the machinery may lose.
MOST_FAILED = 0.2

Judged = tuple[Criterion, Estimate]


def assess(
    page: Page,
    profile: str,
    outcomes: pd.DataFrame,
    variants: pd.DataFrame,
    registration: str,
) -> dict[str, Any]:
    """Judge all claims of a page.

    Parameters
    ----------
    profile : str
        The profile under which the tables were made.
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
    current = plan.registration(page, PROFILES[profile], data.DIGESTS)["digest"]
    stale = current != registration
    return {
        "schema": SCHEMA,
        "page": page.name,
        "profile": profile,
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
    profile: str,
    outcomes: pd.DataFrame,
    variants: pd.DataFrame,
    stale: bool,
) -> dict[str, Any]:
    judged = [
        (criterion, estimate(criterion, page.study(criterion.study), outcomes))
        for criterion in assertion.criteria
    ]
    studies = {c.study: page.study(c.study) for c in assertion.criteria}.values()
    why_not = unassessed(profile, judged, stale)
    faults = [
        *defects(judged, studies, profile, variants),
        *broken_controls(studies, outcomes),
    ]
    ruling: dict[str, Any] = (
        {"verdict": "not assessed", "label": None, "reason": why_not}
        if why_not
        else rule(judged, faults)
    )
    return {
        "text": assertion.text,
        "expected": assertion.expected,
        **ruling,
        "separated_by": separated_by(judged)
        if ruling["verdict"] == "conditional"
        else None,
        "seeds_to_decide": seeds_to_decide(judged)
        if ruling["verdict"] == "inconclusive"
        else None,
        "exploratory": any(is_exploratory(s, profile, outcomes) for s in studies),
        "p": headline_p(ruling["verdict"], [e for _, e in judged]),
        "holm": None,
        "q": None,
        "uncorrected_only": False,
        "criteria": [describe(criterion, found) for criterion, found in judged],
    }


def unassessed(profile: str, judged: Sequence[Judged], stale: bool) -> str:
    """Return why a claim gets no verdict; empty where it gets one."""
    if stale:
        return "The page's design has changed since these results were made."
    missing = [c.scope for c, found in judged if found.answer == "missing"]
    if missing:
        return (
            f"{len(missing)} of {len(judged)} conditions were not measured under the"
            f" {profile} profile: {'; '.join(missing)}."
        )
    if profile == "smoke" and not all(
        isinstance(c.effect, Deviation) for c, _ in judged
    ):
        return "The smoke profile has too few seeds for a verdict."
    return ""


def rule(judged: Sequence[Judged], faults: Sequence[str]) -> dict[str, Any]:
    """Return verdict, label and reason from the answers of all conditions.

    Supported: all hold (intersection-union, so no correction). Refuted: all fail.
    Conditional: at least one holds and one fails after Holm's correction over the
    conditions, on each side. Inconclusive: everything else, or any fault.
    """
    found = [e for _, e in judged]
    answers = [e.answer for e in found]
    verdict, label = "inconclusive", None
    if all(a == "holds" for a in answers):
        verdict = "supported"
    elif all(a == "fails" for a in answers):
        verdict, label = "refuted", sublabel(judged)
    elif survivors(found, "holds") and survivors(found, "fails"):
        verdict = "conditional"
    if faults:
        return {
            "verdict": "inconclusive",
            "label": None,
            "reason": " ".join(faults) + f" Otherwise: {verdict}.",
        }
    return {"verdict": verdict, "label": label, "reason": explain(verdict, judged)}


def survivors(found: Sequence[Estimate], side: str) -> list[int]:
    """Return which conditions hold (or fail) after Holm over all conditions.

    Exact conditions carry no p-value and stay outside the correction.
    """
    tested = [i for i, e in enumerate(found) if side_p(e, side) is not None]
    adjusted = multiplicity.holm([side_p(found[i], side) or 0.0 for i in tested])
    passes = {i for i, p in zip(tested, adjusted, strict=True) if p <= ALPHA}
    exact = {i for i in range(len(found)) if i not in tested}
    return sorted(i for i in passes | exact if found[i].answer == side)


def side_p(found: Estimate, side: str) -> float | None:
    """Return the p-value of a side: the larger of the t and the sign-flip test's."""
    both = (
        (found.p_holds, found.sign_flip_holds)
        if side == "holds"
        else (found.p_fails, found.sign_flip_fails)
    )
    given = [p for p in both if p is not None]
    return max(given, default=None)


def headline_p(verdict: str, found: Sequence[Estimate]) -> float | None:
    """Return the p-value that a verdict stands on; None for exact claims.

    Supported and refuted: the largest over conditions (intersection-union).
    Conditional: the larger of the smallest Holm-adjusted ones of the two sides.
    """
    if verdict in ("supported", "refuted"):
        side = "holds" if verdict == "supported" else "fails"
        given = [p for e in found if (p := side_p(e, side)) is not None]
        return max(given, default=None)
    if verdict == "conditional":
        smallest = []
        for side in ("holds", "fails"):
            given = [p for e in found if (p := side_p(e, side)) is not None]
            if given:
                smallest.append(float(multiplicity.holm(given).min()))
        return max(smallest, default=None)
    return None


def sublabel(judged: Sequence[Judged]) -> str | None:
    """Return how a refuted assertion fails.

    ``reversed``: every effect lies, with its whole interval, on the other side of zero
    than its region. ``too small``: every effect falls short of its region's edge, but
    not all are reversed. None where a region contains zero (agreement), or a rate.
    """
    sides = [direction(c.region) for c, _ in judged]
    if 0 in sides or any(isinstance(c.effect, Rate) for c, _ in judged):
        return None
    pairs = list(zip(sides, (e for _, e in judged), strict=True))
    if all((e.high < 0) if side > 0 else (e.low > 0) for side, e in pairs):
        return "reversed"
    short = [
        (e.high < c.region.low) if side > 0 else (e.low > c.region.high)
        for side, (c, e) in zip(sides, judged, strict=True)
    ]
    return "too small" if all(short) else None


def direction(region: Region) -> int:
    """Return the side of zero on which a region lies: 1, -1, or 0 if it contains it."""
    return 1 if region.low > 0 else -1 if region.high < 0 else 0


def defects(
    judged: Sequence[Judged],
    studies: Iterable[Study],
    profile: str,
    variants: pd.DataFrame,
) -> list[str]:
    """Return in words what makes the conditions' arms unfit for a verdict."""
    planned = {
        s.name: len(plan.evaluation_seeds(s, PROFILES[profile])) for s in studies
    }
    found = []
    for criterion, result in judged:
        if result.answer != "missing" and len(result.seeds) < planned[criterion.study]:
            found.append(
                f"{criterion.scope}: {len(result.seeds)} seeds instead of"
                f" {planned[criterion.study]}."
            )
        own = variants[
            (variants["study"] == criterion.study)
            & variants["variant"].isin(result.variants)
        ]
        for row in own.to_dict("records"):
            lost = row["failed"] / max(row["ok"] + row["diverged"] + row["failed"], 1)
            if lost > MOST_FAILED:
                found.append(f"{row['variant']}: {lost:.0%} of the replicas failed.")
            if row["tuning_flag"] in ("low edge", "high edge"):
                found.append(
                    f"{row['variant']}: the best learning rate lies on the"
                    f" {row['tuning_flag']} of the grid."
                )
    return list(dict.fromkeys(found))


def broken_controls(studies: Iterable[Study], outcomes: pd.DataFrame) -> list[str]:
    """Return in words which sanity checks of the studies do not hold."""
    return [
        f"The control {control.name} ({control.scope}) does not hold."
        for study in studies
        for control in study.controls
        if estimate(control, study, outcomes).answer != "holds"
    ]


def is_exploratory(study: Study, profile: str, outcomes: pd.DataFrame) -> bool:
    """Return whether a study was run with seeds beside the registered ones."""
    own = outcomes[(outcomes["study"] == study.name) & outcomes["seed"].notna()]
    registered = {*plan.evaluation_seeds(study, PROFILES[profile])}
    return not {int(seed) for seed in own["seed"]} <= registered


def separated_by(judged: Sequence[Judged]) -> str | None:
    """Return the factors whose levels tell holding from failing conditions.

    A factor separates when no level of it occurs on both sides.
    """
    levels: dict[str, dict[str, set[str]]] = {"holds": {}, "fails": {}}
    for criterion, found in judged:
        for arm in selections(criterion):
            for factor, level in arm if found.answer in levels else ():
                levels[found.answer].setdefault(factor, set()).add(str(level))
    common = [factor for factor in levels["holds"] if factor in levels["fails"]]
    telling = [f for f in common if not levels["holds"][f] & levels["fails"][f]]
    return ", ".join(telling) or None


def seeds_to_decide(judged: Sequence[Judged]) -> int | None:
    """Return the seeds that would decide all undecided conditions; None if unknown."""
    needed = []
    for criterion, found in judged:
        if found.answer != "undecided":
            continue
        if not found.standardized:
            return None
        spread = abs(found.value / found.standardized)
        needed.append(power.seeds_to_decide(found.value, spread, criterion.region))
    known = [n for n in needed if n is not None]
    return max(known) if known and len(known) == len(needed) else None


def explain(verdict: str, judged: Sequence[Judged]) -> str:
    """Return one or two sentences that say from the numbers why a verdict fell."""
    by_answer = {
        answer: [pair for pair in judged if pair[1].answer == answer]
        for answer in ("holds", "fails", "undecided")
    }
    number = len(judged)
    if verdict == "supported":
        head = "The condition holds" if number == 1 else f"All {number} conditions hold"
        return f"{head}; closest to its edge: {closest(judged)}."
    if verdict == "refuted":
        head = "The condition fails" if number == 1 else f"All {number} conditions fail"
        return f"{head}; closest to its edge: {closest(judged)}."
    if verdict == "conditional":
        parts = []
        for answer, pairs in by_answer.items():
            if pairs:
                scopes = "; ".join(criterion.scope for criterion, _ in pairs)
                word = {"holds": "Holds", "fails": "Fails", "undecided": "Undecided"}
                parts.append(f"{word[answer]}: {scopes}.")
        return " ".join(parts)
    counts = ", ".join(
        f"{len(pairs)} {answer}" for answer, pairs in by_answer.items() if pairs
    )
    open_ones = [
        f"{criterion.scope} ({number_words(found)}"
        + (f"; {found.note}" if found.note else "")
        + ")"
        for criterion, found in by_answer["undecided"]
    ]
    tail = f" Undecided: {'; '.join(open_ones)}." if open_ones else ""
    return f"Of {number} conditions {counts}.{tail}"


def closest(judged: Sequence[Judged]) -> str:
    """Return the condition whose interval comes nearest to an edge of its region."""

    def slack(pair: Judged) -> float:
        criterion, e = pair
        scale = (e.high - e.low) or abs(e.value) or 1.0
        edges = (criterion.region.low, criterion.region.high)
        ends = [abs(x - y) for x in (e.low, e.high) for y in edges if math.isfinite(y)]
        return min(ends) / scale

    criterion, found = min(judged, key=slack)
    return f"{criterion.scope}, {number_words(found)} {criterion.unit}"


def number_words(found: Estimate) -> str:
    """Return an effect with its interval, to three digits."""
    if found.low == found.high:
        return f"{found.value:.3g}"
    return f"{found.value:.3g} [{found.low:.3g}, {found.high:.3g}]"


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
    """Correct for the number of claims in a report.

    Parameters
    ----------
    pages : sequence of dict
        As `assess` returns them.

    Returns
    -------
    list of dict
        The same, with Holm's p-value and Benjamini and Hochberg's q-value of every
        assertion that has a p-value, over the documents' assertions and over the
        corrected ones; `uncorrected_only` where the verdict's q is above the level.
    """
    judged = [
        {
            **page,
            "claims": {
                name: {
                    role: dict(part) if isinstance(part, Mapping) else part
                    for role, part in claim.items()
                }
                for name, claim in page["claims"].items()
            },
        }
        for page in pages
    ]
    for role in ("document", "corrected"):
        family = [
            made
            for page in judged
            for claim in page["claims"].values()
            if (made := claim[role]) and made["p"] is not None
        ]
        p = [made["p"] for made in family]
        adjusted = zip(
            multiplicity.holm(p), multiplicity.benjamini_hochberg(p), strict=True
        )
        for made, (holm, q) in zip(family, adjusted, strict=True):
            made |= {
                "holm": float(holm),
                "q": float(q),
                "uncorrected_only": bool(q > ALPHA),
            }
    return judged
