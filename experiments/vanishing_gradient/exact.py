"""What holds to rounding error: slopes, the gradient's formula, float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import engine, networks
from dlclaims.claims import Assertion, Claim, Criterion, Deviation, Region, Value
from dlclaims.pages import Study, Variant, grid, tidy
from dlclaims.theory import gaussian, mean_field

if TYPE_CHECKING:
    import pandas as pd

    from dlclaims.seeds import Seeds

SUPREMA = {"sigmoid": 0.25, "tanh": 1.0}


def measure_derivatives(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """The slopes of Keras' activation on a grid that holds 0, by its own gradient."""
    import keras

    z = np.linspace(-20, 20, 4001)
    slopes = engine.derivative(keras.activations.get(variant["activation"]), z)
    beyond = np.maximum(slopes - 1, -slopes).max()
    return tidy(
        {"seed": seeds},
        outside_unit=max(0.0, beyond),
        from_supremum=abs(slopes.max() - SUPREMA[variant["activation"]]),
        elements=len(z),
    )


def backpropagate(
    weights: list[np.ndarray], x: np.ndarray, activation: str, is_repeated: bool
) -> list[np.ndarray]:
    """Gradients of the mean sum of a_L, with the later layers counted once or twice.

    Parameters
    ----------
    weights : list of np.ndarray
        Kernels, shape (inputs, units) each, layer 1 first.
    x : np.ndarray
        Shape (examples, inputs).
    is_repeated : bool
        Whether the product over the later layers stands beside dL/da_l, as in the
        document, where it is already inside.
    """
    phi = gaussian.find(activation)
    layers, before = [x], []
    for kernel in weights:
        before.append(layers[-1] @ kernel)
        layers.append(phi.function(before[-1]))
    reaching = [np.ones_like(layers[-1]) / len(x)]  # dL/da_l, the last layer first
    for kernel, z in zip(weights[:0:-1], before[:0:-1], strict=True):
        reaching.append((reaching[-1] * phi.derivative(z)) @ kernel.T)
    found = []
    for layer, own in enumerate(reaching[::-1]):
        if is_repeated:
            for kernel, z in zip(weights[:layer:-1], before[:layer:-1], strict=True):
                own = (own * phi.derivative(z)) @ kernel.T
        found.append(layers[layer].T @ (own * phi.derivative(before[layer])))
    return found


