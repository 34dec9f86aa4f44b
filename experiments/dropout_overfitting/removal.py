"""What a dropped unit takes with it: the gradients of its weights and its bias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import engine
from dlclaims.claims import Assertion, Claim, Criterion, Deviation, Region, Value
from dlclaims.engine import backends
from dlclaims.engine.blueprint import precision
from dlclaims.pages import Study, Variant, grid, tidy

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from dlclaims.seeds import Seeds

INPUTS, UNITS, OUTPUTS = 20, 50, 5
BATCH = 64


def build(rate: float) -> keras.Model:
    """One hidden layer with dropout; tanh, so that no unit that is kept is 0."""
    import keras

    x = keras.Input((INPUTS,))
    h = keras.layers.Dense(UNITS, activation="tanh")(x)
    dropped = keras.layers.Dropout(rate)(h)
    return keras.Model(x, [keras.layers.Dense(OUTPUTS)(dropped), dropped])


def in_training(
    model: keras.Model, x: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return all outputs and the gradients of the first one's squares.

    Parameters
    ----------
    model : keras.Model
        Its random state stays as it is, so that two calls draw one mask.
    x : np.ndarray
        Shape (examples, inputs).

    Returns
    -------
    outputs, slopes : list of np.ndarray
        The latter of the first output's sum of squares, by every trainable weight.
    """
    from keras import ops, tree

    backend = backends.load()

    def values(variables: list[Any]) -> list[Any]:
        return [backend.tensor(np.asarray(variable)) for variable in variables]

    fixed = values(model.non_trainable_variables)

    def loss(weights: list[Any]) -> tuple[Any, Any]:
        called, _ = model.stateless_call(weights, fixed, x, training=True)
        outputs = tree.flatten(called)
        return ops.sum(ops.square(outputs[0])), outputs

    with precision(model.dtype):
        trained = values(model.trainable_variables)
        _, outputs, slopes = backend.gradients(loss, 1)(trained)
    return [np.asarray(o) for o in outputs], [np.asarray(slope) for slope in slopes]


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Largest gradients of dropped units, and units that get none.

    For one example: the largest gradient of a dropped unit's incoming weights, bias and
    outgoing weights, and the fraction of kept units without a gradient in any of the
    three. For a batch: the fraction of units without a gradient.
    """
    runs = engine.initialize(
        lambda: build(variant["rate"]), seeds=seeds, dtype="float64"
    )
    largest, silent, untouched = [], [], []
    for seed in seeds:
        model = runs.replica(seed)
        x = seeds.generator(seed, "data").standard_normal((BATCH, INPUTS))
        (_, activations), slopes = in_training(model, x[:1])
        own = per_unit(slopes)
        is_dropped = activations[0] == 0
        largest.append(own[:, is_dropped].max())
        silent.append(np.mean(own[:, ~is_dropped].min(axis=0) == 0))
        untouched.append(np.mean(per_unit(in_training(model, x)[1]).max(axis=0) == 0))
    return tidy(
        {"seed": seeds},
        largest_of_dropped=largest,
        kept_without_gradient=silent,
        untouched_by_batch=untouched,
        elements=UNITS * (INPUTS + 1 + OUTPUTS),
    )


def per_unit(slopes: list[np.ndarray]) -> np.ndarray:
    """Largest absolute gradient of each unit's incoming, bias and outgoing weights.

    Returns
    -------
    np.ndarray
        Shape (3, units).
    """
    incoming, bias, outgoing, _ = (np.abs(slope) for slope in slopes)
    return np.stack([incoming.max(axis=0), bias, outgoing.max(axis=1)])


RATE = {"rate": 0.5}


def exactly_none(
    name: str, column: str, unit: str, scope: str, reason: str, rival: str
) -> Criterion:
    return Criterion(
        name,
        "removal",
        Deviation(Value(column), RATE),
        Region.below(0.0),
        unit,
        f"{scope}, 50 tanh units, Dropout(0.5), float64",
        reason,
        rival,
    )


REMOVED = exactly_none(
    "removed",
    "largest_of_dropped",
    "largest gradient of dropped units' incoming weights, biases, outgoing weights",
    "one example",
    "a product with zero is zero, without rounding",
    "an output that is set to 0 while the weights behind it still learn",
)

STUDY = Study(
    name="removal",
    title="Gradients of a dropped unit",
    measure=measure,
    standard=grid(rate=(0.5,)),
    smoke=grid(rate=(0.5,)),
    sampling="exact",
    controls=(
        exactly_none(
            "kept-units-learn",
            "kept_without_gradient",
            "fraction of kept units without a gradient",
            "one example",
            "a unit that is kept must have one, or nothing is shown",
            "a network in which no gradient flows at all",
        ),
    ),
)

UNIT_REMOVED = Claim(
    "do-unit-removed",
    kinds=("exact",),
    document=Assertion(
        "A neuron's weights and biases are switched off together with the neuron.",
        (REMOVED,),
        expected="supported",
    ),
    corrected=Assertion(
        "A dropped unit's incoming weights, bias and outgoing weights get no gradient"
        " from the example that drops it. Other examples of the batch keep the unit, so"
        " that no unit goes without a gradient in a step.",
        (
            REMOVED,
            exactly_none(
                "batch-touches-all",
                "untouched_by_batch",
                "fraction of units without a gradient",
                "a batch of 64 examples",
                "64 masks drop a unit together once in 10^19 times",
                "units that are off for a whole step",
            ),
        ),
        expected="supported",
    ),
    theory=(
        r"m_j = 0 \;\Rightarrow\; \frac{\partial L}{\partial w_{ij}} ="
        r"\frac{\partial L}{\partial b_j} = \frac{\partial L}{\partial v_{jk}} = 0"
    ),
    references=("srivastava2014",),
)
