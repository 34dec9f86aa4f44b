"""Residual against plain deep networks.

The document says that deep networks without skips get worse, that skips mend this in
training and in testing, that they matter because they lessen vanishing gradients, let
information flow directly, and keep the product W a from dominating a. It writes a block
as a_l = g(W a_(l-1) + b) + a_(l-1).

**Theory.** Along a skip of strength λ gradients change by √(λ² + branch energy) a
block: with λ = 1 they cannot vanish, whatever the branch. The same sum makes
activations grow exponentially, unless branches are kept small: behind batch
normalisation the l-th is 1/√l of the stream. Then gradients at neighbouring inputs stay
alike; without skips every layer makes them less so. Batch normalisation without skips
makes gradients grow by √(π / (π - 1)) a layer towards the input.

**Design.** *At the start*, in networks of width 200 to 300 and without training:
growth, gradients along skips of several strengths, the size of branches, gradients at
neighbours, each beside its closed form. *Trained*: dense networks of 32 units and 4 to
40 layers on MNIST-1D, blocks of two layers behind batch normalisation, with and without
skips, which have no weights; each at its own learning rate. Plain networks are trained
without normalisation, too, and for three times the steps. Degradation is judged on
training error, in evaluation mode. *Lesions*: blocks are left out after training. Where
two networks are said to train equally well, one that trains better is not equal either.
`full` adds convolutional networks, and images where a machine has them.

**What would change our mind.** Plain networks that only need three times the steps;
gradients that vanish in plain networks that degrade; a residual network without
normalisation or scaled branches that trains as well; a plain network that does without
its blocks.
"""

from __future__ import annotations

from dlclaims.pages import Card, Page

from . import (
    claims,
    convolution,
    docblock,
    dominance,
    growth,
    identity,
    shattering,
    training,
)

PAGE = Page(
    studies=(
        training.STUDY,
        shattering.STUDY,
        identity.STUDY,
        dominance.STUDY,
        growth.STUDY,
        docblock.STUDY,
        *training.IMAGES.values(),
        *convolution.STUDIES,
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
        shattering.CORRELATION,
        identity.PATHS,
        dominance.RATIOS,
        growth.GROWTH,
        training.LESION,
        *training.ERRORS_ON_IMAGES,
        *convolution.ERRORS,
    ),
    card=Card(
        question="Why do residual connections help very deep networks?",
        answer=(
            "Plain networks of 40 layers learn even their training examples worse than"
            " those of 10: with batch normalisation their training accuracy changes by"
            " {rd-degradation/plain-40-against-10:points} points, and after three times"
            " the steps by {rd-degradation/plain-40-against-10-longer:points}.",
            "Skips have no weights, and at 40 layers they raise training accuracy by"
            " {rd-skip-fixes/training-accuracy-40:points} points and test accuracy by"
            " {rd-skip-fixes/test-accuracy-40:points}.",
            "They let depth do no harm in training, but more depth is not better by"
            " itself: with skips, 40 layers differ from 10 by"
            " {rd-skip-fixes/residual-40-against-10:points} points in training and by"
            " {rd-skip-fixes/residual-40-against-10-test:points} in testing.",
            "Vanishing gradients are not why plain networks with batch normalisation"
            " fail: before training, the gradient at the first block of 40 layers is"
            " {rd-not-vanishing/healthy-gradient-start:decades} times as large as at"
            " the last.",
            "Skips keep gradients at neighbouring inputs alike, but they need small"
            " branches: without normalisation every block of the document multiplies"
            " the mean square of the activations by"
            " {rd-variance-growth/slope-document:nats}.",
        ),
        caveat=(
            "All this is measured on small dense networks, on MNIST-1D and with one"
            " optimiser; convolutions and images are trained under `full` only."
        ),
        rests_on=(
            "rd-degradation",
            "rd-skip-fixes",
            "rd-not-vanishing",
            "rd-shattering",
            "rd-variance-growth",
        ),
    ),
)
