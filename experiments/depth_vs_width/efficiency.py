"""For which functions a deeper network of one size is the better approximation."""

from __future__ import annotations

from dataclasses import replace

from dlclaims.claims import Assertion, Claim, Criterion, Region

from .depths import TITLES, against_one

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


def better(target: str, depth: int) -> Criterion:
    return against_one(
        target, depth, BETTER, HALVED, "an advantage by a constant, or none"
    )


def no_better(target: str, depth: int) -> Criterion:
    return against_one(
        target, depth, NO_BETTER, HALVED, "a separation by depth at this size"
    )


def alike(target: str, depth: int) -> Criterion:
    rival = "a rate that depth improves, or networks that one layer cannot follow"
    return against_one(target, depth, ALIKE, HALVED, rival)


def one_direction(control_of: Criterion) -> Criterion:
    """As fast an oscillation on the same inputs, without a norm to compute first."""
    own = control_of.without(
        {"target": "ridge"},
        "as fast an oscillation along one direction instead of the radius",
        NO_BETTER,
        HALVED,
    )
    scope = control_of.scope.replace(TITLES["radial"], TITLES["ridge"])
    return replace(own, scope=scope)


SMOOTH_DEPTHS = (2, 3, 4)
#: The best of these on the tuning seeds; evaluation seeds would flatter their choice.
BEST_SMOOTH = 3

RADIAL_SEPARATION = Claim(
    "dvw-radial-separation",
    kinds=("difference",),
    document=Assertion(
        f"{SENTENCE}: two hidden layers approximate an oscillating function of the"
        " norm better than one.",
        (better("radial", 2),),
        expected="supported",
    ),
    corrected=Assertion(
        "Two hidden layers win where the first can build the norm that the second"
        " needs; for as fast an oscillation along one direction they have no such"
        " advantage.",
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
    kinds=("difference",),
    document=Assertion(
        f"{SENTENCE}: three hidden layers approximate a product of inputs better than"
        " one.",
        (better("product-4", 3), better("product-6", 3)),
        expected="conditional",
    ),
    corrected=Assertion(
        "If one hidden layer has more than the 2^n units that a product of n inputs, as"
        " exact as one likes, needs, three hidden layers of as many parameters do not"
        " halve its error after training.",
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
        "On a smooth function of few inputs, the error of one hidden layer is within a"
        " factor of two of the best of two, three and four of as many parameters.",
        tuple(
            alike("smooth", depth)
            if depth == BEST_SMOOTH
            else no_better("smooth", depth)
            for depth in SMOOTH_DEPTHS
        ),
        expected="supported",
    ),
    theory=(
        r"\inf_{f_n}\|f-f_n\|_{L_2(\mu)} \le \frac{2 r C_f}{\sqrt n},\quad "
        r"C_f = \int |\omega|\,|\hat f(\omega)|\,d\omega\quad\text{(one hidden layer)}"
    ),
    references=("barron1993", "yarotsky2017"),
)
