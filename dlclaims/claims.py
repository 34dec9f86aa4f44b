"""What is asserted: claims, their criteria, the effects they name and their regions.

A **claim** is a falsifiable form of a statement. Its **criteria** are the conditions
under which it must hold; each names an **effect** (a contrast of outcomes) and the
**region** that the claim predicts for it. Everything here is frozen data; how an effect
is estimated stands in `dlclaims.statistics`, what follows from it in
`dlclaims.verdicts`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

#: Factor levels, e.g. ``(("activation", "relu"), ("depth", 20))``. Pages write a dict.
Levels = tuple[tuple[str, Any], ...]
#: What pages may write for them; a dict becomes `Levels` as soon as it is declared.
Factors = Levels | Mapping[str, Any]

VERDICTS = ("supported", "refuted", "conditional", "inconclusive", "not assessed")
KINDS = ("exact", "bound", "rate", "difference", "trend", "success")


def levels(factors: Factors) -> Levels:
    """Return factor levels as a hashable tuple of pairs, in the order given."""
    return tuple(factors.items()) if isinstance(factors, Mapping) else tuple(factors)


def _freeze(instance: Any, *names: str) -> None:
    for name in names:
        object.__setattr__(instance, name, levels(getattr(instance, name)))


@dataclass(frozen=True)
class Region:
    """A closed interval of effect values; an infinite edge is no edge."""

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low <= self.high or (
            math.isinf(self.low) and math.isinf(self.high)
        ):
            raise ValueError(
                f"a region needs low <= high and one finite edge, got {self}"
            )

    @staticmethod
    def above(low: float) -> Region:
        return Region(low=low)

    @staticmethod
    def below(high: float) -> Region:
        return Region(high=high)

    @staticmethod
    def around(centre: float, tolerance: float) -> Region:
        return Region(centre - tolerance, centre + tolerance)


# Quantities: one number per replica (variant x seed), from the rows of its table.


@dataclass(frozen=True)
class Value:
    """The column's value in the one row of a replica that matches `at`."""

    column: str
    at: Factors = ()

    def __post_init__(self) -> None:
        _freeze(self, "at")

    @property
    def label(self) -> str:
        place = ", ".join(f"{name}={level}" for name, level in levels(self.at))
        return f"{self.column}[{place}]" if place else self.column


@dataclass(frozen=True)
class Slope:
    """The least-squares slope of `column` over `over` within a replica's rows.

    One slope a seed; their mean has Student's interval (the summary-measures analysis
    of Matthews et al. 1990, BMJ 300, 230-235), so that rows within a replica need not
    be independent.
    """

    column: str
    over: str

    @property
    def label(self) -> str:
        return f"slope of {self.column} over {self.over}"


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation of `column` with `over` within a replica's rows."""

    column: str
    over: str

    @property
    def label(self) -> str:
        return f"rank correlation of {self.column} with {self.over}"


Quantity = Value | Slope | RankCorrelation


# Effects: a contrast of outcomes, one number per seed, or one for all seeds. Every
# `where` names enough factors to select exactly one variant of the study. How each is
# estimated, and by whose method, stands in `dlclaims.statistics.intervals`.

#: Fields of effects that select a variant.
ARMS = ("where", "over", "minus", "minus_over")


@dataclass(frozen=True)
class Mean:
    """Mean over seeds of a quantity of one variant (Student 1908, Biometrika 6, 1)."""

    of: Quantity
    where: Factors
    kind: ClassVar[str] = "mean"

    def __post_init__(self) -> None:
        _freeze(self, "where")


@dataclass(frozen=True)
class Difference:
    """Mean paired difference: the quantity in `where` minus that in `minus`.

    Student's paired interval; the sign-flip test beside it is Fisher's (1935, The
    Design of Experiments, sec. 21). With `Region.around` an equivalence: both one-sided
    tests of Schuirmann (1987, J. Pharmacokinet. Biopharm. 15, 657-680).
    """

    of: Quantity
    where: Factors
    minus: Factors
    kind: ClassVar[str] = "difference"

    def __post_init__(self) -> None:
        _freeze(self, "where", "minus")


