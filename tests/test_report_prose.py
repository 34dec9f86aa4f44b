"""No number in the committed report's sentences is typed.

Each is in a result file, or was registered before the run: a level, a region, a scope,
or a constant of the page's code. So a result that somebody writes into a sentence is
found. Cells of tables are traced in `test_report_numbers`.
"""

import ast
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest
from test_report import by_class
from test_report_numbers import criteria_of, numbers, shown, untraced

from dlclaims import pages, results, source
from dlclaims.claims import Claim
from dlclaims.report import designs

OUT = Path(__file__).parents[1] / "results"
NAMES = results.names(OUT)
FILES = pages.find([pages.built_in_folder()])

#: Names, formulas and pictures; tables have tests of their own.
UNREAD = {"code", "math", "svg", "table"}


@cache
def root() -> Element:
    text = (OUT / "report.html").read_text(encoding="utf-8")
    return html5lib.HTMLParser(namespaceHTMLElements=False).parse(text)


def read(*place: str) -> Any:
    return results.read_json(OUT.joinpath(*place))


def prose(element: Element) -> str:
    """Return an element's text without what is no prose."""
    parts = [element.text or ""]
    for child in element:
        name = child.tag.rpartition("}")[2]  # of SVG and MathML with their namespace
        parts += ["" if name in UNREAD else prose(child), child.tail or ""]
    return " ".join(" ".join(parts).split())


def section(name: str) -> Element:
    [found] = [e for e in root().iter("section") if e.get("id") == name]
    return found


