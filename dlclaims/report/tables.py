"""Rows and numbers of the result files that are CSV, and the pictures drawn of them."""

from __future__ import annotations

import csv
import hashlib
import html
import math
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from dlclaims import pages
from dlclaims.report import model

Row = Mapping[str, str]


def rows(file: Path) -> list[dict[str, str]]:
    """Return the rows of a table; none where there is no file."""
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def number(text: str | None) -> float | None:
    """Return a finite number, whole ones as int; None for an empty cell."""
    value = float(text) if text else math.nan
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def finite(value: Any) -> Any:
    """Return a value of a JSON file; None for an infinite number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def known(kind: type, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return those items that are fields of a dataclass; no infinite numbers."""
    names = {field.name for field in fields(kind)}
    return {name: finite(value) for name, value in found.items() if name in names}


def listed(folder: Path, within: Path) -> tuple[str, ...]:
    """Return the tables in a folder and below, as paths from `within`."""
    return tuple(
        sorted(
            file.relative_to(within).as_posix()
            for file in folder.rglob("[!.]*")
            if file.suffix in {".csv", ".json"}
        )
    )


def figure(folder: Path, declared: pages.Figure) -> model.Figure:
    """Return a figure whose files lie in a folder of the results."""
    picture, table = (folder / f"{declared.name}{end}" for end in (".svg", ".csv"))
    text = picture.read_text(encoding="utf-8") if picture.exists() else ""
    alt = re.search(r"<desc>(.*?)</desc>", text, re.DOTALL)
    drawn = re.search(r'data-table="(\w*)"', text)
    return model.Figure(
        declared.name,
        declared.title,
        declared.reading,
        declared.study,
        f"{folder.name}/{declared.name}",
        html.unescape(alt[1]) if alt else "",
        hashlib.sha256(table.read_bytes()).hexdigest() if table.exists() else "",
        drawn[1] if drawn else "",
    )
