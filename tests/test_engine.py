"""The engine: every replica is what Keras would have trained alone."""

import importlib.util
import os
import random
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from dlclaims import engine
from dlclaims.engine import cache, numerics, schedule
from dlclaims.engine.blueprint import blueprint
from dlclaims.errors import EnvironmentFault, UsageError
from dlclaims.seeds import Seeds

SEEDS = Seeds("tests/engine", (3, 5, 8))
STEPS, BATCH = 20, 8
EXACT = 1e-12


def net(*kinds, width=5, depth=2, initializer="glorot_uniform", frozen=0):
    """Dense layers of tanh, followed by the layers that are named."""
    import keras

    x = inputs = keras.Input((6,))
    for layer in range(depth):
        dense = keras.layers.Dense(width, "tanh", kernel_initializer=initializer)
        dense.trainable = layer >= frozen
        x = dense(x)
        if "normalized" in kinds:
            x = keras.layers.BatchNormalization()(x)
        if "dropout" in kinds:
            x = keras.layers.Dropout(0.3)(x)
    penalty = "l2" if "penalized" in kinds else None
    return keras.Model(inputs, keras.layers.Dense(3, kernel_regularizer=penalty)(x))


def cross_entropy(y, logits):
    import keras

    return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)


def optimizer(name="SGD", **options):
    import keras

    return getattr(keras.optimizers, name)(**options)


MOMENTUM = partial(optimizer, momentum=0.9)


def examples(seeds=SEEDS, validation=10):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 6)), rng.integers(0, 3, 60)
    order = np.stack([seeds.generator(s, "split").permutation(60) for s in seeds])
    return engine.Examples(
        x, y, order[:, :40], order[:, 40 : 40 + validation], order[:, 50:]
    )


def recipe(make=MOMENTUM, dtype="float64", **options):
    return engine.Recipe(cross_entropy, make, STEPS, BATCH, dtype=dtype, **options)


def run(build=net, seeds=SEEDS, rates=(0.1,), given=None, settings=None):
    settings = replace(engine.Numerics(), **settings) if settings else None
    return engine.train(
        build, examples(seeds), given or recipe(), seeds, rates, settings
    )


def trained_by_keras(build, seeds, seed, rate, make=MOMENTUM, steps=STEPS):
    """The stock model after `train_on_batch` on the same values and batches."""
    from dlclaims.engine.blueprint import precision

    given = examples(seeds)
    model = engine.initialize(build, seeds, dtype="float64").replica(seed)
    batches = schedule.batches(given.train, STEPS, BATCH, seeds)
    with precision("float64"):
        model.compile(make(learning_rate=rate), cross_entropy, run_eagerly=True)
        for batch in batches[tuple(seeds).index(seed)][:steps]:
            model.train_on_batch(given.x[batch], given.y[batch])
    return model


def distance(weights, others):
    return max(
        float(np.abs(np.asarray(a) - np.asarray(b)).max())
        for a, b in zip(weights, others, strict=True)
    )


KINDS = [(), ("normalized",), ("dropout",), ("normalized", "dropout", "penalized")]


@pytest.mark.parametrize("kinds", KINDS, ids=" ".join)
def test_a_replica_is_the_model_that_keras_trains(kinds):
    build = partial(net, *kinds)
    runs = run(build, rates=(0.1, 0.03))
    for seed, rate in ((3, 0.1), (8, 0.03)):
        stock = trained_by_keras(build, SEEDS, seed, rate)
        own = runs.replica(seed, rate)
        assert distance(own.get_weights(), stock.get_weights()) < EXACT
        row = runs.table().query(f"seed == {seed} and learning_rate == {rate}").iloc[-1]
        given = examples()
        test = given.test[tuple(SEEDS).index(seed)]
        guess = stock.predict_on_batch(given.x[test]).argmax(axis=1)
        assert row.test_accuracy == np.mean(guess == given.y[test])


