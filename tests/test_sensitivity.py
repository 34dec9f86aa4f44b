"""Equal costs, sensitivity arms and mechanism controls, declared in a line each."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from dlclaims import pages, plan, results, sensitivity, suite
from dlclaims.claims import Criterion, Difference, LogRatio, Mean, Region, Value
from dlclaims.errors import PageError
from dlclaims.plan import PROFILES

#: Level 2 is better than level 1 by a third, by one in three times the steps.
SLOW = '''
"""A page whose effect needs more steps than it has."""

from dlclaims.claims import Assertion, Claim, Criterion, Difference, Region, Value
from dlclaims.pages import Card, Page, Study, Tuning, grid, tidy


def measure(variant, seeds):
    steps, rates = variant.steps(100), variant.learning_rates
    noise = [[seeds.generator(s, "init").normal(0, 0.01)] for s in seeds]
    score = [[variant["level"] * steps / 300 + n - abs(r - 0.1) for r in rates]
             for (n,) in noise]
    size = variant["level"]
    return tidy(
        {"seed": seeds, "learning_rate": rates},
        score=score,
        parameters=1000 if variant.cost == "parameters" else 1000 * size,
        multiply_accumulates=500,
        steps=steps,
    )


def gain(region):
    return Criterion(
        "gain",
        "slow",
        Difference(Value("score"), {"level": 2}, {"level": 1}),
        region,
        "points",
        "level 2 against level 1",
        "half of the step",
        "no step",
    )


MUCH = Region.above(0.5)
PAGE = Page(
    studies=(
        Study(
            "slow",
            "A study that stops early",
            measure,
            standard=grid(level=(1, 2, 3)),
            smoke=grid(level=(1, 2)),
            tuning=Tuning((0.001, 0.01, 0.1, 1.0, 10.0), "score", trains_above=-10.0),
            equal=("parameters",),
            sensitivity=("longer", "equal-work"),
        ),
    ),
    claims=(
        Claim(
            "slow-gain",
            ("difference",),
            document=Assertion("More is better.", (gain(MUCH),), "supported"),
            corrected=Assertion("A little.", (gain(Region(0.2, 0.4)),), "supported"),
        ),
    ),
    figures=(),
    card=Card("More?", ("Yes: {slow-gain/gain}.",), "Here.", ("slow-gain",)),
)
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "slow.py").write_text(SLOW)
    return folder


@pytest.fixture(scope="module")
def out(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's standard results."""
    out = tmp_path_factory.mktemp("results")
    (found,) = suite.run("slow", out=out, folders=[folder], jobs=1)
    assert (found.failed, found.error) == ({}, None)
    return out


def test_a_condition_that_fails_is_tried_again_with_more_steps(out: Path) -> None:
    judged = results.read_json(out / "slow" / "verdicts.json")["claims"]["slow-gain"]
    assert (judged["document"]["verdict"], judged["document"]["label"]) == (
        "refuted",
        "too small",
    )
    tried = results.read_json(out / "slow" / "sensitivity.json")
    assert tried["arms"] == pages.SENSITIVITY
    longer, work = tried["claims"]["slow-gain"]["document"]
    (longer_gain,), (work_gain,) = longer["criteria"], work["criteria"]
    assert (longer["arm"], longer_gain["answer"]) == ("longer", "holds")
    assert (work["arm"], work_gain["answer"]) == ("equal-work", "fails")
    assert longer_gain["value"] == pytest.approx(1, abs=0.02)
    assert work_gain["value"] == pytest.approx(1 / 3, abs=0.02)
    assert longer["flaws"] == work["flaws"] == []


def test_only_what_fails_is_tried_and_only_the_arms_it_compares(out: Path) -> None:
    tried = results.read_json(out / "slow" / "sensitivity.json")
    assert "corrected" not in tried["claims"]["slow-gain"]
    cells = [
        file.read_text(errors="ignore") for file in out.glob("cells/slow/*/*.json")
    ]
    arms = [re.search(r'"arm":"(.*?)"', text)[1] for text in cells]
    levels = 2  # of three
    stages = 2  # tuning and evaluation
    assert arms.count("longer") == arms.count("equal-work") == levels * stages
    assert arms.count("") == 3 * stages
    rates = [re.search(r'"learning_rates":\[(.*?)\]', text)[1] for text in cells]
    grid, near = "0.001,0.01,0.1,1.0,10.0", "0.01,0.1,1.0"
    found = Counter(zip(arms, rates, strict=True))
    assert found["", grid] == 3
    assert found["longer", near] == found["equal-work", near] == levels


def test_what_no_arm_can_change_is_not_tried_again(out: Path, folder: Path) -> None:
    page = pages.load("slow", folder / "slow.py")
    (study,) = page.studies
    page = replace(page, studies=(replace(study, insensitive=("score",)),))
    assert sensitivity.trials(out / "slow", page) == ()


