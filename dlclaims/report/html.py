"""The report as one HTML file that asks nothing of anybody.

Styles, script and pictures are inline; a content-security policy forbids everything
else, so that no text in a result file can do more than be read.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup, escape

from dlclaims import source
from dlclaims.figures.style import INK
from dlclaims.report import forest, words
from dlclaims.report.model import Report

TEMPLATES = Path(__file__).parent / "templates"
DRAWN = {"svg", "defs", "clipPath", "g", "path", "use", "rect", "text", "tspan"}
#: States of coverage and their classes.
STATES = tuple(
    zip(source.STATES, ("built", "partly", "not-built", "not-testable"), strict=True)
)
INLINE = (
    (re.compile(r"\*\*(\S.*?)\*\*"), "strong"),
    (re.compile(r"\*(\S[^*]*?)\*"), "em"),
    (re.compile(r"``(.+?)``"), "code"),
)


@cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"formula": formula, "prose": prose, "broken": broken}
    environment.globals |= {
        "words": words,
        "forest": forest,
        "strip": lambda criterion, scale: Markup(forest.strip(criterion, scale)),
        "axis": lambda scale: Markup(forest.axis(scale)),
    }
    return environment


def render(report: Report, folder: Path) -> str:
    """Return the report as HTML; pictures are read from the results in `folder`."""
    style, script = (_text(name) for name in ("style.css", "script.js"))
    tally = report.tally("document")
    template = _environment().get_template("report.html")
    return template.render(
        report=report,
        claims={claim.id: claim for claim in report.claims},
        reasons={reason.id: reason for reason in report.reasons},
        order=words.ORDER,
        tally=[(word, tally[word]) for word in words.ORDER if tally.get(word)],
        provenance=words.provenance(p.provenance for p in report.pages if p.provenance),
        states=STATES,
        bar=bar,
        picture=lambda figure: picture(folder, figure.file, figure.alt),
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
    )


def broken(effect: str) -> Markup:
    """Return an effect in two lines where it is a count and what that makes."""
    return escape(effect).replace(" = ", Markup(" =<br>"))


def bar(counts: Mapping[str, int]) -> Markup:
    """Return how many statements are in each state, as one divided bar."""
    total, left, parts = sum(counts.values()), 0.0, []
    for state, name in STATES:
        width = round(1000 * counts.get(state, 0) / max(1, total), 1)
        parts.append(
            f'<rect class="{name}" x="{left:g}" width="{width:g}" height="10"/>'
        )
        left += width
    label = ", ".join(
        f"{counts[state]} {state}" for state, _ in STATES if state in counts
    )
    return Markup(
        '<svg class="bar" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img"'
        f' aria-label="{label}">{"".join(parts)}</svg>'
    )


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Return the content-security policy that allows this style and this script."""
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in (style, script)
    ]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}';"
        f" script-src 'sha256-{hashes[1]}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def prose(text: str) -> Markup:
    """Return a docstring's paragraph: strong, emphasised and literal words."""
    marked = str(escape(text))
    for pattern, tag in INLINE:
        marked = pattern.sub(rf"<{tag}>\1</{tag}>", marked)
    return Markup(marked)


def formula(latex: str) -> Markup:
    """Return LaTeX as MathML; as it stands where it cannot be converted."""
    from latex2mathml.converter import convert

    try:
        mathml = convert(latex, display="block")
    except Exception:  # whatever a page's author wrote, the report is built
        mathml = "\\"
    if "\\" in mathml:  # a command that the converter does not know
        return Markup("<code>{}</code>").format(latex)
    return Markup(mathml)


def picture(folder: Path, file: str, alt: str) -> Markup:
    """Return a picture for inlining: ids of its own, ink in the page's colour.

    Only elements that draw are taken over, and none of their event handlers.
    """
    root = ElementTree.fromstring((folder / f"{file}.svg").read_text(encoding="utf-8"))
    prefix = file.replace("/", "-")
    _keep_drawing(root)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {
            _local(name): _prefixed(
                _local(name), value.replace(INK, "currentColor"), prefix
            )
            for name, value in element.attrib.items()
            if not _local(name).startswith(("on", "style", "data-"))
        }
    root.attrib |= {"aria-label": alt, "class": "picture"}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _keep_drawing(parent: ElementTree.Element) -> None:
    for child in list(parent):
        if _local(child.tag) not in DRAWN or child.get("id") == "background":
            parent.remove(child)
        else:
            _keep_drawing(child)


def _local(name: Any) -> str:
    return str(name).rpartition("}")[2]


def _prefixed(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href":
        return f"#{prefix}-{value.removeprefix('#')}"
    return value.replace("url(#", f"url(#{prefix}-")