@pytest.mark.parametrize(
    "make",
    [
        partial(optimizer, "SGD"),
        partial(optimizer, "Adam", clipnorm=0.5),
        partial(optimizer, "RMSprop", weight_decay=0.01),
        partial(optimizer, "AdamW", global_clipnorm=0.1),
    ],
    ids=["SGD", "Adam", "RMSprop", "AdamW"],
)
def test_optimizers_are_those_of_keras(make):
    runs = run(given=recipe(make), rates=(0.01,))
    stock = trained_by_keras(net, SEEDS, 5, 0.01, make)
    assert distance(runs.replica(5).get_weights(), stock.get_weights()) < EXACT


@pytest.mark.parametrize("kinds", [("normalized",), ("dropout",)], ids=" ".join)
@pytest.mark.parametrize(
    "settings",
    [
        {"replicas_per_call": 4},
        {"replicas_per_call": 4, "replica_threads": 2},
        {"replica_threads": 2},
    ],
    ids=str,
)
def test_batching_and_threads_change_nothing(kinds, settings):
    build = partial(net, *kinds)
    alone = run(build, settings={"replicas_per_call": 1})
    together = run(build, settings=settings)
    assert distance(alone.weights, together.weights) < EXACT


def test_xla_changes_rounding_only():
    plain = run(settings={"xla": False})
    assert distance(plain.weights, run(settings={"xla": True}).weights) < EXACT


@pytest.mark.parametrize("share", [1, 4])
def test_company_and_order_of_seeds_change_no_bit(share):
    def train(values, rates):
        seeds = Seeds("tests/engine", values)
        return run(
            seeds=seeds,
            rates=rates,
            given=recipe(dtype="float32"),
            settings={"replicas_per_call": share},
        )

    first, other = train((3, 5, 8), (0.1,)), train((5, 21, 8, 3, 34), (0.2, 0.1))
    for seed in (3, 5, 8):
        own = first.replica(seed).get_weights()
        assert distance(own, other.replica(seed, 0.1).get_weights()) == 0


def test_other_seeds_rates_and_initializers_compile_nothing():
    def traces():
        return [
            getattr(program, "traces", 1) for program, _ in cache._programs.values()
        ]

    cache._programs.clear()
    run()
    before = traces()
    run(seeds=Seeds("tests/other", (1, 2, 13, 21)), rates=(0.5, 0.25, 0.125))
    run(partial(net, initializer="he_normal"))
    assert traces() == before
    run(partial(net, width=6))
    assert sum(traces()) == sum(before) + 1


def test_recorded_steps_are_data():
    def train(record):
        return run(given=recipe(record=record)).table().set_index(["seed", "step"])

    every = train(tuple(range(STEPS)))
    for record in ((2, 9), (0, 13)):
        found = train(record)
        assert found.equals(every.loc[found.index])


def test_functions_of_one_name_are_not_taken_for_each_other():
    import keras

    def scaled(factor):
        def phi(x):
            return factor * x

        inputs = keras.Input((6,))
        return keras.Model(inputs, keras.layers.Dense(3, activation=phi)(inputs))

    once, twice = (run(lambda f=factor: scaled(f)) for factor in (1.0, 2.0))
    assert distance(once.weights, twice.weights) > 1e-3


def test_frozen_layers_keep_each_seeds_initial_weights():
    build = partial(net, frozen=1)
    first = engine.initialize(build, SEEDS, dtype="float64").weights
    last = run(build).weights
    assert distance(first[:2], last[:2]) == 0
    assert np.abs(first[2] - last[2]).max() > 1e-3
    assert not np.array_equal(first[0][0], first[0][1])
    stock = trained_by_keras(build, SEEDS, 8, 0.1)
    assert distance(run(build).replica(8).get_weights(), stock.get_weights()) < EXACT


