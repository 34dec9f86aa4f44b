"""What people believe, asked one by one, then what the experiments say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from dlclaims import results, wording
from dlclaims.cli import overview, terminal
from dlclaims.errors import UsageError
from dlclaims.pages import Page
from dlclaims.shelf import Shelf

SCHEMA = 1
LETTERS = {"t": "supported", "c": "conditional", "f": "refuted"}
ASKED = ("conditional", "refuted")


def questions(shelf: Shelf, names: Sequence[str], out: Path) -> dict[str, Any]:
    """Return what the document says and the experiments do not simply confirm.

    Keys: ``schema`` and ``questions``, each with ``claim``, ``page``, ``questions``
    (numbers in the document), ``statement``, ``verdict``, ``label``, ``reason``,
    ``decisive`` (the criterion that decides), ``condition`` (it in words), ``shared``
    (what all conditions share), ``instead`` and ``figures`` (files).

    Raises
    ------
    UsageError
        No page that is named has results; or as `Shelf.select`.
    """
    meant = set(shelf.select(names))
    found = [
        _question(shelf.pages[name], claim, judged, out)
        for name in shelf.select_pages(names)
        if name in shelf.pages
        for claim, judged in _judged(out / name).items()
        if not names or {name, claim} & meant
        if judged["document"] and judged["document"]["verdict"] in ASKED
    ]
    if not found:
        raise UsageError(
            "results of claims that are refuted or conditional",
            f"none in {out}",
            "run a page first: dlclaims run vanishing-gradient --profile quick",
        )
    return {"schema": SCHEMA, "questions": found}


def _judged(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = results.read_json(folder / "verdicts.json").get(
        "claims", {}
    )
    return found


def _question(
    page: Page, claim: str, judged: Mapping[str, Any], out: Path
) -> dict[str, Any]:
    made, better = judged["document"], judged["corrected"]
    study = terminal.decisive(made)["study"]
    files = [
        out / page.name / f"{figure.name}.svg"
        for figure in page.figures
        if figure.study == study
    ]
    return {
        "claim": claim,
        "page": page.name,
        "questions": sorted({s["question"] for s in overview.statements(claim)}),
        "statement": made["text"],
        "verdict": made["verdict"],
        "label": made["label"],
        "reason": made["reason"],
        "decisive": dict(terminal.decisive(made)),
        "shared": terminal.shared(made["criteria"]).common,
        "condition": _condition(made),
        "instead": better["text"] if better else None,
        "figures": [str(file) for file in files if file.exists()],
    }


def _condition(made: Mapping[str, Any]) -> str:
    """Return what tells the condition that decides from the others."""
    criteria = made["criteria"]
    place = criteria.index(terminal.decisive(made))
    return terminal.shared(criteria).rests[place]


def ask(found: Mapping[str, Any]) -> None:
    """Ask the questions at a terminal, one by one, and count the right answers."""
    right = asked = 0
    every = found["questions"]
    for number, question in enumerate(every, 1):
        click.echo(f"\n{_title(question, f'{number} of {len(every)}')}")
        click.echo(terminal.wrap(question["statement"], "  "))
        try:
            letter = click.prompt(
                "true, true on conditions, or false? (t, c, f; q ends)",
                type=click.Choice([*LETTERS, "q"]),
                show_choices=False,
                err=True,
            )
        except click.Abort:  # the end of the input
            break
        if letter == "q":
            break
        asked += 1
        is_right = LETTERS[letter] == question["verdict"]
        right += is_right
        click.echo(f"{'Right' if is_right else 'No'}: {_answer(question)}")
    click.echo(f"\n{right} of {wording.count(asked, 'answer')} right")


def text(found: Mapping[str, Any]) -> str:
    """Return all questions with their answers."""
    return "\n\n".join(
        f"{_title(question, '')}\n{terminal.wrap(question['statement'], '  ')}\n"
        f"{_answer(question)}"
        for question in found["questions"]
    )


def _title(question: Mapping[str, Any], place: str) -> str:
    numbers = question["questions"]
    noun = "question" if len(numbers) == 1 else "questions"
    asked = f"{noun} {wording.listing(map(str, numbers))}" if numbers else ""
    return terminal.heading(" · ".join(filter(None, [place, question["page"], asked])))


def _answer(question: Mapping[str, Any]) -> str:
    decisive, common = question["decisive"], question["shared"]
    lines = [
        terminal.verdict(question["verdict"], question["label"]),
        terminal.wrap(f"{question['condition']}: {terminal.effect(decisive)}", "  "),
        *([terminal.wrap(f"In all conditions: {common}.", "  ")] if common else []),
    ]
    if question["instead"]:
        lines += ["say instead:", terminal.wrap(question["instead"], "  ")]
    lines += [f"figure: {file}" for file in question["figures"]]
    return "\n".join([*lines, f"all of it: dlclaims show {question['claim']}"])
