"""The pages at hand, and which of them a user's words name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from dlclaims import pages, source
from dlclaims.claims import Claim
from dlclaims.errors import NothingMatched, PageError, UsageError, nearest
from dlclaims.pages import Page


@dataclass(frozen=True)
class Shelf:
    """All pages of some folders: those that load, and why the others do not."""

    folders: tuple[Path, ...]
    pages: dict[str, Page]
    broken: dict[str, PageError]

    @property
    def claims(self) -> dict[str, tuple[Page, Claim]]:
        """Every claim by its id, with its page; the first page with an id wins."""
        found: dict[str, tuple[Page, Claim]] = {}
        for page in self.pages.values():
            for claim in page.claims:
                found.setdefault(claim.id, (page, claim))
        return found

    def select(self, words: Iterable[str]) -> tuple[str, ...]:
        """Return the pages and claims that `words` name, in the shelf's order.

        Parameters
        ----------
        words : iterable of str
            Names of pages, ids of claims, or patterns of them such as ``vg-*``. A
            pattern that matches a page and claims of it selects both.

        Returns
        -------
        tuple of str
            Names of pages, broken ones included, and ids of claims; none twice.

        Raises
        ------
        UsageError
            A word that is no pattern names nothing.
        NothingMatched
            A pattern matches nothing.
        PageError
            A word names a page that does not load.
        """
        known = tuple(dict.fromkeys((*self.pages, *self.broken, *self.claims)))
        chosen: set[str] = set()
        for word in words:
            if any(sign in word for sign in "*?["):
                hits = {name for name in known if fnmatchcase(name, word)}
                if not hits:
                    raise NothingMatched(
                        "a pattern that matches a page or a claim",
                        repr(word),
                        "quote it, or look at the names: dlclaims list",
                    )
                chosen |= hits
            elif word in self.broken:
                raise self.broken[word]
            elif word in known:
                chosen.add(word)
            else:
                raise _unknown(word, known)
        return tuple(name for name in known if name in chosen)

    def select_pages(self, words: Sequence[str]) -> tuple[str, ...]:
        """Return the names of pages that `words` select; of all pages without words.

        A claim selects its page. Raises as `select` does.
        """
        if not words:
            return (*self.pages, *self.broken)
        claims = self.claims
        names = (
            name if name in self.pages or name in self.broken else claims[name][0].name
            for name in self.select(words)
        )
        return tuple(dict.fromkeys(names))


def shelve(folders: Sequence[Path] = ()) -> Shelf:
    """Load the pages of `folders` and those that ship with dlclaims.

    Raises
    ------
    UsageError
        A folder does not exist.
    """
    own = tuple(folder.resolve() for folder in folders)
    searched = tuple(dict.fromkeys((*own, pages.built_in_folder())))
    loaded, broken = {}, {}
    for name, file in pages.find(searched).items():
        try:
            loaded[name] = pages.load(name, file)
        except PageError as error:
            broken[name] = error
    return Shelf(searched, loaded, broken)


def _unknown(word: str, known: Iterable[str]) -> UsageError:
    hint = nearest(word, known)
    if not hint.endswith("?"):  # it lists all names
        hint = "dlclaims list tells the names"
    received = repr(word)
    planned = {name for entry in source.catalogue() for name in (entry.id, entry.page)}
    if word in planned:
        received += ", which is planned and not built yet"
        hint = "dlclaims list tells what is built"
    expected = "the name of a page, the id of a claim or a pattern"
    return UsageError(expected, received, hint)
