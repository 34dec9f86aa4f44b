"""Outcomes, effects, intervals, answers: numpy, scipy and pandas, no Keras."""

from dlclaims.statistics.effects import Estimate, estimate
from dlclaims.statistics.tables import choose_rates, outcomes, theory, variants

__all__ = ["Estimate", "choose_rates", "estimate", "outcomes", "theory", "variants"]
