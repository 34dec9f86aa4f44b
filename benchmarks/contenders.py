"""Who trains: each contender's name, what it needs, and the process that it gets."""

from __future__ import annotations

import importlib
import importlib.util
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from benchmarks.workloads import Job

SINGLE = (("TF_NUM_INTRAOP_THREADS", "1"), ("TF_NUM_INTEROP_THREADS", "1"))
ON_JAX = (("KERAS_BACKEND", "jax"),)


@dataclass(frozen=True)
class Contender:
    """A way to train all replicas of a workload.

    Parameters
    ----------
    name : str
    module, function : str
        Where ``function(job) -> Outcome`` is, in `benchmarks.peers`; importing the
        module imports all that it needs.
    needs : str
        The library without which it is left out.
    environment : tuple of (str, str)
        Variables of its process.
    processes : int
        The seeds are divided among so many.
    is_loop : bool
        Whether it trains seed after seed and shares nothing between them, so that the
        seconds of a long training follow from two seeds.
    """

    name: str
    module: str
    function: str
    needs: str
    environment: tuple[tuple[str, str], ...] = ()
    processes: int = 1
    is_loop: bool = False

    @property
    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.needs) is not None

    def load(self) -> Callable[[Job], Outcome]:
        """Import everything that it needs; return its function."""
        module: ModuleType = importlib.import_module(f"benchmarks.peers.{self.module}")
        return getattr(module, self.function)


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("keras.fit", "keras", "fit", "tensorflow", is_loop=True),
        Contender(
            "keras.fit, 2 processes",
            "keras",
            "fit",
            "tensorflow",
            SINGLE,
            processes=2,
            is_loop=True,
        ),
        Contender("keras.fit, one model", "keras", "refit", "tensorflow"),
        Contender("torch eager", "torch", "eager", "torch", is_loop=True),
        Contender("torch.func", "torch", "mapped", "torch"),
        Contender("JAX vmap", "jax", "mapped", "jax", ON_JAX),
        Contender("JAX, 2 threads", "jax", "threaded", "jax", ON_JAX),
        Contender("dlclaims on JAX", "engine", "train", "jax", ON_JAX, processes=2),
        Contender("dlclaims", "engine", "train", "tensorflow", processes=2),
    )
}
FIT, OURS, EAGER = "keras.fit", "dlclaims", "torch eager"
JAX = ("JAX vmap", "JAX, 2 threads")

#: Whose growth with seeds, steps and width is measured.
GROWING = (OURS, EAGER, "JAX, 2 threads")


@dataclass(frozen=True)
class Outcome:
    """What a training cost, and where it ended.

    Parameters
    ----------
    total_seconds : float
        Building and compiling included, imports and data excluded.
    compile_seconds : float or None
        The part of it that is spent on building and compiling.
    peak_mb : float
        Largest memory of the process so far, in 2**20 bytes, libraries included.
    losses : tuple of float
        One for each seed, on the first training examples, in inference mode.
    """

    total_seconds: float
    compile_seconds: float | None
    peak_mb: float
    losses: tuple[float, ...]


class Clock:
    """Adds up the seconds spent inside its blocks."""

    def __init__(self) -> None:
        self.seconds = self.peak_mb = 0.0

    def __enter__(self) -> None:
        self.begun = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self.begun
        # Linux counts in KiB.
        self.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