def test_a_diverged_replica_is_frozen_and_the_others_go_on():
    def squares(y, prediction):
        return prediction[:, 0] ** 2

    given = engine.Recipe(
        squares,
        optimizer,
        STEPS,
        BATCH,
        record_every=1,
        record=(0,),
        metrics=(),
        dtype="float64",
        until=(("loss", 1e-9),),
    )
    linear = partial(net, depth=0)
    runs = run(linear, rates=(0.01, 1e30), given=given)
    table = runs.table()
    lost = table[table.learning_rate == 1e30]
    assert set(lost.status) == {"diverged"}
    assert (lost.loss.isna() == (lost.step >= lost.diverged_at)).all()
    assert set(table[table.learning_rate == 0.01].status) == {"ok"}
    assert set(lost["steps_to_loss_1e-09"]) == {STEPS}
    assert not lost["reached_loss_1e-09"].any()
    calm = run(linear, rates=(0.01,), given=given)
    for seed in SEEDS:
        kept = runs.replica(seed, 0.01).get_weights()
        assert distance(kept, calm.replica(seed).get_weights()) == 0
        frozen = runs.replica(seed, 1e30).get_weights()
        assert all(np.isfinite(weight).all() for weight in frozen)
        # The recorded loss shows it one step before a batch's loss does.
        last = int(lost[lost.seed == seed].diverged_at.iloc[0])
        short = replace(given, steps=last, until=())
        again = run(linear, rates=(1e30,), given=short).replica(seed).get_weights()
        assert distance(frozen, again) == 0


def test_a_step_to_weights_that_are_not_finite_is_not_taken():
    def steep(y, logits):
        return 1e6 * cross_entropy(y, logits)

    given = engine.Recipe(steep, optimizer, STEPS, BATCH, dtype="float64")
    runs = run(partial(net, "normalized"), rates=(1e308,), given=given)
    assert runs.diverged_at.tolist() == [1, 1, 1]
    first = engine.initialize(partial(net, "normalized"), SEEDS, dtype="float64")
    assert distance(runs.weights, first.weights) == 0


def test_the_table_holds_what_keras_evaluates():
    given = recipe(
        record=(0, 7),
        record_every=10,
        test="recorded",
        train_examples=25,
        dtype="float64",
    )
    table = run(given=given, rates=(0.1,)).table()
    assert list(table.step.unique()) == [0, 7, 10, 20]
    data = examples()
    for step in (0, 7):
        model = trained_by_keras(net, SEEDS, 5, 0.1, steps=step)
        row = table.query(f"seed == 5 and step == {step}").iloc[0]
        for name, loss in (
            ("train", row.loss),
            ("validation", row.validation_loss),
            ("test", row.test_loss),
        ):
            rows = getattr(data, name)[1][:25]
            logits = model.predict_on_batch(data.x[rows])
            shifted = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            assert loss == pytest.approx(
                -shifted[range(len(rows)), data.y[rows]].mean()
            )
            guessed = logits.argmax(axis=1) == data.y[rows]
            assert row[f"{name}_accuracy"] == guessed.mean()


def test_thresholds_give_the_first_recorded_step_or_are_censored():
    given = recipe(record_every=2, until=(("loss", 1.0), ("train_accuracy", 1.1)))
    table = run(given=given).table()
    for _, rows in table.groupby("seed"):
        reached = rows[rows.loss <= 1.0]
        assert set(rows["steps_to_loss_1"]) == {reached.step.iloc[0]}
        assert rows["reached_loss_1"].all()
        assert set(rows["steps_to_train_accuracy_1.1"]) == {STEPS}
        assert not rows["reached_train_accuracy_1.1"].any()


def test_empty_splits_and_waiting_ones_are_missing():
    given = recipe(record=(0,))
    table = engine.train(net, examples(validation=0), given, SEEDS, (0.1,)).table()
    assert table.validation_loss.isna().all()
    assert list(table.test_loss.isna()) == [True, False] * len(SEEDS)
    assert table.loss.notna().all()


def test_every_epoch_shuffles_a_seeds_own_training_examples():
    train = examples().train
    batches = schedule.batches(train, 13, 8, SEEDS)
    assert batches.shape == (3, 13, 8)
    epochs = batches[:, :10].reshape(3, 2, 40)
    for row, own in enumerate(epochs):
        for epoch in own:
            assert sorted(epoch) == sorted(train[row])
        assert not np.array_equal(own[0], own[1])
    assert np.array_equal(batches, schedule.batches(train, 13, 8, SEEDS))
    alone = schedule.batches(train[1:2], 13, 8, Seeds("tests/engine", (5,)))
    assert np.array_equal(batches[1:2], alone)
    assert schedule.batches(train, 2, 30, SEEDS).shape == (3, 2, 30)


