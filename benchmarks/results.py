"""The table of all trainings, as a file and in words."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import EAGER, FIT, JAX, OURS
from benchmarks.workloads import WORKLOADS, named

COLUMNS = (
    "workload",
    "contender",
    "replicas",
    "steps",
    "total_seconds",
    "ratio_to_fit",
    "gflops",
    "peak_share",
    "compile_seconds",
    "peak_mb",
)


@dataclass(frozen=True)
class Row:
    """One training; without seconds where it was stopped at the time limit."""

    workload: str
    contender: str
    replicas: int
    steps: int
    total_seconds: float | None = None
    compile_seconds: float | None = None
    peak_mb: float | None = None

    @property
    def seconds_each(self) -> float | None:
        return self.total_seconds and self.total_seconds / self.replicas


class Table:
    """Rows, and what follows from several of them.

    Parameters
    ----------
    peak_gflops : float
        The machine's measured matrix peak, in 1e9 floating-point operations a second.
    """

    def __init__(self, peak_gflops: float):
        self.peak_gflops = peak_gflops
        self.rows: list[Row] = []

    def find(
        self, contender: str, workload: str, steps: int, replicas: int | None = None
    ) -> Row | None:
        """Return the first row like this one; of any number of replicas for None."""
        wanted = contender, workload, steps
        for row in self.rows:
            if (row.contender, row.workload, row.steps) == wanted and (
                replicas in (None, row.replicas)
            ):
                return row
        return None

    def record(self, row: Row) -> dict[str, Any]:
        """Return a row with all its columns; None where a figure is not known."""
        fit = self.find(FIT, row.workload, row.steps)
        ratio = gflops = None
        if row.total_seconds:
            work = named(row.workload).step_work * row.steps * row.replicas
            gflops = work / row.total_seconds / 1e9
            if fit and fit.seconds_each:
                ratio = fit.seconds_each / row.seconds_each
        known = {
            **vars(row),
            "ratio_to_fit": ratio,
            "gflops": gflops,
            "peak_share": gflops and gflops / self.peak_gflops,
        }
        return {column: known[column] for column in COLUMNS}

    def write(self, file: Path) -> None:
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(COLUMNS)
            for row in self.rows:
                writer.writerow(written(v) for v in self.record(row).values())

    def line(self, row: Row) -> str:
        """Return a row for the terminal, with the goal beside the ratio."""
        record = self.record(row)
        goal = named(row.workload).goal
        is_ours = row.contender == OURS and goal
        cells = (
            f"{record['ratio_to_fit']:7.1f}x" if record["ratio_to_fit"] else " " * 8,
            f"(goal {goal:g}x)" if is_ours else "",
            f"{record['gflops']:7.2f} GFLOP/s {record['peak_share']:6.1%} of peak",
            ""
            if row.compile_seconds is None
            else f"compile {row.compile_seconds:6.2f} s",
            f"{row.peak_mb:5.0f} MB",
        )
        return "{:>9.2f} s {} {:11} {} {:17} {}".format(row.total_seconds, *cells)

    def summary(self) -> Iterator[str]:
        """Yield a line for each workload: the goal, ours, and the rank among peers."""
        yield (
            f"{'workload':28}{'goal':>6}{'ours':>8}"
            f"{'torch eager':>13}{'JAX best':>10}   rank (ratios to {FIT})"
        )
        for workload in WORKLOADS.values():
            ratios = {
                name: row and self.record(row)["ratio_to_fit"]
                for name in (OURS, EAGER, *JAX)
                if (row := self.find(name, workload.name, workload.steps))
            }
            known = {name: ratio for name, ratio in ratios.items() if ratio}
            if OURS not in known:
                continue
            best = max((known[name] for name in JAX if name in known), default=None)
            rank = sorted(known.values(), reverse=True).index(known[OURS]) + 1
            yield (
                f"{f'{workload.name} {workload.title}':28}"
                f"{times(workload.goal):>6}{times(known[OURS]):>8}"
                f"{times(known.get(EAGER)):>13}{times(best):>10}"
                f"   {rank} of {len(known)}"
            )


def written(value: Any) -> Any:
    """Return a number as it stands in the file: four digits are known at best."""
    return f"{value:.4g}" if isinstance(value, float) else value


def times(ratio: float | None) -> str:
    return f"{ratio:.3g}x" if ratio else "-"
