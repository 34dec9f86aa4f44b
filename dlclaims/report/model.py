"""What all renderings of the report show, as frozen data.

Nothing here is computed but what follows from its own fields; `dlclaims.report.reading`
fills it from the result files and the pages' declarations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dlclaims import scopes, wording
from dlclaims.claims import Published
from dlclaims.report.bibliography import Reference
from dlclaims.report.soundness import Calibration, Replication
from dlclaims.report.words import NOT_RUN
from dlclaims.source import Document, Reason, Statement

SCHEMA = 4


@dataclass(frozen=True)
class Criterion:
    """One condition: the effect, its interval, its region and the answer.

    `value` is None when there are no outcomes; `values` hold one effect per seed.
    `against` is None for an effect that has one arm; `improvement` is the probability
    that the first arm is above the other, with its interval. `mechanism` tells how the
    alleged cause is removed, in a condition that controls for it.
    """

    name: str
    study: str
    scope: str
    unit: str
    reason: str
    rival: str
    kind: str
    quantity: str
    where: Mapping[str, object]
    against: Mapping[str, object] | None
    region: tuple[float | None, float | None]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    method: str = ""
    answer: str = ""
    n: int = 0
    predicted: float | None = None
    seeds: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    standardized: float | None = None
    improvement: tuple[float, float, float] | None = None
    p_holds: float | None = None
    p_fails: float | None = None
    sign_flip_holds: float | None = None
    sign_flip_fails: float | None = None
    note: str = ""
    mechanism: str | None = None

    @property
    def condition(self) -> str:
        """The scope; of a mechanism control, with what is removed from it."""
        return scopes.conditions([self.scope], [self.mechanism]).rests[0]


def shared(criteria: Sequence[Criterion]) -> scopes.Shared:
    """Return what conditions share, and what tells each from the others."""
    return scopes.conditions(
        [criterion.scope for criterion in criteria],
        [criterion.mechanism for criterion in criteria],
    )


@dataclass(frozen=True)
class Sensitivity:
    """Failed conditions of an assertion, tried again under a sensitivity arm.

    `words` tells the arm: ``three times the steps``; `flaws` what makes its numbers
    unfit for a verdict, in sentences. It never decides one.
    """

    arm: str
    words: str
    criteria: tuple[Criterion, ...]
    flaws: tuple[str, ...]

    @property
    def shared(self) -> scopes.Shared:
        """What all conditions share, and what tells each from the others."""
        return shared(self.criteria)

    @property
    def failing(self) -> int:
        """How many conditions fail under the arm, too."""
        return sum(criterion.answer == "fails" for criterion in self.criteria)


@dataclass(frozen=True)
class Assertion:
    """A sentence, what came of it, and its criteria.

    `role` is ``document`` or ``corrected``; `verdict` is `NOT_RUN` without results.
    """

    role: str
    text: str
    expected: str
    criteria: tuple[Criterion, ...]
    verdict: str = NOT_RUN
    label: str | None = None
    reason: str = ""
    separated_by: str | None = None
    seeds_to_decide: int | None = None
    exploratory: bool = False
    p: float | None = None
    holm: float | None = None
    q: float | None = None
    uncorrected_only: bool = False
    sensitivity: tuple[Sensitivity, ...] = ()

    @property
    def shared(self) -> scopes.Shared:
        """What all conditions share, and what tells each from the others."""
        return shared(self.criteria)

    @property
    def as_registered(self) -> bool:
        return self.verdict == self.expected

    @property
    def words(self) -> str:
        """The verdict with its label: ``refuted (reversed)``."""
        return f"{self.verdict} ({self.label})" if self.label else self.verdict


@dataclass(frozen=True)
class Network:
    """A variant that a claim compares: its replicas, its tuned rate, its cost."""

    study: str
    variant: str
    seeds: int | None
    ok: int | None
    diverged: int | None
    failed: int | None
    learning_rate: float | None
    tuning_flag: str
    parameters: float | None
    multiply_accumulates: float | None
    steps: float | None
    examples_seen: float | None
    seconds: float | None


@dataclass(frozen=True)
class Distance:
    """The largest gap between measurement and theory over some conditions."""

    unit: str
    conditions: int
    value: float
    low: float | None
    high: float | None


def _distance(unit: str, rows: Sequence[tuple[float, Criterion]]) -> Distance:
    """Return the largest gap of criteria, each with where theory lies on its axis."""
    at, c = max(rows, key=lambda row: abs((row[1].value or 0.0) - row[0]))
    ends = [None if end is None else end - at for end in (c.low, c.high)]
    conditions = {(c.study, c.quantity, *c.where.items()) for _, c in rows}
    return Distance(unit, len(conditions), (c.value or 0.0) - at, *ends)


@dataclass(frozen=True)
class Claim:
    """A claim with its assertions, the document's first."""

    id: str
    page: str
    kinds: tuple[str, ...]
    statements: tuple[Statement, ...]
    assertions: tuple[Assertion, ...]
    theory: str
    references: tuple[str, ...]
    networks: tuple[Network, ...]
    published: tuple[Published, ...] = ()

    @property
    def gaps(self) -> tuple[Distance, ...]:
        """How far its means lie from their predictions: the largest of each unit."""
        found: dict[str, list[tuple[float, Criterion]]] = {}
        for made in self.assertions:
            for c in made.criteria:
                if c.value is None or c.predicted is None:
                    continue
                at = {wording.GAP: 0.0, "mean": c.predicted}.get(c.kind)
                if at is not None:
                    found.setdefault(c.unit, []).append((at, c))
        return tuple(_distance(unit, rows) for unit, rows in found.items())

    def assertion(self, role: str) -> Assertion | None:
        return next((made for made in self.assertions if made.role == role), None)

    @property
    def sources(self) -> tuple[tuple[str, tuple[Statement, ...]], ...]:
        """Its statements by the part of the document in which they stand."""
        found: dict[str, list[Statement]] = {}
        for statement in self.statements:
            part = f"Q{statement.question}, {statement.part}"
            found.setdefault(part, []).append(statement)
        return tuple((part, tuple(together)) for part, together in found.items())

    @property
    def questions(self) -> tuple[int, ...]:
        return tuple(sorted({statement.question for statement in self.statements}))


