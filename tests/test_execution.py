"""Runs of a plan on stub pages: nothing lost, nothing measured twice or guessed."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from dlclaims import assembly, data, execution, pages, store
from dlclaims.engine import numerics
from dlclaims.engine.numerics import Numerics
from dlclaims.errors import EnvironmentFault, PageError, TimeUp, UsageError
from dlclaims.execution import capacity, code, context, local, worker
from dlclaims.plan import Cell
from dlclaims.store import Store

#: What a variant's mode makes of `measure`; each writes its process id first.
STUB = '''
"""A stub page."""

import os
import signal
import time
from functools import partial
from pathlib import Path

from dlclaims.pages import Card, Page, Study, grid, tidy

HERE = Path(__file__).parent
SCALE = 1.0
MODES = ("fine", "die", "die once", "raise", "no memory", "hang")


def draw_value(seeds, seed):
    return SCALE * seeds.generator(seed, "noise").standard_normal()


def measure(variant, seeds):
    with (HERE / "pids").open("a") as pids:
        print(os.getpid(), file=pids)
    print("what a page prints", flush=True)
    mode = variant["mode"]
    first = not (HERE / "died").exists()
    if mode == "die" or (mode == "die once" and first):
        (HERE / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "raise":
        raise ValueError("what a page\\nsays")
    if mode == "no memory":
        raise MemoryError
    if mode == "hang":
        time.sleep(3600)
    values = [draw_value(seeds, seed) for seed in seeds]
    return tidy({"seed": list(seeds)}, value=values)


GRID = grid(mode=MODES, level=(1, 2))
PAGE = Page(
    studies=(Study("study", "A study", measure, standard=GRID, smoke=GRID),),
    claims=(),
    figures=(),
    card=Card("Why?", ("So.",), "Not always.", ()),
)
'''

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the page ``stub``."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "stub.py").write_text(STUB)
    return tmp_path / "pages"


@pytest.fixture
def cells(tmp_path: Path) -> Store:
    return Store(tmp_path / "cells")


def cell(mode: str = "fine", level: int = 1, seeds: tuple[int, ...] = (0, 1)) -> Cell:
    factors = (("mode", mode), ("level", level))
    return Cell("stub", "study", "evaluation", factors, (), seeds)


FINE = tuple(cell(level=level, seeds=(s, s + 1)) for level in (1, 2) for s in (0, 2, 4))


def edit(folder: Path, old: str, new: str) -> None:
    """Edit the stub; to another size, by which Python sees that a file is not old."""
    file = folder / "stub.py"
    assert old in file.read_text()
    assert len(old) != len(new)
    file.write_text(file.read_text().replace(old, new))


def tables(result: execution.Result) -> list[bytes]:
    """The bytes of a result's cells, without the seconds that they took."""
    plain = [replace(r, meta={**r.meta, "seconds": 0.0}) for r in result.records]
    return [store.encode(record) for record in plain]


def pids(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "pids").read_text().split()]


class Events(list[tuple[str, Cell]]):
    """What a run told about its cells, in order."""

    def __call__(self, kind: str, cell: Cell, seconds: float) -> None:
        self.append((kind, cell))

    def kinds(self, cell: Cell) -> list[str]:
        return [kind for kind, told in self if told == cell]


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr(local, "Worker", refuse)


@pytest.fixture
def whole(folder: Path, tmp_path: Path) -> list[bytes]:
    """The tables of an undisturbed run of `FINE` with one worker."""
    result = execution.run(FINE, Store(tmp_path / "whole"), folders=[folder])
    assert result.failures == ()
    return tables(result)


def test_a_second_run_starts_no_worker(
    folder: Path, cells: Store, whole: list[bytes], request: pytest.FixtureRequest
) -> None:
    shuffled = (FINE[4], FINE[1], FINE[5], FINE[0], FINE[3], FINE[2])
    half = execution.run(FINE[2:4], cells, folders=[folder])
    assert tables(half) == whole[2:4]
    events = Events()
    rest = execution.run(
        shuffled, cells, folders=[folder], jobs=2, on_event=events, device="cpu"
    )
    assert tables(rest) == [whole[FINE.index(c)] for c in shuffled]
    assert [events.kinds(c) for c in FINE] == [
        ["cached"] if c in FINE[2:4] else ["planned", "started", "finished"]
        for c in FINE
    ]
    request.getfixturevalue("no_worker")
    again = execution.run(FINE, cells, folders=[folder], jobs=2)
    assert tables(again) == whole


