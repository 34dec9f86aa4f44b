"""Every number that the report shows of a claim stands in a result file.

The numbers are read from the HTML and looked for in the files themselves, without the
code that builds the report: a number shown is one of the file's when it is that number
rounded to the digits that are shown.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from fabrication import NAME
from test_report import Known, by_class, copy, made, parse, text_of  # noqa: F401

from dlclaims import report, results
from dlclaims.wording import MINUS, TIMES

POWERS = "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"
RAISED = str.maketrans(POWERS, "-0123456789")
NUMBER = re.compile(
    rf"(?<![\w.])({MINUS}?)(?:(\d[\d,]*(?:\.\d+)?) {TIMES} )?10([{POWERS}]+)"
    rf"|(?<![\w.])({MINUS}?)(\d[\d,]*(?:\.\d+)?)"
)


def shown(text: str) -> Iterator[tuple[float, float]]:
    """Yield the numbers of a text, and half a unit of the last digit of each."""
    for minus, mantissa, power, other, plain in NUMBER.findall(text):
        digits = (mantissa or plain or "1.0").replace(",", "")
        scale = 10.0 ** int(power.translate(RAISED)) if power else 1.0
        # Of a mantissa one decimal is told, and dropped where it is 0.
        decimals = 1 if power else len(digits.partition(".")[2])
        sign = -1.0 if minus or other else 1.0
        yield sign * float(digits) * scale, 0.5001 * scale * 10.0**-decimals


def numbers(content: Any) -> Iterator[float]:
    """Yield all numbers in a JSON value, and how many items its lists have."""
    if isinstance(content, bool) or content is None:
        return
    if isinstance(content, int | float):
        yield float(content)
    elif isinstance(content, dict):
        for value in content.values():
            yield from numbers(value)
    elif isinstance(content, list):
        yield float(len(content))
        for value in content:
            yield from numbers(value)


def columns(file: Path) -> Iterator[float]:
    """Yield all numbers in a CSV file."""
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            for cell in row.values():
                try:
                    yield float(cell)
                except ValueError:
                    continue


def untraced(text: str, known: Iterable[float]) -> list[float]:
    """Return the numbers of a text that are none of the known ones, rounded."""
    every = list(known)
    return [
        value
        for value, half in shown(text)
        if not any(abs(value - number) <= half for number in every)
    ]


def told_of(criterion: dict[str, Any]) -> list[float]:
    """Return what may be shown of a criterion: a rate also as count and in percent."""
    own = {name: criterion[name] for name in ("value", "low", "high", "n")}
    found = [*numbers(own), *numbers(criterion["region"])]
    if criterion["effect"]["kind"] == "success rate":
        found += [100 * number for number in found]
        found.append(round(criterion["value"] * criterion["n"]))
    return found


def rows_of(article: Element, criteria: list[dict[str, Any]]) -> Iterator[Any]:
    """Yield each condition's row of the forest plots beside its criterion."""
    bodies = [
        row
        for table in by_class(article, "forest")
        for row in table.iter("tr")
        if by_class(row, "answer")
    ]
    assert len(bodies) == len(criteria)
    yield from zip(bodies, criteria, strict=True)


def articles(out: Path) -> Iterator[tuple[Element, dict[str, Any]]]:
    """Yield the claims of the HTML, each beside its part of ``verdicts.json``."""
    root = parse((out / "report.html").read_text())
    judged: dict[str, Any] = {}
    for name in results.names(out):
        judged |= results.read_json(out / name / "verdicts.json")["claims"]
    for article in by_class(root, "claim"):
        yield article, judged[article.get("id", "")]


def criteria_of(judged: dict[str, Any]) -> list[dict[str, Any]]:
    roles = (judged[role] for role in ("document", "corrected") if judged[role])
    return [criterion for assertion in roles for criterion in assertion["criteria"]]


