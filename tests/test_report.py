"""The report: read from the files alone, the same in all renderings, safe, complete."""

import base64
import hashlib
import itertools
import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest
from fabrication import NAME, PAGE, load, run
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from dlclaims import pages, plan, report, results, source, verdicts
from dlclaims.pages import Page
from dlclaims.report import bibliography, forest, html, markdown, model, words, writing

Known = dict[str, Page]
HOSTILE = "<script>alert('1')</script> & \"quoted\" | [x](javascript:alert) *a*"
FILES = (
    "report.html",
    "README.md",
    "report.json",
    "report.schema.json",
    f"{NAME}/README.md",
)
LISTING = f"{NAME}/README.md"


def judge_together(out: Path) -> None:
    """Fill in the p-values over all claims, as a run does at its end."""
    files = [out / name / "verdicts.json" for name in results.names(out)]
    judged = verdicts.correct([results.read_json(file) for file in files])
    for file, content in zip(files, judged, strict=True):
        results.write_json(file, content)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Known, Path]:
    """Return a page and the folder of its results, report included: do not change."""
    folder = tmp_path_factory.mktemp("made")
    known = load(folder / "pages")
    run(known[NAME], folder / "results")
    judge_together(folder / "results")
    report.write(report.build(folder / "results", known), folder / "results")
    return known, folder / "results"


@pytest.fixture
def copy(made: tuple[Known, Path], tmp_path: Path) -> Path:
    """Return a copy of the results that a test may change."""
    return Path(shutil.copytree(made[1], tmp_path / "results"))


def render(known: Known, out: Path) -> tuple[model.Report, Element]:
    built = report.build(out, known)
    return built, parse(html.render(built, out))


def parse(text: str) -> Element:
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return parser.parse(text)