def strings(content: Any) -> Iterator[str]:
    """Yield all texts in a JSON value, keys included."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        yield from content
        for value in content.values():
            yield from strings(value)
    elif isinstance(content, list):
        for value in content:
            yield from strings(value)


def every(content: Any) -> Iterator[float]:
    """Yield the numbers in a JSON value and in its texts, also in per cent."""
    for number in numbers(content):
        yield from (number, 100 * number)
    for text in strings(content):
        yield from (number for number, _ in shown(text))


def durations(seconds: float) -> tuple[float, ...]:
    return seconds, seconds / 60, seconds / 3600


@cache
def registered(page: str) -> tuple[float, ...]:
    """Return what a page may tell before it is run."""
    file = FILES[page]
    code = file.parent.glob("*.py") if file.name == "__init__.py" else [file]
    constants = [
        float(node.value)
        for one in code
        for node in ast.walk(ast.parse(one.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and type(node.value) in (int, float)
    ]
    return (*every(read(page, "registration.json")["current"]), *constants)


@cache
def judged(page: str) -> dict[str, Any]:
    return read(page, "verdicts.json")["claims"]


def effects(criteria: Iterable[dict[str, Any]]) -> Iterator[float]:
    """Yield effects in all forms in which a sentence may tell them."""
    for criterion in criteria:
        for end in ("value", "low", "high"):
            if (x := criterion[end]) is None:
                continue
            yield from (x, 100 * x, *(b**x for b in (10, math.e) if abs(x) < 12))
            if criterion["predicted"] is not None:
                yield x - criterion["predicted"]
        yield from (criterion["n"], round(criterion["value"] * criterion["n"]))


def tallies() -> Iterator[float]:
    """Yield how often each verdict occurs, by page and in all, by role and first."""
    in_all: Counter[tuple[str, str]] = Counter()
    for name in NAMES:
        first: Counter[str] = Counter()
        for claim in judged(name).values():
            made = {role: claim[role] for role in ("document", "corrected")}
            told = [(role, it["verdict"]) for role, it in made.items() if it]
            in_all.update(told)
            in_all[told[0][1], "first"] += 1
            first[told[0][1]] += 1
        yield from (*first.values(), len(judged(name)))
    yield from in_all.values()
    yield sum(len(judged(name)) for name in NAMES)


def calibrated() -> Iterator[float]:
    """Yield what the files of calibration and replication hold, and their sums."""
    found = read("calibration", "calibration.json")
    again = read("replication", "replication.json")
    for content in (found, again):
        yield from every(content)
        yield from durations(content["seconds"])
    gated = [row for row in found["nulls"] if row["gated"]]
    made = sum(row["simulated"] for row in gated)
    wrong = sum(row["simulated"] * row["false_supported"] for row in gated)
    yield from (len(gated), made, 100 * wrong / made)
    blocks = again["pages"].values()
    for of in ("of", "same", "opposite"):
        yield sum(block["answers"][of] for block in blocks)
    yield from (sum(one["agrees"] for one in block["claims"]) for block in blocks)


def test_the_top_tells_tallies_costs_and_how_far_to_trust() -> None:
    made = [read(name, "manifest.json") for name in NAMES]
    known = [
        *tallies(),
        *calibrated(),
        sum(len(manifest["cells"]) for manifest in made),
        *durations(sum(manifest["seconds"] for manifest in made)),
        *every([[one["versions"], one["device_name"], one["commit"]] for one in made]),
    ]
    for name in NAMES:
        known += [*registered(name), *effects(all_criteria(name))]
    [top] = root().iter("header")
    assert untraced(prose(top), known) == []


def all_criteria(page: str) -> list[dict[str, Any]]:
    return [c for claim in judged(page).values() for c in criteria_of(claim)]


@pytest.mark.parametrize("page", NAMES)
def test_notes_and_captions_name_what_is_registered(page: str) -> None:
    places = [
        e
        for e in section(page)
        if e.tag in ("figure", "details") or e.get("class") == "lede"
    ]
    read_in = [*registered(page), *every(read(page, "registration.json")["history"])]
    assert len(places) > 2
    for place in places:
        assert untraced(prose(place), read_in) == [], prose(place)[:200]


@pytest.mark.parametrize("page", NAMES)
def test_cards_tell_effects_of_the_page(page: str) -> None:
    [card] = by_class(section(page), "card")
    known = [*registered(page), *effects(all_criteria(page))]
    assert untraced(prose(card), known) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_tells_its_own_numbers(name: str) -> None:
    page = pages.load(name, FILES[name])
    tried = read(name, "sensitivity.json")
    for article in by_class(section(name), "claim"):
        [declared] = [c for c in page.claims if c.id == article.get("id")]
        made = judged(name)[declared.id]
        criteria = criteria_of(made)
        known = [
            *every([made, tried.get("claims", {}).get(declared.id), tried.get("arms")]),
            *effects(criteria),
            *range(len(criteria) + 1),
            *range(len(source.statements_of(declared.id)) + 1),
            *every([asdict(one) for one in declared.published]),
            *every([figure.title for figure in page.figures]),
            *cost(page, declared),
            0.0001,  # below it a p-value is told as such
        ]
        told = prose(article)
        assert untraced(told, known) == [], told


def cost(page: pages.Page, claim: Claim) -> Iterator[float]:
    """Yield how many variants a claim has, and how long they took."""
    took = read(page.name, "manifest.json")["seconds_by_variant"]
    chosen = {
        (criterion.study, variant)
        for _, made in claim.assertions
        for criterion in made.criteria
        for variant in designs.arms(page, criterion)
        if variant in took[criterion.study]
    }
    yield len(chosen)
    yield from durations(sum(took[study][variant] for study, variant in chosen))


def test_calibration_and_replication_tell_what_their_files_hold() -> None:
    found = section("calibration")
    cells = [prose(e) for name in ("td", "th") for e in found.iter(name)]
    told = [prose(found), *cells]
    assert len(cells) > 100
    assert [untraced(text, [*calibrated()]) for text in told] == [[]] * len(told)


def test_a_typed_result_is_found() -> None:
    for name in NAMES:
        known = [*registered(name), *effects(all_criteria(name))]
        assert untraced("The loss is 0.73519 nats.", known) == [0.73519]
