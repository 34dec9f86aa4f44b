"""For how much data dropout helps on images, under `full` where a machine has them."""

from __future__ import annotations

from dataclasses import replace

from dlclaims.pages import Figure, Study

from . import overfitting, window
from .training import TITLES

SIZES = (500, 2000, 10_000, 40_000)


def study(dataset: str) -> Study:
    return replace(
        overfitting.STUDY,
        name=dataset,
        title=f"{TITLES[dataset]} with and without dropout",
        standard=(),
        quick=(),
        smoke=(),
        full=overfitting.sizes(dataset, *SIZES),
        data=(dataset,),
        sensitivity=(),
    )


def figure(dataset: str) -> Figure:
    return replace(
        window.BENEFIT,
        name=f"benefit-{dataset}",
        study=dataset,
        title=f"Test error on {TITLES[dataset]} with and without dropout",
    )


STUDIES = tuple(map(study, ("fashion-mnist", "cifar10")))
FIGURES = tuple(figure(study.name) for study in STUDIES)
