"""What a run needs: pages under a profile, and their cells as they become known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlclaims import data, plan, tables
from dlclaims.errors import UsageError, nearest
from dlclaims.pages import Page, Study
from dlclaims.plan import Cell, Profile
from dlclaims.shelf import Shelf, shelve

if TYPE_CHECKING:
    from dlclaims.store import Record


@dataclass(frozen=True)
class Design:
    """Pages under a profile: the cells that they need, as they become known.

    Parameters
    ----------
    shelf : Shelf
    names : tuple of str
        The pages that are meant; those that are broken need no cells.
    profile : Profile
    seeds : tuple of int, optional
        In place of the profile's evaluation seeds.
    """

    shelf: Shelf
    names: tuple[str, ...]
    profile: Profile
    seeds: tuple[int, ...] | None = None

    @property
    def pages(self) -> dict[str, Page]:
        """The pages that load, by name."""
        loaded = self.shelf.pages
        return {name: loaded[name] for name in self.names if name in loaded}

    @property
    def studies(self) -> Iterator[tuple[Page, Study]]:
        """All studies but those that lack their data."""
        return (
            (page, study)
            for page in self.pages.values()
            for study in page.studies
            if not data.lacking(study.data)
        )

    @property
    def left_out(self) -> dict[str, tuple[str, ...]]:
        """Pages whose study a data set would need that this machine lacks, by it."""
        wanted = [
            (name, page.name)
            for page in self.pages.values()
            for study in page.studies
            if study.variants(self.profile.name)
            for name in data.lacking(study.data)
        ]
        return {
            name: tuple(dict.fromkeys(page for n, page in wanted if n == name))
            for name in dict.fromkeys(name for name, _ in wanted)
        }

    def first_cells(self) -> tuple[Cell, ...]:
        """Return what can be measured at once: all but what waits for a tuning cell."""
        return tuple(
            cell
            for page, study in self.studies
            for cell in (
                plan.tuning_cells(page, study, self.profile)
                if study.tuning
                else plan.evaluation_cells(page, study, self.profile, {}, self.seeds)
            )
        )

    def cells_after(self, record: Record) -> tuple[Cell, ...]:
        """Return what a record makes known: a tuning cell its variant's evaluation."""
        if record.cell.stage != "tuning":
            return ()
        return self.evaluation_after(record.cell, self.rate_after(record))

    def rate_after(self, record: Record) -> float:
        """Return the learning rate that a tuning cell chooses."""
        from dlclaims import statistics

        study = self.pages[record.cell.page].study(record.cell.study)
        rates = statistics.choose_rates(study, tables.measured(study, [record]))
        return float(rates["learning_rate"].iloc[0])

    def evaluation_after(self, tuned: Cell, rate: float) -> tuple[Cell, ...]:
        """Return the evaluation cells of a tuning cell's variant and arm at a rate."""
        page = self.pages[tuned.page]
        study = page.study(tuned.study)
        names = (variant.name for variant in study.variants(self.profile.name))
        chosen = dict.fromkeys(names, rate)
        every = plan.evaluation_cells(
            page, study, self.profile, chosen, self.seeds, tuned.arm
        )
        return tuple(cell for cell in every if cell.factors == tuned.factors)

    def all_cells(self) -> tuple[Cell, ...]:
        """Return all cells; a rate that tuning has yet to choose is NaN."""
        first = self.first_cells()
        later = (
            cell
            for tuned in first
            if tuned.stage == "tuning"
            for cell in self.evaluation_after(tuned, math.nan)
        )
        return (*first, *later)


def design(
    words: str | Sequence[str] = (),
    *,
    profile: str = "standard",
    seeds: Sequence[int] | None = None,
    folders: Sequence[Path] = (),
) -> Design:
    """Return the design of the pages that `words` name; of all pages without words.

    Raises
    ------
    UsageError, NothingMatched, PageError
        As `Shelf.select`; or there is no such profile.
    """
    if profile not in plan.PROFILES:
        hint = nearest(profile, plan.PROFILES)
        raise UsageError("the name of a profile", repr(profile), hint)
    shelf = shelve(folders)
    return Design(
        shelf,
        shelf.select_pages((words,) if isinstance(words, str) else words),
        plan.PROFILES[profile],
        tuple(seeds) if seeds is not None else None,
    )


def registration(page: Page, profile: Profile) -> dict[str, Any]:
    """Return a page's registration as its declarations stand now."""
    return plan.registration(page, profile, data.DIGESTS)
