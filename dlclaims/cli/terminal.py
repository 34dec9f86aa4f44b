"""How things look in a terminal: aligned columns, verdicts in colour, numbers."""

from __future__ import annotations

import itertools
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlclaims import scopes, wording
from dlclaims.data import images
from dlclaims.errors import DlclaimsError
from dlclaims.report import words

if TYPE_CHECKING:
    from dlclaims.housekeeping import Leaving

WIDTH = 80
ROLES = ("document", "corrected")
HEADS = {
    "document": "the document says",
    "corrected": "say instead",
    "alone": "tested beside the document",
}
ANSWERS = {"holds": "green", "fails": "red", "undecided": "magenta"}
COLORS = {
    "supported": "green",
    "refuted": "red",
    "conditional": "yellow",
    "inconclusive": "magenta",
    "not assessed": "bright_black",
}


def note(text: str) -> None:
    """Tell the user something that is not data: on standard error."""
    click.echo(text, err=True)


def tell(error: DlclaimsError) -> None:
    """Tell what was expected, what came and what to do, each in one line."""
    parts = (error.expected, error.received, error.advice)
    flat = type(error)(*(" ".join(part.split()) for part in parts))
    note(str(flat))


def tell_left_out(found: Mapping[str, Sequence[str]]) -> None:
    """Tell which data sets this machine lacks, for which pages, and how to get them."""
    for name, pages in found.items():
        note(f"left out: {', '.join(pages)} on {name}; to have it, {images.WAYS[name]}")


