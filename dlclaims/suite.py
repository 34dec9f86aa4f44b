"""The whole way: plan, training, statistics, verdicts, files, report.

Nothing is decided here: each step is a call of the module whose word it is. This module
knows their order, and that one page's fault does not stop the others.
"""

from __future__ import annotations

import math
import time
from collections.abc import (
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlclaims import results, stamps
from dlclaims.design import Design, design
from dlclaims.errors import DlclaimsError, TimeUp
from dlclaims.plan import CELL_MINUTES, Cell
from dlclaims.shelf import Shelf
from dlclaims.wording import count

if TYPE_CHECKING:
    import pandas as pd

    from dlclaims.execution import Failure, OnEvent, Result
    from dlclaims.pages import Page
    from dlclaims.sensitivity import Trial
    from dlclaims.store import Record


@dataclass(frozen=True)
class PageResult:
    """What lies in the folder of a page's results; tables are read when asked for.

    Parameters
    ----------
    page : str
    folder : Path
    trained, cached : int
        Cells that the run measured, and cells that it found.
    failed : mapping of str to str
        The messages of cells that the run lost, by their labels.
    error : DlclaimsError or None
        Why there are no new results, where there are none.
    """

    page: str
    folder: Path
    trained: int = 0
    cached: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    error: DlclaimsError | None = None

    def _repr_html_(self) -> str:
        """Return the claims with their verdicts and all figures, for a notebook."""
        from dlclaims.report import notebook

        return notebook.render(self.page, self.verdicts, self.figures)

    @property
    def verdicts(self) -> dict[str, Any]:
        """The content of ``verdicts.json``; empty without results."""
        return results.read_json(self.folder / "verdicts.json")

    @property
    def manifest(self) -> dict[str, Any]:
        """The content of ``manifest.json``: how the results were made."""
        return results.read_json(self.folder / "manifest.json")

    @property
    def outcomes(self) -> pd.DataFrame:
        """One number per replica and quantity."""
        return results.read_table(self.folder / "outcomes.csv")

    @property
    def variants(self) -> pd.DataFrame:
        """One row per variant: replicas, learning rate, cost."""
        return results.read_table(self.folder / "variants.csv")

    @property
    def theory(self) -> pd.DataFrame:
        """Measured beside predicted, with the gap and its interval."""
        return results.read_table(self.folder / "theory.csv")

    @property
    def figures(self) -> dict[str, Path]:
        """The pictures, by the names of the figures."""
        return {file.stem: file for file in sorted(self.folder.glob("*.svg"))}


class Loaded(dict[str, PageResult]):
    """Results by page, which a notebook shows one below the other."""

    def _repr_html_(self) -> str:
        return "".join(page._repr_html_() for page in self.values())


class Ran(tuple[PageResult, ...]):
    """Results of a run, which a notebook shows one below the other."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return "".join(page._repr_html_() for page in self)


def load(out: Path | None = None) -> Loaded:
    """Return the results that lie in a folder, by page; nothing is trained."""
    folder = Path(out) if out else results.default_out()
    return Loaded(
        (name, PageResult(name, folder / name)) for name in results.names(folder)
    )


def run(
    words: str | Sequence[str] = (),
    *,
    profile: str = "standard",
    seeds: Sequence[int] | None = None,
    jobs: int | None = None,
    device: str = "auto",
    executor: str = "local",
    scheduler: str | None = None,
    out: Path | None = None,
    folders: Sequence[Path] = (),
    fresh: bool = False,
    only_failed: bool = False,
    max_minutes: float | None = None,
    cell_minutes: float = CELL_MINUTES,
    on_event: OnEvent = lambda kind, cell, seconds: None,
) -> Ran:
    """Run pages as far as they are not run yet; write their results and the report.

    Parameters
    ----------
    words : str or sequence of str
        Pages, claims or patterns of them; all pages when empty.
    profile : str
        From `plan.PROFILES`.
    seeds : sequence of int, optional
        Instead of the profile's evaluation seeds.
    jobs : int, optional
        Worker processes; by default one a core as far as memory goes, on GPUs one a
        card. A scheduler has its own.
    device : str
        ``auto``, ``cpu`` or ``gpu``.
    executor : str
        ``local`` or ``dask``.
    scheduler : str, optional
        The address of a Dask scheduler; without it Dask starts workers here.
    out : Path, optional
        The folder of results; by default `results.default_out`.
    folders : sequence of Path
        More folders of pages.
    fresh : bool
        Measure again what is stored.
    only_failed : bool
        Run only pages whose last run lost cells, or made no results.
    max_minutes : float, optional
        Stop after so long, with the cells that are finished.
    cell_minutes : float
        A cell that takes longer fails.
    on_event : callable
        As `execution.OnEvent`.

    Returns
    -------
    Ran
        A tuple with one `PageResult` for each selected page, in the shelf's order. A
        page that is broken, or breaks while its results are made, has an `error`; the
        others still run.

    Raises
    ------
    TimeUp
        The minutes are over and cells are left.
    DlclaimsError
        Wrong words, a folder that cannot be written or is held, a device that lacks.
    """
    from dlclaims import execution, sensitivity
    from dlclaims.store import Store

    execution.check(jobs, executor, scheduler)
    folder = Path(out) if out else results.default_out()
    wanted = design(words, profile=profile, seeds=seeds, folders=folders)
    if only_failed:
        lost = (name for name in wanted.names if _has_failed(folder, name))
        wanted = replace(wanted, names=tuple(lost))
    errors: dict[str, DlclaimsError] = dict(wanted.shelf.broken)
    happened: dict[Cell, str] = {}
    left = {cell.label for cell in wanted.all_cells()}
    minutes = math.inf if max_minutes is None else max_minutes
    deadline = time.monotonic() + 60 * minutes

    def note(kind: str, cell: Cell, seconds: float) -> None:
        happened[cell] = kind
        if kind == "planned":
            left.add(cell.label)
        if kind in ("cached", "finished", "failed"):
            left.discard(cell.label)
        on_event(kind, cell, seconds)

    def follow(record: Record) -> tuple[Cell, ...]:
        with _blamed_on(wanted.pages[record.cell.page], errors):
            return wanted.cells_after(record)
        return ()

    cells = Store(folder / "cells")

    def train(first: Collection[Cell]) -> Result:
        try:
            return execution.run(
                first,
                cells,
                folders=wanted.shelf.folders,
                jobs=execution.workers(jobs, device, executor, scheduler),
                device=device,
                executor=executor,
                scheduler=scheduler,
                fresh=fresh,
                time_limit=60 * cell_minutes,
                deadline=deadline,
                on_event=note,
                follow=follow,
            )
        except TimeUp as over:
            over.expected = f"the run to end within {minutes:g} minutes"
            over.received = f"time is up, and {count(len(left), 'cell')} left"
            raise

    with cells.hold(), results.writing(folder):
        results.mend(folder)
        done = train(wanted.first_cells())
        written: dict[str, str] = {}
        trials: dict[str, tuple[Trial, ...]] = {}
        for name in [name for name in wanted.pages if name not in errors]:
            with _blamed_on(wanted.pages[name], errors):
                written[name], is_new = _write_page(
                    folder, wanted, name, done, happened
                )
                if is_new and wanted.profile.sensitivity:
                    trials[name] = sensitivity.trials(folder / name, wanted.pages[name])
        tried = train(
            [
                cell
                for name in trials
                for cell in sensitivity.first_cells(
                    folder / name, wanted, wanted.pages[name], trials[name]
                )
            ]
        )
        for name in trials:
            with _blamed_on(wanted.pages[name], errors):
                _note_lost(folder / name, _failed(tried.failures, name))
                sensitivity.write(
                    folder / name,
                    wanted.pages[name],
                    wanted.profile,
                    trials[name],
                    [record for record in tried.records if record.cell.page == name],
                )
        write_report(folder, wanted.shelf, written.keys())
        for name, made_from in written.items():
            if name not in errors and not _failed(tried.failures, name):
                stamps.write(folder, name, made_from)
        for name, error in errors.items():
            stamps.write_error(folder, name, error)
    return Ran(
        PageResult(
            name,
            folder / name,
            trained=_count(happened, name, "finished"),
            cached=_count(happened, name, "cached"),
            failed=_failed((*done.failures, *tried.failures), name),
            error=errors.get(name),
        )
        for name in wanted.names
    )


@contextmanager
def _blamed_on(page: Page, errors: dict[str, DlclaimsError]) -> Iterator[None]:
    """Keep an error of a page's own as its fault, so that the other pages go on."""
    from dlclaims import assembly

    try:
        yield
    except Exception as error:
        if getattr(error, "errno", None) in results.UNWRITABLE:
            raise  # the folder's fault, not the page's
        errors[page.name] = assembly.blame(page, error)


def _has_failed(out: Path, page: str) -> bool:
    lost = results.read_json(out / page / "manifest.json").get("failed")
    return bool(lost) or stamps.has_error(out, page)


def _failed(failures: Iterable[Failure], page: str) -> dict[str, str]:
    own = (failure for failure in failures if failure.cell.page == page)
    return {failure.cell.label: failure.message for failure in own}


def _note_lost(folder: Path, failed: Mapping[str, str]) -> None:
    """Add the cells that sensitivity arms lost to a page's manifest."""
    if failed:
        made = results.read_json(folder / "manifest.json")
        made["failed"] |= {n: words.splitlines()[0] for n, words in failed.items()}
        results.write_json(folder / "manifest.json", made)


def _count(happened: Mapping[Cell, str], page: str, kind: str) -> int:
    return sum(cell.page == page and k == kind for cell, k in happened.items())


def _write_page(
    folder: Path,
    wanted: Design,
    name: str,
    done: Result,
    happened: Mapping[Cell, str],
) -> tuple[str, bool]:
    """Write a page's files unless they are current.

    Return what they are made from, and whether they were written.
    """
    from dlclaims import assembly

    page = wanted.pages[name]
    records = [record for record in done.records if record.cell.page == name]
    failures = [failure for failure in done.failures if failure.cell.page == name]
    trained = _count(happened, name, "finished") > 0
    made_from = stamps.inputs(page, wanted.profile, records)
    is_new = trained or not stamps.is_current(folder, name, made_from)
    if is_new:
        assembly.write(folder / name, page, wanted.profile, records, failures, trained)
    return made_from, is_new


def judge(
    out: Path, shelf: Shelf, judged: Collection[str] = ()
) -> dict[Path, dict[str, Any]]:
    """Return the verdicts of all pages with results, by their files, judged together.

    Each page is judged anew from its tables, as its declarations stand now. A page
    that is not on the shelf keeps its verdicts, and so do those in `judged`.
    """
    from dlclaims import assembly, verdicts

    single = [
        assembly.verdicts_of(out / name, shelf.pages[name])
        if name in shelf.pages and name not in judged
        else results.read_json(out / name / "verdicts.json")
        for name in results.names(out)
    ]
    files = (out / name / "verdicts.json" for name in results.names(out))
    return dict(zip(files, verdicts.correct(single), strict=True))


def write_report(out: Path, shelf: Shelf, judged: Collection[str] = ()) -> Path:
    """Judge all pages with results, render the report from the files, return its path.

    Verdicts that would not change stay as they are; pages in `judged` have new ones.
    """
    from dlclaims import report

    with results.writing(out):
        for file, found in judge(out, shelf, judged).items():
            if not results.agree(found, results.read_json(file)):
                results.write_json(file, found)
        report.write(report.build(out, shelf.pages), out)
    return out / "report.html"
