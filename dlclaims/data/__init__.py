"""Data sets: named, standardised, divided by seeded streams.

A page asks for ``data.load("digits")``, divides it with ``data.split`` and hands
``(dataset.x, dataset.y, *split)`` to the engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from dlclaims.data import digits, images, mnist1d
from dlclaims.data.classification import Classification, Split, split, standardize
from dlclaims.errors import UsageError, nearest

__all__ = [
    "DIGESTS",
    "NAMES",
    "OPTIONAL",
    "Classification",
    "Split",
    "lacking",
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
#: Data sets that everybody has, and those whose files a machine may have.
NAMES = tuple(_LOADERS)
_LOADERS |= {"fashion-mnist": images.load_fashion, "cifar10": images.load_cifar10}
OPTIONAL = tuple(images.WAYS)

#: What `load_raw(name).digest` must be; here so that a plan need not load the data. Of
#: CIFAR-10 it is the archive's MD5, which its loader checks.
DIGESTS = {
    "digits": "4c3be1ce2a813399764331c9550de006",
    "mnist1d": "56bad25fae37883f084909c018748820",
    "mnist1d-shuffled": "298cb148369a777210c4d7781864a7b7",
    "fashion-mnist": "75eb386eab6466471aa9fa75d90c0d29",
    "cifar10": images.CIFAR_MD5,
}


@lru_cache
def load(name: str) -> Classification:
    """Return a data set by name, standardised; its arrays are read-only.

    Raises
    ------
    UsageError
        No data set has this name.
    EnvironmentFault
        Its files are not on this machine.
    """
    return standardize(load_raw(name))


def load_raw(name: str) -> Classification:
    """Return a data set by name, before it is standardised; UsageError if unknown."""
    if name not in _LOADERS:
        raise UsageError("the name of a data set", repr(name), nearest(name, _LOADERS))
    return _LOADERS[name]()


def lacking(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the data sets whose files are not on this machine."""
    return tuple(n for n in names if n in OPTIONAL and images.folder(n) is None)
