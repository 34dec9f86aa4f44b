"""The command line: words in, text or JSON out, an exit code. No logic of its own.

Data go to standard output, everything else to standard error. Exit codes: 0 done,
1 a cell or a page failed, 2 usage, 3 environment, 4 a gate failed (the report differs,
an error rate is too high), 5 a pattern matched nothing, 75 locked, 130 interrupted.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from dlclaims import __version__, results
from dlclaims.cli import authoring, options, overview, terminal
from dlclaims.errors import DlclaimsError, TimeUp
from dlclaims.plan import PROFILES, parse_seeds
from dlclaims.report import words
from dlclaims.shelf import Shelf, shelve

FAILED, GATE, INTERRUPTED = 1, 4, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit with its code; see the module's docstring."""
    sys.exit(call(list(sys.argv[1:] if arguments is None else arguments)))


def call(arguments: list[str]) -> int:
    """Run a command; return its exit code, telling errors in at most three lines."""
    debug = "--debug" in arguments or bool(os.environ.get("DLCLAIMS_DEBUG"))
    logging.getLogger("dlclaims").handlers = [_Notes()]
    try:
        # The words themselves go along as click's object, for advice that repeats them.
        done = cli.main(arguments, "dlclaims", standalone_mode=False, obj=arguments)
        return done or 0
    except click.Abort:
        without = " without --fresh" if "--fresh" in arguments else ""
        words = f"interrupted; finished cells are kept: the same command{without}"
        terminal.note(f"{words} goes on")
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        told = _as_told(error)
        terminal.tell(told)
        return told.exit_code


class _Notes(logging.Handler):
    """Passes on what the library warns of, such as a damaged cell."""

    def emit(self, record: logging.LogRecord) -> None:
        terminal.note(record.getMessage())


def _as_told(error: Exception) -> DlclaimsError:
    if isinstance(error, DlclaimsError):
        return error
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "dlclaims"
        usage = context.get_usage().removeprefix("Usage: ") if context else path
        return _Usage(usage, error.format_message(), f"{path} --help")
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return DlclaimsError(
        "no fault in dlclaims",
        f"{type(error).__name__} at {place}: {error}",
        "run again with --debug, and report what it prints",
    )


class _Usage(DlclaimsError):
    exit_code = 2


