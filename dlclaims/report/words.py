"""Numbers and verdicts in words: one spelling for all renderings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from dlclaims.claims import VERDICTS

if TYPE_CHECKING:
    from dlclaims.report.model import Criterion, Provenance

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
MINUS, DASH, TIMES = "\u2212", "\u2013", "\u00d7"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None, decimals: int | None = None) -> str:
    """Return a number with `decimals`, or with three significant digits.

    Without `decimals`, very small and very large ones are powers of ten; None is a
    dash.
    """
    if value is None or math.isnan(value):
        return DASH
    if decimals is not None:
        rounded = round(value, decimals) + 0.0  # no minus sign before a zero
        return f"{rounded:,.{decimals}f}".replace("-", MINUS)
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if not _is_plain(value):
        mantissa = f"{value / 10.0**size:.2g}".replace("-", MINUS)
        return f"{mantissa} {TIMES} {power(size)}"
    text = f"{value:,.{max(0, 2 - size)}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", MINUS)


def _is_plain(value: float) -> bool:
    return 1e-4 <= abs(value) < 1e6


def power(exponent: int) -> str:
    """Return a power of ten with its exponent raised."""
    return "10" + str(exponent).translate(_RAISED)


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """Return ``1.443 [1.440, 1.446]``: digits as far as the interval's width allows."""
    if value is None or low is None or high is None or low == high:
        return number(value)
    decimals = None
    if _is_plain(max(abs(low), abs(high))):
        decimals = min(8, max(0, -math.floor(math.log10((high - low) / 6))))
    middle, *ends = (number(x, decimals) for x in (value, low, high))
    return f"{middle} [{', '.join(ends)}]"


def effect(criterion: Criterion) -> str:
    """Return a criterion's effect with its interval, without its unit."""
    return interval(criterion.value, criterion.low, criterion.high)


def region(low: float | None, high: float | None) -> str:
    """Return ``at least 0.05``, ``at most 0.05`` or ``between 0.01 and 0.1``."""
    if low is None:
        return f"at most {number(high)}"
    if high is None:
        return f"at least {number(low)}"
    return f"between {number(low)} and {number(high)}"


def probability(p: float | None) -> str:
    """Return a p-value: ``0.012``, ``< 0.0001``, or a dash where there is none."""
    if p is None:
        return DASH
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def percent(share: float | None) -> str:
    """Return a fraction as ``2.5 %``; None is a dash."""
    return DASH if share is None else f"{number(100 * share, 1)} %"


def equation(name: str, p: float | None) -> str:
    """Return ``p = 0.012`` or ``p < 0.0001``."""
    told = probability(p)
    return f"{name} {told}" if told.startswith("<") else f"{name} = {told}"


def duration(seconds: float) -> str:
    """Return ``41 s``, ``3.2 min`` or ``1.4 h``."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"


def count(amount: int, noun: str) -> str:
    """Return ``1 claim``, ``2 claims``, ``1,200 replicas``."""
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def levels(where: Mapping[str, object]) -> str:
    """Return factor levels: ``activation relu, depth 20``."""
    return ", ".join(f"{name} {level}" for name, level in where.items())


def listing(words: Iterable[str]) -> str:
    """Return ``a, b and c``."""
    *first, last = list(words) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def changes(found: Sequence[str]) -> str:
    """Return the first changes of a page, and how many more there are."""
    shown = "; ".join(found[:SHOWN])
    more = len(found) - SHOWN
    return f"{shown}; and {count(more, 'more change')}" if more > 0 else shown


def tally(numbers: Mapping[str, int]) -> str:
    """Return ``6 supported, 3 refuted``, in the order of the verdicts."""
    found = [f"{numbers[word]} {word}" for word in ORDER if numbers.get(word)]
    return listing(found) or "none"


def span(values: Sequence[float], of: str = "") -> str:
    """Return ``16``, or ``3 to 64`` when the values differ."""
    ends = sorted({min(values), max(values)}) if values else []
    return " to ".join(number(end) for end in ends) + of


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
