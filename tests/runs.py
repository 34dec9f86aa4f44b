"""Runs of the command line, each a process that can be killed; and a page for them.

Every run is forked from one process that has imported everything and rendered a report
without pages, so that dozens of them cost no imports. Its workers start as always.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from dlclaims.store import Store

ROOT = Path(__file__).resolve().parent.parent
TABLES = ("outcomes.csv", "variants.csv", "theory.csv", "verdicts.json", "curve.csv")

#: Each cell says that it is measured, and does what a file of its name tells it to.
PAGE = '''
"""Cells that meet faults."""

import os
import signal
import time
from pathlib import Path

from dlclaims.claims import Assertion, Claim, Criterion, Mean, Region, Value
from dlclaims.pages import Card, Figure, Page, Study, grid, tidy

HERE = Path(<HERE>)


def measure(variant, seeds):
    first = min(seeds)
    label = f"faulty/study/{variant.name}/evaluation {first}-{max(seeds)}"
    with (HERE / "measured").open("a") as log:
        log.write(f"{os.getpid()} {label}\\n")
    time.sleep(0.02)
    order = HERE / f"fault-{variant.name}-{first}"
    fault = order.read_text() if order.exists() else ""
    if fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "raise":
        raise ValueError("what a page says")
    if fault == "memory":
        bytearray(1 << 60)
    while fault == "hang" and order.exists():
        time.sleep(0.01)
    return draw_numbers(seeds, diverges=fault == "diverge")


def draw_numbers(seeds, diverges):
    values = [seeds.generator(s, "noise").standard_normal() for s in seeds]
    if diverges:
        return tidy({"seed": list(seeds)}, value=float("nan"), status="diverged")
    return tidy({"seed": list(seeds)}, value=values, status="ok")


def draw(table, ax):
    ax.plot(table["seed"], table["value"])


def near(name, region):
    effect = Mean(Value("value"), {"level": 1})
    return Criterion(name, "study", effect, region, "units", "is", "noise", "a shift")


GRID = grid(level=(1, 2, 3, 4, 5, 6))
PAGE = Page(
    studies=(
        Study("study", "A study", measure, standard=GRID, smoke=GRID, block=2),
    ),
    claims=(
        Claim(
            "faulty-mean",
            ("difference",),
            document=None,
            corrected=Assertion(
                "Noise is near zero.", (near("mean", Region(-2, 2)),), "supported"
            ),
        ),
    ),
    figures=(Figure("curve", "study", "Values", draw, "Dots are seeds."),),
    card=Card("Is it?", ("Yes: {faulty-mean/mean} units.",), "Here.", ("faulty-mean",)),
)
'''

#: The same page, whose values are losses of networks that are trained.
TRAINED = (
    PAGE.replace("level=(1, 2, 3, 4, 5, 6)", "level=(1, 2)").replace(
        "draw_numbers(seeds, diverges", "train(variant, seeds, diverges"
    )
    + """

import numpy as np

from dlclaims import engine


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


def train(variant, seeds, diverges):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 4)).astype("float32"), rng.integers(0, 2, 64)
    split = [np.tile(part, (len(seeds), 1)) for part in np.split(np.arange(64), 4)[:3]]
    runs = engine.train(
        lambda: build(variant["level"]),
        engine.Examples(x, y, *split),
        engine.Recipe(loss=loss, optimizer=optimizer, steps=5, batch=8),
        seeds=seeds,
        learning_rates=(1e38 if diverges else 0.1,),
    )
    table = runs.table()
    last = table[table["step"] == table["step"].max()]
    return last[["seed", "status"]].assign(value=last["loss"])
