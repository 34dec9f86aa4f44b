"""One-way imports, read from every module's syntax tree; nothing heavy at import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: A module imports only modules that stand before it.
ORDER = (
    "errors",
    "wording",
    "scopes",
    "seeds",
    "claims",
    "pages",
    "source",
    "plan",
    "theory",
    "data",
    "networks",
    "engine",
    "store",
    "results",
    "shelf",
    "execution",
    "tables",
    "statistics",
    "verdicts",
    "planning",
    "figures",
    "design",
    "stamps",
    "assembly",
    "sensitivity",
    "twins",
    "calibration",
    "report",
    "suite",
    "survey",
    "housekeeping",
    "experiments",
    "cli",
    "__init__",
    "__main__",
)
PAGES_MAY = (*ORDER[: ORDER.index("engine") + 1], "figures")
HEAVY = ("jax", "keras", "matplotlib", "pandas", "scipy", "seaborn", "tensorflow")

LIBRARY = sorted((ROOT / "dlclaims").rglob("*.py"))
PAGES = sorted((ROOT / "experiments").rglob("*.py"))


def place(file: Path) -> str:
    return str(file.relative_to(ROOT))


def imported(text: str, package: tuple[str, ...]) -> Iterator[str]:
    """Yield the full dotted name of everything that a module imports, anywhere in it.

    `package` holds the parts of the package that relative imports start from.
    """
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *node.module.split(".")) if node.module else base
            yield from (".".join((*module, alias.name)) for alias in node.names)


def imports(file: Path) -> set[str]:
    return set(imported(file.read_text(), file.relative_to(ROOT).parent.parts))


def used_of_the_library(file: Path) -> set[str]:
    """Return the modules and folders of dlclaims that a file imports.

    The version is a constant, which anybody may read from ``dlclaims/__init__.py``.
    """
    names = imports(file) - {"dlclaims.__version__"}
    paths = [name.split(".") for name in names]
    return {(*path, "__init__")[1] for path in paths if path[0] == "dlclaims"}


@pytest.mark.parametrize("file", LIBRARY, ids=place)
def test_a_module_imports_only_modules_above_it(file: Path) -> None:
    own = file.relative_to(ROOT / "dlclaims").parts[0].removesuffix(".py")
    assert own in ORDER, "a new module gets its place in ORDER"
    assert used_of_the_library(file) <= {own, *ORDER[: ORDER.index(own)]}


@pytest.mark.parametrize("file", PAGES, ids=place)
def test_a_page_imports_the_library_up_to_the_engine_and_figures(file: Path) -> None:
    """Modules of its own it imports relatively, so that it can lie in any folder."""
    assert used_of_the_library(file) <= set(PAGES_MAY)


@pytest.mark.parametrize("file", PAGES, ids=place)
def test_no_page_imports_a_page(file: Path) -> None:
    own = file.relative_to(ROOT).with_suffix("").parts[:2]
    paths = [tuple(name.split(".")) for name in imports(file)]
    assert {path[:2] for path in paths if path[0] == "experiments"} <= {own}


@pytest.mark.parametrize("file", [*LIBRARY, *PAGES], ids=place)
def test_only_the_backends_know_tensorflow_and_jax(file: Path) -> None:
    if not file.is_relative_to(ROOT / "dlclaims" / "engine" / "backends"):
        names = {name.split(".")[0] for name in imports(file)}
        assert not names & {"tensorflow", "jax", "jaxlib"}


def test_the_command_line_and_all_pages_load_nothing_heavy() -> None:
    """`dlclaims list` imports every page, and must start at once."""
    program = f"""
import sys
import dlclaims.cli
from dlclaims import pages
for name, file in pages.find([pages.built_in_folder()]).items():
    pages.load(name, file)
print(*sorted(sys.modules.keys() & set({HEAVY})))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("\n", "")


def test_imports_are_read_wherever_and_however_they_are_written() -> None:
    text = """
import dlclaims.store as cells
from dlclaims import cli
from . import training
from .training import measure
def lazily():
    if True:
        from tensorflow.python import ops
"""
    assert set(imported(text, ("experiments", "page"))) == {
        "dlclaims.store",
        "dlclaims.cli",
        "experiments.page.training",
        "experiments.page.training.measure",
        "tensorflow.python.ops",
    }
