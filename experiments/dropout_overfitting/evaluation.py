"""Trained networks in numpy: predictions under changes, and what units are worth."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dlclaims import engine

Change = Callable[[np.ndarray], np.ndarray]  # of a hidden layer's activations


def network(runs: engine.Runs, row: int) -> list[np.ndarray]:
    """Return a replica's kernels and biases in turn, layer 1 first."""
    return [weights[row] for weights in runs.weights]


def spread(test: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` test examples of each seed, from all over the split.

    A fixed test set may be sorted by class.

    Parameters
    ----------
    test : np.ndarray
        Indices, shape (seeds, examples).
    """
    return test[:, :: math.ceil(test.shape[1] / most)]


def hidden(a: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return a hidden layer's activations, shape (examples, units)."""
    return np.maximum(a @ kernel + bias, 0)


def outputs(
    network: list[np.ndarray], x: np.ndarray, changes: tuple[Change, ...] = ()
) -> np.ndarray:
    """Return logits, after changing the activations of each hidden layer."""
    a = x
    for layer in range(len(network) // 2 - 1):
        a = hidden(a, *network[2 * layer : 2 * layer + 2])
        a = changes[layer](a) if changes else a
    return a @ network[-2] + network[-1]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def excess_correlation(a: np.ndarray) -> float:
    """Return the mean absolute correlation of two units beyond that of chance.

    That of independent normal units is about sqrt(2 / (pi examples)). Units that never
    change have none; 0 where fewer than two change.

    Parameters
    ----------
    a : np.ndarray
        Shape (examples, units).
    """
    living = a[:, a.std(axis=0) > 0].astype(float)
    if living.shape[1] < 2:
        return 0.0
    found = np.abs(np.corrcoef(living, rowvar=False))
    pairs = found[np.triu_indices_from(found, k=1)]
    return float(pairs.mean() - math.sqrt(2 / (math.pi * len(a))))


def sharing(
    a: np.ndarray, kernel: np.ndarray, bias: np.ndarray, y: np.ndarray
) -> float:
    """Return how evenly units are useful: the participation ratio of their usefulness.

    A unit's usefulness is by how much the loss rises without it, 0 where it falls. The
    ratio is 1 where all units are equally useful, 1 / units where one does all.

    Parameters
    ----------
    a : np.ndarray
        Shape (examples, units): the last hidden layer.
    kernel, bias : np.ndarray
        Of the output layer.
    y : np.ndarray
        Shape (examples,).
    """
    logits, rows = a @ kernel + bias, np.arange(len(y))

    def mean_loss(logits: np.ndarray) -> float:
        return -float(log_softmax(logits)[rows, y].mean())

    without = [
        mean_loss(logits - np.outer(a[:, unit], kernel[unit]))
        for unit in range(a.shape[1])
    ]
    useful = np.maximum(np.array(without) - mean_loss(logits), 0)
    total = float(np.sum(useful**2))
    return float(np.sum(useful)) ** 2 / (len(useful) * total) if total else 0.0


def disagreement(decisions: np.ndarray, classes: int) -> float:
    """Return how often two members of an ensemble decide differently.

    Parameters
    ----------
    decisions : np.ndarray
        Classes, shape (members, examples).

    Returns
    -------
    float
        Fraction of pairs of different members and of examples.
    """
    members = len(decisions)
    counts = np.stack([(decisions == k).sum(axis=0) for k in range(classes)])
    alike = np.sum(counts * (counts - 1), axis=0) / (members * (members - 1))
    return float(1 - alike.mean())
