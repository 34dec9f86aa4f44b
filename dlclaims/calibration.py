"""How often the verdicts would be wrong: simulated claims, A/A pairs, a replication.

Simulated claims are true or false by construction. An A/A pair is a variant measured
twice, so that what a criterion of its page finds between the two is not there. A
replication is a page on seeds that it has never seen. Pairs and replications go the way
of all pages: cells, outcomes, verdicts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlclaims import assembly, execution, plan, results, twins, verdicts
from dlclaims.design import Design, design, registration
from dlclaims.errors import UsageError
from dlclaims.figures import calibration as picture
from dlclaims.pages import Page, Study
from dlclaims.plan import CELL_MINUTES, TWIN, Cell, Profile
from dlclaims.seeds import REPLICATION
from dlclaims.statistics import simulation
from dlclaims.statistics.checks import checks
from dlclaims.store import Record, Store

SIMULATED = 10_000

#: How often an A/A pair may be called different: the error of both sides together.
LEVEL = 0.05

ROLES = ("document", "corrected")

#: The columns of ``aa.csv``.
PAIR = [
    *("page", "study", "criterion", "variant", "unit", "value", "low", "high"),
    *("region_low", "region_high", "verdict", "verdict_at_zero"),
]


@dataclass(frozen=True)
class Calibration:
    """What a calibration found: the contents of its files, and what was lost."""

    calibrated: dict[str, Any]
    replicated: dict[str, Any]
    failed: dict[str, str]


def run(
    words: str | Sequence[str] = (),
    *,
    profile: str = "standard",
    simulated: int = SIMULATED,
    jobs: int | None = None,
    device: str = "auto",
    executor: str = "local",
    scheduler: str | None = None,
    out: Path | None = None,
    folders: Sequence[Path] = (),
    cell_minutes: float = CELL_MINUTES,
    on_event: execution.OnEvent = lambda kind, cell, seconds: None,
) -> Calibration:
    """Calibrate the statistics and replicate pages; write what came out.

    Parameters
    ----------
    words : str or sequence of str
        Pages or claims; all pages when empty. Those without current results of
        `profile` are left out.
    simulated : int
        Claims for each kind of noise.
    jobs, device, executor, scheduler, out, folders, cell_minutes, on_event
        As `suite.run` has them.

    Raises
    ------
    DlclaimsError
        As `suite.run`; or no page has such results.
    """
    execution.check(jobs, executor, scheduler)
    began = time.perf_counter()
    folder = Path(out) if out else results.default_out()
    wanted = prepare(words, profile=profile, out=folder, folders=folders)
    cells = Store(folder / "cells")
    with cells.hold(), results.writing(folder):
        results.mend(folder)
        done = execution.run(
            first_cells(wanted),
            cells,
            folders=wanted.shelf.folders,
            jobs=execution.workers(jobs, device, executor, scheduler),
            device=device,
            executor=executor,
            scheduler=scheduler,
            time_limit=60 * cell_minutes,
            on_event=on_event,
            follow=lambda record: cells_after(wanted, record),
        )
        made = {
            "schema": results.CALIBRATION_SCHEMA,
            "commit": assembly.commit(),
            "device_name": assembly.device_name(),
            "profile": profile,
        }
        pairs = {
            name: _pairs(page, wanted.profile, _own(done.records, name))
            for name, page in wanted.pages.items()
        }
        calibrated = {**made, **_calibrated(wanted, pairs, simulated)}
        calibrated["seconds"] = time.perf_counter() - began
        _write_calibration(folder / "calibration", calibrated, pairs)
        with results.replace(folder / "replication") as new:
            replicated = {**made, **_replicated(folder, new, wanted, done.records)}
            results.write_json(new / "replication.json", replicated)
    failed = {failure.cell.label: failure.message for failure in done.failures}
    return Calibration(calibrated, replicated, failed)


def prepare(
    words: str | Sequence[str],
    *,
    profile: str,
    out: Path,
    folders: Sequence[Path] = (),
) -> Design:
    """Return the design of the named pages that have current results of a profile.

    Raises as `run` does.
    """
    wanted = design(words, profile=profile, folders=folders)

    def is_current(page: Page) -> bool:
        file = out / page.name / "registration.json"
        current = results.read_json(file).get("current", {})
        return current.get("digest") == registration(page, wanted.profile)["digest"]

    names = tuple(name for name, page in wanted.pages.items() if is_current(page))
    if not names:
        raise UsageError(
            f"current {profile} results to calibrate, in {out}",
            "none of " + (", ".join(wanted.names) or "no page"),
            f"run them first: dlclaims run --profile {profile}",
        )
    return replace(wanted, names=names)


def first_cells(wanted: Design) -> tuple[Cell, ...]:
    """Return what can be measured at once: all but what waits for a tuning cell."""
    return tuple(
        cell
        for page, study in wanted.studies
        for cell in (
            plan.tuning_cells(page, study, wanted.profile)
            if study.tuning
            else _evaluation(page, study, wanted.profile, {})
        )
    )


def cells_after(wanted: Design, record: Record) -> tuple[Cell, ...]:
    """Return what a tuning cell makes known: its variant's evaluation."""
    if record.cell.stage != "tuning":
        return ()
    return _evaluation_after(wanted, record.cell, wanted.rate_after(record))


