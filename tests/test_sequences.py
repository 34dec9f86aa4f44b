"""Sequence tasks: what they ask for, and what guessing costs."""

import numpy as np
import pytest

from dlclaims.data import sequences
from dlclaims.errors import UsageError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("design", sequences.DESIGNS)
def test_recall_shows_one_symbol_a_step(design: str):
    x, y = sequences.recall(design, 6)(RNG, 500)
    assert x.shape == (500, 7, sequences.recall_features(design))
    symbols = x if design in sequences.WITHOUT_CUE else x[..., :-1]
    assert (symbols.sum(axis=2) == 1).all()
    assert set(y) == set(range(sequences.SYMBOLS))


def test_free_recall_is_of_the_first_symbol_and_nothing_else_can_be_it():
    x, y = sequences.recall("free", 6)(RNG, 200)
    assert (x[:, 0].argmax(axis=1) == y).all()
    assert (x[:, 1:].argmax(axis=2) >= sequences.SYMBOLS).all()


def test_spread_recall_is_of_the_one_target_at_any_step_but_the_last():
    x, y = sequences.recall("spread", 6)(RNG, 500)
    shown = x.argmax(axis=2)
    is_target = shown < sequences.SYMBOLS
    assert (is_target.sum(axis=1) == 1).all()
    assert (shown[is_target] == y).all()
    assert is_target.any(axis=0).tolist() == [True] * 6 + [False]


def test_a_cue_marks_the_symbol_that_is_asked_for():
    x, y = sequences.recall("cued", 6)(RNG, 200)
    assert (x[:, 0, :-1].argmax(axis=1) == y).all()
    assert x[:, 0, -1].all()
    assert not x[:, 1:, -1].any()
    assert (x[:, 1:, :-1].argmax(axis=2) == y[:, None]).any()


def test_after_resets_the_last_target_counts():
    x, y = sequences.recall("reset", 6)(RNG, 400)
    shown, has_cue = x[..., :-1].argmax(axis=2), x[..., -1] == 1
    assert has_cue[:, 0].all()
    assert not has_cue[:, 4:].any()
    assert set(has_cue.sum(axis=1)) == {1, 2, 3, 4}
    assert has_cue[:, 1:4].mean() == pytest.approx(0.5, abs=0.1)
    last = [np.flatnonzero(row)[-1] for row in has_cue]
    assert (shown[np.arange(400), last] == y).all()


def test_adding_asks_for_the_sum_of_the_marked_numbers():
    x, y = sequences.adding(10)(RNG, 20_000)
    assert (x[..., 1].sum(axis=1) == 2).all()
    assert (x[:, :5, 1].sum(axis=1) == 1).all()
    assert y[:, 0] == pytest.approx((x[..., 0] * x[..., 1]).sum(axis=1))
    assert y.var() == pytest.approx(sequences.ADDING_LOSS, rel=0.03)


def test_copying_repeats_the_symbols_after_the_delimiter():
    lag = 7
    x, y = sequences.copying(lag)(RNG, 50)
    shown = x.argmax(axis=2)
    assert shown.shape == y.shape == (50, lag + 20)
    assert (y[:, -10:] == shown[:, :10]).all()
    assert (y[:, :-10] == sequences.SYMBOLS).all()
    assert (shown == sequences.SYMBOLS + 1).sum() == 50
    assert sequences.copying_loss(20) == pytest.approx(0.520, abs=1e-3)
    assert sequences.copying_loss(100) == pytest.approx(0.173, abs=1e-3)


def test_an_unknown_design_is_refused():
    with pytest.raises(UsageError, match="free, spread, cued, reset"):
        sequences.recall("fre", 6)
