"""``python -m benchmarks.execution``: what running costs beside measuring.

Prints the overhead of a cell, on this machine and behind Dask; how much faster two
workers are than one on a plan of equal cells; and which use of two cores trains faster,
two workers of one thread or one worker that feeds its program from two.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from benchmarks.workloads import REPLICAS, WORKLOADS, Job
from dlclaims import execution
from dlclaims.plan import Cell
from dlclaims.store import Store

EMPTY, EQUAL, WORK = 1000, 60, 0.25

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


@click.command()
def main() -> None:
    """Time the scheduling of cells."""
    for executor in execution.EXECUTORS:
        each = 1000 * seconds(cells(EMPTY, 0.0), 2, executor) / (EMPTY - 1)
        print(f"{executor:6} {each:6.2f} ms a cell, over {EMPTY:,} empty ones")
    one, two = (seconds(cells(EQUAL, WORK), jobs, "local") for jobs in (1, 2))
    print(f"two workers are {one / two:.2f} times one, on {EQUAL} cells of {WORK:g} s")
    for name, workload in WORKLOADS.items():
        one, two = (together(name, processes) for processes in (1, 2))
        print(
            f"{workload.title:26} {two:5.1f} s with two workers, {one:5.1f} s with two"
            f" threads in one: {one / two:.2f}"
        )


if __name__ == "__main__":
    main()
