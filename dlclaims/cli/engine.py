"""How the engine would run here: what ``dlclaims doctor --engine`` tells, and why.

The answers come from a process like a worker's, which sees what a worker sees, and from
the rule by which the engine trains; there is no other copy of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dlclaims.cli import terminal
from dlclaims.engine import numerics
from dlclaims.engine.numerics import Machine, Numerics
from dlclaims.errors import EnvironmentFault
from dlclaims.report import words

if TYPE_CHECKING:
    import keras

START = (
    "import sys; sys.path[:] = sys.argv[1:]; from dlclaims.cli import engine;"
    " sys.stdout.write(engine.answer())"
)

#: What a machine without a GPU is compared with, in bytes.
USUAL_GPU = float(16 << 30)


@dataclass(frozen=True)
class Example:
    """A configuration that stands for many: a network, and how long it is trained."""

    name: str
    build: Callable[[], keras.Model]
    batch: int
    steps: int


def dense(depth: int, width: int, dropout: float = 0.0) -> keras.Model:
    """Return layers of equal width, each with dropout where a rate is given."""
    import keras

    layers = [keras.Input((width,))]
    for _ in range(depth):
        layers.append(keras.layers.Dense(width, "tanh"))
        layers += [keras.layers.Dropout(dropout)] if dropout else []
    return keras.Sequential(layers)


def recurrent(units: int, length: int) -> keras.Model:
    """Return an LSTM that reads so many steps."""
    import keras

    return keras.Sequential([keras.Input((length, units)), keras.layers.LSTM(units)])


def convolution(channels: int, side: int) -> keras.Model:
    """Return two convolutions of square images."""
    import keras

    layers = [keras.layers.Conv2D(channels, 3, padding="same") for _ in range(2)]
    return keras.Sequential([keras.Input((side, side, channels)), *layers])


EXAMPLES = (
    Example("dense, 6 layers of 32", partial(dense, 6, 32), 64, 1000),
    Example("the same with dropout", partial(dense, 6, 32, 0.1), 64, 1000),
    Example("dense, 30 layers of 64", partial(dense, 30, 64), 64, 300),
    Example("the same, trained longer", partial(dense, 30, 64), 64, 3000),
    Example("LSTM of 32, 30 steps long", partial(recurrent, 32, 30), 32, 300),
    Example("2 convolutions, 8x8 images", partial(convolution, 16, 8), 32, 300),
)


def examine() -> dict[str, Any]:
    """Return how a worker on this machine would run examples of configurations.

    Keys: ``backend``, ``device``, ``workers`` (at the same time, by default),
    ``gpu_bytes`` (0 on a CPU), ``numerics`` (of every configuration), ``matrix_peak``
    (operations a second), ``constants`` (of the rule), ``examples``.

    Raises
    ------
    EnvironmentFault
        The backend does not start.
    """
    from dlclaims.execution import slots
    from dlclaims.execution.context import resolve_device
    from dlclaims.execution.local import environment

    device = resolve_device("auto")
    places = slots(device)
    done = subprocess.run(
        [sys.executable, "-P", "-c", START, *sys.path],
        env=environment(device, places[0]),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EnvironmentFault(
            "a backend that starts",
            (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1],
            "run dlclaims doctor, which says what this machine lacks",
        )
    return {"device": device, "workers": len(places), **json.loads(done.stdout)}


def answer() -> str:
    """Return as JSON what this process knows of `examine`'s keys."""
    from dlclaims.engine import backends

    base = numerics.current()
    machine = backends.load().machine()
    names = ("TINY_STEP", "SMALL_STEP", "SHARE", "XLA_STEPS", "XLA_STEPS_RECURRENT")
    constants = (*names, "GPU_SHARE", "GPU_REPLICAS")
    return json.dumps(
        {
            **asdict(machine),
            "numerics": asdict(base),
            "matrix_peak": matrix_peak(),
            "constants": {name.lower(): getattr(numerics, name) for name in constants},
            "examples": [outlook(each, machine, base) for each in EXAMPLES],
        }
    )