def all_cells(wanted: Design) -> tuple[Cell, ...]:
    """Return all cells; a rate that tuning has yet to choose is NaN."""
    first = first_cells(wanted)
    later = (
        cell
        for tuned in first
        if tuned.stage == "tuning"
        for cell in _evaluation_after(wanted, tuned, math.nan)
    )
    return (*first, *later)


def _evaluation_after(wanted: Design, tuned: Cell, rate: float) -> tuple[Cell, ...]:
    page = wanted.pages[tuned.page]
    study = page.study(tuned.study)
    names = (variant.name for variant in study.variants(wanted.profile.name))
    every = _evaluation(page, study, wanted.profile, dict.fromkeys(names, rate))
    return tuple(cell for cell in every if cell.factors == tuned.factors)


def _evaluation(
    page: Page, study: Study, profile: Profile, chosen: Mapping[str, float]
) -> tuple[Cell, ...]:
    """Return a study's pairs, as far as it has any, and its replication."""
    doubled = {v.factors for v in twins.variants(page, study, profile)}
    pairs = (
        cell
        for arm in ("", TWIN)
        for cell in plan.evaluation_cells(page, study, profile, chosen, arm=arm)
        if cell.factors in doubled
    )
    other = replace(profile, first=REPLICATION)
    return (*pairs, *plan.evaluation_cells(page, study, other, chosen))


def _own(records: Sequence[Record], page: str) -> tuple[Record, ...]:
    return tuple(record for record in records if record.cell.page == page)


def _is_again(record: Record) -> bool:
    return record.cell.seeds[0] >= REPLICATION


def _judge(
    page: Page, profile: Profile, records: Sequence[Record]
) -> tuple[assembly.Tables, dict[str, Any]]:
    made = assembly.tabulate(page, profile, records)
    digest = registration(page, profile)["digest"]
    judged = verdicts.assess(page, profile, made.outcomes, made.variants, digest)
    return made, judged


def _pairs(
    page: Page, profile: Profile, records: Sequence[Record]
) -> list[dict[str, Any]]:
    """Return what became of a page's A/A pairs, one a row."""
    own = twins.page_of(page, profile)
    measured = [record for record in records if not _is_again(record)]
    _, judged = _judge(own, profile, list(twins.records(measured)))
    rows = []
    for claim in own.claims:
        found = judged["claims"][claim.id]
        condition = found["document"]["criteria"][0]
        low, high = condition["region"]
        rows.append(
            {
                "page": page.name,
                "study": condition["study"],
                "criterion": condition["name"],
                "variant": condition["scope"],
                "unit": condition["unit"],
                **{name: condition[name] for name in ("value", "low", "high")},
                "region_low": low,
                "region_high": high,
                "verdict": found["document"]["verdict"],
                "verdict_at_zero": found["corrected"]["verdict"],
            }
        )
    return rows


