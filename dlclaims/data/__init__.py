"""Data sets: named, standardised, divided by seeded streams.

A page asks for ``data.load("digits")``, divides it with ``data.split`` and hands
``(dataset.x, dataset.y, *split)`` to the engine.
"""

from __future__ import annotations

from functools import lru_cache

from dlclaims.data import digits, mnist1d
from dlclaims.data.classification import Classification, Split, split, standardize
from dlclaims.errors import UsageError, nearest

__all__ = ["NAMES", "Classification", "Split", "load", "split", "standardize"]

_LOADERS = {
    "digits": digits.load,
    "mnist1d": mnist1d.load,
    "mnist1d-shuffled": mnist1d.load_shuffled,
}
NAMES = tuple(_LOADERS)


@lru_cache
def load(name: str) -> Classification:
    """Return a data set by name, standardised; its arrays are read-only.

    Raises
    ------
    UsageError
        No data set has this name.
    """
    if name not in _LOADERS:
        raise UsageError("the name of a data set", repr(name), nearest(name, NAMES))
    return standardize(_LOADERS[name]())