def measure_formula(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """The document's and the correct formula against automatic differentiation."""
    runs = initial(variant, seeds, width=12, dtype="float64")
    x = inputs(seeds, examples=32, width=12)
    right = engine.layer_gradients(runs, x, x, total).weights
    kernels = [weight for weight in runs.weights if weight.ndim == 3]
    deviations = {
        name: [
            deviation(
                backpropagate([k[i] for k in kernels], x[i], "tanh", is_repeated),
                [gradient[i] for gradient in right],
            )
            for i in range(len(seeds))
        ]
        for name, is_repeated in (("correct", False), ("literal", True))
    }
    elements = sum(kernel[0].size for kernel in kernels)
    return tidy({"seed": seeds}, **deviations, elements=elements)


def measure_precision(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """First-layer gradients in float32 against float64, from the same weights."""
    x = inputs(seeds, examples=256, width=100)
    gradients = {
        dtype: engine.layer_gradients(
            initial(variant, seeds, width=100, dtype=dtype), x, x, total
        ).preactivations
        for dtype in ("float32", "float64")
    }
    first = {dtype: layers[0].astype(float) for dtype, layers in gradients.items()}
    near, far = (np.linalg.norm(gradients["float64"][i], axis=(1, 2)) for i in (0, -1))
    return tidy(
        {"seed": seeds},
        deviation=[
            deviation([a], [b])
            for a, b in zip(first["float32"], first["float64"], strict=True)
        ],
        log_shrinkage=np.log(near / far),
        elements=first["float64"][0].size,
    )


def initial(variant: Variant, seeds: Seeds, width: int, dtype: str) -> engine.Runs:
    law = mean_field.initialization("xavier", variant["activation"])
    stack = mean_field.Stack(width, variant["depth"], width, variant["activation"], law)
    return engine.initialize(lambda: networks.mlp(stack), seeds=seeds, dtype=dtype)


def inputs(seeds: Seeds, examples: int, width: int) -> np.ndarray:
    streams = [seeds.generator(seed, "data") for seed in seeds]
    return np.stack([stream.standard_normal((examples, width)) for stream in streams])


def total(y: Any, prediction: Any) -> Any:
    """The sum of the last activations, one value an example."""
    from keras import ops

    return ops.sum(prediction, axis=-1)


def deviation(found: list[np.ndarray], right: list[np.ndarray]) -> float:
    """Largest deviation of any layer, relative to that layer's norm."""
    return max(
        float(np.linalg.norm(a - b) / np.linalg.norm(b))
        for a, b in zip(found, right, strict=True)
    )


DERIVATIVES = Study(
    name="derivatives",
    title="Slopes of sigmoid and tanh",
    measure=measure_derivatives,
    standard=grid(activation=tuple(SUPREMA)),
    smoke=grid(activation=tuple(SUPREMA)),
    sampling="exact",
)
FORMULA = Study(
    name="formula",
    title="The gradient's formula against automatic differentiation",
    measure=measure_formula,
    standard=grid(activation=("tanh",), depth=(6,)),
    smoke=grid(activation=("tanh",), depth=(6,)),
    sampling="exact",
)
PRECISION = Study(
    name="precision",
    title="float32 gradients against float64",
    measure=measure_precision,
    standard=grid(activation=("sigmoid",), depth=(10,)),
    smoke=grid(activation=("sigmoid",), depth=(10,)),
    sampling="exact",
)
DERIVATIVE_RANGE = Claim(
    "vg-derivative-range",
    kinds=("exact",),
    document=Assertion(
        "The slopes of sigmoid and tanh lie between 0 and 1.",
        tuple(
            Criterion(
                f"range-{activation}",
                DERIVATIVES.name,
                Deviation(Value("outside_unit"), {"activation": activation}),
                Region.below(0.0),
                "largest excess over [0, 1]",
                f"{activation}, 4,001 points in [-20, 20], float64",
                "an inequality is exact",
                "a slope above 1 or below 0 somewhere",
            )
            for activation in ("sigmoid", "tanh")
        ),
        expected="supported",
    ),
    corrected=Assertion(
        "The slope of tanh reaches 1, that of the sigmoid only 1/4, both at 0 alone:"
        " the sigmoid loses a factor of four where tanh loses none.",
        tuple(
            Criterion(
                f"supremum-{activation}",
                DERIVATIVES.name,
                Deviation(Value("from_supremum"), {"activation": activation}),
                Region.below(1e-6),
                "distance of the largest slope from its closed form",
                f"{activation}, 4,001 points in [-20, 20], float64",
                "the grid holds 0, so the maximum is met to rounding",
                "a common bound of 1 for both activations",
            )
            for activation in ("sigmoid", "tanh")
        ),
        expected="supported",
    ),
    theory=(
        r"\sigma'(z) = \sigma(z)(1-\sigma(z)) \le \tfrac14,"
        r"\quad \tanh'(z) = 1-\tanh^2 z \le 1"
    ),
)


def gradient_formula(column: str, rival: str) -> tuple[Criterion, ...]:
    return (
        Criterion(
            column.replace("_", "-"),
            FORMULA.name,
            Deviation(Value(column), {"activation": "tanh", "depth": 6}),
            Region.below(1e-10),
            "relative deviation from automatic differentiation",
            "6 tanh layers of 12 units, all layers, float64",
            "float64 rounding over six layers stays far below",
            rival,
        ),
    )


DOCUMENT_FORMULA = Claim(
    "vg-q14-formula",
    kinds=("exact",),
    document=Assertion(
        "dL/dW_l is dL/da_l times the local derivatives of layer l times the product of"
        " φ′(z_i) W_iᵀ over all later layers.",
        gradient_formula("literal", "a different grouping of the same factors"),
        expected="refuted",
    ),
    corrected=Assertion(
        "dL/dW_l = (dL/da_l ⊙ φ′(z_l)) a_{l-1}ᵀ; the product over the later layers"
        " is already inside dL/da_l.",
        gradient_formula("correct", "a factor that is missing or counted twice"),
        expected="supported",
    ),
    theory=(
        r"\frac{\partial L}{\partial W_l} ="
        r"\Bigl(\frac{\partial L}{\partial a_l}\odot\varphi'(z_l)\Bigr)a_{l-1}^{\top}"
    ),
)
