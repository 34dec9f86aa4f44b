"""What a Dask worker does: measure a cell in a pinned process of its own.

A Dask worker only carries messages. Each of its threads keeps one worker process like
those of a local run, with the same environment, so that values do not depend on how a
cluster was started.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlclaims import pages, store
from dlclaims.execution.context import slots
from dlclaims.execution.local import Pool, Task

_own = threading.local()


def measure(message: Mapping[str, Any]) -> dict[str, Any]:
    """Measure a cell; return its bytes as text, or what went wrong.

    Parameters
    ----------
    message : mapping
        ``cell``; ``page``, the texts of a page's files by their names below its folder,
        or None for one that ships with dlclaims; ``device``, ``backend``, ``limit``.

    Returns
    -------
    dict
        ``kind`` (``finished`` or ``failed``), ``seconds``, ``record``, ``message`` and
        ``trace``.
    """
    cell = store.read_cell(message["cell"])
    pool = _pool(message["device"], message["backend"], message["limit"])
    pool.submit(Task(cell, _file(cell.page, message["page"])))
    for outcome in pool.outcomes():
        if outcome.kind in ("finished", "failed"):
            text = store.encode(outcome.record).decode() if outcome.record else ""
            return {
                "kind": outcome.kind,
                "seconds": outcome.seconds,
                "record": text,
                "message": outcome.message,
                "trace": outcome.trace,
            }
    raise AssertionError("a task ends in a record or a failure")


def _pool(device: str, backend: str, limit: float | None) -> Pool:
    """Return this thread's pool of one process, which lives as long as the thread."""
    wanted = device, backend, limit
    if getattr(_own, "wanted", None) != wanted:
        os.environ["KERAS_BACKEND"] = backend
        _own.pool, _own.wanted = Pool(1, device, slots(device), limit), wanted
    return _own.pool


def _file(page: str, texts: Mapping[str, str] | None) -> Path:
    """Return a page's file; one that was sent is written where its content says."""
    if texts is None:
        return pages.find([pages.built_in_folder()])[page]
    content = json.dumps(dict(texts), sort_keys=True).encode()
    folder = Path(tempfile.gettempdir()) / (
        f"dlclaims-{os.getuid()}-{hashlib.sha256(content).hexdigest()[:16]}"
    )
    for name, text in texts.items():
        file = folder / name
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.{os.getpid()}-{threading.get_ident()}")
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    return pages.find([folder])[page]