def text_of(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def by_class(root: Element, name: str) -> list[Element]:
    return [e for e in root.iter() if name in e.get("class", "").split()]


def change(file: Path, edit: Any) -> None:
    content = json.loads(file.read_text())
    edit(content)
    results.write_json(file, content)


# One model, three renderings.


def test_all_renderings_tell_the_same_verdicts(made: tuple[Known, Path]) -> None:
    _, out = made
    judged = results.read_json(out / NAME / "verdicts.json")["claims"]
    expected = {
        (claim, role): made[role]["verdict"]
        for claim, made in judged.items()
        for role in ("document", "corrected")
        if made[role]
    }
    assert set(expected.values()) == {
        *("supported", "refuted", "conditional", "inconclusive")
    }

    root = parse((out / "report.html").read_text())
    seen = {}
    for article in by_class(root, "claim"):
        roles = [text_of(e) for e in by_class(article, "role")]
        found = [text_of(e).lower().split(" (")[0] for e in by_class(article, "word")]
        for role, verdict in zip(roles, found, strict=True):
            key = "document" if role == "The document says" else "corrected"
            seen[article.get("id"), key] = verdict
    assert seen == expected

    lines = (out / LISTING).read_text().split("\n## ")
    seen = {}
    for section in lines:
        claim = section.split("\n")[0]
        if claim in judged:
            told = re.findall(
                r"^\S+ \*\*(\w+(?: \w+)?)(?: \(.*\))?\.\*\*", section, re.M
            )
            roles = [role for role in ("document", "corrected") if judged[claim][role]]
            seen |= {
                (claim, role): verdict.lower()
                for role, verdict in zip(roles, told, strict=True)
            }
    assert seen == expected

    content = json.loads((out / "report.json").read_text())
    assert content["schema"] == model.SCHEMA
    assert {
        (claim["id"], assertion["role"]): assertion["verdict"]
        for page in content["pages"]
        for claim in page["claims"]
        for assertion in claim["assertions"]
    } == expected


def test_all_renderings_tell_the_same_effects(made: tuple[Known, Path]) -> None:
    known, out = made
    built = report.build(out, known)
    page, listing = ((out / name).read_text() for name in ("report.html", LISTING))
    for claim in built.claims:
        for assertion in claim.assertions:
            for criterion in assertion.criteria:
                effect = words.effect(criterion)
                assert f'<td class="num">{html.broken(effect)}</td>' in page
                assert f"| {markdown.text(effect)} |" in listing


def test_the_tally_counts_each_role_apart(made: tuple[Known, Path]) -> None:
    built, root = render(*made)
    assert built.tally("document") == {
        "conditional": 1,
        "refuted": 1,
        "inconclusive": 1,
    }
    assert built.tally("corrected") == {"supported": 3}
    told = [text_of(e) for e in by_class(root, "tally")[0]]
    assert told == ["1 refuted", "1 conditional", "1 inconclusive"]


def test_the_same_results_give_the_same_bytes_anywhere(
    made: tuple[Known, Path], copy: Path
) -> None:
    known, out = made
    for name in FILES:
        (copy / name).unlink()
    report.write(report.build(copy, known), copy)
    for name in FILES:
        assert (copy / name).read_bytes() == (out / name).read_bytes()
        assert str(out.parent) not in (out / name).read_text()


# What it says.


def test_the_card_has_its_numbers_from_the_verdicts(made: tuple[Known, Path]) -> None:
    built, root = render(*made)
    judged = results.read_json(made[1] / NAME / "verdicts.json")["claims"]
    [criterion] = [
        c
        for c in judged["vg-relu-not-immune"]["document"]["criteria"]
        if c["name"] == "slope-sigmoid"
    ]
    numbers = words.interval(criterion["value"], criterion["low"], criterion["high"])
    sentence, hundredfold = built.pages[0].card.answer
    assert sentence == f"A sigmoid loses {numbers} nats per layer."
    [gain] = judged["own-difference"]["document"]["criteria"]
    ends = words.interval(*(100 * gain[end] for end in ("value", "low", "high")))
    assert hundredfold == f"Plain networks gain {ends} points."
    assert sentence in text_of(by_class(root, "card")[0])


def test_the_card_says_which_claim_does_not_back_it(made: tuple[Known, Path]) -> None:
    built, root = render(*made)
    notice = "own-unclear came out inconclusive: The difference is at most -0.31."
    assert built.pages[0].card.unbacked == (notice,)
    assert notice in text_of(by_class(root, "card")[0])


def test_a_claim_names_the_statements_and_papers_it_rests_on(
    made: tuple[Known, Path],
) -> None:
    built, root = render(*made)
    claim = built.claims[0]
    assert claim.statements == source.statements_of("vg-relu-not-immune")
    assert claim.questions == (3, 4)
    assert [entry.key for entry in built.references] == ["he2015", "unknown2000"]
    assert built.references[0].title.startswith("Delving deep into rectifiers")
    listed = next(e for e in root.iter() if e.get("id") == "references")
    assert "Hochreiter" not in text_of(listed)


def test_a_claim_shows_the_networks_that_it_compares(made: tuple[Known, Path]) -> None:
    built, _ = render(*made)
    plain, residual = built.claims[1].networks
    assert (plain.variant, plain.ok, plain.diverged) == ("plain", 15, 1)
    assert (residual.learning_rate, residual.parameters) == (0.01, 1234)
    assert {net.study for net in built.claims[0].networks} == {"decay"}


def test_theory_is_summed_up_by_quantity(made: tuple[Known, Path]) -> None:
    built, _ = render(*made)
    [line] = built.pages[0].theory
    gaps = [float(row["gap"]) for row in rows(made[1] / NAME / "theory.csv")]
    assert (line.variants, line.largest) == (len(gaps), max(gaps, key=abs))
    assert line.low is not None
    assert line.high is not None
    assert line.low <= line.largest <= line.high


def rows(file: Path) -> list[dict[str, Any]]:
    table = results.read_table(file)
    return table.to_dict("records")


def test_coverage_is_what_the_source_says(made: tuple[Known, Path]) -> None:
    built, root = render(*made)
    covered = source.coverage([claim.id for claim in built.claims])
    assert built.counts == Counter(state for _, state in covered)
    assert [pair for q in built.coverage for pair in q.statements] == list(covered)
    listed = {e.get("id") for e in root.iter("li")}
    assert {statement.id for statement, _ in covered} <= listed


def test_the_history_of_the_registration_is_told(
    made: tuple[Known, Path], copy: Path
) -> None:
    changed = ["claim own-exact, corrected: sentence changed"]
    entry = {"digest": "0123456789abcdef", "changed": changed}
    change(copy / NAME / "registration.json", lambda c: c["history"].append(entry))
    built, root = render(made[0], copy)
    assert built.pages[0].history == (model.Change(entry["digest"], tuple(changed)),)
    assert f"0123456789ab was replaced: {changed[0]}." in text_of(root)


def test_another_profile_is_marked(tmp_path: Path) -> None:
    known = load(tmp_path / "pages")
    run(known[NAME], tmp_path, plan.PROFILES["smoke"])
    built, root = render(known, tmp_path)
    assert "Profile smoke: three seeds" in text_of(root)
    found = {c.id: a.verdict for c in built.claims for a in c.assertions}
    assert found["own-exact"] == "supported"
    assert found["own-difference"] == "not assessed"
    listing = markdown.render_page(built, built.pages[0])
    assert "Profile **smoke**, not standard." in listing
    assert "| missing |" in listing.replace(f"{words.DASH} missing", "missing")


def test_exploratory_and_uncorrected_verdicts_are_marked(
    made: tuple[Known, Path], copy: Path
) -> None:
    def edit(content: dict[str, Any]) -> None:
        verdict = content["claims"]["own-difference"]["document"]
        verdict["exploratory"] = verdict["uncorrected_only"] = True

    change(copy / NAME / "verdicts.json", edit)
    _, root = render(made[0], copy)
    [article] = [a for a in by_class(root, "claim") if a.get("id") == "own-difference"]
    word = text_of(by_class(article, "word")[0])
    assert "exploratory" in word
    assert "only before the correction for many claims" in word


# What is missing.


def test_a_page_without_results_is_shown_as_not_run(tmp_path: Path) -> None:
    known = load(tmp_path / "pages")
    built, root = render(known, tmp_path / "results")
    assert set(built.tally("document")) == {words.NOT_RUN}
    assert "This page has not been run." in text_of(root)
    assert "Plain networks are better." in text_of(root)
    assert "no outcomes" in text_of(root)
    assert "came out not run" in built.pages[0].card.unbacked[0]
    assert built.pages[0].card.answer[0].endswith("[not measured] nats per layer.")
    assert f"dlclaims run {NAME}" in markdown.render_page(built, built.pages[0])
    assert json.loads(writing.as_json(built))["pages"][0]["provenance"] is None


def test_a_report_without_pages_still_maps_the_document(tmp_path: Path) -> None:
    built, root = render({}, tmp_path)
    assert set(built.counts) == {"not built yet", "not testable"}
    assert "Nothing has been run yet." in text_of(root)
    assert "No page cites a paper." in text_of(root)
    assert markdown.render(built)


def test_results_of_an_unknown_page_are_mentioned(made: tuple[Known, Path]) -> None:
    _, root = render({}, made[1])
    assert f"There are results of {NAME}, but its page is not at hand" in text_of(root)


def test_one_seed_gives_no_interval_and_says_so(tmp_path: Path) -> None:
    known = load(tmp_path / "pages")
    profile = replace(plan.PROFILES["standard"], paired=1)
    run(known[NAME], tmp_path, profile)
    built, _ = render(known, tmp_path)
    assert (
        "Study decay has one seed, so there are no intervals." in built.pages[0].missing
    )
    criterion = built.claims[0].assertions[0].criteria[0]
    assert (criterion.low, criterion.high, criterion.n) == (None, None, 1)
    assert "[" not in words.effect(criterion)


def test_diverged_failed_and_missing_variants_are_named(
    made: tuple[Known, Path], copy: Path
) -> None:
    file = copy / NAME / "variants.csv"
    table = results.read_table(file)
    plain, residual = (table["variant"] == name for name in ("plain", "residual"))
    table.loc[plain, ["ok", "diverged"]] = [0, 16]
    table.loc[residual, ["ok", "failed"]] = [13, 3]
    results.write_table(file, table[table["variant"] != "sigmoid-5"])
    built, root = render(made[0], copy)
    assert built.pages[0].missing == (
        "Study decay has no results of sigmoid-5.",
        "All 16 replicas of plain diverged.",
        "residual lost 3 of 16 replicas to faults of the machinery.",
    )
    for sentence in built.pages[0].missing:
        assert sentence in text_of(root)


def test_missing_files_are_named(made: tuple[Known, Path], copy: Path) -> None:
    for name in ("theory.csv", "variants.csv", "accuracy.svg", "manifest.json"):
        (copy / NAME / name).unlink()
    built, _ = render(made[0], copy)
    told = " ".join(built.pages[0].missing)
    for name in ("theory.csv", "variants.csv", "manifest.json"):
        assert f"The file {name} is missing." in told
    assert "The picture accuracy has not been drawn." in told


def test_a_claim_that_is_newer_than_the_results_is_not_run(
    made: tuple[Known, Path], copy: Path
) -> None:
    change(copy / NAME / "verdicts.json", lambda c: c["claims"].pop("own-exact"))
    built, _ = render(made[0], copy)
    assert built.claims[2].assertions[0].verdict == words.NOT_RUN


# HTML: well formed, self-contained, safe, accessible.


def test_nothing_is_asked_of_anybody(made: tuple[Known, Path]) -> None:
    _, out = made
    root = parse((out / "report.html").read_text())
    for element in root.iter():
        assert not [n for n in element.attrib if str(n).startswith(("on", "style"))]
        assert element.get("src") is None
        href = element.get("href", "#")
        if href.startswith("https://"):
            assert element.tag == "a"
            assert href.startswith(("https://doi.org/", "https://arxiv.org/abs/"))
        elif not href.startswith("#") and element.tag != "link":
            assert (out / href).is_file(), href
    assert [e.get("href") for e in root.iter("link")] == ["data:,"]


def test_the_policy_allows_exactly_this_style_and_this_script(
    made: tuple[Known, Path],
) -> None:
    root = parse((made[1] / "report.html").read_text())
    [policy] = [e.get("content") for e in root.iter("meta") if e.get("http-equiv")]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        [element] = root.iter(tag)
        digest = hashlib.sha256((element.text or "").encode()).digest()
        assert f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy


def test_ids_differ_and_every_link_finds_its_place(made: tuple[Known, Path]) -> None:
    text = (made[1] / "report.html").read_text()
    root = parse(text)
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert [i for i, count in Counter(ids).items() if count > 1] == []
    wanted = {
        e.get("href", "")[1:] for e in root.iter() if e.get("href", "")[:1] == "#"
    }
    wanted |= set(re.findall(r"url\(#([^)]+)\)", text))
    assert wanted <= set(ids)


def test_every_picture_has_its_own_words_with_a_number(
    made: tuple[Known, Path],
) -> None:
    known, out = made
    root = parse((out / "report.html").read_text())
    pictures = [e for e in root.iter() if e.get("role") == "img"]
    labels = [e.get("aria-label", "") for e in by_class(root, "picture")]
    assert len(set(labels)) == len(labels) == len(known[NAME].figures)
    assert all(re.search(r"\d", e.get("aria-label", "")) for e in pictures)
    shown = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", (out / LISTING).read_text())
    assert len(shown) == len(known[NAME].figures)
    for alt, file in shown:
        assert re.search(r"\d", alt)
        assert (out / NAME / file).is_file()
    others = [
        e for e in root.iter() if str(e.tag).endswith("svg") and e.get("role") != "img"
    ]
    assert {e.get("aria-hidden") for e in others} == {"true"}


def test_headings_do_not_skip_a_level(made: tuple[Known, Path]) -> None:
    root = parse((made[1] / "report.html").read_text())
    levels = [int(e.tag[1]) for e in root.iter() if re.fullmatch("h[1-6]", str(e.tag))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_ink_and_background_of_pictures_follow_the_page(
    made: tuple[Known, Path],
) -> None:
    root = parse((made[1] / "report.html").read_text())
    for picture in by_class(root, "picture"):
        used = {e.get("fill") for e in picture.iter()} | {
            e.get("stroke") for e in picture.iter()
        }
        assert "currentColor" in used
        assert not used & {"#262626", "#ffffff"}


def hostile_page(folder: Path) -> Known:
    """Return the page with markup wherever a page writes words."""
    known = load(folder, PAGE)
    page = known[NAME]
    claim, *others = page.claims
    assert claim.document is not None
    criterion = replace(
        claim.document.criteria[0],
        scope=HOSTILE,
        unit=HOSTILE,
        reason=HOSTILE,
        rival=HOSTILE,
    )
    document = replace(claim.document, text=HOSTILE, criteria=(criterion,))
    hostile = replace(claim, document=document, theory=HOSTILE, references=(HOSTILE,))
    card = replace(page.card, question=HOSTILE, answer=(HOSTILE,), caveat=HOSTILE)
    figures = tuple(replace(f, title=HOSTILE, reading=HOSTILE) for f in page.figures)
    return {
        NAME: replace(
            page,
            title=HOSTILE,
            notes=f"{HOSTILE}\n\n{HOSTILE}",
            claims=(hostile, *others),
            card=card,
            figures=figures,
        )
    }


def test_hostile_words_are_only_words(tmp_path: Path) -> None:
    known = hostile_page(tmp_path / "pages")
    out = tmp_path / "results"
    run(known[NAME], out)

    def edit(content: dict[str, Any]) -> None:
        content["device_name"] = content["commit"] = HOSTILE

    change(out / NAME / "manifest.json", edit)
    report.write(report.build(out, known), out)
    text = (out / "report.html").read_text()
    root = parse(text)
    assert len(list(root.iter("script"))) == 1
    assert not [e for e in root.iter("a") if e.get("href", "").startswith("java")]
    assert text_of(root).count("<script>alert('1')</script>") >= 12
    for name in ("README.md", LISTING):
        listing = (out / name).read_text()
        assert "<script" not in listing
        outside = re.sub(r"```math.*?```", "", listing, flags=re.DOTALL)
        assert not re.search(r"(?<!\\)\]\(javascript", outside)
    content = json.loads((out / "report.json").read_text())
    assert content["pages"][0]["title"] == HOSTILE


@pytest.mark.parametrize("latex", [r"\bogus{<b>}", r"\left("])
def test_a_formula_that_cannot_be_read_is_shown_as_it_is(latex: str) -> None:
    assert html.formula(latex) == f"<code>{escape(latex)}</code>"


def test_a_formula_becomes_mathml() -> None:
    assert "<mfrac><mrow><mn>1</mn></mrow>" in html.formula(r"\frac{1}{2}")


def test_the_formulas_of_all_pages_are_understood() -> None:
    for name, file in pages.find([pages.built_in_folder()]).items():
        for claim in pages.load(name, file).claims:
            if claim.theory:
                assert html.formula(claim.theory).startswith("<math"), claim.id


# The check.


def test_the_check_is_quiet_when_everything_agrees(made: tuple[Known, Path]) -> None:
    known, out = made
    before = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert report.check(out, known) == []
    after = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert after == before


def test_the_check_names_a_verdict_that_the_outcomes_do_not_give(
    made: tuple[Known, Path], copy: Path
) -> None:
    def edit(content: dict[str, Any]) -> None:
        content["claims"]["own-difference"]["document"]["verdict"] = "supported"

    change(copy / NAME / "verdicts.json", edit)
    report.write(report.build(copy, made[0]), copy)
    assert report.check(copy, made[0]) == [
        f"{NAME}/verdicts.json: claims/own-difference/document/verdict is 'supported',"
        " the outcomes give 'refuted'"
    ]


def test_the_check_reads_the_outcomes(made: tuple[Known, Path], copy: Path) -> None:
    table = results.read_table(copy / NAME / "outcomes.csv")
    table.loc[table["variant"] == "residual", "value"] -= 0.5
    results.write_table(copy / NAME / "outcomes.csv", table)
    found = report.check(copy, made[0])
    assert any("own-difference" in difference for difference in found)
    assert re.search(r"\d+ more differences", found[-1])


def test_the_check_says_when_the_page_has_changed(
    made: tuple[Known, Path], copy: Path, tmp_path: Path
) -> None:
    text = PAGE.replace("Region.above(0.1)", "Region.above(0.2)")
    known = load(tmp_path / "pages", text)
    found = report.check(copy, known)
    assert found[0].startswith(
        f"{NAME}: results are older than the page (claim own-diff"
    )
    assert found[0].endswith(f"run dlclaims run {NAME}")
    assert not [f for f in found if "verdicts.json" in f]
    _, root = render(known, copy)
    assert "These results are older than the page." in text_of(root)


def test_the_check_compares_a_pictures_table_and_not_its_bytes(
    made: tuple[Known, Path], copy: Path
) -> None:
    (copy / NAME / "accuracy.png").write_bytes(b"drawn elsewhere")
    assert report.check(copy, made[0]) == []
    table = copy / NAME / "accuracy.csv"
    table.write_text(table.read_text().replace("measured", "Measured"))
    found = report.check(copy, made[0])
    assert f"{NAME}: accuracy.svg does not show accuracy.csv" in found


def test_the_check_names_renderings_that_differ(
    made: tuple[Known, Path], copy: Path
) -> None:
    (copy / "report.json").unlink()
    listing = copy / LISTING
    listing.write_text(listing.read_text().replace("**Refuted", "**Supported"))
    (copy / "README.md").unlink()
    (copy / "report.html").write_text("")
    found = report.check(copy, made[0])
    assert found[0] == "report.html differs from its results (in its length)"
    assert found[1] == "README.md is missing"
    assert re.fullmatch(
        rf"{LISTING} differs from its results \(first in line \d+\)", found[2]
    )
    assert found[3:] == ["report.json is missing"]


def test_the_clones_readme_gets_the_table_between_its_markers(
    made: tuple[Known, Path], copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = copy.parent
    monkeypatch.setattr(results, "CLONE", clone)
    readme = clone / "README.md"
    readme.write_text(
        "before\n<!-- verdicts:begin -->\nold\n<!-- verdicts:end -->\nafter\n"
    )
    built = report.build(copy, made[0])
    for _ in range(2):
        report.write(built, copy)
        head, table, tail = re.split(
            r"<!-- verdicts:(?:begin|end) -->\n", readme.read_text()
        )
        assert (head, tail) == ("before\n", "after\n")
        first = "[ReLU avoids vanishing gradients.]"
        assert f"{first}(results/{LISTING}#vg-relu-not-immune)" in table
        assert f"[Do gradients vanish?](results/{LISTING})" in table
        assert "❌ 1, 🔶 1" in table
        assert table.count("\n") == 2 + len(built.pages)
    assert report.check(copy, made[0]) == []


# Words.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, words.DASH),
        (0, "0"),
        (1.44321, "1.44"),
        (-0.5, f"{words.MINUS}0.5"),
        (12345.6, "12,346"),
        (3.1e-17, f"3.1 {words.TIMES} 10⁻¹⁷"),
        (-2e7, f"{words.MINUS}2 {words.TIMES} 10⁷"),
        (-1e-10, f"{words.MINUS}10⁻¹⁰"),
        (9.99e-11, "10⁻¹⁰"),
    ],
)
def test_numbers_have_three_digits_or_are_powers_of_ten(
    value: float | None, expected: str
) -> None:
    assert words.number(value) == expected


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((1.44321, 1.4401, 1.4463), "1.443 [1.440, 1.446]"),
        ((0.951, 0.94, 0.96), "0.951 [0.940, 0.960]"),
        ((0.5, 0.5, 0.5), "0.5"),
        ((0.5, None, None), "0.5"),
        ((None, None, None), words.DASH),
    ],
)
def test_an_interval_has_as_many_digits_as_its_width_allows(
    numbers: tuple[float | None, ...], expected: str
) -> None:
    assert words.interval(*numbers) == expected


