"""Verdicts in words: one spelling for all renderings; numbers are `wording`'s."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from dlclaims import wording
from dlclaims.claims import VERDICTS
from dlclaims.wording import (
    DASH,
    MINUS,
    TIMES,
    count,
    duration,
    interval,
    listing,
    number,
    percent,
    power,
    probability,
    region,
    span,
)

if TYPE_CHECKING:
    from dlclaims.report.model import Criterion, Provenance

__all__ = [
    "DASH",
    "MINUS",
    "TIMES",
    "count",
    "duration",
    "interval",
    "listing",
    "number",
    "percent",
    "power",
    "probability",
    "region",
    "span",
]

#: What the report says of an assertion that has no results yet.
NOT_RUN = "not run"
ORDER = (*VERDICTS, NOT_RUN)

#: One sign for each verdict, for text; HTML draws its own.
SIGNS = dict(zip(ORDER, ("✅", "❌", "🔶", "❔", "⚪", "⚪"), strict=True))
ANSWERS = {
    "holds": "✓",
    "fails": "✗",
    "undecided": "?",
    "missing": "\u2013",
    "": "\u2013",
}

SHOWN = 5  # changes that are told in full


def effect(criterion: Criterion) -> str:
    """Return a criterion's effect with its interval, without its unit."""
    ends = (criterion.value, criterion.low, criterion.high)
    return wording.effect(criterion.kind, *ends, criterion.n, criterion.region)


def told(criterion: Criterion) -> str:
    """Return a criterion's effect with its interval and its unit."""
    return wording.sentence(criterion.kind, effect(criterion), criterion.unit)


def needed(criterion: Criterion) -> str:
    """Return where a criterion's effect must lie."""
    return wording.region(*criterion.region, criterion.kind)


def unit(criterion: Criterion) -> str:
    """Return a criterion's unit as the heading of its numbers."""
    return wording.unit(criterion.kind, criterion.unit)


def equation(name: str, p: float | None) -> str:
    """Return ``p = 0.012`` or ``p < 0.0001``."""
    told = probability(p)
    return f"{name} {told}" if told.startswith("<") else f"{name} = {told}"


def levels(where: Mapping[str, object]) -> str:
    """Return factor levels: ``activation relu, depth 20``."""
    return ", ".join(f"{name} {level}" for name, level in where.items())


def changes(found: Sequence[str]) -> str:
    """Return the first changes of a page, and how many more there are."""
    shown = "; ".join(found[:SHOWN])
    more = len(found) - SHOWN
    return f"{shown}; and {count(more, 'more change')}" if more > 0 else shown


def tally(numbers: Mapping[str, int]) -> str:
    """Return ``6 supported, 3 refuted``, in the order of the verdicts."""
    found = [f"{numbers[word]} {word}" for word in ORDER if numbers.get(word)]
    return listing(found) or "none"


def signs(numbers: Mapping[str, int]) -> str:
    """Return ``✅ 6, ❌ 3``, in the order of the verdicts."""
    return ", ".join(f"{SIGNS[w]} {numbers[w]}" for w in ORDER if numbers.get(w))


def provenance(made: Iterable[Provenance]) -> str:
    """Return how all pages' results were made, in a line."""
    every = list(made)
    if not every:
        return "Nothing has been run yet."
    parts = [
        ("profile", {one.profile for one in every}),
        ("commit", {one.commit for one in every} - {""}),
        *(
            (name, {one.versions[name] for one in every if name in one.versions})
            for name in ("tensorflow", "jax", "keras")
        ),
        ("on", {one.device for one in every} - {""}),
    ]
    told = [f"{name} {' and '.join(sorted(found))}" for name, found in parts if found]
    cells = count(sum(one.cells for one in every), "cell")
    spent = duration(sum(one.seconds for one in every))
    return f"How it was made: {', '.join(told)}; {cells} in {spent}."
