"""Results as a notebook shows them: verdicts as a table, then the pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from dlclaims.report import words

HEAD = ("claim", "the document says", "verdict", "what to say instead", "verdict")


def render(page: str, judged: Mapping[str, Any], figures: Mapping[str, Path]) -> str:
    """Return HTML without scripts and without styles of its own.

    Parameters
    ----------
    page : str
    judged : mapping
        The content of ``verdicts.json``; empty without results.
    figures : mapping of str to Path
        SVG files by the names of the figures; a picture is shown as an image, in which
        nothing can run.
    """
    title = Markup("<h3>{} ({})</h3>").format(page, judged.get("profile", "no results"))
    head = Markup("<tr>{}</tr>").format(
        Markup("").join(Markup("<th>{}</th>").format(name) for name in HEAD)
    )
    rows = Markup("").join(
        _row(claim, made) for claim, made in judged.get("claims", {}).items()
    )
    pictures = Markup("").join(_picture(n, file) for n, file in figures.items())
    table = Markup("<table><thead>{}</thead><tbody>{}</tbody></table>")
    return str(title + (table.format(head, rows) if rows else "") + pictures)


def _row(claim: str, made: Mapping[str, Any]) -> Markup:
    cells = [Markup("<code>{}</code>").format(claim)]
    for role in ("document", "corrected"):
        assertion = made[role]
        cells += [escape(assertion["text"] if assertion else words.DASH)]
        cells += [escape(_verdict(assertion) if assertion else "")]
    return Markup("<tr>{}</tr>").format(
        Markup("").join(Markup("<td>{}</td>").format(cell) for cell in cells)
    )


def _verdict(assertion: Mapping[str, Any]) -> str:
    word = assertion["verdict"]
    label = f" ({assertion['label']})" if assertion["label"] else ""
    return f"{words.SIGNS[word]} {word}{label}"


def _picture(name: str, file: Path) -> Markup:
    content = base64.b64encode(file.read_bytes()).decode()
    image = Markup('<p><img alt="{}" src="data:image/svg+xml;base64,{}"></p>')
    return image.format(name, content)
