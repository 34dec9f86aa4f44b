"""What is said about depth and skips, and what the trained networks decide."""

from __future__ import annotations

from typing import Any

from dlclaims.claims import Assertion, Claim, Criterion, Difference, Mean, Region, Value

from . import docblock
from .training import EARLY, STEPS, STUDY, variant

TRAINING, TEST = "training_accuracy", "test_accuracy"
ACCURACY = {
    TRAINING: "training accuracy in evaluation mode, fraction of examples",
    TEST: "test accuracy, fraction of examples",
}
TWO = 0.02
POINTS = "two points are what a table of results would print in bold"
POINT = "one point, below which tables of results call a difference none"
TUNED = f"MNIST-1D, batch normalisation, {STEPS:,} steps, each at its own learning rate"


def deeper(
    arm: str, depth: int, than: int, region: Region, reason: str, rival: str
) -> Criterion:
    """Training accuracy at a depth minus that at another one."""
    words = "plain" if arm == "plain" else "residual"
    return Criterion(
        f"{arm}-{depth}-against-{than}",
        STUDY.name,
        Difference(Value(TRAINING), variant(arm, depth), minus=variant(arm, than)),
        region,
        ACCURACY[TRAINING],
        f"{words} networks, {depth} against {than} layers, {TUNED}",
        reason,
        rival,
    )


WORSE, NOT_WORSE = Region.below(-TWO), Region.above(-0.01)

DEGRADES = deeper(
    "plain", 40, 10, WORSE, POINTS, "overfitting, which would not raise training error"
)

DEGRADATION = Claim(
    "rd-degradation",
    kinds=("difference", "trend"),
    document=Assertion(
        "Conventional networks without skips get worse when they become much deeper.",
        (DEGRADES,),
        expected="supported",
    ),
    corrected=Assertion(
        "Plain networks learn even their training examples worse when they become much"
        " deeper; the same layers with skips do not.",
        (
            DEGRADES,
            DEGRADES.without(
                {"arm": "residual"},
                "with skips, which have no weights",
                NOT_WORSE,
                POINT,
            ),
        ),
        expected="supported",
    ),
    references=("he2016",),
)


def with_skips(column: str, depth: int) -> Criterion:
    return Criterion(
        f"{column.replace('_', '-')}-{depth}",
        STUDY.name,
        Difference(
            Value(column), variant("residual", depth), minus=variant("plain", depth)
        ),
        Region.above(TWO),
        ACCURACY[column],
        f"{depth} layers, residual against plain, {TUNED}",
        POINTS,
        "more weights: skips have none, so both arms have as many",
    )


FIXES = tuple(with_skips(column, 40) for column in ACCURACY)
KEEPS_PACE = deeper(
    "residual", 40, 10, NOT_WORSE, POINT, "skips that only soften degradation"
)

SKIP_FIXES = Claim(
    "rd-skip-fixes",
    kinds=("difference",),
    document=Assertion(
        "Skip connections improve very deep networks, in training and in testing.",
        FIXES,
        expected="supported",
    ),
    corrected=Assertion(
        "At 40 layers skips improve training and test accuracy with no weight more, and"
        " 40 layers with skips learn their training examples as well as 10.",
        (*FIXES, KEEPS_PACE),
        expected="supported",
    ),
    references=("he2016", "he2016identity"),
)


def gradient(name: str, column: str, region: Region, reason: str) -> Criterion:
    when = "at the start" if column == "gradient_start" else f"after {EARLY} steps"
    return Criterion(
        f"{name}-{column.replace('_', '-')}",
        STUDY.name,
        Mean(Value(column), variant("plain", 40)),
        region,
        "log10 of the gradient at the first block's weights over that at the last's",
        f"plain, 40 layers, batch normalisation in training mode, MNIST-1D, {when}",
        reason,
        "a network that cannot learn because no gradient arrives",
    )


TENTH = "a tenth is lost in any network: it is not what stops training"
HUNDREDTH = "Adam divides by the gradient's size: two decades do not stop it"

NOT_VANISHING = Claim(
    "rd-not-vanishing",
    kinds=("exact", "difference"),
    document=Assertion(
        "Residual networks matter because they lessen vanishing gradients: where deep"
        " plain networks degrade, their gradients vanish.",
        (
            gradient("vanishes", "gradient_start", Region.below(-1), TENTH),
            gradient("vanishes", "gradient_early", Region.below(-2), HUNDREDTH),
        ),
        expected="refuted",
    ),
    corrected=Assertion(
        "Plain networks with batch normalisation degrade although their gradients do"
        " not vanish, neither at the start nor early in training.",
        (
            gradient("healthy", "gradient_start", Region.above(-1), TENTH),
            gradient("healthy", "gradient_early", Region(-2, 3), HUNDREDTH),
            DEGRADES,
        ),
        expected="supported",
    ),
    references=("he2016", "balduzzi2017"),
)


