"""From measured tables to the tables of a page's results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dlclaims.claims import Criterion, Deviation, Gap, Quantity, Value
from dlclaims.pages import COSTS, Page, Study
from dlclaims.plan import Cell, Profile, evaluation_seeds
from dlclaims.statistics import intervals
from dlclaims.statistics.effects import all_variants
from dlclaims.statistics.intervals import Array
from dlclaims.statistics.quantities import elements_of, reduce

if TYPE_CHECKING:
    import pandas as pd

OUTCOMES = [
    *("source", "study", "variant", "seed", "outcome", "value"),
    *("status", "learning_rate"),
]


class Lost(Protocol):
    """A cell that the machinery lost."""

    @property
    def cell(self) -> Cell: ...


def criteria_of(page: Page, study: Study) -> tuple[Criterion, ...]:
    """Return all criteria that read a study, its controls first."""
    made = (
        criterion
        for claim in page.claims
        for _, assertion in claim.assertions
        for criterion in assertion.criteria
    )
    return tuple(c for c in (*study.controls, *made) if c.study == study.name)


def quantities_of(page: Page, study: Study) -> tuple[Quantity, ...]:
    """Return the quantities that a study's criteria read, each once."""
    effects = [criterion.effect for criterion in criteria_of(page, study)]
    counted = [elements_of(e) for e in effects if isinstance(e, Deviation)]
    return tuple({of.label: of for of in [*(e.of for e in effects), *counted]}.values())


def outcomes(
    page: Page,
    measured: Mapping[str, pd.DataFrame],
    predicted: Mapping[str, pd.DataFrame],
) -> pd.DataFrame:
    """Return one number for each replica and quantity that a criterion reads.

    A diverged replica has its study's registered score: that of the column for a
    `Value`, that of the quantity's label for a slope or a rank correlation. Where none
    is registered, its outcome is missing.

    Parameters
    ----------
    measured, predicted : mapping of str to DataFrame
        By study.

    Returns
    -------
    DataFrame
        Columns `OUTCOMES`, sorted; ``seed`` is missing where ``source`` is ``theory``.
    """
    import pandas as pd

    parts = []
    for study in page.studies:
        for of in quantities_of(page, study):
            rows = measured.get(study.name)
            if rows is not None and len(rows) and of.column in rows:
                parts.append(_measured(study, of, rows))
            rows = predicted.get(study.name)
            if rows is not None and len(rows) and of.column in rows:
                found = reduce(of, rows, ["study", "variant"]).reset_index(name="value")
                parts.append(found.assign(source="theory", outcome=of.label))
    table = pd.concat(parts) if parts else pd.DataFrame()
    table = table.reindex(columns=OUTCOMES)
    keys = ["source", "study", "outcome", "variant", "seed"]
    return table.sort_values(keys, kind="stable").reset_index(drop=True)


def _measured(study: Study, of: Quantity, rows: pd.DataFrame) -> pd.DataFrame:
    keys = ["study", "variant", "seed"]
    values = reduce(of, rows, keys).rename("value")
    kept = [name for name in ("status", "learning_rate") if name in rows]
    replicas = _replicas(rows, keys)[[*keys, *kept]]
    found = replicas.join(values, on=keys, how="right")
    if "status" in found:
        name = of.column if isinstance(of, Value) else of.label
        is_lost = found["status"] == "diverged"
        found.loc[is_lost, "value"] = dict(study.diverged).get(name, math.nan)
    return found.assign(source="measured", outcome=of.label)


