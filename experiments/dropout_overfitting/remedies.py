"""Dropout beside other remedies against overfitting, and where labels are wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlclaims import figures
from dlclaims.pages import Figure

from .overfitting import SOME, STUDY, WRONG
from .training import TITLES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Remedies from left to right by setup and dropout, and the labels they trained on.
TRUE, NOISY = "true labels", f"{100 * WRONG:g} % of labels wrong"
SHOWN = {
    ("plain", "none"): ("none", TRUE),
    ("l2", "none"): ("L2", TRUE),
    ("max-norm", "none"): ("max-norm", TRUE),
    ("plain", "best"): ("dropout", TRUE),
    ("noisy", "none"): ("none", NOISY),
    ("noisy", "best"): ("dropout", NOISY),
}


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Test error of every seed by remedy, a panel with its own scale a data set."""
    import pandas as pd

    arms = [*zip(table["setup"], table["dropout"], strict=True)]
    rows = pd.concat(
        table[[arm == own for own in arms]].assign(remedy=remedy, labels=labels)
        for arm, (remedy, labels) in SHOWN.items()
    )
    rows = rows.assign(data=rows["data"].map(TITLES), error=100 * rows["test_error"])
    titles = list(rows["data"].unique())
    for title, panel in figures.panels(ax, titles, columns=1, same="x").items():
        chosen = rows[rows["data"] == title]
        figures.dots(chosen, panel, x="remedy", y="error", hue="labels")
        panel.set_xlabel("remedy")
        panel.set_ylabel("test error, per cent")


ERRORS = Figure(
    name="error-by-remedy",
    study=STUDY.name,
    title=f"Dropout beside other remedies, {SOME} examples",
    draw=draw,
    reading=(
        "Each dot is one seed's test error, and each panel has its own scale: a remedy"
        " helps if its dots lie lower than those of the same colour under none. L2 and"
        " max-norm are given the better of two strengths, dropout the better of two"
        " rates, by validation data. The second colour, for none and dropout alone, had"
        " wrong labels in training, but neither in validation nor in test: the step up"
        " from the first colour is what they cost."
    ),
    where={"examples": SOME, "judged": "error"},
)
