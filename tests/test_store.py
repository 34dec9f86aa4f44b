"""Cells on disk: exact, whole or absent, and never taken for something else."""

import errno
import hashlib
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlclaims import store
from dlclaims.errors import DamagedCell, EnvironmentFault, Locked
from dlclaims.plan import Cell
from dlclaims.store import Context, OtherSchema, Record, Store

CELL = Cell(
    "page", "study", "evaluation", (("width", 3), ("init", "he")), (0.1,), (0, 1)
)
CONTEXT = Context(
    code={"measure": "m0", "STEPS": "s0"},
    data={"digits": "d0"},
    versions={"numpy": "2.4.5"},
    numerics={"intra_threads": 1},
    backend="tensorflow",
    device="cpu",
)
TABLE = pd.DataFrame({"seed": [0, 1], "value": [0.1, np.nan]})

HOLDER = """
import sys
from pathlib import Path
from dlclaims.store import Store
with Store(Path(sys.argv[1])).hold():
    print("held", flush=True)
    sys.stdin.read()
"""


def record(table: pd.DataFrame = TABLE, cell: Cell = CELL) -> Record:
    meta = {**asdict(CONTEXT), "seconds": 1.5}
    return Record(cell, store.key(cell, CONTEXT), table, meta)


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


def floats(values: list[float], kind: str = "float64") -> np.ndarray:
    return np.array(values, dtype=kind)


@pytest.mark.parametrize(
    "column",
    [
        floats([0.1, -0.0, 5e-324, np.nan, np.inf, -np.inf, 1 / 3]),
        floats([0.1, -0.0, 1e-45, np.nan, np.inf, -np.inf, 1 / 3], "float32"),
        np.array([0, 2**64 - 1], dtype="uint64"),
        np.array([-128, 127], dtype="int8"),
        np.array([True, False]),
        floats([]),
    ],
    ids=lambda column: f"{column.dtype}-{len(column)}",
)
def test_numbers_come_back_bit_for_bit(column: np.ndarray) -> None:
    back = store.decode(store.encode(record(pd.DataFrame({"x": column})))).table["x"]
    assert back.dtype == column.dtype
    assert back.to_numpy().tobytes() == column.tobytes()


def test_text_comes_back_with_what_is_missing() -> None:
    words = ["", "nan", "ü \U0001f600 \ud800", None, "<script>", "a,b\n"]
    table = pd.DataFrame({"words": pd.Series(words, dtype=object)})
    back = store.decode(store.encode(record(table))).table["words"]
    assert back.dtype == "str"
    assert back.isna().tolist() == [word is None for word in words]
    assert back.dropna().tolist() == [word for word in words if word is not None]


def test_a_record_comes_back_with_its_cell_key_and_meta() -> None:
    cell = replace(CELL, factors=(("shape", (2, 3)), ("rate", 1.0), ("deep", True)))
    back = store.decode(store.encode(record(cell=cell)))
    assert (back.cell, back.key) == (cell, store.key(cell, CONTEXT))
    assert back.meta == {**asdict(CONTEXT), "seconds": 1.5}


@given(st.lists(st.floats(), max_size=5), st.lists(st.text(), max_size=5))
def test_what_is_read_is_written_as_the_same_bytes(
    numbers: list[float], words: list[str]
) -> None:
    table = pd.DataFrame({"number": pd.Series(numbers, dtype="float64")})
    table["word"] = pd.Series(words, dtype=object).reindex(table.index)
    raw = store.encode(record(table))
    assert store.encode(store.decode(raw)) == raw


@pytest.mark.parametrize(
    "column",
    [
        [1, "a"],
        [[1], [2]],
        pd.to_datetime(["2020-01-01"]),
        pd.array([1, None], "Int64"),
    ],
    ids=["mixed", "lists", "dates", "nullable"],
)
def test_other_columns_are_refused(column: list[object]) -> None:
    with pytest.raises(TypeError, match="a column of type"):
        store.encode(record(pd.DataFrame({"x": column})))


def test_every_damaged_byte_and_every_cut_is_detected() -> None:
    raw = store.encode(record())
    bits = np.random.default_rng(0).integers(8, size=len(raw))
    for place, bit in enumerate(bits):
        damaged = bytearray(raw)
        damaged[place] ^= 1 << int(bit)
        with pytest.raises(DamagedCell):
            store.decode(bytes(damaged))
        with pytest.raises(DamagedCell):
            store.decode(raw[:place])


def test_another_schema_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = store.encode(record())
    monkeypatch.setattr(store, "SCHEMA", store.SCHEMA + 1)
    with pytest.raises(OtherSchema, match=f"schema {store.SCHEMA - 1}"):
        store.decode(raw)


