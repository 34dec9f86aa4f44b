"""How long recurrent networks remember, with and without interference."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dlclaims import figures
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Difference,
    Rate,
    Region,
    Value,
)
from dlclaims.pages import Figure, Study, Variant

from . import cells, training

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

STEPS = 1500
SHORT, LONG = 20, 50

DESIGNS = {
    "free": "other symbols in between",
    "cued": "the same symbols in between",
}
#: Where the lag varies, there is much to learn before the whole lag must be mastered.
SPREAD = "other symbols in between, lags of all lengths"
WORDS = DESIGNS | {"spread": SPREAD}


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Accuracy of naming the first symbol after the lag."""
    return training.scored(training.recall(variant, seeds, variant.steps(STEPS)))


def net(cell: str, design: str, lag: int) -> dict[str, Any]:
    return {"cell": cell, "design": design, "lag": lag}


def variants(*nets: dict[str, Any]) -> tuple[Variant, ...]:
    return tuple(Variant(tuple(levels.items())) for levels in nets)


def nets(names: tuple[str, ...], *lags: int) -> tuple[dict[str, Any], ...]:
    return tuple(
        net(cell, design, lag) for lag in lags for design in DESIGNS for cell in names
    )


STANDARD = (
    *nets(("rnn", "lstm-1", "lstm-chrono", "gru"), SHORT),
    *nets(("rnn", "lstm-1", "lstm-chrono"), LONG),
    net("lstm-0", "free", LONG),
    *(net(cell, "spread", LONG) for cell in ("rnn", "lstm-1", "gru")),
)

STUDY = Study(
    name="recall",
    title="Naming the first symbol of a sequence at its end",
    measure=measure,
    predict=training.chance,
    standard=variants(*STANDARD),
    quick=variants(*(net(cell, "cued", SHORT) for cell in ("rnn", "lstm-chrono"))),
    smoke=variants(net("rnn", "free", 5)),
    full=variants(
        *STANDARD, *nets(("rnn", "lstm-1", "lstm-chrono", "gru"), 5, 80, 160)
    ),
    # One rate more, near the best of a SimpleRNN that learns lags of all lengths.
    tuning=replace(training.TUNING, rates=(0.00025, *training.TUNING.rates)),
    diverged=training.DIVERGED,
    equal=("parameters", "steps"),
)

SHORT_NAMES = {
    "rnn": "RNN",
    "lstm-0": "LSTM 0",
    "lstm-1": "LSTM",
    "lstm-chrono": "chrono",
    "gru": "GRU",
}


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Accuracy of every seed by cell, one panel a design and lag."""
    titles = {
        (design, lag): f"{words}, lag {lag}"
        for design, words in DESIGNS.items()
        for lag in (SHORT, LONG)
    } | {("spread", LONG): f"{SPREAD} to {LONG}"}
    panels = figures.panels(ax, list(titles.values()), columns=2)
    for (design, lag), title in titles.items():
        chosen = table[(table["design"] == design) & (table["lag"] == lag)]
        named = chosen.assign(network=chosen["cell"].map(SHORT_NAMES))
        figures.dots(named, panels[title], x="network", y="accuracy", hue="network")
        panels[title].set_xlabel("")
        panels[title].set_ylabel("accuracy after the lag")


ACCURACY = Figure(
    name="recall",
    study=STUDY.name,
    title="Who remembers the first symbol",
    draw=draw,
    reading=(
        "Each dot is one seed: how often the target, which comes first unless lags"
        " vary, is named right at the end; the dashed line is guessing, an eighth. LSTM"
        " has forget bias 1, Keras' default; chrono has biases for the lag. All have as"
        " many weights, and may take as many gradient steps."
    ),
)

SUCCESS = f"fraction of seeds with {100 * training.SOLVED:g} % right"
MOSTLY, RARELY = Region.above(0.7), Region.below(0.3)
SEVEN = "at 16 seeds this can be told from a half"


def solves(cell: str, design: str, lag: int) -> Criterion:
    return Criterion(
        f"solves-{cell}-{design}-{lag}",
        STUDY.name,
        Rate(Value("solved"), net(cell, design, lag)),
        MOSTLY,
        SUCCESS,
        scope(cell, design, lag),
        SEVEN,
        "a few lucky seeds",
    )


def fails(cell: str, design: str, lag: int, mechanism: str | None = None) -> Criterion:
    return Criterion(
        f"fails-{cell}-{design}-{lag}",
        STUDY.name,
        Rate(Value("solved"), net(cell, design, lag)),
        RARELY,
        SUCCESS,
        scope(cell, design, lag),
        SEVEN,
        "a task that any recurrent network of this size solves",
        mechanism,
    )


def scope(cell: str, design: str, lag: int) -> str:
    return (
        f"{cells.CELLS[cell]}, {WORDS[design]}, lag {lag}, {STEPS:,} steps, equal"
        " weights, each at its own learning rate"
    )


LONGER_LAGS = Claim(
    "lm-lstm-longer-lags",
    kinds=("difference", "trend"),
    document=Assertion(
        "LSTMs remember over long lags, over which recurrent networks without gates do"
        " not.",
        (
            *(solves("lstm-1", d, lag) for lag in (SHORT, LONG) for d in DESIGNS),
            solves("lstm-1", "spread", LONG),
            *(fails("rnn", d, LONG) for d in (*DESIGNS, "spread")),
        ),
        expected="supported",
    ),
    corrected=Assertion(
        "Over 50 steps an LSTM remembers when its forget gates start open for so long,"
        " or where shorter lags are there to learn from; a SimpleRNN does where the lag"
        " is always the same and nothing interferes, and in neither other case.",
        (
            *(solves("lstm-chrono", d, LONG) for d in DESIGNS),
            solves("rnn", "free", LONG),
            solves("lstm-1", "spread", LONG),
            *(fails("rnn", d, LONG) for d in ("cued", "spread")),
            *(
                fails("lstm-1", d, LONG, "forget gates that start half open")
                for d in DESIGNS
            ),
        ),
        expected="supported",
    ),
    references=("hochreiter1997", "tallec2018"),
)

CHRONO = Claim(
    "lm-chrono",
    kinds=("difference",),
    document=None,
    corrected=Assertion(
        "To learn a lag of T steps an LSTM's forget biases should start near log T.",
        (
            *(solves("lstm-chrono", d, LONG) for d in DESIGNS),
            *(fails("lstm-1", d, LONG, "forget bias 1") for d in DESIGNS),
            fails("lstm-0", "free", LONG, "forget bias 0"),
        ),
        expected="supported",
    ),
    theory=r"b_f = \log u, \quad u \sim U(1, T - 1)",
    references=("tallec2018", "gers2000"),
)

GRU = Claim(
    "lm-gru",
    kinds=("difference",),
    document=Assertion(
        "GRUs lessen vanishing gradients as LSTMs do.",
        tuple(
            Criterion(
                f"gru-{design}",
                STUDY.name,
                Difference(
                    Value("accuracy"),
                    net("gru", design, SHORT),
                    minus=net("lstm-1", design, SHORT),
                ),
                Region.around(0, 0.05),
                "accuracy after the lag",
                f"GRU minus LSTM (forget bias 1), {DESIGNS[design]}, lag {SHORT},"
                f" {STEPS:,} steps, equal weights",
                "five points, in either direction",
                "gates of which one more or less decides",
            )
            for design in DESIGNS
        ),
        expected="conditional",
    ),
    corrected=None,
    references=("chung2014",),
)
