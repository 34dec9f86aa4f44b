"""Many machines: the same tasks as in `local`, carried by Dask.

Workers share no folder with the run: a page of one's own travels as text, and cells
come back as bytes, which the run checks and commits as it does its own.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import signal
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import asdict
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from dlclaims import __version__, pages
from dlclaims.errors import DlclaimsError, EnvironmentFault
from dlclaims.execution import remote
from dlclaims.execution.context import backend
from dlclaims.execution.local import Outcome, Task, check_time, measured

#: Seconds until a scheduler must answer, and that it may be without a worker.
PATIENCE = 10.0

#: Seconds without news after which the scheduler is asked for its workers.
PAUSE = 1.0

#: Packages whose loggers print tracebacks of what is told here in one line.
TALKATIVE = ("distributed", "tornado", "asyncio")


class Cluster:
    """Workers behind a Dask scheduler; used as `local.Pool` is.

    A task whose worker dies is given to another one by the scheduler, some times.

    Parameters
    ----------
    jobs : int
        Workers of a cluster on this machine, where there is no `scheduler`.
    device : str
        ``cpu`` or ``gpu``: what the workers use.
    scheduler : str, optional
        ``tcp://host:port``, or ``tls://host:port`` with the certificates that Dask's
        configuration names.
    time_limit : float, optional
        Seconds that one task may take.
    deadline : float
        When `outcomes` ends with TimeUp, by `time.monotonic`.

    Raises
    ------
    EnvironmentFault
        No Dask, no scheduler at this address, no worker, or one with another version.
    """

    def __init__(
        self,
        jobs: int,
        device: str,
        scheduler: str | None = None,
        time_limit: float | None = None,
        deadline: float = math.inf,
    ):
        self._jobs, self._device, self._scheduler = jobs, device, scheduler
        self._limit, self._deadline = time_limit, deadline
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._tasks: dict[Any, Task] = {}
        self._begun: list[Task] = []
        self._local: Any = None

    def __enter__(self) -> Cluster:
        try:
            import distributed
        except ImportError as error:
            raise EnvironmentFault(
                "the package distributed", "none", "pip install 'dlclaims[dask]'"
            ) from error
        _silence()
        address = self._scheduler
        if address is None:
            with _without_interrupts():
                self._local = distributed.LocalCluster(
                    n_workers=self._jobs,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",
                    host="127.0.0.1",
                )
            address = self._local.scheduler_address
        self._address = address
        try:
            if address.startswith("tls:"):
                _check_certificates()
            self._client = distributed.Client(
                address, timeout=PATIENCE, set_as_default=False
            )
        except (OSError, TimeoutError, ValueError) as error:
            self.__exit__()
            raise EnvironmentFault(
                f"a Dask scheduler at {address}",
                f"{type(error).__name__}: {error}",
                "name the certificates in Dask's configuration (README, Many machines)"
                if address.startswith("tls:")
                else "start one (dask scheduler), or leave --scheduler out for this"
                " machine",
            ) from error
        try:
            self._check_workers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        client = getattr(self, "_client", None)
        if client is not None:
            with suppress(Exception):  # the scheduler may be gone
                client.cancel(list(self._tasks), force=True)
            client.close(timeout=2)
        if self._local is not None:
            self._local.close(timeout=5)

    def submit(self, task: Task) -> None:
        """Add a task; also while `outcomes` is being read."""
        message = {
            "cell": asdict(task.cell),
            "page": texts(task.file),
            "device": self._device,
            "backend": backend(),
            "versions": remote.installed(),
            "limit": self._limit,
        }
        future = self._client.submit(remote.measure, message, pure=False)
        self._tasks[future] = task
        self._begun.append(task)
        future.add_done_callback(self._done.put)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what becomes of the tasks, as it happens, until none is left."""
        while self._tasks:
            while self._begun:
                yield Outcome("started", self._begun.pop(0))
            yield self._next()

    def _next(self) -> Outcome:
        """Return what became of the next task, while there are workers to wait for."""
        has_worker = time.monotonic()
        while True:
            check_time(self._deadline)
            left = self._deadline - time.monotonic()
            with suppress(queue.Empty):
                future = self._done.get(timeout=max(0.0, min(PAUSE, left)))
                try:
                    outcome = self._outcome(future, self._tasks[future])
                except TimeoutError:  # its worker has died: the answer comes again
                    self._done.put(future)
                except (OSError, CancelledError) as error:
                    raise self._lost() from error
                else:
                    del self._tasks[future]
                    return outcome
            if self._workers():
                has_worker = time.monotonic()
            elif time.monotonic() > has_worker + PATIENCE:
                raise EnvironmentFault(
                    f"a worker at {self._address}",
                    f"none for {PATIENCE:g} s",
                    "start one and run again: finished cells are kept",
                )

    def _workers(self) -> int:
        """Return the number of workers that the scheduler has now."""
        client = self._client
        try:
            found = client.sync(client.scheduler.ncores, callback_timeout=PATIENCE)
        except (OSError, TimeoutError) as error:
            raise self._lost() from error
        return len(found)

    def _lost(self) -> EnvironmentFault:
        return EnvironmentFault(
            f"the Dask scheduler at {self._address} to stay",
            "its connection was lost",
            "run again: finished cells are kept",
        )

    def _outcome(self, future: Any, task: Task) -> Outcome:
        error = future.exception(timeout=PATIENCE)
        if error:
            if isinstance(error, EnvironmentFault):  # that worker would fail them all
                raise error
            words = f"{type(error).__name__}: {error}".splitlines()[0]
            if isinstance(error, DlclaimsError):
                words = str(error)
            return Outcome("failed", task, 0.0, None, words, repr(error))
        told = future.result(timeout=PATIENCE)
        if told["record"]:
            return measured(task, told["seconds"], told["record"])
        return Outcome(
            told["kind"], task, told["seconds"], None, told["message"], told["trace"]
        )

    def _check_workers(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            raise EnvironmentFault(
                f"a worker at {self._address}",
                f"none within {PATIENCE:g} s",
                f"start one where dlclaims is installed: dask worker {self._address}",
            ) from error

        def version() -> str:  # travels as code: dlclaims may be lacking there
            try:
                from dlclaims import __version__ as there
            except ImportError:
                return "none"
            return there

        found = self._client.run(version)
        other = {place: told for place, told in found.items() if told != __version__}
        if other:
            raise EnvironmentFault(
                f"dlclaims {__version__} on every worker",
                ", ".join(f"{told} at {place}" for place, told in other.items()),
                "install the same version there",
            )


def _check_certificates() -> None:
    """Raise before there is a client, which without them may never end."""
    from distributed.security import Security

    if Security().get_connection_args("client")["ssl_context"] is None:
        raise ValueError("Dask's configuration names no certificates")


def _silence() -> None:
    """Quiet what reports by tracebacks; what matters of it is told by an error."""
    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] in TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start threads and processes that Ctrl-C does not reach: they inherit a mask."""
    resource_tracker.ensure_running()  # which lifts the mask where it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def texts(file: Path) -> dict[str, str] | None:
    """Return a page's files as text, by their names below its folder.

    None for a page that ships with dlclaims: it is where dlclaims is.
    """
    is_package = file.name == "__init__.py"
    folder = file.parent.parent if is_package else file.parent
    if folder == pages.built_in_folder():
        return None
    own = sorted(file.parent.rglob("*.py")) if is_package else [file]
    return {
        str(one.relative_to(folder)).replace(os.sep, "/"): one.read_text("utf-8")
        for one in own
    }
