"""Sensitivity arms: whether a condition still fails when its study is run otherwise.

A condition that fails might fail for want of steps, or because equal parameters were
not equal work. Where a claim came out negative and the condition's study declares such
arms (`pages.SENSITIVITY`), the variants that it compares are measured again under each,
at the best of their learning rate and its neighbours in the grid. What comes out is
shown beside the verdict, and never decides it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlclaims import assembly, plan, results, verdicts
from dlclaims.claims import Criterion
from dlclaims.design import Design
from dlclaims.pages import SENSITIVITY, Page, Study, selections
from dlclaims.plan import Cell, Profile
from dlclaims.statistics import faults
from dlclaims.store import Record

SCHEMA = 1

#: Verdicts of claims that came out negative.
NEGATIVE = ("refuted", "conditional")


@dataclass(frozen=True)
class Trial:
    """A failed condition and the arm under which it is tried again."""

    claim: str
    role: str
    criterion: Criterion
    arm: str


def trials(folder: Path, page: Page) -> tuple[Trial, ...]:
    """Return what is to be tried of a page, whose results are in `folder`."""
    judged = results.read_json(folder / "verdicts.json")
    return tuple(
        Trial(claim.id, role, criterion, arm)
        for claim in page.claims
        for role, made in claim.assertions
        for criterion, found in zip(
            made.criteria, judged["claims"][claim.id][role]["criteria"], strict=True
        )
        if judged["claims"][claim.id][role]["verdict"] in NEGATIVE
        if found["answer"] == "fails"
        for arm in _arms(page.study(criterion.study), criterion)
    )


def _arms(study: Study, criterion: Criterion) -> tuple[str, ...]:
    is_fixed = criterion.effect.of.column in study.insensitive
    return () if is_fixed else study.sensitivity


def first_cells(
    folder: Path, wanted: Design, page: Page, tried: Iterable[Trial]
) -> tuple[Cell, ...]:
    """Return the cells of trials that can be measured at once.

    Those of a tuned study are its tuning cells; `Design.cells_after` gives the others.

    Parameters
    ----------
    folder : Path
        Of the page's results, which tell the learning rates that were chosen.
    """
    chosen = results.read_table(folder / "variants.csv")
    rates = chosen.set_index(["study", "variant"]).get("learning_rate", {})
    found: dict[Cell, None] = {}
    for trial in tried:
        study = page.study(trial.criterion.study)
        cells = (
            plan.tuning_cells(page, study, wanted.profile, trial.arm)
            if study.tuning
            else plan.evaluation_cells(
                page, study, wanted.profile, {}, wanted.seeds, trial.arm
            )
        )
        arms = selections(trial.criterion)
        found |= {
            _near(cell, rates.get((cell.study, cell.variant.name), math.nan)): None
            for cell in cells
            if any(cell.variant.matches(arm) for arm in arms)
        }
    return tuple(found)


def _near(cell: Cell, rate: float) -> Cell:
    """Return a tuning cell with `rate` of its grid and the two rates beside it."""
    grid = cell.learning_rates
    if rate not in grid:
        return cell
    at = grid.index(rate)
    return replace(cell, learning_rates=grid[max(0, at - 1) : at + 2])


def write(
    folder: Path,
    page: Page,
    profile: Profile,
    tried: Sequence[Trial],
    records: Sequence[Record],
) -> None:
    """Write into a page's folder what came out of its trials, if there were any.

    Parameters
    ----------
    records : sequence of Record
        The cells of all trials, tuning included.
    """
    if tried:
        found = judge(page, profile, tried, records)
        results.write_json(folder / "sensitivity.json", found)


def judge(
    page: Page, profile: Profile, tried: Sequence[Trial], records: Sequence[Record]
) -> dict[str, Any]:
    """Return the content of ``sensitivity.json``."""
    groups: dict[tuple[str, str, str], list[Criterion]] = {}
    for trial in tried:
        place = trial.claim, trial.role, trial.arm
        groups.setdefault(place, []).append(trial.criterion)
    arms = sorted({trial.arm for trial in tried})
    made = {arm: _tabulate(page, profile, arm, records) for arm in arms}
    claims: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for (claim, role, arm), criteria in groups.items():
        judged = [(criterion, made[arm].estimate(criterion)) for criterion in criteria]
        studies, variants = made[arm].page.studies, made[arm].variants
        found = {
            "arm": arm,
            "criteria": [verdicts.describe(*pair) for pair in judged],
            "flaws": faults.defects(judged, profile, studies, variants),
        }
        claims.setdefault(claim, {}).setdefault(role, []).append(found)
    return {
        "schema": SCHEMA,
        "seconds": sum(record.meta["seconds"] for record in records),
        "arms": {arm: SENSITIVITY[arm] for arm in arms},
        "claims": claims,
    }


def _tabulate(
    page: Page, profile: Profile, arm: str, records: Iterable[Record]
) -> assembly.Tables:
    """Return the tables of the studies that have an arm, as they are run under it."""
    studies = tuple(_as_run(s, arm) for s in page.studies if arm in s.sensitivity)
    own = [record for record in records if record.cell.arm == arm]
    return assembly.tabulate(replace(page, studies=studies), profile, own)


def _as_run(study: Study, arm: str) -> Study:
    """Return a study with the costs that are equal under an arm."""
    equal = ("multiply_accumulates",) if arm == "equal-work" else study.equal
    return replace(study, equal=equal)
