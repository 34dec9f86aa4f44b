"""The same question for convolutional networks, under `full` alone.

He et al. 2016 (CVPR): 6 n + 2 layers; between the first convolution and the read-out
three stages of n blocks of two, the second and third at half the resolution and twice
the channels. Skips have no weights there either: they average neighbours, and their
new channels are 0. Blocks are those of `nets`: full pre-activation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dlclaims import networks
from dlclaims.pages import Study, Variant

from . import nets, training

if TYPE_CHECKING:
    import keras
    import pandas as pd

    from dlclaims.data import Classification
    from dlclaims.seeds import Seeds

CHANNELS = (8, 16, 32)
SHAPES = {"mnist1d": (40, 1), "cifar10": (32, 32, 3)}  # positions, then channels
DEPTHS = {"mnist1d": (8, 20, 44), "cifar10": (20, 56)}


def build(dataset: Classification, depth: int, arm: str) -> keras.Model:
    """Build a network of 6 n + 2 layers; biases start at 0, weights by He's rule."""
    import keras

    layers = keras.layers
    *positions, colours = SHAPES[dataset.name]
    dimensions = len(positions)
    convolution = {1: layers.Conv1D, 2: layers.Conv2D}[dimensions]
    average = {1: layers.AveragePooling1D, 2: layers.AveragePooling2D}[dimensions]
    whole = {1: layers.GlobalAveragePooling1D, 2: layers.GlobalAveragePooling2D}
    number = iter(range(1, depth + 1))

    def rule() -> keras.Initializer:
        return networks.initializer(nets.HE, next(number))

    def convolve(x: Any, channels: int, stride: int = 1) -> Any:
        made = convolution(
            channels, 3, stride, padding="same", kernel_initializer=rule()
        )
        return made(x)

    def activated(x: Any) -> Any:
        x = layers.BatchNormalization(momentum=0.9, epsilon=nets.EPSILON)(x)
        return layers.ReLU()(x)

    def halved(x: Any) -> Any:
        x = average(2)(x)
        return layers.Concatenate()([x, layers.Rescaling(0.0)(x)])

    inputs = keras.Input((dataset.features,))
    # Images lie plane by plane; Keras wants the channels of a position together.
    x = layers.Reshape((colours, *positions))(inputs)
    x = layers.Permute((*range(2, dimensions + 2), 1))(x)
    x = convolve(x, CHANNELS[0])
    for stage, channels in enumerate(CHANNELS):
        for block in range((depth - 2) // 6):
            stride = 2 if stage and not block else 1
            branch = convolve(activated(x), channels, stride)
            branch = convolve(activated(branch), channels)
            if arm == "residual":
                skip = halved(x) if stride == 2 else x
                branch = layers.Add()([skip, branch])
            x = branch
    x = whole[dimensions]()(activated(x))
    outputs = layers.Dense(dataset.classes, kernel_initializer=rule())(x)
    return keras.Model(inputs, outputs)


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Accuracies in evaluation mode."""
    dataset = training.dataset_of(variant)
    depth, arm = variant["depth"], variant["arm"]
    steps = variant.steps(training.STEPS)
    return training.final(
        training.train(lambda: build(dataset, depth, arm), variant, seeds, steps)
    )


def on(dataset: str, title: str) -> Study:
    depths = training.by_depth(*DEPTHS[dataset])
    return replace(
        training.STUDY,
        name=f"convolution-{dataset}",
        title=f"Convolutional plain and residual networks on {title}",
        measure=measure,
        predict=None,
        standard=(),
        quick=(),
        smoke=(),
        full=training.variants(*({"data": dataset, **v} for v in depths)),
        data=(dataset,),
        sensitivity=(),
    )


STUDIES = (on("mnist1d", "MNIST-1D"), on("cifar10", "CIFAR-10"))
ERRORS = tuple(
    training.error_on(study.name, f"convolutional networks on {title}")
    for study, title in zip(STUDIES, ("MNIST-1D", "CIFAR-10"), strict=True)
)
