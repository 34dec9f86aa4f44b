"""Cells on disk: the one place where measuring and judging meet.

A finished cell is one JSON file, ``<page>/<first digits>/<key>.json``. Its key is the
sha256 of everything that its values depend on, so that a cell that is found is right,
and one that is not found can say why. Its file holds its own checksum and is linked
into place when it is complete: a reader sees a whole cell or none.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlclaims import plan
from dlclaims.errors import DamagedCell, EnvironmentFault, Locked
from dlclaims.plan import Cell

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 2
SEAL = b'{"sha256":"%s","content":%s}\n'
DIGEST = slice(len(b'{"sha256":"'), len(b'{"sha256":"') + 64)
CONTENT = slice(DIGEST.stop + len(b'","content":'), -len(b"}\n"))

#: What file systems without hard links answer.
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}

log = logging.getLogger(__name__)


class OtherSchema(Exception):
    """A cell of another schema, whole and well; `document` is what it depends on."""

    def __init__(self, plain: Mapping[str, Any]):
        self.received = f"a cell of schema {plain['schema']}"
        self.document: dict[str, Any] = {"schema": plain["schema"]}
        with suppress(KeyError, TypeError):  # told in another way by that schema
            self.document = _document(plain["schema"], plain["cell"], plain["meta"])
        super().__init__(self.received)


@dataclass(frozen=True)
class Context:
    """What a cell's values depend on, beside the cell itself.

    Parameters
    ----------
    code, data, versions : mapping of str to str
        Digests of code and of data sets, and versions of packages, by name.
    numerics : mapping of str to Any
        Threads and flags that were fixed for the process.
    backend, device : str
        Of Keras; ``cpu`` or ``gpu``.
    """

    code: Mapping[str, str]
    data: Mapping[str, str]
    versions: Mapping[str, str]
    numerics: Mapping[str, Any]
    backend: str
    device: str


@dataclass(frozen=True, eq=False)
class Record:
    """A finished cell.

    `meta` holds the fields of its `Context` and ``seconds``, what `measure` took.
    """

    cell: Cell
    key: str
    table: pd.DataFrame
    meta: Mapping[str, Any]


def document(cell: Cell, context: Context | Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that a cell's values depend on, as plain JSON."""
    if isinstance(context, Context):
        context = asdict(context)
    return json.loads(plan.canonical(_document(SCHEMA, asdict(cell), context)))


def _document(
    schema: int, cell: Mapping[str, Any], context: Mapping[str, Any]
) -> dict[str, Any]:
    parts = {name: context[name] for name in Context.__dataclass_fields__}
    return {"schema": schema, **cell, **parts}


def key(cell: Cell, context: Context) -> str:
    """Return the sha256 by which a cell is found."""
    return plan.digest(document(cell, context))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return in words what differs between two cells' documents."""
    found = []
    for words, name in (("code of", "code"), ("data set", "data")):
        changed = [part for part, _, _ in _pairs(old[name], new[name])]
        if changed:
            found.append(f"{words} {', '.join(changed)} changed")
    for name in ("versions", "numerics"):
        found += [f"{part} {a} -> {b}" for part, a, b in _pairs(old[name], new[name])]
    for name in ("schema", "backend", "device"):
        if old[name] != new[name]:
            found.append(f"{name} {old[name]} -> {new[name]}")
    for name in ("seeds", "learning_rates"):
        if old[name] != new[name]:
            found.append(f"other {name.replace('_', ' ')}")
    return found


def _pairs(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, ...]]:
    every = ((n, old.get(n, "none"), new.get(n, "none")) for n in sorted({*old, *new}))
    return [(name, a, b) for name, a, b in every if a != b]


def encode(record: Record) -> bytes:
    """Return a cell as the bytes of its file; equal cells give equal bytes.

    Raises
    ------
    TypeError
        A column of the table is of another `kind`.
    """
    content = plan.canonical(
        {
            "schema": SCHEMA,
            "key": record.key,
            "cell": asdict(record.cell),
            "meta": record.meta,
            "table": [_pack(name, record.table[name]) for name in record.table],
        }
    ).encode()
    return SEAL % (hashlib.sha256(content).hexdigest().encode(), content)


