"""What all probes share: their tables, one trace, missing replicas, both backends."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from test_hessians import targets
from test_jacobians import UNITS, recurrent, sequences, tokens
from test_probes import EXAMPLES, SEEDS, cross_entropy, initial, inputs, squares, stack

from dlclaims import engine
from dlclaims.engine import cache
from dlclaims.seeds import Seeds

LSTM = partial(recurrent, "LSTM")

#: The index columns after the replica's, and the probe of a stack or an LSTM.
STACK = {
    "jacobian_norms": ([], lambda runs: engine.jacobian_norms(runs, inputs()[0])),
    "activation_statistics": (
        ["layer"],
        lambda runs: engine.activation_statistics(runs, inputs()[0]),
    ),
    "ablation": (
        ["layer", "unit"],
        lambda runs: engine.ablation(
            runs, inputs()[0], targets()[0], "act_1", "mean_squared_error"
        ),
    ),
    "curvature": (
        [],
        lambda runs: engine.curvature(runs, inputs()[0], targets()[0], squares),
    ),
    "preactivation_gradients": (
        ["layer"],
        lambda runs: engine.preactivation_gradients(runs, inputs()[0]),
    ),
}
MEMORY = {
    "lag_gradients": (["lag"], lambda runs: engine.lag_gradients(runs, sequences()[0])),
    "state_gradients": (
        ["state", "lag"],
        lambda runs: engine.state_gradients(runs, sequences()[0], "memory"),
    ),
    "position_jacobians": (
        ["output_position", "input_position"],
        lambda runs: engine.position_jacobians(runs, sequences()[0]),
    ),
}
PROBES = {
    name: (build, *entry)
    for build, probes in ((stack, STACK), (LSTM, MEMORY))
    for name, entry in probes.items()
}

#: Where J is read out its gradient is the read-out, whatever the weights are.
READ_OUTS = ("preactivation_gradients", "state_gradients")


def measures(table, index):
    return table.drop(columns=["seed", *index]).select_dtypes("number")


@pytest.mark.parametrize("name", PROBES)
def test_other_seeds_and_initializers_trace_nothing_anew(name):
    build, index, probe = PROBES[name]
    first = probe(initial(build))
    before = set(cache._programs)
    other = "initializer" if build is stack else "kernel_initializer"
    seeds = Seeds("tests/probes", (1, 2, 5))
    second = probe(initial(partial(build, **{other: "random_normal"}), seeds))
    assert set(cache._programs) == before
    assert list(second.columns) == list(first.columns)
    assert list(first.columns[: 1 + len(index)]) == ["seed", *index]
    # The initializers differ in scale, and nothing of the first trace is left in it.
    assert (
        not first[first.seed == 5]
        .reset_index(drop=True)
        .equals(second[second.seed == 5].reset_index(drop=True))
    )


@pytest.mark.parametrize("name", [n for n in PROBES if n not in READ_OUTS])
def test_a_diverged_replica_is_missing_and_the_other_is_not(name):
    build, index, probe = PROBES[name]
    runs = initial(build)
    values = [value.copy() for value in runs.values]
    for value in values:
        if value.dtype == "float64":  # the others are random states
            value[1] = np.nan
    table = probe(replace(runs, values=tuple(values)))
    whole = probe(runs)
    kept, lost = (table[table.seed == seed] for seed in SEEDS)
    assert kept.equals(whole[whole.seed == SEEDS.values[0]])
    columns = measures(lost, index).drop(
        columns=["zeros", "dead_units"], errors="ignore"
    )
    assert columns.isna().all(axis=None)


@pytest.mark.parametrize("name", STACK)
def test_trained_replicas_have_their_learning_rate(name):
    x, y = inputs()[0], np.zeros(EXAMPLES, int)
    split = np.tile(np.arange(EXAMPLES), (2, 1))
    recipe = engine.Recipe(cross_entropy, descent, 3, 5, dtype="float64")
    data = engine.Examples(x, y, split, split[:, :0], split[:, :0])
    runs = engine.train(stack, data, recipe, SEEDS, (0.0, 0.2))
    _, index, probe = PROBES[name]
    table, untrained = probe(runs), probe(initial())
    assert list(table.columns[: 2 + len(index)]) == ["seed", "learning_rate", *index]
    still = table[table.learning_rate == 0].drop(columns="learning_rate")
    assert still.reset_index(drop=True).equals(untrained)
    moved = table[table.learning_rate == 0.2].drop(columns="learning_rate")
    assert not moved.reset_index(drop=True).equals(untrained)


def descent():
    import keras

    return keras.optimizers.SGD()


def agreement():
    """All probes' numbers, of nets that both backends compute."""
    found = {
        name: measures(probe(initial(build)), index).to_numpy()
        for name, (build, index, probe) in PROBES.items()
    }
    x, y = sequences()[0], np.zeros((EXAMPLES, UNITS))
    memory = initial(LSTM)
    vectors = np.ones((len(SEEDS), memory.parameters))
    found["product"] = engine.hessian_products(memory, x, y, squares, vectors)
    x = SEEDS.generator(3, "data").integers(0, 7, (EXAMPLES, 5))
    found["attention"] = engine.jacobians(initial(tokens), x, "embedding")
    return found


@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="JAX is not installed")
def test_tensorflow_and_jax_agree(tmp_path):
    code = (
        "import sys, numpy; sys.path.insert(0, sys.argv[2]);"
        "from test_probe_contract import agreement;"
        "numpy.savez(sys.argv[1], **agreement())"
    )
    file = tmp_path / "jax.npz"
    subprocess.run(
        [sys.executable, "-c", code, str(file), os.path.dirname(__file__)],
        check=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    with np.load(file) as found:
        for name, numbers in agreement().items():
            # JAX takes the softmax of attention in single precision, whatever it gets.
            atol = 1e-6 if name == "attention" else 1e-11
            assert np.allclose(found[name], numbers, rtol=0, atol=atol, equal_nan=True)