def test_each_record_is_its_cells_own(folder: Path, cells: Store) -> None:
    twice = [FINE[1], FINE[1]]
    (record,) = execution.run(twice, cells, folders=[folder]).records
    assert len(pids(folder)) == 1
    streams = FINE[1].streams
    expected = [streams.generator(s, "noise").standard_normal() for s in streams]
    assert record.cell == FINE[1]
    assert record.table["value"].tolist() == expected
    assert record.meta["device"] in ("cpu", "gpu")
    assert record.meta["versions"].keys() >= {"numpy", "keras", "scikit-learn"}
    assert record.meta["numerics"]["intra_threads"] == 1
    assert record.meta["seconds"] >= 0


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (lambda r: replace(r, cell=replace(r.cell, page="../../away")), "another cell"),
        (lambda r: replace(r, cell=FINE[2]), "another cell"),
        (lambda r: replace(r, key="0" * 64), "not what was planned"),
        (lambda r: replace(r, table=r.table.iloc[:1]), "seed"),
    ],
)
def test_what_a_worker_forges_is_stored_nowhere(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    forge: Callable[[store.Record], store.Record],
    words: str,
) -> None:
    """Its answer names the file to write: it must be the planned cell's own."""
    (true,) = execution.run(FINE[:1], Store(tmp_path / "a"), folders=[folder]).records
    told = local.Pool.outcomes

    def forged(pool: local.Pool) -> Iterator[local.Outcome]:
        for outcome in told(pool):
            made = forge(true) if outcome.record else None
            yield replace(outcome, record=made)

    monkeypatch.setattr(local.Pool, "outcomes", forged)
    result = execution.run(FINE[:1], Store(tmp_path / "b"), folders=[folder])
    assert result.records == ()
    assert words in result.failures[0].message
    assert not list(tmp_path.glob("away/**/*.json"))
    assert not list((tmp_path / "b").glob("**/*.json"))


@pytest.mark.parametrize("text", ["", "{}", "\ud800"])
def test_an_answer_that_is_no_record_fails_its_cell(text: str) -> None:
    outcome = local.measured(local.Task(FINE[0], Path("page.py")), 1.0, text)
    assert (outcome.kind, outcome.record) == ("failed", None)
    assert "answer is damaged" in outcome.message


TRAINS = """
    if variant["level"] == 1:
        import keras
        import numpy as np
        from dlclaims import engine
        x, y = np.eye(6), np.eye(6)[:, :2]
        rows = np.tile(np.arange(6), (2, 1))
        examples = engine.Examples(x, y, rows, rows, rows)
        recipe = engine.Recipe("mse", keras.optimizers.SGD, 7, 4, metrics=())
        net = lambda: keras.Sequential(
            [keras.Input((6,)), keras.layers.Dense(8), keras.layers.Dense(2)]
        )
        engine.train(net, examples, recipe, seeds, [0.1])
        engine.train(net, examples, recipe, seeds, [0.2, 0.3])
"""


def test_a_cell_records_how_the_engine_trained_but_does_not_depend_on_it(
    folder: Path, cells: Store
) -> None:
    edit(folder, '    if mode == "raise"', f'{TRAINS}\n    if mode == "raise"')
    three = [cell(), cell("raise"), cell(level=2)]
    result = execution.run(three, cells, folders=[folder], device="cpu")
    one, other = result.records
    [way] = one.meta["engine"]
    # Three times two operations for each of 6 * 8 + 8 * 2 products of 4 examples.
    assert (way["step_work"], way["steps"]) == (6.0 * 4 * 64, 7)
    assert (way["xla"], way["replicas_per_call"]) == (False, numerics.SHARE)
    assert str(numerics.SHARE) in way["reason"]
    assert other.meta["engine"] == []  # not that of the cell that failed before it
    old = replace(one, meta={k: v for k, v in one.meta.items() if k != "engine"})
    assert store.document(old.cell, old.meta) == store.document(one.cell, one.meta)
    counted = {"study": "study", "xla": False, "replicas_per_call": 8, "cells": 2}
    assert assembly.ways([one, other, old, one]) == [counted]


