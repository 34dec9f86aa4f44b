"""From a table to a picture: drawn in house style, told in words, saved three ways."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from dlclaims import results
from dlclaims.figures.style import SIZE, STYLE, Notes, finish, notes
from dlclaims.figures.verbs import seeds
from dlclaims.pages import Figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Picture

SVG = "http://www.w3.org/2000/svg"
XLINK = "{http://www.w3.org/1999/xlink}"
DECIMALS = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
FONTS = "DejaVu Sans, Verdana, sans-serif"


def save(figure: Figure, table: pd.DataFrame, folder: Path) -> None:
    """Write ``<name>.csv``, and from it ``<name>.svg`` and ``<name>.png``.

    The same table gives the same bytes on the same machine. The SVG carries the alt
    text and, as ``data-table``, the sha256 of the CSV that it shows.
    """
    file = folder / f"{figure.name}.csv"
    results.write_table(file, table)
    picture, alt = draw(figure, results.read_table(file) if len(table) else table)
    table_hash = hashlib.sha256(file.read_bytes()).hexdigest()
    text = _svg(picture, figure.title, alt, table_hash)
    file.with_suffix(".svg").write_text(text, encoding="utf-8")
    picture.savefig(file.with_suffix(".png"), dpi=150, metadata={"Software": None})


def alt_text(figure: Figure, table: pd.DataFrame) -> str:
    """Return what a picture shows in words and numbers, for those who cannot see it."""
    return draw(figure, table)[1]


def draw(figure: Figure, table: pd.DataFrame) -> tuple[Picture, str]:
    """Return the picture of a table in house style, and what it shows in words."""
    import matplotlib as mpl
    import seaborn as sns
    from matplotlib.figure import Figure as Picture

    ticks: dict[Any, Any] = sns.axes_style("ticks")
    with mpl.rc_context(ticks | STYLE):
        picture = Picture(figsize=SIZE, layout="constrained", facecolor="white")
        picture.patch.set_gid("background")
        ax = picture.add_subplot()
        noted = notes(ax)
        if len(table):
            figure.draw(table, ax)
        else:
            picture.set_size_inches(SIZE[0], 0.6)
            ax.set_axis_off()
            ax.text(0, 0.5, "no outcomes under this profile")
        finish(picture, noted)
        picture.draw_without_rendering()
    return picture, _words(figure, table, noted)


def _words(figure: Figure, table: pd.DataFrame, noted: Notes) -> str:
    """The title, then what the verbs noted, panel by panel."""
    told = [
        f"{ax.get_title()}: {words}" if ax.get_title() else words
        for ax, words in noted.words
    ]
    if not told:
        told = [f"Drawn from {len(table)} rows and {seeds(table)}"]
    return ". ".join([figure.title, *told]) + "."


def _svg(picture: Picture, title: str, description: str, table_hash: str) -> str:
    """Return a picture as a small SVG that a strict content-security policy allows.

    Styles become attributes, those that all marks of a group share move to the group,
    numbers are short; nothing tells the date or the program.
    """
    import matplotlib as mpl

    with mpl.rc_context(STYLE), io.StringIO() as file:
        picture.savefig(file, format="svg", metadata={"Date": None})
        root = ElementTree.fromstring(file.getvalue())
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{SVG}}}")
        _attributes(element)
    for name in ("metadata", "defs"):
        root.remove(root.find(name))  # type: ignore[arg-type]
    for group in root.iter("g"):
        _share(group)
    _drop_unused_ids(root)
    root.attrib |= {
        "xmlns": SVG,
        "role": "img",
        "font-family": FONTS,
        "stroke-linejoin": "round",
        "data-table": table_hash,
    }
    for place, (name, words) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(name)
        element.text = words
        root.insert(place, element)
    for element in root.iter():
        element.tail = None
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _attributes(element: ElementTree.Element) -> None:
    """Turn style into attributes, drop what says nothing, shorten numbers."""
    own = element.attrib
    for declaration in filter(None, own.pop("style", "").split(";")):
        name, _, value = declaration.partition(":")
        own[name.strip()] = value.strip()
    own.pop("font-family", None)
    if f"{XLINK}href" in own:
        own["href"] = own.pop(f"{XLINK}href")
    if own.get("transform", "").startswith("rotate(-0 "):
        del own["transform"]
    for name in ("d", "x", "y", "transform", "width", "height", "stroke-dasharray"):
        if name in own:
            own[name] = _short(own[name])


def _short(numbers: str) -> str:
    """A long path is a line, of which a tenth of a point matters; a mark needs more."""
    digits = 1 if len(numbers) > 500 else 2

    def short(match: re.Match[str]) -> str:
        return f"{float(match[0]):.{digits}f}".rstrip("0").rstrip(".")

    words = DECIMALS.sub(short, numbers).split()
    if not {"C", "Q"} & set(words):
        words = [word for word in words if word != "L"]  # M goes on with lines
    return " ".join(words)


def _share(group: ElementTree.Element) -> None:
    marks = [child for child in group if child.tag == "use"]
    if len(marks) > 1 and len(marks) == len(group):
        for name in sorted({*marks[0].attrib} - {"x", "y", "transform", "id"}):
            values = {mark.get(name) for mark in marks}
            if len(values) == 1 and name != "href":
                group.set(name, values.pop() or "")
                for mark in marks:
                    del mark.attrib[name]


def _drop_unused_ids(root: ElementTree.Element) -> None:
    text = ElementTree.tostring(root, encoding="unicode")
    used = {"background", *re.findall(r"(?:url\(|href=\")#([\w.-]+)", text)}
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