@given(st.floats(-100, 100), st.floats(0.001, 10))
def test_an_intervals_words_are_its_numbers(value: float, half: float) -> None:
    ends = value - half, value + half
    told = words.interval(value, *ends).replace(words.MINUS, "-").replace(",", "")
    numbers = [float(word) for word in re.findall(r"-?[\d.]+", told)]
    for number, meant in zip(numbers, (value, *ends), strict=True):
        assert abs(number - meant) <= half / 5


def test_regions_probabilities_and_times_in_words() -> None:
    assert words.region(None, 0.05) == "at most 0.05"
    assert words.region(0.1, None) == "at least 0.1"
    assert words.region(0.1, 0.2) == "between 0.1 and 0.2"
    assert [words.probability(p) for p in (None, 1e-9, 0.0123)] == [
        *(words.DASH, "< 0.0001", "0.012")
    ]
    assert [words.duration(s) for s in (0.2, 41, 192, 5040)] == [
        *("under 1 s", "41 s", "3.2 min", "1.4 h")
    ]
    assert words.tally({"refuted": 2, "supported": 1}) == "1 supported and 2 refuted"
    assert words.span([3, 64, 16]) == "3 to 64"


@pytest.mark.parametrize(
    "text", ["<b>", "a|b", "[a](b)", "*a* _b_ `c`", "a\n\nb", "$x$"]
)
def test_markdown_takes_no_word_for_markup(text: str) -> None:
    told = markdown.text(text)
    assert not re.search(r"(?<!\\)[|*_`$\[\]]|<|\n", told)


