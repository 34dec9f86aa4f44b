"""One compiled program: a whole training of k replicas, recorded on the way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import backends
from dlclaims.engine.blueprint import parted
from dlclaims.engine.recipe import Recipe, measure_of

if TYPE_CHECKING:
    import keras


class Program:
    """A compiled training program for a fixed number of replicas a call.

    It is made once for an architecture, a recipe, shapes and numerics; weights, data,
    batches, learning rates and recorded steps are its arguments. Inside, a state is
    (trained weights, other variables, optimizer variables, step of divergence), each
    with the replicas as its first axis; with one replica a call there is no such axis.

    Parameters
    ----------
    model : keras.Model
        Only its structure is used.
    recipe : Recipe
        Its recorded steps and thresholds do not matter.
    y : ndarray
        The targets, whose shape decides what accuracy means.
    number : int
        Replicas in a call.
    """

    def __init__(self, model: keras.Model, recipe: Recipe, y: np.ndarray, number: int):
        import keras

        self.model, self.dtype, self.number = model, recipe.dtype, number
        self.backend = backends.load()
        self.traces = 0
        self.call: Any = None
        optimizer = self.backend.pure(recipe.optimizer())
        optimizer.build(model.trainable_variables)
        self.optimizer = optimizer
        outputs = model.outputs[0].shape[-1]
        metrics = [measure_of(metric, y, outputs) for metric in recipe.metrics]
        self.measures = [keras.losses.get(recipe.loss), *metrics]

    def start(self, values: list[np.ndarray], rates: np.ndarray) -> tuple[Any, ...]:
        """Return the state before the first step; `values` as the model's variables."""
        trained, others = parted(self.model, values)
        slots = [
            rates.astype(v.dtype)
            if v is self.optimizer.learning_rate
            else np.stack([np.asarray(v)] * len(rates))
            for v in self.optimizer.variables
        ]
        never = np.zeros(len(rates), "int32")
        return trained, others, slots, never

    def compile(self, arguments: list[Any], xla: bool) -> None:
        """Compile `run` for the shapes of `arguments`, once."""
        if self.call is None:
            self.call = self.backend.compile(self.run, xla, arguments)

    def batch_loss(
        self, data: Any, trained: Any, others: Any, chosen: Any
    ) -> tuple[Any, Any]:
        """Return one replica's loss on a batch, penalties included, as Keras trains."""
        from keras import ops

        x, y = (self.backend.gather(array, chosen) for array in data)
        prediction, others, penalties = self.model.stateless_call(
            trained, others, x, training=True, return_losses=True
        )
        return sum(penalties, ops.mean(self.measures[0](y, prediction))), others

    def update(
        self, step: Any, loss: Any, others: Any, slopes: Any, state: Any
    ) -> tuple[Any, Any, Any, Any]:
        """Return one replica's next state; note the first step that is not finite.

        The step is taken all the same: holding every weight back would cost a third of
        the time. `training.train` returns to the last finite state afterwards.
        """
        from keras import ops

        trained, _, slots, diverged_at = state
        trained, slots = self.optimizer.stateless_apply(slots, slopes, trained)
        is_first = ops.logical_and(
            ops.logical_not(ops.isfinite(loss)), ops.equal(diverged_at, 0)
        )
        return trained, others, slots, ops.where(is_first, step + 1, diverged_at)

    def measure(self, data: Any, trained: Any, others: Any, splits: Any) -> Any:
        """Return one replica's measures in inference mode, shape (splits, measures)."""
        from keras import ops

        x, y = (self.backend.gather(array, ops.concatenate(splits)) for array in data)
        prediction, _ = self.model.stateless_call(trained, others, x, training=False)
        rows, start = [], 0
        for split in splits:
            part = slice(start, start + split.shape[-1])
            values = [ops.mean(f(y[part], prediction[part])) for f in self.measures]
            rows.append(ops.stack([ops.cast(v, self.dtype) for v in values]))
            start = part.stop
        return ops.stack(rows)

    def run(
        self, data: Any, state: Any, order: Any, often: Any, last: Any, recorded: Any
    ) -> tuple[Any, Any, Any]:
        """Train; this is the function that is compiled.

        Parameters
        ----------
        data : (x, y)
        state : tuple
        order : indices of shape (steps, replicas, batch)
        often, last : lists of indices of shape (replicas, m)
            The splits that are measured at every recorded step, and after the last.
        recorded : ascending steps, shape (r,)

        Returns
        -------
        state : tuple
        records : shape (r, replicas, splits, measures)
        final : shape (replicas, splits, measures); replicas only if `last` is empty
        """
        from keras import ops, tree

        self.traces += 1
        number, repeat = self.number, self.backend.repeat
        if number == 1:
            state, often, last = tree.map_structure(
                lambda array: array[0], (state, often, last)
            )
            order = order[:, 0]
        gradients = self.backend.gradients(partial(self.batch_loss, data), number)
        measure = self.backend.map_replicas(partial(self.measure, data), number)

        def step(i: Any, state: Any) -> Any:
            losses, others, slopes = gradients(*state[:2], order[i])
            update = self.backend.map_replicas(partial(self.update, i), number)
            return update(losses, others, slopes, state)

        def interval(j: Any, loop: Any) -> Any:
            state, done, records = loop
            state = repeat(step, state, done, recorded[j])
            row = measure(*state[:2], often)
            records = ops.scatter_update(records, ops.reshape(j, (1, 1)), row[None])
            return state, recorded[j], records

        replicas = () if number == 1 else (number,)
        measures = (len(often), len(self.measures))
        records = ops.zeros((*recorded.shape, *replicas, *measures), self.dtype)
        begun = (state, recorded[0] * 0, records)
        state, _, records = repeat(interval, begun, 0, recorded.shape[0])
        final = measure(*state[:2], last) if last else state[3]
        if number == 1:
            state, final = tree.map_structure(lambda array: array[None], (state, final))
            records = records[:, None]
        return state, records, final
