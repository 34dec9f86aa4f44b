"""What ``verdicts.json`` says of a claim, as the report shows it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dlclaims import claims, pages, source
from dlclaims.report import model, words
from dlclaims.report.tables import finite, known
from dlclaims.results import edges


def claim(
    page: str,
    made: claims.Claim,
    judged: Mapping[str, Any],
    tried: Mapping[str, Any],
    networks: tuple[model.Network, ...],
) -> model.Claim:
    """Return a claim with its verdicts.

    Parameters
    ----------
    judged : mapping
        The claim's part of ``verdicts.json``; empty when it has not been judged.
    tried : mapping
        By role, its conditions under sensitivity arms: from `sensitivity`.
    """
    return model.Claim(
        made.id,
        page,
        made.kinds,
        source.statements_of(made.id),
        tuple(
            _assertion(role, judged[role], tried.get(role, ()))
            if judged.get(role)
            else _declared(role, it)
            for role, it in made.assertions
        ),
        made.theory,
        made.references,
        networks,
        made.published,
    )


def sensitivity(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the content of ``sensitivity.json``, by claim and role."""
    return {
        name: {
            role: tuple(
                model.Sensitivity(
                    arm["arm"],
                    found["arms"][arm["arm"]],
                    tuple(_criterion(criterion) for criterion in arm["criteria"]),
                    tuple(arm.get("flaws", ())),
                )
                for arm in arms
            )
            for role, arms in roles.items()
        }
        for name, roles in found.get("claims", {}).items()
    }


def _assertion(
    role: str, judged: Mapping[str, Any], tried: tuple[model.Sensitivity, ...]
) -> model.Assertion:
    found = {
        **judged,
        "role": role,
        "reason": judged.get("reason") or "",
        "criteria": tuple(_criterion(criterion) for criterion in judged["criteria"]),
        "sensitivity": tried,
    }
    return model.Assertion(**known(model.Assertion, found))


def _criterion(judged: Mapping[str, Any]) -> model.Criterion:
    better = judged.get("improvement")
    found = {
        **judged,
        **judged["effect"],
        "region": tuple(finite(edge) for edge in judged["region"]),
        "seeds": tuple(judged["seeds"]),
        "values": tuple(judged["values"]),
        "improvement": (better["value"], better["low"], better["high"])
        if better
        else None,
    }
    return model.Criterion(**known(model.Criterion, found))


def _declared(role: str, made: claims.Assertion) -> model.Assertion:
    """Return an assertion that has no verdict: what its page declares."""
    found = []
    for criterion in made.criteria:
        effect: Any = criterion.effect
        first, *others = pages.selections(criterion)
        low, high = edges(criterion.region)
        found.append(
            model.Criterion(
                criterion.name,
                criterion.study,
                criterion.scope,
                criterion.unit,
                criterion.reason,
                criterion.rival,
                effect.kind,
                effect.of.label,
                dict(first),
                dict(others[0]) if others else None,
                (low, high),
                mechanism=criterion.mechanism,
            )
        )
    return model.Assertion(role, made.text, made.expected, tuple(found))


def card(declared: pages.Card, made: Sequence[model.Claim]) -> model.Card:
    """Return an interview card with its numbers, and what does not back it."""
    measured = {
        (claim.id, criterion.name): criterion
        for claim in made
        for assertion in claim.assertions
        for criterion in assertion.criteria
    }

    def fill(match: re.Match[str]) -> str:
        criterion = measured.get((match[1], match[2]))
        if criterion is None or criterion.value is None:
            return "[not measured]"
        scaled, sign = pages.TOLD[match[3] or ""]
        value, low, high = (
            None if end is None else scaled(end)
            for end in (criterion.value, criterion.low, criterion.high)
        )
        told = words.interval(value, low, high)
        return told + sign

    return model.Card(
        declared.question,
        tuple(pages.PLACEHOLDER.sub(fill, sentence) for sentence in declared.answer),
        pages.PLACEHOLDER.sub(fill, declared.caveat),
        tuple(
            f"{claim.id} came out {answer.words}: {answer.text}"
            for claim in made
            if claim.id in declared.rests_on
            for answer in [claim.assertion("corrected") or claim.assertions[0]]
            if answer.verdict != "supported"
        ),
    )