# Forest plots.


def criterion(**fields: Any) -> model.Criterion:
    base = model.Criterion(
        *("name", "study", "scope", "unit", "reason", "rival", "mean", "value"),
        where={},
        against=None,
        region=(None, 0.05),
    )
    return replace(base, **fields)


numbers = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(st.lists(numbers, min_size=1, max_size=8), numbers)
def test_every_mark_of_a_strip_lies_inside_it_in_order(
    values: list[float], edge: float
) -> None:
    row = criterion(
        value=sum(values) / len(values),
        values=tuple(values),
        seeds=tuple(range(len(values))),
        region=(edge, None),
    )
    [group] = forest.groups([row])
    places = [group.scale(value) for value in sorted([*values, edge])]
    assert places == sorted(places)
    assert all(0 < place < forest.WIDTH for place in places)
    ticks = [at for at, _ in group.scale.ticks()]
    assert ticks == sorted(ticks)
    assert len(ticks) <= 8
    assert forest.strip(row, group.scale).count("h0") == len(values)


def test_exact_deviations_are_drawn_by_powers_of_ten_with_zero_at_the_edge() -> None:
    row = criterion(
        kind="largest deviation", value=0.0, values=(0.0, 1e-12), region=(None, 1e-10)
    )
    [group] = forest.groups([row])
    assert group.scale.log
    assert group.scale(0.0) == forest.EDGE
    assert group.scale(1e-12) < group.scale(1e-10) < forest.WIDTH
    assert [label for _, label in group.scale.ticks()] == ["10⁻¹³", "10⁻¹¹", "10⁻⁹"]


