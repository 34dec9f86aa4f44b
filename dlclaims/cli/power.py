"""``dlclaims power`` in words: how likely conditions are decided, by seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dlclaims.cli import terminal
from dlclaims.planning import PLANNED, SEEDS, Prospect
from dlclaims.report import words

SCHEMA = 1

EXPLANATION = (
    "Chances that a condition is decided, if the effect is what was seen: optimistic,"
    " because an effect that was seen large may be smaller. Sees: the distance from an"
    f" edge that {PLANNED} seeds decide with a chance of 80 %, whatever the effect;"
    " compare it with the smallest effect that matters."
)


def description(found: Sequence[Prospect]) -> dict[str, Any]:
    """Return prospects as JSON."""
    return {"schema": SCHEMA, "assertions": [asdict(one) for one in found]}


def text(found: Mapping[str, Any]) -> str:
    """Return prospects for the terminal."""
    parts = ["\n".join(_assertion(made)) for made in found["assertions"]]
    return "\n\n".join([*parts, terminal.wrap(EXPLANATION)])


def _assertion(made: Mapping[str, Any]) -> Iterator[str]:
    conditions, unknown = made["conditions"], made["unknown"]
    heading = terminal.heading(f"{made['claim']}, {made['role']}")
    yield f"{heading}: {_needed(made)}"
    if unknown:
        where = f"not known under the {made['profile']} profile"
        yield terminal.wrap(f"{where}: {', '.join(unknown)}", "  ")
    if not conditions:
        return
    together = ("", "", "", *_percent(made["chances"]), _seeds(made["needed"]), "")
    titles, *rows, last = terminal.columns(
        [_TITLES, *map(_row, conditions), together], indent="    "
    ).splitlines()
    yield titles
    for condition, row in zip(conditions, rows, strict=True):
        region = f"{words.region(*condition['region'])}, {condition['unit']}"
        yield terminal.wrap(f"{condition['name']}: {region}", "  ")
        yield row
    if len(conditions) > 1:
        yield "  all together, at least"
        yield last


_TITLES = ("n", "effect", "s.d.", *map(str, SEEDS), "seeds", "sees")


def _row(condition: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"{condition['n']}",
        words.number(condition["value"]),
        words.number(condition["spread"]),
        *_percent(condition["chances"]),
        _seeds(condition["needed"]),
        words.number(condition["visible"]),
    )


def _percent(chances: Mapping[int, float]) -> Iterator[str]:
    return (f"{100 * chance:.0f} %" for chance in chances.values())


def _seeds(needed: int | None) -> str:
    return words.DASH if needed is None else f"{needed:,}"


def _needed(made: Mapping[str, Any]) -> str:
    known = "all conditions that are known" if made["unknown"] else "all conditions"
    if not made["conditions"]:
        return "nothing to plan from" if made["unknown"] else "exact, no seeds needed"
    if made["needed"] is None:
        return "more than 10,000 seeds, an effect lies on an edge"
    return f"{words.count(made['needed'], 'seed')} decide {known}"