def _calibrated(
    wanted: Design, pairs: Mapping[str, Sequence[Mapping[str, Any]]], simulated: int
) -> dict[str, Any]:
    """Return what the calibration found, without how it was made."""
    nulls = simulation.nulls(simulated)
    powers = simulation.powers(simulated)
    checked = checks()
    found = {
        name: {
            "registration": registration(page, wanted.profile)["digest"],
            "claims": len(pairs[name]),
            "false_supported": _count(pairs[name], "verdict"),
            "false_supported_at_zero": _count(pairs[name], "verdict_at_zero"),
        }
        for name, page in wanted.pages.items()
    }
    pooled = {
        name: sum(page[name] for page in found.values())
        for name in ("claims", "false_supported", "false_supported_at_zero")
    }
    number = max(pooled["claims"], 1)
    pooled["limit"] = LEVEL + 2 * math.sqrt(LEVEL * (1 - LEVEL) / number)
    false = max(pooled["false_supported"], pooled["false_supported_at_zero"])
    return {
        "passed": passed(nulls, powers, checked) and false / number <= pooled["limit"],
        "nulls": nulls,
        "powers": powers,
        "checks": checked,
        "pages": found,
        "pooled": pooled,
    }


def passed(
    nulls: Iterable[Mapping[str, Any]],
    powers: Iterable[Mapping[str, Any]],
    checks: Iterable[Mapping[str, Any]],
) -> bool:
    """Return whether all simulations keep the bounds that there are."""

    def within(value: float, low: float | None, high: float | None) -> bool:
        return (low is None or value >= low) and (high is None or value <= high)

    return (
        all(
            within(
                max(row["false_supported"], row["false_refuted"]), None, row["limit"]
            )
            and within(row["coverage"], row["coverage_low"], row["coverage_high"])
            for row in nulls
        )
        and all(within(row["supported"], row["limit"], None) for row in powers)
        and all(row["right"] == row["made"] for row in checks)
    )


def _count(pairs: Sequence[Mapping[str, Any]], name: str) -> int:
    return sum(pair[name] == "supported" for pair in pairs)


def _write_calibration(
    folder: Path,
    calibrated: Mapping[str, Any],
    pairs: Mapping[str, Sequence[Mapping[str, Any]]],
) -> None:
    import pandas as pd

    rows = [pair for own in pairs.values() for pair in own]
    table = pd.DataFrame(rows, columns=PAIR)
    with results.replace(folder) as new:
        results.write_json(new / "calibration.json", calibrated)
        results.write_table(new / "aa.csv", table)
        picture.save(calibrated, table, new)


def _replicated(
    folder: Path, new: Path, wanted: Design, records: Sequence[Record]
) -> dict[str, Any]:
    """Judge pages on other seeds, write their tables into `new`, compare verdicts."""
    found = {}
    profile = replace(wanted.profile, first=REPLICATION)
    for name, page in wanted.pages.items():
        own = [
            record
            for record in _own(records, name)
            if _is_again(record) or record.cell.stage == "tuning"
        ]
        made, judged = _judge(page, profile, own)
        (new / name).mkdir()
        results.write_table(new / name / "outcomes.csv", made.outcomes)
        results.write_table(new / name / "variants.csv", made.variants)
        results.write_json(new / name / "verdicts.json", judged)
        first = results.read_json(folder / name / "verdicts.json")
        found[name] = {
            "registration": first["registration"],
            **compare(first["claims"], judged["claims"]),
        }
    claims = [claim for page in found.values() for claim in page["claims"]]
    return {
        "seconds": sum(r.meta["seconds"] for r in records if _is_again(r)),
        "first": REPLICATION,
        "agree": sum(claim["agrees"] for claim in claims),
        "of": len(claims),
        "pages": found,
    }


def compare(first: Mapping[str, Any], again: Mapping[str, Any]) -> dict[str, Any]:
    """Return a page's verdicts and answers on two blocks of seeds, side by side."""
    claims, answers = [], []
    for claim, roles in first.items():
        for role in (role for role in ROLES if roles[role]):
            one, two = roles[role], again[claim][role]
            claims.append(
                {
                    "claim": claim,
                    "role": role,
                    "verdict": one["verdict"],
                    "replicated": two["verdict"],
                    "agrees": one["verdict"] == two["verdict"],
                }
            )
            pairs = zip(one["criteria"], two["criteria"], strict=True)
            answers += [(a["answer"], b["answer"]) for a, b in pairs]
    return {
        "claims": claims,
        "answers": {
            "same": sum(a == b for a, b in answers),
            "opposite": sum({a, b} == {"holds", "fails"} for a, b in answers),
            "of": len(answers),
        },
    }
