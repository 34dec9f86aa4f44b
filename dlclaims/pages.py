"""What a page is, and how pages are found, loaded and checked.

A page is a module in a folder of pages: ``vanishing_gradient.py`` is the page
``vanishing-gradient``. Its title is the first line of its docstring, and it defines
``PAGE``. Importing a page must be cheap: ``dlclaims list`` imports all of them.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import itertools
import math
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from dlclaims.claims import (
    ARMS,
    Claim,
    Criterion,
    Deviation,
    Factors,
    Levels,
    Mean,
    RankCorrelation,
    Rate,
    RateDifference,
    Trend,
    levels,
)
from dlclaims.errors import PageError, UsageError, nearest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds


#: Arms that a study may declare beside its registered form, in words. They are run
#: where a condition fails, and never decide a verdict.
SENSITIVITY = {
    "longer": "three times the steps",
    "equal-work": "equal multiply-accumulates instead of equal parameters",
}


@dataclass(frozen=True)
class Variant:
    """One point of a study's grid.

    `learning_rates` is empty for a study without tuning; the tuning stage passes the
    whole grid of rates, the evaluation stage the one that was chosen. `arm` is empty,
    or the sensitivity arm that is measured: `measure` follows it by `steps` and `cost`.
    """

    factors: Levels
    learning_rates: tuple[float, ...] = ()
    arm: str = ""

    @property
    def name(self) -> str:
        return "-".join(str(level) for _, level in self.factors)

    def steps(self, registered: int) -> int:
        """Return the steps to train: those that are registered, or three times them."""
        return 3 * registered if self.arm == "longer" else registered

    @property
    def cost(self) -> str:
        """What is equal in all arms, for `engine.width_for`."""
        return "multiply_accumulates" if self.arm == "equal-work" else "parameters"

    def __getitem__(self, factor: str) -> Any:
        return dict(self.factors)[factor]

    def matches(self, where: Factors) -> bool:
        own = dict(self.factors)
        return all(name in own and own[name] == level for name, level in levels(where))


def grid(**factors: Sequence[Any]) -> tuple[Variant, ...]:
    """Return all combinations of factor levels, the last factor running fastest."""
    names = tuple(factors)
    return tuple(
        Variant(tuple(zip(names, combination, strict=True)))
        for combination in itertools.product(*factors.values())
    )


def tidy(axes: Mapping[str, Iterable[Any]], **columns: Any) -> pd.DataFrame:
    """Return a long table of arrays over named axes.

    Parameters
    ----------
    axes : mapping of str to sequence
        Names and levels of the axes, outermost first, e.g.
        ``{"seed": seeds, "layer": range(1, depth + 1)}``.
    **columns : array_like
        Each broadcast to the axes' shape; one becomes one column.
    """
    import numpy as np
    import pandas as pd

    index = pd.MultiIndex.from_product(
        [list(a) for a in axes.values()], names=list(axes)
    )
    shape = tuple(len(level) for level in map(list, axes.values()))
    data = {
        name: np.broadcast_to(value, shape).ravel() for name, value in columns.items()
    }
    return pd.DataFrame(data, index=index).reset_index()


#: Where a card says a criterion's effect: claim, criterion and how it is told.
PLACEHOLDER = re.compile(r"\{([^{}/\s]+)/([^{}/:\s]+)(?::(\w+))?\}")
#: How a card may tell an effect: what is done to its numbers, and what follows them.
TOLD: dict[str, tuple[Callable[[float], float], str]] = {
    "": (lambda value: value, ""),
    "percent": (lambda value: 100 * value, " %"),
    "points": (lambda value: 100 * value, ""),
    "decades": (lambda value: 10.0**value, ""),
    "nats": (math.exp, ""),
}

#: What `measure` may add to every row, for the table of variants: whole numbers.
COSTS = ("parameters", "multiply_accumulates", "steps", "examples_seen")


@dataclass(frozen=True)
class Tuning:
    """The learning-rate stage of a study: one grid of rates for every variant.

    Parameters
    ----------
    rates : tuple of float
        Ascending.
    choose : str
        The column, measured on validation data, that is largest at the best rate.
    trains_above : float
        An arm that stays below at every rate is "untrainable within the grid".
    seeds : int
        Tuning seeds; disjoint from all evaluation seeds.
    """

    rates: tuple[float, ...]
    choose: str
    trains_above: float
    seeds: int = 2


@dataclass(frozen=True)
class Study:
    """One design on a page.

    Parameters
    ----------
    name, title : str
    measure : callable
        ``measure(variant, seeds)`` returns a tidy table with a ``seed`` column, for
        all seeds at once; with ``learning_rate`` too when the study is tuned, and with
        ``status`` (``ok`` or ``diverged``) when replicas can diverge.
    standard, smoke : tuple of Variant
        The grids of these profiles; `quick` and `full` default to `standard`. A study
        whose `standard` is empty belongs to `full` alone.
    predict : callable or None
        ``predict(variant)`` returns the same table from theory, without ``seed``.
    tuning : Tuning or None
    sampling : str
        ``paired``: seeds as the profile says; ``rate``: its larger number for success
        rates; ``exact``: three seeds in every profile.
    diverged : mapping of str to float
        The registered score of a diverged replica: by column, and for a slope or rank
        correlation by its label.
    controls : tuple of Criterion
        Sanity checks: when one does not hold, no claim on this study gets a verdict.
    data : tuple of str
        Names of the data sets, for the registration digest. A machine that lacks one
        of them leaves the study out.
    block : int
        Seeds in a cell.
    equal : tuple of str
        Costs that must be equal, within 2 %, in all arms that a criterion compares:
        columns of `COSTS` that `measure` returns. Where they are not, no claim on the
        criterion gets a verdict.
    sensitivity : tuple of str
        From `SENSITIVITY`: what to try where a condition fails.
    insensitive : tuple of str
        Columns that no such arm can change, such as a gradient before training.
    """

    name: str
    title: str
    measure: Callable[[Variant, Seeds], pd.DataFrame]
    standard: tuple[Variant, ...]
    smoke: tuple[Variant, ...]
    quick: tuple[Variant, ...] = ()
    full: tuple[Variant, ...] = ()
    predict: Callable[[Variant], pd.DataFrame] | None = None
    tuning: Tuning | None = None
    sampling: Literal["paired", "rate", "exact"] = "paired"
    diverged: Factors = ()
    controls: tuple[Criterion, ...] = ()
    data: tuple[str, ...] = ()
    block: int = 16
    equal: tuple[str, ...] = ()
    sensitivity: tuple[str, ...] = ()
    insensitive: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "diverged", levels(self.diverged))

    def variants(self, profile: str) -> tuple[Variant, ...]:
        return getattr(self, profile) or self.standard


@dataclass(frozen=True)
class Figure:
    """A drawing of one study's table.

    `draw` takes the table and an axes. The table holds the measured rows of all
    replicas (``source`` is ``measured``) and the predicted ones (``source`` is
    ``theory``, ``seed`` is missing), with the columns ``study``, ``variant`` and one
    for each factor. `reading` tells in two sentences how to read the figure.
    """

    name: str
    study: str
    title: str
    draw: Callable[[pd.DataFrame, Axes], None]
    reading: str
    where: Factors = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", levels(self.where))


@dataclass(frozen=True)
class Card:
    """What to answer in an interview, as far as the evidence goes.

    ``{claim-id/criterion}`` in a sentence is replaced by that criterion's measured
    effect with its interval, without its unit; numbers are never typed. After a colon
    comes how it is told: ``:percent`` and ``:points`` a hundredfold, with and without
    the sign; ``:decades`` and ``:nats`` the power of 10 and of e that a log is of. What
    should be said about each claim named in `rests_on` (its corrected sentence, or the
    document's where that stands) must come out supported, else the report says that
    the card is not fully backed.
    """

    question: str
    answer: tuple[str, ...]
    caveat: str
    rests_on: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.answer) <= 5:
            raise ValueError("an interview card has one to five sentences")


@dataclass(frozen=True)
class Page:
    """A family of claims and the studies that decide them.

    `name`, `title`, `notes` (the docstring's body) and `file` are filled in by `load`.
    """

    studies: tuple[Study, ...]
    claims: tuple[Claim, ...]
    figures: tuple[Figure, ...]
    card: Card
    name: str = ""
    title: str = ""
    notes: str = ""
    file: Path = Path()

    def study(self, name: str) -> Study:
        return next(study for study in self.studies if study.name == name)


def built_in_folder() -> Path:
    """Return the folder of the pages that ship with dlclaims."""
    return Path(next(iter(importlib.import_module("dlclaims.experiments").__path__)))


def find(folders: Sequence[Path]) -> dict[str, Path]:
    """Return page names and files in `folders`; the first folder with a name wins.

    Raises
    ------
    UsageError
        When a folder does not exist.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(
                "a folder of pages", f"{folder}", "name a folder that exists"
            )
        files = [*folder.glob("[a-z]*.py"), *folder.glob("[a-z]*/__init__.py")]
        for file in sorted(files):
            stem = file.parent.name if file.name == "__init__.py" else file.stem
            found.setdefault(stem.replace("_", "-"), file)
    return dict(sorted(found.items()))


#: What was imported of pages outside dlclaims, by module: `_digest` of the files.
_imported: dict[str, str] = {}


def import_page(file: Path) -> ModuleType:
    """Import a page's module; a page outside dlclaims gets a name of its own.

    Where its files have changed since, it is imported again with all its modules.
    """
    package = file.name == "__init__.py"
    stem = file.parent.name if package else file.stem
    folder = file.parent.parent if package else file.parent
    if folder == built_in_folder():
        return importlib.import_module(f"dlclaims.experiments.{stem}")
    name = f"dlclaims_pages.{stem}"
    digest = _digest(file)
    if name in sys.modules and _imported.get(name) == digest:
        return sys.modules[name]
    for old in [n for n in sys.modules if n == name or n.startswith(f"{name}.")]:
        del sys.modules[old]
    importlib.invalidate_caches()
    spec = importlib.util.spec_from_file_location(
        name, file, submodule_search_locations=[str(file.parent)] if package else None
    )
    if spec is None or spec.loader is None:
        raise PageError("a Python module", f"{file}", "name the file <page>.py")
    # Modules of a page that is a folder find each other through a parent package.
    sys.modules.setdefault("dlclaims_pages", ModuleType("dlclaims_pages")).__path__ = []
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    _imported[name] = digest
    return module


def _digest(file: Path) -> str:
    own = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    read = ((str(one), one.read_bytes()) for one in own)
    return hashlib.sha256(repr([*read]).encode()).hexdigest()


def load(name: str, file: Path) -> Page:
    """Import a page and check what it declares.

    Raises
    ------
    PageError
        Names the page's file and line.
    """
    try:
        module = import_page(file)
    except PageError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.lineno for f in frames if f.filename == str(file)]
        line = error.lineno if isinstance(error, SyntaxError) else (lines or [1])[-1]
        raise PageError(
            f"page {name} to import",
            f"{type(error).__name__} at {file}:{line}: {error}",
            "mend that line; the other pages still run",
        ) from error
    page = getattr(module, "PAGE", None)
    if not isinstance(page, Page):
        raise PageError(
            "a page to define PAGE = Page(...)",
            f"{type(page).__name__} in {file}",
            "see the example in CONTRIBUTING.md",
        )
    title, _, notes = (module.__doc__ or "").strip().partition("\n")
    page = replace(page, name=name, title=title.rstrip("."), notes=notes, file=file)
    for problem in problems(page):
        raise PageError(f"page {name} to be complete", problem, f"mend {file}")
    return page


def problems(page: Page) -> list[str]:
    """Return what is wrong with a page's declarations, each in one sentence."""
    found = []
    if not page.title:
        found.append("the module has no docstring, so the page has no title")
    studies = {study.name: study for study in page.studies}
    for words, names in (
        ("studies", [study.name for study in page.studies]),
        ("claims", [claim.id for claim in page.claims]),
        ("figures", [figure.name for figure in page.figures]),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            found.append(f"two {words} are called {', '.join(twice)}")
    for study in page.studies:
        for profile in ("smoke", "quick", "standard", "full"):
            names = [variant.name for variant in study.variants(profile)]
            if len(set(names)) != len(names):
                found.append(f"study {study.name}: {profile} repeats variants")
        if not study.variants("full"):
            found.append(f"study {study.name} lacks variants")
        found += [
            f"study {study.name}: {words} {name!r}; {nearest(name, known)}"
            for words, names, known in (
                ("no such cost", study.equal, COSTS),
                ("no such sensitivity arm", study.sensitivity, SENSITIVITY),
            )
            for name in names
            if name not in known
        ]
        found += [
            f"study {study.name}: the control {control.name} reads {control.study};"
            " a control reads its own study"
            for control in study.controls
            if control.study != study.name
        ]
    checked = [
        (f"claim {claim.id}, {role}", criterion)
        for claim in page.claims
        for role, assertion in claim.assertions
        for criterion in assertion.criteria
    ] + [(f"study {s.name}, control", c) for s in page.studies for c in s.controls]
    for place, criterion in checked:
        where = f"{place}, criterion {criterion.name}"
        if criterion.study not in studies:
            known = nearest(criterion.study, studies)
            found.append(f"{where}: no study {criterion.study!r}; {known}")
            continue
        study = studies[criterion.study]
        tolerance = criterion.region.high
        if isinstance(criterion.effect, Deviation) and not (
            criterion.region.low <= 0 <= tolerance < math.inf
        ):
            found.append(f"{where}: a deviation needs Region.below(tolerance)")
        if words := _beyond(criterion):
            found.append(f"{where}: {words}")
        if isinstance(criterion.effect, RateDifference) and study.sampling != "rate":
            found.append(
                f"{where}: a difference of success rates needs sampling='rate': with"
                " 16 seeds its interval errs up to 4 % of a side, not 2.5 %"
            )
        if criterion.effect.kind == "gap to theory" and study.predict is None:
            found.append(f"{where}: a gap to theory needs predict on {study.name}")
        for selection in selections(criterion):
            hits = [v for v in study.variants("full") if v.matches(selection)]
            wanted = 3 if criterion.effect.kind == "trend" else 1
            if len(hits) < wanted or (wanted == 1 and len(hits) > 1):
                found.append(
                    f"{where}: {dict(selection)} selects {len(hits)} variants of"
                    f" {study.name}, not {'3 or more' if wanted == 3 else '1'}"
                )
    found += [
        f"figure {figure.name}: no study {figure.study!r};"
        f" {nearest(figure.study, studies)}"
        for figure in page.figures
        if figure.study not in studies
    ]
    ids = {claim.id for claim in page.claims}
    found += [
        f"the card rests on {name!r}; {nearest(name, ids)}"
        for name in page.card.rests_on
        if name not in ids
    ]
    found += _mistold(page)
    found += [
        f"claim {claim.id}: it does not refer to {one.reference!r}, whose numbers it"
        f" shows; {nearest(one.reference, claim.references)}"
        for claim in page.claims
        for one in claim.published
        if one.reference not in claim.references
    ]
    return found


def _mistold(page: Page) -> Iterator[str]:
    """Yield what the card tells and no claim of the page measures."""
    known = {
        f"{claim.id}/{criterion.name}"
        for claim in page.claims
        for _, assertion in claim.assertions
        for criterion in assertion.criteria
    }
    for sentence in (*page.card.answer, page.card.caveat):
        for claim, criterion, way in PLACEHOLDER.findall(sentence):
            name = f"{claim}/{criterion}"
            if name not in known:
                yield f"the card tells {name!r}; {nearest(name, known)}"
            if way not in TOLD:
                yield f"the card tells {name} as {way!r}; {nearest(way, TOLD)}"
        for words in re.findall(r"\{[^{}]*/[^{}]*\}", PLACEHOLDER.sub("", sentence)):
            yield f"the card has {words}; write {{claim/criterion:format}}"


def _beyond(criterion: Criterion) -> str:
    """Return in words which edge of a region no effect can cross; else nothing."""
    effect = criterion.effect
    if isinstance(effect, Rate):
        lowest, highest = 0.0, 1.0
    elif isinstance(effect, RateDifference | Trend) or (
        isinstance(effect, Mean) and isinstance(effect.of, RankCorrelation)
    ):
        lowest, highest = -1.0, 1.0
    else:
        return ""
    region = criterion.region
    edges = [edge for edge in (region.low, region.high) if math.isfinite(edge)]
    if all(lowest < edge < highest for edge in edges):
        return ""
    return (
        f"its effect lies in [{lowest:g}, {highest:g}], so an edge at or beyond these"
        " ends is none; write Region.above or Region.below with the other edge"
    )


def selections(criterion: Criterion) -> list[Levels]:
    """Return the factor levels that a criterion's effect selects, one per arm."""
    effect = criterion.effect
    names = [name for name in ARMS if hasattr(effect, name)]
    return [levels(getattr(effect, name)) for name in names]
