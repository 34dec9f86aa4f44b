"""The command line as a newcomer types it: words, exit codes, where things go."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

import dlclaims
from dlclaims import cli
from dlclaims.cli import authoring, engine
from dlclaims.cli.progress import Progress
from dlclaims.data import images
from dlclaims.engine import numerics
from dlclaims.execution import context
from dlclaims.plan import Cell
from dlclaims.report.words import MINUS

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = (
    *("list", "show", "run", "power", "calibrate", "report", "status", "export"),
    *("clean", "doctor", "quiz", "new", "completion"),
)
HEAVY = ("jax", "keras", "matplotlib", "pandas", "scipy", "seaborn", "tensorflow")

TITLE = "Does a batch that is four times as large have a quarter of the noise?"
BROKEN = '"""Broken."""\n\nimport no_such_module\n'


@dataclass(frozen=True)
class Done:
    """What a call came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)


Call = Callable[..., Done]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the page of CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    pages = tmp_path / "pages"
    pages.mkdir()
    [page] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (pages / "batch_noise.py").write_text(page)
    return pages


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Call:
    """Call a command in this process, in an empty folder, with the page at hand."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("DLCLAIMS_DEBUG", raising=False)

    def made(*words: str) -> Done:
        for name in [n for n in sys.modules if n.startswith("dlclaims_pages.")]:
            del sys.modules[name]  # as in a new process
        capsys.readouterr()
        takes = {*COMMANDS} - {"new", "completion"}
        known = words and words[0] in takes and "--help" not in words
        code = cli.call([*words, *(["--pages", str(folder)] if known else [])])
        return Done(code, *capsys.readouterr())

    return made


# Bad words: at most three lines on standard error, nothing on standard output


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["run", "batch-noize"], 2, "did you mean batch-noise?"),
        (["show", "batch-noise-rot"], 2, "did you mean batch-noise-root?"),
        (["run", "lp-hybrid"], 2, "planned and not built yet"),
        (["run", "nothing-*"], 5, "dlclaims list"),
        (["run", "--seeds", "5-2"], 2, "--seeds 0-15"),
        (["run", "--seeds", "x"], 2, "--seeds 0-15"),
        (["run", "--seeds", "0"], 2, "--seeds 0-15"),
        (["run", "--jobs", "0"], 2, "expected a number of workers from 1 up\n"),
        (["run", "--jobs", "two"], 2, "received --jobs two\n"),
        (["calibrate", "--simulated", "99"], 2, "a number of claims from 100 up"),
        (["run", "--cell-minutes", "0"], 2, "a number of minutes above 0"),
        (["run", "--scheduler", "10.0.0.1:8786"], 2, "tcp://host:port or tls://"),
        (["run", "--scheduler", "http://a", "--dry-run"], 2, "--scheduler http://a"),
        (["calibrate", "--scheduler", "a"], 2, "tcp://host:port or tls://"),
        (["run", "--scheduler", "tcp://a:1", "--jobs", "2"], 2, "leave --jobs out"),
        (["run", "--profile", "fast"], 2, "'quick'"),
        (["run", "--device", "tpu"], 2, "'gpu'"),
        (["run", "--frsh"], 2, "--fresh"),
        (["run", "batch-noise", "--pages", "/no/such/folder"], 2, "that exists"),
        (["run", "batch-noise", "--out", "/dev/null/results"], 3, "/dev/null"),
        (["power", "batch-noize"], 2, "did you mean batch-noise?"),
        (["power", "lp-hybrid"], 2, "planned and not built yet"),
        (["power", "batch-noise"], 2, "dlclaims run batch-noise --profile quick"),
        (["show"], 2, "dlclaims show --help"),
        (["power"], 2, "dlclaims power --help"),
        (["lst"], 2, "list"),
        (["--colour"], 2, "dlclaims --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_words(call: Call, words: list[str], code: int, hint: str) -> None:
    done = call(*words)
    assert (done.code, done.out) == (code, "")
    assert hint in done.err
    lines = done.err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("expected ")
    assert lines[1].startswith("received ")
    assert lines[2].startswith("to do: ")


@pytest.mark.skipif(any(Path("/dev").glob("nvidia[0-9]*")), reason="needs no GPU")
def test_no_gpu_where_one_is_asked_for(call: Call) -> None:
    done = call("run", "batch-noise", "--device", "gpu")
    assert (done.code, done.out) == (3, "")
    assert "--device cpu" in done.err


def test_bad_words_leave_no_trace(call: Call) -> None:
    call("run", "--jobs", "0")
    call("run", "nothing-*")
    assert list(Path.cwd().iterdir()) == []


def test_a_fault_of_dlclaims_is_told_without_a_traceback(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("of\nmany\nlines")

    monkeypatch.setattr("dlclaims.cli.overview.contents", fails)
    done = call("list")
    assert done.code == 1
    assert len(done.err.splitlines()) == 3
    assert "RuntimeError" in done.err
    assert "Traceback" in call("list", "--debug").err
    monkeypatch.setenv("DLCLAIMS_DEBUG", "1")
    assert "Traceback" in call("list").err


def test_an_interrupt_is_130(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dlclaims.cli.overview.contents", interrupted)
    done = call("list")
    assert done.code == 130
    assert "finished cells are kept" in done.err


# A broken page


def test_a_broken_page_is_named_and_the_others_are_listed(
    call: Call, folder: Path
) -> None:
    (folder / "bad_one.py").write_text(BROKEN)
    done = call("list")
    assert done.code == 1
    assert f"{folder / 'bad_one.py'}:3" in done.err
    assert "batch-noise" in done.out


def test_a_broken_page_that_is_named_is_usage(call: Call, folder: Path) -> None:
    (folder / "bad_one.py").write_text(BROKEN)
    done = call("run", "bad-one")
    assert done.code == 2
    assert len(done.err.splitlines()) == 3


def test_a_broken_page_that_is_not_meant_is_no_matter(call: Call, folder: Path) -> None:
    (folder / "bad_one.py").write_text(BROKEN)
    done = call("run", "batch-noise", "--dry-run")
    assert (done.code, done.err) == (0, "")


# What there is


def test_list_as_json_has_a_stable_form(call: Call) -> None:
    found = call("list", "--json").json
    assert {*found} == {"schema", "pages", "broken", "not_built"}
    [page] = [page for page in found["pages"] if page["name"] == "batch-noise"]
    assert page == {
        "name": "batch-noise",
        "title": TITLE,
        "claims": ["batch-noise-root"],
        "profile": None,
        "verdicts": None,
    }
    assert "lp-hybrid" in found["not_built"]["learning-paradigms"]


def test_list_counts_what_is_not_built(call: Call) -> None:
    missing = sum(map(len, call("list", "--json").json["not_built"].values()))
    assert f"{missing} planned claims" in call("list").out


def test_show_a_page(call: Call) -> None:
    done = call("show", "batch-noise")
    assert done.code == 0
    for words in (
        TITLE,
        "3 variants  16 seeds",
        "batch-noise-root",
        "no results yet, refuted is expected",
        "A batch four times as large has 0.5 times the noise.",
    ):
        assert words in done.out


def test_show_a_claim(call: Call) -> None:
    done = call("show", "batch-noise-root")
    for words in (
        "A batch four times as large has 0.25 times the noise.",
        "16 against 4 examples",
        f"nats; needed: between {MINUS}0.793 and {MINUS}0.593",
        "dlclaims run batch-noise --profile standard",
    ):
        assert words in done.out


def test_show_a_claim_that_is_only_planned(call: Call) -> None:
    done = call("show", "lp-hybrid")
    assert done.code == 0
    assert "planned for page learning-paradigms, not built yet" in done.out
    assert "question 2" in done.out


def test_show_as_json_holds_the_criteria(call: Call) -> None:
    [claim] = call("show", "batch-noise-root", "--json").json["claims"]
    [criterion] = claim["document"]["criteria"]
    assert claim["document"]["verdict"] is None
    assert criterion["region"] == pytest.approx([-1.486, -1.286], abs=1e-3)


def test_a_dry_run_says_why(call: Call) -> None:
    cells = call("run", "batch-noise", "--dry-run", "--json").json["cells"]
    assert {(cell["state"], cell["reason"]) for cell in cells} == {
        ("to run", "never run")
    }
    assert "0 stored, 3 to run" in call("run", "batch-noise", "--dry-run").out


def test_without_a_command_there_is_help(call: Call) -> None:
    done = call()
    assert done.code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(call: Call, command: str) -> None:
    done = call(command, "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: dlclaims {command}")


def test_the_version_is_the_packages(call: Call) -> None:
    assert call("--version").out.strip() == dlclaims.__version__


def test_the_doctor_names_what_lacks(call: Call, folder: Path) -> None:
    (folder / "bad_one.py").write_text(BROKEN)
    done = call("doctor", "--json")
    checks = {check["name"]: check for check in done.json["checks"]}
    assert {"python", "backend", "device", "cores", "memory", "results"} <= {*checks}
    assert checks["page bad-one"]["to_do"]
    assert done.code == 3


@pytest.fixture(scope="module")
def engine_told(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What ``doctor --engine`` finds, in its own words."""
    words = ["doctor", "--engine", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "dlclaims", *words],
        cwd=tmp_path_factory.mktemp("here"),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_the_doctor_tells_what_the_engine_picks_by_its_own_rule(
    engine_told: dict,
) -> None:
    found = engine_told["engine"]
    machine = numerics.Machine(found["backend"], found["gpu_bytes"])
    examples = {example["name"]: example for example in found["examples"]}
    # Three times two operations for each product, of each layer, of each example.
    dense, wide = examples["dense, 6 layers of 32"], examples["dense, 30 layers of 64"]
    assert dense["step_work"] == 6 * 64 * 6 * 32**2
    assert wide["step_work"] == 6 * 64 * 30 * 64**2
    for example in (dense, wide):  # which need nothing that a Work leaves out
        work = numerics.Work(example["step_work"], example["steps"])
        here = numerics.rule(work, machine)
        if machine.gpu_bytes:
            assert (example["xla"], example["on_gpu"]) == (here[0], None)
        else:
            names = ("xla", "replicas_per_call", "reason")
            assert tuple(example[name] for name in names) == here
    assert found["constants"]["small_step"] == numerics.SMALL_STEP
    assert found["numerics"]["intra_threads"] == 1