def test_cells_of_another_schema_are_left_alone_and_explain_a_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Store(tmp_path).put(record())
    content = b'{"schema":%d,"cells":[]}' % store.SCHEMA
    other = tmp_path / "page" / "00" / f"{'0' * 64}.json"
    other.parent.mkdir()
    other.write_bytes(
        store.SEAL % (hashlib.sha256(content).hexdigest().encode(), content)
    )
    before = files(tmp_path / "page")
    monkeypatch.setattr(store, "SCHEMA", store.SCHEMA + 1)
    cells = Store(tmp_path)
    with cells.hold():
        assert cells.get(store.key(CELL, CONTEXT)) is None
        assert [*cells.items("page")] == []
        told = cells.miss_reason(CELL, replace(CONTEXT, device="gpu"))
    assert told == f"schema {store.SCHEMA - 1} -> {store.SCHEMA}; device cpu -> gpu"
    assert files(tmp_path / "page") == before
    assert caplog.text == ""


def test_a_cell_is_found_by_its_key_alone(tmp_path: Path) -> None:
    cells = Store(tmp_path / "new")
    assert cells.get(record().key) is None
    assert not cells.root.exists()
    cells.put(record())
    found = cells.get(record().key)
    assert found is not None
    assert store.encode(found) == store.encode(record())


@pytest.mark.parametrize(
    "content", [b"[]", b"{}", b"no JSON", b'{"schema":%d,"table":[]}' % store.SCHEMA]
)
def test_sealed_content_that_is_no_cell_is_damaged(content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest().encode()
    with pytest.raises(DamagedCell, match="no cell"):
        store.decode(store.SEAL % (digest, content))


def test_a_damaged_cell_is_put_aside_and_can_be_written_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cells, key = Store(tmp_path), record().key
    cells.put(record())
    (path,) = tmp_path.glob(f"page/*/{key}.json")
    path.write_bytes(path.read_bytes()[:-5])
    with caplog.at_level(logging.WARNING):
        assert cells.get(key) is None
    assert str(path) in caplog.text
    assert path.exists()  # who only reads moves nothing
    assert cells.miss_reason(CELL, CONTEXT) == "its stored cell was damaged"
    with cells.hold():
        assert cells.get(key) is None
    assert (tmp_path / "quarantine" / path.name).exists()
    assert cells.miss_reason(CELL, CONTEXT) == "its stored cell was damaged"
    cells.put(record())
    assert cells.get(key) is not None


def test_a_reader_misses_a_cell_that_vanishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = Store(tmp_path)
    cells.put(record())
    read = Path.read_bytes

    def vanish(file: Path) -> bytes:
        file.unlink(missing_ok=True)
        return read(file)

    monkeypatch.setattr(Path, "read_bytes", vanish)
    assert cells.get(record().key) is None
    assert cells.miss_reason(CELL, CONTEXT) == "never run"


def test_a_cell_whose_key_is_that_of_other_values_is_damaged(tmp_path: Path) -> None:
    cells = Store(tmp_path)
    forged = replace(record(), meta={**record().meta, "device": "gpu"})
    cells.put(forged)
    assert cells.get(forged.key) is None
    assert [*cells.items("page")] == []


def test_what_is_not_found_always_has_a_reason(tmp_path: Path) -> None:
    cells = Store(tmp_path)
    cells.put(record())
    assert len(cells.documents("page")) == 1
    shutil.rmtree(tmp_path / "page")
    assert cells.miss_reason(CELL, CONTEXT) == "never run"


def test_a_cell_under_another_name_is_damaged(tmp_path: Path) -> None:
    cells = Store(tmp_path)
    cells.put(record())
    (path,) = tmp_path.glob("page/*/*.json")
    other = "0" * 64
    path.parent.with_name("00").mkdir()
    shutil.copy(path, path.parent.with_name("00") / f"{other}.json")
    with cells.hold():
        assert cells.get(other) is None
    assert files(tmp_path / "quarantine") == [f"{other}.json"]


def test_the_first_writer_wins_unless_told_to_replace(tmp_path: Path) -> None:
    cells = Store(tmp_path)
    second = replace(record(), table=TABLE.assign(value=2.0))
    cells.put(record())
    (path,) = tmp_path.glob("page/*/*.json")
    cells.put(second)
    assert path.read_bytes() == store.encode(record())
    cells.put(second, replace=True)
    assert path.read_bytes() == store.encode(second)


def test_folders_that_are_new_are_on_disk_when_their_cell_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Path] = []
    monkeypatch.setattr(store, "_synchronize", told.append)
    cells = Store(tmp_path / "cells")
    cells.put(record())
    (path,) = cells.root.glob("page/*/*.json")
    assert {*told} == {path.parent, cells.root / "page", cells.root, tmp_path}
    told.clear()
    cells.put(record())
    assert told == [path.parent]


