"""Sums along skip connections: signals, gradients, and how inputs stay apart.

Widths are infinite, weights independent with mean 0, biases 0. He's rule gives weights
the variance 2 / fan_in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator


def log_gain(skip: float, branch: float) -> float:
    """Return the log of the gradient's amplitude per block, in nats.

    The gradient at a block's input is ``skip`` times that at its output plus what the
    branch passes on; the latter has mean 0 and is independent, so that squares add.

    Parameters
    ----------
    skip : float
        What the skip is multiplied by.
    branch : float
        Mean squared singular value of the branch's Jacobian.
    """
    energy = skip**2 + branch
    return 0.5 * math.log(energy) if energy else -math.inf


def document_block(
    mean: float = 0.0, times: float = 1.0
) -> Iterator[tuple[float, float]]:
    """Yield, block by block, the log of the second moment's factor and mean over rms.

    Of ``a' = relu(W a) + a``, W by He's rule times t: for q = E a^2 and m = E a, the
    pre-activations are normal with variance 2 t^2 q, so that E relu^2 = t^2 q and
    E relu = t sqrt(q / pi), and q' = (1 + t^2) q + 2 m t sqrt(q / pi),
    m' = m + t sqrt(q / pi).

    Parameters
    ----------
    mean : float
        m / sqrt(q) at the start.
    times : float
        What He's weights are multiplied by.
    """
    ratio, own = mean, times / math.sqrt(math.pi)
    while True:
        factor = 1 + times**2 + 2 * ratio * own
        ratio = (ratio + own) / math.sqrt(factor)
        yield math.log(factor), ratio


def document_growth() -> float:
    """Return the factor of the second moment to which `document_block` tends: 2.904."""
    steps = document_block()
    for _ in range(100):
        log_factor, _ = next(steps)
    return math.exp(log_factor)


def correlated_signals(rho: float) -> float:
    """Return the correlation (not centred) after a ReLU layer, from that before it.

    Cho & Saul 2009, NeurIPS: the arc-cosine kernel of degree 1.
    """
    angle = math.acos(min(1.0, max(-1.0, rho)))
    return (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / math.pi


def correlated_slopes(rho: float) -> float:
    """Return E[relu'(u) relu'(v)] / E[relu'(u)^2] for normal u and v, correlated so.

    Cho & Saul 2009, NeurIPS: the arc-cosine kernel of degree 0.
    """
    return 1 - math.acos(min(1.0, max(-1.0, rho))) / math.pi


#: Variance of a layer's outputs over many inputs, behind normalisation and ReLU by
#: He's rule: their mean square is 1, and 1 / pi of it is common to all inputs.
VARIANCE = 1 - 1 / math.pi


def normalized_gradient(blocks: int, residual: bool, stream: float = 2.0) -> float:
    """Return the log of how much larger the first block's gradient is than the last's.

    Of the rms gradient at the weights: of the first layer in the first block, over the
    second layer in the last one. Blocks are two layers by He's rule, each behind batch
    normalisation and ReLU. On its way to the input a gradient is divided by the
    deviation of what is normalised: a layer's variance is `VARIANCE`, so that a plain
    network's gradient grows by 1 / sqrt(`VARIANCE`) in every layer (Yang et al. 2019,
    ICLR). With skips the stream's variance rises by `VARIANCE` a block, branches pass
    less and less, and the gradient grows like a power of the depth only.

    Parameters
    ----------
    blocks : int
    residual : bool
        Whether the block's input is added to its output.
    stream : float
        Variance of the first block's input, which skips keep.
    """
    if not residual:
        return -0.5 * (2 * blocks - 1) * math.log(VARIANCE)
    variances = (stream + VARIANCE * before for before in range(1, blocks))
    squared = sum(math.log1p(1 / (VARIANCE * variance)) for variance in variances)
    return 0.5 * (squared - math.log(VARIANCE))


def gradient_correlation(
    rho: float, blocks: int, residual: bool, normalized: bool
) -> float:
    """Return how alike the gradients of two inputs are, after so many blocks.

    A block is two ReLU layers by He's rule. Batch normalisation before each removes
    what is common to all inputs and divides by the rest, `VARIANCE`: inputs come apart,
    and gradients grow by 1 / `VARIANCE` in the square. With skips the stream's variance
    then rises by `VARIANCE` a block, and the branch's share of a gradient falls with it
    (De & Smith 2020, NeurIPS). Without normalisation branches are multiplied by
    1 / sqrt(blocks).

    Parameters
    ----------
    rho : float
        Correlation of the two inputs, whose variance is 1.
    blocks : int
    residual : bool
        Whether the block's input is added to its output.
    normalized : bool
    """
    common, own = (1 / math.pi, VARIANCE) if normalized else (0.0, 1.0)
    variance, covariance, found = 1.0, rho, 1.0
    for _ in range(blocks):
        before = covariance / variance
        inside = (correlated_signals(before) - common) / own
        passed = correlated_slopes(before) * correlated_slopes(inside)
        branch = correlated_signals(inside) - common
        if not residual:
            found *= passed
            variance, covariance = own, branch
        elif normalized:
            found *= (own * variance + passed) / (own * variance + 1)
            variance, covariance = variance + own, covariance + branch
        else:
            found *= (blocks + passed) / (blocks + 1)
            covariance += branch * variance / blocks
            variance += variance / blocks
    return found