def columns(rows: Iterable[Sequence[str]], indent: str = "") -> str:
    """Return rows as lines with aligned columns."""
    rows = [list(row) for row in rows]
    widths = [
        max(len(click.unstyle(cell)) for cell in c) for c in zip(*rows, strict=True)
    ]
    return "\n".join(
        indent
        + "  ".join(_pad(cell, w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _pad(cell: str, width: int) -> str:
    return cell + " " * (width - len(click.unstyle(cell)))


def wrap(text: str, indent: str = "") -> str:
    """Return text as lines that fit the terminal (at most 80 columns)."""
    width = min(shutil.get_terminal_size().columns, WIDTH)
    return textwrap.fill(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def heading(text: str) -> str:
    """Return a heading."""
    return click.style(text, bold=True)


def verdict(word: str, label: str | None = None) -> str:
    """Return a verdict in its colour, with its label: ``refuted (reversed)``."""
    text = f"{word} ({label})" if label else word
    return click.style(text, fg=COLORS[word])


def tally(numbers: Mapping[str, int]) -> str:
    """Return ``6 supported, 3 refuted``, without those that do not occur."""
    found = [
        click.style(f"{numbers[word]} {word}", fg=color)
        for word, color in COLORS.items()
        if numbers.get(word)
    ]
    return ", ".join(found) or "none"


def duration(seconds: float | None) -> str:
    """Return a rough time in words; None is a time that nobody knows yet."""
    return "time unknown" if seconds is None else f"about {words.duration(seconds)}"


def effect(criterion: Mapping[str, Any]) -> str:
    """Return a criterion's effect with its interval, unit and number of replicas."""
    if criterion["value"] is None:
        return "not measured"
    kind = kind_of(criterion)
    told = wording.sentence(kind, numbers(criterion), criterion["unit"])
    return told + _replicas(criterion)


def _replicas(criterion: Mapping[str, Any]) -> str:
    """Return ``, n = 16``; nothing for a success rate, which counts its seeds."""
    is_rate = kind_of(criterion) == wording.RATE
    return "" if is_rate else f", n = {criterion['n']:,}"


def numbers(criterion: Mapping[str, Any]) -> str:
    """Return a criterion's effect with its interval, without its unit."""
    return wording.effect(
        kind_of(criterion),
        criterion["value"],
        criterion["low"],
        criterion["high"],
        criterion["n"],
        criterion["region"],
    )


def shared(criteria: Sequence[Mapping[str, Any]]) -> scopes.Shared:
    """Return what conditions share, and what tells each from the others."""
    return scopes.conditions(
        [criterion["scope"] for criterion in criteria],
        [criterion.get("mechanism") for criterion in criteria],
    )


def decisive(assertion: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the criterion on which an assertion's verdict hangs.

    The least certain of those whose answer made the verdict: of those that hold when
    all hold, of those that fail when one fails, of the undecided ones otherwise.
    """
    criteria = assertion["criteria"]
    answer, p = {
        "supported": ("holds", "p_holds"),
        "refuted": ("fails", "p_fails"),
        "conditional": ("fails", "p_fails"),
    }.get(assertion["verdict"], ("undecided", "p_holds"))
    those = [c for c in criteria if c["answer"] == answer] or criteria
    return max(those, key=lambda c: c[p] or 0.0)


def contents(found: Mapping[str, Any]) -> str:
    """Return the list of pages as text."""
    rows = [("page", "claims", "the document", "corrected", "")]
    rows += [
        (
            page["name"],
            str(len(page["claims"])),
            *(_tallies(page["verdicts"])),
            page["title"],
        )
        for page in found["pages"]
    ]
    claims = sum(len(page["claims"]) for page in found["pages"])
    missing = sum(map(len, found["not_built"].values()))
    pages, others = len(found["pages"]), len(found["not_built"])
    return (
        f"{columns(rows)}\n\n"
        f"{words.count(pages, 'page')} with {words.count(claims, 'claim')};"
        f" {words.count(missing, 'planned claim')} on {words.count(others, 'page')}"
        " not built yet"
    )


def _tallies(verdicts: Mapping[str, Any] | None) -> tuple[str, str]:
    if verdicts is None:
        return "no results", ""
    return tally(verdicts["document"]), tally(verdicts["corrected"])


def descriptions(found: Mapping[str, Any]) -> str:
    """Return pages and claims as text."""
    parts = [
        *map(_page, found["pages"]),
        *map(_claim, found["claims"]),
        *map(_planned, found["planned"]),
    ]
    return "\n\n".join(parts)


def _page(page: Mapping[str, Any]) -> str:
    studies = [
        (
            s["name"],
            words.count(s["variants"], "variant"),
            f"{s['seeds']} seeds",
            s["title"],
        )
        for s in page["studies"]
    ]
    lines = [
        heading(f"{page['name']}: {page['title']}"),
        page["file"],
        page["notes"].strip(),
        f"{heading('Studies')}\n{columns(studies, '  ')}",
        heading("Claims"),
    ]
    return "\n\n".join([*lines, *map(_short_claim, page["claims"])])


def _short_claim(claim: Mapping[str, Any]) -> str:
    lines = [f"  {heading(claim['id'])}"]
    for role in ROLES:
        made = claim[role]
        if made:
            lines.append(f"    {HEADS[role]}: {_verdict_of(made)}")
            lines.append(wrap(made["text"], "      "))
    return "\n".join(lines)


def _verdict_of(assertion: Mapping[str, Any]) -> str:
    if assertion["verdict"] is None:
        return f"no results yet, {assertion['expected']} is expected"
    marks = {
        "exploratory": "exploratory: other seeds than registered",
        "uncorrected_only": "not beyond the number of claims in the report",
    }
    found = [mark for name, mark in marks.items() if assertion[name]]
    return ", ".join([verdict(assertion["verdict"], assertion["label"]), *found])


def _claim(claim: Mapping[str, Any]) -> str:
    kinds = ", ".join(claim["kinds"])
    parts = [
        f"{heading(claim['id'])} (page {claim['page']}; {kinds})",
        *_statements(claim),
        *(
            _assertion(role if claim["document"] else "alone", claim[role])
            for role in ROLES
            if claim[role]
        ),
    ]
    if claim["theory"]:
        parts.append(f"{heading('theory')}\n{wrap(claim['theory'], '  ')}")
    if claim["published"]:
        told = (
            f"{p['result']}: {p['of']} ({p['reference']}, {p['place']})"
            for p in claim["published"]
        )
        parts.append("\n".join([heading("published"), *(wrap(t, "  ") for t in told)]))
    if claim["figures"]:
        parts.append("\n".join([heading("figures"), *_paths(claim["figures"])]))
    profile = claim["profile"] or "standard"
    run = f"dlclaims run {claim['page']} --profile {profile}"
    parts.append(f"{heading('run it again')}\n  {run}")
    return "\n\n".join(parts)


def _paths(files: Iterable[str]) -> list[str]:
    """Return paths in lines, from the current folder where they lie in it."""
    here = Path.cwd()
    paths = map(Path, files)
    return [f"  {p.relative_to(here) if p.is_relative_to(here) else p}" for p in paths]


def _statements(claim: Mapping[str, Any]) -> list[str]:
    return [
        f"question {s['question']}, {s['part']}, says\n{wrap(s['text'], '  ')}"
        for s in claim["statements"]
    ]


def _assertion(role: str, made: Mapping[str, Any]) -> str:
    lines = [
        f"{heading(HEADS[role])}: {_verdict_of(made)}",
        wrap(made["text"], "  "),
        *([wrap(made["reason"], "  ")] if made["reason"] else []),
    ]
    criteria = made["criteria"]
    found = shared(criteria)
    if found.common:
        lines.append(wrap(f"In all conditions: {found.common}.", "  "))
    rows = zip(found.rests, criteria, strict=True)
    for (kind, unit, edges), group in itertools.groupby(rows, key=_needed):
        told = wording.unit(kind, unit)
        lines += [
            "",
            wrap(f"{told}; needed: {wording.region(*edges, kind=kind)}", "  "),
        ]
        lines += [_condition(name, criterion) for name, criterion in group]
    return "\n".join(lines)


def _needed(row: tuple[str, Mapping[str, Any]]) -> tuple[str, str, tuple[Any, Any]]:
    """Return what a group of conditions has in common: kind, unit and region."""
    criterion = row[1]
    low, high = criterion["region"]
    return kind_of(criterion), criterion["unit"], (low, high)


def _condition(name: str, criterion: Mapping[str, Any]) -> str:
    """Return a condition's answer, its numbers, and under them its name."""
    answer = criterion["answer"]
    if criterion["value"] is None and not answer:
        return wrap(name, "    ")
    sign = click.style(words.ANSWERS[answer], fg=ANSWERS.get(answer))
    told = numbers(criterion) if criterion["value"] is not None else "no number"
    return f"  {sign} {answer:<9}  {told}{_replicas(criterion)}\n{wrap(name, '      ')}"


def kind_of(criterion: Mapping[str, Any]) -> str:
    """Return the kind of a criterion's effect."""
    return str(criterion["effect"]["kind"])


def _planned(claim: Mapping[str, Any]) -> str:
    parts = [
        f"{heading(claim['id'])} (planned for page {claim['page']}, not built yet)",
        *_statements(claim),
        f"to be tested\n{wrap(claim['text'], '  ')}",
    ]
    return "\n\n".join(parts)


def outcome(found: Mapping[str, Any]) -> str:
    """Return what a run came to: a table of verdicts, and where the report lies."""
    rows = [("claim", "the document", "corrected", "the criterion that decides")]
    for page in found["pages"]:
        for name, claim in page["claims"].items():
            made = claim["document"] or claim["corrected"]
            both = (claim[role] for role in ROLES)
            each = (verdict(a["verdict"], a["label"]) if a else "" for a in both)
            rows.append((name, *each, effect(decisive(made))))
    table = f"{columns(rows)}\n\n" if len(rows) > 1 else ""
    return f"{table}{found['report']}"


def prospects(found: Mapping[str, Any]) -> str:
    """Return what a run would do: the cells that are not stored, and why."""
    rows = [
        (cell["state"], cell["cell"], cell["reason"])
        for cell in found["cells"]
        if cell["state"] != "stored"
    ]
    states = Counter(cell["state"] for cell in found["cells"])
    numbers = (f"{states[s]} {s}" for s in ("stored", "to run", "after tuning"))
    return "\n".join([*([columns(rows)] if rows else []), ", ".join(numbers)])


def standings(found: Mapping[str, Any]) -> str:
    """Return how the results of pages stand."""
    rows = [("page", "results", "stored", "missing", "failed", "design")]
    rows += [
        (
            page["page"],
            page["profile"] or "none",
            *(str(page[name]) for name in ("stored", "missing", "failed")),
            _changes(page),
        )
        for page in found["pages"]
    ]
    return columns(rows)


def _changes(page: Mapping[str, Any]) -> str:
    if page["profile"] is None:
        return ""
    return "; ".join(page["changes"]) or "as registered"


def checks(found: Mapping[str, Any]) -> str:
    """Return what the doctor found."""
    rows = [
        (
            check["name"],
            check["found"],
            f"to do: {check['to_do']}" * bool(check["to_do"]),
        )
        for check in found["checks"]
    ]
    return columns(rows)


def leavings(found: Sequence[Leaving], out: Path, dry_run: bool) -> str:
    """Return how many files were deleted, or would be, and why, by reason."""
    verb = "would delete" if dry_run else "deleted"
    size = sum(leaving.bytes for leaving in found) / 1e6
    head = f"{verb} {words.count(len(found), 'file')} in {out}, {size:,.1f} MB"
    reasons = Counter(leaving.reason for leaving in found)
    lines = [f"  {words.count(n, 'file')}: {reason}" for reason, n in reasons.items()]
    return "\n".join([head, *lines])


def tell_failures(failed: Mapping[str, str], again: str) -> None:
    """Tell which cells a run lost, and how to try `again`; of many, the first three."""
    for label, message in list(failed.items())[:3]:
        tell(
            DlclaimsError(
                f"the cell {label} to be measured",
                message,
                f"{again}, once its cause is mended",
            )
        )
    if len(failed) > 3:
        note(f"and {len(failed) - 3} more; manifest.json names all")
