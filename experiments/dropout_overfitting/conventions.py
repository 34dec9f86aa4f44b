"""Scaling in training, as Keras does, and at evaluation, as the paper does."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from dlclaims import engine
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Deviation,
    Difference,
    Region,
    Value,
)
from dlclaims.pages import Study, Variant, grid, tidy
from dlclaims.theory import dropout

from . import evaluation, overfitting, removal, training
from .training import DATA, TITLES

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from dlclaims.seeds import Seeds

#: Keras' Rescaling holds its factor in single precision; 3/4 and 1/2 are exact there.
RATES = (0.25, 0.5)
NET = training.Net(inputs=10, outputs=3, rate=0.5, width=12)
EXAMPLES = 32
BEHIND = (2, 4)  # of kernels and biases in turn, the kernels that read dropped units


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Deviations between both forms of a network, weights converted and masks equal.

    All relative to the largest number compared. ``step`` compares gradient steps on
    the kernels behind dropout, those of the paper's form read as steps of Keras'
    weights, which should be (1 - rate)^2 times as long. ``made_up_for`` compares
    activations at evaluation with their mean over all masks, in the paper's form.
    """
    rate = variant["rate"]
    nets = [replace(NET, rate=rate, form=form) for form in ("keras", "paper")]
    forms = [
        engine.initialize(partial(training.build, net), seeds=seeds, dtype="float64")
        for net in nets
    ]
    rows = []
    for seed in seeds:
        keras_form, paper_form = (runs.replica(seed) for runs in forms)
        for k, (own, given) in enumerate(
            zip(paper_form.weights, keras_form.weights, strict=True)
        ):
            own.assign(given / (1 - rate) if k in BEHIND else given)
        x = seeds.generator(seed, "data").standard_normal((EXAMPLES, NET.inputs))
        rows.append(compare(keras_form, paper_form, rate, x))
    names = ("training", "evaluation", "step", "made_up_for")
    columns = dict(zip(names, np.transpose(rows), strict=True))
    return tidy({"seed": seeds}, **columns, elements=EXAMPLES * NET.outputs)


def compare(
    keras_form: keras.Model, paper_form: keras.Model, rate: float, x: np.ndarray
) -> tuple[float, float, float, float]:
    keep = 1 - rate
    ((ours,), our_slopes), ((theirs,), their_slopes) = (
        removal.in_training(model, x) for model in (keras_form, paper_form)
    )
    evaluated = [
        np.asarray(model(x, training=False)) for model in (paper_form, keras_form)
    ]
    # Keras' weights are keep times the paper's, and so are their steps.
    steps = [(keep * their_slopes[k], keep**2 * our_slopes[k]) for k in BEHIND]
    return (
        apart(theirs, ours),
        apart(*evaluated),
        max(apart(*pair) for pair in steps),
        apart(scaled_down(paper_form, x), mean_of_masks(paper_form, rate, x)),
    )


def apart(found: np.ndarray, right: np.ndarray) -> float:
    """Return the largest deviation, relative to the largest number."""
    return float(np.abs(found - right).max() / np.abs(right).max())


def scaled_down(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """Return what the second layer reads at evaluation."""
    import keras

    first = next(
        layer for layer in model.layers if isinstance(layer, keras.layers.Rescaling)
    )
    return np.asarray(keras.Model(model.inputs[0], first.output)(x, training=False))


def mean_of_masks(model: keras.Model, rate: float, x: np.ndarray) -> np.ndarray:
    """Return what the second layer reads in training, on average over all masks."""
    kernel, bias = (np.asarray(weight) for weight in model.weights[:2])
    factors, probabilities = dropout.masks(len(bias), rate)
    masked = (factors > 0) * evaluation.hidden(x, kernel, bias)[:, None]
    return np.einsum("m,nmu->nu", probabilities, masked)


STUDY = Study(
    name="conventions",
    title="The same network in the form of Keras and of the paper",
    measure=measure,
    standard=grid(rate=RATES),
    smoke=grid(rate=RATES),
    sampling="exact",
)


def exactly(
    name: str, column: str, unit: str, reason: str, rival: str
) -> tuple[Criterion, ...]:
    return tuple(
        Criterion(
            f"{name}-{rate}".replace(".", ""),
            STUDY.name,
            Deviation(Value(column), {"rate": rate}),
            Region.below(1e-10),
            unit,
            f"Dropout({rate}), two hidden layers of 12, float64",
            reason,
            rival,
        )
        for rate in RATES
    )


ROUNDING = "rounding in double precision stays far below"

MADE_UP_FOR = exactly(
    "made-up-for",
    "made_up_for",
    "relative deviation of scaled activations from their mean over all masks",
    ROUNDING,
    "scaling by p what Keras' training has scaled up already",
)


def as_accurate(dataset: str) -> Criterion:
    own = overfitting.net(dataset, overfitting.SOME, "0.5", "error")
    return Criterion(
        f"accuracy-{dataset}",
        overfitting.STUDY.name,
        Difference(Value("test_accuracy"), {**own, "setup": "paper"}, minus=own),
        Region.around(0, 0.01),
        overfitting.ACCURACY,
        f"{TITLES[dataset]}, scaling at evaluation against scaling in training, each at"
        f" its own learning rate, {overfitting.SOME} examples",
        "one point, in either direction",
        "learning rates of single layers that no common rate makes up for",
    )


CONVENTIONS_EQUIVALENT = Claim(
    "do-conventions-equivalent",
    kinds=("exact", "difference"),
    document=Assertion(
        "Scaling neuron outputs down by p at evaluation makes up for the dropping that"
        " is done in training.",
        MADE_UP_FOR,
        expected="supported",
    ),
    corrected=Assertion(
        "Scaling in training and scaling at evaluation define the same functions, once"
        " the next layer's weights are divided by p. A gradient step is p² times as"
        " long; with tuned rates both are equally accurate.",
        (
            *exactly(
                "training",
                "training",
                "relative deviation of outputs under equal masks",
                ROUNDING,
                "two conventions that are different networks in training",
            ),
            *exactly(
                "evaluation",
                "evaluation",
                "relative deviation of outputs without masks",
                ROUNDING,
                "two conventions that are different networks at evaluation",
            ),
            *exactly(
                "step",
                "step",
                "relative deviation of a gradient step from p² times Keras' step",
                ROUNDING,
                "equal trajectories at equal learning rates",
            ),
            *(as_accurate(dataset) for dataset in DATA),
        ),
        expected="supported",
    ),
    theory=r"(m \odot h)\,V = \Bigl(\frac{m}{p} \odot h\Bigr)\,(pV)",
    references=("srivastava2014",),
)
