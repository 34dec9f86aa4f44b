"""Compiled programs of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

_programs: dict[Any, tuple[Any, list[Any]]] = {}
_lock = threading.RLock()


def once(key: Any, kept: list[Any], make: Callable[[], Any]) -> Any:
    """Return what `make` returned when the key was new.

    Parameters
    ----------
    kept : list
        Objects that the key names by id; they live as long as the program, so that no
        other object can get their id.
    """
    with _lock:
        if key not in _programs:
            _programs[key] = make(), kept
        return _programs[key][0]
