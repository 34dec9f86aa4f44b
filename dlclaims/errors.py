"""Errors that a user can cause: each says what was expected, what came, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DlclaimsError(Exception):
    """An expected failure: shown without a traceback, in at most three lines.

    Parameters
    ----------
    expected, received, advice : str
        One sentence each, without a trailing period.
    """

    exit_code = 1

    def __init__(self, expected: str, received: str, advice: str):
        super().__init__(expected, received, advice)
        self.expected, self.received, self.advice = expected, received, advice

    def __str__(self) -> str:
        return (
            f"expected {self.expected}\nreceived {self.received}\nto do: {self.advice}"
        )


class UsageError(DlclaimsError):
    """The words of a call are wrong: an unknown name, a range that is none."""

    exit_code = 2


class EnvironmentFault(DlclaimsError):
    """The machine lacks something: a folder that cannot be written, a device."""

    exit_code = 3


class TimeUp(DlclaimsError):
    """The minutes that a run was given are over; `failed` are the cells it lost."""

    exit_code = 0

    def __init__(self, expected: str, received: str, advice: str):
        super().__init__(expected, received, advice)
        self.failed: dict[str, str] = {}


class NothingMatched(DlclaimsError):
    """A pattern is well formed and matches nothing."""

    exit_code = 5


class Locked(DlclaimsError):
    """Another run holds the output folder."""

    exit_code = 75


class PageError(DlclaimsError):
    """A page cannot be imported, or declares something that cannot be."""

    exit_code = 2


class DamagedCell(DlclaimsError):
    """A stored cell is not what was written; it is quarantined and recomputed."""

    exit_code = 0


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean X?``, or the known names when none is near."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    return "one of: " + ", ".join(known)