@pytest.mark.parametrize("gpu_bytes", [0.0, 24.0 * 2**30])
def test_the_doctor_explains_the_engine_in_80_columns(
    engine_told: dict, gpu_bytes: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told = {"schema": 1, "checks": [{"name": "cores", "found": "2", "to_do": ""}]}
    own = {**engine_told["engine"], "gpu_bytes": gpu_bytes, "matrix_peak": 1.5e11}
    text = engine.text({**told, "engine": own})
    assert max(map(len, click.unstyle(text).splitlines())) <= 80
    assert "150 GFLOP/s" in text
    assert ("24 GiB" in text, "one a card" in text) == (bool(gpu_bytes),) * 2
    for example in own["examples"]:
        assert example["name"] in text
        assert example["reason"].split()[0] in text


def test_a_backend_that_does_not_start_is_the_environments_fault(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "START", "import no_such_backend")
    done = call("doctor", "--engine")
    assert (done.code, done.out) == (3, "")
    assert "received ModuleNotFoundError: No module named 'no_such_backend'" in done.err


@pytest.mark.parametrize(
    ("cards", "shown", "found"),
    [
        ((), False, "cpu"),
        (("0",), True, "gpu, 1 card"),
        (("2", "3"), True, "gpu, 2 cards"),
        ((), True, "cpu; tensorflow cannot use the GPU here: install dlclaims[gpu]"),
    ],
)
def test_the_doctor_tells_which_device_is_used(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    cards: tuple[str, ...],
    shown: bool,
    found: str,
) -> None:
    monkeypatch.setattr(context, "cards", lambda: cards)
    monkeypatch.setattr(context, "shows_gpu", lambda: shown)
    done = call("doctor", "--json")
    [device] = [c for c in done.json["checks"] if c["name"] == "device"]
    assert device["found"].startswith(found)
    assert device["to_do"] == ""


def test_colours_only_where_they_are_wanted(call: Call) -> None:
    assert "\x1b" not in call("show", "batch-noise").out


# Start


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["list"],
        ["show", "vanishing-gradient"],
        ["run", "--help"],
        ["doctor"],
    ],
)
def test_quick_commands_load_nothing_heavy(words: list[str]) -> None:
    program = (
        "import sys; from dlclaims import cli; code = cli.call(sys.argv[1:]);"
        f"print(code, *sorted(sys.modules.keys() & {{*{HEAVY}}}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "0\n"


def test_the_module_is_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dlclaims", "show", "vg-x"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")


