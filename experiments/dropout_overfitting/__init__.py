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
measure that it is judged by; training and test loss both without masks; against early
stopping and a narrower network. *Robustness*: units removed and noise added after
training, with one mask for a whole layer as the control: as much noise for each unit,
but none is ever missing without the others. *Ensemble*: dropout against independent
networks that share its training steps.

**What would change our mind.** A mask that examples share; a distance of a tenth from
the closed form; a benefit over early stopping and over a narrower network at every size
of the data; robustness to removed units that one mask for a layer gives as well;
sub-networks that differ as much as independent networks do.
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
        ridge.AGREEMENT,
        robustness.ABLATION,
        *images.FIGURES,
    ),
    card=Card(
        question="How do dropout layers help against overfitting?",
        answer=(
            "In training Keras drops each unit of each example with probability rate"
            " and divides the others by 1 - rate; at evaluation it does nothing"
            " (deviation {do-eval-scaling/identity-05}).",
            "In linear least squares that is exactly a ridge penalty scaled by each"
            " feature's second moment (relative distance"
            " {do-adaptive-ridge/distance-unequal-05}), without zeros as from L1.",
            "On 500 examples it changes the gap between training and test loss by"
            " {do-reduces-overfitting/gap-digits} nats on digits and by"
            " {do-reduces-overfitting/gap-mnist1d} on MNIST-1D.",
            "Trained with it, networks lose less without some of their units:"
            " {do-coadaptation/ablation-digits:points} points of accuracy on average on"
            " digits.",
            "Without masks a softmax layer is the geometric mean of all its"
            " sub-networks; on digits dropout's test loss is"
            " {do-vs-true-ensemble/against-independent-digits:nats} times a true"
            " ensemble's.",
        ),
        caveat=(
            "Small dense networks on two small data sets; how much dropout helps"
            " depends on the number of examples, on the rate, and on what it is"
            " compared with."
        ),
        rests_on=(
            "do-eval-scaling",
            "do-adaptive-ridge",
            "do-reduces-overfitting",
            "do-coadaptation",
            "do-weight-scaling-ensemble",
        ),
    ),
)
