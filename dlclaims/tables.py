"""From cells to tables: a study's rows under the names of its variants' factors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dlclaims.claims import Factors, levels
from dlclaims.errors import PageError
from dlclaims.pages import Study, Variant
from dlclaims.plan import Profile

if TYPE_CHECKING:
    import pandas as pd

    from dlclaims.store import Record


def measured(study: Study, records: Iterable[Record]) -> pd.DataFrame:
    """Return the rows of a study's cells under ``study, variant, <factors>``.

    Without cells, when all were lost, a table with these columns and ``seed``.
    """
    import pandas as pd

    parts = [_located(study.name, r.cell.variant, r.table) for r in records]
    if parts:
        return pd.concat(parts, ignore_index=True)
    factors = [name for name, _ in study.variants("full")[0].factors]
    return pd.DataFrame(columns=["study", "variant", *factors, "seed"])


def predicted(study: Study, profile: Profile) -> pd.DataFrame:
    """Return what theory predicts for every variant, in the measured table's form."""
    import pandas as pd

    assert study.predict is not None
    parts = [
        _located(study.name, variant, study.predict(variant))
        for variant in study.variants(profile.name)
    ]
    return pd.concat(parts, ignore_index=True)


def _located(study: str, variant: Variant, rows: pd.DataFrame) -> pd.DataFrame:
    leading = {"study": study, "variant": variant.name, **dict(variant.factors)}
    twice = sorted(leading.keys() & set(rows.columns))
    if twice:
        raise PageError(
            f"columns of study {study} that are not named as a factor is",
            ", ".join(twice),
            "leave them out: the table gets its factors from the variant",
        )
    located = rows.copy()
    for place, (name, level) in enumerate(leading.items()):
        located.insert(place, name, level)
    return located


def drawn(
    where: Factors, measured: pd.DataFrame, predicted: pd.DataFrame | None
) -> pd.DataFrame:
    """Return what a figure draws: the measured rows, then the predicted ones."""
    import pandas as pd

    parts = [measured.assign(source="measured")]
    if predicted is not None:
        parts.append(predicted.assign(source="theory"))
    rows = pd.concat(parts, ignore_index=True)
    for factor, level in levels(where):
        rows = rows[rows[factor] == level]
    first = ["source"]
    return rows[[*first, *rows.columns.difference(first, sort=False)]]


def seconds(records: Iterable[Record]) -> dict[str, dict[str, float]]:
    """Return the seconds that each variant's cells took, tuning included, by study."""
    found: dict[str, dict[str, float]] = {}
    for record in records:
        own = found.setdefault(record.cell.study, {})
        name = record.cell.variant.name
        own[name] = own.get(name, 0.0) + record.meta["seconds"]
    return found
