"""Whether one depth is best for all tasks."""

from __future__ import annotations

from dlclaims.claims import Assertion, Claim, Criterion, Region

from .depths import DEPTHS, against_one

#: A tenth of the error.
TENTH = 0.05
TENTH_IN_WORDS = "0.05 decades are a tenth of the error"
WORSE = Region.above(TENTH)
BETTER = Region.below(-TENTH)
SHALLOW_EVERYWHERE = "one hidden layer as the best choice everywhere"
DEEP_EVERYWHERE = "the deepest network as the best choice everywhere"


def best_is_one(target: str) -> tuple[Criterion, ...]:
    """Every deeper network is worse than one hidden layer."""
    rival = "a best depth that all tasks share, or none at all"
    return tuple(
        against_one(target, depth, WORSE, TENTH_IN_WORDS, rival) for depth in DEPTHS[1:]
    )


INTERIOR_OPTIMUM = Claim(
    "dvw-interior-optimum",
    kinds=("trend",),
    document=Assertion(
        "The right depth depends on the data and the task; more depth is not always the"
        " answer.",
        (
            against_one("radial", 6, BETTER, TENTH_IN_WORDS, SHALLOW_EVERYWHERE),
            against_one("digits", 6, WORSE, TENTH_IN_WORDS, DEEP_EVERYWHERE),
        ),
        expected="supported",
    ),
    corrected=Assertion(
        "At equal parameters the best depth depends on the task: for a product of six"
        " inputs and for MNIST-1D it is one hidden layer, for an oscillating radial"
        " function it is more.",
        (
            against_one("radial", 3, BETTER, TENTH_IN_WORDS, SHALLOW_EVERYWHERE),
            *best_is_one("product-6"),
            *best_is_one("mnist1d"),
        ),
        expected="supported",
    ),
    references=("he2015time", "levine2020"),
)