def test_a_conditions_numbers_are_its_criterions(
    made: tuple[Known, Path],  # noqa: F811
) -> None:
    seen = 0
    for article, judged in articles(made[1]):
        for row, criterion in rows_of(article, criteria_of(judged)):
            known = told_of(criterion)
            [effect], [answer] = by_class(row, "num"), by_class(row, "answer")
            assert untraced(text_of(effect), known) == [], criterion["name"]
            assert untraced(text_of(answer), [criterion["n"]]) == []
            assert criterion["answer"] in text_of(answer)
            seen += len(list(shown(text_of(effect))))
    assert seen > 15


def test_the_tables_behind_a_claim_hold_what_its_files_hold(
    made: tuple[Known, Path],  # noqa: F811
) -> None:
    out = made[1]
    of_variants = list(columns(out / NAME / "variants.csv"))
    manifest = results.read_json(out / NAME / "manifest.json")
    took = list(numbers(manifest["seconds_by_variant"]))
    for article, judged in articles(out):
        known = [*numbers(judged), *of_variants, *took, 0.0001]  # p < 0.0001
        for table in article.iter("table"):
            if "forest" not in table.get("class", ""):
                for cell in by_class(table, "num"):
                    assert untraced(text_of(cell), known) == [], text_of(cell)


def test_theory_design_and_provenance_are_those_of_the_files(
    made: tuple[Known, Path],  # noqa: F811
) -> None:
    out = made[1]
    root = parse((out / "report.html").read_text())
    [section] = [e for e in root.iter("section") if e.get("id") == NAME]
    claims = {id(cell) for a in by_class(section, "claim") for cell in a.iter("td")}
    with (out / NAME / "variants.csv").open(encoding="utf-8", newline="") as lines:
        variants = list(csv.DictReader(lines))
    gaps = sorted(abs(gap) for gap in columns(out / NAME / "theory.csv"))
    counts = [
        float(sum(float(row[name] or 0) for row in variants if row["study"] == study))
        for study in {row["study"] for row in variants}
        for name in ("ok", "diverged", "failed")
    ]
    took = results.read_json(out / NAME / "manifest.json")["seconds_by_variant"]
    spent = [sum(study.values()) for study in took.values()]
    known = [
        *columns(out / NAME / "theory.csv"),
        *columns(out / NAME / "variants.csv"),
        *(float(number) for number in range(len(variants) + 1)),
        *(a + b for a in counts for b in counts),
        *spent,
        *gaps,
        *((a + b) / 2 for a in gaps for b in gaps),  # a median of an even number
    ]
    cells = [c for c in by_class(section, "num") if id(c) not in claims]
    assert len(cells) > 10
    for cell in cells:
        assert untraced(text_of(cell), known) == [], text_of(cell)


def test_a_number_that_changes_in_the_file_changes_in_the_report(
    made: tuple[Known, Path],  # noqa: F811
    copy: Path,  # noqa: F811
) -> None:
    file = copy / NAME / "verdicts.json"
    content = json.loads(file.read_text())
    for criterion in criteria_of(content["claims"]["vg-relu-not-immune"]):
        for place, name in enumerate(("value", "low", "high")):
            criterion[name] = 40.25 + place / 100
        criterion["n"] = 77
    results.write_json(file, content)
    report.write(report.build(copy, made[0]), copy)
    for article, judged in articles(copy):
        for row, criterion in rows_of(article, criteria_of(judged)):
            assert untraced(text_of(by_class(row, "num")[0]), told_of(criterion)) == []
            if article.get("id") == "vg-relu-not-immune":
                assert "40.25" in text_of(row)
                assert "n = 77" in text_of(row)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.443 [1.440, 1.446]", [1.443, 1.440, 1.446]),
        (f"{MINUS}0.0061, 12,003", [-0.0061, 12003]),
        (f"8.8 {TIMES} 10⁻¹⁶ and 10⁻¹⁰", [8.8e-16, 1e-10]),
        ("15 of 16 seeds = 93.8 % [69.8 %, 99.8 %]", [15, 16, 93.8, 69.8, 99.8]),
    ],
)
def test_numbers_are_read_as_they_are_told(text: str, expected: list[float]) -> None:
    assert [value for value, _ in shown(text)] == pytest.approx(expected)
    assert untraced(text, [2.0 * number for number in expected]) == pytest.approx(
        expected
    )
