"""Faults by the dozen: no cell is lost, none counted twice (``make test-faults``).

Runs are real processes that meet real faults, and every number is observed: a cell that
a run told to be finished and that is not stored is lost; a row of the outcomes that
stands there twice, or a cell that was stored and is measured again, is duplicated;
whatever else is measured again is recomputed. Afterwards the same command goes on, and
its tables must be those of a run that met no fault, byte for byte.
"""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from runs import (
    PAGE,
    ROOT,
    TRAINED,
    Folder,
    Run,
    Server,
    repeated_rows,
    stored,
    tables,
    wait_until,
)

from dlclaims import execution, pages, store
from dlclaims.data import images
from dlclaims.errors import EnvironmentFault
from dlclaims.execution import local
from dlclaims.execution.local import Outcome
from dlclaims.plan import Cell
from dlclaims.store import Store

CELLS = 48
WIDE = pytest.mark.faults  # takes long: not in `make test`

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Whole:
    """A run that met no fault, and how long it wrote."""

    out: Path
    tables: dict[str, bytes]
    page_seconds: float
    report_seconds: float


Start = Callable[..., Run]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as made:
        yield made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, server: Server):
    """The page's folder, and the run that met no fault."""
    place = tmp_path_factory.mktemp("faulty")
    folder, out = Folder(place / "pages"), place / "whole"
    run = start_run(server, folder, out)
    assert run.wait_for(lambda: len(run.labels("finished")) == CELLS)
    times = [time.monotonic()]
    assert run.wait_for((out / "faulty" / "manifest.json").exists)
    times.append(time.monotonic())
    assert run.wait() == 0
    times.append(time.monotonic())
    assert repeated_rows(out) == 0
    whole = Whole(out, tables(out), times[1] - times[0], times[2] - times[1])
    return folder, whole


@pytest.fixture
def folder(made: tuple[Folder, Whole]) -> Folder:
    made[0].clear()
    return made[0]


@pytest.fixture
def whole(made: tuple[Folder, Whole]) -> Whole:
    return made[1]


def start_run(server: Server, folder: Folder, out: Path, *words: str) -> Run:
    told = folder.path.parent / f"told-{time.monotonic_ns()}"
    where = ("--pages", str(folder.path), "--out", str(out))
    if not words or words[0].startswith("-"):
        words = ("run", "faulty", "--verbose", *words)
    return Run(server, told, *words, *where)


@pytest.fixture
def start(server: Server, folder: Folder) -> Start:
    """Start a run of the page into a folder."""

    def started(out: Path, *words: str) -> Run:
        return start_run(server, folder, out, *words)

    return started


class Losses:
    """What faults cost: compares what runs told with what is stored."""

    def __init__(self, folder: Folder):
        self.lost = self.duplicated = self.recomputed = 0
        self._folder = folder
        self._known: dict[Path, set[str]] = {}

    def look(self, run: Run, out: Path) -> None:
        """Count what a run that has ended did to the store."""
        wait_until(lambda: not self._folder.has_workers)
        kept, known = stored(out), self._known.get(out, set())
        finished, cached = (
            {label for label in run.labels(kind) if label.startswith("faulty/")}
            for kind in ("finished", "cached")
        )
        self.lost += len((finished | cached | known) - kept)
        self.duplicated += len(finished & known)
        self._known[out] = kept

    def complete(self, run: Run, out: Path, whole: Whole) -> None:
        """Await the run that goes on: it gives what a run without faults gives."""
        assert run.wait() == 0, run.text
        self.look(run, out)
        assert tables(out) == whole.tables
        self.duplicated += repeated_rows(out)
        self.recomputed += sum(self._folder.measured.values()) - CELLS
        self._folder.clear()

    def counts(self) -> dict[str, int]:
        """Return the columns of the table."""
        return {
            "lost": self.lost,
            "duplicated": self.duplicated,
            "recomputed": self.recomputed,
        }


# Whatever ends a process


