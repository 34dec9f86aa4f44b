"""The document's LSTM, formula by formula and sentence by sentence, against Keras'."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Deviation,
    Region,
    Value,
)
from dlclaims.pages import Study, Variant, grid, tidy

from . import formulas

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from dlclaims.seeds import Seeds

EXAMPLES, STEPS, FEATURES = 16, 20, 5

#: Outputs lie within 1; a tenth of that is no rounding.
VISIBLE = 0.1


def weights(seeds: Seeds, seed: int, units: int) -> list[np.ndarray]:
    """Return kernel, recurrent kernel and bias: normal, of variance 2 / units, 0.25."""
    rng = seeds.generator(seed, "init")
    scale = (2 / units) ** 0.5
    return [
        scale * rng.standard_normal((FEATURES, 4 * units)),
        scale * rng.standard_normal((units, 4 * units)),
        0.5 * rng.standard_normal(4 * units),
    ]


def layer_of(values: list[np.ndarray], units: int) -> keras.layers.LSTM:
    """Return Keras' LSTM with these weights, in float64."""
    import keras

    layer = keras.layers.LSTM(
        units, return_sequences=True, return_state=True, dtype="float64"
    )
    layer.build((None, STEPS, FEATURES))
    layer.set_weights(values)
    return layer


def default_biases(units: int) -> np.ndarray:
    """Return the biases of Keras' LSTM as it is created, shape (4 units,)."""
    import keras

    layer = keras.layers.LSTM(units)
    layer.build((None, STEPS, FEATURES))
    return np.asarray(layer.cell.bias)


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Largest deviations from Keras' LSTM over all outputs and the last cell state."""
    units = variant["units"]
    rows = [deviations(seeds, seed, units) for seed in seeds]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return tidy({"seed": seeds}, **columns, elements=EXAMPLES * (STEPS + 1) * units)


def deviations(seeds: Seeds, seed: int, units: int) -> dict[str, float]:
    values = weights(seeds, seed, units)
    x = seeds.generator(seed, "data").standard_normal((EXAMPLES, STEPS, FEATURES))
    layer = layer_of(values, units)
    outputs, _, state = (np.asarray(part) for part in layer(x))
    found = {}
    for reading in ("formulas", "sigmoid", "gate", "order"):
        own, last = formulas.unroll(formulas.maps(*values), x, reading)
        found[reading] = max(np.abs(own - outputs).max(), np.abs(last - state).max())
    swapped = [np.roll(value, units, axis=-1) for value in values]
    other, _ = formulas.unroll(formulas.maps(*swapped), x, "formulas")
    expected = np.repeat([0.0, 1.0, 0.0, 0.0], units)
    return {
        **found,
        "order_short": short(np.abs(other - outputs).max()),
        "from_default_bias": np.abs(default_biases(units) - expected).max(),
        **held(seeds, seed, layer, formulas.maps(*values)),
    }


def short(size: float) -> float:
    """By how much a deviation that must be seen falls short of `VISIBLE`."""
    return max(0.0, VISIBLE - size)


def held(
    seeds: Seeds, seed: int, layer: keras.layers.LSTM, own: formulas.Maps
) -> dict[str, float]:
    """One step of Keras' cell that ends in one cell state from many inputs.

    Previous output and input differ from example to example; the previous cell state is
    solved for, so that the new one is the same for all.
    """
    rng = seeds.generator(seed, "noise")
    units = len(own.biases["output"])
    h = np.tanh(rng.standard_normal((EXAMPLES, units)))
    x = rng.standard_normal((EXAMPLES, FEATURES))
    target = np.broadcast_to(rng.standard_normal(units), (EXAMPLES, units))
    added = formulas.update(own, h, np.zeros_like(h), x)
    before = (target - added) / formulas.sigmoid(own("forget", h, x))
    new, (_, state) = layer.cell(x, [h, before])
    new, state = np.asarray(new), np.asarray(state)
    gate = formulas.sigmoid(own("output", h, x))
    moved = np.ptp(new, axis=0).max()
    return {
        "state_moved": np.abs(state - target).max(),
        "output_moved": moved,
        "moved_short": short(moved),
        "output_unexplained": np.abs(new - gate * np.tanh(target)).max(),
    }


UNITS = (8, 32)

STUDY = Study(
    name="equations",
    title="The document's equations and sentences against Keras' LSTM",
    measure=measure,
    standard=grid(units=UNITS),
    smoke=grid(units=(8,)),
    sampling="exact",
    controls=(
        Criterion(
            "order-matters",
            "equations",
            Deviation(Value("order_short"), {"units": 32}),
            Region.below(0.0),
            "by how much the deviation from Keras' outputs falls short of 0.1",
            "32 units on 5 features, the maps in the order O, i, f, C̃",
            "a tenth of the largest output is no rounding",
            "outputs so small that any formula agrees",
        ),
    ),
)

