"""Handwritten digits, 8 x 8 pixels (scikit-learn's copy of the UCI test set)."""

from __future__ import annotations

import numpy as np

from dlclaims.data.classification import Classification


def load() -> Classification:
    """Return 1797 digits of 64 pixels in [0, 1]; 360 are the test set of each seed."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return Classification(
        "digits",
        (pixels / 16).astype(np.float32),
        labels.astype(np.int32),
        classes=10,
        pool=len(labels),
        test=360,
    )
