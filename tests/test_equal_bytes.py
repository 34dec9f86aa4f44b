"""The same results, byte for byte, however they were computed."""

import random
from importlib.util import find_spec
from pathlib import Path

import pytest
from runs import TRAINED, Folder
from test_sensitivity import SLOW

from dlclaims import execution, results, suite
from dlclaims.design import design
from dlclaims.store import Store

TABLES = ("outcomes.csv", "variants.csv", "theory.csv", "verdicts.json")


@pytest.fixture(
    scope="module",
    params=["slow", pytest.param("faulty", marks=pytest.mark.faults)],
    ids=["stub", "training"],
)
def page(request: pytest.FixtureRequest) -> str:
    """A tuned page with sensitivity arms; and one that trains networks."""
    return request.param


@pytest.fixture(scope="module")
def folder(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    if page == "faulty":
        return Folder(folder, TRAINED).path
    blocks = SLOW.replace("sensitivity=", "block=4, sensitivity=")
    (folder / "slow.py").write_text(blocks)
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    found = {name: (folder / name).read_bytes() for name in TABLES}
    tried = results.read_json(folder / "sensitivity.json")
    return {**found, "claims tried": repr(tried.get("claims")).encode()}


@pytest.fixture(scope="module")
def expected(
    page: str, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What one worker makes."""
    out = tmp_path_factory.mktemp("expected")
    suite.run(page, out=out, folders=[folder], jobs=1)
    return bytes_of(out / page)


def test_two_workers(page: str, folder: Path, tmp_path: Path, expected) -> None:
    suite.run(page, out=tmp_path, folders=[folder], jobs=2)
    assert bytes_of(tmp_path / page) == expected


@pytest.mark.skipif(not find_spec("distributed"), reason="the extra dask")
def test_two_workers_of_dask(page: str, folder: Path, tmp_path: Path, expected) -> None:
    suite.run(page, out=tmp_path, folders=[folder], jobs=2, executor="dask")
    assert bytes_of(tmp_path / page) == expected


@pytest.mark.parametrize("share", [0.5, 1], ids=["half", "all"])
def test_cells_stored_before_in_another_order(
    page: str, folder: Path, tmp_path: Path, expected, share: float
) -> None:
    cells = [*design(page, folders=[folder]).first_cells()]
    number = round(share * len(cells))
    random.Random(0).shuffle(cells)
    store = Store(tmp_path / "cells")
    execution.run(cells[:number], store, folders=[folder], jobs=1)
    found = suite.run(page, out=tmp_path, folders=[folder], jobs=2)
    assert found[0].cached >= number
    assert bytes_of(tmp_path / page) == expected