def test_an_outlook_explains_and_fresh_replaces(folder: Path, cells: Store) -> None:
    look = partial(execution.outlook, FINE[:1], cells, folders=[folder])
    assert look() == ((FINE[0], "never run"),)
    execution.run(FINE[:1], cells, folders=[folder])
    assert look() == ((FINE[0], ""),)
    assert look(fresh=True) == ((FINE[0], "measured again: --fresh"),)
    (again,) = execution.run(FINE[:1], cells, folders=[folder], fresh=True).records
    assert len(pids(folder)) == 2
    stored = cells.get(again.key)
    assert stored is not None
    assert stored.meta == again.meta  # with its own seconds
    edit(folder, "SCALE = 1.0", "SCALE = 2.0  # twice")
    assert look() == ((FINE[0], "code of SCALE changed"),)
    (record,) = execution.run(FINE[:1], cells, folders=[folder]).records
    generator = FINE[0].streams.generator(0, "noise")
    assert record.table["value"][0] == 2 * generator.standard_normal()


def test_a_damaged_cell_is_measured_again(
    folder: Path, cells: Store, whole: list[bytes]
) -> None:
    execution.run(FINE, cells, folders=[folder])
    path = sorted(cells.root.glob("stub/*/*.json"))[0]
    path.write_bytes(b"{")
    events = Events()
    result = execution.run(FINE, cells, folders=[folder], on_event=events)
    assert tables(result) == whole
    assert [kind for kind, _ in events].count("finished") == 1


def test_cells_that_a_record_makes_known_are_run_by_the_same_worker(
    folder: Path, cells: Store
) -> None:
    tuning = [replace(cell(level=level), stage="evaluation") for level in (1, 2)]
    follow = {
        c: replace(c, seeds=tuple(s + 10 for s in c.seeds), learning_rates=(0.5,))
        for c in tuning
    }
    events = Events()
    run = partial(
        execution.run,
        tuning,
        cells,
        folders=[folder],
        on_event=events,
        follow=lambda record: [follow[record.cell]] if record.cell in follow else [],
    )
    order = [tuning[0], follow[tuning[0]], tuning[1], follow[tuning[1]]]
    assert [r.cell for r in run().records] == order
    assert [c for kind, c in events if kind == "started"] == order
    events.clear()
    assert [r.cell for r in run().records] == order
    assert [kind for kind, _ in events] == ["cached"] * 4


def test_a_worker_that_is_killed_costs_nothing(
    folder: Path, cells: Store, whole: list[bytes]
) -> None:
    victim, events = cell("die once"), Events()
    result = execution.run(
        [victim, *FINE], cells, folders=[folder], jobs=2, on_event=events
    )
    assert result.failures == ()
    assert tables(result)[1:] == whole
    assert events.kinds(victim) == [
        *("planned", "started", "retried", "started", "finished")
    ]
    assert events[-1] == ("finished", victim)  # it was tried again alone, at the end


@pytest.mark.parametrize(
    ("mode", "words", "tries"),
    [
        ("die", r"died twice \(SIGKILL\)", 2),
        ("no memory", "memory ran out", 2),
        ("raise", "^ValueError: what a page$", 1),
    ],
)
def test_a_cell_that_cannot_be_measured_fails_alone(
    folder: Path, cells: Store, mode: str, words: str, tries: int
) -> None:
    events = Events()
    result = execution.run(
        [cell(mode), *FINE[:2]], cells, folders=[folder], on_event=events
    )
    assert [r.cell for r in result.records] == [*FINE[:2]]
    (failure,) = result.failures
    assert failure.cell == cell(mode)
    assert pd.Series(failure.message).str.contains(words).all()
    assert failure.log.read_text().startswith(cell(mode).label)
    assert events.kinds(cell(mode))[-1] == "failed"
    assert events.kinds(cell(mode)).count("started") == tries


def test_a_failed_cell_is_tried_again_by_the_next_run(
    folder: Path, cells: Store
) -> None:
    (failure,) = execution.run([cell("raise")], cells, folders=[folder]).failures
    assert 'raise ValueError("what a page' in failure.log.read_text()
    edit(folder, 'if mode == "raise"', 'if mode == "nevermore"')
    result = execution.run([cell("raise")], cells, folders=[folder])
    assert len(result.records) == 1


