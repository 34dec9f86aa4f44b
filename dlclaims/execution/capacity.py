"""How many workers this process may have: processors, memory, and limits on both."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

#: Where Linux tells of memory, and of the limits on a group of processes.
PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")

#: What a worker may hold: 0.9 GiB with a backend and the models of a page, and as much
#: again for a large data set or network. One with more is replaced after its cell.
WORKER_BYTES = 1.8 * 2**30


def workers() -> int:
    """Return for how many workers there is room, at least 1.

    One for each processor that this process may use, as far as memory goes that is free
    now. Both may be limited by a container (cgroup 2).
    """
    cores = min([float(len(os.sched_getaffinity(0))), *_processors()])
    return max(1, int(min(math.ceil(cores), free_bytes() / WORKER_BYTES)))


def free_bytes() -> float:
    """Return the memory that is free, in bytes; infinite where nothing tells it."""
    return min([math.inf, *_available(), *_left_in_groups()])


def _available() -> Iterator[float]:
    for line in _read(PROC / "meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield 1024.0 * int(value.split()[0])


def _left_in_groups() -> Iterator[float]:
    for group in _groups():
        limit, used = _read(group / "memory.max"), _read(group / "memory.current")
        if limit.strip().isdecimal() and used.strip().isdecimal():
            # Files that were read are counted as used; the kernel drops them at need.
            fields = dict(
                line.split()[:2] for line in _read(group / "memory.stat").splitlines()
            )
            kept = int(used) - int(fields.get("inactive_file", 0))
            yield float(max(0, int(limit) - kept))


def _processors() -> Iterator[float]:
    for group in _groups():
        quota, _, period = _read(group / "cpu.max").partition(" ")
        if quota.isdecimal():
            yield int(quota) / int(period)


def _groups() -> Iterator[Path]:
    """Yield the folders of this process's group and of all groups around it."""
    for line in _read(PROC / "self" / "cgroup").splitlines():
        if line.startswith("0::/"):
            own = CGROUP / line.removeprefix("0::/")
            yield own
            yield from (folder for folder in own.parents if CGROUP in folder.parents)
            yield CGROUP


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
