"""How large branches are beside the stream to which they are added."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import figures
from dlclaims.claims import Assertion, Claim, Criterion, Mean, Region, Slope, Value
from dlclaims.pages import Figure, Study, Variant, tidy
from dlclaims.theory import residual

from .blocks import normalized, rms, weights

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dlclaims.seeds import Seeds

BLOCKS, WIDTH, EXAMPLES = 20, 300, 256

#: The document's block, blocks of two layers without and with batch normalisation.
KINDS = {
    "document": "a + relu(W a)",
    "two-layer": "two layers, no normalisation",
    "batch": "two layers, batch normalisation",
}


def measure(variant: Variant, seeds: Seeds) -> pd.DataFrame:
    """Log ratio of branch to stream at every block; in the document's, of W a to a_l.

    a_l is what the block puts out: the sum of branch and stream.
    """
    found = np.array(
        [
            ratios(variant["kind"], variant["times"], seeds.generator(seed, "init"))
            for seed in seeds
        ]
    )
    blocks = np.arange(1, BLOCKS + 1)
    return tidy(
        {"seed": seeds, "block": blocks},
        log_block=np.log(blocks)[None],
        log_ratio=found[..., 0],
        log_product=found[..., 1],
    )


def ratios(kind: str, times: float, rng: np.random.Generator) -> list[list[float]]:
    """Return for each block log |branch| / |stream|, and log |W a| / |a_l|."""
    x = rng.standard_normal((EXAMPLES, WIDTH))
    found = []
    for _ in range(BLOCKS):
        product = math.nan
        if kind == "document":
            z = x @ weights(rng, WIDTH, 2 * times**2)
            branch = np.maximum(z, 0)
            product = math.log(rms(z) / rms(x + branch))
        else:
            branch = x
            for scale in (2.0, 2.0 * times**2):
                if kind == "batch":
                    branch, _ = normalized(branch)
                branch = np.maximum(branch, 0) @ weights(rng, WIDTH, scale)
        found.append([math.log(rms(branch) / rms(x)), product])
        x = x + branch
    return found


def predict(variant: Variant) -> pd.DataFrame:
    """The same ratios for infinite width.

    A branch behind batch normalisation has variance ``times``^2, so the stream has
    1 + times^2 (l - 1) at block l.
    """
    blocks, times = np.arange(1, BLOCKS + 1), variant["times"]
    flat = np.full(BLOCKS, math.log(times))
    stream = 1 + times**2 * (blocks - 1)
    is_document = variant["kind"] == "document"
    growth = [log for log, _ in islice(residual.document_block(times=times), BLOCKS)]
    product = flat + 0.5 * math.log(2) - 0.5 * np.array(growth)
    return tidy(
        {"block": blocks},
        log_block=np.log(blocks),
        log_ratio=flat - 0.5 * np.log(stream) if variant["kind"] == "batch" else flat,
        log_product=product if is_document else np.full(BLOCKS, np.nan),
    )


def draw(table: pd.DataFrame, ax: Axes) -> None:
    """Branch over stream by block."""
    named = table.assign(
        kind=table["kind"].map(KINDS), ratio=np.exp(table["log_ratio"])
    )
    figures.profile(named, ax, x="block", y="ratio", hue="kind")
    ax.set_xlabel("block")
    ax.set_ylabel("rms of the branch over that of the stream")
    ax.set_ylim(bottom=0)


def net(kind: str, times: float = 1.0) -> dict[str, Any]:
    return {"kind": kind, "times": times}


def variants(*nets: dict[str, Any]) -> tuple[Variant, ...]:
    return tuple(Variant(tuple(levels.items())) for levels in nets)


STUDY = Study(
    name="dominance",
    title="Branches beside the stream, at the start",
    measure=measure,
    predict=predict,
    standard=variants(*(net(kind) for kind in KINDS), net("document", 10.0)),
    smoke=variants(net("document")),
)

RATIOS = Figure(
    name="branch-size",
    study=STUDY.name,
    title="How large a branch is beside what the skip carries",
    draw=draw,
    reading=(
        "Each thin line is one seed, dashed is theory. At 1 the branch is as large as"
        " what the skip carries; only behind batch normalisation does it shrink, like"
        " one over the root of the block's number."
    ),
    where={"times": 1.0},
)

NATS = "nats"  # of a ratio of root mean squares
TIMES = 10.0  # weights at which a bound would have to be the skip's doing


def criterion(
    name: str, column: str, times: float, region: Region, reason: str, rival: str
) -> Criterion:
    """One of the document's block, at the first of them."""
    ratio = "branch over skip" if column == "log_ratio" else "W a over a_l"
    rule = "He" if times == 1 else f"He times {times:g}"
    return Criterion(
        name,
        STUDY.name,
        Mean(Value(column, at={"block": 1}), net("document", times)),
        region,
        NATS,
        f"{ratio}, {rule}, {KINDS['document']}, width {WIDTH}, first block",
        reason,
        rival,
    )


def branch(name: str, times: float, centre: float, tolerance: float) -> Criterion:
    return criterion(
        f"branch-{name}",
        "log_ratio",
        times,
        Region(math.log(centre - tolerance), math.log(centre + tolerance)),
        "a fifth, in either direction",
        "a bound on the branch that comes from the skip",
    )


WEIGHTS = "weights, not skips, that decide how large W a is"
ENSURED = (
    criterion(
        "product-10",
        "log_product",
        TIMES,
        Region.below(0.0),
        "what does not dominate a sum is not larger than it; ensured means for all W",
        WEIGHTS,
    ),
    criterion(
        "share-10",
        "log_ratio",
        TIMES,
        Region.below(math.log(1.2)),
        "what does not dominate a sum is no more than a fifth above its other part",
        WEIGHTS,
    ),
)


SHRINKS = Criterion(
    "shrinks-batch",
    STUDY.name,
    Mean(Slope("log_ratio", over="log_block"), net("batch")),
    Region.around(-0.5, 0.1),
    "power of the block's number",
    f"branch over skip, {KINDS['batch']}, He, width {WIDTH}, {BLOCKS} blocks",
    "a fifth of the predicted exponent",
    "branches that are equally large at every depth",
)

NO_DOMINANCE = Claim(
    "rd-no-dominance",
    kinds=("difference",),
    document=Assertion(
        "The skip connection ensures that the product W a does not dominate the"
        " activation a_l.",
        ENSURED,
        expected="refuted",
    ),
    corrected=Assertion(
        "A skip does not bound the branch beside it, which is as large as its weights"
        " make it. Behind batch normalisation it shrinks beside the stream, like one"
        " over the root of the block's number.",
        (
            branch("he", 1.0, 1.0, 0.2),
            branch("ten", TIMES, 10.0, 2.0),
            SHRINKS,
            SHRINKS.without(
                {"kind": "two-layer"},
                "without normalisation",
                Region.above(-0.1),
                "a fifth of the exponent with it",
            ),
        ),
        expected="supported",
    ),
    theory=r"|F_l| / |x_l| = 1/\sqrt{l}",
    references=("de2020",),
)