# Runs


FLAKY = '''
"""A page whose second variant cannot be measured, and whose figure can break."""

import os
import time

from dlclaims.claims import Assertion, Claim, Criterion, Mean, Region, Value
from dlclaims.pages import Card, Figure, Page, Study, grid, tidy


def measure(variant, seeds):
    if variant["mode"] == "raises":
        raise ValueError("no such luck")
    if variant["mode"] == "slow" and "SLOW" in os.environ:
        time.sleep(600)
    return tidy({"seed": seeds}, value=1.0)


def draw(table, ax):
    if "BREAK_FIGURE" in os.environ:
        raise KeyError("no such column")
    ax.plot(table["seed"], table["value"])


CRITERION = Criterion(
    "one",
    "study",
    Mean(Value("value"), {"mode": "fine"}),
    Region.around(1, 0.1),
    "units",
    "where it works",
    "a tenth",
    "nothing",
)
PAGE = Page(
    studies=(
        Study(
            "study",
            "A study",
            measure,
            standard=grid(mode=("fine", "raises", "slow")),
            smoke=grid(mode=("fine", "raises")),
            quick=grid(mode=("fine", "slow")),
        ),
    ),
    claims=(
        Claim(
            "flaky-one",
            ("difference",),
            document=None,
            corrected=Assertion("It is one.", (CRITERION,), "supported"),
        ),
    ),
    figures=(Figure("values", "study", "Values", draw, "Dots are seeds."),),
    card=Card("Is it one?", ("Yes: {flaky-one/one}.",), "Here.", ("flaky-one",)),
)
'''


