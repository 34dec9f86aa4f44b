"""The wheel and the five situations in which the pages must be found."""

import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LIST = ("-m", "dlclaims", "list", "--json")
SOURCES = ("dlclaims", "experiments", "pyproject.toml", "README.md", "LICENSE")

#: Prints where the library and its pages lie, what a spawned worker finds there, and
#: whether a top-level name `experiments` came along.
PROBE = """
import importlib.util, json, multiprocessing
import dlclaims
from dlclaims import pages

if __name__ == "__main__":
    folder = pages.built_in_folder()
    found = pages.find([folder])
    with multiprocessing.get_context("spawn").Pool(1) as worker:
        loaded = worker.starmap(pages.load, found.items())
    print(json.dumps({
        "library": dlclaims.__file__,
        "folder": str(folder),
        "pages": [page.name for page in loaded],
        "leak": importlib.util.find_spec("experiments") is not None,
    }))
"""

#: situation: (what is installed, whether Python runs inside the clone, whether the
#: clone's files are used)
SITUATIONS = {
    "wheel elsewhere": ("wheel", False, False),
    "wheel inside the clone": ("wheel", True, True),
    "editable elsewhere": ("editable", False, True),
    "editable in the clone": ("editable", True, True),
    "bare clone": (None, True, True),
}


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the sources, so that building leaves nothing in the clone."""
    folder = tmp_path_factory.mktemp("clone")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheels(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the wheel and the editable wheel, made by the hooks that pip calls."""
    built = {}
    for kind in ("wheel", "editable"):
        folder = tmp_path_factory.mktemp(kind)
        hook = f"from setuptools.build_meta import *; build_{kind}({str(folder)!r})"
        run(sys.executable, "-W", "ignore", "-c", hook, cwd=clone)
        (built[kind],) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environments(
    wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str | None, Path]:
    """Return the Python of a fresh environment for each kind of installation.

    Third-party packages are borrowed from this one by a path file, which does not
    borrow the editable dlclaims: that needs a path file of its own.
    """
    pythons = {}
    for kind in (*wheels, None):
        folder = tmp_path_factory.mktemp(f"environment-{kind}")
        run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
        pythons[kind] = folder / "bin" / "python"
        if kind is not None:
            pip = (sys.executable, "-m", "pip", "--python", pythons[kind])
            install = ("install", "--quiet", "--no-deps", "--no-index", wheels[kind])
            run(*pip, *install, cwd=folder)
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return pythons


def files_of_the_library(clone: Path) -> set[str]:
    """Return what an installation must hold, as paths below site-packages."""
    library = {
        str(file.relative_to(clone))
        for file in (clone / "dlclaims").rglob("*")
        if file.is_file()
    }
    pages = {
        f"dlclaims/{file.relative_to(clone)}"
        for file in (clone / "experiments").rglob("*")
        if file.is_file()
    }
    return library | pages


def test_the_wheel_holds_exactly_the_library_and_the_pages(
    clone: Path, wheels: dict[str, Path]
) -> None:
    with zipfile.ZipFile(wheels["wheel"]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == files_of_the_library(clone)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_pages_are_found(
    situation: str,
    clone: Path,
    environments: dict[str | None, Path],
    tmp_path: Path,
) -> None:
    installed, inside, cloned = SITUATIONS[situation]
    probe = (clone if inside else tmp_path) / "probe.py"
    probe.write_text(PROBE)
    python = environments[installed]
    answer = json.loads(run(python, probe, cwd=probe.parent))
    listed = json.loads(run(python, *LIST, cwd=probe.parent))
    probe.unlink()
    home = clone if cloned else python.parent.parent
    assert Path(answer["library"]).is_relative_to(home)
    assert Path(answer["folder"]).is_relative_to(home)
    assert answer["pages"] == sorted(
        path.stem.replace("_", "-")
        for path in (clone / "experiments").glob("[a-z]*")
        if path.suffix in {"", ".py"}
    )
    assert [page["name"] for page in listed["pages"]] == answer["pages"]
    assert listed["broken"] == []
    assert answer["leak"] is inside


def test_a_page_runs_from_the_wheel_outside_the_clone(
    environments: dict[str | None, Path], tmp_path: Path
) -> None:
    python = environments["wheel"]
    command = ("run", "vanishing-gradient", "--profile", "smoke", "--jobs", "1")
    run(python, "-m", "dlclaims", *command, "--out", "results", cwd=tmp_path)
    listed = json.loads(run(python, *LIST, cwd=tmp_path))
    (page,) = (p for p in listed["pages"] if p["name"] == "vanishing-gradient")
    verdicts = tmp_path / "results" / "vanishing-gradient" / "verdicts.json"
    claims = json.loads(verdicts.read_text())["claims"]
    assert sorted(claims) == sorted(page["claims"])
    report = (tmp_path / "results" / "report.html").read_text()
    assert [claim for claim in claims if claim not in report] == []
