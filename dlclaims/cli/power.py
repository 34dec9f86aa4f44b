"""``dlclaims power`` in words: how likely conditions are decided, by seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dlclaims.cli import terminal
from dlclaims.planning import SEEDS, Prospect
from dlclaims.report import words

SCHEMA = 1

EXPLANATION = (
    "Chances that a condition is decided, if the effect is what was seen: optimistic,"
    " because an effect that was seen large may be smaller. Sees: the distance from an"
    " edge that 16 seeds decide with a chance of 80 %, whatever the effect; compare it"
    " with the smallest effect that matters."
)


def description(found: Sequence[Prospect]) -> dict[str, Any]:
    """Return prospects as JSON."""
    return {"schema": SCHEMA, "assertions": [asdict(one) for one in found]}


def text(found: Mapping[str, Any]) -> str:
    """Return prospects for the terminal."""
    parts = ["\n".join(_assertion(made)) for made in found["assertions"]]
    return "\n\n".join([*parts, terminal.wrap(EXPLANATION)])


def _assertion(made: Mapping[str, Any]) -> Iterator[str]:
    head = f"{made['claim']}, {made['role']}"
    conditions = made["conditions"]
    if not conditions:
        yield f"{terminal.heading(head)}: exact, no seeds needed"
        return
    yield f"{terminal.heading(head)}: {_needed(made['needed'])}"
    yield terminal.columns([_TITLES, *map(_row, conditions)], indent="  ")


_TITLES = ("condition", "n", "s.d.", *map(str, SEEDS), "seeds", "sees")


def _row(condition: Mapping[str, Any]) -> tuple[str, ...]:
    needed = condition["needed"]
    name = condition["name"]
    return (
        name if len(name) <= LONGEST else f"{name[:11]}\u2026{name[12 - LONGEST :]}",
        f"{condition['n']}",
        words.number(condition["spread"]),
        *(f"{chance:.0%}" for chance in condition["chances"].values()),
        words.DASH if needed is None else f"{needed:,}",
        words.number(condition["visible"]),
    )


#: Characters of a condition's name, so that a row fits 80 columns.
LONGEST = 24


def _needed(seeds: int | None) -> str:
    if seeds is None:
        return "more than 10,000 seeds, an effect lies on an edge"
    return f"{words.count(seeds, 'seed')} decide all conditions"