def test_an_inconclusive_claim_is_not_tried_again(
    out: Path, folder: Path, tmp_path: Path
) -> None:
    page = pages.load("slow", folder / "slow.py")
    judged = results.read_json(out / "slow" / "verdicts.json")
    assert len(sensitivity.trials(out / "slow", page)) == 2
    judged["claims"]["slow-gain"]["document"]["verdict"] = "inconclusive"
    results.write_json(tmp_path / "verdicts.json", judged)
    assert sensitivity.trials(tmp_path, page) == ()


def test_a_run_that_changes_nothing_keeps_what_was_tried(
    out: Path, folder: Path
) -> None:
    file = out / "slow" / "sensitivity.json"
    before = file.read_bytes()
    (found,) = suite.run("slow", out=out, folders=[folder], jobs=1)
    assert found.trained == 0
    assert file.read_bytes() == before


def test_few_seeds_try_nothing(folder: Path, tmp_path: Path) -> None:
    suite.run("slow", profile="quick", out=tmp_path, folders=[folder], jobs=1)
    assert (tmp_path / "slow" / "verdicts.json").exists()
    assert not (tmp_path / "slow" / "sensitivity.json").exists()


def test_arms_of_unequal_cost_give_no_verdict(folder: Path, tmp_path: Path) -> None:
    unequal = SLOW.replace("parameters=1000 if", "parameters=1000 + 43 * size if")
    (tmp_path / "slow.py").write_text(unequal)
    results_folder = tmp_path / "results"
    suite.run("slow", out=results_folder, folders=[tmp_path], jobs=1)
    judged = results.read_json(results_folder / "slow" / "verdicts.json")
    found = judged["claims"]["slow-gain"]["document"]
    assert found["verdict"] == "inconclusive"
    assert "parameters are not equal within 2 %: 1,043 to 1,086" in found["reason"]


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ('equal=("parametres",)', "no such cost 'parametres'; did you mean"),
        ('sensitivity=("longest",)', "no such sensitivity arm 'longest'; did you mean"),
    ],
)
def test_a_misspelt_declaration_is_refused(
    tmp_path: Path, declared: str, told: str
) -> None:
    name = declared.split("=")[0]
    (tmp_path / "slow.py").write_text(re.sub(rf"{name}=\(.*?\)", declared, SLOW))
    with pytest.raises(PageError, match=re.escape(told)):
        pages.load("slow", tmp_path / "slow.py")


def test_three_times_the_steps_and_other_costs_under_an_arm_only() -> None:
    registered = pages.Variant((("level", 1),))
    assert (registered.steps(100), registered.cost) == (100, "parameters")
    assert replace(registered, arm="longer").steps(100) == 300
    assert replace(registered, arm="equal-work").cost == "multiply_accumulates"


def test_declarations_are_registered(folder: Path) -> None:
    page = pages.load("slow", folder / "slow.py")
    (study,) = page.studies
    bare = replace(page, studies=(replace(study, equal=(), sensitivity=()),))
    old, new = (plan.registration(p, PROFILES["standard"], {}) for p in (bare, page))
    assert results.changes(old, new) == [
        "study slow: costs that are equal in all arms, sensitivity arms changed"
    ]
    assert old["digest"] != new["digest"]


BETTER = Criterion(
    "better",
    "study",
    Difference(Value("accuracy"), {"net": "cnn"}, minus={"net": "mlp"}),
    Region.above(0.1),
    "accuracy",
    "CNN against MLP",
    "ten points",
    "chance",
)


def test_a_mechanism_control_is_the_same_contrast_without_the_cause() -> None:
    control = BETTER.without(
        {"shuffled": True}, "positions shuffled", Region.below(0.02), "two points"
    )
    assert control.effect == Difference(
        Value("accuracy"),
        {"net": "cnn", "shuffled": True},
        minus={"net": "mlp", "shuffled": True},
    )
    assert control.name == "better-control"
    assert control.scope == "CNN against MLP, positions shuffled"
    assert (control.region, control.mechanism) == (
        Region.below(0.02),
        "positions shuffled",
    )


def test_a_cause_replaces_the_level_that_an_effect_names() -> None:
    where = {"net": "cnn", "shuffled": False}
    for effect in (
        Mean(Value("a"), where),
        LogRatio(Value("a"), where, over={"net": "mlp", "shuffled": False}),
    ):
        control = replace(BETTER, effect=effect).without(
            {"shuffled": True}, "shuffled", Region.above(0), "why"
        )
        assert dict(control.effect.where) == {"net": "cnn", "shuffled": True}
    assert dict(control.effect.over) == {"net": "mlp", "shuffled": True}
