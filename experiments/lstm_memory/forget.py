"""What carries the cell state's gradient: the forget gates, and what else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import figures
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Deviation,
    Mean,
    Region,
    Value,
)
from dlclaims.engine import backends, taps
from dlclaims.pages import Figure, Study, Variant, grid, tidy
from dlclaims.theory import recurrent

from . import formulas, gradients

if TYPE_CHECKING:
    import keras
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims import engine
    from dlclaims.seeds import Seeds

UNITS, EXAMPLES = 64, 8
LONGEST = 100
LAGS = range(0, LONGEST + 1, 10)

#: What reads the previous output, in words.
RECURRENCE = {
    "none": "nothing reads h",
    "candidate": "only the candidate reads h",
    "keras": "gates and candidate read h",
}
BIASES = ("0", "1", "3")


def initial(variant: Variant, seeds: Seeds) -> engine.Runs:
    """Return Keras' LSTM with this forget bias and this much of its recurrence."""
    runs = gradients.initial(f"lstm-{variant['forget_bias']}", UNITS, 2, seeds)
    kernel = runs.values[gradients.place(runs, "recurrent_kernel")].copy()
    if variant["recurrence"] == "none":
        kernel[:] = 0
    if variant["recurrence"] == "candidate":
        kernel[:, :, : 2 * UNITS] = kernel[:, :, 3 * UNITS :] = 0  # all but the third
    return gradients.with_values(runs, "recurrent_kernel", kernel)


def cell_gradients(
    model: keras.Model, weights: Any, x: Any, signs: Any
) -> tuple[Any, Any]:
    """Differentiate the summed signs * c_T by the cell state of every step.

    Parameters
    ----------
    weights : tuple
        Trained and other ones.
    x : tensor, shape (examples, steps, features)
    signs : tensor, shape (examples, units)

    Returns
    -------
    states : tensor, shape (steps + 1, examples, units)
        h_0 to h_T, to compute gates from.
    slopes : tensor, shape (steps + 1, examples, units)
        The gradient at c_0 to c_T.
    """
    import keras
    from keras import ops

    cell = model.get_layer("memory").cell
    trained, _ = weights
    mapping = list(zip(model.trainable_variables, trained, strict=True))
    pushes = ops.zeros((x.shape[1] + 1, *signs.shape), cell.compute_dtype)

    def scalar(pushes: Any) -> tuple[Any, Any]:
        def step(states: Any, given: Any) -> tuple[Any, Any]:
            now, push = given
            _, (h, c) = cell(now, states, training=False)
            states = [h, c + push]
            return states, states

        first = [ops.zeros_like(signs), pushes[0]]
        with keras.StatelessScope(state_mapping=mapping):
            given = (ops.swapaxes(x, 0, 1), pushes[1:])
            (_, c), (outputs, _) = ops.scan(step, first, given)
        return ops.sum(signs * c), outputs

    _, outputs, slopes = backends.load().gradients(scalar, 1)(pushes)
    return ops.concatenate([ops.zeros_like(outputs[:1]), outputs]), slopes


@dataclass(frozen=True, eq=False)
class Backwards:
    """What comes back from the last cell state of LSTMs, by lag from 0 on.

    Parameters
    ----------
    slopes : np.ndarray, shape (seeds, steps + 1, examples, units)
        Gradient of c_T, summed with random signs, at c_{T-k}.
    log_products : np.ndarray, of the same shape
        Natural log of the product of the forget gates of the last k steps.
    outputs : np.ndarray, shape (seeds, examples, units)
        The last output, h_T.
    """

    slopes: np.ndarray
    log_products: np.ndarray
    outputs: np.ndarray

    @property
    def gradient(self) -> np.ndarray:
        """Decimal log of the rms over examples and units, shape (seeds, steps + 1)."""
        return _log10_rms(self.slopes)

    @property
    def product(self) -> np.ndarray:
        """The same of the product of gates."""
        return _log10_rms(np.exp(self.log_products))


def _log10_rms(values: np.ndarray) -> np.ndarray:
    return np.log10(np.sqrt((values**2).mean(axis=(2, 3))))


