"""``python -m benchmarks``: train everything by everybody, write and draw the table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from benchmarks import launch, machine
from benchmarks.contenders import CONTENDERS, EAGER, FIT, GROWING, OURS, Contender
from benchmarks.results import Row, Table
from benchmarks.workloads import GROWING as GROWING_WORKLOAD
from benchmarks.workloads import LONG, REPLICAS, WIDTHS, WORKLOADS, Workload, wide

PARTS = ("table", "long", "growth")
FULL, PARTIAL = Path(__file__).parent / "results", Path("build/benchmarks")
LONG_CONTENDERS = (FIT, EAGER, "JAX, 2 threads", OURS)
LOOP_REPLICAS = 2  # of a loop where it takes long: it shares nothing between seeds
SEEDS = (1, 4, 16, 64)
QUICK_REPLICAS, QUICK_STEPS = 2, 10

#: Workload, contender, replicas, steps.
Task = tuple[Workload, Contender, int, int]


@click.command()
@click.option("-w", "--workload", type=click.Choice(list(WORKLOADS)), multiple=True)
@click.option("-c", "--contender", type=click.Choice(list(CONTENDERS)), multiple=True)
@click.option("--part", type=click.Choice(PARTS), multiple=True)
@click.option("--replicas", type=click.IntRange(1), default=REPLICAS, show_default=True)
@click.option(
    "--quick",
    is_flag=True,
    help=f"{QUICK_REPLICAS} replicas, {QUICK_STEPS} steps: does everything work?",
)
@click.option("--limit", default=150.0, show_default=True, help="Seconds a training.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Default: benchmarks/results, or {PARTIAL} if only a part is run.",
)
def main(
    workload: tuple[str, ...],
    contender: tuple[str, ...],
    part: tuple[str, ...],
    replicas: int,
    quick: bool,
    limit: float,
    out: Path | None,
) -> None:
    """Time the engine beside its peers; without options, all of it."""
    is_part = bool(workload or contender or part or quick or replicas != REPLICAS)
    out = out or (PARTIAL if is_part else FULL)
    out.mkdir(parents=True, exist_ok=True)
    facts = machine.describe()
    (out / "machine.json").write_text(json.dumps(facts, indent=2) + "\n")
    peak = facts["matrix_peak_gflops"]
    print(f"{facts['cores']} cores, {facts['processor']}, peak {peak} GFLOP/s")
    chosen = [WORKLOADS[name] for name in workload or WORKLOADS]
    trainers = [CONTENDERS[name] for name in CONTENDERS if name in contender] or list(
        CONTENDERS.values()
    )
    if quick:
        each = [(w, c, QUICK_REPLICAS, QUICK_STEPS) for w in chosen for c in trainers]
    else:
        each = list(tasks(part or PARTS, chosen, trainers, replicas))
    table = Table(peak)
    for task in dict.fromkeys(each):  # growth shares some with the other parts
        print(train(table, *task, limit), flush=True)
        table.write(out / "engine.csv")
    if not quick:
        from benchmarks import picture

        print(*("", *table.summary()), sep="\n")
        picture.save(out)
    print(f"\nwritten to {out}")


def tasks(
    parts: tuple[str, ...],
    workloads: list[Workload],
    contenders: list[Contender],
    replicas: int,
) -> Iterator[Task]:
    """Yield what is trained, the baseline of each workload first.

    Long are the trainings of the workloads that have a goal.
    """
    few = min(LOOP_REPLICAS, replicas)
    if "table" in parts:
        for workload in workloads:
            for contender in contenders:
                yield workload, contender, replicas, workload.steps
    if "long" in parts:
        for workload in workloads:
            for contender in contenders:
                if workload.goal and contender.name in LONG_CONTENDERS:
                    number = few if contender.is_loop else replicas
                    yield workload, contender, number, LONG * workload.steps
    if "growth" in parts and GROWING_WORKLOAD in workloads:
        steps = GROWING_WORKLOAD.steps
        for contender in contenders:
            if contender.name in GROWING:
                for number in SEEDS:
                    yield GROWING_WORKLOAD, contender, number, steps
                for width in WIDTHS:
                    number = few if contender.is_loop else replicas
                    yield wide(width), contender, number, steps


def train(
    table: Table,
    workload: Workload,
    contender: Contender,
    replicas: int,
    steps: int,
    limit: float,
) -> str:
    """Train once, add the row if there is one, and tell it in a line."""
    head = f"{workload.name:7} {contender.name:23} {replicas:3} x {steps:5}"
    empty = Row(workload.name, contender.name, replicas, steps)
    try:
        hopeless(table, workload, contender, replicas, steps, limit)
        outcome = launch.run(contender, workload.name, range(replicas), steps, limit)
    except launch.Exceeded as reason:
        table.rows.append(empty)
        return f"{head}   {reason}"
    except launch.Missed as reason:
        return f"{head}   {reason}"
    row = Row(
        *(workload.name, contender.name, replicas, steps),
        *(outcome.total_seconds, outcome.compile_seconds, outcome.peak_mb),
    )
    table.rows.append(row)
    return head + table.line(row)


def hopeless(
    table: Table,
    workload: Workload,
    contender: Contender,
    replicas: int,
    steps: int,
    limit: float,
) -> None:
    """Raise Exceeded where a shorter training of as many replicas tells it before."""
    shorter = table.find(contender.name, workload.name, workload.steps, replicas)
    if steps == workload.steps or shorter is None:
        return
    total, compiling = shorter.total_seconds, shorter.compile_seconds or 0.0
    if total is None or (total - compiling) * steps / workload.steps > limit:
        raise launch.Exceeded(f"over {limit:g} s, as {workload.steps} steps tell")


if __name__ == "__main__":
    main()
