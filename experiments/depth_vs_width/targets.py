"""Functions to be learned: what is oscillating, compositional, or merely smooth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from dlclaims import engine
from dlclaims.seeds import Seeds

PERIODS = 2  # of the radial target, from the centre to the edge
TERMS = 5  # cosines of the smooth target
SAMPLE = 200_000  # inputs that give a target's mean and variance, once
EDGE = math.sqrt(3)  # of uniform inputs of variance 1


@dataclass(frozen=True)
class Target:
    """A function and the law of its inputs, whose coordinates have variance 1.

    Parameters
    ----------
    inputs : int
    draw : callable
        ``draw(rng, n, inputs)`` returns inputs, shape (n, inputs).
    value : callable
        Maps inputs to values, shape (n,); `stream` scales them to variance 1.
    """

    inputs: int
    draw: Callable[[np.random.Generator, int, int], np.ndarray]
    value: Callable[[np.ndarray], np.ndarray]


def cube(rng: np.random.Generator, n: int, inputs: int) -> np.ndarray:
    """Return uniform inputs: independent coordinates."""
    return rng.uniform(-EDGE, EDGE, (n, inputs))


def edge(inputs: int) -> float:
    """Return the largest norm of the inputs from `ball`."""
    return math.sqrt(3 * inputs)


def ball(rng: np.random.Generator, n: int, inputs: int) -> np.ndarray:
    """Return inputs of uniform norm in uniform directions.

    Normal inputs of many dimensions would all have nearly one norm.
    """
    x = rng.standard_normal((n, inputs))
    norm = edge(inputs) * rng.random((n, 1))
    return norm * x / np.linalg.norm(x, axis=1, keepdims=True)


def frequency(inputs: int) -> float:
    return 2 * math.pi * PERIODS / edge(inputs)


def radial(x: np.ndarray) -> np.ndarray:
    """Return cos(a|x|), `PERIODS` periods from the centre to the edge."""
    return np.cos(frequency(x.shape[1]) * np.linalg.norm(x, axis=1))


def ridge(x: np.ndarray) -> np.ndarray:
    """Return a cosine of the radial target's frequency along one direction."""
    return np.cos(frequency(x.shape[1]) * x.sum(axis=1) / math.sqrt(x.shape[1]))


def product(x: np.ndarray) -> np.ndarray:
    return x.prod(axis=1)


@cache
def cosines(inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return wave vectors, shape (inputs, `TERMS`), and phases of the smooth target."""
    rng = Seeds("depth-vs-width/smooth", (0,)).generator(0, "data")
    return rng.standard_normal((inputs, TERMS)), rng.uniform(0, 2 * math.pi, TERMS)


def smooth(x: np.ndarray) -> np.ndarray:
    """Return a sum of cosines of few, low frequencies: a small norm of Barron's."""
    waves, phases = cosines(x.shape[1])
    return np.cos(x @ waves + phases).sum(axis=1)


TARGETS = {
    "radial": Target(8, ball, radial),
    "radial-16": Target(16, ball, radial),
    "ridge": Target(8, ball, ridge),
    **{f"product-{n}": Target(n, cube, product) for n in (2, 4, 6)},
    "smooth": Target(3, cube, smooth),
}


@cache
def moments(name: str) -> tuple[float, float]:
    """Return a target's mean and standard deviation over its inputs."""
    target = TARGETS[name]
    rng = Seeds("depth-vs-width/moments", (0,)).generator(0, "data")
    y = target.value(target.draw(rng, SAMPLE, target.inputs))
    return float(y.mean()), float(y.std())


def stream(name: str, validation: int = 1000, test: int = 2000) -> engine.Stream:
    """Return fresh examples of a target, which has mean 0 and variance 1."""
    target = TARGETS[name]
    mean, deviation = moments(name)

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        x = target.draw(rng, n, target.inputs)
        return x, (target.value(x) - mean) / deviation

    return engine.Stream(draw, validation, test)
