"""Processes: each contender trains in its own, under a time limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import Contender, Outcome

ROOT = Path(__file__).resolve().parent.parent


class Missed(Exception):
    """A training without a result; says why."""


class Exceeded(Missed):
    """A training that was stopped at the time limit."""


def run(
    contender: Contender, workload: str, seeds: Sequence[int], steps: int, limit: float
) -> Outcome:
    """Train in a new process, or in as many as the contender has.

    They import first and start together; importing does not count, and memory is
    the sum over them.

    Parameters
    ----------
    limit : float
        Seconds from the start.

    Raises
    ------
    Missed
        What it needs is not installed, it cannot train this, or it takes too long.
    """
    if not contender.is_installed:
        raise Missed(f"{contender.needs} is not installed")
    parts = [seeds[part :: contender.processes] for part in range(contender.processes)]
    started = [start(contender, workload, part, steps) for part in parts if part]
    try:
        for process in started:
            if process.stdout.readline() != "ready\n":
                raise Missed("its process ended before the start")
        for process in started:
            process.stdin.write("go\n")
            process.stdin.flush()
        deadline = time.monotonic() + limit
        outcomes = [finish(process, deadline, limit) for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()
    compiling = [outcome.compile_seconds for outcome in outcomes]
    return Outcome(
        max(outcome.total_seconds for outcome in outcomes),
        None if None in compiling else max(compiling),
        sum(outcome.peak_mb for outcome in outcomes),
        tuple(loss for outcome in outcomes for loss in outcome.losses),
    )


def start(
    contender: Contender, workload: str, seeds: Sequence[int], steps: int
) -> subprocess.Popen[str]:
    job = {
        "contender": contender.name,
        "workload": workload,
        "seeds": list(seeds),
        "steps": steps,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.worker", json.dumps(job)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # TensorFlow's log; a failure comes as a result
        text=True,
        cwd=ROOT,
        env={
            **os.environ,
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **dict(contender.environment),
        },
    )


def finish(process: subprocess.Popen[str], deadline: float, limit: float) -> Outcome:
    left = max(deadline - time.monotonic(), 0.1)
    try:
        text, _ = process.communicate(timeout=left)
    except subprocess.TimeoutExpired:
        raise Exceeded(f"over {limit:g} s") from None
    lines = text.splitlines()
    if process.returncode or not lines:
        raise Missed(f"its process ended with {process.returncode}")
    result = json.loads(lines[-1])
    if "failure" in result:
        raise Missed(result["failure"])
    return Outcome(**result)
