"""A/A pairs and replications: pages whose truth is known, through the whole way."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_sensitivity import SLOW

from dlclaims import calibration, cli, pages, plan, results, suite, twins
from dlclaims.claims import Region
from dlclaims.design import design
from dlclaims.errors import UsageError
from dlclaims.plan import PROFILES
from dlclaims.seeds import REPLICATION
from dlclaims.store import Record

STANDARD = PROFILES["standard"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "slow.py").write_text(SLOW)
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> pages.Page:
    return pages.load("slow", folder / "slow.py")


@pytest.fixture(scope="module")
def out(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Standard results of the page, calibrated."""
    out = tmp_path_factory.mktemp("results")
    suite.run("slow", out=out, folders=[folder], jobs=1)
    found = calibration.run("slow", simulated=100, out=out, folders=[folder], jobs=1)
    assert found.failed == {}
    return out


def test_each_directional_criterion_gives_a_claim_for_each_arm(page) -> None:
    own = twins.page_of(page, STANDARD)
    assert [claim.id for claim in own.claims] == ["aa-1", "aa-2", "aa-3", "aa-4"]
    arms = [
        (
            dict(c.document.criteria[0].effect.where),
            dict(c.document.criteria[0].effect.minus),
        )
        for c in own.claims[:2]
    ]
    assert arms == [
        (
            {"level": level, "measurement": "first"},
            {"level": level, "measurement": "second"},
        )
        for level in (2, 1)
    ]
    assert {v["level"] for v in twins.variants(page, page.studies[0], STANDARD)} == {
        1,
        2,
    }


def with_region(page: pages.Page, region: Region) -> pages.Page:
    (claim,) = page.claims
    (criterion,) = claim.document.criteria
    moved = replace(claim.document, criteria=(replace(criterion, region=region),))
    return replace(page, claims=(replace(claim, document=moved, corrected=None),))


@pytest.mark.parametrize(
    ("region", "at_zero"),
    [
        (Region.above(0.5), Region.above(0)),
        (Region(0.2, 0.4), Region.above(0)),
        (Region.below(-0.1), Region.below(0)),
        (Region(-0.4, -0.2), Region.below(0)),
    ],
)
def test_a_region_keeps_its_direction_when_its_edge_moves_to_zero(
    page, region, at_zero
) -> None:
    made = twins.page_of(with_region(page, region), STANDARD).claims
    assert {c.document.criteria[0].region for c in made} == {region}
    assert {c.corrected.criteria[0].region for c in made} == {at_zero}


def test_an_equivalence_claims_no_direction(page) -> None:
    own = with_region(page, Region.around(0, 0.1))
    assert twins.page_of(own, STANDARD).claims == ()


def test_the_second_measurement_draws_another_initialization(page) -> None:
    (study,) = page.studies
    chosen = dict.fromkeys(["1", "2", "3"], 0.1)
    first, second = (
        plan.evaluation_cells(page, study, STANDARD, chosen, arm=arm)[0]
        for arm in ("", plan.TWIN)
    )
    for stream in ("order", "split", "data", "noise"):
        assert first.streams.entropy(3, stream) == second.streams.entropy(3, stream)
    for stream in ("init", "init/7"):
        assert first.streams.entropy(3, stream) != second.streams.entropy(3, stream)
    assert first.variant == second.variant


def test_cells_become_both_measurements_of_a_pair(page) -> None:
    (study,) = page.studies
    chosen = dict.fromkeys(["1", "2", "3"], 0.1)
    cells = [
        plan.tuning_cells(page, study, STANDARD)[0],
        *(
            plan.evaluation_cells(page, study, STANDARD, chosen, arm=a)[0]
            for a in ("", "twin")
        ),
    ]
    made = [
        (record.cell.stage, dict(record.cell.factors)["measurement"])
        for record in twins.records(Record(c, "", pd.DataFrame(), {}) for c in cells)
    ]
    assert made == [
        ("tuning", "first"),
        ("tuning", "second"),
        ("evaluation", "first"),
        ("evaluation", "second"),
    ]


def test_pairs_are_measured_and_none_is_called_different(out: Path) -> None:
    pairs = results.read_table(out / "calibration" / "aa.csv")
    assert list(pairs.columns) == calibration.PAIR
    assert len(pairs) == 4
    assert (pairs["value"] != 0).all()
    assert (pairs["value"].abs() < 0.02).all()  # the noise is 0.01
    assert (pairs["low"] < pairs["value"]).all()
    assert "supported" not in set(pairs["verdict"])
    found = results.read_json(out / "calibration" / "calibration.json")
    assert found["pages"]["slow"]["claims"] == 4
    assert found["pooled"]["false_supported"] == 0
    assert found["pooled"]["limit"] == pytest.approx(
        0.05 + 2 * (0.05 * 0.95 / 4) ** 0.5
    )


def test_a_page_is_replicated_on_seeds_of_its_own(out: Path) -> None:
    found = results.read_json(out / "replication" / "replication.json")
    assert (found["agree"], found["of"]) == (2, 2)
    verdicts = [c["replicated"] for c in found["pages"]["slow"]["claims"]]
    assert verdicts == ["refuted", "supported"]
    assert found["pages"]["slow"]["answers"] == {"same": 2, "opposite": 0, "of": 2}
    outcomes = results.read_table(out / "replication" / "slow" / "outcomes.csv")
    assert set(outcomes["seed"]) == {*range(REPLICATION, REPLICATION + 16)}
    first = results.read_table(out / "slow" / "outcomes.csv")
    assert not np.isin(outcomes["value"], first["value"]).any()


def test_verdicts_are_compared_by_claim_and_by_condition() -> None:
    def judged(verdict: str, *answers: str) -> dict:
        criteria = [{"answer": answer} for answer in answers]
        return {"verdict": verdict, "criteria": criteria}

    found = calibration.compare(
        {
            "a": {"document": judged("supported", "holds", "holds"), "corrected": None},
            "b": {
                "document": judged("refuted", "fails"),
                "corrected": judged("supported", "holds"),
            },
        },
        {
            "a": {
                "document": judged("conditional", "holds", "fails"),
                "corrected": None,
            },
            "b": {
                "document": judged("refuted", "fails"),
                "corrected": judged("inconclusive", "undecided"),
            },
        },
    )
    assert [claim["agrees"] for claim in found["claims"]] == [False, True, False]
    assert found["answers"] == {"same": 2, "opposite": 1, "of": 4}


def test_a_calibration_again_trains_nothing(out: Path, folder: Path) -> None:
    events = []
    calibration.run(
        "slow",
        simulated=50,
        out=out,
        folders=[folder],
        jobs=1,
        on_event=lambda kind, cell, seconds: events.append(kind),
    )
    assert set(events) == {"cached"}


def test_results_of_another_design_are_not_calibrated(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="dlclaims run --profile standard"):
        calibration.run("slow", out=tmp_path, folders=[folder], jobs=1)


def test_nothing_of_a_calibration_is_taken_for_a_page(out: Path) -> None:
    assert results.names(out) == ("slow",)
    made = json.loads((out / "calibration" / "calibration.json").read_text())
    assert made["schema"] == results.CALIBRATION_SCHEMA


def test_a_tuning_cell_makes_pairs_and_a_replication_known(
    folder: Path, out: Path
) -> None:
    wanted = design("slow", folders=[folder])
    cells = calibration.first_cells(wanted)
    assert {cell.stage for cell in cells} == {"tuning"}


def test_the_command_tells_rates_pairs_and_replication(
    out: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--out", str(out), "--pages", str(folder)]
    code = cli.call(["calibrate", "slow", "--simulated", "100", "--quiet", *where])
    found = results.read_json(out / "calibration" / "calibration.json")
    assert code == (0 if found["passed"] else 4)
    told = capsys.readouterr().out
    assert re.search(r"^normal +difference +\d", told, re.MULTILINE)
    assert re.search(
        r"^slow +4 +0 +\d +2 of 2 the same +0 of 2 cond", told, re.MULTILINE
    )
    assert "How often the verdicts err" in (out / "report.html").read_text()


def test_the_command_names_what_to_run_first(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--out", str(tmp_path), "--pages", str(folder)]
    assert cli.call(["calibrate", "slow", *where]) == 2
    assert "to do: run them first: dlclaims run --profile standard" in (
        capsys.readouterr().err
    )


def test_every_bound_can_be_missed() -> None:
    null = {
        "false_supported": 0.02,
        "false_refuted": 0.02,
        "limit": 0.03,
        "coverage": 0.95,
        "coverage_low": 0.94,
        "coverage_high": 0.965,
    }
    power, check = {"supported": 0.9, "limit": 0.85}, {"made": 3, "right": 3}
    assert calibration.passed([null], [power], [check])
    for worse in (
        {"false_supported": 0.04},
        {"false_refuted": 0.04},
        {"coverage": 0.93},
        {"coverage": 0.97},
    ):
        assert not calibration.passed([{**null, **worse}], [power], [check])
    assert not calibration.passed([null], [{**power, "supported": 0.8}], [check])
    assert not calibration.passed([null], [power], [{**check, "right": 2}])
    free = dict.fromkeys(("limit", "coverage_low", "coverage_high"))
    assert calibration.passed(
        [{**null, **free, "false_supported": 1.0, "coverage": 0.1}],
        [{"supported": 0.0, "limit": None}],
        [],
    )