def test_a_batch_must_fit_the_training_split():
    with pytest.raises(UsageError, match="batch=41"):
        schedule.batches(examples().train, 5, 41, SEEDS)


def test_every_layer_and_seed_is_drawn_for_itself():
    values = engine.initialize(partial(net, width=6, depth=3), SEEDS).values
    kernels = [v[row].tobytes() for v in values if v.ndim == 3 for row in range(3)]
    assert len(set(kernels)) == len(kernels) == 12
    deeper = engine.initialize(partial(net, width=6, depth=4), SEEDS).values
    assert np.array_equal(values[2], deeper[2])
    alone = engine.initialize(net, Seeds("tests/engine", (8,))).values
    assert np.array_equal(alone[0][0], engine.initialize(net, SEEDS).values[0][2])
    single, double = (engine.initialize(net, SEEDS, dtype=d).values for d in DTYPES)
    assert all(np.array_equal(a, b) for a, b in zip(single, double, strict=True))


DTYPES = ("float32", "float64")


def laws():
    """Initializer, standard deviation and bound of a kernel of 200 by 300."""
    cut = 2 / 0.87962566103423978
    return {
        "glorot_uniform": ((2 / 500) ** 0.5, 3**0.5 * (2 / 500) ** 0.5),
        "he_normal": ((2 / 200) ** 0.5, cut * (2 / 200) ** 0.5),
        "lecun_uniform": ((1 / 200) ** 0.5, 3**0.5 * (1 / 200) ** 0.5),
        "random_uniform": (0.05 / 3**0.5, 0.05),
        "random_normal": (0.05, np.inf),
        "truncated_normal": (0.05 * 0.87962566103423978, 0.1),
        "orthogonal": ((1 / 300) ** 0.5, 1.0),
        "ones": (0.0, 1.0),
    }


@pytest.mark.parametrize("name", laws())
def test_redrawn_weights_follow_keras_initializers(name):
    import keras

    deviation, bound = laws()[name]

    def build():
        inputs = keras.Input((200,))
        layer = keras.layers.Dense(300, kernel_initializer=name)
        return keras.Model(inputs, layer(inputs))

    kernel = engine.initialize(build, SEEDS).values[0][0]
    stock = np.asarray(keras.initializers.get(name)((200, 300)))
    # Five standard errors of a standard deviation over 60,000 draws are 1.5 %.
    assert kernel.std() == pytest.approx(deviation, rel=0.02, abs=1e-9)
    assert stock.std() == pytest.approx(deviation, rel=0.02, abs=1e-9)
    assert np.abs(kernel).max() <= bound * (1 + 1e-6)
    if bound < np.inf and name != "orthogonal":
        assert np.abs(kernel).max() == pytest.approx(bound, rel=0.01)
    if name == "orthogonal":
        assert np.allclose(kernel @ kernel.T, np.eye(200), atol=1e-5)


def test_an_initializer_of_ones_own_gets_a_seed_of_its_own():
    import keras

    class Signs(keras.Initializer):
        def __init__(self, seed=None):
            self.seed = seed

        def __call__(self, shape, dtype=None):
            drawn = keras.random.normal(shape, dtype=dtype, seed=self.seed)
            return keras.ops.sign(drawn)

        def get_config(self):
            return {"seed": self.seed}

    values = engine.initialize(partial(net, initializer=Signs()), SEEDS).values
    assert set(np.unique(values[0])) == {-1.0, 1.0}
    assert not np.array_equal(values[0][0], values[0][1])