def test_a_page_from_sentence_to_verdict(call: Call) -> None:
    """What CONTRIBUTING.md promises, as a newcomer would type it."""
    first = call("run", "batch-noise", "--profile", "quick", "--jobs", "1")
    assert first.code == 0
    number = rf"{MINUS}0\.\d+"
    assert re.search(
        r"batch-noise-root +refuted \(too small\) +supported"
        rf" +{number} \[{number}, {number}\] nats, n = 8",
        first.out,
    )
    assert first.out.endswith(f"{Path('results/report.html').absolute()}\n")
    assert "3 cells to run (0 stored) with 1 worker" in first.err
    page = Path("results/batch-noise")
    assert {file.name for file in page.iterdir()} == {
        "README.md",
        "manifest.json",
        "noise.csv",
        "noise.png",
        "noise.svg",
        "outcomes.csv",
        "registration.json",
        "theory.csv",
        "variants.csv",
        "verdicts.json",
    }
    before = {file: file.read_bytes() for file in Path("results").glob("*/*.*")}

    second = call("run", "batch-noise", "--profile", "quick", "--json")
    [found] = second.json["pages"]
    assert (second.code, second.err) == (0, "0 cells trained, 3 stored\n")
    assert (found["trained"], found["stored"]) == (0, 3)
    assert {f: f.read_bytes() for f in Path("results").glob("*/*.*")} == before

    assert "1 supported" in call("list").out
    assert "✓ holds" in call("show", "batch-noise-root").out
    assert "batch-noise" in Path("results/report.html").read_text()
    assert call("report", "--check").code == 0


def test_status_and_dry_run_after_a_run(call: Call, folder: Path) -> None:
    call("run", "batch-noise", "--profile", "smoke", "-q")
    [page] = [
        page
        for page in call("status", "batch-noise", "--json").json["pages"]
        if page["page"] == "batch-noise"
    ]
    assert page == {
        "page": "batch-noise",
        "profile": "smoke",
        "changes": [],
        "stored": 2,
        "missing": 0,
        "failed": 0,
    }
    file = folder / "batch_noise.py"
    file.write_text(file.read_text().replace("1000, ", "1001, "))
    why = call("run", "batch-noise", "--profile", "smoke", "--dry-run").out
    assert "code of measure changed" in why
    file.write_text(file.read_text().replace("log(part), 0.1", "log(part), 0.2"))
    assert "region of criterion ratio changed" in call("status", "batch-noise").out


def test_quiet_says_nothing_but_the_verdicts(call: Call) -> None:
    done = call("run", "batch-noise", "--profile", "smoke", "-q")
    assert (done.code, done.err) == (0, "")
    assert "not assessed" in done.out


def test_verbose_has_a_line_for_each_cell(call: Call) -> None:
    done = call("run", "batch-noise", "--profile", "smoke", "-v")
    assert done.err.count("finished batch-noise/noise/") == 2


