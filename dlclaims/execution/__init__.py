"""Runs a plan: what the store holds is taken, the rest is measured and stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlclaims import pages, store
from dlclaims.engine.numerics import Numerics
from dlclaims.errors import PageError, TimeUp, UsageError, nearest
from dlclaims.execution import worker
from dlclaims.execution.cluster import Cluster
from dlclaims.execution.context import context_of, resolve_device, slots
from dlclaims.execution.local import Outcome, Pool, Task
from dlclaims.plan import Cell
from dlclaims.store import Context, Record, Store

__all__ = ["Failure", "Result", "check", "outlook", "run", "slots", "workers"]

EXECUTORS = ("local", "dask")
SCHEDULER = "tcp://host:port or tls://host:port"

#: Called with what happened (``cached`` or ``planned``, then ``started``, ``finished``,
#: ``retried`` or ``failed``), the cell, and the seconds that it took so far.
OnEvent = Callable[[str, Cell, float], None]
Follow = Callable[[Record], Iterable[Cell]]


@dataclass(frozen=True)
class Failure:
    """A cell that could not be measured, why, and the file that tells more."""

    cell: Cell
    message: str
    log: Path


@dataclass(frozen=True)
class Result:
    """What a run gave, in the order of its plan, whoever measured what when."""

    records: tuple[Record, ...]
    failures: tuple[Failure, ...]


def check(jobs: int | None, executor: str, scheduler: str | None) -> None:
    """Check the words that say who runs the cells. Raises UsageError."""
    if jobs is not None and jobs < 1:
        raise UsageError("at least one worker", f"--jobs {jobs}", "give 1 or more")
    if executor not in EXECUTORS:
        hint = nearest(executor, EXECUTORS)
        raise UsageError(" or ".join(EXECUTORS), f"executor {executor}", hint)
    if scheduler is None:
        return
    protocol, _, place = scheduler.partition("://")
    if protocol not in ("tcp", "tls") or not place:
        hint = "give the address that dask scheduler prints"
        raise UsageError(SCHEDULER, f"--scheduler {scheduler}", hint)
    if jobs is not None:
        hint = "start so many workers there, and leave --jobs out"
        raise UsageError("--jobs or --scheduler", "both", hint)


def workers(
    jobs: int | None, device: str, executor: str, scheduler: str | None
) -> int | None:
    """Return `jobs`, or how many workers fill this machine; None for a scheduler's own.

    Dask's workers may see cards that this process does not: here cores are counted.
    """
    if jobs or scheduler is not None:
        return jobs
    return len(slots("cpu" if executor == "dask" else device))


def device_of(device: str, executor: str) -> str:
    """Return ``cpu`` or ``gpu``: what workers use. Raises as `resolve_device`.

    What Dask's workers see is theirs to tell; there, auto is cpu.
    """
    if executor == "dask":
        return "gpu" if device == "gpu" else "cpu"
    return resolve_device(device)


def run(
    cells: Iterable[Cell],
    cell_store: Store,
    *,
    folders: Sequence[Path],
    jobs: int | None = None,
    device: str = "auto",
    executor: str = "local",
    scheduler: str | None = None,
    fresh: bool = False,
    time_limit: float | None = None,
    deadline: float = math.inf,
    on_event: OnEvent = lambda kind, cell, seconds: None,
    follow: Follow = lambda record: (),
) -> Result:
    """Return the records of cells, measuring those that the store does not hold.

    Finished cells are stored one by one: whatever ends a run, they are kept. Values do
    not depend on `jobs`, on the order of the cells or on which were stored before.

    Parameters
    ----------
    cells : iterable of Cell
    cell_store : Store
        Held for this run alone.
    folders : sequence of Path
        Where the pages of the cells are.
    jobs : int, optional
        Worker processes, 1 by default; a scheduler has its own.
    device : str
        ``cpu``, ``gpu`` or ``auto``, as `device_of` understands it.
    executor : str
        ``local``, or ``dask``.
    scheduler : str, optional
        The address of a Dask scheduler; without it Dask starts workers here.
    fresh : bool
        Measure again what is stored, and replace it.
    time_limit : float, optional
        Seconds that a cell may take.
    deadline : float
        When to end, whatever is being measured, by `time.monotonic`.
    on_event : callable
    follow : callable
        Given a finished or stored record, returns the cells that it makes known; for
        example those that carry the learning rate that a tuning cell chose.

    Raises
    ------
    UsageError
        `jobs` is below 1, or a page is not in `folders`.
    Locked
        Another run holds the store.
    EnvironmentFault
        No GPU where one is asked for; a full disk; workers that do not start.
    TimeUp
        The deadline has passed and cells are left.
    KeyboardInterrupt
        After the workers were ended.
    """
    check(jobs, executor, scheduler)
    device = device_of(device, executor)
    contexts = _Contexts(folders, device)
    limits = time_limit, deadline
    pool: Pool | Cluster
    if executor == "dask":
        pool = Cluster(jobs or 1, device, scheduler, *limits)
    else:
        pool = Pool(jobs or 1, device, slots(device), *limits)
    with cell_store.hold(), pool:
        job = _Run(cell_store, contexts, pool, fresh, on_event, follow)
        job.offer(cells)
        try:
            for outcome in pool.outcomes():
                job.settle(outcome)
        except TimeUp as over:
            lost = job.result().failures
            over.failed = {failure.cell.label: failure.message for failure in lost}
            raise
    return job.result()


def outlook(
    cells: Iterable[Cell],
    cell_store: Store,
    *,
    folders: Sequence[Path],
    device: str = "auto",
    executor: str = "local",
    fresh: bool = False,
) -> tuple[tuple[Cell, str], ...]:
    """Return for each cell why it would be measured; an empty text if it is stored."""
    contexts = _Contexts(folders, device_of(device, executor))
    found = []
    for cell in cells:
        _, own = contexts.of(cell)
        if fresh:
            reason = "measured again: --fresh"
        elif cell_store.get(store.key(cell, own)):
            reason = ""
        else:
            reason = cell_store.miss_reason(cell, own)
        found.append((cell, reason))
    return tuple(found)


class _Contexts:
    """The pages of some folders and the contexts of their studies, each taken once."""

    def __init__(self, folders: Sequence[Path], device: str):
        self.device = device
        self._files = pages.find(folders)
        self._known: dict[tuple[str, str], Context] = {}

    def of(self, cell: Cell) -> tuple[Path, Context]:
        if cell.page not in self._files:
            hint = nearest(cell.page, self._files)
            raise UsageError("a page in the folders given", cell.page, hint)
        file = self._files[cell.page]
        place = cell.page, cell.study
        if place not in self._known:
            page = pages.load(cell.page, file)
            study = page.study(cell.study)
            self._known[place] = context_of(page, study, self.device, Numerics())
        return file, self._known[place]


class _Run:
    """The state of one run: what is asked for, what is there, what failed."""

    def __init__(
        self,
        cell_store: Store,
        contexts: _Contexts,
        pool: Pool | Cluster,
        fresh: bool,
        on_event: OnEvent,
        follow: Follow,
    ):
        self._store, self._contexts, self._pool = cell_store, contexts, pool
        self._fresh, self._on_event, self._follow = fresh, on_event, follow
        self._places: dict[Cell, tuple[int, ...]] = {}  # in the plan, for a fixed order
        self._records: dict[Cell, Record] = {}
        self._failures: dict[Cell, Failure] = {}

    def offer(self, cells: Iterable[Cell], place: tuple[int, ...] = ()) -> None:
        for number, cell in enumerate(cells):
            if cell in self._places:
                continue
            self._places[cell] = (*place, number)
            file, own = self._contexts.of(cell)
            stored = None if self._fresh else self._store.get(store.key(cell, own))
            if stored is None:
                self._pool.submit(Task(cell, file))
                self._on_event("planned", cell, 0.0)
            else:
                self._accept("cached", cell, stored)

    def settle(self, outcome: Outcome) -> None:
        cell = outcome.task.cell
        if outcome.record is not None:
            words = self._objection(cell, outcome.record)
            if words:
                self._fail(cell, words, words, outcome.seconds)
            else:
                self._store.put(outcome.record, replace=self._fresh)
                self._accept("finished", cell, outcome.record)
        elif outcome.kind == "failed":
            self._fail(cell, outcome.message, outcome.trace, outcome.seconds)
        else:
            self._on_event(outcome.kind, cell, outcome.seconds)

    def _objection(self, cell: Cell, record: Record) -> str:
        """Return why a record is not taken for a cell's; nothing if it is.

        Where it is stored follows from its cell and key, which a worker has written.
        """
        _, own = self._contexts.of(cell)
        if record.cell != cell:
            return "its worker answered with another cell"
        if record.key != store.key(cell, own):
            changes = store.differences(
                store.document(cell, own), store.document(cell, record.meta)
            )
            return f"not what was planned: {'; '.join(changes)}; run again"
        try:
            worker.check(record.table, cell)
        except PageError as error:
            return str(error)
        return ""

    def result(self) -> Result:
        order = self._places.__getitem__
        return Result(
            tuple(self._records[cell] for cell in sorted(self._records, key=order)),
            tuple(self._failures[cell] for cell in sorted(self._failures, key=order)),
        )

    def _accept(self, kind: str, cell: Cell, record: Record) -> None:
        self._records[cell] = record
        self._on_event(kind, cell, record.meta["seconds"])
        self.offer(self._follow(record), self._places[cell])

    def _fail(self, cell: Cell, message: str, trace: str, seconds: float) -> None:
        _, own = self._contexts.of(cell)
        text = f"{cell.label}\n{message}\n\n{trace}\n"
        log = self._store.write_failure(store.key(cell, own), text)
        self._failures[cell] = Failure(cell, message, log)
        self._on_event("failed", cell, seconds)
