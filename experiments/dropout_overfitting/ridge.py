"""Dropout of the inputs of linear least squares, and the penalty that it amounts to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import engine, figures
from dlclaims.claims import Assertion, Claim, Criterion, Mean, Region, Value
from dlclaims.pages import Figure, Study, Variant, grid, tidy
from dlclaims.theory import dropout

if TYPE_CHECKING:
    import keras
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

EXAMPLES, FEATURES = 200, 10
TRUTH = np.array([1.0, -1.0, 1.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
SCALES = np.geomspace(0.5, 2.0, FEATURES)[[0, 9, 3, 6, 5, 8, 1, 7, 2, 4]]
CORRELATION = 0.5  # between any two features
STEPS, LEARNING_RATE = 6000, 0.01
RATES = (0.2, 0.5)

#: Features of unequal size; the same ones brought to one size; orthogonal ones.
DESIGNS = ("unequal", "equal", "orthogonal")


def problem(design: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw features, shape (examples, features), and targets, shape (examples,)."""
    shared, own = rng.standard_normal((2, EXAMPLES, FEATURES))
    x = math.sqrt(CORRELATION) * shared[:, :1] + math.sqrt(1 - CORRELATION) * own
    if design == "orthogonal":
        x = np.linalg.qr(x)[0]
    x *= SCALES / np.sqrt(np.mean(x**2, axis=0))
    if design == "equal":
        x /= SCALES
    return x, x @ TRUTH + rng.standard_normal(EXAMPLES)


def build(rate: float) -> keras.Model:
    import keras

    x = keras.Input((FEATURES,))
    output = keras.layers.Dense(1, use_bias=False)
    return keras.Model(x, output(keras.layers.Dropout(rate)(x)))


def descent() -> keras.optimizers.Optimizer:
    import keras

    return keras.optimizers.SGD()


def loss(y: Any, prediction: Any) -> Any:
    from keras import ops

    return ops.square(prediction[:, 0] - y)


def cooled(step: Any) -> Any:
    """Fall linearly to 0, so that the last weights are not those of one mask."""
    return 1 - step / STEPS


def trained(rate: float, problems: list[Any], seeds: Seeds) -> np.ndarray:
    """Weights after gradient descent on all examples with dropout, (seeds, features).

    Every example has its own masks at every step.
    """
    none = np.zeros((len(seeds), 0), int)
    rows = np.arange(len(seeds) * EXAMPLES).reshape(len(seeds), EXAMPLES)
    x, y = (np.concatenate(part) for part in zip(*problems, strict=True))
    runs = engine.train(
        lambda: build(rate),
        engine.Examples(x, y, rows, none, none),
        engine.Recipe(loss, descent, STEPS, EXAMPLES, metrics=(), schedule=cooled),
        seeds=seeds,
        learning_rates=(LEARNING_RATE,),
        settings=engine.numerics.current(),
    )
    return runs.weights[0][:, :, 0].astype(float)


