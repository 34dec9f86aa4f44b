"""Where programs run: each worker sees one card, and trains on what it sees.

No GPU is needed: cards are stand-ins, and TensorFlow splits a processor into devices.
"""

import json
import os
import platform
import queue
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dlclaims import assembly
from dlclaims.errors import EnvironmentFault
from dlclaims.execution import capacity, context, local
from dlclaims.execution.local import Pool, Task
from dlclaims.plan import Cell

ROOT = Path(__file__).resolve().parent.parent


# Which cards there are.


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, str]]:
    """A machine that shows a GPU, and on which each probe counts two cards."""
    found: list[dict[str, str]] = []

    def probe(_: list[str], env: dict[str, str], **__: Any) -> Any:
        found.append(env)
        return SimpleNamespace(returncode=0, stdout="2\n")

    monkeypatch.setattr(context, "GPU_NODES", ("null",))
    monkeypatch.setattr(context.subprocess, "run", probe)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    context._count_cards.cache_clear()
    yield found
    context._count_cards.cache_clear()


@pytest.mark.parametrize(
    ("visible", "cards"),
    [
        (None, ("0", "1")),
        ("3,1", ("3", "1")),
        ("GPU-a, GPU-b", ("GPU-a", "GPU-b")),
        ("5,4,-1,3", ("5", "4")),  # CUDA stops at the first that is none
    ],
)
def test_cards_are_those_that_the_user_leaves_visible(
    probes: list[dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    visible: str | None,
    cards: tuple[str, ...],
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert context.cards() == cards
    assert context.slots("auto") == context.slots("gpu") == cards
    assert [probe.get("CUDA_VISIBLE_DEVICES") for probe in probes] == [visible]


def test_each_backend_counts_its_own_cards_and_does_so_once(
    probes: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tensorflow", "jax", "jax", "tensorflow"):
        monkeypatch.setenv("KERAS_BACKEND", name)
        assert context.resolve_device("auto") == "gpu"
    assert [probe["KERAS_BACKEND"] for probe in probes] == ["tensorflow", "jax"]


def test_no_card_is_looked_for_where_none_is_wanted_or_shown(
    probes: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "workers", lambda: 3)
    assert context.slots("cpu") == ("-1",) * 3
    monkeypatch.setattr(context, "GPU_NODES", ())
    assert context.slots("auto") == ("-1",) * 3
    with pytest.raises(EnvironmentFault, match="shows no GPU"):
        context.slots("gpu")
    assert probes == []


# For how many workers there is room.


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, str]], int]:
    """Return how many workers a machine of 8 processors carries, given its files."""
    monkeypatch.setattr(capacity, "PROC", tmp_path / "proc")
    monkeypatch.setattr(capacity, "CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))

    def workers(files: dict[str, str]) -> int:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return capacity.workers()

    return workers


GIB = 2**30
PLENTY = {"proc/meminfo": "MemTotal: 1 kB\nMemAvailable:   99999999 kB\n"}


@pytest.mark.parametrize(
    ("files", "number"),
    [
        ({}, 8),
        (PLENTY, 8),
        ({"proc/meminfo": f"MemAvailable: {4 * GIB // 1024} kB\n"}, 2),
        ({"proc/meminfo": "MemAvailable: 1024 kB\n"}, 1),
        (PLENTY | {"cgroup/cpu.max": "150000 100000\n"}, 2),
        (PLENTY | {"cgroup/cpu.max": "max 100000\n"}, 8),
        (PLENTY | {"cgroup/a/b/cpu.max": "300000 100000\n"}, 3),
        (PLENTY | {"cgroup/a/cpu.max": "300000 100000\n"}, 3),
        (PLENTY | {"cgroup/c/cpu.max": "300000 100000\n"}, 8),  # another group
        (
            PLENTY
            | {
                "cgroup/a/memory.max": f"{6 * GIB}\n",
                "cgroup/a/memory.current": f"{4 * GIB}\n",
                "cgroup/a/memory.stat": f"anon 1\ninactive_file {2 * GIB}\n",
            },
            2,
        ),
        (PLENTY | {"cgroup/memory.max": "max\n", "cgroup/memory.current": "9\n"}, 8),
    ],
)
def test_workers_are_as_many_as_processors_and_memory_carry(
    machine: Callable[[dict[str, str]], int], files: dict[str, str], number: int
) -> None:
    assert machine({"proc/self/cgroup": "1:cpu:/x\n0::/a/b\n"} | files) == number


# Which worker sees which card.


class StandIn:
    """A worker that starts no process and does each task at once, or dies of it."""

    def __init__(self, device: str, card: str, inbox: queue.SimpleQueue[Any]):
        self.device, self.card, self.inbox = device, card, inbox
        self.task: Task | None = None
        self.since, self.cells = 0.0, 0
        self.is_ready, self.is_spent = False, False
        self.programs: set[Any] = set()
        made.append(self)
        inbox.put((self, {"kind": "ready"}))

    @property
    def is_idle(self) -> bool:
        return self.is_ready and self.task is None

    def start(self, task: Task) -> None:
        self.task = task
        if dict(task.cell.factors)["dies"]:
            died.append(self)
            self.inbox.put((self, None))
        else:
            self.inbox.put((self, {"kind": "failed", "message": "", "trace": ""}))

    def end(self) -> str:
        return "SIGKILL"


@pytest.fixture(autouse=True)
def locks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of locks of a machine of this test's own."""
    monkeypatch.setattr(local, "CARDS", tmp_path / "cards")
    return tmp_path / "cards"


made: list[StandIn] = []
died: list[StandIn] = []


def cards_of(
    monkeypatch: pytest.MonkeyPatch, jobs: int, cards: tuple[str, ...], dies: list[bool]
) -> list[str]:
    """Return the cards of all workers that a pool starts for tasks, in order."""
    made.clear()
    died.clear()
    monkeypatch.setattr(local, "Worker", StandIn)
    with Pool(jobs, "gpu", cards) as pool:
        for number, does in enumerate(dies):
            factors = (("dies", does), ("number", number))
            cell = Cell("page", "study", "evaluation", factors, (), (0,))
            pool.submit(Task(cell, Path("page.py")))
        assert {outcome.kind for outcome in pool.outcomes()} >= {"started", "failed"}
    return [worker.card for worker in made]


@pytest.mark.parametrize(
    ("jobs", "cards", "expected"),
    [
        (2, ("0", "1"), ["0", "1"]),
        (1, ("0", "1"), ["0"]),
        (5, ("2", "7"), ["2", "7", "2", "7", "2"]),
        (3, ("GPU-a",), ["GPU-a"] * 3),
    ],
)
def test_workers_take_the_cards_in_turn(
    monkeypatch: pytest.MonkeyPatch,
    jobs: int,
    cards: tuple[str, ...],
    expected: list[str],
) -> None:
    assert cards_of(monkeypatch, jobs, cards, [False] * 8) == expected


def test_a_worker_takes_the_card_of_the_one_that_it_replaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dies = [False, True, False, False, False, False]
    cards = cards_of(monkeypatch, 2, ("0", "1"), dies)
    assert [worker.card for worker in died] == ["1", "0"]  # the second time, alone
    assert cards[:3] == ["0", "1", "1"]


def test_workers_of_all_threads_and_processes_share_the_cards(locks: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from dlclaims.execution import local;"
        "local.CARDS = Path(sys.argv[1]); card, lock = local.allot(('0', '1'));"
        "print(card, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(locks)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "0\n"
        taken: list[Any] = []
        for _ in range(2):
            thread = threading.Thread(
                target=lambda: taken.append(local.allot(("0", "1")))
            )
            thread.start()
            thread.join()
        assert [card for card, _ in taken] == ["1", "0"]  # then two share one
        other.communicate("\n")
    assert local.allot(("0", "1"))[0] == "0"  # what a process held goes with it
    assert local.allot(("-1",) * 2) == ("-1", None)


def test_a_worker_sees_its_card_and_no_worker_on_a_cpu_sees_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    monkeypatch.setenv("XLA_FLAGS", "--mine")
    on_card, on_cpu = local.environment("gpu", "5"), local.environment("cpu")
    assert on_card["CUDA_VISIBLE_DEVICES"] == "5"
    assert on_card["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert on_card["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert on_card["XLA_FLAGS"].split() == [
        "--mine",
        "--xla_gpu_deterministic_ops=true",
    ]
    assert on_cpu["CUDA_VISIBLE_DEVICES"] == "-1"
    assert on_cpu["JAX_PLATFORMS"] == "cpu"
    assert on_cpu["XLA_FLAGS"] == "--mine"
    assert "JAX_PLATFORMS" not in {*on_card} - {*os.environ}


def test_results_name_the_card_that_trained_or_else_the_processor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(assembly, "PROC", tmp_path)
    assert assembly.device_name("gpu") == "gpu"
    assert assembly.device_name("cpu") == platform.machine()
    card = tmp_path / "driver" / "nvidia" / "gpus" / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t NVIDIA A\nIRQ:   \t 16\n")
    (tmp_path / "cpuinfo").write_text("model\t: 17\nmodel name\t: Zen\n")
    assert assembly.device_name("gpu") == "NVIDIA A"
    assert assembly.device_name("cpu") == "Zen"


# Where the engine's tensors are.


def write_placements() -> None:
    """Write, for each of two devices, what was trained there and where tensors lay."""

    import keras
    import numpy as np
    import tensorflow as tf

    from dlclaims import engine, seeds
    from dlclaims.engine import backends, cache

    [cpu] = tf.config.list_physical_devices("CPU")
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)
    backend = backends.load()
    tensor, compiled = backend.tensor, backend.compile
    places: Counter[str] = Counter()

    def look(values: Any) -> Any:
        places.update(each.device[-5:] for each in tf.nest.flatten(values))
        return values

    def compile_and_look(*arguments: Any) -> Any:
        call = compiled(*arguments)
        return lambda *given: look(call(*given))

    backend.tensor = lambda array: look(tensor(array))
    backend.compile = compile_and_look

    def build() -> keras.Model:
        inputs = keras.Input((6,))
        x = keras.layers.Dense(8, "relu")(inputs)
        return keras.Model(inputs, keras.layers.Dense(2)(x))

    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((40, 6)), draw.standard_normal((40, 2))
    rows = np.arange(40).reshape(2, 20)
    examples = engine.Examples(x, y, rows, rows[:, :0], rows[::-1])
    recipe = engine.Recipe("mse", keras.optimizers.Adam, 5, 4, metrics=())
    own = seeds.Seeds("tests/devices", (0, 1))
    on_thread = threading.Thread.run
    found = []
    for xla, number in ((False, 1), (False, 2), (True, 1)):
        settings = engine.Numerics(xla=xla, replicas_per_call=number)
        for device in ("CPU:0", "CPU:1"):

            def start(thread: threading.Thread, device: str = device) -> None:
                with tf.device(device):  # a scope reaches its own thread only
                    on_thread(thread)

            threading.Thread.run = start
            cache._programs.clear()
            places.clear()
            with tf.device(device):
                runs = engine.train(build, examples, recipe, own, [0.1], settings)
                values = look([v.value for v in runs.replica(1).variables])
            bits = b"".join(v.numpy().tobytes() for v in values)
            found.append([xla, number, device, sorted(places), bits.hex()])
    sys.stdout.write(json.dumps(found))


def test_the_engine_trains_on_the_device_that_it_is_given_to_the_same_bits() -> None:
    """It names no device itself: what a process sees first is where all of it lies."""
    code = "import sys; sys.path[:0] = sys.argv[1:]; import test_devices as t;"
    done = subprocess.run(
        [sys.executable, "-c", f"{code} t.write_placements()", ROOT, ROOT / "tests"],
        env={**local.environment("cpu"), "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    bits: dict[tuple[bool, int], set[str]] = {}
    for xla, number, device, places, trained in json.loads(done.stdout):
        assert places == [device]
        bits.setdefault((xla, number), set()).add(trained)
    assert [len(each) for each in bits.values()] == [1, 1, 1]
