"""How large a network is, and how wide it must be to be as large as another.

Arms of unequal size differ in more than what is compared: a page gives them one budget,
and asks for the width that meets it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from dlclaims.engine import architecture
from dlclaims.engine.blueprint import blueprint, precision
from dlclaims.errors import PageError, UsageError, nearest

if TYPE_CHECKING:
    import keras

#: Costs of a model by the names of their columns, counted as `Runs` records them.
COUNTS: dict[str, Callable[[keras.Model], int]] = {
    "parameters": lambda model: model.count_params(),
    "multiply_accumulates": architecture.multiply_accumulates,
}

#: Factor between widths that are tried until one exceeds the budget.
STRIDE = 4


def cost(model: keras.Model, cost: str = "parameters") -> int:
    """Return what a model costs, in whole numbers.

    Parameters
    ----------
    model : keras.Model
        Functional or sequential.
    cost : str
        ``parameters``: all weights, frozen ones and the statistics of normalisations
        included; ``multiply_accumulates``: of one forward pass of one example, as
        `architecture.multiply_accumulates` counts them.

    Raises
    ------
    PageError
        There is no cost of this name, or a layer has no rule.
    """
    return _count(model, cost)


def width_for(
    build: Callable[[int], keras.Model],
    budget: int,
    *,
    cost: str = "parameters",
    tolerance: float = 0.02,
) -> int:
    """Return the width at which a network costs nearest to `budget`.

    About ten models are built; no weight is drawn, and no random state changes.

    Parameters
    ----------
    build : callable
        ``build(width)`` returns a new Keras model for every width from 1 on; the cost
        grows with the width.
    budget : int
    cost : str
        As in the function `cost`.
    tolerance : float
        By which fraction of the budget the nearest cost may miss it. Arms are within it
        of each other where the budget is one arm's cost, not a number between theirs.

    Returns
    -------
    int
        The smaller of two widths that are equally near.

    Raises
    ------
    PageError
        The nearest cost misses the budget by more than the tolerance, the cost does not
        grow with the width, or `cost` raises it.
    """

    def cost_at(width: int) -> int:
        return _count(_structure(lambda: build(width)), cost)

    width, found = nearest_width(cost_at, budget)
    if abs(found - budget) > tolerance * budget:
        name = cost.replace("_", " ")
        raise PageError(
            f"a width at which a network has {budget:,} {name}, within"
            f" {100 * tolerance:g} %",
            f"{found:,} {name} at the nearest width, {width}",
            f"take {found:,} as the budget, a larger one, or fewer layers",
        )
    return width


def nearest_width(cost_at: Callable[[int], int], budget: int) -> tuple[int, int]:
    """Return the width whose cost is nearest to `budget`, and that cost.

    Widths are tried in long strides up to the first that exceeds the budget, then where
    a power law through both ends of the bracket meets it: costs are polynomials of the
    width with positive coefficients, which are nearly power laws.

    Raises
    ------
    PageError
        A larger width does not cost more.
    """
    at = cache(cost_at)
    low, high = 1, 2
    while _grown(at, low, high) <= budget:
        low, high = high, STRIDE * high
    while high - low > 1:
        ends = math.log1p(at(low)), math.log1p(at(high))
        share = (math.log1p(budget) - ends[0]) / (ends[1] - ends[0])
        middle = round(low * (high / low) ** share)
        middle = min(max(middle, low + 1), high - 1)
        low, high = (middle, high) if at(middle) <= budget else (low, middle)
    width = min(low, high, key=lambda width: abs(at(width) - budget))
    return width, at(width)


def _structure(build: Callable[[], keras.Model]) -> keras.Model:
    with precision("float32"):
        import keras

        # Keras draws the weights when the outermost scope ends: an orthogonal matrix,
        # or a program that JAX compiles for each shape, would take most of the time.
        with keras.StatelessScope():
            model = blueprint(build, "float32").model
            for variable in model.variables:
                variable._initializer = keras.initializers.Zeros()
    return model


def _count(model: keras.Model, name: str) -> int:
    if name not in COUNTS:
        raise PageError(
            f"a cost of {', '.join(COUNTS)}", repr(name), nearest(name, COUNTS)
        )
    try:
        return COUNTS[name](model)
    except UsageError as error:
        raise PageError(*error.args) from error


def _grown(at: Callable[[int], int], low: int, high: int) -> int:
    """Return the cost at `high` if it exceeds that at `low`."""
    if at(high) <= at(low):
        raise PageError(
            "a cost that grows with the width",
            f"{at(low):,} at width {low}, {at(high):,} at width {high}",
            "let build use its width in a layer that the cost counts",
        )
    return at(high)
