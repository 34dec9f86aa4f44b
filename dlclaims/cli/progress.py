"""How far a run is: a bar with the time that is left, or a line now and then."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from dlclaims.cli.terminal import duration, note
from dlclaims.plan import Cell
from dlclaims.report.words import count

if TYPE_CHECKING:
    import rich.progress

#: Seconds between two lines where no bar can be drawn.
PAUSE = 10.0


class Progress:
    """Follows the events of a run and shows them on standard error.

    Parameters
    ----------
    cells : iterable of Cell
        The cells of the run; those that only its results make known come with their
        first event.
    expected : mapping of str to float
        Seconds that cells took before, by label; may lack some.
    jobs : int or None
        Workers; None where a scheduler has them, so that no time can be told.
    verbosity : int
        -1 shows failures only, 0 how far the run is, 1 also a line for each cell.
    color : bool or None
        None lets the terminal and NO_COLOR decide.
    """

    def __init__(
        self,
        cells: Iterable[Cell],
        expected: Mapping[str, float],
        jobs: int | None,
        verbosity: int = 0,
        color: bool | None = None,
    ):
        self._left = {cell.label: expected.get(cell.label) for cell in cells}
        self._seen = [seconds for seconds in self._left.values() if seconds is not None]
        self._total = len(self._left)
        self._cached = 0
        self._jobs, self._verbosity = jobs, verbosity
        self._told: float | None = None  # when the last line was written
        self._bar = _bar(self._total, color) if verbosity >= 0 else None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, kind: str, cell: Cell, seconds: float) -> None:
        """Take note of an event: its kind, its cell, the seconds so far."""
        if kind == "planned" and cell.label not in self._left:
            self._left[cell.label] = None
            self._total += 1
        if kind == "started" and self._told is None:
            self._begin()
        if kind in ("cached", "finished", "failed"):
            self._left.pop(cell.label, None)
        if kind == "cached":
            self._cached += 1
        elif kind == "finished":
            self._seen.append(seconds)
        is_told = self._verbosity > 0 and kind not in ("planned", "started")
        if is_told or kind in ("failed", "retried"):
            note(f"{kind} {cell.label}, {seconds:.1f} s")
        self._show()

    @property
    def seconds_left(self) -> float | None:
        """What the cells that are left will take; None when nothing is known yet."""
        if not self._seen or self._jobs is None:
            return None
        usual = sum(self._seen) / len(self._seen)
        every = (usual if s is None else s for s in self._left.values())
        return sum(every) / self._jobs

    def _begin(self) -> None:
        self._told = time.monotonic()
        if self._verbosity >= 0:
            jobs = self._jobs
            workers = count(jobs, "worker") if jobs else "the scheduler's workers"
            note(
                f"{count(len(self._left), 'cell')} to run ({self._cached} stored)"
                f" with {workers}: {duration(self.seconds_left)}"
            )
        if self._bar:
            self._bar.start()

    def _show(self) -> None:
        if self._told is None or self._verbosity < 0:
            return
        done = self._total - len(self._left)
        if self._bar:
            left = f"{duration(self.seconds_left)} left"
            if not self._left:
                left = "writing the results"
            task = self._bar.task_ids[0]
            self._bar.update(task, total=self._total, completed=done, left=left)
        elif time.monotonic() - self._told >= PAUSE:
            self._told = time.monotonic()
            note(f"{done} of {self._total} cells, {duration(self.seconds_left)} left")


def _bar(total: int, color: bool | None) -> rich.progress.Progress | None:
    """Return a bar, not started, where standard error is a terminal that can draw."""
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True, no_color=None if color is None else not color)
    if not console.is_terminal or console.is_dumb_terminal:
        return None
    bar = progress.Progress(
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("cells, {task.fields[left]}"),
        progress.TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    bar.add_task("cells", total=total, left="")
    return bar
