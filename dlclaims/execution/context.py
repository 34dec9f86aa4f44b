"""What the values of a study's cells depend on, and which device makes them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path

from dlclaims import data, pages
from dlclaims.engine import numerics
from dlclaims.engine.numerics import Numerics
from dlclaims.errors import EnvironmentFault, UsageError, nearest
from dlclaims.execution import capacity, code
from dlclaims.pages import Page, Study
from dlclaims.store import Context

DEVICES = ("auto", "cpu", "gpu")
BACKENDS = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib")}

#: Packages whose numbers a measurement may use, beside those of the backend.
PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "keras")

#: Variables of a user's environment by which a backend computes other numbers.
FLAGS = (
    *("XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_WINOGRAD_NONFUSED"),
    *("JAX_ENABLE_X64", "JAX_DEFAULT_PRNG_IMPL", "JAX_THREEFRY_PARTITIONABLE"),
    *("ONEDNN_DEFAULT_FPMATH_MODE", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE"),
)
#: What a worker on a GPU adds to XLA_FLAGS.
GPU_FLAG = "--xla_gpu_deterministic_ops=true"

#: Where Linux, and Linux within Windows, show a GPU that CUDA could use.
GPU_NODES = ("nvidia[0-9]*", "dxg")
COUNT_CARDS = "import keras; print(len(keras.distribution.list_devices('gpu')))"

#: What hides all cards from a process, as CUDA_VISIBLE_DEVICES.
NO_CARD = "-1"

#: A process takes a card's memory as it needs it, so that two fit on one, and float32
#: is float32: matrix units would round factors to 10 bits.
ON_GPU = {
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "NVIDIA_TF32_OVERRIDE": "0",
    "JAX_DEFAULT_MATMUL_PRECISION": "highest",
}


def context_of(page: Page, study: Study, device: str, numerics: Numerics) -> Context:
    """Return what a study's cells depend on, as the code lies on disk now.

    Parameters
    ----------
    device : str
        ``cpu`` or ``gpu``.
    numerics : Numerics
        What this process has pinned, or what its workers will pin.
    """
    return Context(
        code=code.closure(pages.import_page(page.file), study.measure),
        data={n: data.DIGESTS.get(n) or data.load(n).digest for n in study.data},
        versions=versions(),
        numerics={**asdict(numerics), **flags()},
        backend=backend(),
        device=device,
    )


def versions() -> dict[str, str]:
    """Return the versions of the packages that make numbers."""
    return {name: _version(name) for name in (*PACKAGES, *BACKENDS[backend()])}


def flags() -> dict[str, str]:
    """Return those of `FLAGS` that the user has set: the same here and in a worker."""
    own = GPU_FLAG, *numerics.XLA_FLAGS
    found = {
        name: " ".join(w for w in os.environ.get(name, "").split() if w not in own)
        for name in FLAGS
    }
    return {name: words for name, words in found.items() if words}


def backend() -> str:
    """Return Keras' backend as the environment names it.

    Raises
    ------
    UsageError
        The engine does not know this backend.
    """
    name = os.environ.get("KERAS_BACKEND", "tensorflow")
    if name not in BACKENDS:
        hint = f"{nearest(name, BACKENDS)} Set KERAS_BACKEND"
        raise UsageError(" or ".join(BACKENDS), f"KERAS_BACKEND={name}", hint)
    return name


def resolve_device(wanted: str) -> str:
    """Return ``cpu`` or ``gpu``: what `wanted` means on this machine.

    Raises
    ------
    EnvironmentFault
        A GPU is asked for and the backend sees none.
    """
    if wanted not in DEVICES:
        raise UsageError(" or ".join(DEVICES), f"device {wanted}", "take one of these")
    if wanted == "cpu":
        return "cpu"
    if cards():
        return "gpu"
    if wanted == "auto":
        return "cpu"
    raise EnvironmentFault(
        f"a GPU that {backend()} can use",
        "none" if shows_gpu() else "a machine that shows no GPU",
        "install dlclaims[gpu] on a machine with one, or take --device cpu",
    )


def cards() -> tuple[str, ...]:
    """Return the GPUs that the backend sees, as CUDA_VISIBLE_DEVICES names them.

    A backend is imported, in another process, only where the machine shows a GPU.
    """
    if not shows_gpu():
        return ()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    number = _count_cards(backend(), visible)
    names = map(str, range(number)) if visible is None else visible.split(",")
    return tuple(name.strip() for name in names)[:number]


def slots(device: str) -> tuple[str, ...]:
    """Return the places for workers, by the card that one sees there.

    On a CPU as many as `capacity.workers`, and no card is seen; on GPUs one for each
    card.
    """
    if resolve_device(device) == "gpu":
        return cards()
    return (NO_CARD,) * capacity.workers()


def shows_gpu() -> bool:
    """Whether the machine shows a GPU, be it one that the backend can use or not."""
    return any(node for name in GPU_NODES for node in Path("/dev").glob(name))


@cache
def _count_cards(name: str, visible: str | None) -> int:
    # Seconds, and the same for all calls in a process: `visible` tells them apart.
    done = subprocess.run(
        [sys.executable, "-c", COUNT_CARDS],
        env={**os.environ, **ON_GPU, "KERAS_BACKEND": name},
        capture_output=True,
        text=True,
        check=False,
    )
    return int(done.stdout) if done.returncode == 0 else 0


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
