"""Named random streams: every draw has an address, and nothing touches global state.

A stream is derived from (master, study, seed, name). Variants of a study share their
streams, which is what pairs them: seed 3 has the same split and the same mini-batch
order in every variant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

STREAMS = ("data", "split", "init", "order", "noise")
MASTER = 20260101

#: First seed of each block. The blocks are disjoint, so that nothing that was tuned
#: or replicated on one block is judged on another.
EVALUATION, TUNING, REPLICATION = 0, 10_000, 20_000


@dataclass(frozen=True)
class Seeds:
    """The seeds of one cell, and their random streams.

    Parameters
    ----------
    study : str
        ``page/study``; part of every stream's address.
    values : tuple of int
        The seeds, without duplicates.
    renamed : tuple of (str, str)
        Streams that are read under another name: ``(("init", "init-2"),)`` gives the
        same splits and orders with another initialisation (A/A calibration).
    """

    study: str
    values: tuple[int, ...]
    renamed: tuple[tuple[str, str], ...] = field(default=())

    def __post_init__(self) -> None:
        if len(set(self.values)) != len(self.values):
            raise ValueError(f"seeds must differ from each other, got {self.values}")

    def __iter__(self) -> Iterator[int]:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def entropy(self, seed: int, stream: str) -> int:
        """Return the 128-bit entropy of one stream of one seed."""
        head, *part = stream.split("/", 1)
        if head not in STREAMS:
            raise ValueError(f"a stream is one of {', '.join(STREAMS)}, got {stream!r}")
        name = "/".join([dict(self.renamed).get(head, head), *part])
        address = f"{MASTER}|{self.study}|{seed}|{name}"
        return int.from_bytes(hashlib.sha256(address.encode()).digest()[:16], "big")

    def generator(self, seed: int, stream: str) -> np.random.Generator:
        """Return a fresh generator of one stream, e.g. ``generator(3, "split")``.

        A stream may be divided: ``"init/7"`` is the stream of the seventh layer.
        """
        import numpy as np

        return np.random.Generator(np.random.PCG64(self.entropy(seed, stream)))
