"""What a Dask worker does: measure a cell in a pinned process of its own.

A Dask worker only carries messages. Each of its threads keeps one worker process like
those of a local run, with the same environment, so that values do not depend on how a
cluster was started.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from dlclaims import __version__, pages, store
from dlclaims.errors import EnvironmentFault
from dlclaims.execution.context import slots, versions
from dlclaims.execution.local import Pool, Task

_own = threading.local()
_unpacking = threading.Lock()


def measure(message: Mapping[str, Any]) -> dict[str, Any]:
    """Measure a cell; return its bytes as text, or what went wrong.

    Parameters
    ----------
    message : mapping
        ``cell``; ``page``, the texts of a page's files by their names below its folder,
        or None for one that ships with dlclaims; ``device``, ``backend``, ``versions``,
        ``limit``.

    Returns
    -------
    dict
        ``kind`` (``finished`` or ``failed``), ``seconds``, ``record``, ``message`` and
        ``trace``.

    Raises
    ------
    EnvironmentFault
        This machine would make other values, or makes none.
    """
    cell = store.read_cell(message["cell"])
    os.environ["KERAS_BACKEND"] = message["backend"]
    _check_versions(message["versions"])
    pool = _pool(message["device"], message["backend"], message["limit"])
    try:
        pool.submit(Task(cell, _file(cell.page, message["page"])))
        *_, outcome = pool.outcomes()
    except BaseException:  # what it has not done is not for the next cell
        _close()
        raise
    return {
        "kind": outcome.kind,
        "seconds": outcome.seconds,
        "record": store.encode(outcome.record).decode() if outcome.record else "",
        "message": outcome.message,
        "trace": outcome.trace,
    }


def installed() -> dict[str, str]:
    """Return the versions of what makes values here."""
    return {"dlclaims": __version__, **versions()}


def _check_versions(wanted: Mapping[str, str]) -> None:
    here = installed()
    other = [n for n in sorted({*here, *wanted}) if here.get(n) != wanted.get(n)]
    if other:
        raise EnvironmentFault(
            ", ".join(f"{name} {wanted.get(name, 'none')}" for name in other),
            ", ".join(f"{here.get(n, 'none')}" for n in other) + f" at {os.uname()[1]}",
            "install the same versions there",
        )


def _pool(device: str, backend: str, limit: float | None) -> Pool:
    """Return this thread's pool of one process, which lives as long as the thread."""
    wanted = device, backend, limit
    if getattr(_own, "wanted", None) != wanted:
        _close()
        _own.pool, _own.wanted = Pool(1, device, slots(device), limit), wanted
    return _own.pool


def _close() -> None:
    if getattr(_own, "wanted", None):
        _own.wanted = None
        _own.pool.__exit__()


def _file(page: str, texts: Mapping[str, str] | None) -> Path:
    """Return a page's file; the texts of one that was sent are written first."""
    if texts is None:
        return pages.find([pages.built_in_folder()])[page]
    with _unpacking:
        return pages.find([Path(_unpack(tuple(sorted(texts.items()))).name)])[page]


@cache
def _unpack(texts: tuple[tuple[str, str], ...]) -> tempfile.TemporaryDirectory[str]:
    """Write files into a folder of this process alone, which goes when it ends."""
    folder = tempfile.TemporaryDirectory(prefix="dlclaims-")
    for name, text in texts:
        file = Path(folder.name) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder
