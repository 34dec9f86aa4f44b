"""How far to trust the verdicts: the same in all renderings, read from the files."""

import json
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pandas as pd
import pytest
from fabrication import NAME, load, run
from test_report import (
    FILES,
    HOSTILE,
    by_class,
    change,
    judge_together,
    parse,
    render,
    text_of,
)

from dlclaims import pages, report, results
from dlclaims.claims import Assertion, Claim, Criterion, Difference, Region, Value
from dlclaims.figures import calibration as drawing
from dlclaims.report import judgement, markdown, model, words
from dlclaims.report.soundness import Family, Power

Known = dict[str, pages.Page]

NORMAL = {
    "family": "normal noise",
    "scale": "difference",
    "gated": True,
    "seeds": 16,
    "simulated": 10000,
    "false_supported": 0.024,
    "false_refuted": 0.0251,
    "limit": 0.0297,
    "coverage": 0.95,
    "coverage_low": 0.94,
    "coverage_high": 0.965,
    "power": 0.893,
}
RAW = NORMAL | {
    "family": "log-normal noise",
    "scale": "raw difference",
    "gated": False,
    "false_supported": 0.123,
    "false_refuted": 0.002,
    "limit": None,
    "coverage": 0.871,
    "coverage_low": None,
    "coverage_high": None,
    "power": 0.412,
}
TIES = NORMAL | {
    "family": "ties",
    "false_supported": 0.022,
    "false_refuted": 0.021,
    "coverage_low": None,
    "coverage_high": None,
}


def pair(number: int, **fields: Any) -> dict[str, Any]:
    """Return an A/A claim that finds nothing."""
    return {
        "page": NAME,
        "study": "learning",
        "criterion": f"gain-{number}",
        "variant": "plain",
        "unit": "accuracy",
        "value": 0.01 * number,
        "low": 0.01 * number - 0.05,
        "high": 0.01 * number + 0.05,
        "region_low": 0.1,
        "region_high": None,
        "verdict": "refuted",
        "verdict_at_zero": "inconclusive",
        **fields,
    }


TWINS = [*map(pair, range(-3, 4)), pair(8, verdict_at_zero="supported")]


def calibration(digest: str) -> dict[str, Any]:
    counted = {"claims": 8, "false_supported": 0, "false_supported_at_zero": 1}
    return {
        "schema": results.CALIBRATION_SCHEMA,
        "commit": "0123456789ab",
        "device_name": "a processor",
        "seconds": 90.0,
        "profile": "standard",
        "passed": True,
        "nulls": [RAW, NORMAL, TIES],
        "powers": [
            {"seeds": seeds, "simulated": 10000, "supported": share, "limit": limit}
            | {"edge": 0.5, "effect": 1.5}
            for seeds, share, limit in ((8, 0.31, None), (16, 0.893, 0.85))
        ],
        "checks": [
            {"name": "reversal", "what": "swaps verdicts", "made": 1200, "right": 1200}
        ],
        "pages": {NAME: {"registration": digest, **counted}},
        "pooled": {**counted, "limit": 0.204},
    }


def replication(digest: str, judged: dict[str, Any]) -> dict[str, Any]:
    """Return a replication in which own-difference came out otherwise, once."""
    claims = [
        {
            "claim": claim,
            "role": role,
            "verdict": made[role]["verdict"],
            "replicated": made[role]["verdict"],
            "agrees": True,
        }
        for claim, made in judged["claims"].items()
        for role in ("document", "corrected")
        if made[role]
    ]
    odd = {"replicated": "inconclusive", "agrees": False}
    place = ("own-difference", "corrected")
    claims = [c | odd if (c["claim"], c["role"]) == place else c for c in claims]
    return {
        "schema": results.CALIBRATION_SCHEMA,
        "commit": "ba9876543210",
        "device_name": "another processor",
        "seconds": 4000.0,
        "profile": "standard",
        "first": 20000,
        "agree": 5,
        "of": 6,
        "pages": {
            NAME: {
                "registration": digest,
                "claims": claims,
                "answers": {"same": 7, "of": 8, "opposite": 0},
            }
        },
    }


def sensitivity(judged: dict[str, Any]) -> dict[str, Any]:
    """Return a trial of own-difference in which its failure goes away."""
    [criterion] = judged["claims"]["own-difference"]["document"]["criteria"]
    tried = criterion | {"answer": "undecided", "value": 0.05, "low": 0, "high": 0.11}
    arms = [
        {"arm": "longer", "criteria": [tried], "flaws": ["plain: it is too slow."]},
        {"arm": "equal-work", "criteria": [criterion], "flaws": []},
    ]
    return {
        "schema": 1,
        "arms": {"longer": "three times the steps", "equal-work": "equal work"},
        "claims": {"own-difference": {"document": arms}},
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Known, Path]:
    """Return a page and its calibrated results, report included: do not change."""
    folder = tmp_path_factory.mktemp("calibrated")
    known, out = load(folder / "pages"), folder / "results"
    run(known[NAME], out)
    judge_together(out)
    judged = results.read_json(out / NAME / "verdicts.json")
    digest = judged["registration"]
    results.write_json(out / NAME / "sensitivity.json", sensitivity(judged))
    place = out / "calibration"
    place.mkdir()
    results.write_json(place / "calibration.json", calibration(digest))
    twins = pd.DataFrame(TWINS)
    results.write_table(place / "aa.csv", twins)
    drawing.save(calibration(digest), twins, place)
    (out / "replication").mkdir()
    content = replication(digest, judged)
    results.write_json(out / "replication" / "replication.json", content)
    report.write(report.build(out, known), out)
    return known, out


@pytest.fixture
def copy(made: tuple[Known, Path], tmp_path: Path) -> Path:
    """Return a copy of the results that a test may change."""
    return Path(shutil.copytree(made[1], tmp_path / "results"))


def section(root: Element) -> Element:
    return next(e for e in root.iter("section") if e.get("id") == "calibration")


def lines(element: Element) -> list[list[str]]:
    """Return the text of all cells of all rows of the tables in an element."""
    return [[text_of(cell) for cell in row] for row in element.iter("tr")]


# Calibration.


def test_the_sentence_has_its_numbers_from_the_gated_families(
    made: tuple[Known, Path],
) -> None:
    built, root = render(*made)
    assert built.calibration is not None
    assert built.calibration.summary == (
        "Of 10,000 simulated claims that are on the very edge between true and false,"
        " at most 2.4 % were called supported, and at most 2.5 % refuted, whichever of"
        " 2 kinds of noise they had; of 8 claims on real training that compare a"
        " network with itself, 0 were called supported (1 if any effect counted); a"
        " claim that is true by a standard deviation was found with 16 seeds in 89.3 %"
        " of cases."
    )
    assert built.calibration.summary in text_of(section(root))
    assert built.calibration.summary in markdown.render(built)


def test_the_first_screen_tells_in_a_line_how_far_to_trust(
    made: tuple[Known, Path],
) -> None:
    built, root = render(*made)
    assert built.trust == (
        "of 20,000 simulated claims on the very edge of being true, 2.3 % were called"
        " supported; 5 of 6 verdicts are the same on new seeds"
    )
    head = next(e for e in root.iter("header"))
    assert f"How far to trust a verdict: {built.trust}." in text_of(head)
    assert f": {built.trust}.\n" in markdown.render(built)


def test_gated_families_come_first_and_the_others_are_labelled(
    made: tuple[Known, Path],
) -> None:
    built, root = render(*made)
    table = lines(section(root))
    names = [row[0] for row in table[1:5]]
    assert names == [
        "normal noise",
        "ties",
        "Shown, not gated: why such outcomes are registered on another scale",
        "log-normal noise",
    ]
    assert table[1][1:] == [
        *("difference", "10,000", "16", "2.4 %", "2.5 %", "3.0 %"),
        *("95.0 % of 94.0 % to 96.5 %", "89.3 %", "yes"),
    ]
    assert table[4][4:] == [
        *("12.3 %", "0.2 %", words.DASH, "87.1 %", "41.2 %", "not gated")
    ]
    rows = re.findall(
        r"^\| (\S.*?) \| (?:raw )?difference", markdown.render(built), re.M
    )
    assert rows == ["normal noise", "ties", "log-normal noise (shown, not gated)"]


def test_all_renderings_tell_power_checks_and_twins(made: tuple[Known, Path]) -> None:
    built, root = render(*made)
    table, listing = lines(section(root)), markdown.render(built)
    for row in (
        ["8", "10,000", "31.0 %", words.DASH],
        ["16", "10,000", "89.3 %", "at least 85.0 %"],
        [NAME, "8", "0", "1"],
        ["reversal", "swaps verdicts"],
    ):
        assert row in [line[: len(row)] for line in table]
        assert f"| {' | '.join(row)} |" in listing
    for text in (text_of(section(root)), listing):
        assert "1,200 of 1,200" in text
        assert "at most 20.4 %" in text
        assert "at commit 0123456789ab" in text


def test_the_json_holds_what_the_files_hold(made: tuple[Known, Path]) -> None:
    content = json.loads((made[1] / "report.json").read_text())["calibration"]
    assert content["nulls"] == [NORMAL, TIES, RAW]
    assert content["twins"] == [
        {
            "page": NAME,
            "claims": 8,
            "false_supported": 0,
            "false_supported_at_zero": 1,
        }
    ]
    assert (content["commit"], content["limit"]) == ("0123456789ab", 0.204)


def test_the_picture_is_inline_and_linked(made: tuple[Known, Path]) -> None:
    _, root = render(*made)
    [picture] = by_class(section(root), "picture")
    assert "gated families of noise: 2" in picture.get("aria-label", "")
    listing = (made[1] / "README.md").read_text()
    assert "](calibration/calibration.png)](calibration/calibration.svg)" in listing


def test_every_link_and_id_is_sound(made: tuple[Known, Path]) -> None:
    _, root = render(*made)
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    for link in section(root).iter("a"):
        href = link.get("href", "")
        assert href[1:] in ids if href[0] == "#" else (made[1] / href).is_file()


def test_without_files_the_report_says_how_to_make_them(
    made: tuple[Known, Path], copy: Path
) -> None:
    for name in ("calibration", "replication"):
        shutil.rmtree(copy / name)
    built, root = render(made[0], copy)
    assert (built.calibration, built.replication) == (None, None)
    assert built.trust == "not measured yet"
    listing = " ".join(markdown.render(built).replace("`", "").split())
    for text in (text_of(section(root)), listing):
        assert "have not been calibrated yet. make calibrate judges" in text
        assert "replicates the verdicts on new seeds" in text


def test_a_calibration_without_replication_says_so(
    made: tuple[Known, Path], copy: Path
) -> None:
    shutil.rmtree(copy / "replication")
    built, root = render(made[0], copy)
    sentence = "The verdicts have not been replicated on new seeds yet"
    assert sentence in text_of(section(root))
    assert sentence in markdown.render(built)


def test_a_calibration_that_did_not_pass_is_told_first(
    made: tuple[Known, Path], copy: Path
) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["passed"] = False
        content["nulls"][1]["false_refuted"] = 0.03

    change(copy / "calibration" / "calibration.json", edit)
    built, root = render(made[0], copy)
    assert built.trust.startswith("the calibration did not pass; of 20,000")
    assert lines(section(root))[1][-1] == "no"
    for text in (text_of(section(root)), markdown.render(built)):
        assert "The calibration did not pass." in text
    assert "3.0 % **not kept** | 95.0 % |" in markdown.render(built)


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ({}, True),
        ({"false_supported": 0.0297}, True),
        ({"false_supported": 0.0298}, False),
        ({"false_refuted": 0.0298}, False),
        ({"coverage": 0.94}, True),
        ({"coverage": 0.965}, True),
        ({"coverage": 0.939}, False),
        ({"coverage": 0.966}, False),
        ({"limit": None, "false_supported": 0.5}, True),
    ],
)
def test_a_family_passes_when_it_keeps_its_bounds(
    fields: dict[str, Any], passes: bool
) -> None:
    assert Family(**(NORMAL | fields)).passes == passes


def test_power_passes_when_it_is_what_is_required() -> None:
    found = [Power(16, 100, share, 0.85, 0.5, 1.5).passes for share in (0.84, 0.85)]
    assert found == [False, True]
    assert Power(8, 100, 0.1, None, 0.5, 1.5).passes


@pytest.mark.parametrize("name", ["calibration", "replication"])
def test_what_is_older_than_the_pages_is_told(
    name: str, made: tuple[Known, Path], copy: Path
) -> None:
    fresh = render(*made)[0]
    assert getattr(fresh, name).older == ()

    def age(content: dict[str, Any]) -> None:
        content["pages"][NAME]["registration"] = "0" * 64

    def forget(content: dict[str, Any]) -> None:
        del content["pages"][NAME]

    for edit, sentence in (
        (age, f"{NAME} has another registration since"),
        (forget, f"{NAME} is lacking"),
    ):
        change(copy / name / f"{name}.json", edit)
        built, root = render(made[0], copy)
        assert getattr(built, name).older == (sentence,)
        told = f"The {name} is older than the pages: {sentence}. Run make calibrate."
        assert told in text_of(section(root))
        assert sentence in markdown.render(built)


# Replication.


def test_verdicts_that_did_not_replicate_are_named(made: tuple[Known, Path]) -> None:
    built, root = render(*made)
    assert built.replication is not None
    assert built.replication.summary == (
        "On seeds that were never used before, 5 of 6 verdicts came out the same; of 8"
        " conditions, 7 got the same answer and 0 the opposite one."
    )
    named = "own-difference (corrected): supported, then inconclusive"
    row = [NAME, "5 of 6", "7 of 8", "0", named]
    assert row in lines(section(root))
    assert f"| {' | '.join(row)} |" in markdown.render(built)
    assert built.replication.summary in markdown.render(built)
    [page] = built.replication.pages
    assert [one.claim for one in page.apart] == ["own-difference"]


# Sensitivity.


def test_sensitivity_is_labelled_and_leaves_the_verdict(
    made: tuple[Known, Path], copy: Path
) -> None:
    built, root = render(*made)
    document = built.claims[1].assertions[0]
    assert [(arm.words, arm.failing) for arm in document.sensitivity] == [
        ("three times the steps", 0),
        ("equal work", 1),
    ]
    [article] = [a for a in by_class(root, "claim") if a.get("id") == "own-difference"]
    told = [text_of(e) for e in by_class(article, "sensitivity")]
    question = "does the failure hold with three times the steps?"
    assert told[0].startswith(f"Sensitivity: {question} In 0 of 1 condition. Tried")
    assert "it never decides the verdict. plain: it is too slow." in told[0]
    assert "In 1 of 1 condition." in told[1]
    listing = markdown.render_page(built, built.pages[0])
    assert f"never decides a verdict: {question}* In 0 of 1 condition." in listing
    assert r"residual: accuracy: a difference of 0.05 \[0.00, 0.11\], " in listing
    (copy / NAME / "sensitivity.json").unlink()
    bare = report.build(copy, made[0]).claims[1].assertions[0]
    assert replace(document, sensitivity=()) == bare


# Mechanism controls.


def test_a_mechanism_control_is_labelled_in_its_row(
    made: tuple[Known, Path], copy: Path
) -> None:
    def edit(content: dict[str, Any]) -> None:
        [criterion] = content["claims"]["own-difference"]["document"]["criteria"]
        criterion["scope"] = "plain minus residual, labels shuffled"
        criterion["mechanism"] = "labels shuffled"

    change(copy / NAME / "verdicts.json", edit)
    built, root = render(made[0], copy)
    label = "plain minus residual, with the cause removed: labels shuffled"
    assert label in [row[0] for row in lines(root)]
    assert f"| {label} |" in markdown.render_page(built, built.pages[0])
    plots = [e.get("aria-label", "") for e in root.iter() if e.get("role") == "img"]
    assert [plot for plot in plots if plot.startswith(f"{label}: ")]


def test_results_from_before_mechanism_controls_are_read(
    made: tuple[Known, Path], copy: Path
) -> None:
    def edit(content: dict[str, Any]) -> None:
        for claim in content["claims"].values():
            for role in ("document", "corrected"):
                for criterion in claim[role]["criteria"] if claim[role] else ():
                    del criterion["mechanism"]

    change(copy / NAME / "verdicts.json", edit)
    before, after = (report.build(out, made[0]) for out in (made[1], copy))
    assert asdict(before) == asdict(after)


def test_a_control_is_labelled_before_it_is_run() -> None:
    plain = Criterion(
        "gain",
        "learning",
        Difference(Value("accuracy"), {"network": "a"}, {"network": "b"}),
        Region.above(0.1),
        "accuracy",
        "a minus b",
        "ten points",
        "no difference",
    )
    control = plain.without(
        {"shuffled": True}, "positions shuffled", Region.below(0.05), "half of it"
    )
    claim = Claim(
        "own-cause",
        ("difference",),
        Assertion("It helps.", (plain, control), "supported"),
        None,
    )
    made = judgement.claim("page", claim, {}, {}, ())
    assert [c.condition for c in made.assertions[0].criteria] == [
        "a minus b",
        "a minus b, with the cause removed: positions shuffled",
    ]


# Equal costs.


def test_equal_costs_are_told_with_what_was_found(
    made: tuple[Known, Path], copy: Path
) -> None:
    known, page = made[0], made[0][NAME]
    studies = [
        replace(s, equal=("parameters",)) if s.name == "learning" else s
        for s in page.studies
    ]
    table = results.read_table(copy / NAME / "variants.csv")
    table.loc[table["variant"] == "residual", "parameters"] = 1250
    results.write_table(copy / NAME / "variants.csv", table)
    equal = {NAME: replace(page, studies=tuple(studies))}
    built, root = render(equal, copy)
    told = (
        "equal parameters within 2 %: at most 0.64 % from their middle where compared,"
        " 1,234 to 1,250 over the study"
    )
    assert [study.equal for study in built.pages[0].studies] == ["", told, ""]
    assert told in [cell for row in lines(root) for cell in row]
    assert f"| {told} |" in markdown.render_page(built, built.pages[0])
    assert {study.equal for study in report.build(copy, known).pages[0].studies} == {""}


# Safety and the check.


def test_hostile_words_in_the_files_are_only_words(
    made: tuple[Known, Path], copy: Path
) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["commit"] = content["device_name"] = HOSTILE
        for row in content.get("nulls", ()):
            row["family"] = row["scale"] = HOSTILE
        for row in content.get("checks", ()):
            row["name"] = row["what"] = HOSTILE

    for name in ("calibration", "replication"):
        change(copy / name / f"{name}.json", edit)
    built, root = render(made[0], copy)
    assert len(list(root.iter("script"))) == 1
    assert text_of(section(root)).count("<script>alert('1')</script>") == 12
    listing = markdown.render(built)
    assert "<script" not in listing
    assert not re.search(r"(?<!\\)\]\(javascript", listing)


def test_the_check_is_quiet_when_everything_agrees(made: tuple[Known, Path]) -> None:
    assert report.check(made[1], made[0]) == []


def test_the_check_notices_that_the_report_is_older_than_the_calibration(
    made: tuple[Known, Path], copy: Path
) -> None:
    change(copy / "replication" / "replication.json", lambda c: c.update(agree=4))
    found = report.check(copy, made[0])
    assert [sentence.split()[0] for sentence in found] == list(FILES[:3])
    assert all("differs from its results" in sentence for sentence in found)


def test_the_check_counts_the_claims_and_looks_at_the_picture(
    made: tuple[Known, Path], copy: Path
) -> None:
    place = copy / "calibration"
    results.write_table(place / "aa.csv", pd.DataFrame(TWINS[1:]))
    table = place / "calibration.csv"
    table.write_text(table.read_text().replace("ties", "Ties"))
    assert report.check(copy, made[0])[:2] == [
        "calibration: calibration.svg does not show calibration.csv",
        f"calibration: calibration.json and aa.csv do not count the same claims of"
        f" {NAME}",
    ]


def test_the_section_is_the_same_for_the_same_files(
    made: tuple[Known, Path], copy: Path
) -> None:
    report.write(report.build(copy, made[0]), copy)
    for name in FILES:
        assert (copy / name).read_bytes() == (made[1] / name).read_bytes()
    assert parse((copy / "report.html").read_text())
    assert isinstance(report.build(copy, made[0]), model.Report)


def test_files_of_another_version_count_as_not_made_yet(
    made: tuple[Known, Path], copy: Path
) -> None:
    for name in ("calibration", "replication"):
        change(copy / name / f"{name}.json", lambda content: content.update(schema=1))
    built, _ = render(made[0], copy)
    assert (built.calibration, built.replication) == (None, None)
    assert "not measured yet" in built.trust
