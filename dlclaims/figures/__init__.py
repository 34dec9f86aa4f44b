"""Drawing verbs for pages, ``(table, ax) -> None``, in one house style.

A page's ``draw`` gets a figure's table and one axes, and calls verbs: `profile`,
`dots`, `diagonal`, `region`; `panels` splits the axes into named ones. A verb draws
every replica, the mean with its 95 % Student interval, and rows whose ``source`` is
``theory`` dashed. It opens no file and sets no style: `save` does.
"""

from dlclaims.figures.picture import alt_text, draw, save
from dlclaims.figures.style import look, panels
from dlclaims.figures.verbs import diagonal, dots, profile, region

__all__ = [
    "alt_text",
    "diagonal",
    "dots",
    "draw",
    "look",
    "panels",
    "profile",
    "region",
    "save",
]
