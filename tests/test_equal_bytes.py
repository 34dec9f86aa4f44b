"""The same results, byte for byte, however they were computed."""

import random
from importlib.util import find_spec
from pathlib import Path

import pytest
from test_sensitivity import SLOW

from dlclaims import execution, results, suite
from dlclaims.design import design

TABLES = ("outcomes.csv", "variants.csv", "theory.csv", "verdicts.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    blocks = SLOW.replace("sensitivity=", "block=4, sensitivity=")
    (folder / "slow.py").write_text(blocks)
    return folder


def bytes_of(out: Path) -> dict[str, bytes]:
    found = {name: (out / "slow" / name).read_bytes() for name in TABLES}
    tried = results.read_json(out / "slow" / "sensitivity.json")
    return {**found, "claims tried": repr(tried["claims"]).encode()}


@pytest.fixture(scope="module")
def expected(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What one worker makes."""
    out = tmp_path_factory.mktemp("expected")
    suite.run("slow", out=out, folders=[folder], jobs=1)
    return bytes_of(out)


def test_two_workers(folder: Path, tmp_path: Path, expected) -> None:
    suite.run("slow", out=tmp_path, folders=[folder], jobs=2)
    assert bytes_of(tmp_path) == expected


@pytest.mark.skipif(not find_spec("distributed"), reason="the extra dask")
def test_dask(folder: Path, tmp_path: Path, expected) -> None:
    suite.run("slow", out=tmp_path, folders=[folder], jobs=2, executor="dask")
    assert bytes_of(tmp_path) == expected


def test_half_of_the_cells_stored_in_another_order(
    folder: Path, tmp_path: Path, expected
) -> None:
    from dlclaims.store import Store

    cells = [*design("slow", folders=[folder]).first_cells()]
    random.Random(0).shuffle(cells)
    store = Store(tmp_path / "cells")
    execution.run(cells[: len(cells) // 2], store, folders=[folder], jobs=1)
    found = suite.run("slow", out=tmp_path, folders=[folder], jobs=2)
    assert found[0].cached >= len(cells) // 2
    assert bytes_of(tmp_path) == expected
