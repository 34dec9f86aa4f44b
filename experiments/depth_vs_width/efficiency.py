"""For which functions a deeper network of one size is the better approximation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dlclaims.claims import Assertion, Claim, Criterion, Difference, Region, Value

from . import depths

#: Half of the error: 0.3 decades. A constant factor that a few more units also give.
HALF = 0.3
BETTER = Region.below(-HALF)
ALIKE = Region.around(0.0, HALF)
NO_BETTER = Region.above(-HALF)
HALVED = "0.3 decades halve the error: less is a constant that other choices give too"

#: The document's sentence, without conditions.
SENTENCE = (
    "For the same functions, deeper networks are the more efficient approximators"
)


def against_one(
    target: str, depth: int, region: Region, reason: str, rival: str
) -> Criterion:
    """The log error of a network of `depth` layers minus that of one layer."""
    return Criterion(
        f"{target}-{depth}-against-1",
        depths.STUDY.name,
        Difference(
            Value("log_error"),
            depths.net(target, depth),
            minus=depths.net(target, 1),
        ),
        region,
        depths.DECADES,
        f"{depths.TITLES[target]}, {depth} hidden layers against one of as many"
        f" parameters",
        reason,
        rival,
    )


def better(target: str, depth: int) -> Criterion:
    return against_one(
        target, depth, BETTER, HALVED, "an advantage by a constant, or none"
    )


def no_better(target: str, depth: int) -> Criterion:
    own = against_one(
        target, depth, NO_BETTER, HALVED, "a separation by depth at this size"
    )
    return replace(own, name=f"{target}-enough-units")


def one_direction(control_of: Criterion) -> Criterion:
    """As fast an oscillation on the same inputs, without a norm to compute first."""
    return control_of.without(
        {"target": "ridge"},
        "as fast an oscillation along one direction instead of along the radius",
        NO_BETTER,
        HALVED,
    )


def alike(target: str, others: Sequence[int]) -> tuple[Criterion, ...]:
    return tuple(
        against_one(
            target,
            depth,
            ALIKE,
            HALVED,
            "a rate that depth improves, or networks that one layer cannot follow",
        )
        for depth in others
    )


SMOOTH_DEPTHS = (2, 3, 4)

RADIAL_SEPARATION = Claim(
    "dvw-radial-separation",
    kinds=("difference",),
    document=Assertion(
        f"{SENTENCE}: of an oscillating function of the norm, two hidden layers than"
        " one.",
        (better("radial", 2),),
        expected="supported",
    ),
    corrected=Assertion(
        "Two layers win where the first can build the norm that the second needs; an"
        " oscillation as fast along one direction gives them no such advantage.",
        (better("radial", 2), one_direction(better("radial", 2))),
        expected="supported",
    ),
    theory=(
        r"f(x) = \cos(a|x|):\quad |x|^2 = \sum_i x_i^2\ "
        r"\text{by } O(d/\varepsilon)\ \text{units, then a function of one number}"
    ),
    references=("eldan2016", "safran2017", "daniely2017"),
)

PRODUCT_COMPOSITION = Claim(
    "dvw-product-composition",
    kinds=("difference", "rate"),
    document=Assertion(
        f"{SENTENCE}: of products of inputs, three hidden layers than one.",
        (better("product-4", 3), better("product-6", 3)),
        expected="conditional",
    ),
    corrected=Assertion(
        "The 2^n units are for products as exact as one likes. With more of them in"
        " one hidden layer, trained deep networks of its size gain no factor of two.",
        tuple(no_better(f"product-{n}", 3) for n in (2, 4, 6)),
        expected="supported",
    ),
    theory=(
        r"\text{exact in the limit, smooth activation: } 2^n\ \text{units in one"
        r" layer},\ 4n\ \text{in a tree};\qquad 2^6 = 64 < 250\ \text{units of 2,000"
        r" parameters}"
    ),
    references=("lin2017", "rolnick2018", "poggio2017"),
)

SMOOTH_NO_ADVANTAGE = Claim(
    "dvw-smooth-no-advantage",
    kinds=("difference",),
    document=Assertion(
        f"{SENTENCE}.",
        (
            better("radial", 2),
            better("product-6", 3),
            *(better("smooth", depth) for depth in SMOOTH_DEPTHS),
        ),
        expected="conditional",
    ),
    corrected=Assertion(
        "On a smooth function of few inputs, one hidden layer does as well as two,"
        " three or four of as many parameters.",
        alike("smooth", SMOOTH_DEPTHS),
        expected="supported",
    ),
    theory=(
        r"\inf_{f_n}\|f-f_n\|_{L_2(\mu)} \le \frac{2 r C_f}{\sqrt n},\quad "
        r"C_f = \int |\omega|\,|\hat f(\omega)|\,d\omega\quad\text{(one hidden layer)}"
    ),
    references=("barron1993", "yarotsky2017"),
)
