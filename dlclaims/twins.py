"""A/A pairs: a page whose every arm is compared with itself.

The second measurement of a variant shares data, split and order with the first and
draws another initialisation. Nothing that a criterion finds between the two is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from dlclaims import verdicts
from dlclaims.claims import (
    ARMS,
    Assertion,
    Claim,
    Criterion,
    Difference,
    LogRatio,
    RateDifference,
    Region,
)
from dlclaims.pages import Page, Study, Variant, selections
from dlclaims.plan import TWIN, Profile
from dlclaims.store import Record

#: The factor that tells the measurements of a pair apart, and its levels.
FACTOR, FIRST, SECOND = "measurement", "first", "second"


def page_of(page: Page, profile: Profile) -> Page:
    """Return the A/A page of a page: one claim for each criterion and arm.

    Criteria are those that claim a direction of a difference, each with its own region;
    criteria that differ in nothing else than their names count once. What is corrected
    in a claim is its region: the same direction with its edge at zero, which errs as
    often as the interval does, where a region far from zero errs less.
    """
    pairs: dict[tuple[object, ...], Claim] = {}
    for criterion in _directional(page):
        study = page.study(criterion.study)
        for variant in _arms(criterion, study, profile):
            place = criterion.study, criterion.effect.of, criterion.region, variant
            kind = type(criterion.effect)
            name = f"aa-{len(pairs) + 1}"
            pairs.setdefault((kind, *place), _claim(name, criterion, variant))
    studies = tuple(
        _doubled(study, profile)
        for study in page.studies
        if any(made.study == study.name for made in _criteria(pairs.values()))
    )
    return replace(page, studies=studies, claims=tuple(pairs.values()), figures=())


def variants(page: Page, study: Study, profile: Profile) -> tuple[Variant, ...]:
    """Return the variants of a page's study that its A/A page measures twice."""
    found = {
        arm: None
        for criterion in _directional(page)
        if criterion.study == study.name
        for arm in _arms(criterion, study, profile)
    }
    return tuple(found)


def records(of: Iterable[Record]) -> Iterator[Record]:
    """Yield cells of a page as cells of its A/A page.

    Both measurements of a variant share its tuning.
    """
    for record in of:
        if record.cell.stage == "tuning":
            measurements: tuple[str, ...] = (FIRST, SECOND)
        else:
            measurements = (SECOND,) if record.cell.arm == TWIN else (FIRST,)
        for level in measurements:
            factors = (*record.cell.factors, (FACTOR, level))
            yield replace(record, cell=replace(record.cell, factors=factors))


def _directional(page: Page) -> Iterator[Criterion]:
    for criterion in _criteria(page.claims):
        is_difference = isinstance(
            criterion.effect, Difference | LogRatio | RateDifference
        )
        if is_difference and verdicts.direction(criterion.region):
            yield criterion


def _criteria(claims: Iterable[Claim]) -> Iterator[Criterion]:
    for claim in claims:
        for _, assertion in claim.assertions:
            yield from assertion.criteria


def _arms(criterion: Criterion, study: Study, profile: Profile) -> Iterator[Variant]:
    """Yield the variants that a criterion compares, where the profile has them."""
    grid = study.variants(profile.name)
    for arm in selections(criterion):
        yield from (variant for variant in grid if variant.matches(arm))


def _doubled(study: Study, profile: Profile) -> Study:
    grid = tuple(
        Variant((*variant.factors, (FACTOR, level)))
        for variant in study.variants(profile.name)
        for level in (FIRST, SECOND)
    )
    return replace(
        study,
        standard=grid,
        smoke=grid,
        quick=(),
        full=(),
        predict=None,
        controls=(),
        sensitivity=(),
    )


def _claim(name: str, criterion: Criterion, variant: Variant) -> Claim:
    second = next(field for field in ARMS[1:] if hasattr(criterion.effect, field))
    arms: dict[str, Any] = {
        field: (*variant.factors, (FACTOR, level))
        for field, level in (("where", FIRST), (second, SECOND))
    }
    own = replace(
        criterion,
        effect=replace(criterion.effect, **arms),
        scope=variant.name,
        mechanism=None,
    )
    side = verdicts.direction(criterion.region)
    at_zero = replace(own, region=Region.above(0) if side > 0 else Region.below(0))
    return Claim(
        name,
        ("difference",),
        Assertion(f"{variant.name} differs from itself.", (own,), "inconclusive"),
        Assertion("The same, by however little.", (at_zero,), "inconclusive"),
    )
