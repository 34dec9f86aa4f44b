"""Compiled programs of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

#: Programs that are kept: each holds some 10 MB, and a plan's cells come by program.
MOST = 32

_programs: dict[Any, tuple[Any, list[Any]]] = {}  # the one used last stands last
_lock = threading.RLock()


def once(key: Any, kept: list[Any], make: Callable[[], Any]) -> Any:
    """Return what `make` returned when the key was new, or was forgotten since.

    The `MOST` programs that were used last are kept.

    Parameters
    ----------
    kept : list
        Objects that the key names by id; they live as long as the program, so that no
        other object can get their id.
    """
    with _lock:
        found = _programs.pop(key, None) or (make(), kept)
        _programs[key] = found
        while len(_programs) > MOST:
            del _programs[next(iter(_programs))]
        return found[0]
