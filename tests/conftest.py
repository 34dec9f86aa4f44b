"""Shared by all tests: pinned threads, quiet TensorFlow, one hypothesis profile."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

# Before anything imports TensorFlow or matplotlib. One thread, because results must not
# depend on how many tests run beside each other.
os.environ.update(
    KERAS_BACKEND="tensorflow",
    MPLBACKEND="agg",
    OMP_NUM_THREADS="1",
    TF_CPP_MIN_LOG_LEVEL="3",
    TF_NUM_INTEROP_THREADS="1",
    TF_NUM_INTRAOP_THREADS="1",
)

import pytest
from hypothesis import settings

settings.register_profile(
    "dlclaims", database=None, deadline=None, derandomize=True, max_examples=50
)
settings.load_profile("dlclaims")

TALLY = pytest.StashKey[list[dict[str, object]]]()
COUNTS = ("injections", "lost", "duplicated", "recomputed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", type=Path, help="Write the tally of faults here.")


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Take down how often a fault was injected, and what became of the cells."""

    def add(fault: str, injections: int, **counts: int) -> None:
        row = {"fault": fault, "injections": injections, **counts}
        request.config.stash.setdefault(TALLY, []).append(
            {name: row.get(name, 0) for name in ("fault", *COUNTS)}
        )

    return add


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    rows = config.stash.get(TALLY, [])
    file = config.getoption("--faults")
    if not (rows and file):
        return
    width = max(len(str(row["fault"])) for row in rows)
    terminalreporter.section("faults")
    terminalreporter.line(" " * width + "".join(f"{name:>12}" for name in COUNTS))
    for row in rows:
        counts = "".join(f"{row[name]:>12}" for name in COUNTS)
        terminalreporter.line(f"{row['fault']:{width}}{counts}")
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, ("fault", *COUNTS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    terminalreporter.line(f"written to {file}")
