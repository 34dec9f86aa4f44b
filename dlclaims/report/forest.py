"""Forest plots as small strips of SVG, one for each criterion.

Criteria with the same unit, kind, region and reason share an axis, so that a region is
one band down the table. Coordinates are rounded: the same numbers, the same bytes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from dlclaims import wording
from dlclaims.report import words
from dlclaims.report.model import Criterion, shared

WIDTH, HEIGHT, MIDDLE = 300, 34, 17
EDGE = 10  # pixels left free at either end
DECADE = math.log(10)
ROUNDING = 1e-9  # a tick that is this share of a step outside still belongs


@dataclass(frozen=True)
class Scale:
    """From effects to pixels; `log` for exact deviations, whose zeros lie at the edge.

    `low` and `high` are the ends of the drawn range, as logarithms when `log`; with
    `percent` the labels are a hundredfold.
    """

    low: float
    high: float
    log: bool
    percent: bool = False

    def __call__(self, value: float) -> float:
        if self.log:
            value = math.log(value) if value > 0 else self.low
        share = (value - self.low) / (self.high - self.low)
        return round(EDGE + min(1.0, max(0.0, share)) * (WIDTH - 2 * EDGE), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Return pixels and labels of about four round values."""
        if self.log:
            first = math.ceil(self.low / DECADE - ROUNDING)
            last = math.floor(self.high / DECADE + ROUNDING)
            every = max(1, math.ceil((last - first) / 3))
            powers = range(first, last + 1, every)
            return [(self(10.0**power), words.power(power)) for power in powers]
        rough = (self.high - self.low) / 4
        size: float = 10.0 ** math.floor(math.log10(rough))
        step = next(size * f for f in (1.0, 2.0, 5.0, 10.0) if size * f >= rough * 0.99)
        first = math.ceil(self.low / step - ROUNDING)
        last = math.floor(self.high / step + ROUNDING)
        decimals = max(0, -math.floor(math.log10(step)))
        places = [(self(n * step), n * step) for n in range(first, last + 1)]
        if self.percent:
            return [(at, f"{words.number(100 * value)} %") for at, value in places]
        return [(at, words.number(value, decimals)) for at, value in places]


@dataclass(frozen=True)
class Group:
    """Criteria that share a region, and the scale on which they are drawn.

    `names` tell each from all others of its assertion.
    """

    names: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    scale: Scale

    @property
    def rows(self) -> tuple[tuple[str, Criterion], ...]:
        return tuple(zip(self.names, self.criteria, strict=True))

    @property
    def first(self) -> Criterion:
        return self.criteria[0]


def groups(criteria: Sequence[Criterion]) -> list[Group]:
    """Return the criteria by what they share, each group with its scale."""

    def same(row: tuple[str, Criterion]) -> tuple[object, ...]:
        c = row[1]
        return c.unit, c.kind, c.region, c.reason, c.rival

    rows = zip(shared(criteria).rests, criteria, strict=True)
    found = []
    for _, together in itertools.groupby(rows, key=same):
        names, members = zip(*together, strict=True)
        found.append(Group(names, members, _scale(members)))
    return found


def theory(criterion: Criterion) -> float | None:
    """Return where theory lies on the axis of an effect: a gap is measured from it."""
    if criterion.kind == "gap to theory":
        return 0.0
    return criterion.predicted if criterion.kind == "mean" else None


def _scale(criteria: Sequence[Criterion]) -> Scale:
    found = [
        number
        for c in criteria
        for number in (c.value, c.low, c.high, *c.region, *c.values, theory(c))
        if number is not None
    ]
    if criteria and all(c.kind == "largest deviation" for c in criteria):
        logs = [math.log(number) for number in found if number > 0]
        if logs:
            return Scale(min(logs) - DECADE, max(logs) + DECADE, log=True)
    low, high = (min(found), max(found)) if found else (0.0, 1.0)
    margin = 0.08 * (high - low) or abs(low) or 1.0
    are_rates = all(c.kind == wording.RATE for c in criteria)
    return Scale(low - margin, high + margin, log=False, percent=are_rates)


def strip(criterion: Criterion, scale: Scale) -> str:
    """Return a criterion's strip: band, theory, every seed, interval and effect."""
    low, high = criterion.region
    left = scale(low) if low is not None else 0.0
    right = scale(high) if high is not None else float(WIDTH)
    thick = max(1.5, round(right - left, 1))
    marks = [_rectangle("band", left, thick)]
    if not scale.log and scale.low < 0 < scale.high:
        marks.append(_line("zero", scale(0.0)))
    if (expected := theory(criterion)) is not None:
        marks.append(_line("theory", scale(expected)))
    places = [
        f"M{scale(value):g} {height:g}h0"  # a line of no length has round ends: a dot
        for value, height in zip(criterion.values, _heights(criterion), strict=True)
    ]
    if places:
        marks.append(f'<path class="seed" d="{"".join(places)}"/>')
    if criterion.value is None:
        marks.append(f'<text x="{WIDTH / 2:g}" y="21">no outcomes</text>')
    else:
        if criterion.low is not None and criterion.high is not None:
            ends = scale(criterion.low), scale(criterion.high)
            marks.append(
                f'<path class="interval" d="M{ends[0]:g} {MIDDLE}H{ends[1]:g}"/>'
            )
        at = scale(criterion.value)
        marks.append(f'<path class="effect" d="M{at - 5:g} {MIDDLE}l5-5 5 5-5 5z"/>')
    return "".join(marks)


def axis(scale: Scale) -> str:
    """Return the axis under a group of strips."""
    marks = [f'<path class="axis" d="M0 .5H{WIDTH}"/>']
    for at, label in scale.ticks():
        marks.append(f'<path class="axis" d="M{at:g} 0v5"/>')
        marks.append(f'<text x="{at:g}" y="17">{label}</text>')
    return "".join(marks)


def _heights(criterion: Criterion) -> list[float]:
    """Spread the seeds over the strip, in their order, so that none hides another."""
    return [5 + (7 * place) % 24 + 0.5 for place in range(len(criterion.values))]


def _rectangle(name: str, left: float, width: float) -> str:
    return f'<rect class="{name}" x="{left:g}" width="{width:g}" height="{HEIGHT}"/>'


def _line(name: str, at: float) -> str:
    return f'<path class="{name}" d="M{at:g} 0V{HEIGHT}"/>'


def words_of(criterion: Criterion) -> str:
    """Return a strip in words and numbers: its alt text."""
    if criterion.value is None:
        return f"{criterion.condition}: no outcomes"
    parts = [
        f"{criterion.condition}: {words.told(criterion)}",
        f"the claim needs {words.needed(criterion)}",
    ]
    if criterion.values:
        ends = words.span(criterion.values)
        parts.append(f"{words.count(len(criterion.values), 'seed')} at {ends}")
    return "; ".join(parts)