def test_a_cell_that_hangs_is_ended(folder: Path, cells: Store) -> None:
    result = execution.run(
        [cell("hang"), FINE[0]], cells, folders=[folder], time_limit=4
    )
    assert [r.cell for r in result.records] == [FINE[0]]
    (failure,) = result.failures
    assert failure.message == "took longer than its time limit of 4 s"
    assert not is_alive(pids(folder)[0])


def test_a_cell_that_hangs_does_not_outlive_the_minutes_of_its_run(
    folder: Path, cells: Store
) -> None:
    asked, deadline = [FINE[0], cell("raise"), cell("hang")], time.monotonic() + 5
    with pytest.raises(TimeUp) as caught:
        execution.run(asked, cells, folders=[folder], deadline=deadline)
    assert time.monotonic() < deadline + 5
    assert caught.value.failed == {cell("raise").label: "ValueError: what a page"}
    assert [record.cell for _, record in cells.items("stub")] == [FINE[0]]
    assert not any(map(is_alive, pids(folder)))


@pytest.mark.parametrize(
    ("place", "bound", "value", "workers"),
    [(local, "CELLS_PER_WORKER", 2, 3), (capacity, "WORKER_BYTES", 1, 6)],
    ids=["cells", "bytes"],
)
def test_a_worker_is_replaced_when_it_is_spent(
    folder: Path,
    cells: Store,
    monkeypatch: pytest.MonkeyPatch,
    place: ModuleType,
    bound: str,
    value: int,
    workers: int,
) -> None:
    monkeypatch.setattr(place, bound, value)
    execution.run(FINE, cells, folders=[folder])
    assert len(set(pids(folder))) == workers


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import no_such_library", "No module named 'no_such_library'"),
        ("raise SystemExit(7)", "exit code 7"),
    ],
)
def test_a_worker_that_cannot_start_is_the_environments_fault(
    folder: Path,
    cells: Store,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    words: str,
) -> None:
    monkeypatch.setattr(local, "START", program)
    with pytest.raises(EnvironmentFault, match=words):
        execution.run(FINE, cells, folders=[folder])


@pytest.mark.parametrize("deaths", [local.RESTARTS, local.RESTARTS + 1])
def test_a_worker_that_is_killed_while_it_starts_is_started_again(
    folder: Path, cells: Store, monkeypatch: pytest.MonkeyPatch, deaths: int
) -> None:
    starts = folder / "starts"
    program = f"""
import os
with open({str(starts)!r}, "a") as file:
    print(file=file)
if os.path.getsize({str(starts)!r}) <= {deaths}:
    os.kill(os.getpid(), 9)
{local.START}"""
    monkeypatch.setattr(local, "START", program)
    if deaths > local.RESTARTS:
        with pytest.raises(EnvironmentFault, match="a worker process to start"):
            execution.run(FINE[:1], cells, folders=[folder])
        assert starts.stat().st_size == local.RESTARTS + 1
    else:
        assert len(execution.run(FINE[:1], cells, folders=[folder]).records) == 1


