"""Measures one cell; and the process that does so, one after another, for a run.

The process speaks JSON over pipes, one message a line: it reads ``{"cell", "file"}``
and answers with a finished cell's bytes or with what went wrong. It ends as soon as its
input does, whatever it is doing, so that it never outlives the run.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlclaims import pages, store
from dlclaims.engine import numerics
from dlclaims.errors import DlclaimsError, PageError
from dlclaims.execution.context import context_of
from dlclaims.pages import Study
from dlclaims.plan import Cell
from dlclaims.store import Context, Record

if TYPE_CHECKING:
    import pandas as pd

STATUS = {"ok", "diverged"}


def compute(cell: Cell, file: Path, device: str) -> Record:
    """Measure a cell in this process; nothing is written.

    Parameters
    ----------
    file : Path
        The cell's page.
    device : str
        ``cpu`` or ``gpu``; whether this process sees a GPU is decided before.

    Raises
    ------
    PageError
        The page does not import, or `measure` returned something else than a table of
        this cell's seeds.
    """
    pinned = numerics.pin()
    study, depends_on = _study(cell.page, file, cell.study, device, pinned)
    if any(name.startswith("dlclaims.engine") for name in depends_on.code):
        _import_keras()  # seconds that are not the first cell's
    numerics.picks()  # forget those of the cell before
    began = time.perf_counter()
    table = study.measure(cell.variant, cell.streams)
    seconds = time.perf_counter() - began
    check(table, cell)
    ran = [how_it_ran(pick) for pick in numerics.picks()]
    meta = {**asdict(depends_on), "seconds": seconds, "engine": ran}
    return Record(cell, store.key(cell, depends_on), table, meta)


@cache
def _import_keras() -> None:
    importlib.import_module("keras")
    gc.freeze()  # what stays is not looked through, and old programs are found sooner


def how_it_ran(pick: numerics.Pick) -> dict[str, Any]:
    """Return what a cell records of a configuration that the engine trained.

    It follows from what is in the cell's key, and is not part of it.
    """
    return {
        "step_work": pick.work.step_work,
        "steps": pick.work.steps,
        "xla": pick.numerics.xla,
        "replicas_per_call": pick.numerics.replicas_per_call,
        "reason": pick.reason,
    }


@cache
def _study(
    page: str, file: Path, study: str, device: str, pinned: numerics.Numerics
) -> tuple[Study, Context]:
    # Taken once, beside the import: the code that runs is the code that was hashed.
    loaded = pages.load(page, file)
    found = loaded.study(study)
    return found, context_of(loaded, found, device, pinned)


def check(table: pd.DataFrame, cell: Cell) -> None:
    """Check that a measured table is a table of this cell.

    Raises
    ------
    PageError
        Says what `measure` returned instead.
    """
    import pandas as pd

    def wrong(expected: str, received: Any) -> PageError:
        where = f"measure of {cell.page}/{cell.study} to return {expected}"
        return PageError(where, str(received), "mend measure")

    if not isinstance(table, pd.DataFrame):
        raise wrong("a table", type(table).__name__)
    names = list(table.columns)
    if not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
        raise wrong("columns with different names, each a text", names)
    if "seed" not in names:
        raise wrong("a column named seed", ", ".join(names) or "no column")
    seeds = table["seed"].unique().tolist()
    is_integer = pd.api.types.is_integer_dtype(table["seed"])
    if not is_integer or {*seeds} != {*cell.seeds}:
        raise wrong(f"rows for the seeds {list(cell.seeds)}", seeds)
    for name in names:
        try:
            store.kind(table[name])
        except TypeError as error:
            raise wrong("numbers, truth values or text", f"{name}: {error}") from error
    twice = table.duplicated()
    if twice.any():
        row = table[twice].iloc[0].to_dict()
        raise wrong("each row once", f"{int(twice.sum())} repeated, such as {row}")
    if not STATUS.issuperset(table.get("status", ())):
        raise wrong("ok or diverged as status", sorted({*table["status"]} - STATUS))
    if cell.stage == "tuning":
        rates = {*table.get("learning_rate", ())}
        if rates != {*cell.learning_rates}:
            wanted = list(cell.learning_rates)
            raise wrong(f"rows for the learning rates {wanted}", sorted(rates))


def answer(task: dict[str, Any], device: str) -> dict[str, str]:
    """Measure a task's cell; return its bytes as text, or what went wrong.

    Of a failure the message tells the user what happened, the trace where; ``memory``
    says whether memory ran out, which another process might survive.
    """
    try:
        record = compute(store.read_cell(task["cell"]), Path(task["file"]), device)
        return {"kind": "finished", "record": store.encode(record).decode()}
    except Exception as error:
        kind = type(error).__name__
        words = str(error).strip() or "no message"
        if not isinstance(error, DlclaimsError):
            words = f"{kind}: {words.splitlines()[0][:300]}"
        full = isinstance(error, MemoryError) or "ResourceExhausted" in kind
        return {
            "kind": "memory" if full else "failed",
            "message": words,
            "trace": traceback.format_exc(),
        }


def main(device: str, descriptor: int) -> None:
    """Answer tasks from standard input until it ends, into an open descriptor."""
    replies = os.fdopen(descriptor, "w", encoding="utf-8")
    os.set_inheritable(descriptor, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
    numerics.pin()
    reply = {"kind": "ready"}
    while True:
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
        reply = answer(tasks.get(), device)


def _listen(tasks: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        tasks.put(json.loads(line))
    os._exit(0)
