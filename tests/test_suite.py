"""From words to pages, from cells to files: names, designs, folders, histories."""

import errno
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from dlclaims import assembly, results, suite, survey
from dlclaims.claims import Region
from dlclaims.design import design, registration
from dlclaims.errors import (
    DlclaimsError,
    EnvironmentFault,
    NothingMatched,
    PageError,
    UsageError,
)
from dlclaims.pages import Page
from dlclaims.plan import PROFILES, Cell
from dlclaims.shelf import shelve
from dlclaims.store import Record

ROOT = Path(__file__).resolve().parent.parent

#: A tuned study whose best rate is 0.1 for every variant, and one without tuning.
TUNED = '''
"""A page with a tuned study."""

from dlclaims.claims import Assertion, Claim, Criterion, Difference, Region, Value
from dlclaims.pages import Card, Page, Study, Tuning, grid, tidy

RATES = (0.01, 0.1, 1.0)


def measure(variant, seeds):
    rates = variant.learning_rates or (0.0,)
    noise = [seeds.generator(s, "noise").normal(0, 0.01) for s in seeds]
    score = [[variant["level"] - abs(rate - 0.1) + n for rate in rates] for n in noise]
    return tidy(
        {"seed": seeds, "learning_rate": rates}, score=score, valid=score, status="ok"
    )


def plain(variant, seeds):
    return tidy({"seed": seeds}, score=0.0)


def differs(high, low, region):
    return Criterion(
        "gain",
        "tuned",
        Difference(Value("score"), {"level": high}, {"level": low}),
        region,
        "points",
        "level 2 against level 1",
        "half of the step",
        "no step",
    )


PAGE = Page(
    studies=(
        Study(
            "tuned",
            "A tuned study",
            measure,
            standard=grid(level=(1, 2)),
            smoke=grid(level=(1, 2)),
            tuning=Tuning(RATES, choose="valid", trains_above=-10.0),
            block=4,
        ),
        Study("plain", "A plain study", plain, grid(level=(1,)), grid(level=(1,))),
    ),
    claims=(
        Claim(
            "tuned-gain",
            ("difference",),
            document=Assertion(
                "More is better.", (differs(2, 1, Region.above(0.5)),), "supported"
            ),
            corrected=None,
        ),
    ),
    figures=(),
    card=Card("More?", ("Yes: {tuned-gain/gain}.",), "Here.", ("tuned-gain",)),
)
'''


