"""One compiled program: a whole training of k replicas, recorded on the way."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import backends
from dlclaims.engine.recipe import SPLITS, Recipe, measure_of
from dlclaims.errors import UsageError

if TYPE_CHECKING:
    import keras

#: Keras optimizers whose update of a weight looks at that weight alone. Their weights
#: are trained as one long vector: a third of the operations and of the compile time.
ELEMENTWISE = (
    *("SGD", "RMSprop", "Adam", "AdamW", "Adamax", "Nadam", "Adagrad", "Adadelta"),
    *("Ftrl", "Lion"),
)


@dataclass(frozen=True)
class Packing:
    """Weights of one model as a single vector, or as they are.

    Parameters
    ----------
    shapes : tuple of tuple of int
    is_flat : bool
    """

    shapes: tuple[tuple[int, ...], ...]
    is_flat: bool

    @property
    def ends(self) -> list[int]:
        return list(itertools.accumulate(int(np.prod(shape)) for shape in self.shapes))

    def pack(self, weights: list[np.ndarray]) -> list[np.ndarray]:
        """Return arrays with replicas first in the form in which they are trained."""
        if not self.is_flat:
            return weights
        return [np.concatenate([w.reshape(len(w), -1) for w in weights], axis=1)]

    def unpack(self, packed: list[np.ndarray]) -> list[np.ndarray]:
        """Return what `pack` was given."""
        if not self.is_flat:
            return packed
        parts = np.split(packed[0], self.ends[:-1], axis=1)
        return [p.reshape(-1, *s) for p, s in zip(parts, self.shapes, strict=True)]

    def weights(self, packed: list[Any]) -> list[Any]:
        """Return one replica's weights in their own shapes, inside a program."""
        from keras import ops

        if not self.is_flat:
            return list(packed)
        parts = ops.split(packed[0], self.ends[:-1])
        return [ops.reshape(p, s) for p, s in zip(parts, self.shapes, strict=True)]


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
    y : ndarray
        The targets, whose shape decides what accuracy means.
    number : int
        Replicas in a call.
    """

    def __init__(self, model: keras.Model, recipe: Recipe, y: np.ndarray, number: int):
        import keras

        self.model, self.recipe, self.number = model, recipe, number
        self.backend = backends.load()
        self.traces = 0
        self.call: Any = None
        optimizer = self.backend.pure(recipe.optimizer())
        if not isinstance(optimizer.learning_rate, keras.Variable):
            raise UsageError(
                "an optimizer with a constant learning rate",
                f"{type(optimizer.learning_rate).__name__}",
                "leave the rate out: each replica has its own",
            )
        trained = model.trainable_variables
        shapes = tuple(tuple(v.shape) for v in trained)
        self.packing = Packing(shapes, is_elementwise(optimizer, trained))
        if self.packing.is_flat:
            trained = [keras.Variable(np.zeros(self.packing.ends[-1], recipe.dtype))]
        optimizer.build(trained)
        self.optimizer = optimizer
        outputs = model.outputs[0].shape[-1]
        self.loss = keras.losses.get(recipe.loss)
        self.metrics = [measure_of(metric, y, outputs) for metric in recipe.metrics]

    def start(self, values: list[np.ndarray], rates: np.ndarray) -> tuple[Any, ...]:
        """Return the state before the first step; `values` as the model's variables."""
        place = {id(v): k for k, v in enumerate(self.model.variables)}
        trained, others = (
            [values[place[id(v)]] for v in variables]
            for variables in (
                self.model.trainable_variables,
                self.model.non_trainable_variables,
            )
        )
        slots = [
            rates.astype(v.dtype)
            if v is self.optimizer.learning_rate
            else np.stack([np.asarray(v)] * len(rates))
            for v in self.optimizer.variables
        ]
        never = np.zeros(len(rates), "int32")
        return self.packing.pack(trained), others, slots, never

    def values(self, state: tuple[Any, ...]) -> list[np.ndarray]:
        """Return the model's variables in its order, from a state of arrays."""
        values = [*self.packing.unpack(state[0]), *state[1]]
        variables = self.model.trainable_variables + self.model.non_trainable_variables
        named = {id(v): a for v, a in zip(variables, values, strict=True)}
        return [named[id(v)] for v in self.model.variables]

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
            self.packing.weights(trained), others, x, training=True, return_losses=True
        )
        return sum(penalties, ops.mean(self.loss(y, prediction))), others

    def update(
        self, step: Any, loss: Any, others: Any, slopes: Any, state: Any
    ) -> tuple[Any, Any, Any, Any]:
        """Return one replica's next state: the old one if the step is not finite."""
        from keras import ops

        trained, _, slots, diverged_at = state
        moved, new_slots = self.optimizer.stateless_apply(slots, slopes, trained)
        total = sum((ops.sum(weights) for weights in moved), loss)
        was_fine = diverged_at == 0
        is_fine = ops.logical_and(ops.isfinite(total), was_fine)
        new = [
            [ops.where(is_fine, a, b) for a, b in zip(news, olds, strict=True)]
            for news, olds in zip((moved, others, new_slots), state[:3], strict=True)
        ]
        failed = ops.logical_and(ops.logical_not(is_fine), was_fine)
        return *new, ops.where(failed, step + 1, diverged_at)

    def measure(self, data: Any, trained: Any, others: Any, splits: Any) -> Any:
        """Return one replica's measures in inference mode, shape (splits, measures)."""
        from keras import ops

        rows = []
        for chosen in splits:
            x, y = (self.backend.gather(array, chosen) for array in data)
            prediction, _ = self.model.stateless_call(
                self.packing.weights(trained), others, x, training=False
            )
            values = [ops.mean(f(y, prediction)) for f in (self.loss, *self.metrics)]
            rows.append(ops.stack([ops.cast(v, self.recipe.dtype) for v in values]))
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
        measures = (len(often), 1 + len(self.metrics))
        records = ops.zeros((*recorded.shape, *replicas, *measures), self.recipe.dtype)
        begun = (state, recorded[0] * 0, records)
        state, _, records = repeat(interval, begun, 0, recorded.shape[0])
        final = measure(*state[:2], last) if last else state[3]
        if number == 1:
            state, final = tree.map_structure(lambda array: array[None], (state, final))
            records = records[:, None]
        return state, records, final


def is_elementwise(optimizer: Any, variables: list[Any]) -> bool:
    """Whether all weights may be trained as one vector by this optimizer."""
    is_stock = type(optimizer).__module__.startswith("keras.")
    return (
        is_stock
        and type(optimizer).__name__ in ELEMENTWISE
        and optimizer.clipnorm is None
        and not getattr(optimizer, "_exclude_from_weight_decay", None)
        and all(variable.constraint is None for variable in variables)
    )