@WIDE
def test_a_run_that_is_killed(start, folder, whole, tmp_path, tally) -> None:
    """In each round while cells are measured, while a page and the report are written.

    Where the kill came is read off the disk; one that came too late is not counted.
    """
    chance, kills, losses = random.Random(0), Counter(), Losses(folder)
    for number in count():
        out = tmp_path / f"out-{number}"
        page = out / "faulty" / "manifest.json"
        for aim in (*["cells"] * 6, "page", "page", "report", "report"):
            if kills.total() == 50:
                break
            before = written_at(page)
            run = start(out, "--jobs", "2")
            reach(run, aim, page, before, chance, whole)
            if not run.is_alive or run.signal(signal.SIGKILL) != -signal.SIGKILL:
                break
            wait_until(lambda: not folder.has_workers)
            if written_at(page) != before:
                kills["report"] += 1
            else:
                told = len(run.labels("finished") + run.labels("cached"))
                kills["page" if told == CELLS else "cells"] += 1
            losses.look(run, out)
        losses.complete(start(out), out, whole)
        if kills.total() == 50:
            break
    detail = ", ".join(
        f"{kills[name]} while {words}"
        for name, words in (
            ("cells", "cells were measured"),
            ("page", "a page was written"),
            ("report", "the report was"),
        )
    )
    tally("run killed", kills.total(), **losses.counts(), detail=detail)
    assert min(kills[name] for name in ("cells", "page", "report")) > 0
    assert (losses.lost, losses.duplicated) == (0, 0)
    assert losses.recomputed <= 2 * kills["cells"]  # the cells in flight


def reach(
    run: Run,
    aim: str,
    page: Path,
    before: int,
    chance: random.Random,
    whole: Whole,
) -> None:
    """Wait for a random moment of a part of a run."""

    def told() -> int:
        return len(run.labels("finished")) + len(run.labels("cached"))

    if aim == "cells":
        run.wait_for(lambda: run.labels("finished"))
        wanted = told() + chance.randrange(6)
        run.wait_for(lambda: told() >= wanted)
        time.sleep(chance.uniform(0, 0.04))
    elif aim == "page":
        run.wait_for(lambda: told() == CELLS)
        time.sleep(chance.uniform(0, whole.page_seconds))
    else:
        run.wait_for(lambda: written_at(page) not in (0, before))
        time.sleep(chance.uniform(0, 0.8 * whole.report_seconds))


def written_at(file: Path) -> int:
    """When a file was written; 0 where there is none, also for a moment."""
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


@WIDE
def test_a_run_that_is_interrupted(start, folder, whole, tmp_path, tally) -> None:
    chance, interrupted, losses = random.Random(2), 0, Losses(folder)
    orphans = 0
    for number in count():
        out = tmp_path / f"out-{number}"
        for _ in range(5):
            run = start(out, "--jobs", "2")
            run.wait_for(lambda run=run: run.labels("finished"))
            time.sleep(chance.uniform(0, 0.15))
            if not run.is_alive:
                break
            code = run.signal(signal.SIGINT)
            if code == 0:  # it had finished before it heard of it
                break
            assert code == 130, run.text
            assert "finished cells are kept" in run.text
            assert "Traceback" not in run.text
            orphans += folder.has_workers
            interrupted += 1
            losses.look(run, out)
        losses.complete(start(out), out, whole)
        if interrupted >= 10:
            break
    tally(
        "Ctrl-C",
        interrupted,
        **losses.counts(),
        detail=f"exit 130 each time, {orphans} orphans",
    )
    assert (losses.lost, losses.duplicated, orphans) == (0, 0, 0)


@WIDE
def test_a_worker_that_is_killed(start, folder, whole, tmp_path, tally) -> None:
    out, losses, victims = tmp_path / "out", Losses(folder), []
    run = start(out, "--jobs", "2")
    for number in range(1, 9):
        wanted = 4 * number
        run.wait_for(lambda wanted=wanted: len(run.labels("finished")) >= wanted)
        victim = folder.workers[-1]
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
            victims.append(victim)
    losses.complete(run, out, whole)
    tally("worker killed", len({*victims}), **losses.counts())
    assert len({*victims}) >= 4
    assert (losses.lost, losses.duplicated) == (0, 0)


# Cells that cannot be measured fail alone


