"""``python -m benchmarks.execution``: what running costs beside measuring.

Measures the overhead of a cell, on this machine and behind Dask; how much faster two
workers are than one on a plan of equal cells; and which use of two cores trains faster,
two workers of one thread or one worker that feeds its program from two. Writes
``results/execution.csv``, where each number stands beside the limit that it must keep.
"""

from __future__ import annotations

import csv
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from benchmarks import machine
from benchmarks.workloads import REPLICAS, WORKLOADS, Job
from dlclaims import execution
from dlclaims.plan import Cell
from dlclaims.store import Store

EMPTY, EQUAL, WORK = 1000, 60, 0.25
FILE = Path(__file__).parent / "results" / "execution.csv"
COLUMNS = ("measured", "value", "unit", "limit", "cells", "cores", "processor", "load")

#: Milliseconds that a cell may cost besides measuring; how much faster two workers of
#: one core must be than one.
OVERHEAD, SPEEDUP = 20.0, 1.7

PAGE = '''
"""Cells that take as long as they are told."""

import time

from dlclaims.pages import Card, Page, Study, grid, tidy


def measure(variant, seeds):
    until = time.process_time() + variant["work"]
    while time.process_time() < until:
        pass
    return tidy({"seed": seeds}, value=0.0)


GRID = grid(work=(0.0, WORK), number=tuple(range(EMPTY)))
PAGE = Page(
    studies=(Study("study", "A study", measure, standard=GRID, smoke=GRID),),
    claims=(),
    figures=(),
    card=Card("Why?", ("So.",), "Not always.", ()),
)
'''.replace("WORK", repr(WORK)).replace("EMPTY", repr(EMPTY))


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "timed.py").write_text(PAGE)
        yield Path(name)


def cells(number: int, work: float) -> tuple[Cell, ...]:
    return tuple(
        Cell("timed", "study", "evaluation", (("work", work), ("number", n)), (), (0,))
        for n in range(number)
    )


def seconds(asked: Sequence[Cell], jobs: int, executor: str) -> float:
    """Return the seconds from the first finished cell to the last.

    Workers start once, however many cells there are: their start is not counted.
    """
    times: list[float] = []

    def note(kind: str, *_: object) -> None:
        if kind == "finished":
            times.append(time.perf_counter())

    with folder() as pages, tempfile.TemporaryDirectory() as root:
        done = execution.run(
            asked,
            Store(Path(root)),
            folders=[pages],
            jobs=jobs,
            executor=executor,
            on_event=note,
        )
    assert len(done.records) == len(asked)
    return times[-1] - times[0]


def train(workload: str, seeds: range, threads: int, ready: Any, times: Any) -> None:
    """Train a workload in a process of its own; report when it began and ended."""
    os.environ["REPLICA_THREADS"] = str(threads)
    from benchmarks.peers import engine as ours

    own = WORKLOADS[workload]
    job = Job(own, tuple(seeds), own.steps)
    ready.wait()
    began = time.time()
    ours.train(job)
    times.put((began, time.time()))


def together(workload: str, processes: int) -> float:
    """Seconds that two cores need for twice the replicas, with so many processes."""
    spawn = multiprocessing.get_context("spawn")
    ready, times = spawn.Barrier(processes), spawn.Queue()
    each = 2 * REPLICAS // processes
    started = [
        spawn.Process(
            target=train,
            args=(workload, range(n * each, n * each + each), 2 // processes),
            kwargs={"ready": ready, "times": times},
        )
        for n in range(processes)
    ]
    for process in started:
        process.start()
    began, ended = zip(*(times.get() for _ in started), strict=True)
    for process in started:
        process.join()
    return max(ended) - min(began)


def overhead(executor: str, number: int) -> float:
    """Milliseconds a cell, over cells that are empty."""
    return 1000 * seconds(cells(number, 0.0), 2, executor) / (number - 1)


def speedup(number: int, work: float) -> float:
    """How many times faster two workers of one core are than one, on equal cells."""
    one, two = (seconds(cells(number, work), jobs, "local") for jobs in (1, 2))
    return one / two


@click.command()
@click.option("--empty", default=EMPTY, show_default=True, help="Empty cells.")
@click.option("--equal", default=EQUAL, show_default=True, help="Cells of equal work.")
@click.option(
    "-w",
    "--workload",
    type=click.Choice(list(WORKLOADS)),
    multiple=True,
    default=list(WORKLOADS),
    help="Trained with one worker and with two; default: each.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=FILE,
    help="Default: benchmarks/results/execution.csv.",
)
def main(empty: int, equal: int, workload: tuple[str, ...], out: Path) -> None:
    """Time the scheduling of cells and the use of two cores."""
    rows: list[dict[str, object]] = []
    facts = machine.describe()
    where = {
        "cores": facts["cores"],
        "processor": facts["processor"],
        "load": facts["load_at_start"],
    }

    def note(measured: str, value: float, unit: str, limit: str, number: int) -> None:
        found = (measured, f"{value:.3g}", unit, limit, number)
        rows.append({**dict(zip(COLUMNS, found, strict=False)), **where})
        kept = f" (must be {limit})" if limit else ""
        print(f"{measured}: {value:.3g} {unit}{kept}", flush=True)

    for executor in execution.EXECUTORS:
        note(
            f"overhead of an empty cell, {executor}",
            *(overhead(executor, empty), "ms a cell", f"at most {OVERHEAD:g}", empty),
        )
    note(
        "two workers of one core against one",
        *(speedup(equal, WORK), "times faster", f"at least {SPEEDUP:g}", equal),
    )
    for name in workload:
        threads, workers = (together(name, processes) for processes in (1, 2))
        title = WORKLOADS[name].title
        note(
            f"{title}: two workers of one core against one worker with two threads",
            *(threads / workers, "times faster", "", 2 * REPLICAS),
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"written to {out}")


if __name__ == "__main__":
    main()
