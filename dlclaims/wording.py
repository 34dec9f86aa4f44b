"""Numbers in words: one spelling for reasons, command line, figures and report."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

MINUS, DASH, TIMES = "\u2212", "\u2013", "\u00d7"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MOST = 8  # decimals

#: Kinds of effects that are told in words of their own.
RATE, GAP, DIFFERENCE = "success rate", "gap to theory", "difference"
EXACT = "largest deviation"
#: Units that follow their number; others are said before it.
FOLLOWS = re.compile(r"(nats|decades|points|steps|weights|parameters|linear pieces)\b")
#: What a unit says of its scale, which a sentence can do without.
ASIDE = re.compile(r", fraction of .*$|\s*\([^()]*\)$")
#: What is said behind the unit of a gap.
OF_GAP = ", measured minus theory"
OF_SEEDS = "fraction of seeds with "
LONG = 4  # words; after a longer unit stands a colon


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
    if not _is_plain(value):
        sign = MINUS if value < 0 else ""
        mantissa, exponent = f"{abs(value):.1e}".split("e")
        mantissa = mantissa.removesuffix(".0")
        times = "" if mantissa == "1" else f"{mantissa} {TIMES} "
        return f"{sign}{times}{power(int(exponent))}"
    size = math.floor(math.log10(abs(value)))
    text = f"{value:,.{max(0, 2 - size)}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", MINUS)


def _is_plain(value: float) -> bool:
    return 1e-4 <= abs(value) < 1e6


def power(exponent: int) -> str:
    """Return a power of ten with its exponent raised."""
    return "10" + str(exponent).translate(_RAISED)


def interval(
    value: float | None,
    low: float | None,
    high: float | None,
    edges: Sequence[float | None] = (),
) -> str:
    """Return ``1.443 [1.440, 1.446]``: digits as far as the interval's width allows.

    More digits where an end would look like one of `edges` that it is not.
    """
    if value is None or low is None or high is None or low == high:
        return number(value)
    decimals = None
    if _is_plain(max(abs(low), abs(high))):
        wide = min(MOST, max(0, -math.floor(math.log10((high - low) / 6))))
        decimals = _apart((low, high), edges, wide)
    middle, *ends = (number(x, decimals) for x in (value, low, high))
    return f"{middle} [{', '.join(ends)}]"


def _apart(ends: Sequence[float], edges: Sequence[float | None], decimals: int) -> int:
    """Return the decimals at which no end of an interval looks like another edge."""
    pairs = [
        (end, edge)
        for end in ends
        for edge in edges
        if edge is not None and math.isfinite(edge) and end != edge
    ]
    return next(
        (
            more
            for more in range(decimals, MOST)
            if all(round(end, more) != round(edge, more) for end, edge in pairs)
        ),
        decimals,
    )


def rate(
    value: float,
    low: float | None,
    high: float | None,
    n: int,
    edges: Sequence[float | None] = (),
) -> str:
    """Return ``15 of 16 seeds = 94 % [70 %, 100 %]``."""
    hundredfold = [100 * edge for edge in edges if edge is not None]
    ends = [100 * end for end in (low, high) if end is not None]
    decimals = _apart(ends, hundredfold, 0)
    middle, *told = (f"{number(x, decimals)} %" for x in (100 * value, *ends))
    between = f" [{', '.join(told)}]" if told else ""
    return f"{round(value * n):,} of {count(n, 'seed')} = {middle}{between}"


def effect(
    kind: str,
    value: float | None,
    low: float | None,
    high: float | None,
    n: int,
    edges: Sequence[float | None] = (),
) -> str:
    """Return an effect with its interval, without its unit."""
    if kind == RATE and value is not None and not math.isnan(value):
        return rate(value, low, high, n, edges)
    return interval(value, low, high, edges)


def region(low: float | None, high: float | None, kind: str = "") -> str:
    """Return ``at least 0.05``, ``at most 0.05`` or ``between 0.01 and 0.1``.

    The edges of a success rate are percentages.
    """

    def told(edge: float | None) -> str:
        share = kind == RATE and edge is not None
        return f"{number(100 * (edge or 0.0))} %" if share else number(edge)

    if low is None or math.isinf(low):
        return f"at most {told(high)}"
    if high is None or math.isinf(high):
        return f"at least {told(low)}"
    return f"between {told(low)} and {told(high)}"


def unit(kind: str, words: str) -> str:
    """Return the unit as a heading says it: what was measured, minus what."""
    if kind == GAP:
        return f"{words}{OF_GAP}"
    return words.removeprefix("fraction of ") if kind == RATE else words


def sentence(kind: str, told: str, words: str) -> str:
    """Return an effect, told in numbers, with its unit where it reads well."""
    if kind == RATE:
        before = words.removeprefix(OF_SEEDS)
        return f"{before} in {told}" if before != words else f"{words}: {told}"
    short = ASIDE.sub("", words)
    if kind == GAP:
        return f"{told} {short}{OF_GAP}"
    if FOLLOWS.match(short):
        return f"{told} {short}"
    if kind == DIFFERENCE and "ratio" not in short:
        return f"{short}: a difference of {told}"
    return f"{short}{':' if len(short.split()) > LONG else ''} {told}"


def probability(p: float | None) -> str:
    """Return a p-value: ``0.012``, ``< 0.0001``, or a dash where there is none."""
    if p is None:
        return DASH
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def percent(share: float | None) -> str:
    """Return a fraction as ``2.5 %``; None is a dash."""
    return DASH if share is None else f"{number(100 * share, 1)} %"


def duration(seconds: float) -> str:
    """Return ``41 s``, ``3.2 min`` or ``1.4 h``."""
    for name, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {name}"
    return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"


def count(amount: int, noun: str) -> str:
    """Return ``1 claim``, ``2 claims``, ``1,200 replicas``."""
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def listing(words: Iterable[str]) -> str:
    """Return ``a, b and c``."""
    *first, last = list(words) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def span(values: Sequence[float], of: str = "") -> str:
    """Return ``16``, or ``3 to 64`` when the values differ."""
    ends = sorted({min(values), max(values)}) if values else []
    return " to ".join(dict.fromkeys(map(number, ends))) + of