def test_an_initializer_may_be_any_function():
    def chrono(shape, dtype=None, longest=10.0):
        return np.full(shape, np.log(longest), dtype)

    build = partial(net, initializer=partial(chrono, longest=4.0))
    first = engine.initialize(build, SEEDS, dtype="float64").weights[0]
    assert np.allclose(first, np.log(4.0))
    assert np.isfinite(run(build).table().loss).all()


def test_nothing_global_changes():
    import keras

    keras.utils.set_random_seed(7)
    before = random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002
    expected = np.asarray(keras.random.normal((4,)))
    keras.utils.set_random_seed(7)
    run(partial(net, "dropout")).replica(3)
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before  # noqa: NPY002
    assert np.array_equal(np.asarray(keras.random.normal((4,))), expected)
    assert keras.config.floatx() == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_a_users_settings_of_keras_change_no_bit():
    import keras

    def clipped(y, logits):  # at Keras' epsilon
        p = keras.ops.softmax(20 * logits)
        return keras.losses.sparse_categorical_crossentropy(y, p)

    given = engine.Recipe(clipped, MOMENTUM, STEPS, BATCH)
    expected = run(given=given).table().loss
    cache._programs.clear()
    keras.config.set_epsilon(1e-2)
    try:
        found = run(given=given).table().loss
        assert keras.config.epsilon() == 1e-2
    finally:
        keras.config.set_epsilon(1e-7)
    assert found.equals(expected)


def test_the_stock_optimizer_class_stays_as_it_is():
    run()
    with pytest.raises(ValueError, match="stateless_apply is not supported"):
        optimizer().stateless_apply([], [], [])


def test_work_is_counted_from_the_layers():
    runs = engine.initialize(partial(net, "normalized", width=5, depth=2), SEEDS)
    assert runs.multiply_accumulates == 6 * 5 + 5 * 5 + 5 * 3
    assert runs.parameters == (6 + 1) * 5 + (5 + 1) * 5 + (5 + 1) * 3 + 2 * 4 * 5


CPU, GPU = numerics.Machine(), numerics.Machine(gpu_bytes=80e9)
JAX, JAX_GPU = (numerics.Machine("jax", gpu_bytes) for gpu_bytes in (0.0, 80e9))
DENSE = numerics.Work(step_work=5e7, steps=1000, replica_bytes=1e7)
SMALL = numerics.Work(step_work=1e6, steps=1000, replica_bytes=1e5)


@pytest.mark.parametrize(
    ("work", "machine", "xla", "share"),
    [
        (DENSE, CPU, True, 1),
        (replace(DENSE, steps=100), CPU, False, 1),
        (replace(DENSE, has_convolution=True), CPU, False, 1),
        (replace(DENSE, has_max_pooling=True), CPU, False, 1),
        (replace(DENSE, steps=100, has_recurrence=True), CPU, True, 1),
        (replace(DENSE, steps=20, has_recurrence=True), CPU, False, 1),
        (SMALL, CPU, False, 8),
        (replace(SMALL, step_work=5e6), CPU, True, 1),
        (replace(SMALL, step_work=5e6, steps=100), CPU, False, 8),
        (replace(SMALL, is_random=True), CPU, True, 1),
        (replace(SMALL, has_convolution=True), CPU, False, 1),
        (replace(SMALL, has_recurrence=True), CPU, True, 1),
        (DENSE, JAX, True, 1),
        (replace(SMALL, is_random=True), JAX, True, 8),
        (DENSE, GPU, True, 1024),
        (replace(DENSE, replica_bytes=1e9), GPU, True, 32),
        (replace(DENSE, replica_bytes=1e11), GPU, True, 1),
        (replace(DENSE, has_max_pooling=True), GPU, False, 1024),
        (replace(DENSE, has_convolution=True, has_max_pooling=True), GPU, False, 1),
        (replace(DENSE, has_convolution=True, replica_bytes=1e9), JAX_GPU, True, 32),
    ],
)
def test_the_plan_follows_from_the_configuration(work, machine, xla, share):
    base = numerics.Numerics(replica_threads=2)
    pick = numerics.plan(work, machine, base)
    assert pick.numerics == replace(base, xla=xla, replicas_per_call=share)
    assert pick.work is work


