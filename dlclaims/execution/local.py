"""Long-lived worker processes on this machine, and which of them measures what."""

from __future__ import annotations

import itertools
import json
import math
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlclaims import store
from dlclaims.errors import DamagedCell, EnvironmentFault, TimeUp
from dlclaims.execution import capacity
from dlclaims.execution.context import GPU_FLAG, NO_CARD, ON_GPU
from dlclaims.plan import Cell
from dlclaims.store import OtherSchema, Record

if TYPE_CHECKING:
    import filelock

#: A worker is replaced after this many cells, or when it holds more memory of its own
#: than was planned: a process that builds models grows by some MB with each of them.
CELLS_PER_WORKER = 200

#: How often in a row a worker may die while it starts, until that is no accident.
RESTARTS = 3

#: Where processes of this machine tell each other which cards they have taken.
CARDS = Path(tempfile.gettempdir()) / f"dlclaims-cards-{os.getuid()}"

#: Read by numerical libraries when they are loaded, so before a worker can set them.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

#: A worker sees the modules that this process sees, however they were found.
START = (
    "import sys; device, replies, *sys.path[:] = sys.argv[1:];"
    " from dlclaims.execution import worker; worker.main(device, int(replies))"
)


@dataclass(frozen=True)
class Task:
    """A cell to be measured, and the page that says how."""

    cell: Cell
    file: Path

    @property
    def program(self) -> tuple[Any, ...]:
        """What one worker should keep: tasks that share compiled programs."""
        return self.cell.page, self.cell.study, self.cell.factors


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    `kind` is ``started``, ``finished`` (with a record), ``retried`` or ``failed`` (both
    with a message and a trace).
    """

    kind: str
    task: Task
    seconds: float = 0.0
    record: Record | None = None
    message: str = ""
    trace: str = ""


def measured(task: Task, seconds: float, text: str) -> Outcome:
    """Return what a worker's answer to a task makes known: a record, or its damage."""
    try:
        record = store.decode(text.encode(errors="replace"))
    except (DamagedCell, OtherSchema) as error:
        words = f"its worker's answer is damaged: {error.received}"
        return Outcome("failed", task, seconds, None, words)
    return Outcome("finished", task, seconds, record)


def check_time(deadline: float) -> None:
    """Check that a run may go on. Raises TimeUp after `deadline`, by `monotonic`."""
    if time.monotonic() >= deadline:
        words = "the run to end within its minutes", "time is up"
        raise TimeUp(*words, "run again: finished cells are kept")


class Worker:
    """A process that measures cells; what it says is put into `inbox`.

    An entry of the inbox is (worker, message); the message is None when it has died.
    """

    def __init__(self, device: str, card: str, inbox: queue.SimpleQueue[Any]):
        self.card = card
        self.task: Task | None = None
        self.since = 0.0
        self.is_ready = False
        self.cells = 0
        self.programs: set[tuple[Any, ...]] = set()
        self._inbox = inbox
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        # Answers have a pipe of their own: anything may print before `main` begins.
        answers, replies = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", START, device, str(replies), *sys.path],
                stdin=subprocess.PIPE,
                stdout=self._errors,
                stderr=self._errors,
                env=environment(device, card),
                pass_fds=(replies,),
                process_group=0,  # Ctrl-C is for the run, which then ends its workers
            )
        except BaseException:
            os.close(answers)
            raise
        finally:
            os.close(replies)
        threading.Thread(target=self._read, args=(answers,), daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_idle(self) -> bool:
        return self.is_ready and self.task is None

    @property
    def is_spent(self) -> bool:
        if self.cells >= CELLS_PER_WORKER:
            return True
        try:
            numbers = Path(f"/proc/{self.pid}/statm").read_text().split()
        except OSError:  # it has just died
            return True
        # Libraries are not counted: those of CUDA alone come to gigabytes.
        own = int(numbers[1]) - int(numbers[2])
        return own * os.sysconf("SC_PAGE_SIZE") > capacity.WORKER_BYTES

    def start(self, task: Task) -> None:
        self.task, self.since = task, time.monotonic()
        self.programs.add(task.program)
        message = {"cell": asdict(task.cell), "file": str(task.file)}
        with suppress(BrokenPipeError):  # it has died: the inbox will say so
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def end(self) -> str:
        """End the process at once; return how it ended and the last it wrote."""
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        code = self._process.wait()
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - 4000))
        words = self._errors.read().decode(errors="replace").strip()
        self._errors.close()
        with suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"{name}\n{words}"

    def _read(self, answers: int) -> None:
        try:
            with os.fdopen(answers, "rb") as lines:
                for line in lines:
                    self._inbox.put((self, json.loads(line)))
        except ValueError:  # it was killed while it wrote
            pass
        finally:
            self._inbox.put((self, None))


