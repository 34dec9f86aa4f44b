"""Whether the results and the report are what they would be if made now."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dlclaims import pages, results
from dlclaims.report import model, reading, tables, words, writing
from dlclaims.report.soundness import Calibration

#: Other processors round differently; a verdict does not hang on it.
RELATIVE, ABSOLUTE = 1e-6, 1e-12
SHOWN = 5  # differences of one page's verdicts; more are only counted


def check(folder: Path, known: Mapping[str, pages.Page]) -> list[str]:
    """Return in sentences how results and report differ from what they should be.

    Verdicts are recomputed from ``outcomes.csv`` and ``variants.csv``; the report is
    rendered again and compared as text. Of a picture, the hash of its table counts,
    not its bytes. Nothing is written.
    """
    report = reading.build(folder, known)
    found = [sentence for page in report.pages for sentence in _page(page)]
    if report.calibration:
        found += _calibration(folder, report.calibration)
    current = {page.name for page in report.pages if page.digest and not page.older}
    found += _verdicts(folder, {name: known[name] for name in current})
    for file, text in writing.renderings(report, folder).items():
        inside = file.is_relative_to(folder)
        name = file.relative_to(folder) if inside else f"the clone's {file.name}"
        if not file.exists():
            found.append(f"{name} is missing")
        elif (old := file.read_text(encoding="utf-8")) != text:
            found.append(f"{name} differs from its results{_line(old, text)}")
    return found


def _page(page: model.Page) -> Iterator[str]:
    if page.older:
        yield (
            f"{page.name}: results are older than the page"
            f" ({words.changes(page.older)}): run dlclaims run {page.name}"
        )
    for figure in page.figures:
        if figure.table and figure.table != figure.drawn_from:
            yield f"{page.name}: {figure.name}.svg does not show {figure.name}.csv"


def _calibration(folder: Path, made: Calibration) -> Iterator[str]:
    """Compare the picture with its table, and the counts with the claims."""
    if made.figure.table != made.figure.drawn_from:
        yield "calibration: calibration.svg does not show calibration.csv"
    claims = tables.rows(folder / "calibration" / "aa.csv")
    for twins in made.twins:
        own = [claim for claim in claims if claim["page"] == twins.page]
        counted = len(own), sum(claim["verdict"] == "supported" for claim in own)
        if counted != (twins.claims, twins.false_supported):
            yield (
                f"calibration: calibration.json and aa.csv do not count the same claims"
                f" of {twins.page}"
            )


def _line(old: str, new: str) -> str:
    lines = zip(old.splitlines(), new.splitlines(), strict=False)
    numbers = (n for n, (was, now) in enumerate(lines, 1) if was != now)
    number = next(numbers, None)
    return f" (first in line {number})" if number else " (in its length)"


def _verdicts(folder: Path, known: Mapping[str, pages.Page]) -> Iterator[str]:
    """Compare the verdicts in the files with those that the outcomes give."""
    from dlclaims import assembly, verdicts

    names = results.names(folder)
    stored = [results.read_json(folder / name / "verdicts.json") for name in names]
    fresh = [
        assembly.verdicts_of(folder / name, known[name]) if name in known else judged
        for name, judged in zip(names, stored, strict=True)
    ]
    for name, was, now in zip(names, stored, verdicts.correct(fresh), strict=True):
        apart = [f"{name}/verdicts.json: {told}" for told in _differences(was, now)]
        yield from apart[:SHOWN]
        if len(apart) > SHOWN:
            yield f"{name}/verdicts.json: {len(apart) - SHOWN} more differences"


def _differences(was: Any, now: Any, place: str = "") -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*was, *now)):
            yield from _differences(was.get(key), now.get(key), f"{place}/{key}")
    elif (
        isinstance(was, list) and isinstance(now, list | tuple) and len(was) == len(now)
    ):
        for number, (old, new) in enumerate(zip(was, now, strict=True)):
            yield from _differences(old, new, f"{place}/{number}")
    elif not _same(was, now):
        yield f"{place.lstrip('/')} is {was!r}, the outcomes give {now!r}"


def _same(was: Any, now: Any) -> bool:
    if isinstance(was, float) and isinstance(now, float):
        both_missing = math.isnan(was) and math.isnan(now)
        return both_missing or math.isclose(
            was, now, rel_tol=RELATIVE, abs_tol=ABSOLUTE
        )
    return bool(was == now)
