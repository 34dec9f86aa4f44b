"""One compiled program: the training of k replicas, recorded on the way."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import backends, hyperparameters, packing
from dlclaims.engine.blueprint import parted
from dlclaims.engine.recipe import Recipe, measure_of

if TYPE_CHECKING:
    import keras

#: Examples that are evaluated at a time: bounds the memory of large test sets.
EVALUATED = 2048


class Program:
    """A compiled training program for a fixed number of replicas a call.

    It is made once for an architecture, a recipe, shapes and numerics; weights, data,
    batches, learning rates and recorded steps are its arguments. Inside, a state is
    (trained weights as `Packing` keeps them, other variables, optimizer variables,
    step of divergence), each with the replicas as its first axis; with one replica a
    call there is no such axis.

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
        self.schedule = recipe.schedule
        self.backend = backends.load()
        self.traces = 0
        self._compiled: dict[Any, Any] = {}
        optimizer = recipe.optimizer()
        self.packing, weights = packing.packing(model, optimizer)
        optimizer = self.backend.pure(optimizer)
        self.knobs = hyperparameters.of_optimizer(optimizer)
        self.dropouts = len(hyperparameters.dropouts(model))
        self.clip = next((n for n in self.knobs if n in hyperparameters.CLIPS), None)
        if self.clip:  # it needs single weights, and its threshold as an argument
            setattr(optimizer, self.clip, None)
        optimizer.build(weights)
        is_rate = [v is optimizer.learning_rate for v in optimizer.variables]
        self.optimizer, self.rate = optimizer, is_rate.index(True)
        self.lead = () if number == 1 else (number,)
        outputs = model.outputs[0].shape[-1]
        metrics = [measure_of(metric, y, outputs) for metric in recipe.metrics]
        self.measures = [keras.losses.get(recipe.loss), *metrics]

    def start(self, values: list[np.ndarray], rates: np.ndarray) -> tuple[Any, ...]:
        """Return the state before the first step; `values` as the model's variables."""
        trained, others = parted(self.model, values)
        slots = [
            rates.astype(v.dtype)
            if place == self.rate
            else np.stack([np.asarray(v)] * len(rates))
            for place, v in enumerate(self.optimizer.variables)
        ]
        never = np.zeros(len(rates), "int32")
        return self.packing.pack_replicas(trained), others, slots, never

    def compiled(self, arguments: list[Any], xla: bool) -> Any:
        """Return `run`, compiled once for arguments of these shapes."""
        from keras import tree

        shapes = tuple((each.shape, each.dtype) for each in tree.flatten(arguments))
        if shapes not in self._compiled:
            tensors = tree.map_structure(self.backend.tensor, arguments)
            self._compiled[shapes] = self.backend.compile(self.run, xla, tensors)
        return self._compiled[shapes]

    def batch_loss(self, trained: Any, others: Any, x: Any, y: Any) -> tuple[Any, Any]:
        """Return one replica's loss on a batch, penalties included, as Keras trains."""
        from keras import ops

        weights = self.packing.unpack(trained)
        prediction, others, penalties = self.model.stateless_call(
            weights, others, x, training=True, return_losses=True
        )
        return sum(penalties, ops.mean(self.measures[0](y, prediction))), others

    def update(
        self, knobs: Any, step: Any, loss: Any, others: Any, slopes: Any, state: Any
    ) -> tuple[Any, Any, Any, Any]:
        """Return one replica's next state.

        From the first step on whose loss or weights are not finite, it stays as it was.
        """
        from keras import ops, tree

        before, others_before, slots, diverged_at = state
        if self.clip:
            weights = self.packing.unpack(slopes)
            weights = hyperparameters.clipped(weights, self.clip, knobs[self.clip])
            slopes = self.packing.pack(weights)
        if "weight_decay" in knobs:
            self.optimizer.weight_decay = knobs["weight_decay"]
        rate = slots[self.rate]
        if self.schedule:
            factor = ops.cast(self.schedule(step), rate.dtype)
            slots = [*slots[: self.rate], rate * factor, *slots[self.rate + 1 :]]
        after, slots = self.optimizer.stateless_apply(slots, slopes, before)
        slots[self.rate] = rate
        finite = [ops.isfinite(loss), *(ops.all(ops.isfinite(each)) for each in after)]
        is_fine = ops.logical_and(ops.all(ops.stack(finite)), ops.equal(diverged_at, 0))
        trained, others = tree.map_structure(
            lambda new, old: ops.where(is_fine, new, old),
            *((after, others), (before, others_before)),
        )
        is_first = ops.logical_and(ops.logical_not(is_fine), ops.equal(diverged_at, 0))
        return trained, others, slots, ops.where(is_first, step + 1, diverged_at)

    def evaluate(self, trained: Any, others: Any, x: Any, y: Any) -> Any:
        """Return one replica's measures of each example, shape (examples, measures)."""
        from keras import ops

        weights = self.packing.unpack(trained)
        prediction, _ = self.model.stateless_call(weights, others, x, training=False)
        columns = [ops.cast(f(y, prediction), self.dtype) for f in self.measures]
        return ops.stack([_by_example(column) for column in columns], -1)

    def blocks(self, splits: Any, size: int) -> Any:
        """Return the indices of all splits, shape (blocks, replicas, size).

        The last block is filled up with examples that others have already.
        """
        from keras import ops

        chosen = ops.concatenate(splits, -1)
        total = chosen.shape[-1]
        filled = np.arange(-(-total // size) * size) % total
        chosen = ops.reshape(ops.take(chosen, filled, -1), (*self.lead, -1, size))
        return ops.moveaxis(chosen, -2, 0)

    def means(self, values: Any, splits: Any) -> Any:
        """Return the splits' means, shape (replicas, splits, measures).

        Parameters
        ----------
        values : shape (blocks, replicas, size, measures)
            Of the examples in `blocks`.
        splits : list of indices of shape (replicas, m)
        """
        from keras import ops

        values = ops.moveaxis(values, 0, -3)
        values = ops.reshape(values, (*self.lead, -1, len(self.measures)))
        ends = np.cumsum([0, *(split.shape[-1] for split in splits)])
        return ops.stack(
            [
                ops.mean(values[..., start:end, :], -2)
                for start, end in pairwise(ends.tolist())
            ],
            -2,
        )

    def gather(self, data: Any, chosen: Any) -> list[Any]:
        """Return examples x and y by their indices."""
        return [self.backend.gather(array, chosen) for array in data]

    def run(
        self,
        data: Any,
        batches: Any,
        knobs: Any,
        legs: Any,
        state: Any,
        often: Any,
        last: Any,
    ) -> tuple[Any, Any, Any]:
        """Train on; this is the function that is compiled.

        Parameters
        ----------
        data : (x, y)
            Examples, shared by the replicas.
        batches : indices, or (x, y)
            Of each step: into `data`, shape (steps, replicas, batch); or, where each
            step has examples of its own, those, shape (steps, replicas, batch, ...).
        knobs : shape (hyperparameters,)
            As `hyperparameters.values` orders them.
        legs : (begin, stops, is_recorded, is_last)
            As `schedule.Legs` has them.
        state : tuple
        often, last : lists of indices of shape (replicas, m)
            The splits that are measured at recorded stops, and after the last.

        Returns
        -------
        state : tuple
        records : shape (stops, replicas, splits, measures); zero where not recorded
        final : shape (replicas, splits, measures); replicas only if `last` is empty
        """
        from keras import ops, tree

        self.traces += 1
        repeat, map_replicas = self.backend.repeat, self.backend.map_replicas
        take = self.backend.gather
        if self.number == 1:
            state, often, last = tree.map_structure(
                lambda array: array[0], (state, often, last)
            )
            batches = tree.map_structure(lambda array: array[:, 0], batches)
        begin, stops, is_recorded, is_last = legs
        named = {name: knobs[place] for place, name in enumerate(self.knobs)}
        gradients = self.backend.gradients(self.batch_loss, self.number)

        def step(i: Any, state: Any) -> Any:
            # Gathered, because XLA compiles anew for each value that it slices at.
            own = tree.map_structure(lambda each: take(each, i - begin), batches)
            x, y = own if isinstance(own, list) else self.gather(data, own)
            losses, others, slopes = gradients(*state[:2], x, y)
            update = map_replicas(partial(self.update, named, i), self.number)
            return update(losses, others, slopes, state)

        # One loop over all that is measured: the network is compiled for it once.
        evaluate = map_replicas(self.evaluate, self.number)
        size = min(EVALUATED, sum(split.shape[-1] for split in often))
        parts = [self.blocks(splits, size) for splits in (often, last) if splits]
        chosen, number = ops.concatenate(parts, 0), parts[0].shape[0]
        nothing = ops.zeros((*chosen.shape, len(self.measures)), self.dtype)

        def leg(j: Any, loop: Any) -> Any:
            state, done, records, _ = loop
            stop = take(stops, j)
            state = repeat(step, state, done, stop)

            def block(b: Any, values: Any) -> Any:
                row = evaluate(*state[:2], *self.gather(data, take(chosen, b)))
                return ops.scatter_update(values, ops.reshape(b, (1, 1)), row[None])

            is_end = is_last * ops.cast(ops.equal(j, stops.shape[0] - 1), "int32")
            first = number * (1 - take(is_recorded, j))
            over = number + (chosen.shape[0] - number) * is_end
            values = repeat(block, nothing, first, over)
            row = self.means(values[:number], often)
            records = ops.scatter_update(records, ops.reshape(j, (1, 1)), row[None])
            return state, stop, records, values[number:]

        row = (*self.lead, len(often), len(self.measures))
        records = ops.zeros((*stops.shape, *row), self.dtype)
        rates = [knobs[len(self.knobs) + place] for place in range(self.dropouts)]
        with hyperparameters.dropping(self.model, rates):
            loop = state, begin, records, nothing[number:]
            state, _, records, values = repeat(leg, loop, 0, stops.shape[0])
        final = self.means(values, last) if last else state[3]
        if self.number == 1:
            state, final = tree.map_structure(lambda array: array[None], (state, final))
            records = records[:, None]
        return state, records, final


def _by_example(values: Any) -> Any:
    """Return means over all axes but the first: measures of whole sequences."""
    from keras import ops

    return ops.mean(ops.reshape(values, (values.shape[0], -1)), -1)
