"""What was run: the variants of a claim and the studies of a page, with their cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields

from dlclaims import claims, pages, plan
from dlclaims.report import model, words
from dlclaims.report.tables import Row, number


def networks(
    page: pages.Page, claim: claims.Claim, variants: Sequence[Row]
) -> Iterator[model.Network]:
    """Yield the variants that a claim's criteria select and that were run."""
    criteria = [c for _, made in claim.assertions for c in made.criteria]
    chosen = {(c.study, name) for c in criteria for name in arms(page, c)}
    for row in variants:
        if (row["study"], row["variant"]) in chosen:
            texts = {name: row[name] for name in ("study", "variant", "tuning_flag")}
            counts = {
                field.name: number(row.get(field.name))
                for field in fields(model.Network)
                if field.name not in texts
            }
            yield model.Network(**texts, **counts)  # type: ignore[arg-type]


def arms(page: pages.Page, criterion: claims.Criterion) -> set[str]:
    """Return the names of the variants that a criterion compares, in any profile."""
    study = page.study(criterion.study)
    return {
        variant.name
        for profile in plan.PROFILES
        for variant in study.variants(profile)
        if any(variant.matches(where) for where in pages.selections(criterion))
    }


def study(
    page: pages.Page, declared: pages.Study, profile: str, variants: Sequence[Row]
) -> model.Study:
    """Return a study's design in numbers."""
    rows = [row for row in variants if row["study"] == declared.name]
    rates = sorted({r for row in rows if (r := number(row.get("learning_rate")))})
    flags = [row["tuning_flag"] for row in rows if row.get("tuning_flag")]
    tuned = [words.span(rates)] if declared.tuning and rates else []
    tuned += [f"{flags.count(flag)} {flag}" for flag in sorted(set(flags))]
    counts = [
        [int(number(row.get(n)) or 0) for row in rows]
        for n in ("ok", "diverged", "failed")
    ]
    return model.Study(
        declared.name,
        declared.title,
        len(rows) or len(declared.variants(profile)),
        max((int(number(row.get("seeds")) or 0) for row in rows), default=0),
        sum(map(sum, counts)),
        sum(counts[1]),
        sum(counts[2]),
        ", ".join(tuned),
        "; ".join(_equal(page, declared, cost, rows) for cost in declared.equal),
        sum(number(row.get("seconds")) or 0.0 for row in rows),
    )


def _equal(page: pages.Page, study: pages.Study, cost: str, rows: Iterable[Row]) -> str:
    """Say that a cost is declared equal, how far it is, and its range in the study."""
    from dlclaims.statistics import faults  # with scipy, which is slow

    found = {
        row["variant"]: value
        for row in rows
        if (value := number(row.get(cost))) is not None
    }
    name = cost.replace("multiply_", "multiply-").replace("_", " ")
    declared = f"equal {name} within {100 * faults.EQUAL:g} %"
    compared = [
        [found[name] for name in arms(page, criterion) if name in found]
        for claim in page.claims
        for _, made in claim.assertions
        for criterion in made.criteria
        if criterion.study == study.name
    ]
    apart = [faults.apart(own) for own in compared if len(own) > 1]
    if not apart:
        return declared
    return (
        f"{declared}: at most {words.number(round(100 * max(apart), 2))} % from their"
        f" middle where compared, {words.span(list(found.values()))} over the study"
    )
