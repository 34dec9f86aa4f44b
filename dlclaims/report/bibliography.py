"""The few rules of BibTeX that ``references.bib`` needs."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

ENTRY = re.compile(r"@(\w+)\s*\{\s*([^,\s]+)\s*,(.*?)\n\}", re.DOTALL)
FIELD = re.compile(r"^\s*(\w+)\s*=\s*\{(.*?)\},?\s*$", re.MULTILINE | re.DOTALL)
ACCENT = re.compile(r"\\([\"'`^~=.cvuH])\s*\{?\\?([A-Za-z])\}?")
ACCENTS = dict(
    zip(
        "\"'`^~=.cvuH",
        "\u0308\u0301\u0300\u0302\u0303\u0304\u0307\u0327\u030c\u0306\u030b",
        strict=True,
    )
)
LINKS = {"doi": "https://doi.org/", "eprint": "https://arxiv.org/abs/"}


@dataclass(frozen=True)
class Reference:
    """One paper: who, what, where and when, and where to find it.

    `link` is empty when the entry has neither ``doi``, ``eprint`` nor ``url``.
    """

    key: str
    authors: str
    title: str
    place: str
    year: str
    link: str


def read(file: Path) -> dict[str, Reference]:
    """Return the entries of a file by their keys; nothing where there is no file."""
    if not file.exists():
        return {}
    found = ENTRY.findall(file.read_text(encoding="utf-8"))
    return {key: _reference(key, body) for _, key, body in found}


def _reference(key: str, body: str) -> Reference:
    fields = {name.lower(): plain(value) for name, value in FIELD.findall(body)}
    names = [_name(author) for author in fields.get("author", "").split(" and ")]
    if len(names) > 4:
        names = [names[0], "others"]
    places = ("journal", "booktitle", "type", "publisher")
    link = next(
        (start + fields[name] for name, start in LINKS.items() if name in fields),
        fields.get("url", ""),
    )
    return Reference(
        key,
        ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1],
        fields.get("title", key),
        next((fields[place] for place in places if place in fields), ""),
        fields.get("year", ""),
        link if link.startswith("https://") else "",
    )


def _name(author: str) -> str:
    """Return ``X. Glorot`` for ``Glorot, Xavier``."""
    family, _, given = author.partition(", ")
    initials = " ".join(f"{part[0]}." for part in given.split())
    return f"{initials} {family}".strip()


def plain(value: str) -> str:
    r"""Return a field without braces, accents composed: ``M\"unchen`` is München."""

    def compose(match: re.Match[str]) -> str:
        return unicodedata.normalize("NFC", match[2] + ACCENTS[match[1]])

    text = ACCENT.sub(compose, value)
    text = text.replace("--", "\u2013").replace("\\&", "&")
    return " ".join(re.sub(r"[{}]", "", text).split())