def test_criteria_with_one_region_share_an_axis() -> None:
    rows = [criterion(value=0.0), criterion(value=2.0), criterion(region=(1.0, None))]
    assert [len(group.criteria) for group in forest.groups(rows)] == [2, 1]


def test_theory_stands_at_zero_for_a_gap_and_at_its_value_for_a_mean() -> None:
    assert forest.theory(criterion(kind="gap to theory", predicted=1.4)) == 0.0
    assert forest.theory(criterion(predicted=1.4)) == 1.4
    assert forest.theory(criterion(kind="difference", predicted=1.4)) is None


# References.


def test_entries_are_read_with_accents_names_and_links(tmp_path: Path) -> None:
    file = tmp_path / "references.bib"
    file.write_text(
        """
@article{muller2020,
  author = {M\\"uller, Jos\\'e Karl and {\\c{C}}elik, A.},
  title = {On {ReLU}: {P}art 1--2},
  journal = {J. Test},
  year = {2020},
  doi = {10.1/x},
}
@misc{plain,
  author = {A, B and C, D and E, F and G, H and I, J},
  title = {T},
}
"""
    )
    found = bibliography.read(file)
    assert found["muller2020"] == bibliography.Reference(
        "muller2020",
        "J. K. Müller and A. Çelik",
        "On ReLU: Part 1\u20132",
        "J. Test",
        "2020",
        "https://doi.org/10.1/x",
    )
    assert found["plain"].authors == "B. A and others"
    assert found["plain"].link == ""
    assert bibliography.read(tmp_path / "none.bib") == {}


def test_every_key_that_a_page_cites_has_an_entry() -> None:
    entries = bibliography.read(pages.built_in_folder() / "references.bib")
    for name, file in pages.find([pages.built_in_folder()]).items():
        for claim in pages.load(name, file).claims:
            assert set(claim.references) <= set(entries), claim.id
