"""Keras networks that pages build, in the words of the theory.

Every layer holds an initializer of its own: Keras' repeat their values at every call,
so that a shared one would make equal layers. Their seeds are the layers' numbers: what
is built is a blueprint, whose weights the engine draws anew for every replica.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dlclaims.theory import gaussian
from dlclaims.theory.mean_field import Initialization, Stack

if TYPE_CHECKING:
    import keras


def mlp(stack: Stack, outputs: int | None = None) -> keras.Model:
    """Build a dense network: the stack, then a linear read-out.

    Parameters
    ----------
    stack : Stack
        Also what `theory.mean_field` predicts.
    outputs : int, optional
        Units of the linear layer ``output``, drawn from the stack's law as well;
        without it the network ends with the last hidden layer.

    Returns
    -------
    keras.Model
        Hidden layer l is ``pre_l``, a linear Dense layer with biases at 0 that gives
        z_l, then ``act_l``; in a residual stack then ``add_l``, from layer 2 on.
    """
    import keras

    x = inputs = keras.Input((stack.inputs,))
    for layer in range(1, stack.depth + 1):
        z = _dense(stack.width, stack.initialization, layer, f"pre_{layer}")(x)
        a = _activation(stack.activation, f"act_{layer}")(z)
        has_skip = stack.residual and layer > 1
        x = keras.layers.Add(name=f"add_{layer}")([a, x]) if has_skip else a
    if outputs is not None:
        x = _dense(outputs, stack.initialization, stack.depth + 1, "output")(x)
    return keras.Model(inputs, x)


def initializer(law: Initialization, seed: int) -> keras.Initializer:
    """Return a Keras initializer of this law.

    A scale is a normal law of variance scale / fan_in. Keras' own ``GlorotUniform`` has
    the variance of scale 1 in a square layer only, ``HeNormal`` that of scale 2 from a
    truncated law.
    """
    import keras

    if law.limit is not None:
        return keras.initializers.RandomUniform(-law.limit, law.limit, seed=seed)
    return keras.initializers.VarianceScaling(
        law.scale, mode="fan_in", distribution="untruncated_normal", seed=seed
    )


def centred_sigmoid(z: Any) -> Any:
    """Return sigmoid(z) - 1/2: the sigmoid as an odd function."""
    import keras

    return keras.ops.sigmoid(z) - 0.5


def _dense(units: int, law: Initialization, seed: int, name: str) -> keras.layers.Layer:
    import keras

    return keras.layers.Dense(
        units, kernel_initializer=initializer(law, seed), name=name
    )


def _activation(activation: str, name: str) -> keras.layers.Layer:
    import keras

    gaussian.find(activation)  # refuses a name that theory does not know
    own = {"centred_sigmoid": centred_sigmoid}
    return keras.layers.Activation(own.get(activation, activation), name=name)
