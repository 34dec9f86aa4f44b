"""How many seeds a page needs, from the spread that its results show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlclaims import results
from dlclaims.claims import Criterion, Rate, RateDifference
from dlclaims.errors import UsageError
from dlclaims.pages import Page
from dlclaims.plan import PROFILES
from dlclaims.shelf import Shelf
from dlclaims.statistics import faults, power
from dlclaims.statistics.effects import Estimate, estimate
from dlclaims.statistics.power import Chance

#: Seeds for which the sensitivity of a design is told.
PLANNED = PROFILES["standard"].paired
#: Seeds of the profiles, and of success rates.
SEEDS = tuple(
    sorted({n for p in PROFILES.values() for n in (p.paired, p.rate) if n > 3})
)


@dataclass(frozen=True)
class Condition:
    """A condition of a claim as its results show it, and what seeds would do.

    Parameters
    ----------
    name, scope, unit : str
        As the criterion has them.
    n : int
        Seeds that it has.
    value, spread : float
        The effect and its standard deviation over seeds.
    region : tuple
        The ends of what is claimed; None where it has none.
    chances : dict of int to float
        How likely it is decided, by seeds, if the effect is what was seen.
    needed : int or None
        Fewest seeds for a chance of 80 %; None where 10,000 are too few.
    visible : float or None
        The distance from an edge that `PLANNED` seeds decide with 80 %, in `unit`,
        whatever the effect; None for success rates.
    """

    name: str
    scope: str
    unit: str
    n: int
    value: float
    spread: float
    region: tuple[float | None, float | None]
    chances: dict[int, float]
    needed: int | None
    visible: float | None


@dataclass(frozen=True)
class Prospect:
    """An assertion's conditions, without exact ones, and the seeds that decide all.

    Parameters
    ----------
    page, claim, role : str
    profile : str
        Of the results.
    conditions : tuple of Condition
    unknown : tuple of str
        Names of the conditions of which the results show no spread.
    chances : dict of int to float
        How likely all `conditions` are decided, by seeds, at least.
    needed : int or None
        Fewest seeds for a chance of 80 %; None where 10,000 are too few, and where
        there are no conditions.
    """

    page: str
    claim: str
    role: str
    profile: str
    conditions: tuple[Condition, ...]
    unknown: tuple[str, ...]
    chances: dict[int, float]
    needed: int | None


def prospects(shelf: Shelf, words: Sequence[str], out: Path) -> tuple[Prospect, ...]:
    """Return the prospects of all assertions that `words` name.

    Raises
    ------
    UsageError, NothingMatched, PageError
        As `Shelf.select`; or a page has no results whose spread could be read.
    """
    wanted: dict[str, set[str]] = {}
    for name in shelf.select(words):
        if name in shelf.pages:
            every = {claim.id for claim in shelf.pages[name].claims}
            wanted.setdefault(name, set()).update(every)
        else:
            page, claim = shelf.claims[name]
            wanted.setdefault(page.name, set()).add(claim.id)
    return tuple(
        prospect
        for name, ids in wanted.items()
        for prospect in _of_page(shelf.pages[name], ids, out / name)
    )


def _of_page(page: Page, wanted: set[str], folder: Path) -> Iterator[Prospect]:
    registered = results.read_json(folder / "registration.json").get("current")
    if not registered:
        raise UsageError(
            f"results of {page.name}, whose spread over seeds tells how many it needs",
            f"none in {folder.parent}",
            f"run a few seeds first: dlclaims run {page.name} --profile quick",
        )
    outcomes = results.read_table(folder / "outcomes.csv")
    variants = results.read_table(folder / "variants.csv")
    for claim in page.claims:
        for role, made in claim.assertions if claim.id in wanted else ():
            judged = [
                (c, found, power.chance_of(c, found))
                for c in made.criteria
                if not faults.is_exact(c)
                for found in [estimate(c, page.study(c.study), outcomes, variants)]
            ]
            chances = [chance for *_, chance in judged if chance]
            together = power.chance_of_all(chances)
            yield Prospect(
                page.name,
                claim.id,
                role,
                registered["profile"],
                tuple(_condition(c, found, of) for c, found, of in judged if of),
                tuple(c.name for c, _, chance in judged if not chance),
                {seeds: together(seeds) for seeds in SEEDS},
                power.seeds_to_decide_all(chances) if chances else None,
            )


def _condition(criterion: Criterion, found: Estimate, chance: Chance) -> Condition:
    spread = power.spread(criterion, found)
    is_rate = isinstance(criterion.effect, Rate | RateDifference)
    low, high = (
        edge if math.isfinite(edge) else None
        for edge in (criterion.region.low, criterion.region.high)
    )
    return Condition(
        criterion.name,
        criterion.scope,
        criterion.unit,
        found.n,
        found.value,
        spread,
        (low, high),
        {seeds: chance(seeds) for seeds in SEEDS},
        power.seeds_to_decide_all([chance]),
        None if is_rate else spread * power.visible(PLANNED),
    )
