"""What recurrent networks remember, and for how long.

The document says that LSTMs overcome vanishing gradients and handle long-term
dependencies with gates that protect and control a cell state, and that GRUs do alike.
It gives the LSTM's equations, and describes its output in words that contradict them.

**Theory.** Where neither gates nor candidate read the previous output, the gradient at
the cell state is the product of the forget gates: with a bias of 1 it halves in about
two steps, so that an untrained LSTM vanishes faster than an orthogonal SimpleRNN.
Biases of log u, with u up to the lag, keep it (chrono).

**Design.** *Exact*: Keras' LSTM beside the document's equations and beside its prose.
*At the start*: how far gradients reach back in nine cells, and the product of the gates
over the measured gradient. *Recall*: the first symbol is to be named after a lag of
other symbols, or of the same ones with a cue at the target: without interference and
against it; or after a lag that varies. *Reach*: gradients of trained LSTMs over the
product of their own forget gates. *Gates*: LSTMs without one of them, where memory must
be kept, or replaced several times. *Adding* and *copying* ask for two numbers and for
ten symbols; copying, on a short budget, is shown and decides nothing. All trained
networks have as many weights and at most as many steps, each at its own learning rate,
found in half of the steps; they see every sequence once, and training ends when they
are right.

**What would change our mind.** An LSTM with Keras' biases that recalls over 50 steps
when it sees no other lag; a SimpleRNN that does so against interference; gradients of a
trained LSTM that reach no further than before; a gate without which memories can be
replaced.
"""

from __future__ import annotations

from dlclaims.pages import Card, Page

from . import (
    ablation,
    adding,
    copying,
    equations,
    forget,
    gates,
    gradients,
    reach,
    recall,
)

PAGE = Page(
    studies=(
        equations.STUDY,
        gates.STUDY,
        gradients.STUDY,
        forget.STUDY,
        recall.STUDY,
        reach.STUDY,
        ablation.STUDY,
        adding.STUDY,
        copying.STUDY,
    ),
    claims=(
        recall.LONGER_LAGS,
        gradients.INIT_GRADIENT_ORDER,
        forget.FORGET_PRODUCT,
        recall.CHRONO,
        reach.AFTER_TRAINING,
        equations.EQUATIONS_EXACT,
        equations.OUTPUT_DESCRIPTION,
        equations.OUTPUT_DEPENDS_ONLY_CELL,
        ablation.THREE_GATES,
        recall.GRU,
        adding.IRNN_ALTERNATIVE,
    ),
    figures=(
        recall.ACCURACY,
        gradients.FIGURE,
        forget.FIGURE,
        reach.FIGURE,
        adding.FIGURE,
        copying.FIGURE,
        ablation.WITHOUT_GATES,
    ),
    card=Card(
        question="Why do LSTMs remember longer than simple recurrent networks?",
        answer=(
            "The cell state is carried on by forget gates: where nothing else reads the"
            " past, its gradient is exactly their product.",
            "Trained on lags up to 40, an LSTM with Keras' biases has gradients over 40"
            " steps {lm-after-training/rise-lstm-1:decades} times as large as at the"
            " start.",
            "Over 50 steps, Keras' LSTM solves"
            " {lm-lstm-longer-lags/solves-lstm-1-spread-50:percent} of the seeds where"
            " shorter lags occur too, a SimpleRNN"
            " {lm-lstm-longer-lags/fails-rnn-spread-50:percent}.",
            "Where the lag is always 50 and the same symbols follow, biases for the lag"
            " solve {lm-chrono/solves-lstm-chrono-cued-50:percent} of them, Keras'"
            " default {lm-chrono/fails-lstm-1-cued-50:percent}.",
        ),
        caveat=(
            "Small cells on synthetic sequences, with one optimiser and a short budget;"
            " more steps may turn slow into solved."
        ),
        rests_on=(
            "lm-forget-product",
            "lm-lstm-longer-lags",
            "lm-after-training",
        ),
    ),
)