def outlook(example: Example, machine: Machine, base: Numerics) -> dict[str, Any]:
    """Return what is picked for an example here, and on a GPU where there is none.

    Keys: ``name``, ``step_work``, ``steps``, ``xla``, ``replicas_per_call``,
    ``reason``, ``on_gpu`` (replicas a call, None where there is a GPU).
    """
    import keras

    from dlclaims.engine.blueprint import blueprint
    from dlclaims.engine.recipe import Recipe
    from dlclaims.engine.training import pick

    recipe = Recipe("mse", keras.optimizers.Adam, example.steps, example.batch)
    plan = blueprint(example.build, recipe.dtype)
    here = pick(plan, recipe, recipe.optimizer(), base)
    other = numerics.plan(here.work, replace(machine, gpu_bytes=USUAL_GPU), base)
    return {
        "name": example.name,
        "step_work": here.work.step_work,
        "steps": example.steps,
        "xla": here.numerics.xla,
        "replicas_per_call": here.numerics.replicas_per_call,
        "reason": here.reason,
        "on_gpu": None if machine.gpu_bytes else other.numerics.replicas_per_call,
    }


def matrix_peak(size: int = 1024, seconds: float = 0.25) -> float:
    """Return how many operations a second float32 matrix products come to, measured."""
    from keras import ops
    from scipy.linalg import hadamard

    # An orthogonal factor: however often it is applied, numbers keep their size.
    factor = ops.convert_to_tensor(hadamard(size) / size**0.5, "float32")
    product, number, elapsed = ops.matmul(factor, factor), 1, 0.0
    while elapsed < seconds:
        number *= 2
        began = time.perf_counter()
        for _ in range(number):
            product = ops.matmul(product, factor)
        ops.convert_to_numpy(product)  # waits for them
        elapsed = time.perf_counter() - began
    return 2.0 * size**3 * number / elapsed


def text(found: Mapping[str, Any]) -> str:
    """Return the checks, and below them how the engine would run."""
    own = found["engine"]
    gpu = own["gpu_bytes"]
    each = "one a card" if gpu else "one a core"
    place = f"{gpu / 2**30:.0f} GiB" if gpu else "one thread each"
    where = "on the GPU" if gpu else "on one core"
    facts = [
        ("backend", own["backend"]),
        ("device", f"{own['device']}, {place}"),
        ("workers", f"{own['workers']} at the same time, {each}"),
        ("matrix peak", f"{own['matrix_peak'] / 1e9:,.0f} GFLOP/s in float32 {where}"),
    ]
    here = ("configuration", "Mflop a step", "steps", "XLA", "replicas a call")
    heads = here if gpu else (*here, "on a GPU")
    rows = [
        [
            example["name"],
            f"{example['step_work'] / 1e6:,.1f}",
            f"{example['steps']:,}",
            "yes" if example["xla"] else "no",
            f"{example['replicas_per_call']:,}",
            *([] if gpu else [f"{example['on_gpu']:,}"]),
        ]
        for example in own["examples"]
    ]
    for row in rows:  # all but the names are numbers
        row[1:] = map(str.rjust, row[1:], map(len, heads[1:]))
    head, *lines = terminal.columns([heads, *rows]).splitlines()
    reasons = (terminal.wrap(example["reason"], "    ") for example in own["examples"])
    table = [part for pair in zip(lines, reasons, strict=True) for part in pair]
    return "\n\n".join(
        [
            terminal.checks(found),
            terminal.heading("How the engine would run here"),
            terminal.columns(facts),
            terminal.wrap(INTRODUCTION),
            "\n".join([head, *table]),
            terminal.wrap(_rule(own["constants"])),
        ]
    )


INTRODUCTION = (
    "One program trains all replicas of a variant: its seeds, at each learning rate."
    " Whether XLA compiles it, and how many replicas one call trains together, follows"
    " from the configuration, and on a GPU from its memory: never from measured time."
)


def _rule(constants: Mapping[str, Any]) -> str:
    own = {name: words.number(value, 0) for name, value in constants.items()}
    return (
        "Mflop: million floating-point operations, of one replica. XLA takes seconds to"
        f" compile and pays from {own['xla_steps']} steps on, in recurrent layers from"
        f" {own['xla_steps_recurrent']}. In shorter trainings a step of at most"
        f" {constants['small_step'] / 1e6:g} Mflop is small, in longer ones of at most"
        f" {constants['tiny_step'] / 1e6:g}: then {own['share']} replicas share each"
        f" call. On a GPU (in the table, where there is none, one of"
        f" {USUAL_GPU / 2**30:.0f} GiB) replicas fill at most"
        f" {constants['gpu_share']:.0%} of its memory, are at most"
        f" {own['gpu_replicas']}, and no more than a cell has."
    )
