"""A page of one's own, and completion in the shell."""

from __future__ import annotations

import re
from pathlib import Path

import click
from click import shell_completion

from dlclaims.errors import UsageError
from dlclaims.shelf import Shelf, shelve

SHELLS = ("bash", "zsh", "fish")

#: The page of CONTRIBUTING.md: it runs in seconds, and every line is to be replaced.
TEMPLATE = Path(__file__).with_name("page.txt")
OWN = "batch-noise"


def write_page(name: str, folder: Path, shelf: Shelf) -> Path:
    """Write a page that works and is to be rewritten; return its file.

    Raises
    ------
    UsageError
        The name is none, is taken by another page, or the file is there.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UsageError(
            "a name of small letters and digits, with dashes between words",
            repr(name),
            "dlclaims new learning-rate-warmup",
        )
    if name in shelf.pages:
        raise UsageError(
            "a name that no page has", repr(name), "dlclaims list, and choose another"
        )
    file = folder / f"{name.replace('-', '_')}.py"
    if file.exists():
        raise UsageError(
            "a file that is not there yet", f"{file}", "edit it, or choose another name"
        )
    folder.mkdir(parents=True, exist_ok=True)
    text = TEMPLATE.read_text(encoding="utf-8")
    file.write_text(text.replace(OWN, name), encoding="utf-8")
    return file


def completion(shell: str, command: click.Command) -> str:
    """Return what a shell must read to complete commands, options, pages and claims."""
    made = shell_completion.get_completion_class(shell)
    assert made is not None
    return made(command, {}, "dlclaims", "_DLCLAIMS_COMPLETE").source()


def complete_names(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Return pages and claims that begin so."""
    shelf = shelve(context.params.get("folders") or ())
    claims = (claim.id for page in shelf.pages.values() for claim in page.claims)
    names = [*shelf.pages, *claims]
    return [name for name in names if name.startswith(incomplete)]
