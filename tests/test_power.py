"""Seeds that are planned: closed values, simulation, and what the command tells."""

import json
import math
from dataclasses import replace
from pathlib import Path

import fabrication
import numpy as np
import pytest

from dlclaims import cli, planning
from dlclaims.claims import Region
from dlclaims.errors import UsageError
from dlclaims.plan import PROFILES
from dlclaims.shelf import Shelf
from dlclaims.statistics import answers, power
from dlclaims.statistics.effects import Estimate


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shelf, Path, Path]:
    """A shelf with the page of drawn numbers, its folder, and standard results."""
    folder, out = (tmp_path_factory.mktemp(name) for name in ("pages", "results"))
    page = fabrication.load(folder)[fabrication.NAME]
    fabrication.run(page, out)
    return Shelf((folder,), {page.name: page}, {}), folder, out


@pytest.mark.parametrize("seeds", [8, 16, 30])
def test_what_is_visible_is_decided_in_four_of_five_cases(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    values = power.visible(seeds) + rng.standard_normal((4000, seeds))
    low, _ = answers.intervals.student(values)
    assert (low > 0).mean() == pytest.approx(power.POWER, abs=0.025)


def test_no_distance_is_visible_to_five_seeds() -> None:
    assert power.visible(5) == math.inf
    assert power.chance(1e6, 1.0, Region.above(0.0), 5) == 0
    assert power.visible(6) < math.inf
    assert power.visible(6, alpha=0.01) == math.inf  # 2^-6 is larger
    assert power.visible(16, alpha=0.01) > power.visible(16)


def test_one_seed_has_no_spread(made) -> None:
    page = made[0].pages["drawn-numbers"]
    (gain,) = page.claims[1].document.criteria
    seen = Estimate("undecided", value=0.3, values=(0.3, 0.4))
    assert power.chance_of(gain, seen) is not None
    assert power.chance_of(gain, replace(seen, values=(0.3,))) is None


def test_more_conditions_need_more_seeds() -> None:
    def chance(seeds: int) -> float:
        return power.chance(0.5, 1.0, Region.above(0.0), seeds)

    alone = power.seeds_to_decide_all([chance])
    assert alone == power.seeds_to_decide(0.5, 1.0, Region.above(0.0)) == 34
    together = power.seeds_to_decide_all([chance] * 5)
    assert (
        5 * (1 - chance(together)) <= 1 - power.POWER < 5 * (1 - chance(together - 1))
    )
    assert together > alone


def test_an_assertion_needs_what_all_its_conditions_need(made) -> None:
    shelf, _, out = made
    found = planning.prospects(shelf, ["vg-relu-not-immune"], out)
    document, corrected = found
    assert (document.role, corrected.role) == ("document", "corrected")
    assert [condition.n for condition in document.conditions] == [16, 16]
    assert document.needed == max(c.needed for c in document.conditions)
    assert [c.region for c in document.conditions] == [(None, 0.05)] * 2
    for seeds, chance in document.chances.items():
        misses = sum(1 - condition.chances[seeds] for condition in document.conditions)
        assert chance == max(1 - misses, 0)
    for condition in corrected.conditions:
        assert condition.visible == condition.spread * power.visible(16)
        assert list(condition.chances) == [8, 16, 30, 64]
        assert sorted(condition.chances.values()) == [*condition.chances.values()]


def test_exact_conditions_need_no_seeds(made) -> None:
    shelf, _, out = made
    (exact,) = planning.prospects(shelf, ["own-exact"], out)
    assert (exact.conditions, exact.needed) == ((), None)


def test_conditions_whose_spread_is_not_known_are_named(
    made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf, folder, _ = made
    fabrication.run(shelf.pages["drawn-numbers"], tmp_path, PROFILES["smoke"])
    document, _ = planning.prospects(shelf, ["vg-relu-not-immune"], tmp_path)
    assert document.unknown == ("slope-relu", "slope-sigmoid")
    assert (document.conditions, document.needed) == ((), None)
    where = ["--pages", str(folder), "--out", str(tmp_path)]
    assert cli.call(["power", "vg-relu-not-immune", *where]) == 0
    told = capsys.readouterr().out
    assert "vg-relu-not-immune, document: nothing to plan from" in told
    assert "not known under the smoke profile: slope-relu, slope-sigmoid" in told


def test_a_page_without_results_is_told_how_to_get_some(made, tmp_path: Path) -> None:
    shelf, *_ = made
    with pytest.raises(UsageError, match="dlclaims run drawn-numbers --profile quick"):
        planning.prospects(shelf, ["drawn-numbers"], tmp_path)


def test_the_command_tells_seeds_in_eighty_columns(
    made, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder, out = made
    monkeypatch.setenv("COLUMNS", "80")
    where = ["--pages", str(folder), "--out", str(out)]
    assert cli.call(["power", "drawn-numbers", *where]) == 0
    told = capsys.readouterr().out
    assert "own-exact, corrected: exact, no seeds needed" in told
    assert max(map(len, told.splitlines())) <= 80
    assert cli.call(["power", "own-difference", "--json", *where]) == 0
    (first, _) = json.loads(capsys.readouterr().out)["assertions"]
    assert (first["claim"], first["role"]) == ("own-difference", "document")