@dataclass(frozen=True)
class LogRatio:
    """Mean paired natural log of the ratio of the quantity in `where` to `over`.

    The scale for outcomes that are skewed or spread by factors: the difference of
    log-normal ones is normal (Aitchison & Brown 1957, The Lognormal Distribution).
    """

    of: Quantity
    where: Factors
    over: Factors
    kind: ClassVar[str] = "log-ratio"

    def __post_init__(self) -> None:
        _freeze(self, "where", "over")


@dataclass(frozen=True)
class Interaction:
    """Mean paired difference of two log ratios: whether an effect depends on a factor.

    The log ratio of `where` to `over`, minus that of `minus` to `minus_over`: a
    contrast of a factorial design (Fisher 1935, The Design of Experiments, ch. 6).
    """

    of: Quantity
    where: Factors
    over: Factors
    minus: Factors
    minus_over: Factors
    kind: ClassVar[str] = "interaction"

    def __post_init__(self) -> None:
        _freeze(self, *ARMS)


@dataclass(frozen=True)
class Gap:
    """Mean over seeds of the measured quantity minus what the theory predicts.

    Agreement is an equivalence: the whole interval within the tolerance (Schuirmann
    1987), not a difference that was not found.
    """

    of: Quantity
    where: Factors
    kind: ClassVar[str] = "gap to theory"

    def __post_init__(self) -> None:
        _freeze(self, "where")


@dataclass(frozen=True)
class Trend:
    """Mean over seeds of Spearman's correlation of a quantity with a numeric factor.

    One correlation a seed (Spearman 1904, Am. J. Psychol. 15, 72-101): bounded, so that
    Student's interval of their mean keeps its error rate, whatever the factor's scale.
    `where` fixes all factors but `along`; at least three levels must be in the grid.
    """

    of: Quantity
    along: str
    where: Factors
    kind: ClassVar[str] = "trend"

    def __post_init__(self) -> None:
        _freeze(self, "where")


@dataclass(frozen=True)
class Rate:
    """Fraction of seeds for which a 0/1 quantity is 1.

    Exact interval of Clopper & Pearson (1934, Biometrika 26, 404-413).
    """

    of: Quantity
    where: Factors
    kind: ClassVar[str] = "success rate"

    def __post_init__(self) -> None:
        _freeze(self, "where")


@dataclass(frozen=True)
class RateDifference:
    """Paired difference of two success rates, `where` minus `minus`.

    Method 10 of Newcombe (1998, Statistics in Medicine 17, 2635-2650).
    """

    of: Quantity
    where: Factors
    minus: Factors
    kind: ClassVar[str] = "difference of success rates"

    def __post_init__(self) -> None:
        _freeze(self, "where", "minus")


@dataclass(frozen=True)
class Deviation:
    """Largest absolute value over all seeds: an exact claim about a difference of 0.

    Its region is ``Region.below(tolerance)``; its column holds the deviation and a
    second column ``elements`` how many numbers were compared.
    """

    of: Quantity
    where: Factors
    kind: ClassVar[str] = "largest deviation"

    def __post_init__(self) -> None:
        _freeze(self, "where")


Effect = (
    Mean
    | Difference
    | LogRatio
    | Interaction
    | Gap
    | Trend
    | Rate
    | RateDifference
    | Deviation
)


