"""From ``calibration.json`` and ``replication.json`` to the report's model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlclaims import results
from dlclaims.figures.calibration import FIGURE
from dlclaims.report import words
from dlclaims.report.model import Page
from dlclaims.report.soundness import (
    Calibration,
    Check,
    Family,
    Power,
    Repeated,
    Replicated,
    Replication,
    Twins,
)
from dlclaims.report.tables import figure, known, listed


def calibration(folder: Path, pages: Sequence[Page]) -> Calibration | None:
    """Return how the verdicts were calibrated; None when they were not yet.

    Files of another version do not count: they are soon made again.

    Parameters
    ----------
    folder : Path
        The results.
    pages : sequence of Page
        Those of the report, with the digests of their results.
    """
    place = folder / "calibration"
    found = results.read_json(place / "calibration.json")
    if found.get("schema") != results.CALIBRATION_SCHEMA:
        return None
    nulls = tuple(Family(**known(Family, row)) for row in found["nulls"])
    powers = tuple(Power(**known(Power, row)) for row in found["powers"])
    pooled = Twins(**known(Twins, found["pooled"] | {"page": ""}))
    return Calibration(
        _summary(nulls, powers, pooled),
        _short(nulls),
        found["passed"],
        *_origin(found),
        tuple(sorted(nulls, key=lambda family: not family.gated)),
        powers,
        tuple(Check(**known(Check, row)) for row in found["checks"]),
        tuple(
            Twins(**known(Twins, row | {"page": page}))
            for page, row in found["pages"].items()
        ),
        pooled,
        found["pooled"]["limit"],
        figure(place, FIGURE),
        tuple(_older(found["pages"], pages)),
        listed(place, folder),
    )


def replication(folder: Path, pages: Sequence[Page]) -> Replication | None:
    """Return what became of the verdicts on other seeds; None before it was tried."""
    place = folder / "replication"
    found = results.read_json(place / "replication.json")
    if found.get("schema") != results.CALIBRATION_SCHEMA:
        return None
    made = tuple(
        Replicated(
            page,
            tuple(Repeated(**known(Repeated, row)) for row in block["claims"]),
            block["answers"]["of"],
            block["answers"]["same"],
            block["answers"]["opposite"],
        )
        for page, block in found["pages"].items()
    )
    return Replication(
        _repeated(found["agree"], found["of"], made),
        *_origin(found),
        found["first"],
        found["agree"],
        found["of"],
        made,
        tuple(_older(found["pages"], pages)),
        listed(place, folder),
    )


def _origin(found: Mapping[str, Any]) -> tuple[str, str, str, float]:
    commit, device = (found.get(name) or "" for name in ("commit", "device_name"))
    return commit, device, found["profile"], float(found["seconds"])


def _older(
    recorded: Mapping[str, Mapping[str, Any]], pages: Iterable[Page]
) -> Iterator[str]:
    """Say which pages' results are not those that were known when a file was made."""
    for page in pages:
        if page.digest and page.name not in recorded:
            yield f"{page.name} is lacking"
        elif page.digest and recorded[page.name]["registration"] != page.digest:
            yield f"{page.name} has another registration since"


def _summary(nulls: Iterable[Family], powers: Iterable[Power], pooled: Twins) -> str:
    """Say in a sentence how often a verdict would be wrong."""
    gated = [family for family in nulls if family.gated]
    parts = []
    if gated:
        wrong = [
            words.percent(max(getattr(family, name) for family in gated))
            for name in ("false_supported", "false_refuted")
        ]
        each = words.span([family.simulated for family in gated])
        parts.append(
            f"of {each} simulated claims that are on the very edge between true and"
            f" false, at most {wrong[0]} were called supported, and at most {wrong[1]}"
            f" refuted, whichever of {words.count(len(gated), 'kind')} of noise they"
            " had"
        )
    if pooled.claims:
        parts.append(
            f"of {words.count(pooled.claims, 'claim')} on real training that compare a"
            f" network with itself, {pooled.false_supported} were called supported"
            f" ({pooled.false_supported_at_zero} if any effect counted)"
        )
    parts += [
        f"a claim that is true by a standard deviation was found with {row.seeds} seeds"
        f" in {words.percent(row.supported)} of cases"
        for row in powers
        if row.limit is not None
    ]
    sentence = "; ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}."


def _short(nulls: Iterable[Family]) -> str:
    gated = [family for family in nulls if family.gated]
    made = sum(family.simulated for family in gated)
    wrong = sum(family.simulated * family.false_supported for family in gated)
    share = words.percent(wrong / made) if made else words.DASH
    return (
        f"of {made:,} simulated claims on the very edge of being true, {share} were"
        " called supported"
    )


def _repeated(agree: int, of: int, pages: Iterable[Replicated]) -> str:
    conditions, same, opposite = (
        sum(getattr(page, name) for page in pages)
        for name in ("conditions", "same", "opposite")
    )
    return (
        f"On seeds that were never used before, {agree} of"
        f" {words.count(of, 'verdict')} came out the same; of"
        f" {words.count(conditions, 'condition')}, {same} got the same answer and"
        f" {opposite} the opposite one."
    )
