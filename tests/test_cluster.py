"""Dask: a real scheduler and two real workers on loopback, without a shared folder."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from test_execution import FINE, STUB, Events, cell, tables

from dlclaims import execution
from dlclaims.errors import EnvironmentFault, TimeUp
from dlclaims.execution import cluster, context, local, remote
from dlclaims.store import Store

pytest.importorskip("distributed", reason="the extra dask is not installed")

ROOT = Path(__file__).resolve().parent.parent


class Machine:
    """A scheduler and its workers, each a process; workers see another folder."""

    def __init__(self, folder: Path, protocol: str = "tcp", **settings: str):
        self._folder, self._settings = folder, settings
        self._processes: list[subprocess.Popen[str]] = []
        where = ("--host", "127.0.0.1", "--port", "0", "--protocol", protocol)
        log = self.start("scheduler", *where)
        self.address = self.wait_for(log, rf"Scheduler at: +({protocol}://\S+)")

    def start(self, *words: str) -> Path:
        log = self._folder / f"{len(self._processes)}.log"
        with log.open("w") as file:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "dask", *words],
                    cwd=self._folder,
                    env={**os.environ, **self._settings, "PYTHONPATH": str(ROOT)},
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        return log

    def worker(self) -> subprocess.Popen[str]:
        quiet = ("--nthreads", "1", "--no-dashboard", "--no-nanny")
        log = self.start("worker", self.address, "--host", "127.0.0.1", *quiet)
        self.wait_for(log, r"Registered to: +(\S+)")
        return self._processes[-1]

    @staticmethod
    def wait_for(log: Path, pattern: str) -> str:
        for _ in range(600):
            found = re.search(pattern, log.read_text())
            if found:
                return found[1]
            time.sleep(0.1)
        raise TimeoutError(log.read_text())

    def end(self) -> None:
        for process in reversed(self._processes):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    found = Machine(tmp_path_factory.mktemp("machine"))
    for _ in range(2):
        found.worker()
    yield found
    found.end()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the page ``stub``, which the workers do not see."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "stub.py").write_text(STUB)
    return tmp_path / "pages"


def run(cells: Store, folder: Path, asked=FINE, **options) -> execution.Result:
    return execution.run(asked, cells, folders=[folder], executor="dask", **options)


def test_a_cluster_measures_what_this_machine_does(
    machine: Machine, folder: Path, tmp_path: Path
) -> None:
    here = execution.run(FINE, Store(tmp_path / "here"), folders=[folder])
    events = Events()
    there = run(
        Store(tmp_path / "there"), folder, scheduler=machine.address, on_event=events
    )
    assert there.failures == ()
    assert tables(there) == tables(here)
    for one in FINE:
        assert events.kinds(one) == ["planned", "started", "finished"]
    own = {str(file.name) for file in (tmp_path / "here").rglob("*.json")}
    assert own == {str(file.name) for file in (tmp_path / "there").rglob("*.json")}


def test_cells_that_are_there_are_not_sent(
    machine: Machine, folder: Path, tmp_path: Path
) -> None:
    cells, events = Store(tmp_path / "cells"), Events()
    execution.run(FINE[:4], cells, folders=[folder])
    run(cells, folder, scheduler=machine.address, on_event=events)
    assert [kind for kind, _ in events].count("cached") == 4
    assert [kind for kind, _ in events].count("finished") == len(FINE) - 4


def test_a_cell_that_fails_is_told_as_here(
    machine: Machine, folder: Path, tmp_path: Path
) -> None:
    asked = (*FINE, cell("raise"))
    found = run(Store(tmp_path / "cells"), folder, asked, scheduler=machine.address)
    assert len(found.records) == len(FINE)
    (failure,) = found.failures
    assert failure.message == "ValueError: what a page"
    assert "what a page" in failure.log.read_text()


def test_a_worker_that_dies_costs_nothing(folder: Path, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    try:
        doomed, _ = machine.worker(), machine.worker()
        killed: list[int] = []

        def kill(kind: str, *_: object) -> None:
            if kind == "finished" and not killed:
                killed.append(doomed.pid)
                os.kill(doomed.pid, signal.SIGKILL)

        cells = Store(tmp_path / "cells")
        found = run(cells, folder, scheduler=machine.address, on_event=kill)
        assert killed
        assert (len(found.records), found.failures) == (len(FINE), ())
    finally:
        machine.end()


@pytest.mark.parametrize(
    ("victim", "words"),
    [(0, "the Dask scheduler at tcp:.* to stay"), (1, "a worker at tcp:")],
)
def test_what_a_run_waits_for_in_vain_is_named_without_a_traceback(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    victim: int,
    words: str,
) -> None:
    """The scheduler dies in the middle of a run, or its only worker does."""
    machine, cells = Machine(tmp_path), Store(tmp_path / "cells")
    try:
        machine.worker()
        monkeypatch.setattr(cluster, "PATIENCE", 3.0)

        def kill(kind: str, *_: object) -> None:
            if kind == "finished":
                os.kill(machine._processes[victim].pid, signal.SIGKILL)

        with pytest.raises(EnvironmentFault, match=words):
            run(cells, folder, scheduler=machine.address, on_event=kill)
    finally:
        machine.end()
    assert len([*cells.items("stub")]) >= 1
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_cell_that_hangs_there_does_not_outlive_the_minutes_of_its_run(
    folder: Path, tmp_path: Path
) -> None:
    machine, cells = Machine(tmp_path), Store(tmp_path / "cells")
    try:
        machine.worker()
        deadline = time.monotonic() + 6
        asked = [FINE[0], cell("hang")]
        with pytest.raises(TimeUp):
            run(cells, folder, asked, scheduler=machine.address, deadline=deadline)
        assert time.monotonic() < deadline + 10
    finally:
        machine.end()
    assert [record.cell for _, record in cells.items("stub")] == [FINE[0]]


def test_an_edited_module_of_a_page_is_read_again_by_workers_that_stay(
    machine: Machine, folder: Path, tmp_path: Path
) -> None:
    home = folder / "stub"
    home.mkdir()
    (folder / "stub.py").unlink()
    text = STUB.replace("HERE =", "from .helpers import BY\nHERE =")
    (home / "__init__.py").write_text(text.replace("SCALE *", "BY *"))
    cells, found = Store(tmp_path / "cells"), []
    for by in (1, 20):
        (home / "helpers.py").write_text(f"BY = {by}\n")
        done = run(cells, folder, FINE[:2], scheduler=machine.address)
        assert done.failures == ()
        found.append(done.records[0].table["value"])
    assert (found[1] == 20 * found[0]).all()


def test_a_worker_with_another_package_ends_the_run_before_it_measures(
    machine: Machine, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = remote.installed()
    monkeypatch.setattr(remote, "installed", lambda: {**here, "numpy": "0.9"})
    with pytest.raises(EnvironmentFault, match=r"numpy 0\.9") as caught:
        run(Store(tmp_path / "cells"), folder, scheduler=machine.address)
    assert os.uname()[1] in caught.value.received


def test_a_workers_process_ends_when_another_is_wanted_or_it_cannot_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[float | None] = []
    monkeypatch.setattr(local.Pool, "__exit__", lambda p, *_: ended.append(p._limit))
    first = remote._pool("cpu", "tensorflow", 1.0)
    assert remote._pool("cpu", "tensorflow", 1.0) is first
    assert ended == []
    remote._pool("cpu", "tensorflow", 2.0)
    assert ended == [1.0]
    monkeypatch.setattr(local, "START", "raise SystemExit(1)")
    message = {
        "cell": asdict(cell()),
        "page": {"stub.py": STUB},
        "device": "cpu",
        "backend": "tensorflow",
        "limit": 2.0,
        "versions": remote.installed(),
    }
    with pytest.raises(EnvironmentFault, match="a worker process to start"):
        remote.measure(message)
    assert ended == [1.0, 2.0]


def test_the_driver_of_a_cluster_needs_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("it looked for cards here")

    monkeypatch.setattr(context, "cards", refuse)
    assert execution.device_of("gpu", "dask") == "gpu"
    assert execution.workers(None, "gpu", "dask", "tcp://10.0.0.1:8786") is None
    here = execution.workers(None, "cpu", "local", None)
    assert execution.workers(None, "gpu", "dask", None) == here
    assert execution.workers(3, "gpu", "dask", None) == 3


def test_a_scheduler_that_is_not_there_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    with pytest.raises(EnvironmentFault, match="a Dask scheduler at tcp:"):
        run(Store(tmp_path / "cells"), folder, scheduler="tcp://127.0.0.1:9")


def test_a_scheduler_without_workers_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    machine = Machine(tmp_path)
    try:
        with pytest.raises(EnvironmentFault, match="dask worker tcp://"):
            run(Store(tmp_path / "cells"), folder, scheduler=machine.address)
    finally:
        machine.end()


def test_a_worker_with_another_version_is_refused(
    machine: Machine, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "__version__", "99.0")
    with pytest.raises(EnvironmentFault, match=r"dlclaims 99\.0 on every worker"):
        run(Store(tmp_path / "cells"), folder, scheduler=machine.address)


def certificates(folder: Path) -> dict[str, str]:
    """Return what Dask's configuration needs for TLS, made as README.md tells it."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    told = [block for block in blocks if "openssl" in block or "__CA_FILE" in block]
    assert len(told) == 2
    lines = re.sub(r"^\$ ", "", "".join(told), flags=re.M)
    shell = ["bash", "-e", "-c", f"{lines}\nenv"]
    done = subprocess.run(shell, cwd=folder, check=True, capture_output=True, text=True)
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return {name: value for name, value in found.items() if name.startswith("DASK_")}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates")
def test_a_cluster_over_tls_measures_the_same_and_refuses_strangers(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    settings = certificates(tmp_path)
    machine = Machine(tmp_path, "tls", **settings)
    try:
        machine.worker()
        monkeypatch.setattr(cluster, "PATIENCE", 3.0)
        with pytest.raises(EnvironmentFault, match="a Dask scheduler at tls:"):
            run(Store(tmp_path / "cells"), folder, scheduler=machine.address)
        monkeypatch.setattr(cluster, "PATIENCE", 10.0)
        names = {n: n[5:].lower().replace("__", ".") for n in settings}
        with dask.config.set({names[n]: value for n, value in settings.items()}):
            there = run(
                Store(tmp_path / "cells"), folder, FINE[:2], scheduler=machine.address
            )
    finally:
        machine.end()
    here = execution.run(FINE[:2], Store(tmp_path / "here"), folders=[folder])
    assert tables(there) == tables(here)


def test_a_cluster_of_this_machine_needs_no_address(
    folder: Path, tmp_path: Path
) -> None:
    found = run(Store(tmp_path / "cells"), folder, FINE[:2], jobs=1)
    assert len(found.records) == 2


def test_a_pages_files_travel_as_text(folder: Path) -> None:
    assert cluster.texts(folder / "stub.py") == {"stub.py": STUB}
    package = folder / "whole"
    (package / "parts").mkdir(parents=True)
    for name in ("__init__.py", "one.py", "parts/two.py"):
        (package / name).write_text(f"# {name}")
    assert cluster.texts(package / "__init__.py") == {
        "whole/__init__.py": "# __init__.py",
        "whole/one.py": "# one.py",
        "whole/parts/two.py": "# parts/two.py",
    }
    built_in = ROOT / "experiments" / "vanishing_gradient" / "__init__.py"
    assert cluster.texts(built_in) is None
