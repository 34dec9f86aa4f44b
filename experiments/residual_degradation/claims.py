"""What is said about depth and skips, and what the trained networks decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dlclaims.claims import (
    Assertion,
    Claim,
    Criterion,
    Difference,
    Mean,
    Published,
    Region,
    Value,
)

from . import docblock
from .training import DEPTHS, EARLY, STEPS, STUDY, TIMES, variant

TRAINING, TEST, LONGER = "training_accuracy", "test_accuracy", "longer_accuracy"
ACCURACY = {
    TRAINING: "training accuracy",
    LONGER: "training accuracy",
    TEST: "test accuracy",
}
TWO = 0.02
POINTS = "two points are what a table of results would print in bold"
POINT = "one point, below which tables of results call a difference none"
NORMALIZED = {"batch": "batch normalisation", "none": "no normalisation"}
TUNED = f"{STEPS:,} steps, each at its own learning rate, MNIST-1D"
LONG = f"{TIMES * STEPS:,} steps at the rate that was best for {STEPS:,}, MNIST-1D"

RESNETS = tuple(
    Published(
        f"{error} % test error",
        f"a ResNet of {layers} layers on CIFAR-10",
        "he2016",
        "Table 6",
    )
    for layers, error in (
        ("20", "8.75"),
        ("56", "6.97"),
        ("110", "6.43"),
        ("1,202", "7.93"),
    )
)
PLAIN_NETS = (
    *(
        Published(
            f"{accuracy} % test accuracy",
            f"a plain convolutional network of {layers} layers on CIFAR-10",
            "fish145",
            "README, results without data augmentation",
        )
        for layers, accuracy in (
            (20, "90.10"),
            (32, "86.96"),
            (44, "84.45"),
            (56, "85.26"),
        )
    ),
    Published(
        "more than 60 % error",
        "a plain convolutional network of 110 layers on CIFAR-10",
        "he2016",
        "caption of Figure 6",
    ),
    Published(
        "still degraded",
        "plain networks on ImageNet after three times the iterations",
        "he2016",
        "a footnote on its plain networks",
    ),
)


def deeper(
    arm: str,
    depth: int,
    than: int,
    region: Region,
    reason: str,
    rival: str,
    column: str = TRAINING,
    normalization: str = "batch",
) -> Criterion:
    """Accuracy at a depth minus that at another one."""
    words = "plain" if arm == "plain" else "with skips"
    name = f"{arm}-{depth}-against-{than}"
    return Criterion(
        name if column == TRAINING else f"{name}-{column.split('_')[0]}",
        STUDY.name,
        Difference(
            Value(column),
            variant(arm, depth, normalization),
            minus=variant(arm, than, normalization),
        ),
        region,
        ACCURACY[column],
        f"{words}, {depth} against {than} layers, {NORMALIZED[normalization]},"
        f" {LONG if column == LONGER else TUNED}",
        reason,
        rival,
    )


WORSE, NOT_WORSE, BETTER = (
    Region.below(-TWO),
    Region.above(-0.01),
    Region.above(TWO),
)

DEGRADES = deeper(
    "plain", 40, 10, WORSE, POINTS, "overfitting, which would not raise training error"
)
STILL_DEGRADES = deeper(
    *("plain", 40, 10, WORSE, POINTS),
    "deep networks that only need more steps",
    LONGER,
)
DEGRADES_BARE = replace(
    deeper(
        *("plain", 40, 10, WORSE, POINTS),
        "batch normalisation that deep networks do not bear",
        normalization="none",
    ),
    name="bare-40-against-10",
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
        " deeper, with or without batch normalisation, and more steps do not mend it;"
        " the same layers with skips do not.",
        (
            DEGRADES,
            replace(
                DEGRADES, scope=f"40 against 10 layers, {NORMALIZED['batch']}"
            ).without(
                {"arm": "residual"},
                f"with skips, which have no weights, {TUNED}",
                NOT_WORSE,
                POINT,
            ),
            STILL_DEGRADES,
            DEGRADES_BARE,
        ),
        expected="supported",
    ),
    references=("he2016", "fish145"),
    published=PLAIN_NETS,
)


def with_skips(column: str, depth: int) -> Criterion:
    return Criterion(
        f"{column.replace('_', '-')}-{depth}",
        STUDY.name,
        Difference(
            Value(column), variant("residual", depth), minus=variant("plain", depth)
        ),
        BETTER,
        ACCURACY[column],
        f"{depth} layers, with skips against plain, {NORMALIZED['batch']}, {TUNED}",
        POINTS,
        "more weights: skips have none, so both arms have as many",
    )


FIXES = tuple(with_skips(column, 40) for column in (TRAINING, TEST))
KEEPS_PACE = deeper(
    "residual", 40, 10, NOT_WORSE, POINT, "skips that only soften degradation"
)
IMPROVES = tuple(
    replace(
        deeper(
            *("residual", 40, 10, BETTER, POINTS),
            "skips that only undo the harm of depth",
            column,
        ),
        name=f"deeper-{column.replace('_', '-')}",
    )
    for column in (TRAINING, TEST)
)
NO_BETTER = deeper(
    *("residual", 40, 10, Region.below(0.01), POINT),
    "depth that helps on new examples wherever it can be trained",
    TEST,
)

SKIP_FIXES = Claim(
    "rd-skip-fixes",
    kinds=("difference",),
    document=Assertion(
        "Skip connections improve very deep networks, and the depth that they allow"
        " improves accuracy, in training and in testing.",
        (*FIXES, *IMPROVES),
        expected="conditional",
    ),
    corrected=Assertion(
        "At 40 layers skips improve training and test accuracy with no weight more, and"
        " 40 layers with skips learn their training examples as well as 10; they do not"
        " do better on new ones.",
        (*FIXES, KEEPS_PACE, NO_BETTER),
        expected="supported",
    ),
    references=("he2016", "he2016identity"),
    published=RESNETS,
)


def gradient(
    name: str, column: str, region: Region, reason: str, arm: str = "plain"
) -> Criterion:
    when = "at the start" if column == "gradient_start" else f"after {EARLY} steps"
    return Criterion(
        f"{name}-{column.replace('_', '-')}",
        STUDY.name,
        Mean(Value(column), variant(arm, 40)),
        region,
        "decades",
        f"{'plain' if arm == 'plain' else 'with skips'}, {when}, gradient at the first"
        " block's weights over that at the last's, 40 layers, batch normalisation in"
        " training mode, MNIST-1D",
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
        " not vanish, neither at the start nor early in training; with skips they do"
        " not vanish either.",
        (
            gradient("healthy", "gradient_start", Region.above(-1), TENTH),
            gradient("healthy", "gradient_early", Region(-2, 3), HUNDREDTH),
            gradient("skips", "gradient_start", Region.above(-1), TENTH, "residual"),
            DEGRADES,
        ),
        expected="supported",
    ),
    theory=(
        r"\frac{|\partial J / \partial W_l|}{|\partial J / \partial W_{l+1}|}"
        r" = \sqrt{\frac{\pi}{\pi - 1}} \approx 1.21 \ \text{(plain)}"
    ),
    references=("he2016", "balduzzi2017", "yang2019"),
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
        f"{words} against batch normalisation, 40 layers with skips, {TUNED}",
        reason,
        rival,
    )


BN_IDENTITY_BIAS = Claim(
    "rd-bn-identity-bias",
    kinds=("rate", "success"),
    document=None,
    corrected=Assertion(
        "What deep residual networks need of batch normalisation is that it shrinks"
        " their branches: with branches scaled by a learnt number that starts at 0 they"
        " train equally well without it, with unscaled ones they do not.",
        (
            against_batch(
                "skip-init",
                "skip-init",
                Region.around(0, TWO),
                "branches scaled from 0",
                "two points, in either direction: better is not equal either",
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
        "test accuracy lost",
        f"{arm}, {where['depth']} layers{how}, without one block, mean over all"
        " blocks, batch normalisation, MNIST-1D",
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
    document=None,
    corrected=Assertion(
        "Left without one of its blocks, a residual network loses little test accuracy"
        " on average over the blocks, a plain one most of what it had learnt.",
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
    published=(
        Published(
            "10 to 34 layers",
            "the paths that carry most of the gradient in a ResNet of 110 layers",
            "veit2016",
            "abstract",
        ),
    ),
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
                "the document's block against blocks of two layers, 40 layers, no"
                f" normalisation, {TUNED}",
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

#: The most layers with which plain networks still learn as well as with any depth, and
#: the fewest of the grid that are four times as many.
SHALLOW, FOURFOLD = 4, 20


def close_to(other: int) -> Criterion:
    return deeper(
        *("residual", FOURFOLD, other, Region.above(-TWO)),
        "two points of the best, whichever depth of the grid that is",
        "skips that only delay degradation",
    )


def behind(depth: int) -> Criterion:
    return deeper(
        *("plain", depth, SHALLOW, WORSE),
        "two points of the best, which is at least as good as this one",
        "plain networks that reach a quarter of that depth and more",
    )


DEPTH_UNLOCKED = Claim(
    "rd-depth-unlocked",
    kinds=("success",),
    document=Assertion(
        "Residual networks made substantially deeper networks possible.",
        (
            *(close_to(depth) for depth in DEPTHS if depth != FOURFOLD),
            *(behind(depth) for depth in DEPTHS if depth != SHALLOW),
        ),
        expected="supported",
    ),
    corrected=None,
    references=("he2016",),
    published=RESNETS,
)
