"""The folder ``results/``: what lies there, replaced whole or not at all.

``results/<page>/`` holds the files of one page, ``results/cells/`` the cache of cells.
A page's folder is written beside the old one and takes its place when it is complete,
so that a run that is interrupted never leaves half a page.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlclaims.claims import Region
from dlclaims.errors import EnvironmentFault

if TYPE_CHECKING:
    import pandas as pd

UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
#: Of the files of calibration and replication.
CALIBRATION_SCHEMA = 2
CLONE = Path(__file__).resolve().parent.parent

#: Columns of names.
NAMES = ("source", "study", "variant", "outcome", "status", "tuning_flag")

#: How the parts of a study's registration are called in the history of changes.
PARTS = {
    "variants": "grid",
    "tuning": "learning rates or their choice",
    "seeds": "seeds",
    "diverged": "score of diverged replicas",
    "controls": "sanity checks",
    "data": "data",
    "equal": "costs that are equal in all arms",
    "sensitivity": "sensitivity arms",
}


def default_out() -> Path:
    """Return the folder of results that a call without ``--out`` means.

    ``results`` in the current folder when it exists; else that of the clone when the
    current folder lies in one; else ``results`` in the current folder, to be made.
    """
    here = Path.cwd()
    in_clone = (CLONE / "pyproject.toml").exists() and here.is_relative_to(CLONE)
    if in_clone and not (here / "results").is_dir():
        return CLONE / "results"
    return here / "results"


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Say in a user's words when a file below `out` cannot be written.

    Raises
    ------
    EnvironmentFault
        The disk is full, or a permission lacks.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise EnvironmentFault(
            "a folder of results that can be written",
            f"{error.filename or out}: {error.strerror or error}",
            "mend its permissions or free space there, or give another --out",
        ) from error


def mend(out: Path) -> None:
    """Put right what a run left that was killed while `replace` was at work."""
    for new in out.glob(".*.new"):
        shutil.rmtree(new)
    for part in (*out.glob(".*.part"), *out.glob("*/.*.part")):
        part.unlink()
    for old in out.glob(".*.old"):
        page = out / old.name[1 : -len(".old")]
        if page.exists():
            shutil.rmtree(old)
        else:
            old.rename(page)


@contextmanager
def replace(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` when all went well."""
    new = folder.with_name(f".{folder.name}.new")
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def write_json(file: Path, content: Mapping[str, Any]) -> None:
    """Write JSON in the order given; the old file stays until the new one is whole."""
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def read_json(file: Path) -> dict[str, Any]:
    """Return a JSON file's content; nothing where there is no file.

    Raises
    ------
    EnvironmentFault
        The file is damaged.
    """
    if not file.exists():
        return {}
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EnvironmentFault(
            "a result file that dlclaims wrote",
            f"{file}: {error}",
            f"delete {file.parent} and run its page again; cells are kept",
        ) from error


def edges(region: Region) -> list[float | None]:
    """Return a region as JSON: an infinite edge is None."""
    return [None if math.isinf(edge) else edge for edge in (region.low, region.high)]


def agree(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal but for the last digits of numbers.

    The last digits of a statistic depend on the processor.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(agree(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(agree, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return bool(one == other)


def write_table(file: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV: floats that round-trip, empty where a value is missing."""
    if "seed" in table:  # a seed is a whole number, also beside rows that lack one
        table = table.assign(seed=table["seed"].astype("Int64"))
    table.to_csv(file, index=False, lineterminator="\n", encoding="utf-8")


def read_table(file: Path) -> pd.DataFrame:
    """Read a table that `write_table` wrote.

    Names stay text, also where they look like a number or like a missing value.
    """
    import pandas as pd

    # Default float parsing is exact from pandas 3.1 on.
    return pd.read_csv(
        file, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(NAMES, "str")
    )


def names(out: Path) -> tuple[str, ...]:
    """Return the pages in `out` whose verdicts and what they stand on are there."""
    files = ("verdicts.json", "registration.json", "outcomes.csv", "variants.csv")
    folders = sorted(out.glob("[a-z]*/")) if out.is_dir() else []
    return tuple(f.name for f in folders if all((f / file).exists() for file in files))


def register(earlier: Mapping[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``registration.json``: the current design and its history.

    Parameters
    ----------
    earlier : mapping
        What the file held before; empty at first.
    current : mapping
        From `plan.registration`.
    """
    history = list(earlier.get("history", ()))
    last = earlier.get("current")
    if last and last["digest"] != current["digest"]:
        history.append({"digest": last["digest"], "changed": changes(last, current)})
    return {"current": dict(current), "history": history}


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return in words what differs between two registrations of a page."""
    found = []
    parts = dict(PARTS)
    if old["profile"] != new["profile"]:
        found.append(f"profile: {new['profile']} instead of {old['profile']}")
        del parts["variants"], parts["seeds"]  # each profile has its own
    if old["schema"] != new["schema"]:
        found.append("schema of the registration")
    for name, was, now in _pairs(_named(old["studies"]), _named(new["studies"])):
        if was and now:
            words = [parts[key] for key in parts if was.get(key) != now.get(key)]
            if words:
                found.append(f"study {name}: {', '.join(words)} changed")
        else:
            found.append(f"study {name}: {'added' if now else 'removed'}")
    for name, was, now in _pairs(old["claims"], new["claims"]):
        for role, before, after in _pairs(was or {}, now or {}):
            found += [
                f"claim {name}, {role}: {words}"
                for words in _assertion_changes(before, after)
            ]
    return found


def _assertion_changes(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None
) -> list[str]:
    if old is None or new is None:
        return ["added" if old is None else "removed"]
    found = [
        f"{words} changed"
        for key, words in (("text", "sentence"), ("expected", "expected verdict"))
        if old[key] != new[key]
    ]
    for name, was, now in _pairs(_named(old["criteria"]), _named(new["criteria"])):
        if was and now:
            parts = [key for key in now if was.get(key) != now[key]]
            if parts:
                found.append(f"{', '.join(parts)} of criterion {name} changed")
        else:
            found.append(f"criterion {name} {'added' if now else 'removed'}")
    return found


def _named(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in items}


def _pairs(
    old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[tuple[str, Any, Any]]:
    every = dict.fromkeys((*old, *new))
    return [
        (name, old.get(name), new.get(name))
        for name in every
        if old.get(name) != new.get(name)
    ]
