"""From the result files and the pages' declarations to the report's model."""

from __future__ import annotations

import csv
import hashlib
import html
import math
import re
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from dlclaims import claims, pages, plan, results, source
from dlclaims.design import registration
from dlclaims.report import bibliography, judgement, model, words
from dlclaims.report.bibliography import Reference

Row = Mapping[str, str]

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
        _calibration(folder),
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
    variants = _rows(folder / "variants.csv")
    made = tuple(
        judgement.claim(
            page.name,
            claim,
            judged.get("claims", {}).get(claim.id, {}),
            tuple(_networks(page, claim, variants)),
        )
        for claim in page.claims
    )
    figures = tuple(_figure(folder, figure) for figure in page.figures)
    profile = manifest.get("profile", judged.get("profile", "standard"))
    current = registered.get("current", {})
    return model.Page(
        page.name,
        page.title,
        tuple(" ".join(p.split()) for p in re.split(r"\n\s*\n", page.notes.strip())),
        made,
        figures,
        tuple(_study(study, profile, variants) for study in page.studies),
        _theory(_rows(folder / "theory.csv")),
        judgement.card(page.card, made),
        current.get("digest", ""),
        tuple(
            model.Change(entry["digest"], tuple(entry["changed"]))
            for entry in registered.get("history", ())
        ),
        _provenance(manifest) if manifest else None,
        tuple(_missing(folder, page, profile, variants, figures)) if judged else (),
        tuple(_older(page, judged, current)),
        tuple(sorted(file.name for file in folder.glob("*.*") if _is_table(file))),
    )


def _is_table(file: Path) -> bool:
    return file.suffix in {".csv", ".json"}


def _rows(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _number(text: str | None) -> float | None:
    """Return a finite number, whole ones as int; None for an empty cell."""
    value = float(text) if text else math.nan
    if not math.isfinite(value):
        return None
    return int(value) if value.is_integer() else value


def _all_variants(study: pages.Study) -> dict[str, pages.Variant]:
    every = (study.variants(profile) for profile in plan.PROFILES)
    return {variant.name: variant for grid in every for variant in grid}


def _networks(
    page: pages.Page, claim: claims.Claim, variants: list[dict[str, str]]
) -> Iterable[model.Network]:
    """Yield the variants that a claim's criteria select and that were run."""
    chosen = {
        (criterion.study, name)
        for _, assertion in claim.assertions
        for criterion in assertion.criteria
        for where in pages.selections(criterion)
        for name, variant in _all_variants(page.study(criterion.study)).items()
        if variant.matches(where)
    }
    for row in variants:
        if (row["study"], row["variant"]) in chosen:
            texts = {name: row[name] for name in ("study", "variant", "tuning_flag")}
            counts = {
                field.name: _number(row.get(field.name))
                for field in fields(model.Network)
                if field.name not in texts
            }
            yield model.Network(**texts, **counts)  # type: ignore[arg-type]


def _figure(folder: Path, figure: pages.Figure) -> model.Figure:
    picture, table = (folder / f"{figure.name}{end}" for end in (".svg", ".csv"))
    text = picture.read_text(encoding="utf-8") if picture.exists() else ""
    alt = re.search(r"<desc>(.*?)</desc>", text, re.DOTALL)
    drawn = re.search(r'data-table="(\w*)"', text)
    return model.Figure(
        figure.name,
        figure.title,
        figure.reading,
        figure.study,
        f"{folder.name}/{figure.name}",
        html.unescape(alt[1]) if alt else "",
        hashlib.sha256(table.read_bytes()).hexdigest() if table.exists() else "",
        drawn[1] if drawn else "",
    )


def _study(
    study: pages.Study, profile: str, variants: list[dict[str, str]]
) -> model.Study:
    rows = [row for row in variants if row["study"] == study.name]
    rates = sorted({r for row in rows if (r := _number(row.get("learning_rate")))})
    flags = [row["tuning_flag"] for row in rows if row.get("tuning_flag")]
    tuned = [words.span(rates)] if study.tuning and rates else []
    tuned += [f"{flags.count(flag)} {flag}" for flag in sorted(set(flags))]
    counts = [
        [int(_number(row.get(n)) or 0) for row in rows]
        for n in ("ok", "diverged", "failed")
    ]
    return model.Study(
        study.name,
        study.title,
        len(rows) or len(study.variants(profile)),
        max((int(_number(row.get("seeds")) or 0) for row in rows), default=0),
        sum(map(sum, counts)),
        sum(counts[1]),
        sum(counts[2]),
        ", ".join(tuned),
        sum(_number(row.get("seconds")) or 0.0 for row in rows),
    )


def _theory(rows: list[dict[str, str]]) -> tuple[model.Theory, ...]:
    """Sum up the gaps of each quantity; factors are the columns before the numbers."""
    found = []
    for quantity in dict.fromkeys(row["outcome"] for row in rows):
        gaps = [
            (gap, row)
            for row in rows
            if row["outcome"] == quantity and (gap := _number(row["gap"])) is not None
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
                    _number(row["gap_low"]),
                    _number(row["gap_high"]),
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
    variants: list[dict[str, str]],
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
                int(_number(row.get(n)) or 0)
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


def _calibration(folder: Path) -> tuple[str, ...]:
    files = (folder / "calibration").glob("*.*")
    return tuple(
        sorted(f"calibration/{file.name}" for file in files if _is_table(file))
    )
