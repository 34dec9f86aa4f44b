"""Why a verdict fell, in words from the numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dlclaims import scopes, wording
from dlclaims.claims import Criterion, Value, levels
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
SHOWN = 2  # conditions of one answer that are named; more are counted
FEW = 4  # conditions of one answer that are all told, whatever their units
UNITS = 2  # of many conditions: units whose lists are told
BRIEF = 16  # letters of a unit that is said again with every number


def explain(verdict: str, judged: Sequence[Judged], standing: Sequence[str]) -> str:
    """Return one or two sentences that say why a verdict fell.

    What all conditions share is left out: whoever shows a reason shows it once, beside
    the conditions.

    Parameters
    ----------
    verdict : str
    judged : sequence of Judged
    standing : sequence of str
        The conditions' answers after Holm's correction.
    """
    answer = {"supported": "holds", "refuted": "fails"}.get(verdict)
    if answer:
        return _unanimous(answer, judged)
    if verdict == "conditional":
        return _divided(judged, standing)
    if len(judged) == 1:
        return f"The condition is undecided: {effect(*judged[0])}."
    told = f"Of {len(judged)} conditions {tally(e.answer for _, e in judged)}"
    open_ones = [
        f"{name} ({effect(*pair)})"
        for name, pair in zip(names(judged), judged, strict=True)
        if pair[1].answer == "undecided"
    ]
    if not open_ones:
        return f"{told}, but not after Holm's correction for their number."
    return f"{told}: {listed(open_ones)}."


def _unanimous(answer: str, judged: Sequence[Judged]) -> str:
    one, many = VERBS[answer]
    if len(judged) == 1:
        return f"The condition {one}: {effect(*judged[0])}."
    head = "Both" if len(judged) == 2 else f"All {len(judged)}"
    if all(c.effect.kind == wording.EXACT and not e.value for c, e in judged):
        return f"{head} conditions {many}: every deviation is exactly 0."
    place = closest(judged)
    return (
        f"{head} conditions {many}. Nearest to an edge: {names(judged)[place]}"
        f" ({effect(*judged[place])})."
    )


def _divided(judged: Sequence[Judged], standing: Sequence[str]) -> str:
    """Tell which conditions hold, fail and are open, each side with its effects."""
    told: list[str] = []
    said: list[str] = []
    for answer, word in WORDS.items():
        side = [
            (name, pair)
            for name, pair, kept in zip(names(judged), judged, standing, strict=True)
            if kept == answer
        ]
        if side:
            of = f" of {words_of(len(judged))}" if not told else ""
            lists = "; ".join(_by_unit(side, said))
            told.append(f"{word} in {len(side)}{of}: {lists}.")
    told += [
        f"The effect does not go where its alleged cause goes ({criterion.mechanism})."
        for criterion, _ in _standing(judged, standing, "fails")
        if criterion.mechanism
    ]
    return " ".join(told)


def words_of(conditions: int) -> str:
    """Return ``6 conditions``."""
    return wording.count(conditions, "condition")


def _by_unit(side: Sequence[tuple[str, Judged]], said: list[str]) -> Iterator[str]:
    """Yield ``depth 5; depth 10 (0.1 to 0.3 points)``, one such list a unit.

    Of many conditions in many units the first are told and the others counted. A long
    unit is not said twice in a row: `said` holds those that were.
    """
    by_unit: dict[tuple[str, str], list[tuple[str, Judged]]] = {}
    for name, (criterion, found) in side:
        key = criterion.effect.kind, criterion.unit
        by_unit.setdefault(key, []).append((name, (criterion, found)))
    shown = len(by_unit) if len(side) <= FEW else UNITS
    for (kind, unit), pairs in [*by_unit.items()][:shown]:
        told = listed(dict.fromkeys(name for name, _ in pairs))
        known = [e for _, (_, e) in pairs if not math.isnan(e.value)]
        if known:
            numbers = _range(kind, known)
            again = said[-1:] == [unit] and len(unit) > BRIEF
            told += f" ({numbers if again else wording.sentence(kind, numbers, unit)})"
            said.append(unit)
        yield told
    if more := sum(map(len, [*by_unit.values()][shown:])):
        yield f"and {more} more"


def _range(kind: str, found: Sequence[Estimate]) -> str:
    """Return the range of effects; of success rates, in seeds where n is the same."""
    numbers = {e.n for e in found}
    if kind != wording.RATE:
        return wording.span([e.value for e in found])
    if len(numbers) > 1:
        return wording.span([100 * e.value for e in found], " %")
    seeds = wording.count(numbers.pop(), "seed")
    return f"{wording.span([round(e.value * e.n) for e in found])} of {seeds}"


def _standing(
    judged: Sequence[Judged], standing: Sequence[str], answer: str
) -> list[Judged]:
    return [p for p, kept in zip(judged, standing, strict=True) if kept == answer]


def names(judged: Sequence[Judged]) -> tuple[str, ...]:
    """Return what tells each condition from the others."""
    criteria = [criterion for criterion, _ in judged]
    return scopes.conditions(
        [criterion.scope for criterion in criteria],
        [criterion.mechanism for criterion in criteria],
    ).rests


def listed(told: Iterable[str]) -> str:
    """Return the first conditions, and how many more there are."""
    every = list(told)
    more = len(every) - SHOWN
    if more < 2:  # one more is as short as its count
        return "; ".join(every)
    return f"{'; '.join(every[:SHOWN])}; and {more} more"


def tally(answers: Iterable[str]) -> str:
    """Return ``5 hold and 1 is undecided``."""
    given = list(answers)
    return wording.listing(
        f"{number} {VERBS[answer][number > 1]}"
        for answer in VERBS
        if (number := given.count(answer))
    )


def effect(criterion: Criterion, found: Estimate) -> str:
    """Return an effect with its interval, and where it must lie."""
    if math.isnan(found.value):
        return found.note
    kind, region = criterion.effect.kind, criterion.region
    edges = region.low, region.high
    told = wording.effect(kind, found.value, found.low, found.high, found.n, edges)
    note = f"; {found.note}" if found.note else ""
    return (
        f"{wording.sentence(kind, told, criterion.unit)}; needed:"
        f" {wording.region(*edges, kind)}{note}"
    )


def closest(judged: Sequence[Judged]) -> int:
    """Return which condition's interval comes nearest to an edge of its region.

    In widths of the interval; a point, which has none, in sizes of the effect, so that
    an exact 0 comes last.
    """

    def slack(number: int) -> float:
        criterion, found = judged[number]
        width = (found.high - found.low) or abs(found.value)
        if not width:
            return math.inf
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
