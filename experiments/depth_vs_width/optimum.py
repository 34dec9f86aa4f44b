"""Whether there is a best depth between the ends, and whether tasks share it."""

from __future__ import annotations

from dlclaims.claims import Assertion, Claim, Criterion, Difference, Region, Value

from . import depths

SHALLOWEST, MIDDLE, DEEPEST = 1, 3, 6
TARGETS = ("radial", "product-6", "mnist1d", "digits")

#: A tenth of the error.
TENTH = 0.05
TENTH_IN_WORDS = "0.05 decades are a tenth of the error"


def between(
    target: str, depth: int, other: int, region: Region, rival: str
) -> Criterion:
    """The log error of a network of `depth` layers minus that of `other` layers."""
    return Criterion(
        f"{target}-{depth}-against-{other}",
        depths.STUDY.name,
        Difference(
            Value("log_error"),
            depths.net(target, depth),
            minus=depths.net(target, other),
        ),
        region,
        depths.DECADES,
        f"{depths.TITLES[target]}, {depth} hidden layers against {other} of as many"
        f" parameters",
        TENTH_IN_WORDS,
        rival,
    )


def turns(target: str) -> tuple[Criterion, ...]:
    """The middle is better than both ends."""
    return tuple(
        between(target, MIDDLE, other, Region.below(-TENTH), rival)
        for other, rival in (
            (SHALLOWEST, "errors that only grow with depth, or do not change"),
            (DEEPEST, "errors that only fall with depth, or do not change"),
        )
    )


INTERIOR_OPTIMUM = Claim(
    "dvw-interior-optimum",
    kinds=("trend",),
    document=Assertion(
        "The right depth depends on the data and the task; more depth is not always the"
        " answer.",
        (
            between(
                "radial",
                DEEPEST,
                SHALLOWEST,
                Region.below(-TENTH),
                "one hidden layer as the best choice everywhere",
            ),
            between(
                "digits",
                DEEPEST,
                SHALLOWEST,
                Region.above(TENTH),
                "the deepest network as the best choice everywhere",
            ),
        ),
        expected="supported",
    ),
    corrected=Assertion(
        "At equal parameters the error falls and rises again with depth: three hidden"
        " layers do better than one and than six.",
        tuple(criterion for target in TARGETS for criterion in turns(target)),
        expected="supported",
    ),
    references=("he2015time", "levine2020"),
)
