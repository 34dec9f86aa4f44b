"""One page: from the records of its cells to the files of its results.

Cells give tables, tables give outcomes, and from there on everything is made from the
files as they were written: what a reader computes from them is what stands in them.
"""

from __future__ import annotations

import platform
import subprocess
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlclaims import data, figures, results, statistics, tables, verdicts
from dlclaims.design import registration
from dlclaims.errors import DlclaimsError, PageError
from dlclaims.pages import Page
from dlclaims.plan import PROFILES, Profile

if TYPE_CHECKING:
    import pandas as pd

    from dlclaims.claims import Criterion
    from dlclaims.execution import Failure
    from dlclaims.store import Record

SCHEMA = 1
PROC = Path("/proc")

#: The columns of ``theory.csv`` after those of the factors.
GAPS = ["measured", "predicted", "gap", "gap_low", "gap_high", "study", "outcome"]


def write(
    folder: Path,
    page: Page,
    profile: Profile,
    records: Sequence[Record],
    failures: Sequence[Failure],
    trained: bool,
) -> None:
    """Write all files of a page's results into `folder`, in place of what it held.

    Parameters
    ----------
    records, failures : sequence
        All cells of the page, tuning included.
    trained : bool
        Whether a record was measured now; else the manifest keeps the commit and the
        device of those who did.
    """
    made = tabulate(page, profile, records, failures)
    registered = results.register(
        results.read_json(folder / "registration.json"), registration(page, profile)
    )
    with results.replace(folder) as new:
        results.write_table(new / "outcomes.csv", made.outcomes)
        results.write_table(new / "variants.csv", made.variants)
        outcomes = results.read_table(new / "outcomes.csv")
        gaps = statistics.theory(page, outcomes)
        if not len(gaps):
            gaps = gaps.reindex(columns=GAPS)  # a table without rows has a header
        results.write_table(new / "theory.csv", gaps)
        results.write_json(new / "registration.json", registered)
        results.write_json(
            new / "manifest.json",
            manifest(folder, page, profile, records, failures, trained),
        )
        results.write_json(new / "verdicts.json", verdicts_of(new, page))
        for figure in page.figures:
            study = page.study(figure.study)
            if not study.variants(profile.name) or data.lacking(study.data):
                continue
            rows = tables.drawn(
                figure.where,
                made.measured[figure.study],
                made.predicted.get(figure.study),
            )
            figures.save(figure, rows, new)


@dataclass(frozen=True)
class Tables:
    """What the cells of a page give.

    Parameters
    ----------
    measured, predicted : dict of str to DataFrame
        All rows of each study; those that theory predicts, where it does.
    outcomes, variants : DataFrame
        As in ``outcomes.csv`` and ``variants.csv``.
    """

    page: Page
    measured: dict[str, pd.DataFrame]
    predicted: dict[str, pd.DataFrame]
    outcomes: pd.DataFrame
    variants: pd.DataFrame

    def estimate(self, criterion: Criterion) -> statistics.Estimate:
        study = self.page.study(criterion.study)
        return statistics.estimate(criterion, study, self.outcomes, self.variants)


def tabulate(
    page: Page,
    profile: Profile,
    records: Sequence[Record],
    failures: Sequence[Failure] = (),
) -> Tables:
    """Return the tables of a page from its cells, tuning included."""
    measured, rates = {}, {}
    for study in page.studies:
        own = [record for record in records if record.cell.study == study.name]
        tuned = [record for record in own if record.cell.stage == "tuning"]
        evaluated = [record for record in own if record.cell.stage == "evaluation"]
        measured[study.name] = tables.measured(study, evaluated)
        if tuned:
            rows = tables.measured(study, tuned)
            rates[study.name] = statistics.choose_rates(study, rows)
    predicted = {
        study.name: tables.predicted(study, profile)
        for study in page.studies
        if study.predict and study.variants(profile.name)
    }
    return Tables(
        page,
        measured,
        predicted,
        statistics.outcomes(page, measured, predicted),
        statistics.variants(page, profile, measured, rates, failures),
    )


def verdicts_of(folder: Path, page: Page) -> dict[str, Any]:
    """Return what the tables in a page's folder say of its claims."""
    registered = results.read_json(folder / "registration.json")["current"]
    return verdicts.assess(
        page,
        PROFILES[registered["profile"]],
        results.read_table(folder / "outcomes.csv"),
        results.read_table(folder / "variants.csv"),
        registered["digest"],
    )


def manifest(
    folder: Path,
    page: Page,
    profile: Profile,
    records: Sequence[Record],
    failures: Sequence[Failure],
    trained: bool,
) -> dict[str, Any]:
    """Return how a page's results were made."""
    meta = records[0].meta if records else {}
    made = {
        "schema": SCHEMA,
        "page": page.name,
        "profile": profile.name,
        "commit": commit(),
        "device": meta.get("device"),
        "device_name": device_name(meta.get("device")),
        "backend": meta.get("backend"),
        "versions": meta.get("versions", {}),
        "numerics": meta.get("numerics", {}),
        "engine": ways(records),
        "cells": {r.cell.label: r.meta["seconds"] for r in records},
        "seconds": sum(r.meta["seconds"] for r in records),
        "seconds_by_variant": tables.seconds(records),
        "failed": {f.cell.label: f.message.splitlines()[0] for f in failures},
    }
    earlier = results.read_json(folder / "manifest.json")
    if not trained and earlier.get("cells") == made["cells"]:
        made |= {name: earlier[name] for name in ("commit", "device_name")}
    return made


def ways(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return how many cells of each study the engine trained in which way.

    A cell that trains several configurations in different ways counts in each.
    """
    found: Counter[tuple[Any, ...]] = Counter()
    for record in records:  # one that was stored before engines were recorded has none
        trained = record.meta.get("engine", ())
        each = {(way["xla"], way["replicas_per_call"]) for way in trained}
        found.update((record.cell.study, *way) for way in each)
    names = ("study", "xla", "replicas_per_call", "cells")
    return [
        dict(zip(names, (*way, cells), strict=True))
        for way, cells in sorted(found.items())
    ]


def commit() -> str | None:
    """Return the clone's commit, ``-dirty`` when its code differs; None elsewhere."""
    if not (results.CLONE / ".git").exists():
        return None
    name = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--", "dlclaims", "experiments")
    return f"{name}-dirty" if name and changed else name or None


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words],
        cwd=results.CLONE,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def device_name(device: str | None = "cpu") -> str:
    """Return the name of the processor or GPU, as Linux tells it.

    Else the processor's architecture, or ``gpu``.
    """
    pattern = "driver/nvidia/gpus/*/information" if device == "gpu" else "cpuinfo"
    for place in sorted(PROC.glob(pattern)):
        for line in place.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model"):
                return value.strip()
    return "gpu" if device == "gpu" else platform.machine()


def blame(page: Page, error: Exception) -> DlclaimsError:
    """Return an error of a page's own code in a user's words, with file and line."""
    if isinstance(error, DlclaimsError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).is_relative_to(page.file.parent)]
    frame = (own or frames)[-1]
    return PageError(
        f"the results of page {page.name} to be made",
        f"{type(error).__name__} at {frame.filename}:{frame.lineno}: {error}",
        "mend that line and run again; finished cells are kept",
    )
