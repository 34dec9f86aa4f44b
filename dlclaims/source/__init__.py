"""The source document: its statements as data, and the claims that answer them.

``interview_questions.toml`` holds every **statement** of the document, paraphrased and
located, each tied to **claims** or to a **reason** why no experiment here can decide
it. ``catalogue.toml`` holds every claim that is planned, whether its page exists or
not. Both are read once, on first use.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

#: What `coverage` says of a statement. Its claims: all built, some built, none built;
#: or it has no claims. "Built" means that a page assesses the claim, not that it ran.
STATES = ("built", "partly built", "not built yet", "not testable")


@dataclass(frozen=True)
class Document:
    """Where the statements come from.

    `announced` is the number of questions in the title, `answered` how many of them the
    document answers.
    """

    title: str
    publisher: str
    announced: int
    answered: int


@dataclass(frozen=True)
class Question:
    """One answered question; `title` is a paraphrase."""

    number: int
    title: str


@dataclass(frozen=True)
class Reason:
    """Why a statement cannot be tested here: a few words, and one sentence."""

    id: str
    label: str
    text: str


@dataclass(frozen=True)
class Statement:
    """One assertion of the document, in other words than its own.

    Parameters
    ----------
    id : str
        Question and running number, e.g. ``q06-03``; never used again for another.
    question : int
        From 1.
    part : str
        The heading under which it stands; ``Opening`` before the first one.
    text : str
        The paraphrase, wrong where the document is wrong. It begins with ``Formula:``,
        ``Code:`` or ``List of`` when it stands for one of these.
    claims : tuple of str
        Ids of the claims that bear on it; may be empty.
    reason : str or None
        Id of the reason why it cannot be tested; beside claims, why they test less than
        it says.
    """

    id: str
    question: int
    part: str
    text: str
    claims: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True)
class PlannedPage:
    """A page of the catalogue and what its verdicts are expected to come to."""

    name: str
    headline: str


@dataclass(frozen=True)
class Entry:
    """A claim of the catalogue.

    Parameters
    ----------
    id, page : str
    kinds : tuple of str
        From `dlclaims.claims.KINDS`.
    text : str
        The corrected statement: what the page is expected to support.
    """

    id: str
    page: str
    kinds: tuple[str, ...]
    text: str


@cache
def _read(name: str) -> dict[str, Any]:
    import tomllib  # kept out of the module's import, which every command pays

    return tomllib.loads(Path(__file__).with_name(name).read_text("utf-8"))


def _document() -> dict[str, Any]:
    return _read("interview_questions.toml")


def document() -> Document:
    """Return where the statements come from."""
    data = _document()
    return Document(
        data["title"], data["publisher"], data["announced"], data["answered"]
    )


@cache
def questions() -> tuple[Question, ...]:
    """Return the answered questions, in the document's order."""
    return tuple(Question(q["number"], q["title"]) for q in _document()["question"])


@cache
def reasons() -> tuple[Reason, ...]:
    """Return the reasons why statements cannot be tested here."""
    return tuple(Reason(r["id"], r["label"], r["text"]) for r in _document()["reason"])


@cache
def statements() -> tuple[Statement, ...]:
    """Return all statements, in the document's order."""
    return tuple(
        Statement(
            entry["id"],
            question["number"],
            part["name"],
            entry["text"],
            tuple(entry.get("claims", ())),
            entry.get("reason"),
        )
        for question in _document()["question"]
        for part in question["part"]
        for entry in part["statement"]
    )


@cache
def planned_pages() -> tuple[PlannedPage, ...]:
    """Return the pages of the catalogue, in its order."""
    pages = _read("catalogue.toml")["page"]
    return tuple(PlannedPage(page["name"], page["headline"]) for page in pages)


@cache
def catalogue() -> tuple[Entry, ...]:
    """Return all planned claims, page by page."""
    return tuple(
        Entry(claim["id"], page["name"], tuple(claim["kinds"]), claim["text"])
        for page in _read("catalogue.toml")["page"]
        for claim in page["claim"]
    )


def statements_of(claim_id: str) -> tuple[Statement, ...]:
    """Return the statements on which a claim bears; none for a reader's own claim."""
    return tuple(s for s in statements() if claim_id in s.claims)


def coverage(built: Collection[str]) -> tuple[tuple[Statement, str], ...]:
    """Return every statement with how far the claims that bear on it are built.

    Parameters
    ----------
    built : collection of str
        Ids of the claims that pages assess; ids outside the catalogue change nothing.

    Returns
    -------
    tuple of (Statement, str)
        All statements, in the document's order, each with one of `STATES`.
    """
    known = frozenset(built)
    return tuple((statement, _state(statement, known)) for statement in statements())


def _state(statement: Statement, built: frozenset[str]) -> str:
    if not statement.claims:
        return "not testable"
    count = sum(claim in built for claim in statement.claims)
    if count == len(statement.claims):
        return "built"
    return "partly built" if count else "not built yet"
