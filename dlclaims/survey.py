"""Before and after a run: what it would do, what it would take, how results stand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dlclaims import plan, results
from dlclaims.design import Design, registration
from dlclaims.plan import Cell

if TYPE_CHECKING:
    from dlclaims.store import Record, Store

AFTER_TUNING = "after tuning"


def seconds_before(out: Path, pages: Iterable[str]) -> dict[str, float]:
    """Return the seconds that cells of these pages took the last time, by label."""
    manifests = (results.read_json(out / page / "manifest.json") for page in pages)
    return {label: s for m in manifests for label, s in m.get("cells", {}).items()}


@dataclass(frozen=True)
class Prospect:
    """What a run would do with a cell.

    `state` is ``stored``, ``to run``, or ``after tuning``: to be run or not, as the
    learning rate comes out that a cell to run will choose. `reason` says why it is not
    stored.
    """

    cell: Cell
    state: str
    reason: str = ""


def dry_run(
    wanted: Design,
    out: Path,
    *,
    device: str = "auto",
    executor: str = "local",
    fresh: bool = False,
) -> tuple[Prospect, ...]:
    """Return what a run would do with every cell of a design; nothing is trained."""
    from dlclaims import execution
    from dlclaims.store import Store

    cells = Store(out / "cells")
    device = execution.device_of(device, executor)

    def outlook(asked: Iterable[Cell]) -> Iterator[Prospect]:
        found = execution.outlook(
            asked,
            cells,
            folders=wanted.shelf.folders,
            device=device,
            executor=executor,
            fresh=fresh,
        )
        for cell, reason in found:
            yield Prospect(cell, "to run" if reason else "stored", reason)

    prospects: list[Prospect] = []
    known: list[Cell] = []
    for prospect in outlook(wanted.first_cells()):
        prospects.append(prospect)
        cell = prospect.cell
        if cell.stage == "tuning":
            record = None if prospect.reason else _stored(wanted, cells, cell, device)
            if record is not None:
                known += wanted.cells_after(record)
            else:
                prospects += [
                    Prospect(later, AFTER_TUNING, f"waits for {cell.label}")
                    for later in wanted.evaluation_after(cell, math.nan)
                ]
    return (*prospects, *outlook(known))


def _stored(wanted: Design, cells: Store, cell: Cell, device: str) -> Record | None:
    from dlclaims import store
    from dlclaims.engine.numerics import Numerics
    from dlclaims.execution.context import context_of

    page = wanted.pages[cell.page]
    own = context_of(page, page.study(cell.study), device, Numerics())
    return cells.get(store.key(cell, own))


@dataclass(frozen=True)
class Status:
    """How a page's results stand to the page.

    Parameters
    ----------
    page : str
    profile : str or None
        Of the results; None without results.
    changes : tuple of str
        What was changed in the registered design since the results were made.
    stored, missing : int
        Cells of the results' profile (``standard`` without results).
    failed : int
        Cells that the last run lost.
    """

    page: str
    profile: str | None
    changes: tuple[str, ...]
    stored: int
    missing: int
    failed: int


def status(wanted: Design, out: Path, *, device: str = "auto") -> tuple[Status, ...]:
    """Return how the results of a design's pages stand; nothing is trained."""
    found = []
    for name, page in wanted.pages.items():
        registered = results.read_json(out / name / "registration.json")
        last = registered.get("current")
        profile = plan.PROFILES[last["profile"] if last else "standard"]
        now = registration(page, profile)
        own = replace(wanted, names=(name,), profile=profile)
        prospects = dry_run(own, out, device=device)
        stored = sum(prospect.state == "stored" for prospect in prospects)
        manifest = results.read_json(out / name / "manifest.json")
        found.append(
            Status(
                name,
                last["profile"] if last else None,
                tuple(results.changes(last, now)) if last else (),
                stored,
                len(prospects) - stored,
                len(manifest.get("failed", ())),
            )
        )
    return tuple(found)