def test_what_is_printed_before_a_worker_begins_is_no_answer(
    folder: Path, cells: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('hello', flush=True)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    result = execution.run(FINE[:1], cells, folders=[folder], time_limit=60)
    assert len(result.records) == 1


def test_an_answer_that_is_no_json_costs_its_worker_not_the_run(
    folder: Path, cells: Store
) -> None:
    edit(folder, "os.kill(os.getpid(), signal.SIGKILL)", NO_JSON)
    result = execution.run(
        [cell("die once"), cell("die"), FINE[0]], cells, folders=[folder]
    )
    assert [r.cell for r in result.records] == [cell("die once"), FINE[0]]
    assert "died twice" in result.failures[0].message


#: Writes into every pipe that this process has, so that of its answers too.
NO_JSON = """[
            os.write(n, b"no JSON\\n")
            for n in range(3, 64)
            if os.path.exists(f"/proc/self/fd/{n}")
            and "pipe" in os.readlink(f"/proc/self/fd/{n}")
        ]"""


@pytest.mark.parametrize(("device", "card"), [("cpu", "-1"), ("gpu", "7")])
def test_a_worker_is_pinned_before_it_measures(
    folder: Path,
    cells: Store,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    card: str,
) -> None:
    monkeypatch.setattr(context, "cards", lambda: ("7", "5"))
    monkeypatch.setattr(local, "CARDS", cells.root.parent / "cards")
    names = ("OPENBLAS_NUM_THREADS", "PYTHONHASHSEED", "CUDA_VISIBLE_DEVICES")
    own = ", ".join(f"{name}=os.environ[{name!r}]" for name in names)
    edit(folder, "value=values", f"value=values, {own}")
    run = partial(execution.run, FINE[:1], cells, folders=[folder], device=device)
    (record,) = run().records
    assert record.table.loc[0, list(names)].tolist() == ["1", "0", card]
    assert record.meta["device"] == device


@pytest.mark.parametrize("full_at", [1, 4])
def test_a_full_disk_ends_the_run_and_the_next_one_completes_it(
    folder: Path,
    cells: Store,
    whole: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    full_at: int,
) -> None:
    link, calls = os.link, []

    def fill(*paths: Path) -> None:
        calls.append(paths)
        if len(calls) >= full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        link(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(store.os, "link", fill)
        with pytest.raises(EnvironmentFault, match="No space left"):
            execution.run(FINE, cells, folders=[folder])
    events = Events()
    result = execution.run(FINE, cells, folders=[folder], on_event=events)
    assert [kind for kind, _ in events].count("cached") == full_at - 1
    assert tables(result) == whole


RUN = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[4:]
from test_execution import FINE, cell
from dlclaims import execution
from dlclaims.store import Store
def tell(kind, cell, seconds):
    print(kind, flush=True)
folder, root, jobs = sys.argv[1:4]
cells = [cell("hang"), *FINE]
execution.run(
    cells, Store(Path(root)), folders=[Path(folder)], jobs=int(jobs), on_event=tell
)
"""


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(happens: Callable[[], bool]) -> None:
    for _ in range(600):
        if happens():
            return
        time.sleep(0.05)
    raise AssertionError("waited 30 seconds in vain")


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL], ids=lambda s: s.name)
def test_a_run_that_is_ended_keeps_its_cells_and_leaves_no_worker(
    folder: Path, cells: Store, whole: list[bytes], kind: signal.Signals
) -> None:
    arguments = [str(folder), str(cells.root), "2", str(ROOT), str(ROOT / "tests")]
    with subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as run:
        assert run.stdout is not None
        told = [line.strip() for line in iter(run.stdout.readline, "finished\n")]
        assert "finished" not in told
        run.send_signal(kind)
        run.communicate()
    assert run.returncode == -kind
    wait_until(lambda: not any(map(is_alive, pids(folder))))
    kept = list(cells.root.glob("stub/*/*.json"))
    assert len(kept) >= 1
    events = Events()
    result = execution.run(FINE, cells, folders=[folder], on_event=events)
    assert [kind for kind, _ in events].count("cached") == len(kept)
    assert [r.table.to_csv() for r in result.records] == [
        store.decode(raw).table.to_csv() for raw in whole
    ]


def test_code_that_changes_during_a_run_is_not_stored_as_what_was_planned(
    folder: Path, cells: Store
) -> None:
    def plan() -> Iterator[Cell]:
        yield FINE[0]
        edit(folder, "SCALE = 1.0", "SCALE = 2.00")

    result = execution.run(plan(), cells, folders=[folder])
    (failure,) = result.failures
    assert "code of SCALE changed; run again" in failure.message
    assert result.records == ()
    assert cells.documents("stub") == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"jobs": 0}, "--jobs 0"),
        ({"device": "tpu"}, "device tpu"),
        ({"executor": "desk"}, "local or dask"),
        ({"executor": "dask", "scheduler": "127.0.0.1:8786"}, "tcp://host:port"),
        ({"executor": "dask", "scheduler": "tpc://127.0.0.1:8786"}, "tpc://"),
        ({"executor": "dask", "scheduler": "tcp://"}, "dask scheduler prints"),
        ({"jobs": 2, "executor": "dask", "scheduler": "tcp://a:1"}, "leave --jobs"),
    ],
)
def test_wrong_words_are_refused(
    folder: Path, cells: Store, change: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        execution.run(FINE, cells, folders=[folder], **change)


def test_a_page_that_is_in_no_folder_is_refused(folder: Path, cells: Store) -> None:
    with pytest.raises(UsageError, match=r"did you mean stub\?"):
        execution.run([replace(FINE[0], page="stab")], cells, folders=[folder])


def test_a_gpu_that_is_not_there_is_the_environments_fault(
    folder: Path, cells: Store, monkeypatch: pytest.MonkeyPatch, no_worker: None
) -> None:
    monkeypatch.setattr(context, "GPU_NODES", ())
    with pytest.raises(EnvironmentFault, match="shows no GPU") as caught:
        execution.run(FINE, cells, folders=[folder], device="gpu")
    assert caught.value.exit_code == 3
    assert context.resolve_device("auto") == "cpu"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([1, 2], "return a table\nreceived list"),
        (pd.DataFrame({"value": [1.0]}), "column named seed\nreceived value"),
        (
            pd.DataFrame({"seed": [0, 1], 3: 0.0}),
            r"each a text\nreceived \['seed', 3\]",
        ),
        (pd.DataFrame({"seed": [0]}), r"seeds \[0, 1\]\nreceived \[0\]"),
        (pd.DataFrame({"seed": [0, 1, 2]}), r"received \[0, 1, 2\]"),
        (pd.DataFrame({"seed": [0.0, 1.0]}), r"received \[0.0, 1.0\]"),
        (pd.DataFrame({"seed": [0, 1, 1]}), "row once\nreceived 1 repeated"),
        (pd.DataFrame({"seed": [0, 1], "x": [[1], []]}), "received x: a column of"),
        (pd.DataFrame({"seed": [0, 1], "status": ["ok", "bad"]}), r"\['bad'\]"),
    ],
)
def test_a_table_that_is_not_the_cells_is_refused(table: object, words: str) -> None:
    with pytest.raises(PageError, match=words):
        worker.check(table, cell())


def test_a_tuning_cell_has_rows_for_each_of_its_rates() -> None:
    tuning = replace(cell(), stage="tuning", learning_rates=(0.1, 0.2))
    rows = [{"seed": s, "learning_rate": r} for s in (0, 1) for r in (0.1, 0.2)]
    worker.check(pd.DataFrame(rows), tuning)
    with pytest.raises(PageError, match=r"rates \[0.1, 0.2\]\nreceived \[0.1\]"):
        worker.check(pd.DataFrame(rows[::2]), tuning)


def test_a_context_names_the_data_and_the_packages_of_the_backend(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(folder, "smoke=GRID", 'smoke=GRID, data=("digits",)')
    page = pages.load("stub", folder / "stub.py")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    own = context.context_of(page, page.studies[0], "cpu", Numerics(onednn=True))
    assert own.data == {"digits": data.DIGESTS["digits"]}
    assert {*own.versions} == {*context.PACKAGES, "jax", "jaxlib"}
    assert {"numpy", "scipy", "scikit-learn", "keras"} <= {*context.PACKAGES}
    assert own.versions["numpy"] == np.__version__
    assert (own.backend, own.device) == ("jax", "cpu")
    assert own.numerics["onednn"] is True
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(UsageError, match="KERAS_BACKEND=torch"):
        context.context_of(page, page.studies[0], "cpu", Numerics())


def test_a_users_flags_are_part_of_what_a_cell_depends_on(
    folder: Path, cells: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = partial(execution.outlook, FINE[:1], cells, folders=[folder])
    execution.run(FINE[:1], cells, folders=[folder])
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert look() == ((FINE[0], "XLA_FLAGS none -> --xla_cpu_enable_fast_math=true"),)
    # A worker adds flags of its own and means the same.
    assert execution.run(FINE[:1], cells, folders=[folder]).failures == ()
    assert look() == ((FINE[0], ""),)


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_a_workers_own_flags_are_not_the_users(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in context.FLAGS:
        monkeypatch.delenv(name, raising=False)
    words = (
        "import os; from dlclaims.engine import numerics; numerics.pin();"
        " from dlclaims.execution import context;"
        " print(context.flags(), os.environ['XLA_FLAGS'])"
    )
    seen = subprocess.check_output(
        [sys.executable, "-c", words], env=local.environment(device), text=True
    )
    assert seen.startswith("{} ")
    assert "--xla_backend_optimization_level=2" in seen


# Which code a measurement depends on.


def closure(file: Path) -> dict[str, str]:
    page = pages.load(file.stem, file)
    return code.closure(pages.import_page(file), page.studies[0].measure)


def write(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / "page.py").write_text(text)
    return folder / "page.py"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A stub page."""', '"""Another title.\n\nAnd notes."""'),
        ("    values =", "    # why\n\n    values  ="),
        (
            "def measure(variant, seeds):\n",
            'def measure(variant, seeds):\n    "Doc."\n',
        ),
        (
            "def measure(variant, seeds):",
            "def measure(variant: dict, seeds) -> object:",
        ),
        ("MODES = (", "OTHER = 1\n\n\ndef predict(variant):\n    pass\n\n\nMODES = ("),
        ('("So.",)', '("It depends.",)'),
        ("level=(1, 2)", "level=(1, 2, 3)"),
        ("import time\n", "import time, json\n"),
        (
            "import Card, Page, Study, grid, tidy",
            "import Page, tidy, grid, Study, Card",
        ),
        (
            "HERE =",
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    import tidy\nHERE =",
        ),
    ],
)
def test_an_edit_that_no_value_depends_on_leaves_the_code_the_same(
    tmp_path: Path, old: str, new: str
) -> None:
    assert old in STUB
    before = closure(write(tmp_path / "a", STUB))
    after = closure(write(tmp_path / "b", STUB.replace(old, new)))
    assert before == after
    assert {"measure", "draw_value", "SCALE", "dlclaims.pages.tidy"} <= before.keys()
    assert not {"PAGE", "GRID", "MODES"} & before.keys()


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("SCALE = 1.0", "SCALE = 1", {"SCALE"}),
        ("SCALE *", "2 *", {"draw_value", "SCALE"}),
        ("time.sleep(3600)", "time.sleep(3601)", {"measure"}),
        ("MODES = (", "SCALE += 1\nMODES = (", {"SCALE"}),
        ("SCALE = 1.0", "SCALE = {}\nSCALE['x'] = 1", {"SCALE"}),
        ("SCALE = 1.0", "SCALE = []\nSCALE.append(1)", {"SCALE"}),
        ("SCALE = 1.0", "SCALE = BASE = 1.0", {"SCALE", "BASE"}),
        ("SCALE = 1.0", "SCALE, BASE = 1.0, 2.0", {"SCALE", "BASE"}),
        ("SCALE = 1.0", "for SCALE in (1.0, 2.0):\n    pass", {"SCALE"}),
        (
            "tidy\n",
            "tidy as _\ndef tidy(*_):\n    pass\n",
            {"tidy", "dlclaims.pages.tidy"},
        ),
    ],
)
def test_an_edit_that_a_value_depends_on_changes_the_code_and_names_it(
    tmp_path: Path, old: str, new: str, changed: set[str]
) -> None:
    assert old in STUB
    before = closure(write(tmp_path / "a", STUB))
    after = closure(write(tmp_path / "b", STUB.replace(old, new)))
    names = before.keys() | after.keys()
    assert {n for n in names if before.get(n) != after.get(n)} == changed


