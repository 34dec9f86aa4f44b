"""From measured tables to the tables of a page's results."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dlclaims.claims import Criterion, Deviation, Gap, Quantity, Value
from dlclaims.pages import Page, Study
from dlclaims.plan import Cell, Profile, evaluation_seeds
from dlclaims.statistics import intervals
from dlclaims.statistics.effects import all_variants, reduce

if TYPE_CHECKING:
    import pandas as pd

#: What a study's `measure` may add to every row, for the table of variants.
COSTS = ("parameters", "multiply_accumulates", "steps", "examples_seen")

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
    counted = (
        [Value("elements")] if any(isinstance(e, Deviation) for e in effects) else []
    )
    return tuple({of.label: of for of in [*(e.of for e in effects), *counted]}.values())


def outcomes(
    page: Page,
    measured: Mapping[str, pd.DataFrame],
    predicted: Mapping[str, pd.DataFrame],
) -> pd.DataFrame:
    """Return one number for each replica and quantity that a criterion reads.

    A diverged replica has its study's registered score; where the column has none,
    its outcome is missing.

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
    found = reduce(of, rows, keys).rename("value").reset_index()
    kept = [name for name in ("status", "learning_rate") if name in rows]
    found = found.merge(rows[[*keys, *kept]].drop_duplicates(keys), on=keys)
    if "status" in found:
        score = dict(study.diverged).get(of.column, math.nan)
        found.loc[found["status"] == "diverged", "value"] = score
    return found.assign(source="measured", outcome=of.label)


def choose_rates(study: Study, tuned: pd.DataFrame) -> pd.DataFrame:
    """Choose the learning rate of every variant by its tuning seeds.

    The best rate has the largest mean score over seeds. At the grid's edge it is
    flagged where it beats its neighbour by more than the spread (standard deviation)
    of the tuning seeds at the two rates: a better rate may lie outside.

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
    is_lost = tuned[tuning.choose].isna()
    if "status" in tuned:
        is_lost |= tuned["status"] == "diverged"
    scored = tuned.assign(score=tuned[tuning.choose].mask(is_lost, worst))
    rows = []
    for variant, own in scored.groupby("variant", sort=False):
        scores = own.pivot_table(index="learning_rate", columns="seed", values="score")
        scores = scores.sort_index()
        means = scores.mean(axis=1).to_numpy()
        best = int(np.argmax(means))
        flag = ""
        if means[best] < tuning.trains_above:
            flag = "untrainable"
        elif len(means) > 1 and best in (0, len(means) - 1):
            neighbour = 1 if best == 0 else best - 1
            pair = scores.to_numpy()[[best, neighbour]]
            spread = pair.std(axis=1, ddof=1).max() if pair.shape[1] > 1 else 0.0
            if means[best] - means[neighbour] > spread:
                flag = "low edge" if best == 0 else "high edge"
        rows.append((variant, float(scores.index[best]), flag))
    return pd.DataFrame(rows, columns=["variant", "learning_rate", "tuning_flag"])


def variants(
    page: Page,
    profile: Profile,
    measured: Mapping[str, pd.DataFrame],
    rates: Mapping[str, pd.DataFrame],
    failures: Sequence[Lost],
    seconds: pd.DataFrame,
) -> pd.DataFrame:
    """Return one row for each variant: its factors, its replicas, its cost.

    ``seeds`` is the number that the profile plans, ``failed`` the replicas that the
    machinery lost; ``seconds`` covers tuning and evaluation.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for study in page.studies:
        planned = len(evaluation_seeds(study, profile))
        chosen = rates.get(study.name)
        taken = seconds[seconds["study"] == study.name].groupby("variant")["seconds"]
        spent = taken.sum().to_dict()
        table = measured.get(study.name)
        for variant in study.variants(profile.name):
            replicas = None
            if table is not None and len(table):
                own = table[table["variant"] == variant.name]
                replicas = own.drop_duplicates("seed")
            status = _status(replicas)
            row: dict[str, Any] = {
                "study": study.name,
                "variant": variant.name,
                **dict(variant.factors),
                "seeds": planned,
                "ok": status.count("ok"),
                "diverged": status.count("diverged"),
                "failed": _failed(failures, study, variant.name),
                "tuning_flag": "",
                "seconds": spent.get(variant.name, math.nan),
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
        *("learning_rate", "tuning_flag", *COSTS, "seconds"),
    ]
    return pd.DataFrame(rows).reindex(columns=columns)


def _status(replicas: pd.DataFrame | None) -> list[str]:
    if replicas is None:
        return []
    return list(replicas["status"]) if "status" in replicas else ["ok"] * len(replicas)


def _failed(failures: Iterable[Lost], study: Study, variant: str) -> int:
    lost = (failure.cell for failure in failures)
    return sum(
        len(cell.seeds)
        for cell in lost
        if cell.study == study.name and cell.variant.name == variant
    )


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
