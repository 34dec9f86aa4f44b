"""Which code a measurement depends on, and the digest of each part of it.

A cell is measured again when code changed that its values can depend on, and only
then. So a digest is taken of syntax trees without positions, comments, docstrings and
the annotations of functions; and, on a page, only of the definitions that ``measure``
reaches by name, directly or through others. Of the library's part that trains, whole
modules count.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import importlib.util
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

#: Parts of the library that make a cell's values: reached as a whole or not at all.
MEASURING = ("seeds", "theory", "data", "networks", "engine")

#: Its words reach a user, never a table.
WORDS = "dlclaims.errors"

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

Target = tuple[str, str | None]  # module, name in it; None is the whole module


@dataclass(frozen=True)
class Statement:
    """A top-level statement: what it defines, what it mentions, its syntax tree.

    `imports` are (level, module, name) as written, one for each imported name.
    """

    defines: frozenset[str]
    mentions: frozenset[str]
    imports: tuple[tuple[int, str, str | None], ...]
    tree: str


def closure(page: ModuleType, measure: Callable[..., Any]) -> dict[str, str]:
    """Return the digests of the code that `measure` reaches.

    Parameters
    ----------
    page : module
        The page; modules of its folder are its own code, like the library's.
    measure : callable
        A function of a module's top level. Anything else (a partial, a lambda, a
        method) may hold state that no name reveals: then the whole page counts.

    Returns
    -------
    dict of str to str
        By name: ``measure`` and ``STEPS`` of the module of `measure`, ``module.name``
        for other modules, ``module`` where a whole module counts.
    """
    home, name = page.__name__, None
    if inspect.isfunction(measure) and measure.__qualname__.isidentifier():
        home, name = measure.__module__, measure.__qualname__
        if not any(name in s.defines for s in _statements(home)):
            home, name = page.__name__, None
    start: list[Target] = [("dlclaims.seeds", None), (home, name)]
    found: dict[str, str] = {}
    while start:
        target = start.pop()
        module, name = target
        label = name if name and module == home else ".".join(filter(None, target))
        if label not in found:
            found[label], reached = _visit(module, name, page.__name__)
            start += reached
    return dict(sorted(found.items()))


def _visit(module: str, name: str | None, page: str) -> tuple[str, list[Target]]:
    """Return one target's digest, and what it reaches in turn."""
    statements = _statements(module)
    defined = {n for s in statements for n in s.defines}
    if name is not None:
        statements = [s for s in statements if name in s.defines]
    reached: list[Target] = []
    for statement in statements:
        if name is not None:
            reached += [(module, n) for n in statement.mentions & defined]
        for level, source, imported in statement.imports:
            reached += _imported(_absolute(module, level, source), imported, page)
    trees = "\n".join(statement.tree for statement in statements)
    return hashlib.sha256(trees.encode()).hexdigest()[:16], reached


def _absolute(module: str, level: int, source: str) -> str:
    """Return the module that ``from ..source import`` in `module` names."""
    if not level:
        return source
    spec = importlib.util.find_spec(module)
    package = module if spec and spec.submodule_search_locations else None
    base = (package or module.rpartition(".")[0]).split(".")
    kept = base[: len(base) - level + 1]
    return ".".join([*kept, source] if source else kept)


def _imported(module: str, name: str | None, page: str) -> Iterator[Target]:
    """Return the targets of one import: of the page's own folder or of the library."""
    own = _within(module, page) or _within(f"{module}.{name}", page)
    if not own and not _within(module, "dlclaims"):
        return
    if name is not None and _is_module(f"{module}.{name}"):
        module, name = f"{module}.{name}", None
    part = [".".join(["dlclaims", p]) for p in MEASURING]
    whole = next((p for p in part if _within(module, p)), None)
    if whole:
        yield from ((found, None) for found in _modules(whole))
    elif module not in ("dlclaims", WORDS):
        yield module, name


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is a module, not a package
        return False


def _modules(package: str) -> Iterator[str]:
    """Return a module, or a package with all modules below it."""
    spec = importlib.util.find_spec(package)
    yield package
    for folder in (spec and spec.submodule_search_locations) or ():
        for file in sorted(Path(folder).rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            if parts:
                yield ".".join((package, *parts))


def _statements(module: str) -> list[Statement]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return []
    status = Path(spec.origin).stat()
    return _parse(spec.origin, status.st_mtime_ns, status.st_size)


@cache
def _parse(file: str, modified: int, size: int) -> list[Statement]:
    # The time and the size are arguments so that an edited file is read again.
    tree = ast.parse(Path(file).read_bytes())
    return [_statement(node) for node in _split(_Plain().visit(tree).body)]


def _split(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Return statements, one for each imported name, without those for type checks."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                single = copy.copy(node)
                single.names = [alias]
                yield single
        elif not (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ):
            yield node


class _Plain(ast.NodeTransformer):
    """Remove docstrings, other bare strings, and the annotations of functions."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        self.generic_visit(node)
        return node


def _statement(node: ast.stmt) -> Statement:
    inside = list(ast.walk(node))
    mentions = frozenset(n.id for n in inside if isinstance(n, ast.Name))
    imports: list[tuple[int, str, str | None]] = []
    nested: set[str] = set()
    for found in inside:
        if isinstance(found, ast.Import):
            imports += [(0, alias.name, None) for alias in found.names]
        elif isinstance(found, ast.ImportFrom):
            imports += [(found.level, found.module or "", a.name) for a in found.names]
        elif isinstance(found, DEFINITIONS):
            nested.add(found.name)
        if isinstance(found, ast.Import | ast.ImportFrom):
            nested |= {a.asname or a.name.partition(".")[0] for a in found.names}
    if isinstance(node, DEFINITIONS):
        defines = frozenset({node.name})
    else:
        # A call, a loop, an assignment to an item may change whatever it mentions.
        defines = _assigned(node) or mentions | nested
    return Statement(defines, mentions, tuple(imports), ast.dump(node))


def _assigned(node: ast.stmt) -> frozenset[str]:
    """Return the names that an assignment gives a value; none for anything else."""
    if isinstance(node, ast.Assign):
        targets = [part for target in node.targets for part in ast.walk(target)]
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    else:
        targets = []
    if any(isinstance(part, ast.Attribute | ast.Subscript) for part in targets):
        return frozenset()
    return frozenset(part.id for part in targets if isinstance(part, ast.Name))