@pytest.mark.parametrize(
    ("module", "old", "new", "changed"),
    [
        ("pages", "3 * registered", "4 * registered", {"dlclaims.pages.Variant"}),
        ("plan", '(("init", "init-2"),)', "()", {"dlclaims.plan.Cell"}),
        ("pages", "three times the steps", "thrice the steps", set()),
    ],
)
def test_what_measure_is_called_with_is_code_that_it_reaches(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    old: str,
    new: str,
    changed: set[str],
) -> None:
    file = write(tmp_path / "a", STUB)
    before = closure(file)
    text = (ROOT / "dlclaims" / f"{module}.py").read_text()
    assert old in text
    (tmp_path / "edited.py").write_text(text.replace(old, new))
    true = code._statements

    def edited(name: str) -> list[code.Statement]:
        is_edited = name == f"dlclaims.{module}"
        return (
            code._parse(str(tmp_path / "edited.py"), 0, 0) if is_edited else true(name)
        )

    monkeypatch.setattr(code, "_statements", edited)
    after = closure(file)
    names = before.keys() | after.keys()
    assert {n for n in names if before.get(n) != after.get(n)} == changed


def test_where_names_cannot_tell_the_whole_page_counts(tmp_path: Path) -> None:
    partly = STUB.replace('"A study", measure', '"A study", partial(measure)')
    before = closure(write(tmp_path / "a", partly))
    after = closure(write(tmp_path / "b", partly.replace("(1, 2)", "(1, 3)")))
    assert {n for n in before if before[n] != after[n]} == {"dlclaims_pages.page"}


