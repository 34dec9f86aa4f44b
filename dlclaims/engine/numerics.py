"""What decides the bits of a result: threads, compiler, replicas in a call.

`pin` fixes what belongs to the process; `plan` picks what belongs to a configuration,
from its arithmetic and steps alone, so that the same configuration gives the same bits
whatever else runs.
"""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass, replace

from dlclaims.errors import EnvironmentFault


@dataclass(frozen=True)
class Numerics:
    """The settings that a result's bits depend on.

    Parameters
    ----------
    intra_threads, inter_threads : int
        Threads inside one operation, and operations at the same time.
    replica_threads : int
        Python threads that feed chunks of replicas to one compiled program; does not
        change a bit.
    onednn, deterministic : bool
        Whether oneDNN kernels may be used; whether operations must be deterministic.
    xla : bool
        Whether programs are compiled by XLA. It also changes dropout masks.
    replicas_per_call : int
        Replicas that one call of a program trains as one batch of matrices.
    """

    intra_threads: int = 1
    inter_threads: int = 1
    replica_threads: int = 1
    onednn: bool = True
    deterministic: bool = True
    xla: bool = False
    replicas_per_call: int = 1


_pinned: Numerics | None = None

#: One thread an operation; and level 2 of LLVM, not 3: 40 layers with normalisation
#: compile in 11 s instead of 14, and a step of an LSTM takes three quarters.
XLA_FLAGS = ("--xla_cpu_multi_thread_eigen=false", "--xla_backend_optimization_level=2")


def pin(replica_threads: int = 1, onednn: bool = True) -> Numerics:
    """Fix this process' numerics; to be called before TensorFlow or JAX is imported.

    Every operation gets one thread, and processes fill the cores. `replica_threads`
    chunks of replicas run beside each other, each on its own thread, so the bits do not
    depend on it; programs compiled by XLA take turns all the same.

    Raises
    ------
    EnvironmentFault
        When a backend was imported before and other settings are asked for.
    """
    global _pinned
    wanted = Numerics(
        inter_threads=replica_threads, replica_threads=replica_threads, onednn=onednn
    )
    if _pinned == wanted:
        return wanted
    if _pinned is not None or {"tensorflow", "jax"} & set(sys.modules):
        raise EnvironmentFault(
            "engine.pin to come before TensorFlow and JAX are imported",
            "a process in which one of them is at work already",
            "call it first, in a fresh process",
        )
    os.environ.update(
        TF_CPP_MIN_LOG_LEVEL="3",
        TF_ENABLE_ONEDNN_OPTS=str(int(onednn)),
        TF_NUM_INTRAOP_THREADS="1",
        TF_NUM_INTEROP_THREADS=str(replica_threads),
        OMP_NUM_THREADS="1",
    )
    os.environ["XLA_FLAGS"] = " ".join(
        [os.environ.get("XLA_FLAGS", ""), *XLA_FLAGS]
    ).strip()
    _pinned = wanted
    return wanted


def current() -> Numerics:
    """Return this process' numerics, pinned with one thread when they were not yet.

    A process that imported a backend by itself keeps what that backend can no longer
    change; the backend reports what holds.
    """
    if _pinned is None and not {"tensorflow", "jax"} & set(sys.modules):
        pin()
    from dlclaims.engine import backends

    return backends.load().settings(_pinned or Numerics())


@dataclass(frozen=True)
class Work:
    """What the plan of a configuration depends on.

    Parameters
    ----------
    step_work : float
        Floating-point operations of one training step of one replica: three times those
        of the forward pass.
    steps : int
    replica_bytes : float
        What one replica holds in a training step: its weights, their gradients and
        optimizer variables, and what a batch leaves behind for the backward pass.
    has_convolution, has_recurrence, has_max_pooling : bool
    is_random : bool
        Whether a layer draws random numbers in training (dropout).
    """

    step_work: float
    steps: int
    replica_bytes: float = 0.0
    has_convolution: bool = False
    has_recurrence: bool = False
    has_max_pooling: bool = False
    is_random: bool = False


