"""Many machines: the same tasks as in `local`, carried by Dask.

Workers share no folder with the run: a page of one's own travels as text, and cells
come back as bytes, which the run checks and commits as it does its own.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dlclaims import __version__, pages
from dlclaims.errors import EnvironmentFault
from dlclaims.execution import remote
from dlclaims.execution.context import backend
from dlclaims.execution.local import Outcome, Task, measured

#: Seconds until a scheduler must answer, and until it must have a worker.
PATIENCE = 10.0


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
    ):
        self._jobs, self._device, self._scheduler = jobs, device, scheduler
        self._limit = time_limit
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
        address = self._scheduler
        if address is None:
            self._local = distributed.LocalCluster(
                n_workers=self._jobs,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                host="127.0.0.1",
            )
            address = self._local.scheduler_address
        try:
            self._client = distributed.Client(
                address, timeout=PATIENCE, set_as_default=False
            )
        except (OSError, TimeoutError, TypeError, ValueError) as error:
            # TypeError: tls:// without certificates in Dask's configuration.
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
            self._check_workers(address)
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
            future = self._done.get()
            task = self._tasks.pop(future)
            yield self._outcome(future, task)

    def _outcome(self, future: Any, task: Task) -> Outcome:
        if future.status == "cancelled":
            raise EnvironmentFault(
                f"the Dask scheduler at {self._client.scheduler.address} to stay",
                "its connection was lost",
                "run again: finished cells are kept",
            )
        if future.status == "error":
            error = future.exception()
            words = f"{type(error).__name__}: {error}".splitlines()[0]
            return Outcome("failed", task, 0.0, None, words, repr(error))
        told = future.result()
        if told["record"]:
            return measured(task, told["seconds"], told["record"])
        return Outcome(
            told["kind"], task, told["seconds"], None, told["message"], told["trace"]
        )

    def _check_workers(self, address: str) -> None:
        try:
            self._client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            raise EnvironmentFault(
                f"a worker at {address}",
                f"none within {PATIENCE:g} s",
                f"start one where dlclaims is installed: dask worker {address}",
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