@dataclass(frozen=True)
class Criterion:
    """One condition of an assertion: an effect and where it must lie.

    Parameters
    ----------
    name : str
        Unique within its assertion, kebab-case.
    study : str
        The study whose table holds the effect's columns.
    effect : Effect
    region : Region
    unit : str
        The effect's unit in words, e.g. ``nats per layer``.
    scope : str
        The condition in words, e.g. ``ReLU, Xavier initialisation, width 300``.
    reason : str
        Why the region ends where it ends: the smallest effect of interest.
    rival : str
        The explanation that the region excludes.
    mechanism : str or None
        Of a mechanism control: how the alleged cause was removed, e.g. ``positions
        shuffled``.
    """

    name: str
    study: str
    effect: Effect
    region: Region
    unit: str
    scope: str
    reason: str
    rival: str
    mechanism: str | None = None

    def without(
        self, cause: Factors, mechanism: str, region: Region, reason: str
    ) -> Criterion:
        """Return the mechanism control of this condition: a condition of its own.

        A causal claim holds only if its effect goes where its alleged cause goes.

        Parameters
        ----------
        cause : mapping
            The levels that remove the cause, in all arms, e.g. ``{"shuffled": True}``.
        mechanism : str
            The same in words.
        region : Region
            Where the effect must lie now.
        reason : str
            Why this region ends where it ends.
        """
        own = [f.name for f in fields(self.effect) if f.name in ARMS]
        moved: dict[str, Any] = {
            name: {**dict(getattr(self.effect, name)), **dict(cause)} for name in own
        }
        return replace(
            self,
            name=f"{self.name}-control",
            effect=replace(self.effect, **moved),
            region=region,
            scope=f"{self.scope}, {mechanism}",
            reason=reason,
            rival="an effect that does not need the alleged cause",
            mechanism=mechanism,
        )


@dataclass(frozen=True)
class Assertion:
    """A sentence and the criteria that must all hold for it to be supported.

    `expected` is the verdict that was registered before the run.
    """

    text: str
    criteria: tuple[Criterion, ...]
    expected: str

    def __post_init__(self) -> None:
        if self.expected not in VERDICTS[:4]:
            raise ValueError(
                f"expected is one of {VERDICTS[:4]}, got {self.expected!r}"
            )
        if not self.criteria:
            raise ValueError(f"an assertion needs a criterion: {self.text!r}")


@dataclass(frozen=True)
class Published:
    """What a paper reports of the same question, to be read beside the measurement.

    Parameters
    ----------
    result : str
        The number with its unit, as printed, e.g. ``7.93 % test error``.
    of : str
        Of what: architecture and data, e.g. ``a ResNet of 1,202 layers on CIFAR-10``.
    reference : str
        A key of ``references.bib``.
    place : str
        Where it stands there, e.g. ``Table 6``.
    """

    result: str
    of: str
    reference: str
    place: str


@dataclass(frozen=True)
class Claim:
    """A statement of the document in falsifiable form, and what should be said instead.

    Parameters
    ----------
    id : str
        As in the catalogue; the source document's statements point to it.
    kinds : tuple of str
        From `KINDS`.
    document : Assertion or None
        What the document says; None when no sentence of it makes the claim.
    corrected : Assertion or None
        What should be said instead; None when the document's sentence stands.
    theory : str
        The prediction as LaTeX, without delimiters; empty when there is none.
    references : tuple of str
        Keys of ``references.bib``.
    published : tuple of Published
        Numbers of others, shown beside the measured ones; they decide nothing.
    """

    id: str
    kinds: tuple[str, ...]
    document: Assertion | None
    corrected: Assertion | None
    theory: str = ""
    references: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()

    def __post_init__(self) -> None:
        if self.document is None and self.corrected is None:
            raise ValueError(f"claim {self.id} asserts nothing")
        unknown = set(self.kinds) - set(KINDS)
        if unknown or not self.kinds:
            raise ValueError(
                f"claim {self.id}: kinds are from {KINDS}, got {self.kinds}"
            )

    @property
    def assertions(self) -> tuple[tuple[str, Assertion], ...]:
        """The assertions that are made, as (``document`` or ``corrected``, it)."""
        both = (("document", self.document), ("corrected", self.corrected))
        return tuple((role, made) for role, made in both if made is not None)
