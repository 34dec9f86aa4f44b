"""Page x profile -> cells and seeds, and the digest that registers the design.

A **cell** (variant x block of seeds) is the unit of work. A tuned study is planned in
two stages: its tuning cells, and the evaluation cells that carry the chosen rates.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any

from dlclaims.claims import Levels
from dlclaims.errors import UsageError
from dlclaims.pages import Page, Study, Variant
from dlclaims.seeds import EVALUATION, TUNING, Seeds

SCHEMA = 1

#: How long a cell may take where nothing says it: many times the longest.
CELL_MINUTES = 120.0


@dataclass(frozen=True)
class Profile:
    """How many seeds a study gets: `paired` as a rule, `rate` for success rates.

    `first` is the first of them: those of `seeds.EVALUATION`, or of the block on which
    a replication runs. `sensitivity` tells whether failed conditions are tried again
    under the sensitivity arms that their studies declare.
    """

    name: str
    paired: int
    rate: int
    sensitivity: bool = False
    first: int = EVALUATION


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("smoke", paired=3, rate=3),
        Profile("quick", paired=8, rate=64),
        Profile("standard", paired=16, rate=64, sensitivity=True),
        Profile("full", paired=30, rate=64, sensitivity=True),
    )
}
EXACT_SEEDS = 3
TWIN = "twin"


@dataclass(frozen=True)
class Cell:
    """A variant with a block of seeds, in one stage of a study.

    `stage` is ``tuning`` or ``evaluation``; `learning_rates` is empty where nothing is
    tuned. `arm` is empty, one of `pages.SENSITIVITY`, or `TWIN`: the same variant with
    another initialisation, whose true difference from it is none (A/A calibration).
    """

    page: str
    study: str
    stage: str
    factors: Levels
    learning_rates: tuple[float, ...]
    seeds: tuple[int, ...]
    arm: str = ""

    @property
    def variant(self) -> Variant:
        arm = "" if self.arm == TWIN else self.arm
        return Variant(self.factors, self.learning_rates, arm)

    @property
    def streams(self) -> Seeds:
        renamed = (("init", "init-2"),) if self.arm == TWIN else ()
        return Seeds(f"{self.page}/{self.study}", self.seeds, renamed)

    @property
    def label(self) -> str:
        block = f"{self.seeds[0]}-{self.seeds[-1]}"
        stage = f"{self.stage}, {self.arm}" if self.arm else self.stage
        return f"{self.page}/{self.study}/{self.variant.name}/{stage} {block}"


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds that ``8`` (the first eight) or ``0-15`` names.

    Raises
    ------
    UsageError
        When the text is neither, or the range is empty.
    """
    first, dash, last = text.partition("-")
    if first.isdecimal() and (last.isdecimal() if dash else not last):
        seeds = range(int(first), int(last) + 1) if dash else range(int(first))
        if len(seeds) and seeds[-1] < TUNING:
            return tuple(seeds)
    raise UsageError(
        f"a number of seeds or a range within 0-{TUNING - 1}",
        f"--seeds {text}",
        "write --seeds 8 for the first eight, or --seeds 0-15",
    )


def evaluation_seeds(study: Study, profile: Profile) -> tuple[int, ...]:
    """Return the registered evaluation seeds of a study under a profile."""
    number = {
        "paired": profile.paired,
        "rate": profile.rate,
        "exact": EXACT_SEEDS,
    }[study.sampling]
    return tuple(range(profile.first, profile.first + number))


def tuning_cells(
    page: Page, study: Study, profile: Profile, arm: str = ""
) -> tuple[Cell, ...]:
    """Return the cells of a study's tuning stage; none when it is not tuned."""
    if study.tuning is None:
        return ()
    rates, seeds = study.tuning.rates, range(TUNING, TUNING + study.tuning.seeds)
    return tuple(
        Cell(page.name, study.name, "tuning", v.factors, rates, tuple(seeds), arm)
        for v in study.variants(profile.name)
    )


def evaluation_cells(
    page: Page,
    study: Study,
    profile: Profile,
    chosen: Mapping[str, float],
    seeds: Sequence[int] | None = None,
    arm: str = "",
) -> tuple[Cell, ...]:
    """Return the cells of a study's evaluation stage.

    Parameters
    ----------
    chosen : mapping of str to float
        The learning rate of each variant, by its name; ignored when nothing is tuned.
    seeds : sequence of int, optional
        Instead of the profile's.
    arm : str
        As a cell has it.
    """
    wanted = tuple(seeds) if seeds is not None else evaluation_seeds(study, profile)
    if study.sampling == "exact":
        wanted = evaluation_seeds(study, profile)
    return tuple(
        Cell(
            page.name,
            study.name,
            "evaluation",
            variant.factors,
            (chosen[variant.name],) if study.tuning else (),
            wanted[start : start + study.block],
            arm,
        )
        for variant in study.variants(profile.name)
        for start in range(0, len(wanted), study.block)
    )


def canonical(value: Any) -> str:
    """Return JSON with one spelling: sorted keys, no spaces, no NaN, infinite as text.

    Dataclasses carry their class name, so that two effects with the same fields differ;
    a field that is None is left out, so that a new one changes no old digest.
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        own = {f.name: getattr(value, f.name) for f in fields(value)}
        kept = {name: _plain(item) for name, item in own.items() if item is not None}
        return {"": type(value).__name__, **kept}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    raise TypeError(f"no canonical form for {type(value).__name__}: {value!r}")


def digest(value: Any) -> str:
    """Return the sha256 of a value's canonical JSON, in hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def registration(
    page: Page, profile: Profile, data: Mapping[str, str]
) -> dict[str, Any]:
    """Return what is fixed before a run: design, criteria, seeds and data.

    Parameters
    ----------
    data : mapping of str to str
        The sha256 of each data set that a study names.

    Returns
    -------
    dict
        JSON-ready, with the ``digest`` of everything else in it.
    """
    studies = [
        {
            "name": study.name,
            "variants": [dict(v.factors) for v in study.variants(profile.name)],
            "tuning": asdict(study.tuning) if study.tuning else None,
            "seeds": list(evaluation_seeds(study, profile)),
            "diverged": dict(study.diverged),
            "controls": _plain(study.controls),
            "data": {name: data[name] for name in study.data},
            **{
                name: list(declared)
                for name in ("equal", "sensitivity", "insensitive")
                if (declared := getattr(study, name))
            },
        }
        for study in page.studies
        if study.variants(profile.name)
    ]
    claims = {
        claim.id: {role: _plain(assertion) for role, assertion in claim.assertions}
        for claim in page.claims
    }
    design = {
        "schema": SCHEMA,
        "page": page.name,
        "profile": profile.name,
        "studies": studies,
        "claims": claims,
    }
    plain = json.loads(canonical(design))
    return {**plain, "digest": digest(plain)}
