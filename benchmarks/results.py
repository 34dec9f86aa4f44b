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
        """Yield a line for each workload: the goal, ours, and the rank among peers.

        The last column ranks what is left when building and compiling are left out:
        what a longer training would be ranked by.
        """
        yield (
            f"{'':34}{'times keras.fit':^16}{'seconds':^30}{'rank among peers':^22}\n"
            f"{'workload':34}{'goal':>7}{'ours':>7}  "
            f"{'ours':>8}{EAGER:>13}{'JAX best':>10}  {'':3}total   running"
        )
        for workload in WORKLOADS.values():
            found = {
                name: row
                for name in (OURS, EAGER, *JAX)
                if (row := self.find(name, workload.name, workload.steps))
                and row.total_seconds
            }
            if OURS not in found:
                continue
            ratio = self.record(found[OURS])["ratio_to_fit"]
            total = {name: row.total_seconds for name, row in found.items()}
            running = {
                name: row.total_seconds - row.compile_seconds
                for name, row in found.items()
                if row.compile_seconds is not None
            }
            best = min((total[name] for name in JAX if name in total), default=None)
            yield (
                f"{f'{workload.name} {workload.title}':34}"
                f"{figure(workload.goal, 'x'):>7}{figure(ratio, 'x'):>7}  "
                f"{figure(total[OURS]):>8}{figure(total.get(EAGER)):>13}"
                f"{figure(best):>10}  {rank(total):>8}{rank(running):>10}"
            )


def rank(seconds: dict[str, float]) -> str:
    """Return the place of our own among all, the quickest first."""
    if OURS not in seconds:
        return "-"
    return f"{sorted(seconds, key=seconds.get).index(OURS) + 1} of {len(seconds)}"


def figure(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.3g}{unit}"


def written(value: Any) -> Any:
    """Return a number as it stands in the file: four digits are known at best."""
    return f"{value:.4g}" if isinstance(value, float) else value