FOLDER_PAGE = STUB.replace("HERE =", "from .helpers import shift\nHERE =")
FOLDER_PAGE = FOLDER_PAGE.replace("SCALE *", "shift() *")
HELPERS = """
from . import constants
from .tables import X
BY = 1
def shift():
    return BY + constants.ONE
def draw():
    pass
"""


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("helpers.py", "BY = 1", "BY = 2", {"dlclaims_pages.page.helpers.BY"}),
        ("helpers.py", "    pass", "    return 1", set()),
        ("helpers.py", "BY = 1", "BY = X", None),
        ("tables.py", "X = 1", "X = 2", set()),
        ("constants.py", "ONE = 1", "ONE = 2", {"dlclaims_pages.page.constants.ONE"}),
        ("constants.py", "TWO = 2", "TWO = 3", set()),
    ],
)
def test_modules_of_a_pages_folder_are_its_own_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    old: str,
    new: str,
    changed: set[str] | None,
) -> None:
    parent = ModuleType("dlclaims_pages")
    parent.__path__ = []
    found = []
    for copy in ("a", "b"):
        home = tmp_path / copy / "page"
        home.mkdir(parents=True)
        (home / "__init__.py").write_text(FOLDER_PAGE)
        (home / "helpers.py").write_text(HELPERS)
        (home / "tables.py").write_text("X = 1\n")
        (home / "constants.py").write_text("ONE = 1\nTWO = 2\n")
        if copy == "b":
            text = (home / file).read_text()
            assert old in text
            (home / file).write_text(text.replace(old, new))
        for name in [n for n in sys.modules if n.startswith("dlclaims_pages")]:
            del sys.modules[name]
        monkeypatch.setitem(sys.modules, "dlclaims_pages", parent)
        found.append(closure(home / "__init__.py"))
    before, after = found
    names = before.keys() | after.keys()
    if changed is None:  # now it reaches a module that it did not reach
        assert names - before.keys() == {
            "dlclaims_pages.page.helpers.X",
            "dlclaims_pages.page.tables.X",
        }
    else:
        assert {n for n in names if before.get(n) != after.get(n)} == changed


