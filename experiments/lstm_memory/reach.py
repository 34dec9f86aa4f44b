"""How far trained LSTMs' gradients reach back, and what their forget gates let by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlclaims import engine, figures
from dlclaims.claims import Assertion, Claim, Criterion, Mean, Rate, Region, Value
from dlclaims.data import sequences
from dlclaims.pages import Figure, Study, Variant, grid

from . import cells, forget, training
from .recall import MOSTLY, SEVEN, SPREAD

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

STEPS = 600
LAG = 40
PROBED = 64  # sequences whose target is the whole lag away

NAMES = {"lstm-1": "forget bias 1", "lstm-0": "forget bias 0"}
MOMENTS = {"start": "before training", "trained": "after training"}


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Gradient of the cell state by lag, before and after training on lags up to it.

    ``solved``: whether the target is named 90 % of the time when it is the whole lag
    away. ``start`` and ``trained``: decimal log of the gradient of c_T at c_{T-k};
    ``gates_start`` and ``gates_trained``: of the product of forget gates in between;
    ``rise``: trained minus start. Tuning does without.
    """
    cell, lag = variant["cell"], variant["lag"]
    given = Variant((*variant.factors, ("design", "spread")), variant.learning_rates)
    runs = training.recall(given, seeds, variant.steps(STEPS))
    table = training.scored(runs)
    if training.is_tuning(variant):
        return table
    draw = sequences.recall("free", lag)
    pairs = [draw(seeds.generator(seed, "noise/probe"), PROBED) for seed in seeds]
    x = [own for own, _ in pairs]
    features, outputs = x[0].shape[-1], sequences.SYMBOLS
    units = cells.units_of(cell, features, outputs)
    fresh = engine.initialize(
        lambda: cells.build(cell, units, features, outputs, lag), seeds=seeds
    )
    start = forget.backwards(fresh, x, seeds)
    after = forget.backwards(runs, x, seeds)
    heads = zip(*runs.weights[-2:], strict=True)
    right = [
        (h @ kernel + bias).argmax(axis=1) == y
        for h, (kernel, bias), (_, y) in zip(after.outputs, heads, pairs, strict=True)
    ]
    accuracy = np.mean(right, axis=1)
    found = table.drop(columns="solved").assign(
        accuracy=accuracy, solved=(accuracy >= training.SOLVED).astype(float)
    )
    lags = np.arange(start.gradient.shape[1])  # the last is the first state's
    return found.loc[found.index.repeat(len(lags))].assign(
        lag_back=np.tile(lags, len(seeds)),
        start=start.gradient.ravel(),
        gates_start=start.product.ravel(),
        trained=after.gradient.ravel(),
        gates_trained=after.product.ravel(),
        rise=(after.gradient - start.gradient).ravel(),
    )


WHOLE = {"lag_back": LAG}
LEARNT = Criterion(
    "learnt",
    "reach",
    Rate(Value("solved", at=WHOLE), {"cell": "lstm-1", "lag": LAG}),
    MOSTLY,
    f"fraction of seeds with {100 * training.SOLVED:g} % right over the whole lag",
    f"{cells.CELLS['lstm-1']}, lag {LAG}",
    SEVEN,
    "networks that never learnt what they were trained on",
)

STUDY = Study(
    name="reach",
    title="Gradients of LSTMs over the lag, before and after training",
    measure=measure,
    standard=grid(cell=("lstm-1", "lstm-0"), lag=(LAG,)),
    quick=grid(cell=("lstm-1",), lag=(LAG,)),
    smoke=grid(cell=("lstm-1",), lag=(5,)),
    tuning=training.TUNING,
    diverged=training.DIVERGED
    | dict.fromkeys(("start", "trained", "rise", "gates_start", "gates_trained"), 0.0),
    controls=(LEARNT,),
    sensitivity=("longer",),
)


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Gradient and product of gates against lag, one panel a forget bias."""
    import pandas as pd

    panels = figures.panels(ax, [NAMES[cell] for cell in table["cell"].unique()])
    for cell, rows in table.groupby("cell", sort=False):
        long = pd.concat(
            rows.assign(
                source=source,
                gradient=rows[prefix + moment],
                moment=words,
                variant=words,
            )
            for moment, words in MOMENTS.items()
            for source, prefix in (("measured", ""), ("theory", "gates_"))
        )
        theory = long[long["source"] == "theory"]
        keys = ["source", "variant", "moment", "lag_back"]
        means = theory.groupby(keys, sort=False)["gradient"].mean().reset_index()
        both = pd.concat([long[long["source"] == "measured"], means])
        panel = panels[NAMES[str(cell)]]
        figures.profile(both, panel, x="lag_back", y="gradient", hue="moment")
        panel.set_xlabel("lag, steps")
        panel.set_ylabel("log10 gradient of the cell state")


FIGURE = Figure(
    name="reach",
    study=STUDY.name,
    title="Training opens the forget gates, and gradients follow",
    draw=draw,
    reading=(
        "Each thin line is one network: how large the gradient of its last cell state"
        " is at its cell state so many steps before; a line that stays near 0 does not"
        " vanish. The dashed lines are the products of the forget gates of the same"
        " networks."
    ),
)


def rises(cell: str) -> Criterion:
    return Criterion(
        f"rise-{cell}",
        STUDY.name,
        Mean(Value("rise", at=WHOLE), {"cell": cell, "lag": LAG}),
        Region.above(2.0),
        "decades, after minus before training",
        f"{cells.CELLS[cell]}, {SPREAD} to {LAG}, {STEPS} steps",
        "a hundred times: no spread between seeds gives that",
        "gradients that reach as far before training as after",
    )


AFTER_TRAINING = Claim(
    "lm-after-training",
    kinds=("difference",),
    document=None,
    corrected=Assertion(
        "An LSTM learns not to vanish: trained on lags of all lengths, its gradients"
        " over the longest are a hundred times those at the start.",
        tuple(rises(cell) for cell in NAMES),
        expected="supported",
    ),
    theory=r"\frac{\partial c_T}{\partial c_{T-k}}\approx\prod_{t=T-k+1}^{T} f_t",
    references=("hochreiter1997",),
)