@click.group(
    invoke_without_command=True,
    epilog=options.examples(
        "dlclaims list                       what there is",
        "dlclaims run vanishing-gradient     train, judge, report",
        "dlclaims show vg-relu-not-immune    what came out, and how sure it is",
    ),
)
@click.version_option(__version__, message="%(version)s")
@click.pass_context
def cli(context: click.Context) -> int:
    """Test the statements that people learn about deep learning."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
    return 0


@cli.command(
    "list",
    epilog=options.examples(
        "dlclaims list", "dlclaims list --json", "dlclaims list --pages ~/my-pages"
    ),
)
@options.pages
@options.out
@options.as_json
@options.common
def list_pages(folders: Sequence[Path], out: Path | None, as_json: bool) -> int:
    """List the pages, their verdicts, and what is not built yet."""
    shelf = shelve(folders)
    found = overview.contents(shelf, out or results.default_out())
    _print(found, as_json, terminal.contents)
    return _tell_broken(shelf)


@cli.command(
    epilog=options.examples(
        "dlclaims show vanishing-gradient",
        "dlclaims show vg-relu-not-immune",
        'dlclaims show "vg-*" --json',
    )
)
@click.argument(
    "names",
    nargs=-1,
    required=True,
    metavar="PAGE-OR-CLAIM...",
    shell_complete=authoring.complete_names,
)
@options.pages
@options.out
@options.as_json
@options.common
def show(
    names: Sequence[str], folders: Sequence[Path], out: Path | None, as_json: bool
) -> int:
    """Show a page or a claim: what is asserted, what decides, what came out."""
    shelf = shelve(folders)
    found = overview.describe(shelf, names, out or results.default_out())
    _print(found, as_json, terminal.descriptions)
    return 0


@cli.command(
    epilog=options.examples(
        "dlclaims run",
        "dlclaims run vanishing-gradient --profile quick",
        'dlclaims run "vanishing*" --dry-run',
        "dlclaims run my-claim --pages ~/my-pages --out ~/my-results",
    )
)
@click.argument(
    "names",
    nargs=-1,
    metavar="[PAGES]...",
    shell_complete=authoring.complete_names,
)
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="standard",
    show_default=True,
    help="Seeds and grids: smoke has 3 seeds, quick 8, standard 16, full 30.",
)
@click.option(
    "--seeds", metavar="N|A-B", help="Other evaluation seeds: 8 (the first) or 0-15."
)
@options.jobs
@options.device
@options.executor
@options.out
@options.pages
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    expose_value=False,
    is_eager=True,
    callback=options.set_data_folder,
    help="A folder with fashion-mnist/ or cifar10/, for --profile full. Default:"
    " $DLCLAIMS_DATA.",
)
@click.option("--fresh", is_flag=True, help="Measure again what is stored.")
@click.option(
    "--only-failed", is_flag=True, help="Only pages that lost cells or broke."
)
@click.option(
    "--max-minutes",
    type=options.Number(
        click.FloatRange(min=0, min_open=True), "a number of minutes above 0"
    ),
    help="Stop after so long; the same command goes on.",
)
@options.cell_minutes
@click.option("--dry-run", is_flag=True, help="Tell which cells would run, and why.")
@options.as_json
@options.verbosity
@options.common
def run(
    names: Sequence[str],
    profile: str,
    seeds: str | None,
    jobs: int | None,
    device: str,
    executor: str,
    scheduler: str | None,
    out: Path | None,
    folders: Sequence[Path],
    fresh: bool,
    only_failed: bool,
    max_minutes: float | None,
    cell_minutes: float,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Run pages: train what is not trained yet, judge, write the report.

    PAGES are names of pages, ids of claims, or quoted patterns of them; all pages
    without. Finished cells are never trained again, so that a run that was interrupted
    goes on where it stopped.
    """
    from dlclaims import execution, suite, survey
    from dlclaims.cli.progress import Progress
    from dlclaims.design import design

    folder = out or results.default_out()
    numbers = parse_seeds(seeds) if seeds is not None else None
    executor = "dask" if scheduler else executor
    execution.check(jobs, executor, scheduler)
    wanted = design(names, profile=profile, seeds=numbers, folders=folders)
    if dry_run:
        prospects = survey.dry_run(
            wanted, folder, device=device, executor=executor, fresh=fresh
        )
        _print(overview.prospects(prospects), as_json, terminal.prospects)
        terminal.tell_left_out(wanted.left_out)
        return _tell_broken(wanted.shelf, wanted.names)
    try:
        with Progress(
            wanted.all_cells(),
            survey.seconds_before(folder, wanted.names),
            execution.workers(jobs, device, executor, scheduler),
            verbosity=verbose - quiet,
            color=click.get_current_context().color,
        ) as progress:
            found = suite.run(
                names,
                profile=profile,
                seeds=numbers,
                jobs=jobs,
                device=device,
                executor=executor,
                scheduler=scheduler,
                out=folder,
                folders=folders,
                fresh=fresh,
                only_failed=only_failed,
                max_minutes=max_minutes,
                cell_minutes=cell_minutes,
                on_event=progress,
            )
    except TimeUp as over:
        terminal.tell_failures(over.failed, _again("--only-failed"))
        terminal.note(f"{over.received}; to go on: {_again()}")
        return FAILED if over.failed else 0
    if not quiet:
        terminal.tell_left_out(wanted.left_out)
        trained, stored = (
            sum(getattr(p, n) for p in found) for n in ("trained", "cached")
        )
        terminal.note(f"{words.count(trained, 'cell')} trained, {stored} stored")
    _print(overview.outcome(found, folder), as_json, terminal.outcome)
    for page in found:
        terminal.tell_failures(page.failed, _again("--only-failed"))
        if page.error:
            terminal.tell(page.error)
    return FAILED if any(page.failed or page.error for page in found) else 0


@cli.command(
    epilog=options.examples(
        "dlclaims power vanishing-gradient",
        "dlclaims power vg-relu-not-immune --json",
    )
)
@click.argument(
    "names",
    nargs=-1,
    required=True,
    metavar="PAGE-OR-CLAIM...",
    shell_complete=authoring.complete_names,
)
@options.out
@options.pages
@options.as_json
@options.common
def power(
    names: Sequence[str], out: Path | None, folders: Sequence[Path], as_json: bool
) -> int:
    """Tell how many seeds a page or a claim needs, from the spread of its results.

    A run of few seeds (--profile quick) is enough to plan a longer one.
    """
    from dlclaims import planning
    from dlclaims.cli.power import description, text

    found = planning.prospects(shelve(folders), names, out or results.default_out())
    _print(description(found), as_json, text)
    return 0


