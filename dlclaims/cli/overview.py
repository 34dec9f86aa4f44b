"""What is there: pages, claims, verdicts, and what is not built yet.

One JSON-ready description for each question that a reader asks; the command line prints
it as text or as it is. Nothing heavy is imported: these answers come at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dlclaims import plan, results, source
from dlclaims.claims import Assertion, Claim
from dlclaims.cli.doctor import Check
from dlclaims.errors import DlclaimsError
from dlclaims.pages import Page
from dlclaims.results import edges
from dlclaims.shelf import Shelf
from dlclaims.suite import PageResult
from dlclaims.survey import Prospect, Status

SCHEMA = 1
ROLES = ("document", "corrected")


def contents(shelf: Shelf, out: Path) -> dict[str, Any]:
    """Return all pages with their claims and verdicts, and the claims without a page.

    Keys: ``schema``, ``pages``, ``broken``, ``not_built`` (claim ids by planned page).
    The verdicts of a page are None until it has results.
    """
    built = shelf.claims
    missing: dict[str, list[str]] = {}
    for entry in source.catalogue():
        if entry.id not in built:
            missing.setdefault(entry.page, []).append(entry.id)
    return {
        "schema": SCHEMA,
        "pages": [_line(page, out) for page in shelf.pages.values()],
        "broken": [
            {"name": name, **faults(error)} for name, error in shelf.broken.items()
        ],
        "not_built": missing,
    }


def faults(error: DlclaimsError) -> dict[str, str]:
    """Return an error's three parts by name."""
    return {
        "expected": error.expected,
        "received": error.received,
        "to_do": error.advice,
    }


def describe(shelf: Shelf, words: Sequence[str], out: Path) -> dict[str, Any]:
    """Return what is known of the pages and claims that `words` name.

    Keys: ``schema``, ``pages``, ``claims``, ``planned`` (of the catalogue, without a
    page yet). Raises as `Shelf.select` does.
    """
    planned = {entry.id: entry for entry in source.catalogue()}
    missing = [word for word in words if word in planned and word not in shelf.claims]
    chosen = shelf.select([word for word in words if word not in missing])
    return {
        "schema": SCHEMA,
        "pages": [_page(shelf.pages[n], out) for n in chosen if n in shelf.pages],
        "claims": [
            _claim(*shelf.claims[n], out)
            for n in chosen
            if n in shelf.claims and n not in shelf.pages
        ],
        "planned": [
            {
                "id": name,
                "page": planned[name].page,
                "text": planned[name].text,
                "statements": statements(name),
            }
            for name in missing
        ],
    }


def outcome(found: Sequence[PageResult], out: Path) -> dict[str, Any]:
    """Return what a run came to: cells, failures, verdicts as in ``verdicts.json``."""
    return {
        "schema": SCHEMA,
        "report": str(out / "report.html"),
        "pages": [
            {
                "name": page.page,
                "trained": page.trained,
                "stored": page.cached,
                "failed": dict(page.failed),
                "error": faults(page.error) if page.error else None,
                "profile": page.verdicts.get("profile"),
                "claims": page.verdicts.get("claims", {}),
            }
            for page in found
        ],
    }


def prospects(found: Sequence[Prospect]) -> dict[str, Any]:
    """Return what a run would do, cell by cell."""
    return {
        "schema": SCHEMA,
        "cells": [
            {"cell": p.cell.label, "state": p.state, "reason": p.reason} for p in found
        ],
    }


def standings(found: Sequence[Status]) -> dict[str, Any]:
    """Return how the results of pages stand."""
    return {"schema": SCHEMA, "pages": [asdict(page) for page in found]}


def checks(found: Sequence[Check]) -> dict[str, Any]:
    """Return what the doctor found."""
    return {"schema": SCHEMA, "checks": [asdict(check) for check in found]}


def tally(verdicts: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return how often each verdict occurs on a page, for document and corrected."""
    claims = verdicts["claims"].values()
    return {
        role: dict(Counter(c[role]["verdict"] for c in claims if c[role]))
        for role in ROLES
    }


def _verdicts(page: str, out: Path) -> dict[str, Any]:
    return results.read_json(out / page / "verdicts.json")


def _line(page: Page, out: Path) -> dict[str, Any]:
    found = _verdicts(page.name, out)
    return {
        "name": page.name,
        "title": page.title,
        "claims": [claim.id for claim in page.claims],
        "profile": found.get("profile"),
        "verdicts": tally(found) if found else None,
    }


def _page(page: Page, out: Path) -> dict[str, Any]:
    profile = plan.PROFILES["standard"]
    return {
        **_line(page, out),
        "notes": page.notes,
        "file": str(page.file),
        "studies": [
            {
                "name": study.name,
                "title": study.title,
                "variants": len(study.variants(profile.name)),
                "seeds": len(plan.evaluation_seeds(study, profile)),
            }
            for study in page.studies
        ],
        "claims": [_claim(page, claim, out) for claim in page.claims],
    }


def _claim(page: Page, claim: Claim, out: Path) -> dict[str, Any]:
    found = _verdicts(page.name, out)
    outcome = found.get("claims", {}).get(claim.id, {})
    return {
        "id": claim.id,
        "page": page.name,
        "kinds": list(claim.kinds),
        "theory": claim.theory,
        "references": list(claim.references),
        "published": [asdict(one) for one in claim.published],
        "figures": figures(page, claim.assertions, out),
        "statements": statements(claim.id),
        "profile": found.get("profile"),
        **{
            role: _assertion(made, outcome.get(role)) if made else None
            for role, made in ((r, getattr(claim, r)) for r in ROLES)
        },
    }


def figures(
    page: Page, assertions: Iterable[tuple[str, Assertion]], out: Path
) -> list[str]:
    """Return the pictures that are there of the studies that assertions read."""
    read = {c.study for _, made in assertions for c in made.criteria}
    files = [out / page.name / f"{f.name}.svg" for f in page.figures if f.study in read]
    return [str(file) for file in files if file.exists()]


def statements(claim_id: str) -> list[dict[str, Any]]:
    """Return what the document says that a claim tests."""
    return [
        {"id": s.id, "question": s.question, "part": s.part, "text": s.text}
        for s in source.statements_of(claim_id)
    ]


def _assertion(made: Assertion, outcome: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what is asserted or, from ``verdicts.json``, what came of it."""
    if outcome:
        return dict(outcome)
    return {
        "text": made.text,
        "expected": made.expected,
        "verdict": None,
        "label": None,
        "reason": "",
        "criteria": [
            {
                "name": criterion.name,
                "study": criterion.study,
                "scope": criterion.scope,
                "unit": criterion.unit,
                "reason": criterion.reason,
                "rival": criterion.rival,
                "effect": {"kind": criterion.effect.kind},
                "region": edges(criterion.region),
                "value": None,
                "low": None,
                "high": None,
                "n": 0,
                "answer": "",
            }
            for criterion in made.criteria
        ],
    }