def test_what_was_picked_is_remembered_once_for_the_cell():
    numerics.picks()
    run()
    run(rates=(0.2,))
    run(partial(net, width=40, depth=3))
    picks = numerics.picks()
    assert [pick.numerics.replicas_per_call for pick in picks] == [8, 8]
    assert len({pick.work.step_work for pick in picks}) == 2
    assert numerics.picks() == ()


def test_runs_say_what_was_picked():
    assert run().numerics.replicas_per_call == 8
    assert not run().numerics.xla


def test_pinning_comes_before_the_backend():
    engine.initialize(net, SEEDS)
    with pytest.raises(EnvironmentFault, match="fresh process"):
        engine.pin(replica_threads=7)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"record": (21,)}, "0..20"),
        ({"until": (("accuracy", 0.9),)}, "train_accuracy"),
        ({"until": (("test_accuracy", 0.9),)}, "test"),
    ],
)
def test_impossible_recipes_are_refused(change, words):
    with pytest.raises(UsageError, match=words):
        recipe(**change)


def test_unknown_metrics_are_refused():
    with pytest.raises(UsageError, match=r"keras\.metrics"):
        run(given=recipe(metrics=("acuracy",)))


def test_learning_rate_schedules_are_refused():
    import keras

    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    with pytest.raises(UsageError, match="constant learning rate"):
        run(given=recipe(partial(optimizer, learning_rate=decay)))


def test_splits_belong_to_the_seeds():
    with pytest.raises(UsageError, match="2 seeds"):
        engine.train(net, examples(), recipe(), Seeds("tests/engine", (3, 5)), (0.1,))


def test_splits_lie_within_the_data():
    given = examples()
    with pytest.raises(UsageError, match=r"0\.\.59"):
        engine.Examples(given.x, given.y, given.train + 20, given.test, given.test)


def test_replicas_are_named_by_seed_and_rate():
    runs = run(rates=(0.1, 0.2))
    with pytest.raises(UsageError, match="learning rate None"):
        runs.replica(3)
    with pytest.raises(UsageError, match="seed 4"):
        runs.replica(4, 0.1)


def test_a_model_without_an_input_shape_is_refused():
    import keras

    with pytest.raises(UsageError, match=r"keras\.Input"):
        blueprint(lambda: keras.Sequential([keras.layers.Dense(3)]), "float32")


def test_a_model_that_was_built_before_is_refused():
    model = net()
    with pytest.raises(UsageError, match="anew"):
        engine.initialize(lambda: model, SEEDS)


def test_importing_the_engine_imports_no_backend():
    code = (
        "import sys; from dlclaims import engine;"
        "assert not {'keras', 'tensorflow', 'jax', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def agreement():
    """Weights and losses of a net whose rounding is the same on all backends.

    Keras on TensorFlow rounds an optimizer's constants to float32: 7/8 is not rounded.
    """
    given = recipe(partial(optimizer, momentum=0.875))
    runs = run(partial(net, "normalized"), rates=(0.1, 0.03), given=given)
    return [*runs.weights, runs.table().loss.to_numpy()]


@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="JAX is not installed")
def test_tensorflow_and_jax_agree(tmp_path):
    code = (
        "import sys, numpy; sys.path.insert(0, sys.argv[2]); import test_engine;"
        "numpy.savez(sys.argv[1], *test_engine.agreement())"
    )
    file = tmp_path / "jax.npz"
    subprocess.run(
        [sys.executable, "-c", code, str(file), os.path.dirname(__file__)],
        check=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    with np.load(file) as found:
        assert distance(agreement(), found.values()) < EXACT


def test_the_programs_that_were_used_last_are_kept(monkeypatch):
    monkeypatch.setattr(cache, "_programs", {})
    monkeypatch.setattr(cache, "MOST", 2)
    made = []

    def once(key):
        return cache.once(key, [], lambda: made.append(key) or key)

    assert [once(key) for key in "abacab"] == [*"abacab"]
    assert made == ["a", "b", "c", "b"]  # b was the one used longest ago