@pytest.fixture(scope="session")
def batch_noise() -> str:
    """The page that CONTRIBUTING.md asks a newcomer to save."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    return re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]


@pytest.fixture
def folder(tmp_path: Path, batch_noise: str) -> Path:
    """A folder with the pages ``batch-noise``, ``tuned`` and, broken, ``bad-one``."""
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "batch_noise.py").write_text(batch_noise)
    (pages / "tuned.py").write_text(TUNED)
    (pages / "bad_one.py").write_text('"""Broken."""\n\nimport no_such_module\n')
    return pages


# Words to pages


def test_a_word_is_a_page_a_claim_or_a_pattern(folder: Path) -> None:
    shelf = shelve([folder])
    assert shelf.select(["tuned"]) == ("tuned",)
    assert shelf.select(["tuned*"]) == ("tuned", "tuned-gain")
    assert shelf.select(["*noise*", "tuned"]) == (
        "batch-noise",
        "tuned",
        "batch-noise-root",
    )
    assert shelf.select_pages(["tuned-gain", "tuned"]) == ("tuned",)


def test_no_words_select_all_pages_also_the_broken_ones(folder: Path) -> None:
    assert {"batch-noise", "tuned", "bad-one"} <= {*shelve([folder]).select_pages([])}


@pytest.mark.parametrize(
    ("word", "error", "hint"),
    [
        ("tunde", UsageError, "did you mean tuned?"),
        ("batch_noise", UsageError, "did you mean batch-noise?"),
        ("zzz*", NothingMatched, "dlclaims list"),
        ("bad-one", PageError, "mend that line"),
    ],
)
def test_a_word_that_names_nothing_says_what_does(
    folder: Path, word: str, error: type[DlclaimsError], hint: str
) -> None:
    with pytest.raises(error) as caught:
        shelve([folder]).select([word])
    assert hint in caught.value.advice


def test_a_planned_claim_is_said_to_be_planned(folder: Path) -> None:
    with pytest.raises(UsageError, match="planned") as caught:
        shelve([folder]).select(["lp-hybrid"])
    assert "dlclaims list" in caught.value.advice


def test_a_page_that_does_not_import_is_named_with_file_and_line(folder: Path) -> None:
    error = shelve([folder]).broken["bad-one"]
    assert f"{folder / 'bad_one.py'}:3" in error.received


# Designs


def tuning_record(cell: Cell, scores: dict[float, float]) -> Record:
    rows = [(seed, r, s, s, "ok") for seed in cell.seeds for r, s in scores.items()]
    names = ["seed", "learning_rate", "score", "valid", "status"]
    return Record(cell, "", pd.DataFrame(rows, columns=names), {})


def test_evaluation_carries_the_rate_that_its_variants_tuning_chose(
    folder: Path,
) -> None:
    wanted = design("tuned", profile="quick", folders=[folder])
    tuning = [cell for cell in wanted.first_cells() if cell.stage == "tuning"]
    assert [cell.factors for cell in tuning] == [(("level", 1),), (("level", 2),)]
    record = tuning_record(tuning[1], {0.01: 0.3, 0.1: 0.9, 1.0: 0.2})
    later = wanted.cells_after(record)
    assert {(c.stage, c.factors, c.learning_rates) for c in later} == {
        ("evaluation", (("level", 2),), (0.1,))
    }
    assert [seed for cell in later for seed in cell.seeds] == [*range(8)]


def test_evaluation_records_make_nothing_known(folder: Path) -> None:
    wanted = design("tuned", profile="smoke", folders=[folder])
    [plain] = [cell for cell in wanted.first_cells() if cell.study == "plain"]
    assert wanted.cells_after(Record(plain, "", pd.DataFrame(), {})) == ()


def test_all_cells_are_counted_before_tuning(folder: Path) -> None:
    wanted = design("tuned", profile="quick", folders=[folder])
    stages = [(cell.study, cell.stage) for cell in wanted.all_cells()]
    assert stages.count(("tuned", "tuning")) == 2
    assert stages.count(("tuned", "evaluation")) == 4  # two variants, blocks of four
    assert stages.count(("plain", "evaluation")) == 1


def test_seeds_stand_in_place_of_the_profiles(folder: Path) -> None:
    wanted = design("batch-noise", seeds=[5, 6], folders=[folder])
    assert {cell.seeds for cell in wanted.first_cells()} == {(5, 6)}


def test_an_unknown_profile_is_usage(folder: Path) -> None:
    with pytest.raises(UsageError, match="did you mean quick"):
        design("tuned", profile="quik", folders=[folder])


# The folder of results


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    page = tmp_path / "page"
    for content in "ab":
        with results.replace(page) as new:
            (new / content).write_text(content)
    assert [file.name for file in page.iterdir()] == ["b"]
    assert [file.name for file in tmp_path.iterdir()] == ["page"]


def test_a_folder_stays_when_its_replacement_fails(tmp_path: Path) -> None:
    page = tmp_path / "page"
    with results.replace(page) as new:
        (new / "a").write_text("a")

    def interrupted() -> None:
        with results.replace(page) as new:
            (new / "b").write_text("b")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [file.name for file in page.iterdir()] == ["a"]
    assert [file.name for file in tmp_path.iterdir()] == ["page"]


def test_what_a_kill_between_two_renames_left_is_put_right(tmp_path: Path) -> None:
    (tmp_path / ".one.old").mkdir()
    (tmp_path / ".one.old" / "a").write_text("a")
    (tmp_path / ".one.new").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / ".two.old").mkdir()
    (tmp_path / "two" / ".verdicts.json.part").write_text("half")
    results.mend(tmp_path)
    assert [*(tmp_path / "two").iterdir()] == []
    assert (tmp_path / "one" / "a").read_text() == "a"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one", "two"]


def test_tables_come_back_as_they_were_written(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "variant": ["none", "None", "NA"],
            "value": [0.1 + 0.2, 1e-300, math.nan],
            "seed": [1, 2, 3],
        }
    )
    results.write_table(tmp_path / "t.csv", table)
    pd.testing.assert_frame_equal(results.read_table(tmp_path / "t.csv"), table)
    assert b"\r" not in (tmp_path / "t.csv").read_bytes()


def test_a_damaged_result_file_says_how_to_mend_it(tmp_path: Path) -> None:
    (tmp_path / "verdicts.json").write_text("{")
    with pytest.raises(EnvironmentFault, match="run its page again"):
        results.read_json(tmp_path / "verdicts.json")


def test_a_full_disk_leaves_no_part_of_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(results.os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        results.write_json(tmp_path / "verdicts.json", {})
    assert [*tmp_path.iterdir()] == []


def test_a_full_disk_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="outcomes"), results.writing(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device", "outcomes.csv")


def test_other_faults_of_files_are_not_called_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), results.writing(tmp_path):
        (tmp_path / "lacks").read_text()


# The history of registrations


@pytest.fixture
def page(folder: Path) -> Page:
    return shelve([folder]).pages["tuned"]


def changed(page: Page, **criterion: object) -> Page:
    """Return the page with another criterion in its claim."""
    [claim] = page.claims
    [old] = claim.document.criteria
    document = replace(claim.document, criteria=(replace(old, **criterion),))
    return replace(page, claims=(replace(claim, document=document),))


def test_changes_are_told_in_words(page: Page) -> None:
    quick = PROFILES["quick"]
    old = registration(page, quick)
    first, second = page.studies
    cases = {
        "claim tuned-gain, document: region of criterion gain changed": changed(
            page, region=Region.above(0.1)
        ),
        "claim tuned-gain, document: criterion gain removed": changed(
            page, name="other"
        ),
        "study plain: removed": replace(page, studies=(first,)),
        "study plain: seeds changed": replace(
            page, studies=(first, replace(second, sampling="exact"))
        ),
        "study tuned: learning rates or their choice changed": replace(
            page,
            studies=(replace(first, tuning=replace(first.tuning, seeds=3)), second),
        ),
    }
    for words, new in cases.items():
        assert words in results.changes(old, registration(new, quick))
    assert results.changes(old, registration(page, quick)) == []


def test_another_profile_is_one_change(page: Page) -> None:
    quick, full = (registration(page, PROFILES[name]) for name in ("quick", "full"))
    assert results.changes(quick, full) == ["profile: full instead of quick"]


def test_the_history_keeps_every_earlier_digest(page: Page) -> None:
    quick = PROFILES["quick"]
    first = registration(page, quick)
    second = registration(changed(page, region=Region.above(0.1)), quick)
    once = results.register({}, first)
    assert once == {"current": first, "history": []}
    assert results.register(once, first) == once
    twice = results.register(once, second)
    assert twice["current"] == second
    assert [entry["digest"] for entry in twice["history"]] == [first["digest"]]
    back = results.register(twice, first)
    assert [entry["digest"] for entry in back["history"]] == [
        first["digest"],
        second["digest"],
    ]


# Runs, from Python


def test_a_tuned_page_runs_to_its_verdict(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    [found] = suite.run("tuned", profile="quick", jobs=1, folders=[folder], out=out)
    assert (found.trained, found.cached, found.failed, found.error) == (7, 0, {}, None)
    variants = found.variants[found.variants["study"] == "tuned"]
    assert [*variants["learning_rate"]] == [0.1, 0.1]
    assert [*variants["ok"]] == [8, 8]
    document = found.verdicts["claims"]["tuned-gain"]["document"]
    assert document["verdict"] == "supported"
    assert document["criteria"][0]["seeds"] == [*range(8)]
    assert found.manifest["cells"].keys() == {
        cell.label for cell in found_cells(folder, "tuned")
    }
    assert suite.load(out)["tuned"].verdicts == found.verdicts

    [again] = suite.run("tuned", profile="quick", folders=[folder], out=out)
    assert (again.trained, again.cached) == (0, 7)
    [more] = suite.run("tuned", seeds=range(12), folders=[folder], out=out)
    assert (more.trained, more.cached) == (3, 6)
    assert more.verdicts["claims"]["tuned-gain"]["document"]["verdict"] != "supported"


def found_cells(folder: Path, page: str) -> tuple[Cell, ...]:
    return design(page, profile="quick", folders=[folder]).all_cells()


def test_a_dry_run_names_what_waits_for_tuning(folder: Path, tmp_path: Path) -> None:
    wanted = design("tuned", profile="quick", folders=[folder])
    before = survey.dry_run(wanted, tmp_path)
    assert [prospect.state for prospect in before].count("after tuning") == 4
    suite.run("tuned", profile="quick", jobs=1, folders=[folder], out=tmp_path)
    after = survey.dry_run(wanted, tmp_path)
    assert {prospect.state for prospect in after} == {"stored"}
    assert {p.cell.label for p in after} == {p.cell.label for p in before}
    again = survey.dry_run(wanted, tmp_path, fresh=True)
    assert {prospect.state for prospect in again} == {"to run", "after tuning"}


def test_the_history_of_a_page_lies_in_its_folder(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    suite.run("batch-noise", profile="smoke", folders=[folder], out=out)
    first = suite.load(out)["batch-noise"]
    digest = first.verdicts["registration"]
    file = folder / "batch_noise.py"
    file.write_text(file.read_text().replace("log(part), 0.1", "log(part), 0.2"))
    forget_pages()
    [found] = suite.run("batch-noise", profile="smoke", folders=[folder], out=out)
    assert (found.trained, found.cached) == (0, 2)
    registered = results.read_json(out / "batch-noise" / "registration.json")
    assert registered["current"]["digest"] == found.verdicts["registration"] != digest
    assert registered["history"] == [
        {
            "digest": digest,
            "changed": [
                f"claim batch-noise-root, {role}: region of criterion ratio changed"
                for role in ("corrected", "document")
            ],
        }
    ]


def forget_pages() -> None:
    """Forget the pages of other folders that were imported, as a new process does."""
    for name in [n for n in sys.modules if n.startswith("dlclaims_pages.")]:
        del sys.modules[name]


def test_results_of_a_changed_page_get_no_verdict(folder: Path, tmp_path: Path) -> None:
    suite.run("batch-noise", profile="quick", folders=[folder], out=tmp_path / "out")
    file = folder / "batch_noise.py"
    file.write_text(file.read_text().replace("log(part), 0.1", "log(part), 0.2"))
    forget_pages()
    suite.write_report(tmp_path / "out", shelve([folder]))
    claim = suite.load(tmp_path / "out")["batch-noise"].verdicts["claims"]
    made = claim["batch-noise-root"]["document"]
    assert made["verdict"] == "not assessed"
    assert "changed since" in made["reason"]


def test_a_page_whose_cells_are_all_lost_still_has_results(
    folder: Path, tmp_path: Path
) -> None:
    file = folder / "tuned.py"
    file.write_text(file.read_text().replace("    rates =", "    1 / 0\n    rates ="))
    forget_pages()
    [found] = suite.run("tuned", profile="quick", folders=[folder], out=tmp_path)
    assert found.error is None
    assert len(found.failed) == 2
    assert all("ZeroDivisionError" in message for message in found.failed.values())
    document = found.verdicts["claims"]["tuned-gain"]["document"]
    assert document["verdict"] in ("inconclusive", "not assessed")


def test_measured_columns_may_not_be_named_as_a_factor(
    folder: Path, tmp_path: Path
) -> None:
    file = folder / "tuned.py"
    text = file.read_text().replace("score=0.0)", "score=0.0, level=1)")
    file.write_text(text)
    forget_pages()
    [found] = suite.run("tuned", profile="smoke", folders=[folder], out=tmp_path)
    assert isinstance(found.error, PageError)
    assert "level" in found.error.received
    assert not (tmp_path / "tuned").exists()


def test_pages_keep_their_results_while_others_run(
    folder: Path, tmp_path: Path
) -> None:
    for name in ("tuned", "batch-noise"):
        suite.run(name, profile="smoke", folders=[folder], out=tmp_path)
    assert {*suite.load(tmp_path)} == {"batch-noise", "tuned"}


def test_run_and_load_are_the_packages(folder: Path, tmp_path: Path) -> None:
    import dlclaims

    assert dlclaims.run is suite.run
    assert dlclaims.load is suite.load
    assert dlclaims.load(tmp_path / "nothing") == {}


def test_a_notebook_shows_verdicts_and_pictures(folder: Path, tmp_path: Path) -> None:
    (found,) = ran = suite.run(
        "batch-noise", profile="quick", out=tmp_path, folders=[folder], jobs=1
    )
    shown = found._repr_html_()
    assert shown in ran._repr_html_()
    assert shown in suite.load(tmp_path)._repr_html_()
    assert "❌ refuted (too small)" in shown
    assert shown.count('src="data:image/svg+xml;base64,') == 1
    judged = results.read_json(tmp_path / "batch-noise" / "verdicts.json")
    [claim] = judged["claims"].values()
    claim["document"]["text"] = "<script>alert(1)</script>"
    results.write_json(tmp_path / "batch-noise" / "verdicts.json", judged)
    assert "&lt;script&gt;" in found._repr_html_()
    assert "<script" not in found._repr_html_()
    assert suite.PageResult("none", tmp_path)._repr_html_() == (
        "<h3>none (no results)</h3>"
    )


def test_without_an_argument_results_lie_here_or_in_the_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert results.default_out() == tmp_path / "results"
    monkeypatch.chdir(ROOT / "tests")
    assert results.default_out() == ROOT / "results"


def test_a_page_that_reads_a_missing_file_is_blamed(
    folder: Path, tmp_path: Path
) -> None:
    file = folder / "batch_noise.py"
    text = file.read_text()
    file.write_text(
        text.replace("    figures.dots", "    open('lacks')\n    figures.dots")
    )
    forget_pages()
    [found] = suite.run("batch-noise", profile="smoke", folders=[folder], out=tmp_path)
    assert isinstance(found.error, PageError)
    line = 1 + text[: text.index("    figures.dots(")].count("\n")
    assert f"{file}:{line}" in found.error.received


def test_files_are_made_again_only_where_something_changed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    write = assembly.write

    def counted(*arguments: object) -> None:
        made.append(arguments[1].name)
        write(*arguments)

    monkeypatch.setattr(assembly, "write", counted)

    def run() -> list[str]:
        made.clear()
        forget_pages()
        suite.run("batch-noise", profile="smoke", folders=[folder], out=tmp_path)
        return made

    assert run() == ["batch-noise"]
    assert run() == []
    table = tmp_path / "batch-noise" / "outcomes.csv"
    before = table.read_bytes()
    table.write_bytes(before.replace(b"measured", b"typed", 1))
    assert run() == ["batch-noise"]
    assert table.read_bytes() == before
    page = folder / "batch_noise.py"
    page.write_text(page.read_text().replace("examples in a batch", "examples"))
    assert run() == ["batch-noise"]
    assert run() == []


def test_half_of_a_page_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "verdicts.json").write_text("{}")
    assert results.names(tmp_path) == ()


def test_a_manifest_names_the_commit_that_trained(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = folder / "batch_noise.py"

    def commit_after(name: str, old: str, new: str) -> str:
        monkeypatch.setattr(assembly, "commit", lambda: name)
        page.write_text(page.read_text().replace(old, new))
        forget_pages()
        [found] = suite.run(
            "batch-noise", profile="smoke", folders=[folder], out=tmp_path
        )
        return found.manifest["commit"]

    assert commit_after("first", "", "") == "first"
    assert commit_after("second", "examples in a batch", "examples") == "first"
    assert commit_after("third", "1000, ", "1001, ") == "third"