@WIDE
@pytest.mark.parametrize(
    ("kind", "fault", "told", "options"),
    [
        ("die", "cell kills its worker", "died twice", ()),
        ("memory", "out of memory", "memory ran out", ()),
        ("raise", "exception", "ValueError: what a page says", ()),
        ("hang", "cell hangs", "time limit", ("--cell-minutes", "0.05")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_cell_that_fails(
    start, folder, whole, tmp_path, tally, kind, fault, told, options
) -> None:
    out, losses = tmp_path / "out", Losses(folder)
    bad = {folder.fault(kind, level, first) for level, first in ((1, 0), (3, 6))}
    run = start(out, "--jobs", "2", *options)
    assert run.wait() == 1, run.text
    assert {*run.labels("failed")} == bad
    assert run.text.count(told) >= len(bad)
    assert len(run.labels("finished")) == CELLS - len(bad)
    losses.look(run, out)
    again = {label for label, times in folder.measured.items() if times > 1}
    assert again == (bad if kind in ("die", "memory") else set())  # tried once more
    for file in folder.path.glob("fault-*"):
        file.unlink()
    losses.complete(start(out), out, whole)
    tally(fault, len(bad), **losses.counts(), detail="exit 1, the others finished")
    assert (losses.lost, losses.duplicated) == (0, 0)


def test_a_loss_that_is_not_finite(start, folder, tmp_path, tally) -> None:
    """It is an outcome: the cell is finished, and is not measured again."""
    out, losses = tmp_path / "out", Losses(folder)
    for level, first in ((1, 0), (1, 4), (2, 0)):
        folder.fault("diverge", level, first)
    run = start(out)
    assert run.wait() == 0, run.text
    losses.look(run, out)
    again = start(out)
    assert again.wait() == 0
    losses.look(again, out)
    rows = (out / "faulty" / "outcomes.csv").read_text().splitlines()
    diverged = sum(",diverged," in row for row in rows)
    tally("loss is NaN", 3, **losses.counts(), detail=f"{diverged} replicas diverged")
    assert diverged == 6
    assert (run.labels("failed"), again.labels("finished")) == ([], [])
    assert (losses.lost, losses.duplicated) == (0, 0)


# The disk


class Known:
    """A pool whose workers know all answers: here the disk is at fault."""

    def __init__(self, records: dict[Cell, store.Record]):
        self._records, self._tasks = records, []

    def __call__(self, *_: object) -> "Known":
        self._tasks = []
        return self

    def __enter__(self) -> "Known":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, task: local.Task) -> None:
        self._tasks.append(task)

    def outcomes(self, *_: object) -> Iterator[Outcome]:
        while self._tasks:
            task = self._tasks.pop(0)
            yield Outcome("finished", task, 0.0, self._records[task.cell])


def test_a_disk_that_is_full_at_each_write(
    folder, whole, tmp_path, tally, monkeypatch
) -> None:
    """The k-th of what writes: opening a file to write, synchronizing, linking it.

    A file that cannot be written is left half-written, as a full disk leaves it.
    """
    files = {file.name: file for file, _ in Store(whole.out / "cells").items("faulty")}
    records = {r.cell: r for _, r in Store(whole.out / "cells").items("faulty")}
    monkeypatch.setattr(execution, "Pool", Known(records))
    losses, places = Losses(folder), Counter()

    def run(out: Path, told: Told) -> None:
        cells = Store(out / "cells")
        execution.run(records, cells, folders=[folder.path], on_event=told)

    for full_at in range(1, 21):
        out, told, again = tmp_path / f"out-{full_at}", Told(), Told()
        with monkeypatch.context() as patch:
            disk = Disk(patch, full_at)
            with pytest.raises(EnvironmentFault, match="No space left") as raised:
                run(out, told)
        assert str(out) in str(raised.value)
        assert raised.value.exit_code == 3
        places[disk.place] += 1
        losses.look(told, out)
        assert not [*(out / "cells").rglob("*.part")]
        run(out, again)
        losses.look(again, out)
        assert len(again.labels("cached")) - len(told.labels("finished")) <= 1  # linked
        found = {file.name: file for file, _ in Store(out / "cells").items("faulty")}
        assert {n: f.read_bytes() for n, f in found.items()} == {
            n: f.read_bytes() for n, f in files.items()
        }
    detail = ", ".join(f"{number} at {name}" for name, number in sorted(places.items()))
    tally("disk full at write k", 20, **losses.counts(), detail=detail)
    assert (losses.lost, losses.duplicated) == (0, 0)


class Told:
    """What a run in this process told, as `Run` tells it."""

    def __init__(self) -> None:
        self._events: list[tuple[str, str]] = []

    def __call__(self, kind: str, cell: Cell, _: float) -> None:
        self._events.append((kind, cell.label))

    def labels(self, kind: str) -> list[str]:
        return [label for told, label in self._events if told == kind]


class Disk:
    """A disk that is full from its k-th write on."""

    def __init__(self, patch: pytest.MonkeyPatch, full_at: int):
        self._calls, self.place = 0, ""
        opened, synchronize, link = Path.open, os.fsync, os.link

        def is_full(place: str) -> bool:
            self._calls += 1
            if self._calls >= full_at and not self.place:
                self.place = place
            return self._calls >= full_at

        def fail(path: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

        def open_file(path: Path, mode: str = "r", *rest: object, **options: object):
            file = opened(path, mode, *rest, **options)
            if "w" in mode and path.suffix == ".part" and is_full("write"):
                with file:
                    file.write(b'{"sha')
                fail(path)
            return file

        def fsync(descriptor: int) -> None:
            if is_full("fsync"):
                fail(os.readlink(f"/proc/self/fd/{descriptor}"))
            synchronize(descriptor)

        def link_file(source: Path, target: Path) -> None:
            if is_full("link"):
                fail(target)
            link(source, target)

        patch.setattr(Path, "open", open_file)
        patch.setattr(os, "fsync", fsync)
        patch.setattr(os, "link", link_file)


#: From a disk that holds no cell to one on which the report does not fit.
DISKS = (16, 160, 240, 400)


@WIDE
def test_a_small_disk_that_fills(folder, whole, tmp_path, tally) -> None:
    """A file system in memory that only the runs see, made larger afterwards."""
    lacking = cannot_mount()
    if lacking:
        tally("disk full, small file system", 0, detail=f"not tried: {lacking}")
        pytest.skip(lacking)
    losses, kept = Losses(folder), []
    place = tmp_path / "disk"
    place.mkdir()
    with Server("unshare", "--mount") as server:
        seen = Path(f"/proc/{server.pid}/root{place}")

        def mount(*words: str) -> None:
            inside = ["nsenter", "--mount", "--target", str(server.pid)]
            subprocess.run([*inside, *words], check=True)

        for kilobytes in DISKS:
            size = f"size={kilobytes}k"
            mount("mount", "-t", "tmpfs", "-o", size, "none", str(place))
            name = f"out-{kilobytes}"
            out = seen / name
            run = start_run(server, folder, place / name)
            assert run.wait() == 3, run.text
            assert "No space left" in run.text
            assert str(place) in run.text
            assert "Traceback" not in run.text
            losses.look(run, out)
            kept.append(len(stored(out)))
            mount("mount", "-o", "remount,size=64m", str(place))
            losses.complete(start_run(server, folder, place / name), out, whole)
            mount("umount", str(place))
    whole_runs = sum(number == CELLS for number in kept)
    tally(
        "disk full, small file system",
        len(DISKS),
        **losses.counts(),
        detail=f"{len(DISKS) - whole_runs} while measuring, {whole_runs} while writing",
    )
    assert 0 < whole_runs < len(DISKS)
    assert (losses.lost, losses.duplicated) == (0, 0)


def cannot_mount() -> str:
    """Why no file system can be mounted here; nothing if it can."""
    if os.getuid():
        return "needs root"
    if not (shutil.which("unshare") and shutil.which("nsenter")):
        return "needs unshare and nsenter"
    done = subprocess.run(["unshare", "--mount", "true"], check=False)
    return "unshare --mount is not allowed" if done.returncode else ""


@WIDE
def test_damaged_cells(start, folder, whole, tmp_path, tally) -> None:
    out, chance, losses = tmp_path / "out", random.Random(1), Losses(folder)
    shutil.copytree(whole.out, out)
    detected = injected = again = 0
    for _ in range(5):
        files = [file for file, _ in Store(out / "cells").items("faulty")]
        hurt = chance.sample(files, 40)
        spare = next(file for file in files if file not in hurt)
        damaged = {file: damage(file, spare, chance) for file in hurt}
        for file, content in damaged.items():
            file.write_bytes(content)
        folder.clear()
        run = start(out)
        assert run.wait() == 0, run.text
        aside = out / "cells" / "quarantine"
        detected += sum(
            (aside / file.name).exists()
            and (aside / file.name).read_bytes() == content
            and f"damaged cell {file}" in run.text
            for file, content in damaged.items()
        )
        injected += len(damaged)
        again += len(run.labels("finished"))
        assert sum(folder.measured.values()) == len(damaged)
        losses.look(run, out)
        assert tables(out) == whole.tables
        losses.duplicated = repeated_rows(out)
    tally(
        "cell damaged",
        injected,
        lost=injected - detected,
        duplicated=losses.duplicated,
        recomputed=again,
        detail=f"{detected} detected and put aside",
    )
    assert (detected, again, losses.lost) == (injected, injected, 0)


def damage(file: Path, other: Path, chance: random.Random) -> bytes:
    """Return what becomes of a cell's bytes: never what they were."""
    content = bytearray(file.read_bytes())
    place = chance.randrange(len(content))
    match chance.randrange(6):
        case 0:
            content[place] ^= 1 << chance.randrange(8)
        case 1:
            del content[place:]
        case 2:
            content.insert(place, chance.randrange(256))
        case 3:
            content[place:] = bytes(len(content) - place)
            content[-1:] = b"\x01"
        case 4:
            content[:] = other.read_bytes()  # a whole cell, but another one
        case 5:
            content.clear()
    return bytes(content)


# What somebody else is doing, or has written


@WIDE
def test_a_second_run_on_a_folder(start, folder, whole, tmp_path, tally) -> None:
    out, losses = tmp_path / "out", Losses(folder)
    folder.fault("hang", 1, 0)
    first = start(out)
    assert first.wait_for(lambda: folder.measured)
    for number in range(10):
        second = start(out, *(("--fresh",) if number % 2 else ()))
        assert second.wait() == 75, second.text
        assert f"process {first.pid}" in second.text
        assert len(second.text.splitlines()) <= 3
    assert first.is_alive
    (folder.path / "fault-1-0").unlink()
    losses.complete(first, out, whole)
    tally("second run on a folder", 10, **losses.counts(), detail="exit 75, pid named")
    assert losses.counts() == {"lost": 0, "duplicated": 0, "recomputed": 0}


MISDRAWN = PAGE.replace("faulty", "figure").replace("ax.plot(", "ax.plott(")
#: Pages by name, and the line that is at fault.
BROKEN = {
    "syntax": ('"""A page."""\n\nPAGE = (\n', 3),
    "name": ('"""A page."""\n\nPAGE = Page()\n', 3),
    "module": ('"""A page."""\nimport no_such_module\n', 2),
    "raises": ('"""A page."""\n\n\nraise RuntimeError("<script>")\n', 4),
    "figure": (MISDRAWN, MISDRAWN[: MISDRAWN.index("ax.plott(")].count("\n") + 1),
}


def test_broken_pages(server, whole, tmp_path, tally) -> None:
    """Each is named with its file and line, and the others run."""
    out, folder = tmp_path / "out", Folder(tmp_path / "pages")
    losses = Losses(folder)
    for name, (text, _) in BROKEN.items():
        text = text.replace("<HERE>", repr(str(folder.path)))
        (folder.path / f"{name}.py").write_text(text)
    words = ("run", "--verbose", "faulty", *(f"{name}*" for name in BROKEN))
    run = start_run(server, folder, out, *words)
    assert run.wait() == 1, run.text
    losses.look(run, out)
    named = [f"{name}.py:{line}" in run.text for name, (_, line) in BROKEN.items()]
    assert tables(out) == whole.tables
    tally(
        "broken page",
        len(BROKEN),
        **losses.counts(),
        detail=f"{sum(named)} named with file and line, the others ran",
    )
    assert named == [True] * len(BROKEN), run.text


#: None of these may be executed, by anything that reads names, values or files.
HOSTILE = (
    "<script>document.title='OWNED'</script>",
    '"><img src=x onerror=alert(1)>',
    "../../escaped",
    "=cmd|'/C touch OWNED'!A0",
    "$(touch OWNED)",
    "`touch OWNED`; touch OWNED",
    "__import__('os').system('touch OWNED')",
    "{{ 7 * 191 }}{% set x = 1 %}",
)
#: A pickle that makes the file when it is loaded.
PICKLE = b"cos\nsystem\n(S'touch OWNED'\ntR."


@WIDE
def test_hostile_names_values_and_files(server, tmp_path, tally, monkeypatch) -> None:
    """In factors, texts, words of a call, stored cells, results and data."""
    owned = tmp_path / "OWNED"
    hostile = [words.replace("OWNED", str(owned)) for words in HOSTILE]
    pickled = PICKLE.replace(b"OWNED", str(owned).encode())
    text = PAGE.replace("level=(1, 2, 3, 4, 5, 6)", f"level={(1, *hostile)!r}")
    text = text.replace('"Noise is near zero."', repr(" ".join(hostile)))
    text = text.replace('"Values"', repr(hostile[0]))
    folder, out = Folder(tmp_path / "pages", text), tmp_path / "out"
    run = start_run(server, folder, out)
    assert run.wait() == 0, run.text
    assert {file.name for file in tmp_path.glob("[!t]*")} == {"pages", "out"}
    for file in (out / "report.html", out / "README.md", out / "faulty" / "README.md"):
        written = file.read_text()
        assert hostile[0].split("'")[0] not in written, file
        assert "<img src=x" not in written, file
        assert "1337" not in written, file
    assert "<script" not in (out / "faulty" / "curve.svg").read_text()
    tried = 2 * len(hostile) + 1

    for words in hostile:
        called = Run(server, tmp_path / "told", "run", words, "--out", str(out))
        assert called.wait() in (2, 5), called.text  # 5: a bracket makes a pattern
        tried += 1

    tables_there = tmp_path / "tables"
    exported = Run(
        server,
        tmp_path / "told",
        *("export", "--csv", str(tables_there), "--out", str(out)),
    )
    assert exported.wait() == 0, exported.text
    for file in tables_there.glob("*.csv"):
        fields = file.read_text().replace("\n", ",").split(",")
        assert not [f for f in fields if f.strip('"').startswith(("=cmd", "@", "+"))]

    for file, _ in [*Store(out / "cells").items("faulty")][:8]:
        file.write_bytes(pickled)
        tried += 1
    run = start_run(server, folder, out)
    assert run.wait() == 0, run.text
    assert len(run.labels("finished")) == 8
    for name in ("verdicts.json", "manifest.json", "registration.json"):
        whole_bytes = (out / "faulty" / name).read_bytes()
        (out / "faulty" / name).write_bytes(pickled)
        run = start_run(server, folder, out, "report")
        assert run.wait() == 3, run.text
        assert name in run.text
        (out / "faulty" / name).write_bytes(whole_bytes)
        tried += 1

    data = tmp_path / "data" / "cifar10"
    data.mkdir(parents=True)
    for name in ("data_batch_1", "data_batch_1.bin", "test_batch", "test_batch.bin"):
        (data / name).write_bytes(pickled)
    monkeypatch.setenv(images.VARIABLE, str(data.parent))
    with pytest.raises(EnvironmentFault):
        images.load_cifar10()
    tried += 1
    tally("hostile name, value or file", tried, detail=f"{owned.exists():d} executed")
    assert not owned.exists()


# Words of a call


#: What an answer must tell, the values allowed or the nearest name; and what is called.
WRONG = (
    ("'--fresh'", "run --frsh"),
    ("'--check'", "report --chek"),
    ("'--engine'", "doctor --engin"),
    ("'--simulated'", "calibrate --simulate 3"),
    ("'--stale'", "clean --stal"),
    ("'--csv'", "export --cvs x"),
    ("'--scheduler'", "run --sheduler x"),
    ("'bash', 'zsh', 'fish'", "completion fsh"),
    ("bash, zsh, fish", "completion"),
    ("NAME", "new"),
    ("--csv", "export"),
    ("'list'", "lst"),
    ("'show'", "shw"),
    ("'report'", "reprot"),
    ("'status'", "statsu"),
    ("'calibrate'", "calibarte"),
    ("'quiz'", "qiuz"),
    ("'clean'", "clen"),
    ("'doctor'", "doctr"),
    ("planned and not built yet", "run lp-hybrid"),
    ("vg-relu-not-immune?", "show vg-relu-not-imune"),
    ("depth-vs-width?", "show depth-vs-witdh"),
    ("lstm-memory?", "quiz lstm-memry"),
    ("dropout-overfitting?", "status dropout"),
    ("residual-degradation?", "calibrate residual"),
    ("'quick', 'standard', 'full'", "calibrate --profile smoke"),
    ("tcp://", "run --scheduler http://localhost:1"),
    ("a name that no page has", "new vanishing-gradient"),
    ("'--json'", "status --jsn", "power --jon", "quiz --jsno"),
    ("PAGE-OR-CLAIM", "show", "power"),
    ("'run'", "runn", "Run"),
    ("vanishing-gradient?", "run vanishing-gradint", "power vanishing-gradeint"),
    ("vg-exploding?", "run vg-nothing", "show vg-exploding2"),
    (
        "dlclaims list",
        "run ..",
        "run ../x",
        "run <script>",
        "run =cmd()",
        "run \u202e",
        "power =1+1",
        "show <b>",
    ),
    (
        "'smoke', 'quick', 'standard', 'full'",
        "run --profile standart",
        "run --profile fast",
        "run --profile Full",
    ),
    (
        "--seeds 0-15",
        "run --seeds 0",
        "run --seeds -1",
        "run --seeds a",
        "run --seeds 5-2",
        "run --seeds 1.5",
        "run --seeds 3,4",
        "run --seeds 1e9",
    ),
    ("from 1 up", "run --jobs 0", "run --jobs -2", "run --jobs many", "run --jobs 1.5"),
    (
        "'auto', 'cpu', 'gpu'",
        "run --device cuda",
        "run --device tpu",
        "run --device CPU",
    ),
    ("'local', 'dask'", "run --executor daks", "run --executor slurm"),
    (
        "minutes above 0",
        "run --max-minutes 0",
        "run --max-minutes -1",
        "run --max-minutes soon",
        "run --max-minutes nan",
        "run --cell-minutes 0",
        "run --cell-minutes soon",
    ),
    ("from 100 up", "calibrate --simulated 3", "calibrate --simulated many"),
    (
        "a folder that exists",
        "run --pages /no/such/folder",
        "list --pages /no/such/folder",
    ),
    ("small letters and digits", "new Bad_Name", "new ../x"),
)


def test_invalid_inputs(tmp_path, tally) -> None:
    """All in one process, which must not have imported TensorFlow at the end."""
    asked = {words: wanted for wanted, *calls in WRONG for words in calls}
    code = """
import contextlib, io, json, sys
from dlclaims import cli
for words in json.load(sys.stdin):
    with contextlib.redirect_stderr(io.StringIO()) as told:
        code = cli.call(words)
    print(json.dumps([code, told.getvalue(), "tensorflow" in sys.modules]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps([words.split() for words in asked]),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    refused = 0
    for (words, wanted), (code, told, has_tensorflow) in zip(
        asked.items(), answers, strict=True
    ):
        assert (code, has_tensorflow) == (2, False), (words, told)
        assert len(told.splitlines()) <= 3, words
        assert wanted in told, (words, told)
        refused += 1
    assert [*tmp_path.iterdir()] == []
    assert refused >= 60
    tally(
        "invalid input", len(asked), detail=f"{refused} exit 2, TensorFlow not loaded"
    )


# Reports of what is not there


@WIDE
def test_reports_of_little(start, folder, tmp_path, tally) -> None:
    empty = start(tmp_path / "empty", "report")
    assert empty.wait() == 0, empty.text
    assert "Nothing has been run yet" in report_of(tmp_path / "empty")

    single = start(tmp_path / "single", "--seeds", "1")
    assert single.wait() == 0, single.text
    assert "❔" in report_of(tmp_path / "single")

    for level in range(1, 7):
        for first in range(0, 16, 2):
            folder.fault("diverge", level, first)
    diverged = start(tmp_path / "diverged")
    assert diverged.wait() == 0, diverged.text
    assert "diverged" in report_of(tmp_path / "diverged")

    for first in range(0, 16, 2):
        folder.fault("raise", 1, first)
    missing = start(tmp_path / "missing")
    assert missing.wait() == 1, missing.text
    assert "not measured" in report_of(tmp_path / "missing")
    tally("report of little", 4, detail="no results, 1 seed, all diverged, no variant")


def report_of(out: Path) -> str:
    """What the report tells about the page."""
    assert (out / "report.html").stat().st_size > 10_000
    return "".join(file.read_text() for file in sorted(out.rglob("README.md")))


# Many machines


@pytest.fixture
def machine(tmp_path):
    """A scheduler with two workers on loopback."""
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    from test_cluster import Machine

    made = Machine(tmp_path)
    made.workers = [made.worker(), made.worker()]
    yield made
    made.end()


@WIDE
@pytest.mark.parametrize("victims", [1, 2], ids=["one", "all"])
def test_dask_workers_that_are_killed(
    machine, start, folder, whole, tmp_path, tally, victims
) -> None:
    out, losses = tmp_path / "out", Losses(folder)
    run = start(out, "--scheduler", machine.address)
    assert run.wait_for(lambda: len(run.labels("finished")) > 3)
    for worker in machine.workers[:victims]:
        worker.kill()
    if victims == 1:
        run.wait()
        machine.end()
        losses.complete(run, out, whole)
        tally("Dask worker killed", 1, **losses.counts())
    else:
        assert run.wait() == 3, run.text
        assert machine.address in run.text
        losses.look(run, out)
        losses.complete(start(out), out, whole)
        tally("all Dask workers killed", 2, **losses.counts(), detail="exit 3")
    assert (losses.lost, losses.duplicated) == (0, 0)


@WIDE
def test_a_dask_scheduler_that_is_killed(
    machine, start, folder, whole, tmp_path, tally
) -> None:
    out, losses = tmp_path / "out", Losses(folder)
    run = start(out, "--scheduler", machine.address)
    assert run.wait_for(lambda: len(run.labels("finished")) > 3)
    machine._processes[0].kill()
    assert run.wait() == 3, run.text
    assert machine.address in run.text
    assert "Traceback" not in run.text
    losses.look(run, out)
    machine.end()
    losses.complete(start(out), out, whole)
    tally("Dask scheduler killed", 1, **losses.counts(), detail="exit 3")
    assert (losses.lost, losses.duplicated) == (0, 0)


# Networks that are trained


@WIDE
def test_a_training_that_is_killed_and_one_that_diverges(
    server, tmp_path, tally
) -> None:
    folder = Folder(tmp_path / "pages", TRAINED)
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert start_run(server, folder, whole).wait() == 0
    folder.clear()
    losses = Losses(folder)
    run = start_run(server, folder, out)
    assert run.wait_for(lambda: len(run.labels("finished")) >= 3)
    assert run.signal(signal.SIGKILL) == -signal.SIGKILL
    losses.look(run, out)
    again = start_run(server, folder, out)
    assert again.wait() == 0, again.text
    losses.look(again, out)
    assert tables(out) == tables(whole)
    losses.duplicated += repeated_rows(out)
    losses.recomputed = sum(folder.measured.values()) - len(folder.measured)
    tally("training killed", 1, **losses.counts(), detail="networks, XLA compiled")
    assert (losses.lost, losses.duplicated) == (0, 0)

    folder.fault("diverge", 1, 0)
    diverged = start_run(server, folder, tmp_path / "diverged", "--seeds", "4")
    assert diverged.wait() == 0, diverged.text
    rows = (tmp_path / "diverged" / "faulty" / "outcomes.csv").read_text()
    told = rows.count(",diverged,")
    tally("training diverges", 1, detail=f"{told} replicas diverged, exit 0")
    assert told == 2


@WIDE
def test_three_hundred_trainings_in_a_worker(tmp_path, tally, monkeypatch) -> None:
    monkeypatch.setattr(local, "CELLS_PER_WORKER", 1000)
    sizes: list[int] = []
    build = local.Worker.start

    def start(self, task) -> None:
        pages_held = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        sizes.append(pages_held * os.sysconf("SC_PAGE_SIZE"))
        build(self, task)

    monkeypatch.setattr(local.Worker, "start", start)
    many = TRAINED.replace("level=(1, 2)", "level=tuple(range(1, 301))")
    folder = Folder(tmp_path / "pages", many)
    page = pages.load("faulty", folder.path / "faulty.py")
    asked = [
        Cell("faulty", "study", "evaluation", variant.factors, (), (0, 1))
        for variant in page.studies[0].standard
    ]
    done = execution.run(asked, Store(tmp_path / "cells"), folders=[folder.path])
    assert done.failures == ()
    growth = max(sizes) - sizes[5]
    tally(
        "300 trainings in one worker",
        len(asked),
        lost=len(asked) - len(done.records),
        recomputed=sum(folder.measured.values()) - len(asked),
        detail=f"its memory grew by {growth / 1e6:.0f} MB",
    )
    assert len({*folder.workers}) == 1
    assert growth <= 1e9
