"""Whether a page's files are still what its cells and the code would make of them.

Statistics and pictures take seconds. A stamp beside the cells tells what the files of a
page were made from, and their own digest: where both are as they were, a run need not
make them again. A stamp that is lost costs these seconds, nothing else. Where no files
could be made, it holds the error.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from dlclaims import plan, results
from dlclaims.pages import Page
from dlclaims.plan import Profile

if TYPE_CHECKING:
    from dlclaims.store import Record

#: Packages that compute statistics or draw.
PACKAGES = ("matplotlib", "numpy", "pandas", "scipy", "seaborn")
LIBRARY = Path(__file__).parent


def inputs(page: Page, profile: Profile, records: Sequence[Record]) -> str:
    """Return the digest of all that a page's files are made from: cells and code."""
    is_package = page.file.name == "__init__.py"
    own = page.file.parent.rglob("*.py") if is_package else [page.file]
    versions = {name: metadata.version(name) for name in PACKAGES}
    return plan.digest(
        {
            "page": page.name,
            "profile": profile.name,
            "cells": [record.key for record in records],
            "code": _digest([*LIBRARY.rglob("*.py"), *own]),
            "versions": {"python": platform.python_version(), **versions},
        }
    )


def is_current(out: Path, page: str, made_from: str) -> bool:
    """Return whether a page's files were made from this, and are as they were made."""
    stamp = results.read_json(_file(out, page))
    return stamp == {"made_from": made_from, "files": _files(out / page)}


def write(out: Path, page: str, made_from: str) -> None:
    """Stamp a page's files as they lie in its folder now."""
    _write(out, page, {"made_from": made_from, "files": _files(out / page)})


def write_error(out: Path, page: str, error: Exception) -> None:
    """Note why the last run made no results of a page."""
    _write(out, page, {"error": str(error)})


def has_error(out: Path, page: str) -> bool:
    """Return whether the last run made no results of a page."""
    return "error" in results.read_json(_file(out, page))


def _write(out: Path, page: str, stamp: dict[str, str]) -> None:
    file = _file(out, page)
    file.parent.mkdir(parents=True, exist_ok=True)
    results.write_json(file, stamp)


def _file(out: Path, page: str) -> Path:
    return out / "cells" / "stamps" / f"{page}.json"


def _files(folder: Path) -> str:
    return _digest(folder.glob("*"))


def _digest(files: Iterable[Path]) -> str:
    whole = hashlib.sha256()
    for file in sorted(files):
        whole.update(hashlib.sha256(file.read_bytes()).digest())
        whole.update(file.name.encode() + b"\0")
    return whole.hexdigest()
