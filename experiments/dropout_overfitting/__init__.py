"""Dropout against overfitting.

The document calls dropout a strong remedy for overfitting. It says that p is the
probability of keeping a neuron, that masks are drawn for each batch, that outputs are
scaled down at evaluation so that no neuron matters too much, that dropout resembles L1
and L2 penalties, prevents co-adaptation and trains an ensemble that often does better.

**Theory.** Keras drops each entry with probability r and divides the others by 1 - r:
the mean stays, a variance of r/(1 - r) times the square is added, and evaluation needs
no scaling. In linear least squares this variance is a ridge penalty scaled by each
feature's second moment. Over all masks, one softmax layer without masks is exactly the
normalised geometric mean of its sub-networks, linear layers their arithmetic mean.

**Design.** What Keras' layer does is checked entry by entry, its expectations by all
masks. *Ridge*: least squares trained with dropout against the closed form, which is
drawn as the diagonal. *Overfitting*: two layers of 128 on two data sets over sizes and
rates of dropping, each at its own learning rate, chosen on validation data by the
measure that it is judged by, its error or its loss; training and test both without
masks; against early stopping and a narrower network; beside L2 and max-norm, and with
a fifth of the training labels wrong. *Robustness*: units removed and noise added after
training, with one mask for a whole layer as the control: as much noise for each unit,
but none is ever missing without the others. *Ensemble*: dropout against one network,
and against independent networks that share its training steps.

**What would change our mind.** A mask that examples share; a distance of a tenth from
the closed form; a benefit that is as large with very few or very many examples as in
between; robustness to removed units that one mask for a layer gives as well; a network
with dropout that predicts better than independent networks with its training steps.
"""

from __future__ import annotations

from dlclaims.pages import Card, Page

from . import (
    averages,
    conventions,
    ensemble,
    images,
    layer,
    moments,
    overfitting,
    remedies,
    removal,
    ridge,
    robustness,
    snippet,
    window,
)

PAGE = Page(
    studies=(
        layer.MASKS,
        moments.MOMENTS,
        conventions.STUDY,
        removal.STUDY,
        snippet.STUDY,
        ridge.STUDY,
        overfitting.STUDY,
        robustness.STUDY,
        averages.STUDY,
        ensemble.STUDY,
        *images.STUDIES,
    ),
    claims=(
        layer.KEEP_VS_RATE,
        layer.EVAL_SCALING,
        moments.SCALING_REASON,
        conventions.CONVENTIONS_EQUIVALENT,
        layer.MASK_GRANULARITY,
        removal.UNIT_REMOVED,
        snippet.CODE_PLACEMENT,
        ridge.ADAPTIVE_RIDGE,
        overfitting.REDUCES_OVERFITTING,
        window.DATA_SIZE_WINDOW,
        robustness.COADAPTATION,
        ensemble.WEIGHT_SCALING_ENSEMBLE,
        ensemble.VS_TRUE_ENSEMBLE,
    ),
    figures=(
        window.BENEFIT,
        overfitting.GAPS,
        remedies.ERRORS,
        ridge.AGREEMENT,
        robustness.ABLATION,
        ensemble.LOSSES,
        ensemble.DIFFERENCES,
        *images.FIGURES,
    ),
    card=Card(
        question="How do dropout layers help against overfitting?",
        answer=(
            "In training Keras drops each unit of each example with a probability, its"
            " rate, and divides the others by 1 - rate; at evaluation it changes"
            " nothing.",
            "In linear least squares that is a ridge penalty scaled by each feature's"
            " second moment: at a rate of 0.5 the weights learnt were"
            " {do-adaptive-ridge/distance-unequal-05:percent} away from the closed"
            " form, and none was 0 as under L1.",
            "How much it helps depends on the data. With 500 examples test accuracy"
            " changed by {do-reduces-overfitting/accuracy-digits:points} points on"
            " digits and {do-reduces-overfitting/accuracy-mnist1d:points} on MNIST-1D,"
            " the gap to training accuracy by"
            " {do-reduces-overfitting/gap-digits:points} and"
            " {do-reduces-overfitting/gap-mnist1d:points}.",
            "Networks trained with it cope better without some of their units: averaged"
            " over 10 to 90 % removed, digits were recognised"
            " {do-coadaptation/ablation-digits:points} points more accurately.",
            "It can be seen as an ensemble that shares weights. Against five"
            " independent networks with its training steps, its test loss was"
            " {do-vs-true-ensemble/against-independent-digits:nats} times as large on"
            " digits, {do-vs-true-ensemble/against-independent-mnist1d:nats} times on"
            " MNIST-1D.",
        ),
        caveat=(
            "Small dense networks on two small data sets. The benefit depends on the"
            " number of examples, on the rate, and on what dropout is compared with."
        ),
        rests_on=(
            "do-eval-scaling",
            "do-mask-granularity",
            "do-adaptive-ridge",
            "do-coadaptation",
        ),
    ),
)