def test_a_file_system_without_links_keeps_cells_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(store.os, "link", refuse)
    cells = Store(tmp_path)
    cells.put(record())
    cells.put(replace(record(), table=TABLE.assign(value=2.0)))
    assert files(tmp_path) == [f"{record().key}.json"]
    found = cells.get(record().key)
    assert found is not None
    assert store.encode(found) == store.encode(record())


@pytest.mark.parametrize("call", ["fsync", "link"])
def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    cells = Store(tmp_path)
    other = replace(CELL, seeds=(2, 3))
    cells.put(record())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(store.os, call, full)
        with pytest.raises(EnvironmentFault, match="No space left") as caught:
            cells.put(record(cell=other))
    assert caught.value.exit_code == 3
    assert str(tmp_path) in str(caught.value)
    assert files(tmp_path) == [f"{record().key}.json"]
    cells.put(record(cell=other))
    assert len(files(tmp_path)) == 2


def test_a_folder_that_cannot_be_made_is_the_environments_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cells = Store(tmp_path / "file" / "cells")
    with pytest.raises(EnvironmentFault, match="Not a directory"):
        cells.put(record())
    with pytest.raises(EnvironmentFault, match="Not a directory"), cells.hold():
        pass


def test_holding_sweeps_what_a_killed_run_left_and_nothing_else(tmp_path: Path) -> None:
    cells = Store(tmp_path)
    cells.put(record())
    (path,) = tmp_path.glob("page/*/*.json")
    path.with_name(f".{'0' * 64}.77.part").write_text("half")
    with cells.hold(), Store(tmp_path).hold():
        assert files(tmp_path / "page") == [path.name]


def test_a_second_process_is_told_who_holds_the_store(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(Locked, match=f"process {holder.pid}"),
            Store(tmp_path).hold(),
        ):
            pass
        holder.kill()
    with Store(tmp_path).hold():  # the lock died with its process
        pass


CHANGES = {
    "code of measure changed": {"code": {"measure": "m1", "STEPS": "s0"}},
    "code of STEPS, helper changed": {"code": {"measure": "m0", "helper": "h0"}},
    "data set digits changed": {"data": {"digits": "d1"}},
    "numpy 2.4.5 -> 2.4.6": {"versions": {"numpy": "2.4.6"}},
    "intra_threads 1 -> 2": {"numerics": {"intra_threads": 2}},
    "backend tensorflow -> jax; device cpu -> gpu": {"backend": "jax", "device": "gpu"},
}


@pytest.mark.parametrize("reason", CHANGES)
def test_what_a_cell_depends_on_is_in_its_key_and_explains_a_miss(
    tmp_path: Path, reason: str
) -> None:
    cells = Store(tmp_path)
    cells.put(record())
    other = replace(CONTEXT, **CHANGES[reason])
    assert store.key(CELL, other) != store.key(CELL, CONTEXT)
    assert cells.miss_reason(CELL, other) == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seeds": (0, 2)}, "other seeds"),
        ({"learning_rates": (0.2,)}, "other learning rates"),
        ({"factors": (("width", 4), ("init", "he"))}, "never run"),
        ({"stage": "tuning"}, "never run"),
        ({"arm": "longer"}, "never run"),
        ({"study": "other"}, "never run"),
        ({"page": "other"}, "never run"),
    ],
)
def test_a_cells_own_parts_explain_a_miss(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    cells = Store(tmp_path)
    cells.put(record())
    cell = replace(CELL, **change)
    assert store.key(cell, CONTEXT) != store.key(CELL, CONTEXT)
    assert cells.miss_reason(cell, CONTEXT) == reason


def test_the_nearest_cell_explains_a_miss(tmp_path: Path) -> None:
    cells = Store(tmp_path)
    now = replace(CONTEXT, versions={"numpy": "2.4.6"}, device="gpu")
    assert cells.miss_reason(CELL, now) == "never run"
    cells.put(record())
    assert cells.miss_reason(CELL, now) == "numpy 2.4.5 -> 2.4.6; device cpu -> gpu"
    nearer = replace(CELL, seeds=(0, 1, 2))
    cells.put(Record(nearer, store.key(nearer, now), TABLE, asdict(now)))
    assert cells.miss_reason(CELL, now) == "other seeds"


def test_time_is_no_part_of_what_a_cell_depends_on() -> None:
    assert store.document(CELL, record().meta) == store.document(CELL, CONTEXT)


def test_the_log_of_a_failure_goes_when_its_cell_succeeds(tmp_path: Path) -> None:
    cells = Store(tmp_path)
    log = cells.write_failure(record().key, "trace")
    assert log.read_text() == "trace"
    cells.put(record())
    assert not log.exists()
