"""Shared by all tests: pinned threads, quiet TensorFlow, one hypothesis profile."""

import csv
import os
import signal
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

from dlclaims import assembly

# A shell's background ignores Ctrl-C, and what tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile(
    "dlclaims", database=None, deadline=None, derandomize=True, max_examples=50
)
settings.load_profile("dlclaims")

COUNTS = ("injections", "lost", "duplicated", "recomputed")

#: The rows of the table of faults, in its order.
FAULTS = (
    "run killed",
    "Ctrl-C",
    "worker killed",
    "cell kills its worker",
    "out of memory",
    "exception",
    "cell hangs",
    "loss is NaN",
    "disk full at write k",
    "disk full, small file system",
    "cell damaged",
    "second run on a folder",
    "broken page",
    "hostile name, value or file",
    "invalid input",
    "report of little",
    "Dask worker killed",
    "all Dask workers killed",
    "Dask scheduler killed",
    "training killed",
    "training diverges",
    "300 trainings in one worker",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--faults",
        type=Path,
        help="Write the table of faults here, when every row is there and no test"
        " has failed.",
    )


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Take down how often a fault was injected, and what became of the cells.

    Properties of a test come from the processes of `--numprocesses`, too.
    """

    def add(fault: str, injections: int, detail: str = "", **counts: int) -> None:
        assert fault in FAULTS
        found = {name: counts.get(name, 0) for name in COUNTS}
        found["injections"] = injections
        record_property(fault, {"fault": fault, **found, "detail": detail})

    return add


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
    exitstatus: pytest.ExitCode,
    config: pytest.Config,
) -> None:
    file = config.getoption("--faults")
    if not file:
        return
    found = {
        name: row
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, row in getattr(report, "user_properties", ())
    }
    rows = [found[name] for name in FAULTS if name in found]
    width = max(map(len, FAULTS))
    terminalreporter.section("faults")
    heads = "".join(f"{name:>11}" for name in COUNTS)
    terminalreporter.line(f"{'':{width}}{heads}  detail")
    for row in rows:
        counts = "".join(f"{row[name]:>11}" for name in COUNTS)
        terminalreporter.line(f"{row['fault']:{width}}{counts}  {row['detail']}")
    lacking = [name for name in FAULTS if name not in found]
    if lacking or exitstatus != pytest.ExitCode.OK:
        reason = f"without {', '.join(lacking)}" if lacking else "a test failed"
        terminalreporter.line(f"{file} is not written: {reason}")
        return
    where = {"commit": assembly.commit(), "device": assembly.device_name()}
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(
            stream, ("fault", *COUNTS, "detail", *where), lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows({**row, **where} for row in rows)
    terminalreporter.line(f"written to {file}")