def against_batch(
    name: str, normalization: str, region: Region, words: str, reason: str, rival: str
) -> Criterion:
    return Criterion(
        name,
        STUDY.name,
        Difference(
            Value(TRAINING),
            variant("residual", 40, normalization),
            minus=variant("residual", 40),
        ),
        region,
        ACCURACY[TRAINING],
        f"40 layers with skips, {words} against batch normalisation, MNIST-1D,"
        f" {STEPS:,} steps, each at its own learning rate",
        reason,
        rival,
    )


BN_IDENTITY_BIAS = Claim(
    "rd-bn-identity-bias",
    kinds=("rate", "success"),
    document=None,
    corrected=Assertion(
        "Deep residual networks train with batch normalisation because it shrinks"
        " their branches: branches scaled by a learnt number that starts at 0 train"
        " as well without it, unscaled ones do not.",
        (
            against_batch(
                "skip-init",
                "skip-init",
                Region.around(0, TWO),
                "branches scaled from 0",
                "two points, in either direction",
                "something else about batch normalisation that training needs",
            ),
            against_batch(
                "unscaled",
                "none",
                Region.below(-TWO),
                "no normalisation",
                POINTS,
                "blocks that need no bias towards the identity",
            ),
        ),
        expected="supported",
    ),
    references=("de2020", "zhang2019"),
)


def lesion(
    name: str, where: dict[str, Any], column: str, region: Region, rival: str
) -> Criterion:
    how = (
        ", statistics of normalisation computed anew"
        if column == "lesion_recomputed"
        else ""
    )
    arm = "with skips" if where["arm"] == "residual" else "plain"
    return Criterion(
        name,
        STUDY.name,
        Mean(Value(column), where),
        region,
        "test accuracy lost without one block, mean over blocks",
        f"{arm}, {where['depth']} layers, batch normalisation, MNIST-1D{how}",
        "five points: the network still does its task"
        if region == LITTLE
        else "thirty points: most of what it had learnt",
        rival,
    )


LITTLE, MOST = Region.below(0.05), Region.above(0.3)
SPARED = tuple(
    lesion(
        f"residual-{depth}",
        variant("residual", depth),
        "lesion",
        LITTLE,
        "blocks that each do a step that the next ones need",
    )
    for depth in (20, 40)
)

ENSEMBLE_LESION = Claim(
    "rd-ensemble-lesion",
    kinds=("difference",),
    document=Assertion(
        "Shortcuts let information flow directly between layers: a network with them"
        " does without any one block.",
        SPARED,
        expected="supported",
    ),
    corrected=Assertion(
        "Without one block a residual network loses little, a plain one most of what it"
        " had learnt.",
        (
            *SPARED,
            lesion(
                "plain-20",
                variant("plain", 20),
                "lesion",
                MOST,
                "blocks that no network of this depth needs",
            ),
            lesion(
                "residual-20-recomputed",
                variant("residual", 20),
                "lesion_recomputed",
                LITTLE,
                "statistics of normalisation that no longer fit, and nothing else",
            ),
        ),
        expected="supported",
    ),
    references=("veit2016",),
)

DOC_EQUATION = Claim(
    "rd-doc-equation",
    kinds=("exact",),
    document=Assertion(
        "A residual block is a_l = g(W a + b) + a_(l-1): the skip is added after the"
        " nonlinearity.",
        (
            docblock.EQUAL_WIDTHS,
            docblock.UNEQUAL_WIDTHS,
            Criterion(
                "trains-as-well",
                STUDY.name,
                Difference(
                    Value(TRAINING),
                    variant("document", 40, "none"),
                    minus=variant("residual", 40, "none"),
                ),
                Region.above(-0.01),
                ACCURACY[TRAINING],
                "40 layers without normalisation, the document's block against blocks"
                f" of two layers, MNIST-1D, {STEPS:,} steps, each at its own learning"
                " rate",
                POINT,
                "a block in which ReLU is the last step before the sum loses nothing",
            ),
        ),
        expected="conditional",
    ),
    corrected=Assertion(
        "With the skip added after ReLU no activation can fall from block to block, and"
        " the sum exists between layers of one width only.",
        (docblock.NEVER_FALLS, docblock.UNEQUAL_REFUSED),
        expected="supported",
    ),
    theory=r"a_l - a_{l-1} = g(W a_{l-1} + b) \ge 0",
    references=("he2016", "he2016identity"),
)

DEPTH_UNLOCKED = Claim(
    "rd-depth-unlocked",
    kinds=("success",),
    document=Assertion(
        "Residual networks made substantially deeper networks possible.",
        (
            deeper(
                "residual",
                40,
                10,
                Region.above(-TWO),
                POINTS,
                "skips that only delay degradation",
            ),
            deeper(
                "plain",
                20,
                10,
                WORSE,
                POINTS,
                "plain networks that reach half of that depth, so not a quarter",
            ),
        ),
        expected="supported",
    ),
    corrected=None,
    references=("he2016",),
)
