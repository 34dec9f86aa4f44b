"""Why a verdict fell, in words from the numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

from dlclaims.claims import Criterion, Region, Value, levels
from dlclaims.pages import selections
from dlclaims.statistics.effects import Estimate

#: A condition and what became of it.
Judged = tuple[Criterion, Estimate]

VERBS = {
    "holds": ("holds", "hold"),
    "fails": ("fails", "fail"),
    "undecided": ("is undecided", "are undecided"),
}


#: What tells conditions apart where no factor of the grid does.
LAST = ("outcome", "study")

WORDS = {"holds": "Holds", "fails": "Fails", "undecided": "Undecided"}


def explain(verdict: str, judged: Sequence[Judged], standing: Sequence[str]) -> str:
    """Return one or two sentences that say why a verdict fell.

    Parameters
    ----------
    verdict : str
    judged : sequence of Judged
    standing : sequence of str
        The conditions' answers after Holm's correction.
    """
    answer = {"supported": "holds", "refuted": "fails"}.get(verdict)
    if answer:
        one, many = VERBS[answer]
        if len(judged) == 1:
            return f"The condition {one}: {effect(*judged[0])}."
        head = "Both" if len(judged) == 2 else f"All {len(judged)}"
        scope = judged[closest(judged)][0].scope
        told = effect(*judged[closest(judged)])
        return f"{head} conditions {many}; nearest to an edge: {scope}, {told}."
    if verdict == "conditional":
        parts = [
            f"{word}: {listed(pairs)}."
            for answer, word in WORDS.items()
            if (pairs := _standing(judged, standing, answer))
        ]
        removed = [c.mechanism for c, _ in _standing(judged, standing, "fails")]
        parts += [
            f"The effect does not go where its alleged cause goes ({words})."
            for words in removed
            if words
        ]
        return " ".join(parts)
    open_ones = [pair for pair in judged if pair[1].answer == "undecided"]
    if len(judged) == 1:
        return f"The condition is undecided: {effect(*judged[0])}."
    told = f"Of {len(judged)} conditions {tally(e.answer for _, e in judged)}"
    if not open_ones:
        return f"{told}, but not after Holm's correction for their number."
    details = "; ".join(f"{c.scope} ({effect(c, e)})" for c, e in open_ones)
    return f"{told}. Undecided: {details}."


def _standing(
    judged: Sequence[Judged], standing: Sequence[str], answer: str
) -> list[Judged]:
    return [p for p, kept in zip(judged, standing, strict=True) if kept == answer]


def listed(judged: Sequence[Judged]) -> str:
    """Return ``depth 5; depth 10 (0.1 to 0.3 points)``, one such list a unit."""
    by_unit: dict[str, list[Judged]] = {}
    for criterion, found in judged:
        by_unit.setdefault(criterion.unit, []).append((criterion, found))
    lists = []
    for unit, pairs in by_unit.items():
        told = "; ".join(dict.fromkeys(criterion.scope for criterion, _ in pairs))
        values = [found.value for _, found in pairs if not math.isnan(found.value)]
        if values:
            low, high = f"{min(values):.3g}", f"{max(values):.3g}"
            told += f" ({low if low == high else f'{low} to {high}'} {unit})"
        lists.append(told)
    return "; ".join(lists)


def tally(answers: Iterable[str]) -> str:
    """Return ``5 hold and 1 is undecided``."""
    given = list(answers)
    parts = [
        f"{number} {VERBS[answer][number > 1]}"
        for answer in VERBS
        if (number := given.count(answer))
    ]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)


def effect(criterion: Criterion, found: Estimate) -> str:
    """Return an effect with its interval and its region, to three digits."""
    if math.isnan(found.value):
        return found.note
    interval = (
        "" if found.low == found.high else f" [{found.low:.3g}, {found.high:.3g}]"
    )
    told = f"{found.value:.3g}{interval} {criterion.unit}, the region is "
    note = f"; {found.note}" if found.note else ""
    return told + region(criterion.region) + note


def region(where: Region) -> str:
    """Return ``at least 0.5``, ``at most 0.5`` or ``-0.5 to 0.5``."""
    if math.isinf(where.high):
        return f"at least {where.low:.3g}"
    if math.isinf(where.low):
        return f"at most {where.high:.3g}"
    return f"{where.low:.3g} to {where.high:.3g}"


def closest(judged: Sequence[Judged]) -> int:
    """Return which condition's interval comes nearest to an edge of its region.

    In widths of the interval; a point, which has none, in sizes of the effect.
    """

    def slack(number: int) -> float:
        criterion, found = judged[number]
        width = (found.high - found.low) or abs(found.value) or 1.0
        edges = (criterion.region.low, criterion.region.high)
        return min(
            abs(end - edge) / width
            for end in (found.low, found.high)
            for edge in edges
            if math.isfinite(edge)
        )

    return min(range(len(judged)), key=slack)


def separated_by(judged: Sequence[Judged], standing: Sequence[str]) -> str | None:
    """Return what tells the conditions that hold from those that fail.

    All factors whose levels never occur on both sides; without such a factor, the first
    of the smallest combinations of factors of which this is true. The place of the
    quantity (a layer) counts as a factor; the outcome, then the study, only when no
    other does.
    """
    sides = [
        [p for c, _ in _standing(judged, standing, answer) for p in places(c)]
        for answer in ("holds", "fails")
    ]
    every = [place for side in sides for place in side]
    shared = [
        factor
        for factor in every[0]
        if factor not in LAST and all(factor in place for place in every)
    ]
    for size in range(1, len(shared) + 1):
        telling = [
            chosen
            for chosen in itertools.combinations(shared, size)
            if not {tuple(p[f] for f in chosen) for p in sides[0]}
            & {tuple(p[f] for f in chosen) for p in sides[1]}
        ]
        if size == 1 and telling:
            return ", ".join(factor for (factor,) in telling)
        if telling:
            return " and ".join(telling[0])
    for factor in LAST:
        on_both = [{place[factor] for place in side} for side in sides]
        if not on_both[0] & on_both[1]:
            return factor
    return None


def places(criterion: Criterion) -> list[dict[str, Any]]:
    """Return the factors' levels, the quantity, its place and the study of each arm."""
    of = criterion.effect.of
    at = dict(levels(of.at)) if isinstance(of, Value) else {}
    outcome = of.column if isinstance(of, Value) else of.label
    own = {**at, "outcome": outcome, "study": criterion.study}
    return [{**dict(arm), **own} for arm in selections(criterion)]
