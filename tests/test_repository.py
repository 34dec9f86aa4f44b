"""What must hold for the files of the repository as a whole."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import dlclaims

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
FOLDERS = ("dlclaims", "experiments", "tests", "benchmarks", "results", ".ci")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

#: What would tell one machine or one account from another.
HOME = re.compile(rf"(?<![\w.~])/(?:home|root|Users)/\w|{re.escape(str(ROOT))}\b")
ADDRESS = re.compile(r"\w+://|--(?:\w+-)?index|--find-links|^\S+ @ ", re.MULTILINE)


def texts() -> Iterator[tuple[str, str]]:
    """Yield path and text of every text file that may be committed."""
    files = [file for file in ROOT.iterdir() if file.is_file()]
    for folder in FOLDERS:
        files += [file for file in (ROOT / folder).rglob("*") if file.is_file()]
    for file in sorted(files):
        path = file.relative_to(ROOT)
        if "__pycache__" in path.parts or path.parts[:2] == ("results", "cells"):
            continue
        if file.suffix not in {".png", ".npz", ".gz"} and file != Path(__file__):
            yield str(path), file.read_text(encoding="utf-8")


def pins(lock: str) -> dict[str, str]:
    """Return the versions that a lock pins, by canonical name."""
    found = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def test_no_file_names_a_folder_of_one_machine() -> None:
    assert [path for path, text in texts() if HOME.search(text)] == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("at /home/ada/clone", True),
        ('"/root/x"', True),
        (f"{ROOT}/results", True),
        ("~/root/x", False),
        ("results/home/x", False),
    ],
)
def test_a_folder_of_one_machine_is_recognised(text: str, told: bool) -> None:
    assert bool(HOME.search(text)) is told


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_no_address(lock: str) -> None:
    assert ADDRESS.findall((ROOT / lock).read_text()) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    blocks = re.split(r"^(?=\w)", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize(
    ("lock", "extras"), [(LOCKS[0], ()), (LOCKS[1], ("dev", "jax"))]
)
def test_a_lock_meets_what_the_project_asks_for(
    lock: str, extras: tuple[str, ...]
) -> None:
    asked = PROJECT["dependencies"] + [
        text for extra in extras for text in PROJECT["optional-dependencies"][extra]
    ]
    versions = pins(lock)
    for requirement in map(Requirement, asked):
        version = versions.get(canonicalize_name(requirement.name), "none")
        assert requirement.specifier.contains(version), (requirement, version)


def test_the_development_lock_contains_the_other() -> None:
    assert pins(LOCKS[0]).items() <= pins(LOCKS[1]).items()


def test_the_citation_names_the_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {dlclaims.__version__}\n" in citation