def nearest_ridge(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The solution of ridge regression, of all penalties, that is nearest to `w`."""
    penalties = np.geomspace(1e-3, 1e3, 601) * EXAMPLES
    u, s, v = np.linalg.svd(x, full_matrices=False)
    solutions = (u.T @ y * s / (s**2 + penalties[:, None])) @ v
    return solutions[np.argmin(np.linalg.norm(solutions - w, axis=1))]


def lasso_zeros(x: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    """Fraction of exact zeros in the lasso that fits the data as well as `w` does."""
    from sklearn.linear_model import lasso_path

    penalties = np.abs(x.T @ y).max() / EXAMPLES * np.geomspace(1, 1e-3, 200)
    _, path, _ = lasso_path(x, y, alphas=penalties)
    fits = np.sum((y[:, None] - x @ path) ** 2, axis=0)
    nearest = np.argmin(np.abs(fits - np.sum((y - x @ w) ** 2)))
    return float(np.mean(path[:, nearest] == 0))


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Weights that dropout leads to beside the closed form, one row a feature.

    Distances are relative to the closed form's norm; ``log_nearer_than_<other>`` is the
    log of the distance to the closed form over that to the other solution.
    """
    rate = variant["rate"]
    problems = [
        problem(variant["design"], seeds.generator(seed, "data")) for seed in seeds
    ]
    weights = trained(rate, problems, seeds)
    forms = np.stack([dropout.adaptive_ridge(x, y, rate) for x, y in problems])

    def apart(others: list[np.ndarray]) -> np.ndarray:
        gaps = np.linalg.norm(weights - others, axis=1)
        return gaps / np.linalg.norm(forms, axis=1)

    squares = [np.linalg.lstsq(x, y, rcond=None)[0] for x, y in problems]
    plain = [nearest_ridge(*p, w) for p, w in zip(problems, weights, strict=True)]
    lasso = [lasso_zeros(*p, w) for p, w in zip(problems, weights, strict=True)]
    own = apart(list(forms))
    outcomes = {
        "distance": own,
        "distance_from_shrunk": apart([(1 - rate) * w for w in squares]),
        "log_nearer_than_least_squares": np.log(own / apart(squares)),
        "log_nearer_than_ridge": np.log(own / apart(plain)),
        "zeros": np.mean(weights == 0, axis=1),
        "lasso_zeros": np.array(lasso),
    }
    return tidy(
        {"seed": seeds, "feature": range(1, FEATURES + 1)},
        weight=weights,
        least_squares=squares,
        ridge=plain,
        adaptive_ridge=forms,
        **{name: values[:, None] for name, values in outcomes.items()},
    )


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Trained weights against those of three closed forms, a dot a weight."""
    import pandas as pd

    forms = {
        "least_squares": "least squares",
        "ridge": "plain ridge, best penalty",
        "adaptive_ridge": "adaptive ridge: dropout's closed form",
    }
    long = pd.concat(
        table.assign(closed=table[column], form=words)
        for column, words in forms.items()
    )
    figures.diagonal(long, ax, x="closed", y="weight", hue="form")
    ax.set_xlabel("weight by the closed form")
    ax.set_ylabel("weight learnt with dropout")


def criterion(
    name: str,
    column: str,
    design: str,
    rate: float,
    region: Region,
    unit: str,
    reason: str,
    rival: str,
) -> Criterion:
    return Criterion(
        f"{name}-{design}-{rate}".replace(".", ""),
        "ridge",
        Mean(Value(column, at={"feature": 1}), {"design": design, "rate": rate}),
        region,
        unit,
        f"least squares, {design} features, Dropout({rate}) on the inputs",
        reason,
        rival,
    )


ZEROS = "fraction of weights that are exactly 0"

STUDY = Study(
    name="ridge",
    title="Dropout in linear least squares against ridge regression",
    measure=measure,
    standard=grid(design=DESIGNS, rate=RATES),
    smoke=grid(design=("unequal",), rate=(0.5,)),
    controls=(
        criterion(
            "lasso-makes-zeros",
            "lasso_zeros",
            "unequal",
            0.5,
            Region.above(0.1),
            ZEROS,
            "a tenth of the weights is one of ten",
            "data on which an L1 penalty makes no zeros either",
        ),
    ),
)

AGREEMENT = Figure(
    name="adaptive-ridge",
    study=STUDY.name,
    title="Weights learnt with dropout against those of the closed form",
    draw=draw,
    reading=(
        "Each dot is one weight of one seed. On the dashed diagonal a closed form gives"
        " the weight that was learnt. Only a ridge whose penalty is scaled by each"
        " feature's second moment does so, and nothing in it is fitted."
    ),
    where={"design": "unequal", "rate": 0.5},
)


def close(design: str, rate: float) -> Criterion:
    return criterion(
        "distance",
        "distance",
        design,
        rate,
        Region.below(0.02),
        "distance from the closed form, fraction of its norm",
        "two per cent is what is left of the masks' noise after the last steps",
        "another penalty than that of the closed form",
    )


def nearer(other: str, words: str, rate: float) -> Criterion:
    return criterion(
        f"nearer-than-{other.replace('_', '-')}",
        f"log_nearer_than_{other}",
        "unequal",
        rate,
        Region.below(-math.log(10)),
        "log ratio of distances",
        "ten times nearer leaves no room for the other solution",
        words,
    )


def sparse(rate: float, region: Region, rival: str) -> Criterion:
    return criterion(
        "zeros",
        "zeros",
        "unequal",
        rate,
        region,
        ZEROS,
        "a tenth of the weights is one of ten",
        rival,
    )


RIDGE = tuple(nearer("ridge", "a plain ridge, of whatever penalty", r) for r in RATES)

ADAPTIVE_RIDGE = Claim(
    "do-adaptive-ridge",
    kinds=("exact", "rate"),
    document=Assertion(
        "Dropout regularises in a way akin to L1 and L2 penalties.",
        (
            *(close("unequal", rate) for rate in RATES),
            *(
                sparse(rate, Region.above(0.1), "small weights, none of them 0")
                for rate in RATES
            ),
        ),
        expected="conditional",
    ),
    corrected=Assertion(
        "In linear least squares dropout is ridge regression with a penalty scaled by"
        " each feature's second moment, and no weight becomes exactly 0. With features"
        " that are orthogonal every weight is 1 - rate times that of least squares.",
        (
            *(close("unequal", rate) for rate in RATES),
            *(nearer("least_squares", "no penalty", rate) for rate in RATES),
            *RIDGE,
            *(
                criterion(
                    "shrunk",
                    "distance_from_shrunk",
                    "orthogonal",
                    rate,
                    Region.below(0.02),
                    "distance from 1 - rate times least squares",
                    "two per cent, as above",
                    "a shrinkage that differs between features",
                )
                for rate in RATES
            ),
            *(sparse(rate, Region.below(0.1), "an L1 penalty") for rate in RATES),
            *(
                own.without(
                    {"design": "equal"},
                    "all features of one size",
                    Region.above(-math.log(2)),
                    "a plain ridge that is at most twice as far is the same penalty",
                )
                for own in RIDGE
            ),
        ),
        expected="supported",
    ),
    theory=(
        r"\mathbb{E}\,|y - \tilde X w|^2 = |y - Xw|^2 +"
        r"\frac{r}{1-r} \sum_j w_j^2 \sum_i x_{ij}^2"
    ),
    references=("srivastava2014", "wager2013"),
)