@dataclass(frozen=True)
class Figure:
    """A picture and its table; `alt` is empty where there is none yet.

    `file` is the path of all three files without suffix, from the results' folder;
    `table` is the sha256 of the CSV, `drawn_from` that of the table in the picture.
    """

    name: str
    title: str
    reading: str
    study: str
    file: str
    alt: str
    table: str
    drawn_from: str


@dataclass(frozen=True)
class Study:
    """A design in numbers: `seconds` counts its tuning too.

    `equal` tells which costs are declared equal, and how equal they are.
    """

    name: str
    title: str
    variants: int
    seeds: int
    replicas: int
    diverged: int
    failed: int
    tuned: str
    equal: str
    seconds: float


@dataclass(frozen=True)
class Theory:
    """How far one quantity lies from its prediction, over all variants.

    `largest` is the gap of the largest size, with its interval and its variant.
    """

    quantity: str
    variants: int
    median: float
    largest: float
    low: float | None
    high: float | None
    where: str


@dataclass(frozen=True)
class Card:
    """The interview answer with its numbers filled in, and what does not back it."""

    question: str
    answer: tuple[str, ...]
    caveat: str
    unbacked: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """An earlier registration, and what was changed when it was replaced."""

    digest: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Provenance:
    """How a page's results were made; `training` tells in sentences how it was run."""

    profile: str
    commit: str
    device: str
    versions: Mapping[str, str]
    numerics: Mapping[str, object]
    training: tuple[str, ...]
    cells: int
    seconds: float


@dataclass(frozen=True)
class Page:
    """A page with its results.

    `missing` tells in sentences what the results lack; `older` what has changed on the
    page since they were made; `files` are the tables in its folder; `rests_on` are the
    claims behind the card, the most telling one first.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    claims: tuple[Claim, ...]
    figures: tuple[Figure, ...]
    studies: tuple[Study, ...]
    theory: tuple[Theory, ...]
    card: Card
    digest: str
    history: tuple[Change, ...]
    provenance: Provenance | None
    missing: tuple[str, ...]
    older: tuple[str, ...]
    files: tuple[str, ...]
    rests_on: tuple[str, ...]

    @property
    def telling(self) -> Claim | None:
        """The claim that stands for the page where there is room for one."""
        found = (claim for claim in self.claims if claim.id in self.rests_on[:1])
        return next(found, self.claims[0] if self.claims else None)

    @property
    def counts(self) -> dict[str, int]:
        """How often each verdict occurs over its claims, the document's first."""
        return dict(Counter(claim.assertions[0].verdict for claim in self.claims))

    def figures_of(self, claim: Claim) -> tuple[Figure, ...]:
        """Return the pictures of the studies that a claim reads."""
        read = {c.study for made in claim.assertions for c in made.criteria}
        return tuple(figure for figure in self.figures if figure.study in read)


def tally(claims: Iterable[Claim], role: str) -> dict[str, int]:
    """Return how often each verdict occurs over the assertions of a role."""
    made = (claim.assertion(role) for claim in claims)
    return dict(Counter(assertion.verdict for assertion in made if assertion))


@dataclass(frozen=True)
class Coverage:
    """How far the statements of one question are tested, each with its state."""

    number: int
    title: str
    statements: tuple[tuple[Statement, str], ...]

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(state for _, state in self.statements))


@dataclass(frozen=True)
class Fault:
    """How often a fault was injected into runs, and what became of their cells.

    `detail` tells what no column does; `commit` and `device` where it was tried.
    """

    fault: str
    injections: int
    lost: int
    duplicated: int
    recomputed: int
    detail: str
    commit: str
    device: str


@dataclass(frozen=True)
class Report:
    """Everything: pages, coverage of the document, references, what is missing.

    `calibration` and `replication` are None until they are made, `faults` empty.
    """

    document: Document
    pages: tuple[Page, ...]
    coverage: tuple[Coverage, ...]
    reasons: tuple[Reason, ...]
    references: tuple[Reference, ...]
    calibration: Calibration | None
    replication: Replication | None
    faults: tuple[Fault, ...]
    missing: tuple[str, ...]

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(claim for page in self.pages for claim in page.claims)

    @property
    def trust(self) -> str:
        """How far a verdict can be trusted, in half a sentence."""
        parts = [] if self.calibration else ["not measured yet"]
        if self.calibration:
            if not self.calibration.passed:
                parts.append("the calibration did not pass")
            parts.append(self.calibration.short)
        if again := self.replication:
            parts.append(
                f"{again.agree} of {again.of} verdicts are the same on new seeds"
            )
        return "; ".join(parts)

    @property
    def counts(self) -> dict[str, int]:
        """How many statements of the document are in each state of coverage."""
        return dict(
            Counter(
                state for question in self.coverage for _, state in question.statements
            )
        )

    def tally(self, role: str) -> dict[str, int]:
        """How often each verdict occurs over the assertions of a role."""
        return tally(self.claims, role)
