"""Data sets: named, standardised, divided by seeded streams.

A page asks for ``data.load("digits")``, divides it with ``data.split`` and hands
``(dataset.x, dataset.y, *split)`` to the engine.
"""

from __future__ import annotations

from functools import lru_cache

from dlclaims.data import digits, mnist1d
from dlclaims.data.classification import Classification, Split, split, standardize
from dlclaims.errors import UsageError, nearest

__all__ = [
    "DIGESTS",
    "NAMES",
    "Classification",
    "Split",
    "load",
    "load_raw",
    "split",
    "standardize",
]

_LOADERS = {
    "digits": digits.load,
    "mnist1d": mnist1d.load,
    "mnist1d-shuffled": mnist1d.load_shuffled,
}
NAMES = tuple(_LOADERS)

#: What `load_raw(name).digest` must be; here so that a plan need not load the data.
DIGESTS = {
    "digits": "4c3be1ce2a813399764331c9550de006",
    "mnist1d": "56bad25fae37883f084909c018748820",
    "mnist1d-shuffled": "298cb148369a777210c4d7781864a7b7",
}


@lru_cache
def load(name: str) -> Classification:
    """Return a data set by name, standardised; its arrays are read-only.

    Raises
    ------
    UsageError
        No data set has this name.
    """
    return standardize(load_raw(name))


def load_raw(name: str) -> Classification:
    """Return a data set by name, before it is standardised; UsageError if unknown."""
    if name not in _LOADERS:
        raise UsageError("the name of a data set", repr(name), nearest(name, NAMES))
    return _LOADERS[name]()
