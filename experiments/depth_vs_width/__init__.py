"""Depth against width at one size.

The document says that theory and experiments show deep networks to be more expressive,
that for the same functions they are the more efficient approximators, that the right
depth depends on the task, and shows in code what shallow and deep networks are.

**Theory.** Folding a tent k times takes k layers of two ReLU units; one hidden layer
needs 2^k - 1 units to come nearer than 1/2. So there are functions for which depth
saves exponentially many weights; others are radial functions and products of inputs.
All of this is about what weights exist. For functions whose Fourier transform has a
small first moment, one hidden layer already has a rate that no dimension spoils. An
untrained network has about as many linear regions along a line as neurons, whatever its
depth.

**Design.** *Folded tents* are built exactly, against the best that one layer can do,
then learned from random and from almost right weights. *Regions* along lines are
counted exactly, before and after training. *Depths*: networks of 2,000 parameters in
one to six hidden layers, each at its own best rate of Adam, on an oscillating radial
function, products, a smooth function and two data sets; the controls are as fast an
oscillation along one direction and products of fewer inputs. `full` adds 400 and 8,000
parameters, Fashion-MNIST where a machine has it, and how many neurons products of two
to eight inputs take. *Pairs*: the document's two networks, and one hidden layer of the
deep one's size, on a task that needs more units than its shallow network has, on
digits, and on a linear task.

**What would change our mind.** One hidden layer of fewer than 2^k - 1 units near the
tent; training that finds the finest tent; regions that grow with depth at one number of
neurons; half the error or less by depth on a smooth function; one depth that is best on
all tasks; the document's gap still there when the sizes are equal.
"""

from __future__ import annotations

from dlclaims.pages import Card, Page

from . import (
    confound,
    depths,
    efficiency,
    learned,
    neurons,
    one_layer,
    optimum,
    regions,
    sawtooth,
    trained_regions,
)

PAGE = Page(
    studies=(
        sawtooth.CONSTRUCTION,
        one_layer.STUDY,
        learned.STUDY,
        regions.STUDY,
        trained_regions.STUDY,
        depths.STUDY,
        depths.SMALLER,
        depths.LARGER,
        depths.ON_IMAGES,
        neurons.STUDY,
        confound.COUNTS,
        confound.PAIRS,
    ),
    claims=(
        sawtooth.SAWTOOTH_EXACT,
        learned.SAWTOOTH_LEARNED,
        regions.LINEAR_REGIONS,
        efficiency.RADIAL_SEPARATION,
        efficiency.PRODUCT_COMPOSITION,
        efficiency.SMOOTH_NO_ADVANTAGE,
        optimum.INTERIOR_OPTIMUM,
        confound.DOC_CODE_CONFOUND,
    ),
    figures=(
        sawtooth.WEIGHTS,
        learned.ERRORS,
        regions.BY_NEURONS,
        trained_regions.AFTER_TRAINING,
        depths.CURVE,
        depths.PRODUCTS,
        depths.OF_SMALLER,
        depths.OF_LARGER,
        depths.OF_IMAGES,
        neurons.ERRORS,
        neurons.NEEDED,
        confound.GAPS,
    ),
    card=Card(
        question="Is a deep network better than a wide one of the same size?",
        answer=(
            "There are functions for which depth saves exponentially many weights: a"
            " tent of eight folds is eight layers with"
            " {dvw-sawtooth-exact/share-8:percent} of the weights with which one"
            " hidden layer could come nearer to it than 1/2.",
            "That is about weights that exist: from a random start, training finds the"
            " tent of six folds in {dvw-sawtooth-learned/fails-deep-6:percent} of the"
            " deep networks.",
            "Other functions gain nothing from depth: at equal size, three hidden"
            " layers have {dvw-smooth-no-advantage/smooth-3-against-1:decades} times"
            " the error of one on a smooth function, and"
            " {dvw-product-composition/product-6-3-against-1:decades} times on a"
            " product of six inputs.",
            "So the best depth depends on the task: on an oscillating radial function"
            " three layers have {dvw-interior-optimum/radial-3-against-1:decades} times"
            " the error of one, but on MNIST-1D"
            " {dvw-interior-optimum/mnist1d-3-against-1:decades} times.",
            "And compare networks of one size: on a random teacher's task, one hidden"
            " layer errs by {dvw-doc-code-confound/document-gap-teacher:points} points"
            " more than the document's deep network if it has a sixteenth of its"
            " parameters, but by {dvw-doc-code-confound/shrinks-teacher:points} points"
            " more if it has as many.",
        ),
        caveat=(
            "Networks of 2,000 parameters, and the document's pair: which depth is best"
            " changes with the size, the steps and the task."
        ),
        rests_on=(
            "dvw-sawtooth-exact",
            "dvw-smooth-no-advantage",
            "dvw-product-composition",
            "dvw-interior-optimum",
            "dvw-doc-code-confound",
        ),
    ),
)
