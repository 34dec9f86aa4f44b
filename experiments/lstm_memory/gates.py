"""What holds exactly of an LSTM's gates: their weights, and what the forget gate does.

The claim on the three gates is assembled beside its trained studies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlclaims.claims import Criterion, Deviation, Region, Value
from dlclaims.pages import Study, Variant, grid, tidy
from dlclaims.theory import recurrent

from . import equations, formulas

if TYPE_CHECKING:
    import pandas as pd

    from dlclaims.seeds import Seeds

#: The input to a gate at which its sigmoid is 0 or 1 to rounding in float64.
SATURATED = 1000.0


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Number of weights, and one step of Keras' cell with the forget gate set.

    ``from_count``: distance of the number of weights from 4 (h (h + d) + h).
    ``kept_at_1``: largest change of the cell state with f = 1 and i = 0. ``left_at_0``:
    largest cell state with f = 0 and i = 0. ``from_removing``: largest deviation of the
    added part from C_t - (1 - f_t) C_{t-1}, as if f were the fraction that is removed.
    ``from_keeping``: the same of C_t - f_t C_{t-1}.
    """
    units = variant["units"]
    rows = [one_step(seeds, seed, units) for seed in seeds]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    elements = equations.EXAMPLES * units
    return tidy({"seed": seeds}, **columns, elements=elements)


def one_step(seeds: Seeds, seed: int, units: int) -> dict[str, float]:
    kernel, loop, bias = equations.weights(seeds, seed, units)
    rng = seeds.generator(seed, "data")
    x = rng.standard_normal((equations.EXAMPLES, equations.FEATURES))
    h, c = rng.standard_normal((2, equations.EXAMPLES, units))

    def after(bias: np.ndarray) -> np.ndarray:
        layer = equations.layer_of([kernel, loop, bias], units)
        return np.asarray(layer.cell(x, [np.tanh(h), c])[1][1])

    own = formulas.maps(kernel, loop, bias)
    free = after(bias)
    added = formulas.update(own, np.tanh(h), np.zeros_like(c), x)
    forget = formulas.sigmoid(own("forget", np.tanh(h), x))
    layer = equations.layer_of([kernel, loop, bias], units)
    expected = recurrent.lstm_parameters(units, equations.FEATURES)
    return {
        "from_count": abs(layer.count_params() - expected),
        "kept_at_1": np.abs(after(with_gates(bias, -1, 1)) - c).max(),
        "left_at_0": np.abs(after(with_gates(bias, -1, -1))).max(),
        "from_keeping": np.abs(free - forget * c - added).max(),
        "from_removing": np.abs(free - (1 - forget) * c - added).max(),
    }


def with_gates(bias: np.ndarray, entry: int, forget: int) -> np.ndarray:
    """Return biases that shut (-1) or open (1) the input and the forget gate."""
    parts = np.split(bias, 4)
    opened = [entry * SATURATED, forget * SATURATED]
    return np.concatenate([np.full_like(parts[0], z) for z in opened] + parts[2:])


STUDY = Study(
    name="gates",
    title="Weights of the gates, and one step with the forget gate set",
    measure=measure,
    standard=grid(units=equations.UNITS),
    smoke=grid(units=(8,)),
    sampling="exact",
)


def check(
    name: str, column: str, region: Region, unit: str, reason: str, rival: str
) -> Criterion:
    return Criterion(
        name,
        STUDY.name,
        Deviation(Value(column), {"units": 32}),
        region,
        unit,
        "Keras' LSTM, 32 units on 5 features, random weights and states, float64",
        reason,
        rival,
    )


PARAMETERS = check(
    "parameters",
    "from_count",
    Region.below(0.0),
    "weights more or fewer than 4 (h (h + d) + h)",
    "a count is exact",
    "gates that share weights, or a candidate without weights of its own",
)
KEEPS = check(
    "open-gate-keeps",
    "kept_at_1",
    Region.below(1e-10),
    "largest change of the cell state in a step with f = 1, i = 0",
    "a product with 1 is not rounded",
    "a forget gate that removes what it is open for",
)
ERASES = check(
    "shut-gate-erases",
    "left_at_0",
    Region.below(1e-10),
    "largest cell state after a step with f = 0, i = 0",
    "a product with 0 is 0",
    "a forget gate that keeps what it is shut for",
)
IS_KEPT = check(
    "forget-gate-is-kept",
    "from_keeping",
    Region.below(1e-10),
    "largest deviation from C_t = f C_{t-1} + added",
    "float64 rounding of one step",
    "a forget gate that gives the fraction that is removed",
)
IS_REMOVED = check(
    "forget-gate-is-removed",
    "from_removing",
    Region.below(1e-10),
    "largest deviation from C_t = (1 - f) C_{t-1} + added",
    "float64 rounding of one step",
    "a forget gate that gives the fraction that is kept",
)

#: For the document's words: the forget gate selects what is removed.
LITERAL = (IS_REMOVED,)
#: For what should be said instead: f is the fraction that is kept.
CORRECT = (PARAMETERS, KEEPS, ERASES, IS_KEPT)
