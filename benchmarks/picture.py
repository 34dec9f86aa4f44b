"""The table of trainings as one figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contenders import CONTENDERS, GROWING
from benchmarks.workloads import GROWING as GROWING_WORKLOAD
from benchmarks.workloads import WORKLOADS, named

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: A colour for each library, a marker for each contender.
FAMILIES = {
    "keras": "#949494",
    "torch": "#d55e00",
    "jax": "#029e73",
    "engine": "#0173b2",
}
COLOURS = {name: FAMILIES[given.module] for name, given in CONTENDERS.items()}
MARKERS = dict(zip(CONTENDERS, "osDosvosX", strict=True)) | {"dlclaims": "o"}
TITLE = "All seeds from one program, beside what else trains them"


def save(folder: Path) -> None:
    """Draw ``engine.csv`` and ``machine.json`` of a folder as engine.svg and .png."""
    import matplotlib as mpl
    import pandas as pd
    import seaborn as sns
    from matplotlib.figure import Figure

    table = pd.read_csv(folder / "engine.csv")
    machine = json.loads((folder / "machine.json").read_text())
    with mpl.rc_context({**sns.axes_style("ticks"), "svg.hashsalt": "dlclaims"}):
        figure = Figure(figsize=(13, 11), layout="constrained", facecolor="white")
        axes = figure.subplot_mosaic(
            [
                ["ratio", "ratio", "legend"],
                ["rate", "compile", "memory"],
                ["seeds", "steps", "width"],
            ]
        )
        beside = same_seeds(table)
        ratios(beside, axes["ratio"])
        rates(beside, machine["matrix_peak_gflops"], axes["rate"])
        dots(beside, axes["compile"], "compile_seconds", "building, compiling: seconds")
        dots(beside, axes["memory"], "peak_mb", "peak memory: MiB, libraries included")
        axes["memory"].set(yscale="linear", ylim=(0, None))
        growth(table, axes)
        legend(axes["legend"])
        figure.suptitle(f"{TITLE} ({machine['cores']} cores, {machine['processor']})")
        for ax in axes.values():
            ax.spines[["top", "right"]].set_visible(False)
        figure.savefig(folder / "engine.png", dpi=120, metadata={"Software": None})
        named_title = {"Date": None, "Title": TITLE}
        figure.savefig(folder / "engine.svg", metadata=named_title)


def same_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have the workloads' own steps and as many seeds as most."""
    steps = table.workload.map({name: w.steps for name, w in WORKLOADS.items()})
    rows = table[table.steps == steps]
    return rows[rows.replicas == rows.replicas.mode().max()]


def dots(rows: pd.DataFrame, ax: Axes, column: str, label: str) -> None:
    """Draw a column by workload on a logarithmic axis, a dot a contender."""
    import seaborn as sns

    rows = rows[rows[column] > 0]  # PyTorch does not compile
    if rows.empty:
        ax.set_axis_off()
        return
    sns.scatterplot(
        rows,
        x="workload",
        y=column,
        hue="contender",
        style="contender",
        palette=COLOURS,
        markers=MARKERS,
        s=60,
        alpha=0.85,
        legend=False,
        ax=ax,
    )
    ax.set(yscale="log", xlabel="", ylabel=label)
    ax.margins(x=0.08)


def ratios(rows: pd.DataFrame, ax: Axes) -> None:
    dots(rows, ax, "ratio_to_fit", "times as fast as a loop of keras.fit")
    goals = {name: WORKLOADS[name].goal for name in rows.workload.unique()}
    for place, goal in enumerate(goals.values()):
        if goal:
            ax.hlines(goal, place - 0.3, place + 0.3, "black", linestyles="dashed")
            ax.annotate(f"goal {goal:g}", (place + 0.32, goal), va="center")


def rates(rows: pd.DataFrame, peak: float, ax: Axes) -> None:
    dots(rows, ax, "gflops", "GFLOP/s")
    ax.axhline(peak, color="black", linestyle="dashed")
    share = ax.secondary_yaxis("right", (lambda v: v / peak, lambda v: v * peak))
    share.set_ylabel("share of the measured matrix peak (dashed)")


def growth(table: pd.DataFrame, axes: dict[str, Axes]) -> None:
    """Draw how total seconds grow with seeds, steps and width, one at a time."""
    rows = table[table.contender.isin(GROWING)]
    own = rows[rows.workload == GROWING_WORKLOAD.name]
    seeds = own[own.steps == GROWING_WORKLOAD.steps]
    number = same_seeds(table).replicas.max()
    # A loop trains few seeds where it takes long, and needs as many seconds for each.
    same = ["contender", "workload", "steps"]
    few = rows[rows.replicas <= number].sort_values("replicas")
    each = few.drop_duplicates(same, keep="last")
    whole = each.assign(total_seconds=number * each.total_seconds / each.replicas)
    long = whole[whole.workload == GROWING_WORKLOAD.name]
    base = whole.workload.str.partition("/")[0] == GROWING_WORKLOAD.name
    wide = whole[base & (whole.steps == GROWING_WORKLOAD.steps)].assign(
        width=lambda part: [named(name).net.width for name in part.workload]
    )
    lines(seeds, axes["seeds"], "replicas", "seeds")
    lines(long, axes["steps"], "steps", f"steps ({number} seeds)")
    lines(wide, axes["width"], "width", f"width ({number} seeds)")


def lines(rows: pd.DataFrame, ax: Axes, x: str, label: str) -> None:
    import seaborn as sns
    from matplotlib.ticker import NullFormatter, NullLocator

    rows = rows.dropna(subset="total_seconds")
    if rows.empty:
        ax.set_axis_off()
        return
    sns.lineplot(
        rows,
        x=x,
        y="total_seconds",
        hue="contender",
        style="contender",
        palette=COLOURS,
        markers=MARKERS,
        dashes=False,
        legend=False,
        ax=ax,
    )
    ticks = sorted(rows[x].unique())
    ax.set(xscale="log", yscale="log", xlabel=label, ylabel="total seconds")
    ax.set_title(f"{GROWING_WORKLOAD.name}: growth with {x}")
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())


def legend(ax: Axes) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker=MARKERS[name], color=COLOURS[name])
        for name in CONTENDERS
    ]
    ax.legend(handles, list(CONTENDERS), loc="center left", frameon=False, fontsize=11)
    ax.set_axis_off()
