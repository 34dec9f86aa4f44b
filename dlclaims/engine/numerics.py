"""What decides the bits of a result: threads, compiler, replicas in a call.

`pin` fixes what belongs to the process; `plan` picks what belongs to a configuration,
from its arithmetic and steps alone, so that the same configuration gives the same bits
whatever else runs.
"""

from __future__ import annotations

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
    onednn: bool = False
    deterministic: bool = True
    xla: bool = False
    replicas_per_call: int = 1


_pinned: Numerics | None = None


def pin(replica_threads: int = 1, onednn: bool = False) -> Numerics:
    """Fix this process' numerics; to be called before TensorFlow or JAX is imported.

    Every operation gets one thread. `replica_threads` chunks of replicas run beside
    each other, each on its own thread, so the bits do not depend on it.

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
        [os.environ.get("XLA_FLAGS", ""), "--xla_cpu_multi_thread_eigen=false"]
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


#: A network is tiny when one training step of one replica takes at most so many
#: floating-point operations: then calling operations costs more than doing them, and
#: replicas that share each call win. 5 layers of 16 units, batch 32 (0.4e6): 0.11 ms a
#: step and replica alone, 0.05 ms by eights; 2 layers of 64 (1.7e6): 0.11 and 0.09 ms.
TINY_STEP = 1e6
TINY_SHARE = 8

#: XLA saves some 12 microseconds a step and dense layer, and costs 0.8 s and 0.1 s a
#: layer once for tuning and evaluation of a variant (50 replicas): it pays from here.
XLA_STEPS = 500


def plan(
    step_work: float, steps: int, has_convolution: bool, is_random: bool, base: Numerics
) -> Numerics:
    """Pick compiler and replicas in a call for a configuration.

    The rule is calibrated on single cores (ms beside the constants), and knows neither
    the number of replicas nor the time: tuning and evaluation share one program, and a
    replica's bits do not depend on its company.

    Parameters
    ----------
    step_work : float
        Floating-point operations of one training step of one replica.
    steps : int
    has_convolution : bool
        XLA cannot train convolutions on a CPU in useful time.
    is_random : bool
        Whether the model draws random numbers in training (dropout): stacked draws have
        no rule in TensorFlow's vectorised map, and run one replica at a time.
    base : Numerics
        The process' settings.
    """
    if step_work <= TINY_STEP and not is_random:
        return replace(base, replicas_per_call=TINY_SHARE)
    return replace(base, xla=base.xla or (steps >= XLA_STEPS and not has_convolution))
