"""What conditions share is said once, and every condition can be put together again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlclaims import scopes

PART = st.sampled_from(
    ["ReLU", "U(-0.1, 0.1)", "[0, 1], closed", "1,000 steps", "lag 5"]
)
SCOPE = st.lists(PART, min_size=1, max_size=5).map(", ".join)


def together(*words: str) -> str:
    return ", ".join(filter(None, words))


@given(SCOPE)
def test_parts_joined_are_the_scope(scope: str) -> None:
    found = scopes.parts(scope)
    assert ", ".join(found) == scope
    assert all(part.count("(") == part.count(")") for part in found)


@given(st.lists(SCOPE, max_size=6))
def test_every_condition_is_its_rest_between_what_all_share(every: list[str]) -> None:
    found = scopes.shared(every)
    assert [together(found.lead, r, found.trail) for r in found.rests] == every
    assert all(found.rests)  # no row is left empty


@given(st.lists(SCOPE, min_size=2, max_size=6))
def test_nothing_that_all_share_is_left_in_the_rests(every: list[str]) -> None:
    rests = [scopes.parts(rest) for rest in scopes.shared(every).rests]
    if min(map(len, rests)) > 1:
        assert len({rest[0] for rest in rests}) > 1
        assert len({rest[-1] for rest in rests}) > 1


@pytest.mark.parametrize(
    ("every", "lead", "rests", "trail"),
    [
        (["ReLU, He, 9 layers"], "", ["ReLU, He, 9 layers"], ""),
        (
            ["ReLU, He, 9 layers", "ReLU, U(-0.1, 0.1), 9 layers"],
            *("ReLU", ["He", "U(-0.1, 0.1)"], "9 layers"),
        ),
        (["a", "a, b"], "", ["a", "a, b"], ""),
        (["a, b", "a, b"], "", ["a", "a"], "b"),
        (["a, b; c, d", "a, e; c, d"], "", ["a, b; c", "a, e; c"], "d"),
        (["f(1, 2", "f(1, 3"], "", ["f(1, 2", "f(1, 3"], ""),
    ],
)
def test_examples(every: list[str], lead: str, rests: list[str], trail: str) -> None:
    assert scopes.shared(every) == scopes.Shared(lead, tuple(rests), trail)
    assert scopes.shared(every).common == together(lead, trail)


def test_a_control_tells_what_is_removed_and_shares_like_the_others() -> None:
    found = scopes.conditions(
        ["digits, 9 steps", "digits, 9 steps, shuffled", "noise, 9 steps"],
        [None, "shuffled", "noise instead"],
    )
    assert found.trail == "9 steps"
    assert found.rests == (
        "digits",
        "digits, with the cause removed: shuffled",
        "noise, with the cause removed",
    )
