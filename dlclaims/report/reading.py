"""From the result files and the pages' declarations to the report's model."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlclaims import pages, plan, results, source
from dlclaims.design import registration
from dlclaims.report import (
    bibliography,
    calibration,
    designs,
    judgement,
    model,
    tables,
    words,
)
from dlclaims.report.bibliography import Reference
from dlclaims.report.tables import Row, number

#: Settings that the engine picks for each configuration: `training` tells them.
PLANNED = ("xla", "replicas_per_call")


def build(folder: Path, known: Mapping[str, pages.Page]) -> model.Report:
    """Return the report on the pages in `known`, from the results in `folder`.

    Pages come in the catalogue's order, others after them. Nothing is computed from
    cells, and nothing is written.
    """
    planned = [page.name for page in source.planned_pages()]
    names = sorted(known, key=lambda n: (planned.index(n) if n in planned else 999, n))
    made = tuple(_page(folder / name, known[name]) for name in names)
    strangers = [name for name in results.names(folder) if name not in known]
    built = {claim.id for page in made for claim in page.claims}
    covered = source.coverage(built)
    return model.Report(
        source.document(),
        made,
        tuple(
            model.Coverage(
                question.number,
                question.title,
                tuple(pair for pair in covered if pair[0].question == question.number),
            )
            for question in source.questions()
        ),
        source.reasons(),
        _references(known.values()),
        calibration.calibration(folder, made),
        calibration.replication(folder, made),
        tuple(_fault(row) for row in tables.rows(folder / "faults.csv")),
        tuple(
            f"There are results of {name}, but its page is not at hand: name its folder"
            " with --pages."
            for name in strangers
        ),
    )


def _page(folder: Path, page: pages.Page) -> model.Page:
    judged = results.read_json(folder / "verdicts.json")
    manifest = results.read_json(folder / "manifest.json")
    registered = results.read_json(folder / "registration.json")
    tried = judgement.sensitivity(results.read_json(folder / "sensitivity.json"))
    took = manifest.get("seconds_by_variant", {})
    variants = [
        {**row, "seconds": str(took.get(row["study"], {}).get(row["variant"], ""))}
        for row in tables.rows(folder / "variants.csv")
    ]
    made = tuple(
        judgement.claim(
            page.name,
            claim,
            judged.get("claims", {}).get(claim.id, {}),
            tried.get(claim.id, {}),
            tuple(designs.networks(page, claim, variants)),
        )
        for claim in page.claims
    )
    profile = manifest.get("profile", judged.get("profile", "standard"))
    studies = [study for study in page.studies if study.variants(profile)]
    shown = {study.name for study in studies}
    figures = tuple(tables.figure(folder, f) for f in page.figures if f.study in shown)
    current = registered.get("current", {})
    return model.Page(
        page.name,
        page.title,
        tuple(" ".join(p.split()) for p in re.split(r"\n\s*\n", page.notes.strip())),
        made,
        figures,
        tuple(designs.study(page, study, profile, variants) for study in studies),
        _theory(tables.rows(folder / "theory.csv")),
        judgement.card(page.card, made),
        current.get("digest", ""),
        tuple(
            model.Change(entry["digest"], tuple(entry["changed"]))
            for entry in registered.get("history", ())
        ),
        _provenance(manifest) if manifest else None,
        tuple(_missing(folder, page, profile, variants, figures)) if judged else (),
        tuple(_older(page, judged, current)),
        tables.listed(folder, folder),
        page.card.rests_on,
    )


def _fault(row: Row) -> model.Fault:
    return model.Fault(
        row["fault"],
        injections=int(row["injections"]),
        lost=int(row["lost"]),
        duplicated=int(row["duplicated"]),
        recomputed=int(row["recomputed"]),
        detail=row["detail"],
        commit=row["commit"],
        device=row["device"],
    )


def _theory(rows: Sequence[Row]) -> tuple[model.Theory, ...]:
    """Sum up the gaps of each quantity; factors are the columns before the numbers."""
    found = []
    for quantity in dict.fromkeys(row["outcome"] for row in rows):
        gaps = [
            (gap, row)
            for row in rows
            if row["outcome"] == quantity and (gap := number(row["gap"])) is not None
        ]
        if gaps:
            largest, row = max(gaps, key=lambda pair: abs(pair[0]))
            names = list(row)[: list(row).index("measured")]
            found.append(
                model.Theory(
                    quantity,
                    len(gaps),
                    statistics.median(abs(gap) for gap, _ in gaps),
                    largest,
                    number(row["gap_low"]),
                    number(row["gap_high"]),
                    words.levels({name: row[name] for name in names if row[name]}),
                )
            )
    return tuple(found)


def _provenance(manifest: Mapping[str, Any]) -> model.Provenance:
    numerics = manifest.get("numerics", {})
    return model.Provenance(
        manifest.get("profile", ""),
        manifest.get("commit") or "",
        manifest.get("device_name") or manifest.get("device") or "",
        manifest.get("versions", {}),
        {name: v for name, v in numerics.items() if name not in PLANNED},
        tuple(map(_way, manifest.get("engine", ()))),
        len(manifest.get("cells", ())),
        float(manifest.get("seconds") or 0.0),
    )


def _way(way: Mapping[str, Any]) -> str:
    """Say how many cells of a study the engine trained in which way."""
    cells = words.count(way["cells"], "cell")
    share = words.count(way["replicas_per_call"], "replica")
    compiled = "compiled by XLA" if way["xla"] else "without XLA"
    return f"{way['study']}: {cells} {compiled}, {share} a call"


def _missing(
    folder: Path,
    page: pages.Page,
    profile: str,
    variants: Sequence[Row],
    figures: tuple[model.Figure, ...],
) -> Iterable[str]:
    """Say what the results lack, in sentences."""
    for name in ("outcomes.csv", "variants.csv", "theory.csv", "manifest.json"):
        if not (folder / name).exists():
            yield f"The file {name} is missing."
    for study in page.studies:
        rows = {row["variant"]: row for row in variants if row["study"] == study.name}
        absent = [v.name for v in study.variants(profile) if v.name not in rows]
        if absent:
            yield f"Study {study.name} has no results of {words.listing(absent)}."
        for name, row in rows.items():
            planned, ok, diverged, failed = (
                int(number(row.get(n)) or 0)
                for n in ("seeds", "ok", "diverged", "failed")
            )
            if failed:
                yield (
                    f"{name} lost {failed} of {words.count(planned, 'replica')}"
                    " to faults of the machinery."
                )
            if diverged and not ok:
                yield f"All {words.count(diverged, 'replica')} of {name} diverged."
        if study.sampling != "exact" and {r["seeds"] for r in rows.values()} == {"1"}:
            yield f"Study {study.name} has one seed, so there are no intervals."
    for figure in figures:
        if not figure.alt:
            yield f"The picture {figure.name} has not been drawn."
        elif figure.table != figure.drawn_from:
            yield f"The picture {figure.name} was drawn from another table."


def _older(
    page: pages.Page, judged: Mapping[str, Any], current: Mapping[str, Any]
) -> Iterable[str]:
    """Say what has changed on the page since its results were made."""
    if not current:
        return
    now = registration(page, plan.PROFILES[current["profile"]])
    if now["digest"] != current["digest"]:
        yield from results.changes(current, now) or ["the design changed"]
    if judged.get("registration") != current["digest"]:
        yield "the verdicts belong to another registration"


def _references(known: Iterable[pages.Page]) -> tuple[Reference, ...]:
    """Return the cited entries by key; a key without an entry stands for itself."""
    found: dict[str, Reference] = {}
    for page in known:
        near = page.file.parent, page.file.parent.parent, pages.built_in_folder()
        entries: dict[str, Reference] = {}
        for folder in reversed(near):
            entries |= bibliography.read(folder / "references.bib")
        for claim in page.claims:
            for key in claim.references:
                bare = Reference(key, "", key, "", "", "")
                found.setdefault(key, entries.get(key, bare))
    return tuple(found[key] for key in sorted(found))
