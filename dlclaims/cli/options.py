"""Options that several commands share."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dlclaims.data import images
from dlclaims.errors import EnvironmentFault, UsageError
from dlclaims.plan import CELL_MINUTES

Command = Callable[..., int]

pages = click.option(
    "--pages",
    "folders",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="DIR",
    help="A folder with pages of your own; may be given several times.",
)

out = click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of results. Default: ./results, or that of the clone when you"
    " are in one and ./results does not exist.",
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Number(click.ParamType[Any]):
    """A number of `kind`; what is none of them is told what was `expected`."""

    def __init__(self, kind: click.ParamType[Any], expected: str) -> None:
        self.kind, self.expected, self.name = kind, expected, "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        try:
            number = self.kind.convert(value, param, ctx)
            if math.isnan(number):
                self.fail("not a number")
            return number
        except click.BadParameter as error:
            option = param.opts[0] if param else self.name
            command = ctx.command_path if ctx else "dlclaims"
            raise UsageError(
                self.expected, f"{option} {value}", f"{command} --help"
            ) from error


jobs = click.option(
    "--jobs",
    type=Number(click.IntRange(min=1), "a number of workers from 1 up"),
    help="Workers. Default: one a core as far as memory goes, on GPUs one a card; a"
    " scheduler has its own.",
)

cell_minutes = click.option(
    "--cell-minutes",
    type=Number(click.FloatRange(min=0, min_open=True), "a number of minutes above 0"),
    default=CELL_MINUTES,
    show_default=True,
    help="A cell that takes longer fails.",
)

device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "gpu"]),
    default="auto",
    show_default=True,
)


def executor(command: Command) -> Command:
    """Add `--executor` and `--scheduler`."""
    who = click.option(
        "--executor",
        type=click.Choice(["local", "dask"]),
        default="local",
        show_default=True,
        help="Who runs the cells: this machine, or Dask.",
    )
    scheduler = click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Of Dask: tcp://host:port or tls://host:port. Default: workers here.",
    )
    return who(scheduler(command))


def verbosity(command: Command) -> Command:
    """Add `--quiet` and `--verbose`."""
    quiet = click.option("-q", "--quiet", is_flag=True, help="No progress, no notes.")
    verbose = click.option("-v", "--verbose", is_flag=True, help="A line a cell.")
    return quiet(verbose(command))


def common(command: Command) -> Command:
    """Add the options that every command has."""
    command = click.option(
        "--debug", is_flag=True, expose_value=False, help="Show tracebacks of errors."
    )(command)
    return click.option(
        "--no-color",
        is_flag=True,
        expose_value=False,
        callback=_set_color,
        help="Print without colours, as with NO_COLOR set.",
    )(command)


def _set_color(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value or os.environ.get("NO_COLOR"):
        context.color = False


def set_data_folder(_: click.Context, __: click.Parameter, value: Path | None) -> None:
    """Name the folder to this process and all workers that it starts."""
    if value is None:
        return
    if not any((value / name).is_dir() for name in images.WAYS):
        raise EnvironmentFault(
            f"a folder that holds {' or '.join(f'{name}/' for name in images.WAYS)}",
            f"--data-dir {value}",
            "name the folder above them",
        )
    os.environ[images.VARIABLE] = str(value.absolute())


def examples(*lines: str) -> str:
    """Return an epilog of example calls; the mark keeps click from filling it."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