"""
)

#: Starts and awaits runs, one JSON request and one answer a line.
SERVER = """
import json, os, signal, sys
from pathlib import Path
import matplotlib.backends.backend_svg, scipy.stats
from dlclaims import assembly, cli, execution, pages, sensitivity, suite, survey
from dlclaims.cli import progress
from dlclaims.figures import picture
empty = Path(sys.argv[1])
pages.built_in_folder = lambda: empty / "pages"  # a test has pages of its own
suite.write_report(empty / "out", suite.design().shelf)
signal.signal(signal.SIGINT, signal.default_int_handler)  # also in the background
print("ready", flush=True)
while request := sys.stdin.readline():
    match json.loads(request):
        case "start", words, told:
            answer = os.fork()
            if not answer:
                for file, number in ((os.devnull, 0), (told, 1), (told, 2)):
                    how = os.O_RDWR | os.O_CREAT | os.O_APPEND
                    os.dup2(os.open(file, how), number)
                cli.main(words)
        case "look", pid:
            ended, status = os.waitpid(pid, os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
    print(json.dumps(answer), flush=True)
"""


class Server:
    """The process from which runs are forked; used as a context."""

    def __init__(self, *prefix: str) -> None:
        self._empty = tempfile.TemporaryDirectory()
        (Path(self._empty.name) / "pages").mkdir()
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-c", SERVER, self._empty.name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._process.stdout.readline()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._empty.cleanup()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, *request: object) -> int | None:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class Run:
    """A command that runs, and what it has told so far."""

    def __init__(self, server: Server, told: Path, *words: str):
        self._server, self._told = server, told
        self._code: int | None = None
        told.write_text("")
        self.pid = server.ask("start", words, str(told))

    @property
    def is_alive(self) -> bool:
        if self._code is None:
            self._code = self._server.ask("look", self.pid)
        return self._code is None

    @property
    def text(self) -> str:
        return self._told.read_text()

    def labels(self, kind: str) -> list[str]:
        """The cells that it has told to be ``finished``, ``cached`` and so on."""
        lines = (line.partition(" ") for line in self.text.splitlines())
        return [rest.rpartition(", ")[0] for first, _, rest in lines if first == kind]

    def wait(self) -> int:
        wait_until(lambda: not self.is_alive)
        return self._code

    def wait_for(self, happens: Callable[[], bool]) -> bool:
        """Wait until something happens or the run ends; return whether it runs."""
        wait_until(lambda: not self.is_alive or happens())
        return self.is_alive

    def signal(self, number: int) -> int:
        os.kill(self.pid, number)
        return self.wait()


def wait_until(happens: Callable[[], bool], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.002)


class Folder:
    """A folder with the page, the faults of its cells, and who measured which."""

    def __init__(self, path: Path, text: str = PAGE):
        self.path = path
        path.mkdir(exist_ok=True)
        (path / "faulty.py").write_text(text.replace("<HERE>", repr(str(path))))

    @property
    def _log(self) -> list[tuple[int, str]]:
        log = self.path / "measured"
        lines = log.read_text().splitlines() if log.exists() else ()
        pairs = (line.split(" ", 1) for line in lines)
        return [(int(pid), label) for pid, label in pairs]

    @property
    def measured(self) -> Counter[str]:
        """How often each cell's measure was called."""
        return Counter(label for _, label in self._log)

    @property
    def workers(self) -> list[int]:
        return [pid for pid, _ in self._log]

    @property
    def has_workers(self) -> bool:
        return any(map(is_alive, self.workers))

    def fault(self, kind: str, level: int, first: int) -> str:
        """Let a cell meet a fault; return its label."""
        (self.path / f"fault-{level}-{first}").write_text(kind)
        return f"faulty/study/{level}/evaluation {first}-{first + 1}"

    def clear(self) -> None:
        """No more faults, and nothing measured yet."""
        for file in (*self.path.glob("fault-*"), self.path / "measured"):
            file.unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def stored(out: Path) -> set[str]:
    """The labels of the cells in the store."""
    return {record.cell.label for _, record in Store(out / "cells").items("faulty")}


def tables(out: Path) -> dict[str, bytes]:
    """The bytes of the page's tables and verdicts."""
    return {name: (out / "faulty" / name).read_bytes() for name in TABLES}


def repeated_rows(out: Path) -> int:
    """How many rows of the outcomes stand there once more."""
    rows = (out / "faulty" / "outcomes.csv").read_text().splitlines()
    return len(rows) - len({*rows})
