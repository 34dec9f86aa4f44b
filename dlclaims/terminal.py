"""How things look in a terminal: aligned columns, verdicts in colour, claims as text."""

from __future__ import annotations

import math
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from dlclaims.errors import DlclaimsError

COLORS = {
    "supported": "green",
    "refuted": "red",
    "conditional": "yellow",
    "inconclusive": "magenta",
    "not assessed": "bright_black",
}


def note(text: str) -> None:
    """Tell the user something that is not data: on standard error."""
    click.echo(text, err=True)


def tell(error: DlclaimsError) -> None:
    """Tell what was expected, what came and what to do, each in one line."""
    parts = (error.expected, error.received, error.advice)
    flat = type(error)(*(" ".join(part.split()) for part in parts))
    note(str(flat))


def columns(rows: Iterable[Sequence[str]], indent: str = "") -> str:
    """Return rows as lines with aligned columns."""
    rows = [list(row) for row in rows]
    widths = [
        max(len(click.unstyle(cell)) for cell in c) for c in zip(*rows, strict=True)
    ]
    return "\n".join(
        indent
        + "  ".join(_pad(cell, w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _pad(cell: str, width: int) -> str:
    return cell + " " * (width - len(click.unstyle(cell)))


def wrap(text: str, indent: str = "") -> str:
    """Return text as lines that fit the terminal (at most 88 columns)."""
    width = min(shutil.get_terminal_size().columns, 88)
    return textwrap.fill(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def heading(text: str) -> str:
    return click.style(text, bold=True)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def verdict(word: str, label: str | None = None) -> str:
    """Return a verdict in its colour, with its label: ``refuted (reversed)``."""
    words = f"{word} ({label})" if label else word
    return click.style(words, fg=COLORS[word])


def tally(numbers: Mapping[str, int]) -> str:
    """Return ``6 supported, 3 refuted``, without those that do not occur."""
    found = [
        click.style(f"{numbers[word]} {word}", fg=color)
        for word, color in COLORS.items()
        if numbers.get(word)
    ]
    return ", ".join(found) or "none"


def minutes(seconds: float | None) -> str:
    if seconds is None:
        return "an unknown time"
    if seconds < 90:
        return f"about {count(max(1, round(seconds)), 'second')}"
    return f"about {count(round(seconds / 60), 'minute')}"


def number(value: float | None) -> str:
    return "none" if value is None or math.isnan(value) else f"{value:.3g}"


def region(low: float | None, high: float | None) -> str:
    """Return a region of effects: ``at most 0.05``, ``0.1 to 0.2``."""
    if low is None or math.isinf(low):
        return f"at most {number(high)}"
    if high is None or math.isinf(high):
        return f"at least {number(low)}"
    return f"{number(low)} to {number(high)}"


def effect(criterion: Mapping[str, Any]) -> str:
    """Return a criterion's effect with its interval, unit and number of replicas."""
    value, low, high = (criterion[name] for name in ("value", "low", "high"))
    if value is None:
        return "not measured"
    spread = "" if low is None or low == high else f" [{number(low)}, {number(high)}]"
    return f"{number(value)}{spread} {criterion['unit']}, n = {criterion['n']}"


def decisive(assertion: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the criterion on which an assertion's verdict hangs.

    The least certain of those whose answer made the verdict: of those that hold when
    all hold, of those that fail when one fails, of the undecided ones otherwise.
    """
    criteria = assertion["criteria"]
    answer, p = {
        "supported": ("holds", "p_holds"),
        "refuted": ("fails", "p_fails"),
        "conditional": ("fails", "p_fails"),
    }.get(assertion["verdict"], ("undecided", "p_holds"))
    those = [c for c in criteria if c["answer"] == answer] or criteria
    return max(those, key=lambda c: c[p] or 0.0)