def test_a_failed_cell_is_told_and_the_rest_is_kept(call: Call, folder: Path) -> None:
    (folder / "flaky.py").write_text(FLAKY)
    done = call("run", "flaky", "batch-noise", "--profile", "smoke", "-q")
    assert done.code == 1
    assert "no such luck" in done.err
    assert "batch-noise-root" in done.out
    assert Path("results/flaky/verdicts.json").exists()
    [page] = [
        page
        for page in call("status", "--json").json["pages"]
        if page["page"] == "flaky"
    ]
    assert (page["stored"], page["missing"], page["failed"]) == (1, 1, 1)
    again = call("run", "--only-failed", "--profile", "smoke", "--json")
    assert [page["name"] for page in again.json["pages"]] == ["flaky"]


@pytest.mark.parametrize(
    ("profile", "code", "stored"), [("quick", 0, 1), ("standard", 1, 1)]
)
def test_minutes_that_end_a_run_are_no_failure_but_a_failed_cell_is(
    call: Call,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    profile: str,
    code: int,
    stored: int,
) -> None:
    (folder / "flaky.py").write_text(FLAKY)
    monkeypatch.setenv("SLOW", "1")
    words = ["run", "flaky", "--profile", profile, "--jobs", "1"]
    done = call(*words, "--max-minutes", "0.1", "--fresh", "--out", "a b")
    assert (done.code, done.out) == (code, "")
    assert "Traceback" not in done.err
    again = f"dlclaims {' '.join(words)} --max-minutes 0.1 --out 'a b' --pages {folder}"
    assert done.err.endswith(f"time is up, and 1 cell left; to go on: {again}\n")
    assert ("no such luck" in done.err) == (code == 1)
    monkeypatch.delenv("SLOW")
    now = call("run", "flaky", "--profile", profile, "--json", "--out", "a b").json
    assert now["pages"][0]["stored"] == stored


def test_a_cell_that_takes_longer_than_its_minutes_fails(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "flaky.py").write_text(FLAKY)
    monkeypatch.setenv("SLOW", "1")
    words = ["run", "flaky", "--profile", "quick", "--cell-minutes", "0.05"]
    done = call(*words)
    assert done.code == 1
    assert "took longer than its time limit of 3 s" in done.err
    again = f"dlclaims {' '.join(words)} --pages {folder} --only-failed"
    assert f"to do: {again}, once its cause is mended" in done.err


def test_only_failed_runs_pages_that_broke(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "flaky.py").write_text(FLAKY)
    monkeypatch.setenv("BREAK_FIGURE", "1")
    call("run", "flaky", "batch-noise", "--profile", "quick", "-q")
    monkeypatch.delenv("BREAK_FIGURE")
    again = ["run", "--only-failed", "--profile", "quick", "--json"]
    assert [page["name"] for page in call(*again).json["pages"]] == ["flaky"]
    assert call(*again).json["pages"] == []


def test_a_figure_that_breaks_stops_its_page_only(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "flaky.py").write_text(FLAKY)
    monkeypatch.setenv("BREAK_FIGURE", "1")
    done = call("run", "flaky", "batch-noise", "--profile", "quick", "-q")
    assert done.code == 1
    assert f"KeyError at {folder / 'flaky.py'}:" in done.err
    assert not Path("results/flaky").exists()
    assert Path("results/batch-noise/verdicts.json").exists()
    monkeypatch.delenv("BREAK_FIGURE")
    again = call("run", "flaky", "--profile", "quick", "--json")
    assert [(p["trained"], p["stored"]) for p in again.json["pages"]] == [(0, 2)]


def test_a_damaged_cell_is_told_and_measured_again(call: Call) -> None:
    words = ["run", "batch-noise", "--profile", "smoke", "--json"]
    call(*words)
    cell, *_ = Path("results/cells/batch-noise").glob("??/*.json")
    cell.write_bytes(cell.read_bytes()[:-9])
    done = call(*words)
    [page] = done.json["pages"]
    assert (done.code, page["trained"], page["stored"]) == (0, 1, 1)
    assert f"damaged cell {cell.absolute()}" in done.err


def test_a_broken_page_does_not_stop_a_pattern(call: Call, folder: Path) -> None:
    (folder / "bad_one.py").write_text(BROKEN)
    done = call("run", "ba*", "--profile", "smoke", "-q")
    assert done.code == 1
    assert "batch-noise-root" in done.out
    assert f"{folder / 'bad_one.py'}:3" in done.err


