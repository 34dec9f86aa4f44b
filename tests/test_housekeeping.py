"""What may be deleted, tables for other programs, and a run that is given minutes."""

import csv
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from test_sensitivity import SLOW

from dlclaims import cli, housekeeping, results, store, suite
from dlclaims.errors import Locked, TimeUp, UsageError
from dlclaims.execution import context
from dlclaims.pages import grid
from dlclaims.shelf import Shelf, shelve
from dlclaims.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "slow.py").write_text(SLOW)
    return tmp_path / "pages"


@pytest.fixture
def out(folder: Path, tmp_path: Path) -> Path:
    """Smoke results of the page ``slow``."""
    run(folder, tmp_path / "results")
    return tmp_path / "results"


def run(folder: Path, out: Path, **options: object) -> None:
    suite.run("slow", profile="smoke", out=out, folders=[folder], jobs=1, **options)


def shelf_of(folder: Path) -> Shelf:
    return shelve([folder])


def test_good_cells_stay(out: Path, folder: Path) -> None:
    assert housekeeping.clean(out, shelf_of(folder), stale=True) == ()
    assert len([*Store(out / "cells").items("slow")]) == 4


def test_damaged_cells_and_logs_go(out: Path, folder: Path) -> None:
    cells = Store(out / "cells")
    (file, record), *_ = cells.items("slow")
    file.write_bytes(file.read_bytes()[:-20])
    with cells.hold():
        assert cells.get(record.key) is None
    cells.write_failure("0" * 64, "a trace")
    found = housekeeping.clean(out, shelf_of(folder), stale=False)
    assert sorted(leaving.reason for leaving in found) == [
        "damaged cell",
        "log of a failed cell",
    ]
    assert not any(leaving.file.exists() for leaving in found)


def test_cells_of_other_code_are_stale(out: Path, folder: Path) -> None:
    page = folder / "slow.py"
    page.write_text(page.read_text().replace("/ 300 + n", "/ 200 + n - 0"))
    edited = shelf_of(folder)
    assert housekeeping.clean(out, edited, stale=False) == ()
    found = [*housekeeping.leavings(out, edited, stale=True)]
    assert {leaving.reason for leaving in found} == {"its code or data have changed"}
    assert len(found) == 4
    housekeeping.clean(out, edited, stale=True)
    assert [*Store(out / "cells").items("slow")] == []


@pytest.mark.parametrize(
    ("reason", "number"),
    [
        ("its variant is gone", 2),
        ("packages have changed", 4),
        (f"a cell of schema {store.SCHEMA}", 4),
    ],
)
def test_cells_of_other_grids_packages_and_schemas_are_stale(
    out: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    reason: str,
    number: int,
) -> None:
    shelf = shelf_of(folder)
    if "variant" in reason:
        page, less = shelf.pages["slow"], grid(level=(1,))
        (study,) = page.studies
        edited = replace(study, standard=less, smoke=less)
        shelf.pages["slow"] = replace(page, studies=(edited,))
    if "packages" in reason:
        monkeypatch.setattr(context, "versions", lambda: {"numpy": "0.9"})
    if "schema" in reason:
        monkeypatch.setattr(store, "SCHEMA", store.SCHEMA + 1)
    found = [*housekeeping.leavings(out, shelf, stale=True)]
    assert [leaving.reason for leaving in found] == [reason] * number


def test_cells_of_a_page_that_is_not_at_hand_stay(out: Path) -> None:
    assert housekeeping.clean(out, shelve(), stale=True) == ()
    assert len([*Store(out / "cells").items("slow")]) == 4


def test_nothing_is_deleted_or_exported_during_a_run(
    out: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(self: Store) -> None:
        raise Locked("a store that no other run holds", "it is held", "wait")

    monkeypatch.setattr(Store, "hold", held)
    with pytest.raises(Locked):
        housekeeping.clean(out, shelf_of(folder), stale=True)
    with pytest.raises(Locked):
        housekeeping.export(out, tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_tables_are_exported_with_one_over_all_claims(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = out / "new" / "tables"
    (out / "calibration").mkdir()
    for file in (out / "calibration" / "aa.csv", out / "slow" / "curve.csv"):
        results.write_table(file, pd.DataFrame({"p": [0.5]}))
    for _ in range(2):  # what was exported before is not exported once more
        assert cli.call(["export", "--csv", str(target), "--out", str(out)]) == 0
        told = capsys.readouterr().out.split()
    assert told == [str(file) for file in map(Path, told) if file.parent == target]
    names = ("outcomes", "variants", "theory", "curve")
    assert {file.name for file in map(Path, told)} == {
        "claims.csv",
        "calibration-aa.csv",
        *(f"slow-{name}.csv" for name in names),
    }
    with (target / "claims.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["claim"], row["role"]) for row in rows] == [
        ("slow-gain", "document"),
        ("slow-gain", "corrected"),
    ]
    assert rows[0]["region_low"] == "0.5"
    assert rows[0]["region_high"] == ""
    judged = results.read_json(out / "slow" / "verdicts.json")
    (condition,) = judged["claims"]["slow-gain"]["document"]["criteria"]
    assert float(rows[0]["value"]) == condition["value"]


def test_a_formula_is_exported_as_text(out: Path, tmp_path: Path) -> None:
    file = out / "slow" / "verdicts.json"
    file.write_text(file.read_text().replace("More is better.", "=cmd|' /C calc'!A0"))
    housekeeping.export(out, tmp_path / "tables")
    with (tmp_path / "tables" / "claims.csv").open() as lines:
        assert next(csv.DictReader(lines))["text"] == "'=cmd|' /C calc'!A0"


def test_nothing_to_export_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dlclaims run"):
        housekeeping.export(tmp_path, tmp_path / "tables")


def test_a_run_that_is_given_minutes_keeps_its_cells(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "short"
    with pytest.raises(TimeUp, match="finished cells are kept"):
        run(folder, out, max_minutes=1e-6)
    assert results.names(out) == ()
    run(folder, out)
    assert results.names(out) == ("slow",)


def test_sensitivity_cells_that_fail_are_told_and_tried_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, out = folder / "slow.py", tmp_path / "results"
    fails = 'import os\n    assert variant.arm != "longer" or "FAIL" not in os.environ'
    steps = "    steps, rates"
    page.write_text(page.read_text().replace(steps, f"    {fails}\n{steps}"))
    go = partial(suite.run, "slow", out=out, folders=[folder], jobs=1)
    monkeypatch.setenv("FAIL", "1")
    for _ in range(2):
        (found,) = go()
        assert len(found.failed) == 2
        assert {*found.manifest["failed"]} == {*found.failed}
    monkeypatch.delenv("FAIL")
    (again,) = go(only_failed=True)
    assert again.trained >= 2
    assert (again.failed, again.manifest["failed"]) == ({}, {})
    tried = results.read_json(out / "slow" / "sensitivity.json")
    arms = [one["arm"] for one in tried["claims"]["slow-gain"]["document"]]
    assert arms == ["longer", "equal-work"]
    assert go(only_failed=True) == ()


def test_the_command_tells_what_it_deletes(
    out: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--out", str(out), "--pages", str(folder)]
    (out / "cells" / "failures").mkdir()
    (out / "cells" / "failures" / "x.log").write_text("a trace")
    assert cli.call(["clean", "--dry-run", *where]) == 0
    assert "would delete 1 file" in capsys.readouterr().out
    assert cli.call(["clean", *where]) == 0
    assert "deleted 1 file" in capsys.readouterr().out
    assert cli.call(["clean", *where]) == 0
    assert "deleted 0 files" in capsys.readouterr().out
