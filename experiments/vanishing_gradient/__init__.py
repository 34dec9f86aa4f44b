"""Vanishing and exploding gradients in dense networks.

The document says that gradients vanish in deep networks because the chain rule
multiplies numbers below one, blames sigmoid and tanh, and recommends ReLU.

**Theory.** On the way from layer l+1 to layer l a gradient is multiplied by the
transposed weights and by the slopes of the activation. In wide layers its mean square
changes by χ = σ_w² E[φ′(z)²], where σ_w² is the number of inputs times the
variance of a weight and z is normal with a variance q that follows its own recursion.
Gradients vanish where χ < 1 and explode where χ > 1, whatever the activation. The
prediction drawn here is the recursion at the layer's own q, not its fixed point: where
χ is 1 for tanh, q falls only as 1/layer, and the two differ at every depth in the grid.

**Design.** *Propagation*: gradients at the pre-activations of untrained networks, for
every activation, initialisation, width and depth, against the recursion.
*Training*: the same networks on two data sets, each with its own learning rate from one
grid. *Information*: what of the input is still in the layers of plain and residual
stacks. *Derivatives*, *formula* and *precision* are checked to rounding error.

**What would change our mind.** A factor per layer that differs from the recursion by
more than one per cent; a network whose gradients vanish at initialisation and that
learns as fast as its well initialised twin; a plain stack that keeps more of its input
the deeper it is.
"""

from __future__ import annotations

from dlclaims.pages import Card, Page

from . import (
    exact,
    information,
    propagation,
    training,
)

PAGE = Page(
    studies=(
        propagation.STUDY,
        training.STUDY,
        information.STUDY,
        exact.DERIVATIVES,
        exact.FORMULA,
        exact.PRECISION,
    ),
    claims=(
        propagation.JACOBIAN_PRODUCT,
        exact.DERIVATIVE_RANGE,
        propagation.SIGMOID_VANISHES,
        training.SIGMOID_CRITICAL,
        training.RELU_NOT_IMMUNE,
        propagation.DIRECTION,
        exact.DOCUMENT_FORMULA,
        training.EARLY_LAYERS,
        propagation.EXPLODING,
        information.DEEPER_MORE_DIRECT,
    ),
    figures=(
        propagation.PROFILES,
        propagation.AGREEMENT,
        training.ACCURACY,
        training.SPEED,
        information.KEPT,
    ),
    card=Card(
        question="What is the vanishing-gradient problem, and does ReLU avoid it?",
        answer=(
            "On its way to the input the gradient is multiplied by about √χ in every"
            " layer; χ is the number of inputs times the variance of a weight times the"
            " mean squared slope of the activation.",
            "Below 1 it vanishes, above 1 it explodes, exponentially with depth.",
            "Under Xavier's rule a sigmoid makes the gradient"
            " {vg-jacobian-product/slope-sigmoid-xavier-300-20:nats} times smaller in"
            " every layer, but at the weights' critical scale only"
            " {vg-sigmoid-critical/slope-sigmoid-critical-300-20:nats} times.",
            "ReLU keeps the gradient's size under He's rule and makes it"
            " {vg-jacobian-product/slope-relu-xavier-300-20:nats} times smaller in"
            " every layer under Xavier's.",
            "So activation and initialisation decide together, and ReLU alone does not"
            " avoid the problem.",
        ),
        caveat=(
            "The factors are those of initialisation: normalisation layers and skip"
            " connections change them, and training changes the weights."
        ),
        rests_on=("vg-jacobian-product", "vg-sigmoid-critical"),
    ),
)
