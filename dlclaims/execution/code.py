"""Which code a measurement depends on, and the digest of each part of it.

A cell is measured again when code changed that its values can depend on, and only
then. So a digest is taken of syntax trees without positions, comments, docstrings and
the annotations of functions; and, on a page, only of the definitions that ``measure``
reaches by name, directly or through others, and of what it is called with. Of the
library's part that trains, whole modules count.
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

#: What every `measure` is called with; only its methods know what else it reaches.
ARGUMENTS: tuple[Target, ...] = (
    ("dlclaims.pages", "Variant"),
    ("dlclaims.plan", "Cell"),
    ("dlclaims.seeds", None),
)


@dataclass(frozen=True)
class Statement:
    """A top-level statement: what it defines, what it mentions, its syntax tree.

    A mention is a name, or a name with the attribute that is taken of it. `imports` are
    (level, module, name) as written, one for each imported name.
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
    start: list[Target] = [*ARGUMENTS, (home, name)]
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
    reached: list[Target] = []
    if name is not None:
        statements = [s for s in statements if name in s.defines]
        mentions = {m for s in statements for m in s.mentions}
        known = [m for m in sorted(mentions) if m.partition(".")[0] in defined]
        reached += [_meant(module, mention, page) for mention in known]
    reached += [target for s in statements for target in _imported(module, s, page)]
    trees = "\n".join(statement.tree for statement in statements)
    return hashlib.sha256(trees.encode()).hexdigest()[:16], reached


def _meant(module: str, mention: str, page: str) -> Target:
    """Return the target of a mention: of a module of the page, the part it names."""
    name, _, attribute = mention.partition(".")
    if attribute:
        sources = [s for s in _statements(module) if name in s.defines]
        targets = [t for s in sources for t in _imported(module, s, page)]
        for found, part in targets:
            defined = {n for s in _statements(found) for n in s.defines}
            if part is None and not _measuring(found) and attribute in defined:
                return found, attribute
    return module, name


def _imported(module: str, statement: Statement, page: str) -> list[Target]:
    """Return what a statement imports of the page's own folder and of the library."""
    found: list[Target] = []
    for level, written, name in statement.imports:
        source = _absolute(module, level, written)
        own = _within(source, page) or _within(f"{source}.{name}", page)
        if not own and not _within(source, "dlclaims"):
            continue
        if name is not None and _is_module(f"{source}.{name}"):
            source, name = f"{source}.{name}", None
        whole = _measuring(source)
        if whole:
            found += [(inner, None) for inner in _modules(whole)]
        elif source not in ("dlclaims", WORDS):
            found.append((source, name))
    return found


def _measuring(module: str) -> str | None:
    """Return the part of the library that a module belongs to and that measures."""
    parts = (f"dlclaims.{part}" for part in MEASURING)
    return next((part for part in parts if _within(module, part)), None)


def _absolute(module: str, level: int, source: str) -> str:
    """Return the module that ``from ..source import`` in `module` names."""
    if not level:
        return source
    spec = importlib.util.find_spec(module)
    package = module if spec and spec.submodule_search_locations else None
    base = (package or module.rpartition(".")[0]).split(".")
    kept = base[: len(base) - level + 1]
    return ".".join([*kept, source] if source else kept)


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
    attributes = [
        part
        for part in inside
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name)
    ]
    taken = {id(part.value) for part in attributes}
    names = {part.id for part in inside if isinstance(part, ast.Name)}
    mentions = {f"{ast.unparse(part.value)}.{part.attr}" for part in attributes}
    mentions |= {p.id for p in inside if isinstance(p, ast.Name) and id(p) not in taken}
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
        defines = _assigned(node) or frozenset(names | nested)
    return Statement(defines, frozenset(mentions), tuple(imports), ast.dump(node))


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
