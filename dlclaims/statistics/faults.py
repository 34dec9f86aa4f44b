"""What makes results unfit for a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dlclaims import plan
from dlclaims.claims import Criterion, Deviation
from dlclaims.pages import Study
from dlclaims.plan import PROFILES
from dlclaims.statistics.effects import estimate
from dlclaims.statistics.reasons import Judged

if TYPE_CHECKING:
    import pandas as pd

#: Share of a variant's replicas that the machinery may lose.
MOST_FAILED = 0.2


def is_exact(criterion: Criterion) -> bool:
    """Return whether a criterion needs no error rate: no p-value, any number of seeds.

    A bound is one too: its deviation is by how much it is exceeded.
    """
    return isinstance(criterion.effect, Deviation)


def defects(
    judged: Sequence[Judged],
    profile: str,
    studies: Iterable[Study],
    variants: pd.DataFrame,
) -> list[str]:
    """Return in words what makes the conditions' arms unfit for a verdict."""
    planned = {
        s.name: len(plan.evaluation_seeds(s, PROFILES[profile])) for s in studies
    }
    found = []
    for criterion, result in judged:
        if len(result.seeds) < planned[criterion.study]:
            why = "" if result.seeds else f": {result.note}"
            found.append(
                f"{criterion.scope}: {len(result.seeds)} seeds instead of"
                f" {planned[criterion.study]}{why}."
            )
        own = variants[
            (variants["study"] == criterion.study)
            & variants["variant"].isin(result.variants)
        ]
        for row in own.to_dict("records"):
            lost = row["failed"] / max(row["ok"] + row["diverged"] + row["failed"], 1)
            if lost > MOST_FAILED:
                found.append(f"{row['variant']}: {lost:.0%} of the replicas failed.")
            if row["tuning_flag"] in ("low edge", "high edge"):
                found.append(
                    f"{row['variant']}: the best learning rate lies on the"
                    f" {row['tuning_flag']} of the grid."
                )
    return list(dict.fromkeys(found))


def broken_controls(
    studies: Iterable[Study],
    profile: str,
    outcomes: pd.DataFrame,
    variants: pd.DataFrame,
) -> list[str]:
    """Return in words which sanity checks of the studies do not hold.

    With the few seeds of the smoke profile only exact ones are checked.
    """
    found = [
        (control, estimate(control, study, outcomes, variants).answer)
        for study in studies
        for control in study.controls
        if profile != "smoke" or is_exact(control)
    ]
    return [
        f"The control {control.name} ({control.scope})"
        f" {'was not measured' if answer == 'missing' else 'does not hold'}."
        for control, answer in found
        if answer != "holds"
    ]


def is_exploratory(study: Study, profile: str, outcomes: pd.DataFrame) -> bool:
    """Return whether a study was run with seeds beside the registered ones."""
    own = outcomes[(outcomes["study"] == study.name) & outcomes["seed"].notna()]
    registered = {*plan.evaluation_seeds(study, PROFILES[profile])}
    return not {int(seed) for seed in own["seed"]} <= registered
