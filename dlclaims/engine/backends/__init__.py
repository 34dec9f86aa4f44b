"""The few functions that differ between TensorFlow and JAX; one module for each.

A backend module has ``settings``, ``machine``, ``precision``, ``tensor``, ``gather``,
``split``, ``compile``, ``repeat``, ``map_replicas``, ``gradients``, ``dropout`` and
``pure``, with the same meaning in both.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from dlclaims.errors import EnvironmentFault

KNOWN = ("tensorflow", "jax")


def load() -> ModuleType:
    """Return the module of the backend that ``KERAS_BACKEND`` names."""
    with quiet():
        import keras
    name = keras.config.backend()
    if name not in KNOWN:
        raise EnvironmentFault(
            f"KERAS_BACKEND to be one of {', '.join(KNOWN)}",
            repr(name),
            "unset it, or set it to tensorflow",
        )
    return importlib.import_module(f"dlclaims.engine.backends.{name}")


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what libraries write to standard error while they are imported.

    TensorFlow's loader logs before its own log level is read, so that no setting
    reaches it. When the import fails, everything that was held back is written.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