def environment(device: str, card: str = NO_CARD) -> dict[str, str]:
    """Return the environment of a worker process, which sees one card or none."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} {GPU_FLAG}"
    on_gpu = {**ON_GPU, "XLA_FLAGS": flags.strip()}
    return {
        **os.environ,
        **dict.fromkeys(ONE_THREAD, "1"),
        "CUDA_VISIBLE_DEVICES": card,
        **({"JAX_PLATFORMS": "cpu"} if device == "cpu" else on_gpu),
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "PYTHONHASHSEED": "0",  # the order of a set of words must not change a value
    }


def allot(cards: Sequence[str]) -> tuple[str, filelock.BaseFileLock | None]:
    """Return the card that fewest workers of this machine use, and the lock on it.

    A lock is held for each worker on a card, and dies with the process that holds it.
    Where there is no card, there is nothing to lock.
    """
    import filelock

    if NO_CARD in cards:
        return NO_CARD, None
    CARDS.mkdir(mode=0o700, exist_ok=True)
    for turn in itertools.count():
        for card in cards:
            file = CARDS / f"{card.replace('/', '_')}-{turn}.lock"
            lock = filelock.FileLock(file, thread_local=False)
            with suppress(filelock.Timeout):
                lock.acquire(blocking=False)
                return card, lock
    raise AssertionError("there is always another turn")


class Pool:
    """Worker processes, started when there is work for them.

    A task whose worker dies, or runs out of memory, is tried once more with no other
    task beside it. A task that takes too long is not tried again.

    Parameters
    ----------
    jobs : int
        Workers at the same time.
    device : str
        ``cpu`` or ``gpu``.
    cards : sequence of str
        The GPUs that the workers share, as CUDA_VISIBLE_DEVICES names them: each sees
        one of them only.
    time_limit : float, optional
        Seconds that one task may take.
    deadline : float
        When `outcomes` ends with TimeUp, by `time.monotonic`.
    """

    def __init__(
        self,
        jobs: int,
        device: str,
        cards: Sequence[str] = (NO_CARD,),
        time_limit: float | None = None,
        deadline: float = math.inf,
    ):
        self._jobs, self._device, self._cards = jobs, device, cards
        self._limit = math.inf if time_limit is None else time_limit
        self._deadline = deadline
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._workers: list[Worker] = []
        self._locks: dict[Worker, filelock.BaseFileLock] = {}
        self._starts = 0  # that failed, since one went well
        self._pending: list[Task] = []
        self._alone: list[Task] = []
        self._retried: set[Cell] = set()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in [*self._workers]:
            self._drop(worker)

    def submit(self, task: Task) -> None:
        """Add a task; also while `outcomes` is being read."""
        self._pending.append(task)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what becomes of the tasks, as it happens, until none is left."""
        while self._pending or self._alone or self._busy:
            check_time(self._deadline)
            yield from self._assign()
            try:
                worker, message = self._inbox.get(timeout=self._patience())
            except queue.Empty:
                yield from self._stop_late()
                continue
            if worker in self._workers:
                yield from self._hear(worker, message)

    @property
    def _busy(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.task is not None]

    def _assign(self) -> Iterator[Outcome]:
        if self._pending:
            wanted = min(self._jobs, len(self._pending) + len(self._busy))
        else:
            wanted = int(bool(self._alone))
            if self._alone and not self._busy:
                for worker in self._workers[1:]:
                    self._drop(worker)
        while len(self._workers) < wanted:
            card, lock = allot(self._cards)
            worker = Worker(self._device, card, self._inbox)
            self._workers.append(worker)
            if lock:
                self._locks[worker] = lock
        for worker in [worker for worker in self._workers if worker.is_idle]:
            if self._pending:
                task = self._choose(worker)
                self._pending.remove(task)
            elif self._alone and not self._busy:
                task = self._alone.pop(0)
            else:
                return
            worker.start(task)
            yield Outcome("started", task)

    def _choose(self, worker: Worker) -> Task:
        """Prefer what this worker has compiled, then what no other one has."""
        others = {p for w in self._workers if w is not worker for p in w.programs}
        own = (task for task in self._pending if task.program in worker.programs)
        new = (task for task in self._pending if task.program not in others)
        return next(own, None) or next(new, self._pending[0])

    def _hear(
        self, worker: Worker, message: dict[str, str] | None
    ) -> Iterator[Outcome]:
        task, seconds = worker.task, time.monotonic() - worker.since
        if message is None:
            words = self._drop(worker)
            self._starts += not worker.is_ready
            if self._starts > RESTARTS:
                raise EnvironmentFault(
                    "a worker process to start",
                    words.splitlines()[-1],
                    "run dlclaims doctor, which says what this machine lacks",
                )
            if task is not None:
                died = f"its worker process died twice ({words.splitlines()[0]})"
                hint = "if memory ran out, close other programs"
                yield self._again_alone(task, seconds, f"{died}; {hint}", words)
            return
        worker.is_ready, self._starts = True, 0
        if task is None:
            return
        worker.task = None
        worker.cells += 1
        if message["kind"] == "finished":
            yield measured(task, seconds, message["record"])
        elif message["kind"] == "memory":
            self._drop(worker)
            words = f"memory ran out: {message['message']}; close other programs"
            yield self._again_alone(task, seconds, words, message["trace"])
        else:
            yield Outcome(
                "failed", task, seconds, None, message["message"], message["trace"]
            )
        if worker in self._workers and worker.is_spent:
            self._drop(worker)

    def _again_alone(
        self, task: Task, seconds: float, message: str, trace: str
    ) -> Outcome:
        kind = "failed" if task.cell in self._retried else "retried"
        if kind == "retried":
            self._retried.add(task.cell)
            self._alone.append(task)
        return Outcome(kind, task, seconds, None, message, trace)

    def _patience(self) -> float | None:
        """Return the seconds until something must be ended; None for never."""
        ends = (worker.since + self._limit for worker in self._busy)
        left = min([self._deadline, *ends]) - time.monotonic()
        return None if left == math.inf else max(0.0, left)

    def _stop_late(self) -> Iterator[Outcome]:
        for worker in self._busy:
            task, seconds = worker.task, time.monotonic() - worker.since
            if task is not None and seconds >= self._limit:
                words = f"took longer than its time limit of {self._limit:g} s"
                yield Outcome("failed", task, seconds, None, words, self._drop(worker))

    def _drop(self, worker: Worker) -> str:
        self._workers.remove(worker)
        words = worker.end()
        if lock := self._locks.pop(worker, None):
            lock.release()
        return words
