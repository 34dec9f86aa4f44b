"""What the figures were measured on; nothing that names one machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

LIBRARIES = ("keras", "tensorflow", "jax", "torch", "numpy")


def describe() -> dict[str, Any]:
    """Return cores, processor, matrix peak, load and versions."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(),
        "load_at_start": round(os.getloadavg()[0], 2),
        "matrix_peak_gflops": round(matrix_peak(), 1),
        "versions": {"python": platform.python_version(), **dict(versions())},
    }


def matrix_peak(size: int = 2048, repeats: int = 30) -> float:
    """Return the best rate of a float32 matrix product on all cores, in GFLOP/s."""
    rng = np.random.default_rng(0)
    matrix = rng.random((size, size), dtype="float32")
    result = np.empty_like(matrix)
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        np.matmul(matrix, matrix, out=result)
        seconds.append(time.perf_counter() - begun)
    return 2 * size**3 / min(seconds) / 1e9


def processor() -> str:
    file = Path("/proc/cpuinfo")
    text = file.read_text() if file.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def versions() -> list[tuple[str, str]]:
    known = []
    for library in LIBRARIES:
        try:
            known.append((library, importlib.metadata.version(library)))
        except importlib.metadata.PackageNotFoundError:
            known.append((library, "not installed"))
    return known