def decode(raw: bytes) -> Record:
    """Return the cell whose bytes `encode` made.

    Raises
    ------
    DamagedCell
        Any byte differs from what was written, or the content is no cell.
    OtherSchema
        Another version of dlclaims wrote it.
    """
    content = raw[CONTENT]
    if raw != SEAL % (hashlib.sha256(content).hexdigest().encode(), content):
        raise _damaged("its checksum does not fit its content")
    try:
        return _record(json.loads(content))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # The checksum shows what was damaged, not what a stranger has made.
        raise _damaged(f"no cell: {type(error).__name__}: {error}") from error


def _record(plain: Mapping[str, Any]) -> Record:
    import pandas as pd

    if plain["schema"] != SCHEMA:
        raise OtherSchema(plain)
    table = pd.DataFrame({column["name"]: _unpack(column) for column in plain["table"]})
    return Record(read_cell(plain["cell"]), plain["key"], table, plain["meta"])


def read_cell(plain: Mapping[str, Any]) -> Cell:
    """Return the cell that ``asdict`` and JSON made plain."""
    return Cell(**{name: _tuples(value) for name, value in plain.items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _damaged(received: str) -> DamagedCell:
    return DamagedCell("a cell as it was written", received, "it is measured again")


def kind(column: pd.Series) -> str:
    """Return as what a column is stored: the name of a numpy type, or ``str``.

    Raises
    ------
    TypeError
        It holds neither numbers nor truth values nor text.
    """
    import numpy as np

    own = column.dtype
    if isinstance(own, np.dtype) and own.kind in "biuf" and own.itemsize <= 8:
        return own.name
    others = [v for v in column[column.notna()] if not isinstance(v, str)]
    if own == "str" or (own.kind == "O" and not others):
        return "str"
    raise TypeError(f"a column of type {own}, such as {[*others, *column][0]!r}")


def _pack(name: str, column: pd.Series) -> dict[str, Any]:
    """Return a column as plain JSON; floats are written so that they round-trip."""
    dtype = kind(column)
    if dtype == "str":
        column = column.astype(object).where(column.notna(), None)
    return {"name": name, "dtype": dtype, "values": column.tolist()}


def _unpack(column: Mapping[str, Any]) -> Any:
    import numpy as np
    import pandas as pd

    dtype, values = column["dtype"], column["values"]
    if dtype == "str":
        return pd.Series(values, dtype="str")
    if np.dtype(dtype).kind == "f":
        values = [float(value) for value in values]  # "nan", "inf" and "-inf" are text
    return np.array(values, dtype=dtype)


class Store:
    """The cells below a folder, which is made when it is first written.

    Parameters
    ----------
    root : Path
        Usually ``results/cells``.
    """

    def __init__(self, root: Path):
        self.root = root
        self._is_held = False
        self._documents: dict[str, list[Mapping[str, Any]]] = {}

    def get(self, key: str) -> Record | None:
        """Return the cell with this key, or None.

        A damaged one is put aside while this store is held; else it stays.
        """
        for path in self.root.glob(f"*/{key[:2]}/{key}.json"):
            record = self._read(path)
            if isinstance(record, Record):
                return record
        return None

    def put(self, record: Record, replace: bool = False) -> None:
        """Write a cell; the one that is there stays, unless `replace` says otherwise.

        Raises
        ------
        EnvironmentFault
            The disk is full or the folder cannot be written; nothing is left behind.
        """
        content = encode(record)
        path = self.root / record.cell.page / record.key[:2] / f"{record.key}.json"
        part = path.with_name(f".{record.key}.{os.getpid()}.part")
        with _writing(path):
            above = [folder for folder in path.parents if not folder.exists()]
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(part, content)
                if replace:
                    os.replace(part, path)
                else:
                    _link(part, path)
                for folder in (path.parent, *(new.parent for new in above)):
                    _synchronize(folder)
            finally:
                part.unlink(missing_ok=True)
            self.failure_log(record.key).unlink(missing_ok=True)
        self._documents.pop(record.cell.page, None)

    def miss_reason(self, cell: Cell, context: Context) -> str:
        """Return in words why `get` found nothing: what the nearest cell lacks."""
        wanted = document(cell, context)
        key = plan.digest(wanted)
        same = ("study", "stage", "factors", "arm")
        name = f"{key}.json"
        if (self._quarantine / name).exists() or any(
            self.root.glob(f"*/{key[:2]}/{name}")
        ):
            return "its stored cell was damaged"
        near = [
            differences(stored, wanted)
            for stored in self.documents(cell.page)
            if all(stored.get(name) == wanted[name] for name in same)
        ]
        unequal = [words for words in near if words] or [["never run"]]
        nearest = min(unequal, key=len)
        return "; ".join(nearest)

    def items(self, page: str) -> Iterator[tuple[Path, Record]]:
        """Yield the stored cells of a page with their files; as `get` reads them."""
        for path in self._files(page):
            record = self._read(path)
            if isinstance(record, Record):
                yield path, record

    def others(self, page: str) -> Iterator[tuple[Path, OtherSchema]]:
        """Yield the stored cells of a page that have another schema."""
        for path in self._files(page):
            other = self._read(path)
            if isinstance(other, OtherSchema):
                yield path, other

    def documents(self, page: str) -> list[Mapping[str, Any]]:
        """Return what the stored cells of a page depend on, also of other schemas."""
        if page not in self._documents:
            found = (self._read(path) for path in self._files(page))
            self._documents[page] = [
                document(one.cell, one.meta)
                if isinstance(one, Record)
                else one.document
                for one in found
                if one is not None
            ]
        return self._documents[page]

    def _files(self, page: str) -> list[Path]:
        return sorted((self.root / page).glob("??/*.json"))

    def failure_log(self, key: str) -> Path:
        """Return where a failed cell's traceback lies until the cell succeeds."""
        return self.root / "failures" / f"{key[:16]}.log"

    def write_failure(self, key: str, text: str) -> Path:
        """Keep a failed cell's traceback; return its file. Raises as `put` does."""
        path = self.failure_log(key)
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return path

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the store for one run, and sweep what a killed run left half-written.

        The lock dies with its process. A process may hold it several times over.

        Raises
        ------
        Locked
            Another process holds it.
        EnvironmentFault
            The folder cannot be written.
        """
        import filelock

        holder = self.root / ".holder"
        with _writing(holder):
            self.root.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.root / ".run-lock", is_singleton=True)
            try:
                lock.acquire(blocking=False)
            except filelock.Timeout:
                pid = holder.read_text().strip() if holder.exists() else "unknown"
                raise Locked(
                    "a store that no other run holds",
                    f"{self.root}, held by process {pid}",
                    "wait for it to end, or give another --out",
                ) from None
        before, self._is_held = self._is_held, True
        try:
            with _writing(holder):
                holder.write_text(f"{os.getpid()}\n")
                for part in self.root.glob("*/??/.*.part"):
                    part.unlink()
            yield
        finally:
            self._is_held = before
            lock.release()

    @property
    def _quarantine(self) -> Path:
        return self.root / "quarantine"

    def _read(self, path: Path) -> Record | OtherSchema | None:
        with _writing(path):
            try:
                record = decode(path.read_bytes())
                told = plan.digest(document(record.cell, record.meta))
                if not path.stem == record.key == told:
                    raise _damaged(f"the cell {told}")
            except FileNotFoundError:  # another process has just put it aside
                return None
            except OtherSchema as other:
                return other
            except DamagedCell as error:
                self._put_aside(path, error)
                return None
        return record

    def _put_aside(self, path: Path, error: DamagedCell) -> None:
        """Move a damaged cell to the quarantine; only the run that holds the store."""
        kept = path
        if self._is_held:
            self._quarantine.mkdir(exist_ok=True)
            kept = self._quarantine / path.name
            os.replace(path, kept)
        words = "damaged cell %s: %s; kept in %s, %s"
        log.warning(words, path, error.received, kept.parent, error.advice)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _link(part: Path, path: Path) -> None:
    """Give a file its name, unless there is one of that name."""
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if not path.exists():  # nor does another process make one: the store is held
            os.replace(part, path)


def _synchronize(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentFault(
            f"to read and write {path.parent}",
            f"{error.strerror or error}: {error.filename or path}",
            "free space or mend permissions there and run again: cells are kept",
        ) from error