@cli.command(
    epilog=options.examples(
        "dlclaims calibrate", "dlclaims calibrate vanishing-gradient"
    )
)
@click.argument(
    "names",
    nargs=-1,
    metavar="[PAGES]...",
    shell_complete=authoring.complete_names,
)
@click.option(
    "--profile",
    type=click.Choice(["quick", "standard", "full"]),
    default="standard",
    show_default=True,
    help="Of the results that are calibrated.",
)
@click.option(
    "--simulated",
    type=options.Number(click.IntRange(min=100), "a number of claims from 100 up"),
    default=10_000,
    show_default=True,
    help="Claims for each kind of noise.",
)
@options.jobs
@options.device
@options.executor
@options.cell_minutes
@options.out
@options.pages
@options.as_json
@options.verbosity
@options.common
def calibrate(
    names: Sequence[str],
    profile: str,
    simulated: int,
    jobs: int | None,
    device: str,
    executor: str,
    scheduler: str | None,
    cell_minutes: float,
    out: Path | None,
    folders: Sequence[Path],
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Measure how often verdicts err, and whether they come out again.

    Judges claims whose truth is known, compares every arm of the PAGES with itself, and
    repeats the pages on other seeds. They must have been run. Exit code 4 when an error
    rate lies above its bound.
    """
    from dlclaims import calibration, execution, suite, survey
    from dlclaims.cli import calibration as calibrated
    from dlclaims.cli.progress import Progress

    folder = out or results.default_out()
    executor = "dask" if scheduler else executor
    execution.check(jobs, executor, scheduler)
    wanted = calibration.prepare(names, profile=profile, out=folder, folders=folders)
    with Progress(
        calibration.all_cells(wanted),
        survey.seconds_before(folder, wanted.names),
        execution.workers(jobs, device, executor, scheduler),
        verbosity=verbose - quiet,
        color=click.get_current_context().color,
    ) as progress:
        found = calibration.run(
            names,
            profile=profile,
            simulated=simulated,
            jobs=jobs,
            device=device,
            executor=executor,
            scheduler=scheduler,
            out=folder,
            folders=folders,
            cell_minutes=cell_minutes,
            on_event=progress,
        )
    shelf = shelve(folders)
    suite.write_report(folder, shelf, shelf.pages)
    told = {"calibration": found.calibrated, "replication": found.replicated}
    _print(told, as_json, calibrated.text)
    terminal.tell_failures(found.failed, _again())
    if found.failed:
        return FAILED
    return 0 if found.calibrated["passed"] else GATE


@cli.command(epilog=options.examples("dlclaims report", "dlclaims report --check"))
@click.option("--check", is_flag=True, help="Compare with what is there; exit 4.")
@options.out
@options.pages
@options.common
def report(check: bool, out: Path | None, folders: Sequence[Path]) -> int:
    """Render the report again from the results; nothing is trained."""
    from dlclaims import suite
    from dlclaims.report import check as check_report
    from dlclaims.store import Store

    folder = out or results.default_out()
    shelf = shelve(folders)
    if not check:
        with Store(folder / "cells").hold():
            click.echo(suite.write_report(folder, shelf))
        return _tell_broken(shelf)
    differences = check_report(folder, shelf.pages)
    for difference in differences:
        click.echo(difference)
    if differences:
        terminal.tell(
            DlclaimsError(
                f"the report in {folder} to be what its results give",
                words.count(len(differences), "difference"),
                "dlclaims report, and commit what it writes",
            )
        )
        return GATE
    return _tell_broken(shelf)


@cli.command(
    epilog=options.examples(
        "dlclaims status", "dlclaims status vanishing-gradient --json"
    )
)
@click.argument(
    "names",
    nargs=-1,
    metavar="[PAGES]...",
    shell_complete=authoring.complete_names,
)
@options.out
@options.pages
@options.as_json
@options.common
def status(
    names: Sequence[str], out: Path | None, folders: Sequence[Path], as_json: bool
) -> int:
    """Tell which pages have results, whether they are current, and what lacks."""
    from dlclaims import survey
    from dlclaims.design import design

    wanted = design(names, folders=folders)
    found = survey.status(wanted, out or results.default_out())
    _print(overview.standings(found), as_json, terminal.standings)
    return _tell_broken(wanted.shelf, wanted.names)


@cli.command(epilog=options.examples("dlclaims export --csv ~/tables"))
@click.option(
    "--csv",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Where the tables go.",
)
@options.out
@options.common
def export(folder: Path, out: Path | None) -> int:
    """Write all tables as CSV for other programs, and one over all claims."""
    from dlclaims import housekeeping

    for file in housekeeping.export(out or results.default_out(), folder):
        click.echo(file)
    return 0


@cli.command(
    epilog=options.examples("dlclaims clean --dry-run", "dlclaims clean --stale")
)
@click.option(
    "--stale",
    is_flag=True,
    help="Also cells that the present code or data would not make.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would be deleted.")
@options.out
@options.pages
@options.common
def clean(stale: bool, dry_run: bool, out: Path | None, folders: Sequence[Path]) -> int:
    """Delete damaged cells and logs of failures; results and good cells stay.

    Cells of pages that are not at hand are left alone: name their folder with --pages.
    """
    from dlclaims import housekeeping

    folder, shelf = out or results.default_out(), shelve(folders)
    found = (
        tuple(housekeeping.leavings(folder, shelf, stale))
        if dry_run
        else housekeeping.clean(folder, shelf, stale)
    )
    click.echo(terminal.leavings(found, folder, dry_run))
    return 0


@cli.command(epilog=options.examples("dlclaims doctor", "dlclaims doctor --engine"))
@click.option(
    "--engine", "with_engine", is_flag=True, help="Tell how training would run, too."
)
@options.out
@options.pages
@options.as_json
@options.common
def doctor(
    with_engine: bool, out: Path | None, folders: Sequence[Path], as_json: bool
) -> int:
    """Look for what this machine lacks: versions, cores, memory, device, folders."""
    from dlclaims.cli import engine
    from dlclaims.cli.doctor import examine

    checks = examine(out or results.default_out(), folders)
    found = overview.checks(checks)
    if with_engine:
        found["engine"] = engine.examine()
    _print(found, as_json, engine.text if with_engine else terminal.checks)
    return 0 if all(check.is_fine for check in checks) else 3


@cli.command(
    epilog=options.examples("dlclaims quiz", "dlclaims quiz vanishing-gradient")
)
@click.argument(
    "names",
    nargs=-1,
    metavar="[PAGE-OR-CLAIM]...",
    shell_complete=authoring.complete_names,
)
@options.out
@options.pages
@options.as_json
@options.common
def quiz(
    names: Sequence[str], out: Path | None, folders: Sequence[Path], as_json: bool
) -> int:
    """Ask what people believe and experiments do not simply confirm.

    Off a terminal all questions are printed with their answers.
    """
    from dlclaims.cli.quiz import ask, questions, text

    found = questions(shelve(folders), names, out or results.default_out())
    if sys.stdin.isatty() and sys.stdout.isatty() and not as_json:
        ask(found)
    else:
        _print(found, as_json, text)
    return 0


@cli.command(
    epilog=options.examples("dlclaims new learning-rate-warmup --pages ~/my-pages")
)
@click.argument("name")
@click.option(
    "--pages",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("my-pages"),
    show_default=True,
    metavar="DIR",
    help="The folder of your own pages.",
)
@options.common
def new(name: str, folder: Path) -> int:
    """Write a page of your own that runs in seconds, to be rewritten."""
    file = authoring.write_page(name, folder, shelve(()))
    click.echo(file)
    terminal.note(f"try: dlclaims run {name} --pages {folder} --profile quick")
    return 0


@cli.command(epilog=options.examples('eval "$(dlclaims completion bash)"'))
@click.argument("shell", type=click.Choice(authoring.SHELLS))
@options.common
def completion(shell: str) -> int:
    """Print what a shell reads to complete commands, options, pages and claims."""
    click.echo(authoring.completion(shell, cli))
    return 0


def _again(*words: str) -> str:
    """Return the command that goes on with this one, as a shell takes it.

    It has no ``--fresh``, which would measure again what is stored.
    """
    own = [word for word in click.get_current_context().obj if word != "--fresh"]
    return shlex.join(["dlclaims", *own, *(word for word in words if word not in own)])


def _print(found: Any, as_json: bool, text: Callable[[Any], str]) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        click.echo(text(found))


def _tell_broken(shelf: Shelf, names: Sequence[str] | None = None) -> int:
    """Tell why pages do not load: all of them, or those that are named."""
    broken = [e for n, e in shelf.broken.items() if names is None or n in names]
    for error in broken:
        terminal.tell(error)
    return FAILED if broken else 0
