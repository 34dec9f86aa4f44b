"""The report's files: all renderings of one model."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from pathlib import Path

from dlclaims import results
from dlclaims.report import html, markdown, model
from dlclaims.report.schema import schema

#: What stands between these in the clone's README is written by `write`.
TABLE = re.compile(r"(<!-- verdicts:begin -->\n).*?(<!-- verdicts:end -->)", re.DOTALL)


def write(report: model.Report, folder: Path) -> None:
    """Write ``report.html``, ``report.json``, its schema, and each page's README.

    When `folder` is the clone's own, the README above it gets the table of questions. A
    page without a folder has no results, and so no README of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in renderings(report, folder).items():
        part = file.with_name(f".{file.name}.part")
        part.write_text(text, encoding="utf-8")
        os.replace(part, file)


def renderings(report: model.Report, folder: Path) -> dict[Path, str]:
    """Return the text of every file that the report consists of."""
    files = {
        folder / "report.html": html.render(report, folder),
        folder / "README.md": markdown.render(report),
        **{
            folder / page.name / "README.md": markdown.render_page(report, page)
            for page in report.pages
            if (folder / page.name).is_dir()
        },
        folder / "report.json": as_json(report),
        folder / "report.schema.json": json.dumps(schema(), indent=1) + "\n",
    }
    readme = results.CLONE / "README.md"
    if folder.resolve() == results.CLONE / "results" and readme.exists():
        table = markdown.questions(report, folder.name)
        files[readme] = TABLE.sub(
            lambda match: match[1] + table + match[2], readme.read_text("utf-8")
        )
    return files


def as_json(report: model.Report) -> str:
    """Return the model as JSON; its ``schema`` is the version of its form."""
    content = {"schema": model.SCHEMA, **asdict(report)}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
