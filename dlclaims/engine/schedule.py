"""Which examples are in which mini-batch: made with numpy, the same everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dlclaims.errors import UsageError

if TYPE_CHECKING:
    from dlclaims.seeds import Seeds


def batches(train: np.ndarray, steps: int, batch: int, seeds: Seeds) -> np.ndarray:
    """Return each seed's mini-batches as indices, shape (seeds, steps, batch).

    Every epoch is a new shuffle of the seed's training indices, from its stream
    ``order``; what does not fill the epoch's last batch is left out of that epoch.

    Parameters
    ----------
    train : ndarray of int, shape (seeds, m)
    """
    per_epoch = train.shape[1] // batch
    if per_epoch == 0:
        raise UsageError(
            f"a batch of at most {train.shape[1]} examples, the training split's size",
            f"batch={batch}",
            "choose a smaller batch",
        )
    epochs = -(-steps // per_epoch)
    schedule = np.empty((len(seeds), epochs, per_epoch * batch), "int32")
    for row, seed in enumerate(seeds):
        rng = seeds.generator(seed, "order")
        for epoch in range(epochs):
            schedule[row, epoch] = rng.permutation(train[row])[: per_epoch * batch]
    return schedule.reshape(len(seeds), -1, batch)[:, :steps]
