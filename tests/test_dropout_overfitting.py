"""The page on dropout: what its quantities mean where the answer is known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from dlclaims.experiments.dropout_overfitting import (
    averages,
    conventions,
    ensemble,
    evaluation,
    layer,
    moments,
    overfitting,
    remedies,
    removal,
    ridge,
    robustness,
    snippet,
    training,
    window,
)

from dlclaims import claims, data, engine
from dlclaims.figures import picture
from dlclaims.pages import Variant
from dlclaims.seeds import Seeds

SEEDS = Seeds("dropout-overfitting/test", (10_000, 10_001))
RATES = (0.001, 0.003)


def only(study, *names):
    """Return the variants of a study whose names are given."""
    found = {variant.name: variant for variant in study.standard}
    return [found[name] for name in names]


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(training, "STEPS", 10)


# What the layer does


@pytest.mark.parametrize("variant", layer.MASKS.standard)
def test_the_fraction_dropped_is_the_rate_and_one_minus_it_at_a_half_only(variant):
    found = layer.measure(variant, SEEDS)
    rate = variant["rate"]
    assert found.from_dropping.max() < 0.003
    assert found.from_keeping.to_numpy() == pytest.approx(abs(1 - 2 * rate), abs=0.003)
    assert (found.evaluated_from_input == 0).all()
    assert found.evaluated_from_scaled_down.to_numpy() == pytest.approx(rate, abs=1e-6)
    assert (found.unlike_first_row == 1).all()
    assert (found.repeated_rows == 0).all()


@pytest.mark.parametrize(
    ("shape", "unlike", "rows", "units"),
    [((1, layer.UNITS), 0.0, 0.5, 0.0), ((layer.EXAMPLES, 1), 0.5, 0.0, 0.5)],
)
def test_a_shared_mask_is_recognised(monkeypatch, shape, unlike, rows, units):
    import keras

    def shared(variant, seeds, seed):
        return keras.layers.Dropout(0.5, noise_shape=shape, seed=1)

    monkeypatch.setattr(layer, "of", shared)
    found = layer.masks_of(Variant((("rate", 0.5),)), SEEDS, 10_000)
    assert found["unlike_first_row"] == pytest.approx(unlike, abs=0.1)
    # One mask for all makes every pair alike, where chance makes half of them so.
    assert found["row_dependence"] == pytest.approx(rows, abs=0.05)
    assert found["unit_dependence"] == pytest.approx(units, abs=0.05)


def test_moments_over_masks_are_those_of_theory_and_scaling_keeps_shares():
    for variant in moments.MOMENTS.standard:
        found = moments.measure(variant, SEEDS)
        assert found.mean_error.max() < 0.02
        assert found.variance_error.max() < 0.03
        assert found.share_change.max() < 1e-12
        assert found.share_excess.to_numpy() == pytest.approx(moments.SMALLEST)


def test_gradients_in_training_mode_are_those_of_the_kept_units():
    runs = engine.initialize(lambda: removal.build(0.5), seeds=SEEDS, dtype="float64")
    model = runs.replica(10_000)
    x = np.linspace(-1, 1, removal.INPUTS)[None]
    (output, dropped), (_, _, outgoing, bias) = removal.in_training(model, x)
    (_, same), _ = removal.in_training(model, x)
    assert (dropped == same).all()  # the random state stays
    assert 0 < np.mean(dropped == 0) < 1
    assert bias == pytest.approx(2 * output[0])
    assert outgoing == pytest.approx(np.outer(dropped[0], 2 * output[0]))


def test_dropped_units_have_no_gradient_and_a_batch_reaches_all_of_them():
    found = removal.measure(*removal.STUDY.standard, SEEDS)
    outcomes = ["largest_of_dropped", "kept_without_gradient", "untouched_by_batch"]
    assert (found[outcomes] == 0).all(axis=None)


def test_a_units_gradients_are_its_column_its_bias_and_its_row():
    slopes = np.diag([1.0, -2.0]), np.array([0.0, 3.0]), np.diag([4.0, 0.0])
    found = removal.per_unit([*slopes, np.zeros(2)])
    assert found.tolist() == [[1.0, 2.0], [0.0, 3.0], [4.0, 0.0]]


def test_the_snippet_zeroes_half_of_its_outputs():
    found = snippet.measure(*snippet.STUDY.standard, SEEDS)
    assert found.zeroed_from_half.max() < 0.01
    assert found.loss_error.max() < 0.02


# Two forms and the averages over masks


@pytest.mark.parametrize("variant", conventions.STUDY.standard)
def test_both_forms_are_one_function_with_steps_of_known_ratio(variant):
    found = conventions.measure(variant, SEEDS)
    deviations = found[["training", "evaluation", "step", "made_up_for"]]
    assert (deviations < 1e-12).all(axis=None)


def test_forms_whose_weights_are_not_converted_differ():
    nets = [replace(conventions.NET, form=form) for form in ("keras", "keras")]
    first, second = (
        engine.initialize(lambda n=n: training.build(n), SEEDS, "float64").replica(
            10_000
        )
        for n in nets
    )
    second.weights[2].assign(second.weights[2] / 2)
    x = np.ones((4, conventions.NET.inputs))
    (ours,), _ = removal.in_training(first, x)
    (theirs,), _ = removal.in_training(second, x)
    assert conventions.apart(theirs, ours) > 0.1


@pytest.mark.parametrize("variant", averages.STUDY.standard)
def test_the_exact_mean_is_geometric_for_softmax_and_arithmetic_for_linear(variant):
    found = averages.measure(variant, SEEDS)
    if variant["network"] == "softmax":
        assert found.geometric.max() < 1e-12
        assert found.arithmetic.min() > 1e-3  # the rival is far from exact
    else:
        assert found.arithmetic.max() < 1e-12


def test_subnetworks_of_two_layers_are_all_pairs_of_masks():
    weights = [np.eye(2), np.zeros(2), np.ones((2, 1)), np.zeros(1)]
    outputs, probabilities = averages.subnetworks(weights, np.array([[1.0, 2.0]]), 0.5)
    assert outputs.shape == (16, 1, 1)
    assert probabilities == pytest.approx(np.full(16, 1 / 16))
    # Each entry survives both layers, times four, in a quarter of the pairs.
    assert set(np.unique(outputs)) == {0.0, 4.0, 8.0, 12.0}
    assert probabilities @ outputs[:, 0, 0] == pytest.approx(3.0)


# Least squares


@pytest.mark.parametrize("design", ridge.DESIGNS)
def test_designs_have_their_second_moments(design):
    x, y = ridge.problem(design, np.random.default_rng(0))
    moments = x.T @ x / ridge.EXAMPLES
    expected = np.ones(ridge.FEATURES) if design == "equal" else ridge.SCALES**2
    assert np.diag(moments) == pytest.approx(expected)
    off = moments - np.diag(np.diag(moments))
    assert (np.abs(off).max() < 1e-12) == (design == "orthogonal")
    assert y.shape == (ridge.EXAMPLES,)


def test_the_nearest_ridge_to_a_ridge_is_itself():
    x, y = ridge.problem("unequal", np.random.default_rng(1))
    gram = x.T @ x + ridge.EXAMPLES * np.eye(ridge.FEATURES)
    solution = np.linalg.solve(gram, x.T @ y)
    assert ridge.nearest_ridge(x, y, solution) == pytest.approx(solution)


def test_the_lasso_is_all_zeros_for_no_fit_and_none_for_the_best():
    x, y = ridge.problem("unequal", np.random.default_rng(1))
    assert ridge.lasso_zeros(x, y, np.zeros(ridge.FEATURES)) == 1
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    assert ridge.lasso_zeros(x, y, best) < 0.5


def test_dropout_descends_to_the_adaptive_ridge(monkeypatch):
    monkeypatch.setattr(ridge, "STEPS", 1500)
    (variant,) = only(ridge.STUDY, "unequal-0.5")
    found = ridge.measure(variant, SEEDS)
    assert len(found) == len(SEEDS) * ridge.FEATURES
    first = found[found.feature == 1]
    assert first.distance.max() < 0.1
    assert first.log_nearer_than_least_squares.max() < -2
    assert (first.zeros == 0).all()
    gaps = np.linalg.norm(
        (found.weight - found.adaptive_ridge).to_numpy().reshape(2, -1), axis=1
    )
    norms = np.linalg.norm(found.adaptive_ridge.to_numpy().reshape(2, -1), axis=1)
    assert first.distance.to_numpy() == pytest.approx(gaps / norms)


# Trained networks in numpy


def test_outputs_are_those_of_the_model_and_changes_act_on_hidden_layers():
    net = training.Net(8, 3, rate=0.5, width=6)
    runs = engine.initialize(lambda: training.build(net), seeds=SEEDS)
    x = np.linspace(-1, 1, 40).reshape(5, 8).astype("float32")
    own = evaluation.network(runs, 1)
    found = evaluation.outputs(own, x)
    expected = np.asarray(runs.replica(10_001)(x, training=False))
    assert found == pytest.approx(expected, abs=1e-5)
    none = evaluation.outputs(own, x, (np.zeros_like, np.zeros_like))
    assert none == pytest.approx(np.tile(own[-1], (5, 1)))


def test_both_forms_start_as_one_function():
    x = np.linspace(-1, 1, 40).reshape(5, 8).astype("float32")
    found = [
        np.asarray(
            engine.initialize(
                lambda form=form: training.build(
                    training.Net(8, 3, rate=0.5, width=6, form=form)
                ),
                seeds=SEEDS,
            ).replica(10_000)(x, training=False)
        )
        for form in ("keras", "paper")
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_one_mask_a_layer_drops_all_units_of_an_example_or_none():
    import keras

    net = training.Net(8, 3, rate=0.5, width=20, mask="layer")
    model = engine.initialize(lambda: training.build(net), SEEDS).replica(10_000)
    first = next(x for x in model.layers if isinstance(x, keras.layers.Dropout))
    kept = np.asarray(first(np.ones((200, 20), "float32"), training=True)) > 0
    assert (kept.all(axis=1) | ~kept.any(axis=1)).all()
    assert 0.3 < kept.mean() < 0.7


def test_excess_correlation_of_copies_and_of_independent_units():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((1000, 20))
    chance = np.sqrt(2 / (np.pi * 1000))
    assert evaluation.excess_correlation(a) == pytest.approx(0, abs=0.005)
    copies = np.repeat(a[:, :1], 5, axis=1) * [1, -1, 2, 3, 0]
    assert evaluation.excess_correlation(copies) == pytest.approx(1 - chance)
    assert evaluation.excess_correlation(np.ones((10, 3))) == 0


@pytest.mark.parametrize(("useful", "expected"), [(4, 1.0), (2, 0.5), (1, 0.25)])
def test_sharing_is_the_fraction_of_equally_useful_units(useful, expected):
    """Unit k is on for examples of class k only, and then votes for that class."""
    y = np.repeat(np.arange(4), 3)
    kernel = 3 * np.eye(4)
    kernel[useful:] = 0
    found = evaluation.sharing(np.eye(4)[y], kernel, np.zeros(4), y)
    assert found == pytest.approx(expected)


def test_sharing_of_units_that_only_harm_is_none():
    y = np.zeros(5, int)
    harm = np.array([[-1.0, 1.0]])
    assert evaluation.sharing(np.ones((5, 1)), harm, np.zeros(2), y) == 0


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [([[0, 1], [0, 1]], 0.0), ([[0, 1], [1, 0]], 1.0), ([[0], [0], [1]], 2 / 3)],
)
def test_disagreement_counts_pairs_of_members(decisions, expected):
    found = evaluation.disagreement(np.array(decisions), 2)
    assert found == pytest.approx(expected)


def test_test_examples_are_taken_from_all_over_the_split():
    test = np.arange(20).reshape(2, 10)
    assert evaluation.spread(test, 4).tolist() == [[0, 3, 6, 9], [10, 13, 16, 19]]
    assert evaluation.spread(test, 10).tolist() == test.tolist()


# The trained studies at a few steps


@pytest.mark.parametrize(
    ("name", "trials"),
    [
        ("digits-500-best-loss-plain", [(0.25, 0.0), (0.5, 0.0)]),
        ("digits-500-none-error-l2", [(0.0, 0.0003), (0.0, 0.01)]),
    ],
)
def test_the_best_trial_is_the_one_with_the_better_validation_score(
    short, name, trials
):
    (variant,) = only(overfitting.STUDY, name)
    variant = replace(variant, learning_rates=RATES)
    found = overfitting.measure(variant, SEEDS)
    key = ["seed", "learning_rate"]
    each = [
        overfitting.measure_one(variant, SEEDS, *trial).set_index(key)
        for trial in trials
    ]
    assert not each[0].test_loss.equals(each[1].test_loss)
    assert len(found) == len(SEEDS) * len(RATES)
    for row in found.to_dict("records"):
        own = [table.loc[tuple(row[name] for name in key)] for table in each]
        best = max(reversed(own), key=lambda table: table.validation_score)
        assert (row["rate"], row["strength"]) == (best.rate, best.strength)
        assert row["test_loss"] == best.test_loss
    assert found.accuracy_gap.to_numpy() == pytest.approx(
        found.training_accuracy - found.test_accuracy
    )
    wrong = np.round((1 - found.test_accuracy) * data.load("digits").test)
    assert found.test_error.to_numpy() == pytest.approx((wrong + 0.5) / 361)


def test_a_fifth_of_the_training_labels_are_wrong_and_true_ones_judge(short):
    dataset = data.load("mnist1d")
    true = training.examples(dataset, SEEDS, 500)
    noisy = training.mislabelled(true, 0.2, dataset.classes, SEEDS)
    assert (noisy.x[noisy.train] == true.x[true.train]).all()
    told, labels = noisy.y[noisy.train], true.y[true.train]
    assert ((told != labels).sum(axis=1) == 100).all()
    away = (told - labels)[told != labels] % dataset.classes
    assert np.bincount(away, minlength=10)[1:] == pytest.approx([200 / 9] * 9, abs=15)
    for name in ("validation", "test"):
        own = getattr(noisy, name)
        assert (own == getattr(true, name)).all()
        assert (noisy.y[own] == dataset.y[own]).all()
    # Which labels are wrong is a seed's own, whatever other seeds there are.
    alone = Seeds(SEEDS.study, (10_001,))
    single = training.examples(dataset, alone, 500)
    single = training.mislabelled(single, 0.2, dataset.classes, alone)
    assert (single.y[single.train[0]] == told[1]).all()
    assert (told[0] != labels[0]).tolist() != (told[1] != labels[1]).tolist()

    (variant,) = only(overfitting.STUDY, "mnist1d-500-none-error-noisy")
    variant = replace(variant, learning_rates=(0.003,))
    found = overfitting.measure(variant, SEEDS)
    net = training.Net(dataset.features, dataset.classes, 0.0)
    runs = training.train(net, noisy, SEEDS, variant, training.STEPS)
    for row, test in enumerate(true.test):
        logits = evaluation.outputs(evaluation.network(runs, row), dataset.x[test])
        right = np.mean(logits.argmax(axis=1) == dataset.y[test])
        assert found.test_accuracy.iloc[row] == pytest.approx(right, abs=2e-4)


def norms(kernel):
    return np.linalg.norm(kernel, axis=0)


def test_max_norm_limits_hidden_units_and_only_those(short):
    dataset = data.load("digits")
    given = training.examples(dataset, SEEDS, 500)
    (variant,) = only(overfitting.STUDY, "digits-500-none-error-max-norm")
    variant = replace(variant, learning_rates=(0.01,))
    limits = overfitting.STRENGTHS["max-norm"]
    for limit in limits:
        net = training.Net(dataset.features, dataset.classes, 0.0, limit=limit)
        runs = training.train(net, given, SEEDS, variant, training.STEPS)
        found = overfitting.measure_one(variant, SEEDS, 0.0, limit)
        assert found.test_loss.tolist() == runs.table().test_loss.tolist()
        for row, _ in enumerate(SEEDS):
            first, _, second, _, last, _ = evaluation.network(runs, row)
            for kernel in (first, second):
                # They start at about the root of 2, so every unit is at its limit.
                assert norms(kernel) == pytest.approx(limit, rel=0.1)
                assert norms(kernel).max() < limit * (1 + 1e-5)
            assert norms(last).max() > max(limits)


def test_l2_adds_the_squares_of_all_kernels_and_no_biases():
    net = training.Net(8, 3, rate=0.0, width=6, penalty=0.25)
    model = engine.initialize(lambda: training.build(net), SEEDS).replica(10_000)
    for bias in model.weights[1::2]:
        bias.assign(bias + 1)
    squares = sum(float(np.sum(np.square(kernel))) for kernel in model.weights[::2])
    assert float(sum(model.losses)) == pytest.approx(0.25 * squares)
    plain = engine.initialize(lambda: training.build(replace(net, penalty=0.0)), SEEDS)
    assert plain.replica(10_000).losses == []


@pytest.mark.parametrize("judged", ["loss", "error"])
def test_scores_are_equal_for_networks_that_guess(judged):
    rows = pd.DataFrame({"validation_loss": [np.log(10)], "validation_accuracy": [0.1]})
    found = training.score(rows, judged)
    assert found.to_numpy() == pytest.approx(-training.GUESSING)


def test_early_stopping_keeps_a_recorded_step(short, monkeypatch):
    monkeypatch.setattr(overfitting, "RECORD_EVERY", 2)
    (variant,) = only(overfitting.STUDY, "digits-500-none-loss-stopped")
    found = overfitting.measure(replace(variant, learning_rates=(0.03,)), SEEDS)
    assert found.test_loss.notna().all()
    assert (found.validation_score > -training.GUESSING).all()


def test_an_ablated_network_that_always_answers_the_same_keeps_its_accuracy():
    rng = np.random.default_rng(0)
    dull = [rng.standard_normal(s) for s in ((5, 20), 20, (20, 20), 20, (20, 3))]
    dull[-1][:] = 0
    dull.append(np.array([1.0, 0.0, 0.0]))
    x, y = rng.standard_normal((30, 5)), np.arange(30) % 3
    found = robustness.probe(dull, x, y, rng)
    parts = [v for name, v in found.items() if "accuracy" in name or "area" in name]
    assert parts == pytest.approx([1 / 3] * 12)
    assert found["sharing"] == 0


def test_every_robustness_arm_is_measured(short):
    for variant in only(robustness.STUDY, "digits-0.0-unit", "digits-0.5-layer"):
        found = robustness.measure(replace(variant, learning_rates=(0.01,)), SEEDS)
        columns = [f"accuracy_without_{percent}" for percent in robustness.REMOVED]
        assert found.ablation_area.to_numpy() == pytest.approx(
            found[columns].mean(axis=1)
        )
        # All of digits' test examples are probed, so intact means tested.
        assert found.accuracy_without_0.to_numpy() == pytest.approx(found.test_accuracy)


def test_members_have_weights_and_batches_of_their_own_and_share_the_split():
    twins = replace(SEEDS, renamed=(("init", "init-2"),))
    for seeds in (SEEDS, twins):
        own = [ensemble.renamed(seeds, member) for member in (0, 1)]
        for stream, number in (("init/0", 3), ("order", 3), ("split", 1)):
            found = {s.entropy(10_000, stream) for s in (*own, seeds)}
            assert len(found) == number
    assert ensemble.renamed(SEEDS, 0).entropy(10_000, "init") != ensemble.renamed(
        twins, 0
    ).entropy(10_000, "init")


def test_subnetworks_lose_or_double_rows_of_outgoing_weights():
    net = [np.ones(s, "float32") for s in ((3, 50), 50, (50, 40), 40, (40, 2), 2)]
    found = ensemble.masked(net, np.random.default_rng(0))
    for k, before in enumerate(net):
        if k in (2, 4):
            assert set(np.unique(found[k])) == {0.0, 2.0}
            assert (found[k] == found[k][:, :1]).all()
        else:
            assert found[k] is before


def test_the_mean_prediction_is_that_of_probabilities():
    logs = np.log([[[0.9, 0.1]], [[0.3, 0.7]]])
    assert np.exp(ensemble.log_mean(logs)) == pytest.approx(np.array([[0.6, 0.4]]))


def test_arms_train_equally_long_and_their_loss_is_the_engines(short, monkeypatch):
    monkeypatch.setattr(ensemble, "MASKS", 3)
    arms = [replace(v, learning_rates=(0.01,)) for v in ensemble.STUDY.standard[:3]]
    tables = {arm["arm"]: ensemble.measure(arm, SEEDS) for arm in arms}
    for cost in ensemble.STUDY.equal:
        assert len({table[cost].iloc[0] for table in tables.values()}) == 1
    trained, _ = ensemble.members(arms[0], SEEDS)
    assert tables["single"].test_loss.to_numpy() == pytest.approx(
        trained[0].table().test_loss, rel=1e-4
    )
    assert (tables["single"][["diversity", "averaged_minus_scaled"]] == 0).all(
        axis=None
    )
    assert (tables["independent"].diversity > 0).all()
    assert (tables["independent"].averaged_minus_scaled == 0).all()


# Figures


def drawn(figure, table):
    """The panels of a figure, by title, and what it shows in words."""
    table = table.assign(source="measured", status="ok", variant="v")
    found, words = picture.draw(figure, table)
    return {ax.get_title() for ax in found.axes if ax.axison}, words


def test_losses_of_ensembles_are_drawn_relative_to_one_network_of_the_seed():
    rows = [
        ("digits", arm, seed, loss * (seed + 1))
        for seed in (0, 1, 2)
        for arm, loss in (("single", 2.0), ("dropout", 1.0), ("independent", 3.0))
    ]
    table = pd.DataFrame(rows, columns=["data", "arm", "seed", "test_loss"])
    titles, words = drawn(ensemble.LOSSES, table)
    assert titles == {"digits"}
    assert "dropout 0.5 at dropout" in words
    assert "five networks 1.5 at five networks" in words
    titles, _ = drawn(ensemble.DIFFERENCES, table.assign(diversity=1.0))
    assert titles == {"digits"}


def test_errors_are_drawn_in_per_cent_for_the_data_that_are_there():
    rows = [(name, seed) for name in ("none", "best", "0.5") for seed in (0, 1, 2)]
    table = pd.DataFrame(rows, columns=["dropout", "seed"]).assign(
        data="mnist1d",
        examples=500,
        rate=[0.0] * 3 + [0.25] * 3 + [0.5] * 3,
        test_error=0.25,
        test_accuracy=0.75,
        training_accuracy=1.0,
    )
    titles, words = drawn(window.BENEFIT, table)
    assert titles == {"MNIST-1D"}
    assert "no dropout 25 at 500; dropout 25 at 500" in words
    titles, words = drawn(overfitting.GAPS, table)
    assert titles == {"MNIST-1D"}
    assert "error 0 at 0.0 and 0 at 0.5; test error 25 at 0.0 and 25 at 0.5" in words


def test_remedies_are_drawn_by_the_labels_that_were_trained_on():
    errors = {
        ("plain", "none"): 0.4,
        ("plain", "best"): 0.1,
        ("plain", "0.5"): 0.9,  # these two belong to other figures
        ("paper", "0.5"): 0.9,
        ("l2", "none"): 0.3,
        ("max-norm", "none"): 0.2,
        ("noisy", "none"): 0.6,
        ("noisy", "best"): 0.5,
    }
    rows = [(*arm, error, seed) for arm, error in errors.items() for seed in (0, 1, 2)]
    table = pd.DataFrame(rows, columns=["setup", "dropout", "test_error", "seed"])
    table = table.assign(data="digits", source="measured", status="ok", variant="v")
    found, words = picture.draw(remedies.ERRORS, table)
    (panel,) = [ax for ax in found.axes if ax.axison]
    shown = [label.get_text() for label in panel.get_xticklabels()]
    assert shown == ["none", "L2", "max-norm", "dropout"]
    assert "true labels 40 at none and 10 at dropout" in words
    assert "20 % of labels wrong 60 at none and 50 at dropout" in words
    assert max(line.get_ydata().max() for line in panel.lines) == pytest.approx(60)


def test_the_order_of_sizes_compares_each_size_with_its_own_network_without_dropout():
    outcome = window.larger("digits", overfitting.FEW, "rival").effect
    factors = [dict(getattr(outcome, name)) for name in claims.ARMS]
    assert [(f["dropout"], f["examples"]) for f in factors] == [
        ("best", overfitting.SOME),
        ("none", overfitting.SOME),
        ("best", overfitting.FEW),
        ("none", overfitting.FEW),
    ]
    assert {(f["data"], f["judged"], f["setup"]) for f in factors} == {
        ("digits", "error", "plain")
    }
