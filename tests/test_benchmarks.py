"""The benchmark: every contender does the same work, and the table follows from it."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import launch, machine
from benchmarks.__main__ import main
from benchmarks.contenders import CONTENDERS, FIT, JAX, OURS, Outcome
from benchmarks.results import COLUMNS, Row, Table
from benchmarks.workloads import WORKLOADS, Job, Transformer, named

ROOT = Path(__file__).resolve().parent.parent
W0 = WORKLOADS["W0"]
JOB = Job(W0, seeds=(0, 1), steps=3)
PLACES = {"Dense": 1, "Recurrent": 100, "Residual": 64, "Transformer": 32}

NEAR = 2e-5  # float32, three steps of Adam

needs_jax = pytest.mark.skipif(
    not importlib.util.find_spec("jax"), reason="JAX is not installed"
)
needs_torch = pytest.mark.skipif(
    not importlib.util.find_spec("torch"), reason="PyTorch is not installed"
)


def told(function: str, *arguments: str, backend: str = "tensorflow") -> Any:
    """Return what a function of this file writes, in a process of its own.

    TensorFlow and PyTorch do not bear each other in one process.
    """
    code = (
        "import sys; sys.path[:0] = sys.argv[1:3]; import test_benchmarks;"
        "getattr(test_benchmarks, sys.argv[3])(*sys.argv[4:])"
    )
    folders = str(ROOT), str(ROOT / "tests")
    done = subprocess.run(
        [sys.executable, "-c", code, *folders, function, *arguments],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def write_losses(file: str, *names: str) -> None:
    """Write where contenders end who begin with the engine's weights, kept in a file.

    The engine comes first among the names: it pins the threads, and makes the file.
    """
    loaded = {name: CONTENDERS[name].load() for name in names}
    if not Path(file).exists():
        from dlclaims import engine

        initial = engine.initialize(W0.net.build, JOB.streams).values
        np.savez(file, *initial)
    with np.load(file) as kept:
        job = replace(JOB, initial=tuple(kept.values()))
    ends = {name: train(job).losses for name, train in loaded.items()}
    sys.stdout.write(json.dumps(ends))


def write_parameters() -> None:
    """Write the number of trained parameters of each workload's PyTorch module."""
    from benchmarks.peers import torch

    modules = {name: torch.built(Job(w, (0,), 1), 0) for name, w in WORKLOADS.items()}
    counts = {
        name: sum(parameter.numel() for parameter in module.parameters())
        for name, module in modules.items()
    }
    sys.stdout.write(json.dumps(counts))


@pytest.fixture(scope="module")
def initial(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("benchmarks") / "initial.npz")


@pytest.fixture(scope="module")
def ours(initial) -> list[float]:
    """Return the engine's losses, to which a loop of `fit` must come as well."""
    found = told("write_losses", initial, OURS, FIT, "keras.fit, one model")
    reached = found[OURS]
    assert abs(reached[0] - reached[1]) > 1e-2
    assert all(losses == pytest.approx(reached, abs=NEAR) for losses in found.values())
    return reached


@needs_torch
def test_torch_reaches_the_losses_of_the_engine(ours, initial):
    found = told("write_losses", initial, "torch eager", "torch.func")
    assert found["torch eager"] == pytest.approx(ours, abs=NEAR)
    assert found["torch.func"] == pytest.approx(ours, abs=NEAR)


@needs_jax
def test_jax_reaches_the_losses_of_the_engine(ours, initial):
    names = ("dlclaims on JAX", *JAX)
    found = told("write_losses", initial, *names, backend="jax")
    for name in names:
        assert found[name] == pytest.approx(ours, abs=NEAR), name


@pytest.mark.parametrize("name", WORKLOADS)
def test_work_is_what_the_weights_of_the_model_multiply(name):
    net = WORKLOADS[name].net
    model = net.build()
    head = model.layers[-1].kernel
    matrices = [w for w in model.weights if len(w.shape) > 1 and w is not head]
    # Attention's kernels have an axis for the heads, and no bias of theirs is counted.
    matrices = [w for w in matrices if w.path.endswith("kernel")]
    places = PLACES[type(net).__name__]
    expected = places * sum(w.numpy().size for w in matrices) + head.numpy().size
    if isinstance(net, Transformer):
        expected += net.blocks * 2 * 32 * 32 * 32  # queries with keys, then values
    assert net.multiply_accumulates == expected


@pytest.mark.parametrize(
    ("name", "work"),
    [
        ("W0", 3 * 2 * 32 * (64 * 16 + 4 * 16 * 16 + 16 * 10)),
        ("W1", 3 * 2 * 128 * (20 * 64 * 64 + 64 * 10)),
        ("W1/128", 3 * 2 * 128 * (64 * 128 + 19 * 128 * 128 + 128 * 10)),
        ("W2l", 3 * 2 * 64 * (100 * 66 * 256 + 64)),
        ("W3", 3 * 2 * 64 * (64 * 9 * (16 + 7 * 16 * 16) + 160)),
    ],
)
def test_work_of_a_step(name, work):
    assert named(name).step_work == work


@needs_torch
def test_torch_has_the_layers_of_keras():
    models = {name: workload.net.build() for name, workload in WORKLOADS.items()}
    expected = {
        name: sum(weight.numpy().size for weight in model.trainable_weights)
        for name, model in models.items()
    }
    expected["W2s"] += 64  # PyTorch's cells add two biases where Keras' have one
    expected["W2l"] += 4 * 64
    assert told("write_parameters") == expected