@dataclass(frozen=True)
class Machine:
    """Where programs run.

    Parameters
    ----------
    backend : str
        ``tensorflow`` or ``jax``.
    gpu_bytes : float
        Memory of the GPU that programs run on; 0 on a CPU.
    """

    backend: str = "tensorflow"
    gpu_bytes: float = 0.0


#: A step of one replica of at most so many floating-point operations costs more in
#: calls of operations than in doing them, and replicas that share each call win: in
#: short trainings (6 layers of 32, batch 64, 2.6e6: 0.24 ms a step and replica alone,
#: 0.13 by eights; 10 of 64, batch 32, 7.7e6: 0.43 and 0.33), and where a step is tiny,
#: always (4 layers of 32, batch 16, 4.5e5: 0.16 and 0.07, by XLA 0.08).
SMALL_STEP, TINY_STEP = 1e7, 1e6
SHARE = 8

#: XLA takes 1 to 4 s longer to compile and makes a step cheaper: 30 layers of 64 by a
#: third, an LSTM of 32 units over 30 steps from 3.4 to 1.5 ms, a GRU of 16 over 60 from
#: 5.2 to 1.2 ms. With the 28 replicas of a tuned variant that pays from so many steps.
XLA_STEPS = 500
XLA_STEPS_RECURRENT = 40

#: The part of a GPU's memory that replicas may fill; the rest is the programs' own.
GPU_SHARE = 0.5
GPU_REPLICAS = 1024


@dataclass(frozen=True)
class Pick:
    """What was picked for a configuration, and why."""

    work: Work
    numerics: Numerics
    reason: str


def plan(work: Work, machine: Machine, base: Numerics) -> Pick:
    """Pick compiler and replicas in a call for a configuration.

    The rule is calibrated on single cores, on other configurations than those of
    ``benchmarks/``, and knows neither the number of replicas nor the time: tuning and
    evaluation share one program, and a replica's bits do not depend on its company.
    """
    xla, share, reason = rule(work, machine)
    xla = xla or base.xla
    return Pick(work, replace(base, xla=xla, replicas_per_call=share), reason)


def rule(work: Work, machine: Machine) -> tuple[bool, int, str]:
    """Return whether to use XLA, the replicas in a call, and the reason."""
    least = XLA_STEPS_RECURRENT if work.has_recurrence else XLA_STEPS
    is_small = work.step_work <= (SMALL_STEP if work.steps < least else TINY_STEP)
    # The rest TensorFlow's vectorised map runs one replica at a time, or not at all.
    is_mapped = machine.backend == "jax" or not (
        work.has_convolution or work.has_recurrence or work.is_random
    )
    if machine.gpu_bytes and is_mapped:
        fits = GPU_SHARE * machine.gpu_bytes / max(1.0, work.replica_bytes)
        share = 1 << int(math.log2(min(GPU_REPLICAS, max(1.0, fits))))
        xla = machine.backend == "jax" or not work.has_max_pooling
        return xla, share, f"{share} replicas fill at most half of the GPU's memory"
    if machine.gpu_bytes:
        words = "TensorFlow has no rule to batch these layers over replicas"
        return not work.has_max_pooling, 1, words
    if machine.backend == "jax":
        share = SHARE if is_small and not work.has_convolution else 1
        return True, share, "JAX always compiles by XLA"
    if is_small and is_mapped:
        return False, SHARE, f"a small step: {SHARE} replicas share each operation"
    if work.has_convolution or work.has_max_pooling:
        return False, 1, "XLA is slow at convolutions on a CPU, and cannot pool maxima"
    if work.steps >= least:
        return True, 1, f"from {least} steps on XLA wins its compile time back"
    return False, 1, f"below {least} steps XLA does not win its compile time back"


_picks: list[Pick] = []


def note(pick: Pick) -> None:
    """Remember what was picked, for the record of the cell that is measured."""
    _picks.append(pick)


def picks() -> tuple[Pick, ...]:
    """Return what was picked since the last call, each once, and forget it."""
    found = tuple(dict.fromkeys(_picks))
    _picks.clear()
    return found
