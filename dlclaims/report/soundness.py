"""How far the verdicts can be trusted, as frozen data: calibration and replication."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlclaims.report.model import Figure


@dataclass(frozen=True)
class Family:
    """Simulated claims under one kind of noise.

    The two false rates are fractions of `simulated` claims that lie on an edge of their
    region; `power` is the fraction supported of those that are true, `coverage` that of
    intervals that hold the true effect. Bounds are None where nothing is required.
    """

    family: str
    scale: str
    gated: bool
    seeds: int
    simulated: int
    false_supported: float
    false_refuted: float
    limit: float | None
    coverage: float
    coverage_low: float | None
    coverage_high: float | None
    power: float

    @property
    def passes(self) -> bool:
        """Whether all numbers keep the bounds that there are."""
        most = max(self.false_supported, self.false_refuted)
        return (
            (self.limit is None or most <= self.limit)
            and (self.coverage_low is None or self.coverage >= self.coverage_low)
            and (self.coverage_high is None or self.coverage <= self.coverage_high)
        )


@dataclass(frozen=True)
class Power:
    """The fraction of true simulated claims that are supported, by seeds.

    `limit` is the least that is required; None where nothing is. The region begins at
    `edge`, the true effect is `effect`, both in standard deviations.
    """

    seeds: int
    simulated: int
    supported: float
    limit: float | None
    edge: float
    effect: float

    @property
    def passes(self) -> bool:
        return self.limit is None or self.supported >= self.limit


@dataclass(frozen=True)
class Check:
    """Cases whose answer is known: how many were made, how many came out right."""

    name: str
    what: str
    made: int
    right: int


@dataclass(frozen=True)
class Twins:
    """A/A claims of a page, or of all: both arms are one variant, measured twice.

    `false_supported_at_zero` counts those that would be supported if the claim's region
    began at zero.
    """

    page: str
    claims: int
    false_supported: int
    false_supported_at_zero: int


@dataclass(frozen=True)
class Calibration:
    """How often verdicts err where the truth is known.

    `summary` says it in a sentence, `short` in half of one; `limit` is the largest
    fraction of all A/A claims that may be supported; `older` tells in sentences which
    pages it does not know as they are now.
    """

    summary: str
    short: str
    passed: bool
    commit: str
    device: str
    profile: str
    seconds: float
    nulls: tuple[Family, ...]
    powers: tuple[Power, ...]
    checks: tuple[Check, ...]
    twins: tuple[Twins, ...]
    pooled: Twins
    limit: float
    figure: Figure
    older: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def gated(self) -> tuple[Family, ...]:
        return tuple(family for family in self.nulls if family.gated)

    @property
    def shown(self) -> tuple[Family, ...]:
        return tuple(family for family in self.nulls if not family.gated)


@dataclass(frozen=True)
class Repeated:
    """The verdict on a sentence, and the one on the seeds of the replication."""

    claim: str
    role: str
    verdict: str
    replicated: str
    agrees: bool


@dataclass(frozen=True)
class Replicated:
    """A page on other seeds: its verdicts, and the answers of its conditions.

    Of `conditions`, `same` have the same answer, and `opposite` hold on one block of
    seeds and fail on the other.
    """

    page: str
    verdicts: tuple[Repeated, ...]
    conditions: int
    same: int
    opposite: int

    @property
    def agree(self) -> int:
        return sum(verdict.agrees for verdict in self.verdicts)

    @property
    def apart(self) -> tuple[Repeated, ...]:
        """The verdicts that did not replicate."""
        return tuple(verdict for verdict in self.verdicts if not verdict.agrees)


@dataclass(frozen=True)
class Replication:
    """All pages on seeds from `first` on; `summary`, `older` as in `Calibration`."""

    summary: str
    commit: str
    device: str
    profile: str
    seconds: float
    first: int
    agree: int
    of: int
    pages: tuple[Replicated, ...]
    older: tuple[str, ...]
    files: tuple[str, ...]
