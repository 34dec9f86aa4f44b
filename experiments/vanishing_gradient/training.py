"""Whether networks whose gradients vanish at initialisation learn, and how slowly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dlclaims import data, engine, figures, networks
from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Difference,
    LogRatio,
    Region,
    Value,
)
from dlclaims.pages import Figure, Study, Tuning, Variant
from dlclaims.theory.mean_field import Stack

from . import propagation

if TYPE_CHECKING:
    import keras
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

WIDTH = 64
STEPS = 1000
BATCH = 32
TRAIN = {"digits": 1000, "mnist1d": 3000}  # training examples
VALIDATION = 400
DATA = tuple(TRAIN)
LEARNT = 0.9  # training accuracy
CHANCE = 0.1  # both data sets have ten classes

#: The document's initialisation, and the one that suits the activation.
PAIRS = (
    ("sigmoid", "document"),
    ("sigmoid", "xavier"),
    ("tanh", "document"),
    ("tanh", "xavier"),
    ("relu", "document"),
    ("relu", "he"),
)


def net(
    dataset: str, activation: str, rule: str, depth: int, frozen: str = "none"
) -> dict[str, Any]:
    return {
        "data": dataset,
        "activation": activation,
        "initialization": rule,
        "depth": depth,
        "frozen": frozen,
    }


def build(variant: Variant) -> keras.Model:
    dataset = data.load(variant["data"])
    law = propagation.initialization(variant["initialization"], variant["activation"])
    stack = Stack(dataset.features, variant["depth"], WIDTH, variant["activation"], law)
    model = networks.mlp(stack, outputs=dataset.classes)
    if variant["frozen"] == "first-half":
        for layer in range(1, variant["depth"] // 2 + 1):
            model.get_layer(f"pre_{layer}").trainable = False
    return model


def momentum() -> keras.optimizers.Optimizer:
    import keras

    return keras.optimizers.SGD(momentum=0.9)


def loss(y: Any, logits: Any) -> Any:
    import keras

    return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Accuracies after the last step, and the steps until 90 % training accuracy."""
    dataset = data.load(variant["data"])
    split = data.split(dataset, seeds, TRAIN[dataset.name], VALIDATION)
    steps = variant.steps(STEPS)
    recipe = engine.Recipe(
        loss=loss,
        optimizer=momentum,
        steps=steps,
        batch=BATCH,
        record_every=20,
        until=(("train_accuracy", LEARNT),),
        train_examples=500,
    )
    runs = engine.train(
        lambda: build(variant),
        engine.Examples(dataset.x, dataset.y, *split),
        recipe,
        seeds=seeds,
        learning_rates=variant.learning_rates,
    )
    last = runs.table().query(f"step == {steps}")
    return last.rename(columns={"steps_to_train_accuracy_0.9": "steps_to_learn"})[
        ["seed", "learning_rate", "status", "steps_to_learn"]
        + [f"{part}_accuracy" for part in ("train", "validation", "test")]
    ].assign(
        parameters=runs.parameters,
        multiply_accumulates=runs.multiply_accumulates,
        steps=steps,
        examples_seen=steps * BATCH,
    )


def nets(depths: tuple[int, ...], datasets: tuple[str, ...]) -> tuple[Variant, ...]:
    return tuple(
        Variant(tuple(net(dataset, activation, rule, depth).items()))
        for dataset in datasets
        for activation, rule in PAIRS
        for depth in depths
    )


#: Digits only: a depth at which Xavier's sigmoid learns (on the tuning seeds), with the
#: first half of the layers frozen or not; one at which it hardly does; the critical
#: scale.
SPECIAL = tuple(
    Variant(tuple(net("digits", *rest).items()))
    for rest in (
        ("sigmoid", "xavier", 3),
        ("sigmoid", "xavier", 3, "first-half"),
        ("tanh", "xavier", 3),
        ("tanh", "xavier", 3, "first-half"),
        ("sigmoid", "xavier", 5),
        ("tanh", "xavier", 5),
        ("sigmoid", "critical", 10),
    )
)


#: Those in which Xavier's sigmoid hardly learns, and what it is compared with.
NEEDED = tuple(
    Variant(tuple(net("digits", *rest).items()))
    for rest in (
        ("sigmoid", "xavier", 10),
        ("tanh", "xavier", 10),
    )
)


