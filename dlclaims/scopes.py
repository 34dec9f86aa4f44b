"""What the conditions of an assertion share, and what tells each from the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OPEN, CLOSED = "([{", ")]}"


@dataclass(frozen=True)
class Shared:
    """Conditions in words: what all begin and end with, once, and the rest of each.

    ``", ".join`` of what is not empty in `lead`, a rest and `trail` is the condition.
    """

    lead: str
    rests: tuple[str, ...]
    trail: str

    @property
    def common(self) -> str:
        """What holds for all conditions; empty where nothing does."""
        return ", ".join(filter(None, (self.lead, self.trail)))


def parts(scope: str) -> list[str]:
    """Return a scope split at its commas, but never inside brackets."""
    cuts, depth = [-2], 0
    for place, sign in enumerate(scope):
        depth = max(0, depth + (sign in OPEN) - (sign in CLOSED))
        if not depth and scope.startswith(", ", place):
            cuts.append(place)
    ends = [*cuts[1:], len(scope)]
    return [scope[cut + 2 : end] for cut, end in zip(cuts, ends, strict=True)]


def shared(scopes: Sequence[str]) -> Shared:
    """Return what all scopes share at their end and at their beginning.

    Every rest keeps at least one part: no row of a table is left empty. One scope alone
    shares nothing. Where a scope is itself a list of phrases, divided by semicolons,
    its beginning stays with its phrase.
    """
    if len(scopes) < 2:
        return Shared("", tuple(scopes), "")
    split = [parts(scope) for scope in scopes]
    spare = min(map(len, split)) - 1
    end = _same([part[::-1] for part in split], spare)
    are_lists = any("; " in scope for scope in scopes)
    start = 0 if are_lists else _same(split, spare - end)
    return Shared(
        ", ".join(split[0][:start]),
        tuple(", ".join(part[start : len(part) - end]) for part in split),
        ", ".join(split[0][len(split[0]) - end :]),
    )


def _same(split: Iterable[Sequence[str]], most: int) -> int:
    """Return how many first parts are the same in all, at most `most`."""
    number = 0
    for column in zip(*split, strict=False):
        if number >= most or len({*column}) > 1:
            break
        number += 1
    return number


def conditions(scopes: Sequence[str], mechanisms: Sequence[str | None]) -> Shared:
    """Return what conditions share; a mechanism control tells what is removed in it.

    Parameters
    ----------
    scopes : sequence of str
        As criteria have them: that of a control ends with its mechanism, or tells it
        in words of its own.
    mechanisms : sequence of str or None
        None for a condition that is no control.
    """
    found = shared(
        [
            scope.removesuffix(f", {mechanism}") if mechanism else scope
            for scope, mechanism in zip(scopes, mechanisms, strict=True)
        ]
    )
    rests = tuple(
        rest + _removed(scope, mechanism)
        for rest, scope, mechanism in zip(found.rests, scopes, mechanisms, strict=True)
    )
    return Shared(found.lead, rests, found.trail)


def _removed(scope: str, mechanism: str | None) -> str:
    if not mechanism:
        return ""
    how = f": {mechanism}" if scope.endswith(f", {mechanism}") else ""
    return f", with the cause removed{how}"
