"""What this machine has, and what it lacks for a run."""

from __future__ import annotations

import importlib.util
import math
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from dlclaims import __version__
from dlclaims.errors import DlclaimsError
from dlclaims.shelf import shelve

PACKAGES = (
    "keras",
    "matplotlib",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "seaborn",
)


@dataclass(frozen=True)
class Check:
    """One look: what was looked at, what was found, and what to do if it is wrong."""

    name: str
    found: str
    to_do: str = ""

    @property
    def is_fine(self) -> bool:
        """Whether nothing is to be done."""
        return not self.to_do


def examine(out: Path, folders: Sequence[Path] = ()) -> tuple[Check, ...]:
    """Return all checks; nothing is written and no backend is imported without a GPU.

    Parameters
    ----------
    out : Path
        The folder of results.
    folders : sequence of Path
        More folders of pages.
    """
    return (
        Check("dlclaims", __version__),
        _python(),
        *_packages(),
        *_backend(),
        Check("cores", str(len(os.sched_getaffinity(0)))),
        _memory(),
        _workers(),
        _folder(out),
        *_pages(folders),
    )


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    fine = (3, 11) <= sys.version_info < (3, 14)
    return Check("python", found, "" if fine else "install Python 3.11 to 3.13")


def _packages() -> Iterator[Check]:
    for name in PACKAGES:
        try:
            yield Check(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Check(name, "not installed", f"pip install {name}")


def _backend() -> Iterator[Check]:
    from dlclaims.execution.context import backend

    try:
        name = backend()
    except DlclaimsError as error:
        yield Check("backend", error.received, error.advice)
        return
    installed = importlib.util.find_spec(name) is not None
    version = metadata.version(name) if installed else "not installed"
    lack = "" if installed else f"pip install {name}, or set KERAS_BACKEND"
    yield Check("backend", f"{name} {version}", lack)
    if installed:
        yield _device(name)


def _device(backend: str) -> Check:
    from dlclaims.execution.context import cards, shows_gpu

    found = len(cards())
    if found:
        return Check("device", f"gpu, {found} {'card' if found == 1 else 'cards'}")
    if not shows_gpu():
        return Check("device", "cpu")
    # A CPU is enough, so that this is no fault.
    ways = "install dlclaims[gpu], or set KERAS_BACKEND=jax"
    return Check("device", f"cpu; {backend} cannot use the GPU here: {ways}")


def _memory() -> Check:
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    # A worker that has imported TensorFlow holds about 0.7 GiB.
    lack = "" if size >= 2 else "run with --jobs 1, and close other programs"
    return Check("memory", f"{size:.1f} GiB", lack)


def _workers() -> Check:
    from dlclaims.execution import capacity

    free = capacity.free_bytes() / 2**30
    told = f"; {free:.1f} GiB are free" if free < math.inf else ""
    return Check("workers", f"{capacity.workers()} by default{told}")


def _folder(out: Path) -> Check:
    existing = next(p for p in (out / "cells", *(out / "cells").parents) if p.exists())
    fine = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    lack = "" if fine else f"make {existing} writable, or give another --out"
    return Check("results", str(out), lack)


def _pages(folders: Sequence[Path]) -> Iterator[Check]:
    shelf = shelve(folders)
    yield Check("pages", ", ".join(shelf.pages) or "none")
    for name, error in shelf.broken.items():
        yield Check(f"page {name}", error.received, error.advice)