def test_a_page_is_imported_again_where_a_file_of_it_has_changed(
    tmp_path: Path,
) -> None:
    home = tmp_path / "edited"
    home.mkdir()
    (home / "__init__.py").write_text("from . import helpers")
    (home / "helpers.py").write_text("BY = 1")
    first = pages.import_page(home / "__init__.py")
    assert pages.import_page(home / "__init__.py") is first
    (home / "helpers.py").write_text("BY = 20")
    again = pages.import_page(home / "__init__.py")
    assert (first.helpers.BY, again.helpers.BY) == (1, 20)


def test_of_the_library_what_measures_counts_when_it_is_reached(tmp_path: Path) -> None:
    stub = closure(write(tmp_path / "a", STUB))
    assert "dlclaims.seeds" in stub
    assert not [name for name in stub if name.startswith("dlclaims.engine")]
    text = STUB.replace("HERE =", "from dlclaims import engine, networks\nHERE =")
    assert closure(write(tmp_path / "b", text)) == stub
    text = text.replace("    values =", "    networks.mlp, engine.train\n    values =")
    trained = closure(write(tmp_path / "c", text))
    engine = Path(code.__file__).parent.parent / "engine"
    assert len([n for n in trained if n.startswith("dlclaims.engine")]) == len(
        list(engine.rglob("*.py"))
    )
    assert "dlclaims.networks" in trained
    assert not [n for n in trained if n.startswith("dlclaims.errors")]