def _replicas(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Return one row of each replica; a diverged one, where any of its rows is."""
    if "status" in rows:
        rows = rows.iloc[np.argsort(rows["status"] != "diverged", kind="stable")]
    return rows.drop_duplicates(list(keys))


def choose_rates(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Choose the learning rate of every variant by its tuning seeds.

    The best rate has the largest mean score over seeds; of equal ones the lowest. At
    the grid's edge it is flagged where it beats its neighbour by more than the spread
    of the tuning seeds (the larger standard deviation of the two rates; a rate with a
    replica below all others has none): a better rate may lie outside.

    Parameters
    ----------
    study : Study
        With a `Tuning`.
    tuned : DataFrame
        The tuning cells' rows; one row for each variant, seed and rate. A diverged
        replica scores the registered number, or below all others without one.

    Returns
    -------
    DataFrame
        ``variant``, ``learning_rate``, ``tuning_flag``: ``""``, ``low edge``,
        ``high edge`` or ``untrainable``, where no rate reaches `trains_above`.
    """
    import pandas as pd

    assert study.tuning is not None
    tuning = study.tuning
    worst = dict(study.diverged).get(tuning.choose, -math.inf)
    is_lost = ~np.isfinite(tuned[tuning.choose])
    if "status" in tuned:
        is_lost |= tuned["status"] == "diverged"
    scored = tuned.assign(score=tuned[tuning.choose].mask(is_lost, worst))
    rows = []
    for variant, own in scored.groupby("variant", sort=False):
        scores = own.pivot(index="learning_rate", columns="seed", values="score")
        scores = scores.fillna(worst)
        flag, best = _best_rate(scores.to_numpy(), tuning.trains_above)
        rows.append((variant, float(scores.index[best]), flag))
    return pd.DataFrame(rows, columns=["variant", "learning_rate", "tuning_flag"])


def _best_rate(scores: Array, trains_above: float) -> tuple[str, int]:
    """Return the flag and the place of the best rate; `scores` is (rates, seeds)."""
    means = scores.mean(axis=1)
    best, last = int(np.argmax(means)), len(means) - 1
    if means[best] < trains_above or means[best] == -math.inf:
        return "untrainable", best
    if best not in (0, last) or not last:
        return "", best
    neighbour = 1 if best == 0 else last - 1
    pair = scores[[best, neighbour]]
    spreads = pair[np.isfinite(pair).all(axis=1)].std(
        axis=1, ddof=int(pair.shape[1] > 1)
    )
    if means[best] - means[neighbour] <= spreads.max():
        return "", best
    return ("low edge" if best == 0 else "high edge"), best


def variants(
    page: Page,
    profile: Profile,
    measured: Mapping[str, pd.DataFrame],
    rates: Mapping[str, pd.DataFrame],
    failures: Sequence[Lost],
) -> pd.DataFrame:
    """Return one row for each variant: its factors, its replicas, its cost.

    ``seeds`` is the number that the profile plans, ``failed`` the replicas that the
    machinery lost: all of them where it lost the tuning. What it took stands in the
    manifest: the same cells give the same table.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for study in page.studies:
        planned = len(evaluation_seeds(study, profile))
        chosen = rates.get(study.name)
        table = measured.get(study.name)
        for variant in study.variants(profile.name):
            replicas = None
            if table is not None and len(table):
                own = table[table["variant"] == variant.name]
                replicas = _replicas(own, ["seed"])
            status = _status(replicas)
            row: dict[str, Any] = {
                "study": study.name,
                "variant": variant.name,
                **dict(variant.factors),
                "seeds": planned,
                "ok": status.count("ok"),
                "diverged": status.count("diverged"),
                "failed": _failed(failures, study, variant.name, planned),
                "tuning_flag": "",
            }
            if chosen is not None:
                picked = chosen[chosen["variant"] == variant.name]
                if len(picked):
                    row["learning_rate"] = picked["learning_rate"].iloc[0]
                    row["tuning_flag"] = picked["tuning_flag"].iloc[0]
            if replicas is not None and len(replicas):
                row |= {c: replicas[c].iloc[0] for c in COSTS if c in replicas}
            rows.append(row)
    factors = dict.fromkeys(
        name for s in page.studies for v in all_variants(s) for name, _ in v.factors
    )
    columns = [
        *("study", "variant", *factors, "seeds", "ok", "diverged", "failed"),
        *("learning_rate", "tuning_flag", *COSTS),
    ]
    return pd.DataFrame(rows).reindex(columns=columns)


def _status(replicas: pd.DataFrame | None) -> list[str]:
    if replicas is None:
        return []
    return list(replicas["status"]) if "status" in replicas else ["ok"] * len(replicas)


def _failed(failures: Iterable[Lost], study: Study, variant: str, planned: int) -> int:
    lost = [
        failure.cell
        for failure in failures
        if failure.cell.study == study.name and failure.cell.variant.name == variant
    ]
    if any(cell.stage == "tuning" for cell in lost):
        return planned
    return sum(len(cell.seeds) for cell in lost)


def theory(page: Page, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return measurement against theory for every variant of every predicted study.

    For each quantity that a `Gap` criterion names: the mean over seeds, the prediction
    and their difference with its interval.
    """
    import pandas as pd

    rows = []
    for study in page.studies:
        gaps = [c.effect for c in criteria_of(page, study) if isinstance(c.effect, Gap)]
        for of in {effect.of.label: effect.of for effect in gaps}.values():
            own = outcomes[
                (outcomes["study"] == study.name) & (outcomes["outcome"] == of.label)
            ]
            is_theory = own["source"] == "theory"
            predicted = own[is_theory].set_index("variant")["value"]
            for variant in all_variants(study):
                chosen = own[~is_theory & (own["variant"] == variant.name)]["value"]
                if not len(chosen) or variant.name not in predicted:
                    continue
                expected = float(predicted[variant.name])
                values = chosen.to_numpy(float)
                low, high = intervals.student(values - expected)
                rows.append(
                    {
                        **dict(variant.factors),
                        "measured": values.mean(),
                        "predicted": expected,
                        "gap": values.mean() - expected,
                        "gap_low": float(low),
                        "gap_high": float(high),
                        "study": study.name,
                        "outcome": of.label,
                    }
                )
    return pd.DataFrame(rows)