SCOPE = "32 units on 5 features, random weights and biases, float64"
SAME = Region.below(1e-10)
ROUNDING = "float64 rounding over 20 steps stays far below; any other formula does not"


def check(name: str, column: str, unit: str, reason: str, rival: str) -> Criterion:
    return Criterion(
        name,
        STUDY.name,
        Deviation(Value(column), {"units": 32}),
        SAME,
        unit,
        SCOPE,
        reason,
        rival,
    )


def reads(name: str, column: str, rival: str) -> Criterion:
    unit = "largest deviation from Keras' outputs and last cell state, 20 steps"
    return check(name, column, unit, ROUNDING, rival)


FORMULAS = reads(
    "formulas", "formulas", "maps in another order, or an output gate that reads C"
)

EQUATIONS_EXACT = Claim(
    "lm-equations-exact",
    kinds=("exact",),
    document=Assertion(
        "Gates are sigmoids and the candidate a tanh of affine maps of previous output"
        " and input; C_t = f_t C_{t-1} + i_t C̃_t; h_t = O_t tanh(C_t).",
        (FORMULAS,),
        expected="supported",
    ),
    corrected=Assertion(
        "These are Keras' LSTM, which keeps the maps in the order i, f, C̃, O and"
        " starts the forget gate's biases at 1, all others at 0.",
        (
            FORMULAS,
            check(
                "default-biases",
                "from_default_bias",
                "largest deviation of new biases from 0, 1, 0, 0",
                "constants are set, not computed",
                "forget biases that start at 0, like all others",
            ),
        ),
        expected="supported",
    ),
    theory=(
        r"f_t,i_t,O_t=\sigma(W_\cdot[h_{t-1},x_t]+b_\cdot),\quad "
        r"C_t=f_t\odot C_{t-1}+i_t\odot\tilde C_t,\quad h_t=O_t\odot\tanh C_t"
    ),
    references=("hochreiter1997", "gers2000"),
)

OUTPUT_DESCRIPTION = Claim(
    "lm-output-description",
    kinds=("exact",),
    document=Assertion(
        "The output is found by applying a sigmoid to the cell state; after that the"
        " cell state is updated.",
        (
            reads("sigmoid-of-state", "sigmoid", "outputs that are no sigmoid of C"),
            reads("gate-of-state", "gate", "a gate that reads h and x instead of C"),
            reads("update-after", "order", "a cell state that is updated first"),
        ),
        expected="refuted",
    ),
    corrected=Assertion(
        "The output gate is a sigmoid of previous output and input; the cell state is"
        " updated first, and its tanh is multiplied by the gate.",
        (FORMULAS,),
        expected="supported",
    ),
    theory=r"O_t=\sigma(W_O[h_{t-1},x_t]+b_O),\quad h_t=O_t\odot\tanh C_t",
    references=("hochreiter1997",),
)

OUTPUT_DEPENDS_ONLY_CELL = Claim(
    "lm-output-depends-only-cell",
    kinds=("exact",),
    document=Assertion(
        "The output of an LSTM depends on its cell state and on nothing else.",
        (
            check(
                "fixed-state",
                "output_moved",
                "largest range of a unit's output over 16 inputs with one cell state",
                "a function of C alone has one value at one C",
                "an output that previous output and input change through the gate",
            ),
        ),
        expected="refuted",
    ),
    corrected=Assertion(
        "At one and the same cell state the output still changes with input and"
        " previous output, all of it through the output gate.",
        (
            check(
                "state-held",
                "state_moved",
                "largest deviation of the new cell state from the one that is held",
                "float64 rounding of one step",
                "outputs that change because the cell state did",
            ),
            Criterion(
                "output-moves",
                STUDY.name,
                Deviation(Value("moved_short"), {"units": 32}),
                Region.below(0.0),
                "by how much the output's range at one cell state falls short of 0.1",
                SCOPE,
                "a tenth of the largest output is no rounding",
                "an output that the cell state fixes",
            ),
            check(
                "gate-explains",
                "output_unexplained",
                "largest deviation of the output from O_t tanh(C_t)",
                "float64 rounding of one step",
                "another path around the output gate",
            ),
        ),
        expected="supported",
    ),
    theory=r"h_t = O_t(h_{t-1},x_t)\odot\tanh C_t",
    references=("hochreiter1997",),
)
