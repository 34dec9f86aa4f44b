"""Test the statements that people learn about deep learning.

>>> import dlclaims
>>> results = dlclaims.load()  # what lies in results/, by page
>>> results = dlclaims.run("vanishing-gradient", profile="quick")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlclaims.suite import load, run

__version__ = "0.1.0"
__all__ = ["__version__", "load", "run"]


def __getattr__(name: str) -> Any:
    # Whoever imports a module of dlclaims imports this file: it must cost nothing.
    if name in ("load", "run"):
        from dlclaims import suite

        return getattr(suite, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
