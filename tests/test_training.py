"""Streams, schedules, hyperparameters as data, evaluation in blocks, early stopping."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from test_engine import (
    BATCH,
    EXACT,
    MOMENTUM,
    SEEDS,
    STEPS,
    cross_entropy,
    distance,
    examples,
    net,
    optimizer,
    recipe,
    run,
    trained_by_keras,
)

from dlclaims import engine
from dlclaims.engine import cache, numerics, program, schedule, training
from dlclaims.engine.blueprint import precision
from dlclaims.errors import UsageError
from dlclaims.seeds import Seeds


def draw(rng, n):
    return rng.standard_normal((n, 6)), rng.integers(0, 3, n)


STREAM = engine.Stream(draw, validation=12, test=15)
LONG = 2 * schedule.STREAM_STEPS + 5


def streamed(given=None, seeds=SEEDS, rates=(0.1,), build=net, stream=STREAM, **own):
    given = given or replace(recipe(), steps=LONG, record=(0, 32, 40))
    settings = replace(engine.Numerics(), **own) if own else None
    return engine.train(build, stream, given, seeds, rates, settings)


def fresh_batches(seed, steps):
    """The batches of a seed, drawn from its stream by hand."""
    for begin in range(0, steps, schedule.STREAM_STEPS):
        rng = SEEDS.generator(seed, f"data/step/{begin}")
        x, y = draw(rng, schedule.STREAM_STEPS * BATCH)
        rows = range(0, min(steps - begin, schedule.STREAM_STEPS) * BATCH, BATCH)
        yield from ((x[row : row + BATCH], y[row : row + BATCH]) for row in rows)


def keras_on_a_stream(seed, steps):
    model = engine.initialize(net, SEEDS, dtype="float64").replica(seed)
    with precision("float64"):
        model.compile(MOMENTUM(learning_rate=0.1), cross_entropy, run_eagerly=True)
        for x, y in fresh_batches(seed, steps):
            model.train_on_batch(x, y)
    return model


@pytest.mark.parametrize("options", [{}, {"replicas_per_call": 1}], ids=str)
def test_a_stream_trains_on_fresh_examples_at_every_step(options):
    runs = streamed(**options)
    for seed in (3, 8):
        stock = keras_on_a_stream(seed, LONG)
        assert distance(runs.replica(seed).get_weights(), stock.get_weights()) < EXACT


def test_a_stream_is_recorded_at_the_steps_that_are_asked_for():
    table = streamed().table()
    assert list(table.step.unique()) == [0, 32, 40, LONG]
    assert table.loss.isna().all()
    assert table.groupby("step").test_loss.count().tolist() == [0, 0, 0, len(SEEDS)]
    x, y = draw(SEEDS.generator(5, "data/validation"), STREAM.validation)
    for step in (0, 32, 40):
        logits = keras_on_a_stream(5, step).predict_on_batch(x)
        log_sum = np.log(np.exp(logits).sum(axis=1))
        row = table.query(f"seed == 5 and step == {step}").iloc[0]
        loss = np.mean(log_sum - logits[range(len(y)), y])
        assert row.validation_loss == pytest.approx(loss)
        assert row.validation_accuracy == np.mean(logits.argmax(axis=1) == y)


def test_a_seeds_stream_does_not_depend_on_its_company():
    given = replace(recipe(dtype="float32"), steps=LONG)
    alone = streamed(given, Seeds("tests/engine", (8,)))
    together = streamed(given, rates=(0.2, 0.1))
    own = together.replica(8, 0.1).get_weights()
    assert distance(alone.replica(8).get_weights(), own) == 0


def test_a_replica_that_diverges_on_a_stream_is_frozen():
    def squares(y, prediction):
        return prediction[:, 0] ** 2

    given = engine.Recipe(
        squares, optimizer, LONG, BATCH, record_every=1, metrics=(), dtype="float64"
    )
    runs = streamed(given, rates=(0.01, 1e12), build=partial(net, depth=0))
    assert (runs.diverged_at > 0).tolist() == [False, True] * len(SEEDS)
    assert all(np.isfinite(weight).all() for weight in runs.weights)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: engine.Stream(draw, validation=0), "validation=0"),
        (
            lambda: streamed(stream=engine.Stream(lambda rng, n: draw(rng, n - 1))),
            "as many examples",
        ),
    ],
)
def test_streams_that_cannot_be_used_are_refused(wrong, words):
    with pytest.raises(UsageError, match=words):
        wrong()


def schedules():
    from keras.optimizers import schedules as known

    return [
        known.CosineDecay(1.0, STEPS, warmup_target=2.0, warmup_steps=4),
        known.PiecewiseConstantDecay([5, 11], [1.0, 0.5, 0.125]),
    ]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("share", [1, 4])
def test_a_schedule_scales_every_replicas_rate(number, share):
    factor = schedules()[number]
    given = recipe(partial(optimizer, "Adam"), schedule=factor)
    runs = run(given=given, rates=(0.25, 0.5), settings={"replicas_per_call": share})
    for seed, rate in ((3, 0.25), (5, 0.5)):

        def scheduled(learning_rate):
            def current():
                return learning_rate * factor(stock.iterations)

            stock = optimizer("Adam", learning_rate=current)
            return stock

        stock = trained_by_keras(net, SEEDS, seed, rate, scheduled)
        weights = runs.replica(seed, rate).get_weights()
        assert distance(weights, stock.get_weights()) < EXACT


CASES = {
    "weight_decay": lambda v: (net, partial(optimizer, "AdamW", weight_decay=v)),
    "clipnorm": lambda v: (net, partial(optimizer, clipnorm=v)),
    "global_clipnorm": lambda v: (net, partial(optimizer, global_clipnorm=v)),
    "clipvalue": lambda v: (net, partial(optimizer, clipvalue=v)),
    "dropout": lambda v: (partial(dropping, v), MOMENTUM),
    "gain": lambda v: (partial(net, initializer=scaled(v)), MOMENTUM),
}


def dropping(rate):
    import keras

    x = inputs = keras.Input((6,))
    x = keras.layers.Dropout(rate)(keras.layers.Dense(5, "tanh")(x))
    return keras.Model(inputs, keras.layers.Dense(3)(x))


def scaled(gain):
    import keras

    return keras.initializers.VarianceScaling(gain)


@pytest.mark.parametrize("name", CASES)
def test_other_hyperparameters_compile_nothing_and_train_as_keras_does(name):
    cache._programs.clear()
    before = None
    for value in (0.05, 0.1):
        build, make = CASES[name](value)
        runs = run(build, given=recipe(make))
        stock = trained_by_keras(build, SEEDS, 5, 0.1, make)
        assert distance(runs.replica(5).get_weights(), stock.get_weights()) < EXACT
        after = sum(program.traces for program in programs())
        assert before in (None, after)
        before = after


def programs():
    return [made for made, _ in cache._programs.values() if hasattr(made, "traces")]


def test_weights_with_rules_of_their_own_are_not_packed():
    import keras

    def build():
        inputs = keras.Input((6,))
        dense = keras.layers.Dense(4, "tanh", kernel_constraint="max_norm")(inputs)
        return keras.Model(inputs, keras.layers.Dense(3)(dense))

    def decayed(**options):
        made = optimizer("AdamW", weight_decay=0.125, **options)
        made.exclude_from_weight_decay(var_names=["bias"])
        return made

    for case, make in ((build, MOMENTUM), (net, decayed)):
        runs = run(case, given=recipe(make))
        assert not programs()[-1].packing.is_flat
        stock = trained_by_keras(case, SEEDS, 5, 0.1, make)
        assert distance(runs.replica(5).get_weights(), stock.get_weights()) < EXACT


@pytest.mark.parametrize("share", [1, 4])
def test_evaluation_in_blocks_changes_nothing(monkeypatch, share):
    def build():  # nothing that an earlier program was made for
        return net("normalized", width=4 + share)

    given = recipe(record=(0, 9), test="recorded")
    settings = {"replicas_per_call": share}
    whole = run(build, given=given, settings=settings).table()
    cache._programs.clear()
    monkeypatch.setattr(program, "EVALUATED", 16)  # of 40 + 10 + 10 examples
    blocks = run(build, given=given, settings=settings).table()
    numbers = whole.select_dtypes("number").columns
    assert np.allclose(whole[numbers], blocks[numbers], atol=1e-14, equal_nan=True)


def test_metrics_of_whole_sequences_are_means_over_their_steps():
    import keras

    def build():
        inputs = keras.Input((5, 2))
        return keras.Model(inputs, keras.layers.Dense(1)(inputs))

    def squares(y, prediction):
        return (y - prediction[..., 0]) ** 2

    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((60, 5, 2)), rng.standard_normal((60, 5))
    given = examples()
    data = engine.Examples(x, y, given.train, given.validation, given.test)
    options = engine.Recipe(squares, optimizer, 1, 8, metrics=(), dtype="float64")
    runs = engine.train(build, data, options, SEEDS, (0.1,))
    rows = given.test[1]
    found = runs.replica(5).predict_on_batch(x[rows])[..., 0]
    expected = np.mean((found - y[rows]) ** 2)
    assert runs.table().query("seed == 5").test_loss.iloc[0] == pytest.approx(expected)


def recorded(values, column="validation_loss"):
    """Runs of two seeds whose table holds these values, one row a seed."""
    steps = len(values[0])
    given = recipe(record=tuple(range(1, steps)), test="recorded")
    runs = run(given=replace(given, steps=steps), seeds=Seeds("tests/engine", (3, 5)))
    place = list(given.columns).index(column)
    records = np.array(runs.records)
    records.reshape(*records.shape[:2], -1)[:, :, place] = values
    return replace(runs, records=records)


def test_early_stopping_keeps_the_best_before_patience_ran_out():
    losses = [[5.0, 3.0, 4.0, 4.0, 1.0, 2.0], [5.0, 4.0, 3.0, 2.0, 1.0, 0.5]]
    runs = recorded(losses)
    kept = runs.early_stopped("validation_loss", patience=2)
    assert kept.step.tolist() == [2, 6]
    assert kept.stopped_at.tolist() == [4, 6]
    assert kept.validation_loss.tolist() == [3.0, 0.5]
    assert (
        kept.test_loss[0]
        == runs.table().query("seed == 3 and step == 2").test_loss.item()
    )
    patient = runs.early_stopped("validation_loss", patience=3)
    assert patient.step.tolist() == [5, 6]
    accuracy = recorded(losses, "validation_accuracy")
    assert accuracy.early_stopped("validation_accuracy", 2).step.tolist() == [1, 1]


def test_early_stopping_needs_a_column_and_patience():
    runs = recorded([[1.0, 2.0], [1.0, 2.0]])
    with pytest.raises(UsageError, match="validation_loss"):
        runs.early_stopped("valid_loss", 2)
    with pytest.raises(UsageError, match="patience 0"):
        runs.early_stopped("validation_loss", 0)


def test_what_cannot_be_batched_is_trained_one_by_one(monkeypatch):
    stock = program.Program.run

    def stubborn(self, *arguments):
        if self.number > 1:
            raise NotImplementedError("no rule")
        return stock(self, *arguments)

    build = partial(net, width=7)
    numerics.picks()
    expected = run(build).weights
    cache._programs.clear()
    monkeypatch.setattr(program.Program, "run", stubborn)
    runs = run(build)
    assert runs.numerics.replicas_per_call == 1
    assert distance(runs.weights, expected) < EXACT
    reasons = [pick.reason for pick in numerics.picks()]
    assert "small step" in reasons[0]
    assert "NotImplementedError" in reasons[1]


def test_what_is_wrong_all_the_same_is_raised():
    def broken(y, prediction):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(given=engine.Recipe(broken, optimizer, 3, BATCH))


@pytest.mark.parametrize(
    ("held", "replicas", "share"),
    [(1024, 16, 16), (1024, 17, 32), (4, 16, 4), (8, 1, 8)],
)
def test_a_card_that_holds_more_than_there_is_computes_no_more(held, replicas, share):
    own = engine.Numerics(replicas_per_call=held)
    pick = training.capped(numerics.Pick(numerics.Work(1.0, 1), own, ""), replicas)
    assert pick.numerics.replicas_per_call == share


def stopping(limit, **own):
    return replace(
        recipe(**own),
        steps=4 * schedule.STREAM_STEPS,
        record_every=schedule.STREAM_STEPS,
        record=(),
        until=(("validation_loss", limit),),
        stop=True,
    )


@pytest.mark.parametrize("options", [{}, {"replicas_per_call": 2}], ids=str)
def test_training_that_stops_is_training_for_so_many_steps(options):
    """Whichever step a replica ends at, it is what a shorter training gives."""
    full = streamed(replace(stopping(-1.0), stop=False), **options).table()
    seen = full[full.step < full.step.max()]
    limit = seen.groupby("seed").validation_loss.min().median()
    runs = streamed(stopping(limit), **options)
    table = runs.table()
    ends = table.groupby("seed")[table.filter(like="steps_to").columns[0]].first()
    assert ends.nunique() > 1
    for seed, steps in ends.items():
        alone = streamed(
            replace(stopping(-1.0), steps=int(steps), stop=False),
            Seeds("tests/engine", (seed,)),
        )
        own = runs.replica(seed).get_weights()
        assert distance(alone.replica(seed).get_weights(), own) < EXACT
        last = table[table.seed == seed].iloc[-1]
        short = alone.table().iloc[-1]
        for column in ("validation_loss", "test_loss", "test_accuracy"):
            assert last[column] == pytest.approx(short[column], abs=1e-9)


def test_fixed_examples_stop_at_the_end_of_a_call_too(monkeypatch):
    monkeypatch.setattr(schedule, "CALL_STEPS", schedule.STREAM_STEPS)
    runs = run(given=stopping(9.0), seeds=Seeds("tests/engine", (5,)))
    short = replace(recipe(), steps=schedule.STREAM_STEPS)
    alone = run(given=short, seeds=Seeds("tests/engine", (5,)))
    own = runs.replica(5).get_weights()
    assert distance(alone.replica(5).get_weights(), own) == 0


def test_training_without_need_to_stop_goes_on_to_its_end():
    full = streamed(replace(stopping(-1.0), stop=False))
    runs = streamed(stopping(-1.0))
    assert runs.table().equals(full.table())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: streamed(replace(stopping(1.0), record=(5,))), "multiples of"),
        (
            lambda: engine.train(net, examples(), stopping(1.0), SEEDS, (0.1,)),
            "multiples of 512",
        ),
        (lambda: replace(stopping(1.0), until=()), "no threshold"),
    ],
)
def test_training_that_cannot_stop_is_refused(wrong, words):
    with pytest.raises(UsageError, match=words):
        wrong()


def test_steps_are_data_and_split_into_calls_without_a_trace(monkeypatch):
    def train(steps):
        return run(given=replace(recipe(record_every=2), steps=steps))

    whole = train(9)
    made = sum(program.traces for program in programs())
    longer = train(10)
    assert sum(program.traces for program in programs()) == made
    assert_frame_equal(
        whole.table().query("step < 9")[["step", "loss"]].reset_index(drop=True),
        longer.table().query("step < 9")[["step", "loss"]].reset_index(drop=True),
    )
    monkeypatch.setattr(schedule, "CALL_STEPS", 4)
    parts = train(9)
    assert_frame_equal(parts.table(), whole.table())
    for own, other in zip(parts.values, whole.values, strict=True):
        assert np.array_equal(own, other)
