"""The committed report in a real browser: `make test-browser`."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

REPORT = Path(__file__).resolve().parent.parent / "results" / "report.html"
MODES = ("light", "dark", "phone", "print")
PHONE = 320  # CSS pixels: the narrowest width that WCAG 1.4.10 asks for
PAPER = 794  # CSS pixels: A4


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.fail("no browser: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        yield started
        started.close()


@pytest.fixture
def open_report(browser: Any) -> Iterator[Any]:
    """Return a function that opens the report in a mode, without any network."""
    contexts = []

    def opened(mode: str = "light", anchor: str = "", scripts: bool = True) -> Any:
        width = {"phone": PHONE, "print": PAPER}.get(mode, 1280)
        contexts.append(
            browser.new_context(
                viewport={"width": width, "height": 800},
                color_scheme="dark" if mode == "dark" else "light",
                java_script_enabled=scripts,
                offline=True,
            )
        )
        page = contexts[-1].new_page()
        page.requests, page.complaints = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(f"{REPORT.as_uri()}{anchor}")
        if mode == "print":
            page.emulate_media(media="print")
        return page

    yield opened
    for context in contexts:
        context.close()


def rows(page: Any) -> list[dict[str, str]]:
    """The rows of the table of claims that are shown."""
    return page.eval_on_selector_all(
        "table.claims tbody tr",
        "all => all.filter(row => !row.hidden).map(row => ({"
        " verdict: row.dataset.verdict, text: row.textContent,"
        " question: row.cells[3].textContent }))",
    )


@pytest.mark.parametrize("mode", MODES)
def test_axe_finds_nothing(open_report: Any, mode: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = open_report(mode)
    page.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response
    assert [
        (violation["id"], [node["html"] for node in violation["nodes"][:3]])
        for violation in found["violations"]
    ] == []


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_requested_and_nothing_complains(
    open_report: Any, mode: str
) -> None:
    page = open_report(mode)
    page.wait_for_load_state("networkidle")
    local = (REPORT.as_uri(), "data:")
    assert [url for url in page.requests if not url.startswith(local)] == []
    assert page.complaints == []


@pytest.mark.parametrize("mode", ["light", "phone", "print"])
def test_nothing_is_wider_than_the_page(open_report: Any, mode: str) -> None:
    page = open_report(mode)
    page.eval_on_selector_all("details", "all => all.forEach(d => d.open = true)")
    wide = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
        .filter(e => matchMedia("print").matches
            || !e.closest(".scroll, .formula, .hidden, .skip"))
        .slice(0, 5).map(e => e.outerHTML.slice(0, 120))"""
    )
    assert wide == []
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]


def test_the_pdf_holds_all_sections(open_report: Any, tmp_path: Path) -> None:
    page = open_report("print")
    pdf = page.pdf(path=tmp_path / "report.pdf", format="A4", outline=True, tagged=True)
    sheets = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert sheets > page.locator("main > section").count()


def test_columns_sort_up_and_down(open_report: Any) -> None:
    page = open_report()
    button = page.get_by_role("button", name="Question")
    for direction, least_first in (("ascending", True), ("descending", False)):
        button.click()
        head = page.locator(f"th[aria-sort={direction}]")
        assert "Question" in head.inner_text()
        numbers = [int(n[0]) for n in map(first_number, rows(page)) if n]
        assert numbers == sorted(numbers, reverse=not least_first)


def first_number(row: dict[str, str]) -> list[str]:
    return re.findall(r"\d+", row["question"])[:1]


def test_search_and_verdict_filter_together(open_report: Any) -> None:
    page = open_report()
    everything = rows(page)
    page.get_by_label("Search").fill("relu")
    page.get_by_role("combobox", name="Verdict").select_option("conditional")
    expected = [
        row["text"]
        for row in everything
        if "relu" in row["text"].lower() and row["verdict"] == "conditional"
    ]
    assert [row["text"] for row in rows(page)] == expected != []
    told = f"{len(expected)} of {len(everything)} shown"
    assert page.get_by_role("status").inner_text() == told


def test_the_questions_page_is_one_click_from_the_first_screen(
    open_report: Any,
) -> None:
    page = open_report()
    card = page.get_by_role("link", name=re.compile("does ReLU avoid"))
    assert card.bounding_box()["y"] < page.viewport_size["height"]
    card.click()
    answer = page.locator("#vanishing-gradient .card")
    assert answer.get_by_text(
        "ReLU alone does not avoid the problem"
    ).first.is_visible()


def test_the_evidence_is_two_clicks_from_the_first_screen(open_report: Any) -> None:
    page = open_report()
    first = page.get_by_role("link", name="All claims")
    assert first.bounding_box()["y"] < page.viewport_size["height"]
    first.click()
    page.get_by_role(
        "link", name="ReLU avoids the vanishing-gradient problem"
    ).first.click()
    claim = page.locator("#vg-relu-not-immune")
    assert 0 <= claim.bounding_box()["y"] < page.viewport_size["height"] / 2
    assert claim.locator("svg[role=img]").first.is_visible()


def test_a_permalink_into_a_closed_part_opens_it(open_report: Any) -> None:
    page = open_report(anchor="#q04")
    statement = page.locator("details.question li").first.get_attribute("id")
    page = open_report(anchor=f"#{statement}")
    assert page.locator(f"[id='{statement}']").is_visible()


def test_keys_are_enough(open_report: Any) -> None:
    page = open_report()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the claims"
    page.keyboard.press("Enter")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.tagName"))
    assert {"SUMMARY", "INPUT", "SELECT", "BUTTON", "A"} <= {*reached}


def test_every_picture_has_words_of_its_own_with_a_number(open_report: Any) -> None:
    page = open_report()
    pictures = page.eval_on_selector_all(
        "img, svg:not([aria-hidden=true])",
        "all => all.map(p => p.getAttribute('aria-label') || p.alt || '')",
    )
    assert all(re.search(r"\d", words) for words in pictures)
    figures = page.eval_on_selector_all(
        "svg.picture", "all => all.map(p => p.getAttribute('aria-label'))"
    )
    assert figures
    assert len(figures) == len({*figures})


def test_it_reads_without_scripts(open_report: Any) -> None:
    page = open_report(scripts=False)
    claims = page.locator("table.claims tbody tr").count()
    assert claims == page.locator("article.claim").count() > 0
    assert page.locator("#coverage").is_visible()