def draw_accuracy(table: pd.DataFrame, ax: Axes) -> None:
    """Test accuracy of every seed by depth, one panel a data set."""
    table = propagation.named(table[table["frozen"] == "none"])
    for dataset, panel in figures.panels(ax, list(DATA)).items():
        chosen = table[table["data"] == dataset]
        figures.dots(chosen, panel, x="depth", y="test_accuracy", hue="network")
        panel.axhline(CHANCE, color="0.5", linewidth=1, linestyle=":")


def draw_speed(table: pd.DataFrame, ax: Axes) -> None:
    """Steps to 90 % training accuracy of every seed, sigmoid against tanh."""
    shown = table[
        (table["data"] == "digits")
        & (table["initialization"] == "xavier")
        & table["activation"].isin(["sigmoid", "tanh"])
    ]
    shown = shown.assign(
        network=shown["activation"]
        + shown["frozen"].map({"none": "", "first-half": ", first half frozen"})
    )
    figures.dots(shown, ax, x="depth", y="steps_to_learn", hue="network")
    ax.set_ylabel(f"steps to {LEARNT:.0%} training accuracy")


STUDY = Study(
    name="training",
    title="Learning with and without vanishing gradients",
    measure=measure,
    standard=nets((2, 10, 20), DATA) + SPECIAL,
    quick=SPECIAL + NEEDED,
    smoke=tuple(
        Variant(tuple(net("digits", activation, "xavier", 2).items()))
        for activation in ("sigmoid", "tanh")
    ),
    full=nets((2, 10, 20, 40), DATA) + SPECIAL,
    tuning=Tuning(
        rates=(0.001, 0.004, 0.016, 0.064, 0.256, 1.0),
        choose="validation_accuracy",
        trains_above=0.2,
    ),
    diverged={
        "test_accuracy": CHANCE,
        "train_accuracy": CHANCE,
        "steps_to_learn": STEPS,
    },
    data=DATA,
    equal=("multiply_accumulates", "steps", "examples_seen"),
    sensitivity=("longer",),
)

ACCURACY = Figure(
    name="accuracy-by-depth",
    study=STUDY.name,
    title="Test accuracy by depth, activation and initialisation",
    draw=draw_accuracy,
    reading=(
        "Each dot is one seed's test accuracy after training at the learning rate that"
        " was chosen for its network; the dotted line is guessing. Compare the same"
        " activation under two initialisations."
    ),
)

SPEED = Figure(
    name="steps-to-learn",
    study=STUDY.name,
    title="How long sigmoid and tanh networks take to learn",
    draw=draw_speed,
    reading=(
        "Each dot is the number of steps that one seed needed; dots at the top never"
        " got there. Sigmoid and tanh differ in their gradients, not in their size."
    ),
)


def slower(depth: int) -> Criterion:
    return Criterion(
        f"slower-{depth}",
        STUDY.name,
        LogRatio(
            Value("steps_to_learn"),
            net("digits", "sigmoid", "xavier", depth),
            over=net("digits", "tanh", "xavier", depth),
        ),
        Region.above(math.log(2)),
        "log ratio of steps (censored at the last step)",
        f"digits, {depth} layers of 64, sigmoid against tanh, both Xavier",
        "twice the steps is slower than any schedule would hide",
        "learning rates that suit only one of the two",
    )