def test_a_report_that_differs_is_4(call: Call) -> None:
    call("run", "batch-noise", "--profile", "smoke", "-q")
    readme = Path("results/README.md")
    readme.write_text(readme.read_text() + "typed by hand\n")
    done = call("report", "--check")
    assert done.code == 4
    assert "README.md" in done.out
    assert len(done.err.splitlines()) == 3
    assert call("report").code == 0
    assert call("report", "--check").code == 0


@pytest.mark.parametrize("words", [["run", "batch-noise"], ["report"]])
def test_a_folder_that_another_run_holds_is_75(call: Call, words: list[str]) -> None:
    program = (
        "from pathlib import Path; from dlclaims.store import Store\n"
        "with Store(Path('results/cells')).hold(): print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        done = call(*words)
        holder.communicate("\n")
    assert (done.code, done.out) == (75, "")
    assert f"process {holder.pid}" in done.err
    assert len(done.err.splitlines()) == 3


@pytest.mark.parametrize("executor", ["local", "dask"])
def test_ctrl_c_keeps_finished_cells(call: Call, folder: Path, executor: str) -> None:
    if executor == "dask":
        pytest.importorskip("distributed", reason="the extra dask is not installed")
    (folder / "flaky.py").write_text(FLAKY)
    words = ["run", "flaky", "--profile", "quick", "-v", "--pages", str(folder)]
    with subprocess.Popen(
        [sys.executable, "-m", "dlclaims", *words, "--executor", executor],
        env={**os.environ, "PYTHONPATH": str(ROOT), "SLOW": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as run:
        for line in run.stderr:
            if line.startswith("finished"):
                os.killpg(run.pid, signal.SIGINT)  # as a terminal does
                break
        rest = run.stderr.read()
    assert run.returncode == 130
    assert "interrupted; finished cells are kept" in rest.splitlines()[-1]
    assert "Traceback" not in rest
    assert len(rest.splitlines()) <= 3  # a worker of Dask's may add one
    assert not Path("results/flaky").exists()
    cells = call("run", "flaky", "--profile", "quick", "--dry-run", "--json").json
    assert [cell["state"] for cell in cells["cells"]] == ["stored", "to run"]


# How far a run is


def cells_of(*levels: int) -> list[Cell]:
    return [Cell("page", "study", "evaluation", (("l", n),), (), (0,)) for n in levels]


def test_progress_tells_the_time_before_a_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, two, three, four = cells = cells_of(1, 2, 3, 4)
    expected = {two.label: 200.0, three.label: 100.0, four.label: 300.0}
    with Progress(cells, expected, jobs=2) as progress:
        progress("cached", one, 9.0)
        progress("started", two, 0.0)
        progress("started", three, 0.0)
    assert capsys.readouterr().err == (
        "3 cells to run (1 stored) with 2 workers: about 5.0 min\n"
    )


def test_progress_learns_from_what_is_finished() -> None:
    one, two, three = cells = cells_of(1, 2, 3)
    progress = Progress(cells, {}, jobs=1, verbosity=-1)
    assert progress.seconds_left is None
    progress("finished", one, 10.0)
    assert progress.seconds_left == 20.0
    progress("failed", two, 1.0)
    assert progress.seconds_left == 10.0
    progress("cached", three, 99.0)
    assert progress.seconds_left == 0.0


def test_progress_counts_cells_that_only_results_make_known() -> None:
    one, two, three = cells_of(1, 2, 3)
    progress = Progress([one], {}, jobs=1, verbosity=-1)
    progress("planned", one, 0.0)
    progress("finished", one, 10.0)
    assert progress.seconds_left == 0.0
    progress("planned", two, 0.0)
    progress("planned", three, 0.0)
    assert progress.seconds_left == 20.0


def test_progress_writes_a_line_now_and_then_off_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, *_ = cells = cells_of(1, 2, 3)
    with Progress(cells, {}, jobs=1) as progress:
        progress("started", one, 0.0)
        progress("finished", one, 2.0)
        assert capsys.readouterr().err.count("\n") == 1
        monkeypatch.setattr("dlclaims.cli.progress.PAUSE", 0.0)
        progress("finished", two, 2.0)
    assert capsys.readouterr().err == "2 of 3 cells, about 2 s left\n"


def test_the_page_that_new_writes_is_that_of_the_contributors_guide() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    [page] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert authoring.TEMPLATE.read_text() == page


def test_a_new_page_is_there_and_is_not_written_twice(
    call: Call, tmp_path: Path
) -> None:
    words = ["new", "warm-up", "--pages", str(tmp_path / "own")]
    done = call(*words)
    assert done.code == 0
    assert done.out.strip() == str(tmp_path / "own" / "warm_up.py")
    assert "dlclaims run warm-up" in done.err
    shown = call("show", "warm-up-root", "--pages", str(tmp_path / "own"))
    assert shown.code == 0
    again = call(*words)
    assert again.code == 2
    assert "a file that is not there yet" in again.err


@pytest.mark.parametrize(
    "name", ["Warm", "warm_up", "../up", "-x1", "vanishing-gradient"]
)
def test_a_page_needs_a_name_of_its_own(call: Call, tmp_path: Path, name: str) -> None:
    done = call("new", name, "--pages", str(tmp_path / "own"))
    assert done.code == 2
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("shell", authoring.SHELLS)
def test_completion_names_the_command(call: Call, shell: str) -> None:
    assert "dlclaims" in call("completion", shell).out


def test_pages_and_claims_are_completed() -> None:
    context = click.Context(cli.cli, info_name="dlclaims")
    [argument] = [p for p in cli.cli.commands["show"].params if p.name == "names"]
    found = [item.value for item in argument.shell_complete(context, "vg-relu")]
    assert found == ["vg-relu-not-immune"]


# The quiz


def test_the_quiz_asks_what_is_not_simply_true_and_counts(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    call("run", "batch-noise", "--profile", "quick", "-q")
    done = call("quiz", "batch-noise")  # no terminal here: all answers are told
    assert "refuted (too small)" in done.out
    assert "all of it: dlclaims show batch-noise-root" in done.out
    assert "results/batch-noise/noise.svg" in done.out
    [question] = call("quiz", "batch-noise-root", "--json").json["questions"]
    assert (question["claim"], question["verdict"]) == ("batch-noise-root", "refuted")

    for letters, told in (("f\n", "1 of 1 answer"), ("x\nt\n", "0 of 1 answer")):
        monkeypatch.setattr(sys, "stdin", io.StringIO(letters))
        for stream in (sys.stdin, sys.stdout):
            monkeypatch.setattr(stream, "isatty", lambda: True)
        assert told in call("quiz", "batch-noise").out


def test_the_quiz_asks_only_about_the_claims_that_are_named(call: Call) -> None:
    words = ["--out", str(ROOT / "results"), "--json"]
    every = call("quiz", "vanishing-gradient", *words).json["questions"]
    [one] = call("quiz", "vg-relu-not-immune", *words).json["questions"]
    assert one in every
    assert len(every) > 1
    assert {question["verdict"] for question in every} <= {"refuted", "conditional"}


def test_the_quiz_needs_results(call: Call) -> None:
    done = call("quiz", "batch-noise")
    assert (done.code, done.out) == (2, "")
    assert "run a page first" in done.err


# Help, word for word: `pytest --snapshot-update` after a change that is meant.


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_as_it_was_read(
    call: Call, command: str, snapshot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert call(*command.split(), "--help").out == snapshot


# Data sets that a machine may lack


def test_what_a_machine_lacks_is_left_out_and_told(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv(images.VARIABLE, str(tmp_path / "none"))
    words = ["run", "dropout-overfitting", "--dry-run", "--profile"]
    done = call(*words, "full")
    assert "left out: dropout-overfitting on fashion-mnist" in done.err
    assert "left out: dropout-overfitting on cifar10" in done.err
    assert "dropout-overfitting/fashion-mnist" not in done.out
    assert call(*words, "standard").err == ""

    (tmp_path / "data" / "cifar10").mkdir(parents=True)
    (tmp_path / "data" / "cifar10" / images.CIFAR).write_bytes(b"")
    done = call(*words, "full", "--data-dir", str(tmp_path / "data"))
    assert "on cifar10" not in done.err
    assert "dropout-overfitting/cifar10/cifar10-500-none" in done.out


def test_a_data_folder_without_data_is_refused(call: Call, tmp_path: Path) -> None:
    done = call("run", "--profile", "full", "--data-dir", str(tmp_path))
    assert (done.code, done.out) == (3, "")
    assert "fashion-mnist/ or cifar10/" in done.err
