"""The trained half of the page on memory: cells of one size, and what is measured."""

import math
from dataclasses import replace

import numpy as np
import pytest
from dlclaims.experiments.lstm_memory import (
    PAGE,
    ablation,
    adding,
    cells,
    copying,
    reach,
    recall,
    training,
)

from dlclaims import engine, pages
from dlclaims.data import sequences
from dlclaims.pages import Variant
from dlclaims.seeds import Seeds

NAME = "lstm-memory"


def seeds(study: str, number: int = 2) -> Seeds:
    return Seeds(f"{NAME}/{study}", tuple(range(10_000, 10_000 + number)))


@pytest.mark.parametrize(("features", "outputs"), [(16, 8), (9, 8), (2, 1), (10, 9)])
def test_all_cells_have_as_many_weights(features: int, outputs: int):
    sizes = [
        engine.cost(
            cells.build(
                cell, cells.units_of(cell, features, outputs), features, outputs, 5
            )
        )
        for cell in cells.CELLS
    ]
    assert max(sizes) / min(sizes) < 1.04
    assert np.abs(np.array(sizes) / np.median(sizes) - 1).max() <= 0.02


def test_chrono_opens_forget_gates_for_up_to_the_lag():
    initializer = cells.chrono()(40, seed=3)
    own = np.split(np.asarray(initializer((400,))), 4)
    assert own[1].min() >= 0
    assert own[1].max() <= math.log(39)
    assert np.mean(np.exp(own[1])) == pytest.approx(20, rel=0.2)
    assert (own[0] == -own[1]).all()
    assert not np.any(own[2:])


def test_replicas_draw_chrono_biases_of_their_own():
    runs = engine.initialize(
        lambda: cells.build("lstm-chrono", 6, 9, 8, 20), seeds=seeds("recall")
    )
    [biases] = [w for w in runs.weights if w.shape[1:] == (24,)]
    assert (biases[0] != biases[1]).any()


def test_a_gate_that_is_fixed_at_one_is_open():
    """With its bias far up, Keras' gate is open too: both cells then agree."""
    rng = np.random.default_rng(1)
    units, order = 5, "ifco"
    x = rng.standard_normal((3, 7, 4)).astype("float32")
    for gate in "ifo":
        name = next(n for n, without in cells.WITHOUT.items() if without == gate)
        own, full = (cells.layer(n, units, 6) for n in (name, "lstm-1"))
        own.build(x.shape)
        full.build(x.shape)
        kernel, loop, bias = (rng.standard_normal(w.shape) for w in full.weights)
        bias[order.index(gate) * units :][:units] = 50
        kernel[:, order.index(gate) * units :][:, :units] = 0
        loop[:, order.index(gate) * units :][:, :units] = 0
        full.set_weights([kernel, loop, bias])
        kept = [g for g in "ifo" if g != gate] + ["c"]
        places = np.concatenate(
            [np.arange(units) + order.index(g) * units for g in kept]
        )
        own.set_weights([kernel[:, places], loop[:, places], bias[places]])
        assert np.asarray(own(x)) == pytest.approx(np.asarray(full(x)), abs=1e-5)


@pytest.mark.parametrize(
    "module", [recall, reach, ablation, adding, copying], ids=lambda m: m.STUDY.name
)
def test_studies_measure_at_smoke_size(module, monkeypatch: pytest.MonkeyPatch):
    study: pages.Study = module.STUDY
    monkeypatch.setattr(module, "STEPS", 40)
    [variant] = study.smoke
    table = study.measure(Variant(variant.factors, (0.01,)), seeds(study.name))
    assert table["seed"].nunique() == 2
    assert (table["steps"] == 40).all()
    assert table["solved"].isin([0, 1]).all()
    if study is reach.STUDY:
        assert np.allclose(table["rise"], table["trained"] - table["start"])
        near, far = (table[table["lag_back"] == lag] for lag in (0, 5))
        columns = ["start", "trained", "gates_start", "gates_trained"]
        assert np.allclose(near[columns], 0)
        assert (far[["start", "gates_start"]] < 0).all(axis=None)


def test_a_short_lag_is_learnt_and_scored_as_solved(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recall, "STEPS", 150)
    variant = Variant(tuple(recall.net("rnn", "free", 2).items()), (0.01,))
    table = recall.measure(variant, seeds("recall"))
    assert (table["accuracy"] > training.SOLVED).all()
    assert (table["solved"] == 1).all()
    assert (table["score"] > -sequences.RECALL_LOSS).all()


def test_rates_are_compared_over_half_of_the_steps(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(copying, "STEPS", 20)
    [variant] = copying.STUDY.smoke
    table = copying.measure(
        Variant(variant.factors, (0.001, 0.002)), seeds("copying", 1)
    )
    assert (table["steps"] == 10).all()


def test_a_network_that_guesses_scores_what_theory_says():
    """Untrained, it names blanks and symbols alike; trained a little, blanks only."""
    lag = copying.LAG
    variant = Variant((("cell", "rnn"), ("lag", lag)), (0.01,))
    runs = training.copying(variant, seeds("copying", 1), 192)
    table = training.scored(runs, sequences.copying_loss(lag))
    assert table["share"].item() == pytest.approx(1, abs=0.2)
    assert copying.predict(variant)["test_loss"].item() == sequences.copying_loss(lag)


def test_the_page_is_sound():
    assert pages.problems(replace(PAGE, name=NAME, title="Memory")) == []