def table() -> Table:
    given = Table(peak_gflops=100.0)
    long = 10 * W0.steps
    given.rows += [
        Row("W0", FIT, 16, W0.steps, 32.0, 24.0, 900.0),
        Row("W0", OURS, 16, W0.steps, 0.5, 0.25, 700.0),
        Row("W0", FIT, 2, long, 8.0, 3.0, 900.0),
        Row("W0", OURS, 16, long, 4.0, None, 700.0),
        Row("W0", "JAX vmap", 16, W0.steps),
    ]
    return given


def test_the_ratio_compares_seconds_of_a_replica_at_the_same_steps():
    given = table()
    ratios = [given.record(row)["ratio_to_fit"] for row in given.rows]
    assert ratios == [1.0, 64.0, 1.0, 16.0, None]


def test_the_rate_is_the_work_of_the_workload_in_the_whole_time():
    given = table()
    record = given.record(given.rows[1])
    assert record["gflops"] == pytest.approx(423_936 * 300 * 16 / 0.5e9)
    assert record["peak_share"] == pytest.approx(record["gflops"] / 100)


def test_the_file_has_the_columns_and_an_empty_time_for_what_took_too_long(tmp_path):
    table().write(tmp_path / "engine.csv")
    lines = list(csv.reader((tmp_path / "engine.csv").read_text().splitlines()))
    assert ",".join(lines[0]) == (
        "workload,contender,replicas,steps,total_seconds,ratio_to_fit,gflops,"
        "peak_share,compile_seconds,peak_mb"
    )
    assert lines[0] == list(COLUMNS)
    assert lines[2][:6] == ["W0", "dlclaims", "16", "300", "0.5", "64"]
    assert lines[5] == ["W0", "JAX vmap", "16", "300", "", "", "", "", "", ""]


def test_the_summary_ranks_what_was_measured():
    given = table()
    given.rows.append(Row("W0", "torch eager", 16, W0.steps, 0.3, 0.06, 700.0))
    line = list(given.summary())[-1].removeprefix("W0 5 dense of 16")
    assert line.split() == [
        "55x",
        "64x",
        "0.5",
        "0.3",
        "-",
        "2",
        "of",
        "2",
        "2",
        "of",
        "2",
    ]


def test_batches_are_shuffled_epochs_that_do_not_depend_on_other_seeds():
    job = Job(WORKLOADS["W1"], (4, 9), 25)
    assert job.order.shape == (2, 25, 128)
    for rows in job.order[:, :20].reshape(4, 1280):
        assert sorted(rows) == list(range(1280))
    assert (Job(WORKLOADS["W1"], (9,), 25).order == job.order[1:]).all()


def test_the_adding_problem_is_the_sum_of_two_marked_values():
    x, y = WORKLOADS["W2s"].net.examples()
    assert (x[:, :50, 1].sum(1) == 1).all()
    assert (x[:, 50:, 1].sum(1) == 1).all()
    assert y[:, 0] == pytest.approx((x[..., 0] * x[..., 1]).sum(1))


def test_what_is_not_installed_is_said():
    absent = replace(CONTENDERS[OURS], needs="no_such_library")
    with pytest.raises(launch.Missed, match="no_such_library is not installed"):
        launch.run(absent, "W0", (0,), 1, limit=1)


UNABLE = """print('ready', flush=True); input(); print('{"failure": "no rule"}')"""


def stub(program: str, started: list[subprocess.Popen[str]]) -> Any:
    """Return a stand-in for `launch.start` whose process runs a line of Python."""

    def start(*_: Any) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen([sys.executable, "-c", program], **pipes))
        return started[-1]

    return start


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("print('ready', flush=True); import time; time.sleep(99)", r"over 0\.2 s"),
        (UNABLE, "no rule"),
        ("print('ready', flush=True); input(); exit(9)", "ended with 9"),
        ("exit(1)", "ended before the start"),
    ],
    ids=["slow", "unable", "dead", "stillborn"],
)
def test_a_training_without_result_says_why_and_leaves_no_process(
    program, reason, monkeypatch
):
    started: list[subprocess.Popen[str]] = []
    monkeypatch.setattr(launch, "start", stub(program, started))
    limit = 0.2 if "sleep" in program else 30
    twice = CONTENDERS["keras.fit, 2 processes"]
    with pytest.raises(launch.Missed, match=reason) as error:
        launch.run(twice, "W0", (0, 1), 1, limit)
    assert isinstance(error.value, launch.Exceeded) == ("sleep" in program)
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)


def test_processes_share_the_seeds_and_start_together(tmp_path, monkeypatch):
    outcome = Outcome(2.0, 0.5, 400.0, (1.0,))
    program = (
        f"print('ready', flush=True); input(); print({json.dumps(vars(outcome))!r})"
    )
    started: list[subprocess.Popen[str]] = []
    monkeypatch.setattr(launch, "start", stub(program, started))
    monkeypatch.setattr(machine, "matrix_peak", lambda: 100.0)
    arguments = ["--quick", "-w", "W0", "-c", "keras.fit, 2 processes"]
    done = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert len(started) == 2
    (row,) = csv.reader((tmp_path / "engine.csv").read_text().splitlines()[1:])
    rate = 423_936 * 10 * 2 / 2.0 / 1e9
    assert row == [
        *("W0", "keras.fit, 2 processes", "2", "10", "2", ""),
        *(f"{rate:.4g}", f"{rate / 100:.4g}", "0.5", "800"),
    ]
    facts = json.loads((tmp_path / "machine.json").read_text())
    assert facts["cores"] == len(os.sched_getaffinity(0))
    assert facts["matrix_peak_gflops"] == 100.0


def test_a_process_of_its_own_reaches_the_same_losses(ours):
    outcome = launch.run(CONTENDERS[OURS], "W0", JOB.seeds, JOB.steps, limit=60)
    assert outcome.losses == pytest.approx(ours, abs=NEAR)
    assert 0 < outcome.compile_seconds <= outcome.total_seconds
    assert outcome.peak_mb > 100
