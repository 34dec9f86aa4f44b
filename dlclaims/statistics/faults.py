"""What makes results unfit for a verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from dlclaims import plan
from dlclaims.claims import Criterion, Deviation
from dlclaims.pages import Study
from dlclaims.plan import Profile
from dlclaims.statistics.effects import estimate
from dlclaims.statistics.reasons import Judged

if TYPE_CHECKING:
    import pandas as pd

#: How far costs that a study declares equal may lie from their middle, as a fraction.
EQUAL = 0.02

#: Share of a variant's replicas that the machinery may lose.
MOST_FAILED = 0.2


def is_exact(criterion: Criterion) -> bool:
    """Return whether a criterion needs no error rate: no p-value, any number of seeds.

    A bound is one too: its deviation is by how much it is exceeded.
    """
    return isinstance(criterion.effect, Deviation)


def defects(
    judged: Sequence[Judged],
    profile: Profile,
    studies: Iterable[Study],
    variants: pd.DataFrame,
) -> list[str]:
    """Return in words what makes the conditions' arms unfit for a verdict."""
    own_study = {study.name: study for study in studies}
    found = []
    for criterion, result in judged:
        study = own_study[criterion.study]
        planned = len(plan.evaluation_seeds(study, profile))
        if len(result.seeds) < planned:
            why = "" if result.seeds else f": {result.note}"
            found.append(
                f"{criterion.scope}: {len(result.seeds)} seeds instead of"
                f" {planned}{why}."
            )
        own = variants[
            (variants["study"] == criterion.study)
            & variants["variant"].isin(result.variants)
        ]
        for row in own.to_dict("records"):
            lost = row["failed"] / max(row["ok"] + row["diverged"] + row["failed"], 1)
            if lost > MOST_FAILED:
                found.append(
                    f"{row['variant']}: {100 * lost:.0f} % of the replicas failed."
                )
            if row["tuning_flag"] in ("low edge", "high edge"):
                found.append(
                    f"{row['variant']}: the best learning rate lies on the"
                    f" {row['tuning_flag']} of the grid."
                )
        found += [
            f"{criterion.scope}: {words}."
            for name in study.equal
            if (words := unequal(name, own[name]))
        ]
    return list(dict.fromkeys(found))


def unequal(cost: str, arms: pd.Series) -> str:
    """Return in words how a cost that must be equal in all arms is not, or nothing."""
    name = cost.replace("_", " ")
    if arms.isna().any():
        return f"{name} were not recorded in all arms"
    if apart(arms) <= EQUAL:
        return ""
    span = f"{arms.min():,.0f} to {arms.max():,.0f}"
    return f"{name} are not equal within {100 * EQUAL:g} %: {span}"


def apart(costs: Collection[float]) -> float:
    """Return how far the costs of compared arms lie from their middle, as a fraction.

    Half their range over its middle: arms that were each solved to within 2 % of one
    budget (statistics.md has it so) are at most so far apart.
    """
    low, high = min(costs), max(costs)
    return (high - low) / (high + low) if high > low else 0.0


def broken_controls(
    studies: Iterable[Study],
    profile: Profile,
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
        if profile.name != "smoke" or is_exact(control)
    ]
    return [
        f"The control {control.name} ({control.scope})"
        f" {'was not measured' if answer == 'missing' else 'does not hold'}."
        for control, answer in found
        if answer != "holds"
    ]


def is_exploratory(study: Study, profile: Profile, outcomes: pd.DataFrame) -> bool:
    """Return whether a study was run with seeds beside the registered ones."""
    own = outcomes[(outcomes["study"] == study.name) & outcomes["seed"].notna()]
    registered = {*plan.evaluation_seeds(study, profile)}
    return not {int(seed) for seed in own["seed"]} <= registered
