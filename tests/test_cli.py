"""The command line as a newcomer types it: words, exit codes, where things go."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import dlclaims
from dlclaims import cli

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("list", "show", "run", "report", "status", "doctor")
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
        capsys.readouterr()
        known = words and words[0] in COMMANDS and "--help" not in words
        code = cli.call([*words, *(["--pages", str(folder)] if known else [])])
        return Done(code, *capsys.readouterr())

    return made


# Bad words: at most three lines on standard error, nothing on standard output


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["run", "batch-noize"], 2, "did you mean batch-noise?"),
        (["show", "batch-noise-rot"], 2, "did you mean batch-noise-root?"),
        (["run", "do-keep-vs-rate"], 2, "planned and not built yet"),
        (["run", "nothing-*"], 5, "dlclaims list"),
        (["run", "--seeds", "5-2"], 2, "--seeds 0-15"),
        (["run", "--seeds", "x"], 2, "--seeds 0-15"),
        (["run", "--seeds", "0"], 2, "--seeds 0-15"),
        (["run", "--jobs", "0"], 2, "x>=1"),
        (["run", "--jobs", "two"], 2, "not a valid integer"),
        (["run", "--profile", "fast"], 2, "'quick'"),
        (["run", "--device", "tpu"], 2, "'gpu'"),
        (["run", "--frsh"], 2, "--fresh"),
        (["run", "batch-noise", "--pages", "/no/such/folder"], 2, "that exists"),
        (["run", "batch-noise", "--out", "/dev/null/results"], 3, "/dev/null"),
        (["show"], 2, "dlclaims show --help"),
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

    monkeypatch.setattr("dlclaims.overview.contents", fails)
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

    monkeypatch.setattr("dlclaims.overview.contents", interrupted)
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
    assert "do-keep-vs-rate" in found["not_built"]["dropout-overfitting"]


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
        "-0.793 to -0.593 nats",
        "dlclaims run batch-noise --profile standard",
    ):
        assert words in done.out


def test_show_a_claim_that_is_only_planned(call: Call) -> None:
    done = call("show", "do-keep-vs-rate")
    assert done.code == 0
    assert "planned for page dropout-overfitting, not built yet" in done.out
    assert "question 9" in done.out


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


def test_colours_only_where_they_are_wanted(call: Call) -> None:
    assert "\x1b" not in call("show", "batch-noise").out


# Start


@pytest.mark.parametrize(
    "words", [["--help"], ["list"], ["show", "vanishing-gradient"], ["run", "--help"]]
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