def backwards(runs: engine.Runs, x: list[np.ndarray], seeds: Seeds) -> Backwards:
    """Differentiate the last cell state of LSTMs by all earlier ones.

    With signs drawn for c_T's units, the squared gradient is on average that of the
    whole Jacobian; where it is diagonal, every entry is one product of gates.

    Parameters
    ----------
    x : list of np.ndarray, shape (examples, steps, features)
        Sequences of each seed.
    """
    units = runs.weights[0].shape[-1] // 4
    signs = [
        seeds.generator(seed, "noise")
        .choice([-1.0, 1.0], (len(x[0]), units))
        .astype(runs.plan.dtype)
        for seed in seeds
    ]
    found = taps.compute(
        "lstm-cell-gradients", cell_gradients, runs, x, signs, layers=("memory",)
    )
    rows = []
    for row, (states, slopes) in enumerate(found):
        own = formulas.maps(*(weight[row] for weight in runs.weights[:3]))
        gates = formulas.sigmoid(own("forget", states[:-1], np.swapaxes(x[row], 0, 1)))
        rows.append((slopes[::-1], recurrent.log_gate_products(gates), states[-1]))
    return Backwards(*(np.stack(part) for part in zip(*rows, strict=True)))


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Gradient of c_T at earlier cell states beside the product of forget gates.

    ``log10_gradient`` and ``log10_product`` are decimal logs of the rms over examples
    and units; ``from_product`` is the largest difference of one entry's log gradient,
    in nats a step; ``excess`` the difference of the rms in nats a step.
    """
    x = list(gradients.sequences("adding", seeds, EXAMPLES)[:, :, -LONGEST:])
    found = backwards(initial(variant, seeds), x, seeds)
    lags = np.array(LAGS)
    slopes, products = found.slopes[:, lags], found.log_products[:, lags]
    steps = np.maximum(lags, 1)
    sizes = found.gradient[:, lags], found.product[:, lags]
    with np.errstate(divide="ignore"):
        apart = np.abs(np.log(np.abs(slopes)) - products).max(axis=(2, 3)) / steps
    return tidy(
        {"seed": seeds, "lag": lags},
        log10_gradient=sizes[0],
        log10_product=sizes[1],
        excess=(sizes[0] - sizes[1]) * np.log(10) / steps,
        from_product=apart,
        elements=slopes[0, 0].size,
    )


def predict(variant: Variant) -> pd.DataFrame:
    """The gradient of gates that are open as far as their biases open them."""
    kept = recurrent.keep(float(variant["forget_bias"]))
    return tidy({"lag": LAGS}, log10_gradient=np.array(list(LAGS)) * np.log10(kept))


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Gradient of the cell state against lag, one panel a recurrent kernel."""
    table = table.assign(bias="forget bias " + table["forget_bias"].astype(str))
    for name, panel in figures.panels(ax, list(RECURRENCE.values())).items():
        chosen = table[table["recurrence"].map(RECURRENCE) == name]
        figures.profile(chosen, panel, x="lag", y="log10_gradient", hue="bias")
        panel.set_xlabel("lag, steps")
        panel.set_ylabel("log10 gradient of the cell state")


STUDY = Study(
    name="forget-product",
    title="The cell state's gradient against the product of forget gates",
    measure=measure,
    predict=predict,
    standard=grid(recurrence=tuple(RECURRENCE), forget_bias=BIASES),
    smoke=grid(recurrence=tuple(RECURRENCE), forget_bias=("1",)),
)

FIGURE = Figure(
    name="forget-product",
    study=STUDY.name,
    title="Gradient of the cell state before training",
    draw=draw,
    reading=(
        "The dashed lines are products of forget gates that stand where their biases"
        " put them. Where neither gates nor candidate read the previous output h, the"
        " gradient follows them but for what inputs do to the gates; with Keras'"
        " recurrent kernel more of it survives than the gates let through."
    ),
)

SETTING = f"LSTM of {UNITS} units, adding inputs, float64"


def product(bias: str) -> Criterion:
    """Every entry's gradient is its product of gates."""
    return Criterion(
        f"product-bias-{bias}",
        STUDY.name,
        Deviation(
            Value("from_product", at={"lag": LONGEST}),
            {"recurrence": "none", "forget_bias": bias},
        ),
        Region.below(1e-10),
        "nats per step, largest deviation of one entry's log gradient",
        f"{SETTING}, nothing reads h, forget bias {bias}, lag {LONGEST}",
        "float64 rounding of 100 factors stays far below",
        "a further factor, as of a gate's or an activation's slope",
    )


def surplus(bias: str, recurrence: str) -> Criterion:
    """More gradient than the product of gates where something reads the output."""
    return Criterion(
        f"excess-{recurrence}-bias-{bias}",
        STUDY.name,
        Mean(
            Value("excess", at={"lag": LONGEST}),
            {"recurrence": recurrence, "forget_bias": bias},
        ),
        Region.above(0.02),
        "nats per step above the product of gates",
        f"{SETTING}, {RECURRENCE[recurrence]}, forget bias {bias}, lag {LONGEST}",
        "0.02 nats a step are a factor of seven over 100 steps",
        "a gradient that the forget gates alone decide",
    )


FORGET_PRODUCT = Claim(
    "lm-forget-product",
    kinds=("rate",),
    document=Assertion(
        "The gates regulate what flows through the cell state: in C_t = f_t C_{t-1} +"
        " i_t C̃_t a gradient passes a step times the forget gate.",
        tuple(product(bias) for bias in BIASES),
        expected="supported",
    ),
    corrected=Assertion(
        "That is exact where neither gates nor candidate read the previous output;"
        " the path through the output, already that into the candidate, adds to it.",
        (
            *(product(bias) for bias in BIASES),
            surplus("1", "candidate"),
            surplus("1", "keras"),
            surplus("1", "keras").without(
                {"recurrence": "none"},
                "nothing reads the previous output",
                Region.around(0, 1e-10),
                "an excess that the path through h makes is gone without it",
            ),
        ),
        expected="supported",
    ),
    theory=(
        r"\frac{\partial c_T}{\partial c_{T-k}}=\prod_{t=T-k+1}^{T} f_t,\quad "
        r"k_{1/2}=\frac{\ln 2}{-\ln f}:\ 1,\ 2.2,\ 14\ \text{steps at}\ b_f=0,1,3"
    ),
    references=("hochreiter1997", "gers2000"),
)
