"""The whole way: plan, training, statistics, verdicts, files, report.

Nothing is decided here: each step is a call of the module whose word it is. This module
knows their order, and that one page's fault does not stop the others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlclaims import results, stamps
from dlclaims.design import Design, design
from dlclaims.errors import DlclaimsError
from dlclaims.plan import Cell
from dlclaims.shelf import Shelf

if TYPE_CHECKING:
    import pandas as pd

    from dlclaims.execution import Result
    from dlclaims.store import Record

OnEvent = Callable[[str, Cell, float], None]


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


def load(out: Path | None = None) -> dict[str, PageResult]:
    """Return the results that lie in a folder, by page; nothing is trained."""
    folder = Path(out) if out else results.default_out()
    return {name: PageResult(name, folder / name) for name in results.names(folder)}


def run(
    words: str | Sequence[str] = (),
    *,
    profile: str = "standard",
    seeds: Sequence[int] | None = None,
    jobs: int | None = None,
    device: str = "auto",
    out: Path | None = None,
    folders: Sequence[Path] = (),
    fresh: bool = False,
    only_failed: bool = False,
    on_event: OnEvent = lambda kind, cell, seconds: None,
) -> tuple[PageResult, ...]:
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
        Worker processes; by default one a core, on GPUs one a card.
    device : str
        ``auto``, ``cpu`` or ``gpu``.
    out : Path, optional
        The folder of results; by default `results.default_out`.
    folders : sequence of Path
        More folders of pages.
    fresh : bool
        Measure again what is stored.
    only_failed : bool
        Run only pages whose last run lost cells.
    on_event : callable
        Called with ``cached``, ``started``, ``finished``, ``retried`` or ``failed``,
        the cell and its seconds.

    Returns
    -------
    tuple of PageResult
        One for each selected page, in the shelf's order. A page that is broken, or
        breaks while its results are made, has an `error`; the others still run.

    Raises
    ------
    DlclaimsError
        Wrong words, a folder that cannot be written or is held, a device that lacks.
    """
    from dlclaims import assembly, execution
    from dlclaims.store import Store

    folder = Path(out) if out else results.default_out()
    wanted = design(words, profile=profile, seeds=seeds, folders=folders)
    if only_failed:
        lost = (name for name in wanted.names if _lost_cells(folder / name))
        wanted = replace(wanted, names=tuple(lost))
    errors: dict[str, DlclaimsError] = dict(wanted.shelf.broken)
    happened: dict[Cell, str] = {}

    def note(kind: str, cell: Cell, seconds: float) -> None:
        happened[cell] = kind
        on_event(kind, cell, seconds)

    def follow(record: Record) -> tuple[Cell, ...]:
        try:
            return wanted.cells_after(record)
        except Exception as error:
            page = wanted.pages[record.cell.page]
            errors[page.name] = assembly.blame(page, error)
            return ()

    cells = Store(folder / "cells")
    with cells.hold(), results.writing(folder):
        results.mend(folder)
        done = execution.run(
            wanted.first_cells(),
            cells,
            folders=wanted.shelf.folders,
            jobs=jobs or len(execution.slots(device)),
            device=device,
            fresh=fresh,
            on_event=note,
            follow=follow,
        )
        written: dict[str, str] = {}
        for name in [name for name in wanted.pages if name not in errors]:
            try:
                written[name] = _write_page(folder, wanted, name, done, happened)
            except Exception as error:
                if getattr(error, "errno", None) in results.UNWRITABLE:
                    raise  # the folder's fault, not the page's
                errors[name] = assembly.blame(wanted.pages[name], error)
        write_report(folder, wanted.shelf, written.keys())
        for name, made_from in written.items():
            stamps.write(folder, name, made_from)
    return tuple(
        PageResult(
            name,
            folder / name,
            trained=_count(happened, name, "finished"),
            cached=_count(happened, name, "cached"),
            failed={
                failure.cell.label: failure.message
                for failure in done.failures
                if failure.cell.page == name
            },
            error=errors.get(name),
        )
        for name in wanted.names
    )


def _lost_cells(folder: Path) -> bool:
    return bool(results.read_json(folder / "manifest.json").get("failed"))


def _count(happened: Mapping[Cell, str], page: str, kind: str) -> int:
    return sum(cell.page == page and k == kind for cell, k in happened.items())


def _write_page(
    folder: Path,
    wanted: Design,
    name: str,
    done: Result,
    happened: Mapping[Cell, str],
) -> str:
    """Write a page's files unless they are current; return what they are made from."""
    from dlclaims import assembly

    page = wanted.pages[name]
    records = [record for record in done.records if record.cell.page == name]
    failures = [failure for failure in done.failures if failure.cell.page == name]
    trained = _count(happened, name, "finished") > 0
    made_from = stamps.inputs(page, wanted.profile, records)
    if trained or not stamps.is_current(folder, name, made_from):
        assembly.write(folder / name, page, wanted.profile, records, failures, trained)
    return made_from


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
