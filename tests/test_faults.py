"""Faults by the dozen: no cell is lost, none counted twice (``make test-faults``).

Each fault stands once in the other tests, on a stub; here it comes often, at random
moments, with training where it matters, and its figures go into ``results/faults.csv``.
"""

import errno
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from test_execution import ROOT, STUB, Events, cell, is_alive, pids, tables, wait_until

from dlclaims import cli, execution, pages, store
from dlclaims.errors import EnvironmentFault
from dlclaims.execution import local
from dlclaims.seeds import Seeds
from dlclaims.store import Store

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

CELLS = tuple(
    cell(level=level, seeds=(s, s + 1)) for level in (1, 2) for s in range(0, 120, 2)
)

RUN = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from test_faults import CELLS
from dlclaims import execution
from dlclaims.store import Store
def tell(kind, cell, seconds):
    if kind == "finished":
        print(cell.label, flush=True)
folder, root = map(Path, sys.argv[1:3])
print("begun", flush=True)
execution.run(CELLS, Store(root), folders=[folder], jobs=2, on_event=tell)
print("ended", flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the stub, whose cells take some milliseconds."""
    (tmp_path / "pages").mkdir()
    slow = STUB.replace(
        '    mode = variant["mode"]', '    time.sleep(0.02)\n    mode = variant["mode"]'
    )
    assert slow != STUB
    (tmp_path / "pages" / "stub.py").write_text(slow)
    return tmp_path / "pages"


@pytest.fixture
def whole(folder: Path, tmp_path: Path) -> list[bytes]:
    """The tables of an undisturbed run."""
    made = tables(
        execution.run(CELLS, Store(tmp_path / "whole"), folders=[folder], jobs=2)
    )
    (folder / "pids").unlink()
    return made


def begin(folder: Path, root: Path) -> subprocess.Popen[str]:
    where = [str(folder), str(root), str(ROOT), str(ROOT / "tests")]
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *where],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def finish(folder: Path, cells: Store, whole: list[bytes]) -> Counter[str]:
    """Complete a run; return how its cells came. Its tables are those of `whole`."""
    events = Events()
    done = execution.run(CELLS, cells, folders=[folder], jobs=2, on_event=events)
    assert done.failures == ()
    assert tables(done) == whole
    return Counter(kind for kind, _ in events)


def doubled(cells: Store) -> int:
    """How many cells are stored more than once."""
    found = Counter(record.cell for _, record in cells.items("stub"))
    return sum(number - 1 for number in found.values())


def test_fifty_kills_at_random_points(folder, whole, tmp_path, tally) -> None:
    chance = random.Random(0)
    kills = lost = twice = measured = 0
    for number in itertools.count():
        cells = Store(tmp_path / f"cells-{number}")
        for _ in range(60):
            with begin(folder, cells.root) as run:
                assert run.stdout.readline() == "begun\n"
                time.sleep(chance.uniform(0, 4))
                run.kill()
                told = run.stdout.read().splitlines()
            wait_until(lambda: not any(map(is_alive, pids(folder))))
            if "ended" in told:
                break
            kills += 1
            kept = {record.cell.label for _, record in cells.items("stub")}
            lost += len({*told} - kept)
            if kills == 50:
                break
        came = finish(folder, cells, whole)
        assert came["cached"] + came["finished"] == len(CELLS)
        twice += doubled(cells)
        measured = len(pids(folder)) - (number + 1) * len(CELLS)
        if kills == 50:
            break
    tally("run killed", kills, lost=lost, duplicated=twice, recomputed=measured)
    assert (lost, twice) == (0, 0)
    assert measured <= 2 * kills  # the cells in flight


def test_twenty_killed_workers(folder, whole, tmp_path, tally) -> None:
    cells, kills = Store(tmp_path / "cells"), []

    def kill(kind: str, *_: object) -> None:
        if kind == "finished" and len(kills) < 20:
            victim = pids(folder)[-1]
            if is_alive(victim) and victim not in kills:
                kills.append(victim)
                os.kill(victim, signal.SIGKILL)

    done = execution.run(CELLS, cells, folders=[folder], jobs=2, on_event=kill)
    again = len(pids(folder)) - len(CELLS)
    tally(
        "worker killed",
        len(kills),
        lost=len(done.failures),
        duplicated=doubled(cells),
        recomputed=again,
    )
    assert len(kills) == 20
    assert tables(done) == whole


def test_twenty_full_disks(folder, whole, tmp_path, tally, monkeypatch) -> None:
    lost = twice = again = 0
    link = os.link
    for full_at in range(1, 21):
        cells, calls = Store(tmp_path / f"cells-{full_at}"), []

        def fill(*paths: Path, calls=calls, full_at=full_at) -> None:
            calls.append(paths)
            if len(calls) >= full_at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(paths[1]))
            link(*paths)

        with monkeypatch.context() as patch:
            patch.setattr(store.os, "link", fill)
            with pytest.raises(EnvironmentFault, match="No space left") as told:
                execution.run(CELLS, cells, folders=[folder])
        assert str(cells.root) in str(told.value)
        assert told.value.exit_code == 3
        came = finish(folder, cells, whole)
        lost += full_at - 1 - came["cached"]
        twice += doubled(cells)
        again += 1
    tally("disk full", 20, lost=lost, duplicated=twice, recomputed=again)
    assert (lost, twice) == (0, 0)


def test_two_hundred_damaged_cells(folder, whole, tmp_path, tally) -> None:
    cells, chance = Store(tmp_path / "cells"), random.Random(1)
    execution.run(CELLS, cells, folders=[folder], jobs=2)
    detected = again = 0
    for _ in range(4):
        files = [file for file, _ in cells.items("stub")]
        for file in chance.sample(files, 50):
            whole_bytes = bytearray(file.read_bytes())
            place = chance.randrange(len(whole_bytes))
            match chance.randrange(4):
                case 0:
                    whole_bytes[place] ^= 1 << chance.randrange(8)
                case 1:
                    del whole_bytes[place:]
                case 2:
                    whole_bytes.insert(place, chance.randrange(256))
                case 3:
                    whole_bytes[:] = b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR."
            file.write_bytes(whole_bytes)
        came = finish(folder, cells, whole)
        detected += came["finished"]
        again += came["finished"]
    assert not (Path.cwd() / "pwned").exists()
    tally("cell damaged", 200, lost=200 - detected, recomputed=again)
    assert detected == 200


def test_cells_that_fail_in_every_way_fail_alone(folder, tmp_path, tally) -> None:
    modes = ("die", "no memory", "raise", "hang")
    asked = (*(cell(mode) for mode in modes), *CELLS[:20])
    cells = Store(tmp_path / "cells")
    done = execution.run(asked, cells, folders=[folder], jobs=2, time_limit=5)
    tally("cell fails", len(modes), lost=20 - len(done.records))
    assert {failure.cell for failure in done.failures} == {cell(m) for m in modes}
    assert len(done.records) == 20


def test_ten_interruptions_leave_no_process(folder, whole, tmp_path, tally) -> None:
    cells, chance, lost = Store(tmp_path / "cells"), random.Random(2), 0
    interrupted = 0
    while interrupted < 10:
        with begin(folder, cells.root) as run:
            assert run.stdout.readline() == "begun\n"
            time.sleep(chance.uniform(0.2, 2.5))
            run.send_signal(signal.SIGINT)
            told = run.stdout.read().splitlines()
        wait_until(lambda: not any(map(is_alive, pids(folder))))
        interrupted += 1
        kept = {record.cell.label for _, record in cells.items("stub")}
        lost += len({*told} - {"ended"} - kept)
    finish(folder, cells, whole)
    again = len(pids(folder)) - len(CELLS)
    tally("interrupted", 10, lost=lost, duplicated=doubled(cells), recomputed=again)
    assert lost == doubled(cells) == 0


def test_ten_second_runs_are_sent_away(folder, whole, tmp_path, tally) -> None:
    cells = Store(tmp_path / "cells")
    code = "import sys; from dlclaims import cli; cli.main(sys.argv[1:])"
    out = cells.root.parent
    with cells.hold():
        for _ in range(10):
            words = ["run", "stub", "--profile", "smoke", "--out", str(out), "--pages"]
            second = subprocess.run(
                [sys.executable, "-c", code, *words, str(folder)],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            assert second.returncode == 75
            assert str(os.getpid()) in second.stderr
    finish(folder, cells, whole)
    tally("second run", 10, duplicated=doubled(cells))


WRONG = [
    *(
        [command, "--nonsense"]
        for command in ("list", "show", "run", "report", "status")
    ),
    *([command, "--nonsense"] for command in ("doctor", "power", "calibrate", "clean")),
    *([name] for name in ("runn", "lst", "--version=3", "shw", "Run", "reprot")),
    *(["run", word] for word in ("vanishing-gradint", "vg-nothing", "", "..", "../x")),
    *(["run", word] for word in ("<script>", "=cmd()", "a b", "\u202e", "x" * 300)),
    *(
        ["show", word]
        for word in ("vanishing", "vg", "no-*-such", "[", "vg-exploding2")
    ),
    *(["power", word] for word in ("vanishing", "nope", "=1+1", "<b>")),
    *(["run", "--profile", word] for word in ("standart", "fast", "", "Full")),
    *(
        ["run", "--seeds", word]
        for word in ("0", "-1", "a", "5-2", "1.5", "3,4", "1e9")
    ),
    *(["run", "--jobs", word] for word in ("0", "-2", "many", "1.5")),
    *(["run", "--device", word] for word in ("cuda", "tpu", "")),
    *(["run", "--max-minutes", word] for word in ("0", "-1", "soon")),
    *(["run", "--executor", word] for word in ("daks", "slurm")),
    ["run", "--pages", "/no/such/folder"],
    ["calibrate", "--simulated", "3"],
    ["export"],
    ["show"],
]


def test_sixty_invalid_inputs(tally, capsys, tmp_path) -> None:
    assert len(WRONG) >= 60
    wrong = []
    for words in WRONG:
        has_out = words[0] in {"run", "show", "power", "calibrate"}
        code = cli.call([*words, *(["--out", str(tmp_path)] if has_out else [])])
        told = capsys.readouterr().err.splitlines()
        if code not in (2, 5) or not 1 <= len(told) <= 3:
            wrong.append((words, code, told))
    tally("invalid input", len(WRONG), lost=len(wrong))
    assert wrong == []


def test_networks_that_diverge_are_outcomes(tally) -> None:
    page = pages.load(
        "vanishing-gradient",
        pages.find([pages.built_in_folder()])["vanishing-gradient"],
    )
    study = page.study("training")
    variant = study.variants("smoke")[0]
    huge = pages.Variant(variant.factors, (1e38,))
    table = study.measure(huge, Seeds("faults", (10_000, 10_001, 10_002)))
    tally("loss is NaN", len(table), lost=int((table["status"] != "diverged").sum()))
    assert set(table["status"]) == {"diverged"}


def test_three_hundred_cells_need_little_memory(
    tmp_path, tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "CELLS_PER_WORKER", 1000)
    sizes: list[int] = []
    build = local.Worker.start

    def start(self, task) -> None:
        pages_held = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        sizes.append(pages_held * os.sysconf("SC_PAGE_SIZE"))
        build(self, task)

    monkeypatch.setattr(local.Worker, "start", start)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "tiny.py").write_text(TINY)
    page = pages.load("tiny", tmp_path / "pages" / "tiny.py")
    asked = [
        store.Cell("tiny", "tiny", "evaluation", variant.factors, (0.1,), (0, 1))
        for variant in page.studies[0].standard
    ]
    done = execution.run(asked, Store(tmp_path / "cells"), folders=[tmp_path / "pages"])
    assert done.failures == ()
    growth = max(sizes) - sizes[5]
    tally("300 cells, MB grown", growth // 10**6)
    assert growth <= 1e9


TINY = '''
"""Three hundred tiny networks."""

import numpy as np

from dlclaims import engine
from dlclaims.pages import Card, Page, Study, grid


def build(width):
    import keras

    x = inputs = keras.Input((4,))
    x = keras.layers.Dense(width, activation="tanh")(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x))


def loss(y, logits):
    import keras

    return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)


def optimizer():
    import keras

    return keras.optimizers.SGD()


def measure(variant, seeds):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 4)).astype("float32"), rng.integers(0, 2, 64)
    split = [np.tile(part, (len(seeds), 1)) for part in np.split(np.arange(64), 4)[:3]]
    recipe = engine.Recipe(loss=loss, optimizer=optimizer, steps=5, batch=8)
    runs = engine.train(
        lambda: build(variant["width"]),
        engine.Examples(x, y, *split),
        recipe,
        seeds=seeds,
        learning_rates=variant.learning_rates,
    )
    return runs.table()[["seed", "learning_rate", "step", "status"]]


GRID = grid(width=tuple(range(2, 302)))
PAGE = Page(
    studies=(Study("tiny", "Tiny", measure, standard=GRID, smoke=GRID[:2]),),
    claims=(),
    figures=(),
    card=Card("Why?", ("So.",), "Not always.", ()),
)
'''
