"""The report as Markdown, for the code host that shows a folder's README."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from markupsafe import Markup

from dlclaims.report import forest, words
from dlclaims.report.html import TEMPLATES
from dlclaims.report.model import Page, Report

#: What Markdown or HTML would read as something else than text.
SIGNS = re.compile(r"([\\`*_\[\]|$])")
BREAK = re.compile(r"\s*\n\s*")
NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def render(report: Report) -> str:
    """Return what all pages share as Markdown, with a table of all claims.

    Each claim is a link into its page's own text, which `render_page` returns.
    """
    return _environment().get_template("results.md").render(**_names(report))


def render_page(report: Report, page: Page) -> str:
    """Return a page's section as Markdown for the page's folder."""
    return _environment().get_template("page.md").render(**_names(report), page=page)


def questions(report: Report, folder: str) -> str:
    """Return the table of pages for a README that lies above `folder`."""
    template = _environment().get_template("questions.md")
    return template.render(**_names(report), folder=folder)


def _names(report: Report) -> dict[str, Any]:
    return {
        "report": report,
        "words": words,
        "forest": forest,
        "claims": {claim.id: claim for claim in report.claims},
        "provenance": words.provenance(
            p.provenance for p in report.pages if p.provenance
        ),
    }


@cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        finalize=text,  # Markdown has no autoescape: every value passes here
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"raw": Markup, "prose": prose, "capital": capital}
    return environment


def text(value: object) -> str:
    """Return a value as text that no renderer of Markdown takes for markup."""
    if isinstance(value, Markup):
        return str(value)
    return SIGNS.sub(r"\\\1", _named(BREAK.sub(" ", str(value))))


def prose(paragraph: str) -> Markup:
    """Return a docstring's paragraph, whose strong and literal words stay marked."""
    return Markup(re.sub(r"([\[\]|$_])", r"\\\1", _named(paragraph)))


def capital(words: str) -> str:
    """Return words with a capital at their beginning and nowhere else changed."""
    return words[:1].upper() + words[1:]


def _named(words: str) -> str:
    return "".join(NAMED.get(sign, sign) for sign in words)
