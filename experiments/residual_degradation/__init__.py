"""Residual against plain deep networks.

The document says that deep networks without skips get worse, that skips mend this in
training and in testing, that they matter because they lessen vanishing gradients, let
information flow directly, and keep the product W a from dominating a. It writes a block
as a_l = g(W a_(l-1) + b) + a_(l-1).

**Theory.** Along a skip of strength λ gradients change by √(λ² + branch energy) a
block: with λ = 1 they cannot vanish, whatever the branch. The same sum makes
activations grow exponentially, unless branches are kept small: behind batch
normalisation the l-th is 1/√l of the stream. Then gradients at neighbouring inputs stay
alike; without skips every layer makes them less so.

**Design.** *At the start*, in networks of width 200 to 300 and without training:
growth, gradients along skips of several strengths, the size of branches, gradients at
neighbours, each beside its closed form. *Trained*: dense networks of 32 units and 4 to
40 layers on MNIST-1D, blocks of two layers behind batch normalisation, with and without
skips, which have no weights; each at its own learning rate. Degradation is judged on
training error, in evaluation mode. *Lesions*: blocks are left out after training.

**What would change our mind.** Plain networks that only need three times the steps;
gradients that vanish in plain networks that degrade; a residual network without
normalisation or scaled branches that trains as well; a plain network that does without
its blocks.
"""

from __future__ import annotations

from dlclaims.pages import Card, Page

from . import claims, docblock, dominance, growth, identity, shattering, training

PAGE = Page(
    studies=(
        training.STUDY,
        shattering.STUDY,
        identity.STUDY,
        dominance.STUDY,
        growth.STUDY,
        docblock.STUDY,
        *training.IMAGES.values(),
    ),
    claims=(
        claims.DEGRADATION,
        claims.SKIP_FIXES,
        claims.NOT_VANISHING,
        shattering.SHATTERING,
        identity.IDENTITY_PATH,
        dominance.NO_DOMINANCE,
        growth.VARIANCE_GROWTH,
        claims.BN_IDENTITY_BIAS,
        claims.ENSEMBLE_LESION,
        claims.DOC_EQUATION,
        claims.DEPTH_UNLOCKED,
    ),
    figures=(
        training.ERROR,
        training.GRADIENT,
        shattering.CORRELATION,
        identity.PATHS,
        dominance.RATIOS,
        growth.GROWTH,
        training.LESION,
        *training.ERRORS_ON_IMAGES,
    ),
    card=Card(
        question="Why do residual connections help very deep networks?",
        answer=(
            "Plain networks of 40 layers learn even their training examples worse than"
            " those of 10: {rd-degradation/plain-40-against-10} of accuracy.",
            "Skips mend that without a single weight more:"
            " {rd-skip-fixes/training-accuracy-40} of training accuracy.",
            "Vanishing gradients are not why where batch normalisation is used: at the"
            " start the first block's gradient is 10 to the power of"
            " {rd-not-vanishing/healthy-gradient-start} times the last one's.",
            "Skips keep gradients at neighbouring inputs alike, and they need small"
            " branches: without normalisation activations grow by"
            " {rd-variance-growth/slope-document} in the document's block.",
        ),
        caveat=(
            "Dense networks of 32 units on MNIST-1D and one optimiser; convolutions and"
            " large images were not trained here."
        ),
        rests_on=(
            "rd-degradation",
            "rd-skip-fixes",
            "rd-not-vanishing",
            "rd-variance-growth",
        ),
    ),
)
