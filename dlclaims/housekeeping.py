"""What lies among the results and nobody needs; and tables for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlclaims import results
from dlclaims.errors import UsageError
from dlclaims.plan import PROFILES
from dlclaims.shelf import Shelf
from dlclaims.store import Store

if TYPE_CHECKING:
    import pandas as pd

#: The columns of ``claims.csv``: one condition a row.
CLAIMS = [
    *("page", "profile", "claim", "role", "text", "expected", "verdict", "label"),
    *("condition", "scope", "effect", "unit", "value", "low", "high"),
    *("region_low", "region_high", "answer", "n", "p", "q"),
]


@dataclass(frozen=True)
class Leaving:
    """A file that nobody needs, and why."""

    file: Path
    reason: str
    bytes: int


def leavings(out: Path, shelf: Shelf, stale: bool) -> Iterator[Leaving]:
    """Yield what may be deleted: damaged cells, logs of failures.

    Parameters
    ----------
    stale : bool
        Also the cells that the present code, data, packages or grid of their page would
        not make. Cells of pages that are not on the shelf are left alone.
    """
    cells = Store(out / "cells")
    for name, reason in (
        ("quarantine", "damaged cell"),
        ("failures", "log of a failed cell"),
    ):
        for file in sorted((cells.root / name).glob("*")):
            yield Leaving(file, reason, file.stat().st_size)
    if stale:
        for page in shelf.pages:
            for file, reason in _stale(cells, shelf, page):
                yield Leaving(file, reason, file.stat().st_size)


def _stale(cells: Store, shelf: Shelf, name: str) -> Iterator[tuple[Path, str]]:
    from dlclaims.engine.numerics import Numerics
    from dlclaims.execution.context import context_of

    page = shelf.pages[name]
    known = {
        study.name: context_of(page, study, "cpu", Numerics()) for study in page.studies
    }
    grids = {
        study.name: {v.factors for profile in PROFILES for v in study.variants(profile)}
        for study in page.studies
    }
    for file, record in cells.items(name):
        own = known.get(record.cell.study)
        if own is None:
            yield file, f"its study {record.cell.study} is gone"
        elif record.cell.factors not in grids[record.cell.study]:
            yield file, "its variant is gone"
        elif any(record.meta[part] != getattr(own, part) for part in ("code", "data")):
            yield file, "its code or data have changed"
        elif record.meta["backend"] == own.backend and (
            record.meta["versions"] != own.versions
        ):
            yield file, "packages have changed"
    for file, other in cells.others(name):
        yield file, other.received


def clean(out: Path, shelf: Shelf, stale: bool) -> tuple[Leaving, ...]:
    """Delete what `leavings` finds, and return it. Raises Locked during a run."""
    cells = Store(out / "cells")
    if not cells.root.exists():
        return ()
    with cells.hold():
        found = tuple(leavings(out, shelf, stale))
        for leaving in found:
            leaving.file.unlink()
    return found


def export(out: Path, folder: Path) -> tuple[Path, ...]:
    """Write all tables of results into a folder, and ``claims.csv`` over all claims.

    Those of pages with what their figures show, of calibration and replication, and of
    faults; each is named after its place. Text that a spreadsheet would take for a
    formula gets an apostrophe before it.

    Returns
    -------
    tuple of Path
        The files.

    Raises
    ------
    UsageError
        There are no results.
    EnvironmentFault
        The folder cannot be written.
    Locked
        A run is at work there.
    """
    if not results.names(out):
        raise UsageError("results to export", f"none in {out}", "run dlclaims run")
    written = []
    with Store(out / "cells").hold(), results.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        own = {(out / "cells").resolve(), folder.resolve()}
        for file in sorted(out.rglob("*.csv")):
            if own.isdisjoint(file.resolve().parents):
                written.append(folder / "-".join(file.relative_to(out).parts))
                _write(written[-1], results.read_table(file))
        written.append(folder / "claims.csv")
        _write(written[-1], claims(out))
    return tuple(written)


def claims(out: Path) -> pd.DataFrame:
    """Return all conditions of all claims with their verdicts; columns `CLAIMS`."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name in results.names(out):
        judged = results.read_json(out / name / "verdicts.json")
        for claim, roles in judged["claims"].items():
            for role in ("document", "corrected"):
                made = roles[role]
                for condition in made["criteria"] if made else ():
                    low, high = condition["region"]
                    found = {
                        **made,
                        **condition,
                        "page": name,
                        "profile": judged["profile"],
                        "claim": claim,
                        "role": role,
                        "condition": condition["name"],
                        "effect": condition["effect"]["kind"],
                        "region_low": low,
                        "region_high": high,
                    }
                    rows.append({column: found[column] for column in CLAIMS})
    return pd.DataFrame(rows, columns=CLAIMS)


def _write(file: Path, table: pd.DataFrame) -> None:
    plain = table.copy()
    for name in plain.select_dtypes(include=["object", "str"]):
        plain[name] = plain[name].map(_harmless)
    results.write_table(file, plain)


def _harmless(value: Any) -> Any:
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t"))
    return f"'{value}" if is_formula else value
