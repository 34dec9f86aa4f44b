"""Signpost: `dlclaims.experiments` is the folder ``experiments`` beside the library.

In a clone the pages lie at the root, where a reader looks first. A wheel carries them
as the folder ``dlclaims/experiments``, which Python prefers to this module.
"""

from pathlib import Path

__path__ = [str(Path(__file__).resolve().parent.parent / "experiments")]
