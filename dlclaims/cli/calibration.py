"""``dlclaims calibrate`` in words: error rates, pairs, replicated verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dlclaims.cli import terminal
from dlclaims.report import words


def text(found: Mapping[str, Any]) -> str:
    """Return what a calibration and a replication found, for the terminal."""
    calibrated, replicated = found["calibration"], found["replication"]
    return "\n\n".join(
        (
            "Simulated claims that are neither true nor false, but on the very edge:",
            terminal.columns(_families(calibrated)),
            "Simulated claims that are true by one standard deviation:",
            terminal.columns(_powers(calibrated)),
            _checks(calibrated),
            terminal.columns(_pages(calibrated, replicated)),
            *filter(None, ("\n".join(_apart(replicated)), _end(calibrated))),
        )
    )


def _families(calibrated: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    yield "noise", "registered as", "supported", "refuted", "bound", "coverage"
    for row in calibrated["nulls"]:
        bound = words.DASH if row["limit"] is None else words.percent(row["limit"])
        rates = (row[name] for name in ("false_supported", "false_refuted"))
        yield (
            row["family"],
            row["scale"],
            *map(words.percent, rates),
            bound,
            words.percent(row["coverage"]),
        )


def _powers(calibrated: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    rows = calibrated["powers"]
    yield "seeds", *(str(row["seeds"]) for row in rows)
    yield "supported", *(words.percent(row["supported"]) for row in rows)


def _checks(calibrated: Mapping[str, Any]) -> str:
    rows = calibrated["checks"]
    right, made = (sum(row[name] for row in rows) for name in ("right", "made"))
    wrong = [row["what"] for row in rows if row["right"] < row["made"]]
    told = f"Cases whose answer is known: {right:,} of {made:,} right"
    return f"{told}; not: {words.listing(wrong)}" if wrong else told


def _pages(
    calibrated: Mapping[str, Any], replicated: Mapping[str, Any]
) -> Iterator[tuple[str, ...]]:
    yield "page", "A/A claims", "supported", "at zero", "verdicts again", "opposite"
    for name, pairs in calibrated["pages"].items():
        again = replicated["pages"][name]
        same = sum(claim["agrees"] for claim in again["claims"])
        counts = ("claims", "false_supported", "false_supported_at_zero")
        yield (
            name,
            *(str(pairs[count]) for count in counts),
            f"{same} of {len(again['claims'])} the same",
            f"{again['answers']['opposite']} of {again['answers']['of']} conditions",
        )


def _apart(replicated: Mapping[str, Any]) -> Iterator[str]:
    for page in replicated["pages"].values():
        for claim in page["claims"]:
            if not claim["agrees"]:
                yield (
                    f"{claim['claim']} ({claim['role']}): {claim['verdict']},"
                    f" then {claim['replicated']}"
                )


def _end(calibrated: Mapping[str, Any]) -> str:
    return "" if calibrated["passed"] else "An error rate lies above its bound."