SIGMOID_CRITICAL = Claim(
    "vg-sigmoid-critical",
    kinds=("difference", "trend"),
    document=Assertion(
        "Sigmoid activations make gradients vanish.",
        tuple(
            propagation.vanishes(propagation.net("sigmoid", rule))
            for rule in ("xavier", "he", "critical")
        ),
        expected="conditional",
    ),
    corrected=Assertion(
        "Sigmoid networks lose their gradient at the usual scales; with weights of"
        " standard deviation 10.15/√n it keeps its size at initialisation, and"
        " such networks learn where Xavier's do not.",
        (
            *(
                propagation.slope(
                    propagation.net("sigmoid", "critical", depth=depth),
                    Region.around(0, 0.02),
                    "0.02 nats a layer change the gradient by a third in 20 layers",
                    "Xavier's 1.44 nats a layer",
                )
                for depth in (10, 20)
            ),
            propagation.agrees(propagation.net("centred_sigmoid", "critical")),
            Criterion(
                "learns",
                STUDY.name,
                Difference(
                    Value("test_accuracy"),
                    net("digits", "sigmoid", "critical", 10),
                    minus=net("digits", "sigmoid", "xavier", 10),
                ),
                Region.above(0.1),
                "test accuracy, fraction of examples",
                "digits, 10 layers of 64, the critical scale against Xavier",
                "ten points are what a reader would call learning better",
                "sigmoid cannot be trained at this depth at all",
            ),
        ),
        expected="supported",
    ),
    theory=(
        r"\chi(q^*) = 1\ \text{at}\ \sigma_w = 10.15,\ q^* = 45.6;"
        r"\quad\text{centred:}\ \sigma_w = 4"
    ),
    references=("schoenholz2017",),
)


RELU_NOT_IMMUNE = Claim(
    "vg-relu-not-immune",
    kinds=("trend", "difference"),
    document=Assertion(
        "ReLU avoids the vanishing-gradient problem.",
        (
            propagation.keeps(propagation.net("relu", "he")),
            propagation.keeps(propagation.net("relu", "xavier")),
            propagation.keeps(propagation.net("relu", "document", width=100)),
        ),
        expected="conditional",
    ),
    corrected=Assertion(
        "ReLU keeps gradients only when the weights have variance 2/n (He); otherwise"
        " it multiplies them by √(σ_w²/2) a layer. Under U(-0.1, 0.1) at 100 units it"
        " loses more than tanh, and a deep network started so does not learn.",
        (
            propagation.agrees(propagation.net("relu", "he")),
            propagation.agrees(propagation.net("relu", "xavier")),
            propagation.agrees(propagation.net("relu", "document", width=100)),
            Criterion(
                "worse-than-tanh",
                propagation.STUDY.name,
                Difference(
                    propagation.PER_LAYER,
                    propagation.net("relu", "document", width=100),
                    minus=propagation.net("tanh", "document", width=100),
                ),
                Region.above(0.1),
                propagation.NATS,
                "U(-0.1, 0.1), 20 layers of 100, ReLU against tanh",
                "a tenth of the gradient in every layer",
                "ReLU is at least as good as tanh under every initialisation",
            ),
            *(
                Criterion(
                    f"learns-{name}",
                    STUDY.name,
                    Difference(
                        Value("test_accuracy"),
                        net(name, "relu", "he", 20),
                        minus=net(name, "relu", "document", 20),
                    ),
                    Region.above(0.1),
                    "test accuracy, fraction of examples",
                    f"{name}, 20 layers of 64, He against U(-0.1, 0.1)",
                    "ten points are what a reader would call learning better",
                    "ReLU learns whatever its initialisation",
                )
                for name in DATA
            ),
        ),
        expected="supported",
    ),
    theory=r"\tfrac12\log\chi = \tfrac12\log(\sigma_w^2/2)",
    references=("he2015", "hanin2018"),
)


def frozen(region: Region, rival: str) -> Criterion:
    return Criterion(
        "frozen-half",
        STUDY.name,
        Difference(
            Value("test_accuracy"),
            net("digits", "sigmoid", "xavier", 3, "first-half"),
            minus=net("digits", "sigmoid", "xavier", 3),
        ),
        region,
        "test accuracy, fraction of examples",
        "digits, sigmoid, 3 layers of 64, the first layer frozen against trained",
        "one point is about one standard error of the test set",
        rival,
    )


EARLY_LAYERS = Claim(
    "vg-early-layers-slow",
    kinds=("difference",),
    document=Assertion(
        "Vanishing gradients make learning sluggish, above all in deep networks: the"
        " early layers hardly learn.",
        (
            slower(5),
            slower(10),
            frozen(Region.around(0, 0.01), "early layers that learn, only more slowly"),
        ),
        expected="supported",
    ),
    corrected=Assertion(
        "Vanishing gradients make learning slow or impossible; where a network learns"
        " at all, its early layers learn too and are needed.",
        (
            slower(5),
            slower(10),
            frozen(Region.below(-0.01), "early layers that might as well stay random"),
        ),
        expected="supported",
    ),
    references=("glorot2010",),
)
