"""PyTorch: a loop over seeds, and all replicas by `torch.func`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.contenders import Clock, Outcome
from benchmarks.workloads import (
    CLASSES,
    DROPOUT,
    LEARNING_RATE,
    MEASURED,
    Dense,
    Job,
    Recurrent,
    Residual,
    Transformer,
)

THREADS = torch.get_num_threads()


@dataclass(frozen=True)
class Setting:
    """What a user of PyTorch would try: threads, and Adam's implementation."""

    threads: int
    is_fused: bool

    def adam(self, parameters: Iterator[Tensor]) -> torch.optim.Adam:
        return torch.optim.Adam(
            parameters, LEARNING_RATE, eps=1e-7, fused=self.is_fused
        )


def eager(job: Job) -> Outcome:
    """Train replica after replica."""
    trial = replace(job, seeds=job.seeds[:1])
    return best(loop, trial, job)


def mapped(job: Job) -> Outcome:
    """Train all replicas at once by a vectorised map over gradients."""
    return best(stack, job, job)


def best(train: Callable[[Job, Setting], Outcome], trial: Job, job: Job) -> Outcome:
    """Train with the setting that was fastest in a short trial, which is not counted.

    A first trial, of no setting, takes what only the first call costs.
    """
    trial = replace(trial, steps=min(job.steps, max(5, job.steps // 20)))
    settings = [
        Setting(threads, is_fused)
        for threads, is_fused in product({1, THREADS}, (False, True))
    ]
    train(trial, settings[0])
    return train(
        job, min(settings, key=lambda setting: train(trial, setting).total_seconds)
    )


def loop(job: Job, setting: Setting) -> Outcome:
    torch.set_num_threads(setting.threads)
    x, y = tensors(job)
    clock, building, losses = Clock(), Clock(), []
    for row in range(len(job.seeds)):
        with clock:
            with building:
                model = built(job, row)
            optimizer = setting.adam(model.parameters())
            for batch in torch.from_numpy(job.order[row]):
                optimizer.zero_grad()
                objective(job)(model(x[batch]), y[batch]).backward()
                if job.workload.clipnorm:
                    for parameter in model.parameters():
                        nn.utils.clip_grad_norm_([parameter], job.workload.clipnorm)
                optimizer.step()
        model.eval()
        with torch.no_grad():
            losses.append(objective(job)(model(x[:MEASURED]), y[:MEASURED]).item())
    return Outcome(clock.seconds, building.seconds, clock.peak_mb, tuple(losses))


def stack(job: Job, setting: Setting) -> Outcome:
    torch.set_num_threads(setting.threads)
    x, y = tensors(job)
    clock, building = Clock(), Clock()
    with clock:
        with building:
            models = [built(job, row) for row in range(len(job.seeds))]
            weights, others = torch.func.stack_module_state(models)
            model = copy.deepcopy(models[0]).to("meta")

        def loss(weights: dict, others: dict, x: Tensor, y: Tensor) -> Tensor:
            output = torch.func.functional_call(model, (weights, others), (x,))
            return objective(job)(output, y)

        gradients = torch.func.vmap(torch.func.grad(loss), randomness="different")
        optimizer = setting.adam(weights.values())
        order = torch.from_numpy(job.order)
        for step in range(job.steps):
            batch = order[:, step]
            slopes = gradients(weights, others, x[batch], y[batch])
            for name, weight in weights.items():
                weight.grad = clipped(slopes[name], job.workload.clipnorm)
            optimizer.step()
    model.eval()
    measure = torch.func.vmap(loss, in_dims=(0, 0, None, None))
    with torch.no_grad():
        losses = measure(weights, others, x[:MEASURED], y[:MEASURED])
    return Outcome(
        clock.seconds, building.seconds, clock.peak_mb, tuple(losses.tolist())
    )


def clipped(slope: Tensor, clipnorm: float | None) -> Tensor:
    """Return gradients of which each replica's has at most this norm."""
    if clipnorm is None:
        return slope
    norms = torch.linalg.vector_norm(slope.flatten(1), dim=1)
    factors = (clipnorm / norms).clamp(max=1)
    return slope * factors.reshape(-1, *[1] * (slope.ndim - 1))


def tensors(job: Job) -> tuple[Tensor, Tensor]:
    x, y = (torch.from_numpy(array) for array in job.examples)
    if isinstance(job.workload.net, Residual):
        x = x.permute(0, 3, 1, 2)  # channels come first
    return x.contiguous(), y.long() if y.ndim == 1 else y


def objective(job: Job) -> Callable[[Tensor, Tensor], Tensor]:
    if job.workload.net.loss == "cross-entropy":
        return functional.cross_entropy
    return functional.mse_loss


def built(job: Job, row: int) -> nn.Module:
    """Return a new model with the layers of the workload's Keras model."""
    torch.manual_seed(job.seeds[row])
    net = job.workload.net
    match net:
        case Dense():
            model = dense(net)
        case Recurrent():
            model = Memory(net)
        case Residual():
            model = Image(net)
        case Transformer():
            model = Encoder(net)
    start = job.start(row)
    if start:
        given = (torch.from_numpy(value.T.copy()) for value in start)
        for parameter, value in zip(model.parameters(), given, strict=True):
            parameter.data = value
    return model


def he_normal(layer: nn.Module) -> nn.Module:
    """Draw the weights as Keras' workload does where ReLU follows."""
    nn.init.kaiming_normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def dense(net: Dense) -> nn.Sequential:
    widths = [64] + [net.width] * net.depth
    layers: list[nn.Module] = []
    for width in widths[:-1]:
        layers += [he_normal(nn.Linear(width, net.width)), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(net.width, CLASSES))


class Memory(nn.Module):
    def __init__(self, net: Recurrent):
        super().__init__()
        kind = {"SimpleRNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}[net.cell]
        self.cell = kind(2, net.units, batch_first=True)
        self.head = nn.Linear(net.units, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x)[0][:, -1])


class Image(nn.Module):
    def __init__(self, net: Residual):
        super().__init__()

        def normalized(channels: int) -> nn.Sequential:
            kernel = nn.Conv2d(channels, net.channels, 3, padding=1, bias=False)
            norm = nn.BatchNorm2d(net.channels, eps=1e-3, momentum=0.01)
            return nn.Sequential(he_normal(kernel), norm)

        self.first, self.last = normalized(1), normalized(net.channels)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                normalized(net.channels),
                nn.ReLU(),
                nn.Dropout(DROPOUT),
                normalized(net.channels),
            )
            for _ in range(net.blocks)
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(net.channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.first(x))
        for block in self.blocks:
            x = functional.relu(x + block(x))
        x = functional.relu(self.last(x))
        return self.head(self.dropout(x.mean((2, 3))))


class Block(nn.Module):
    def __init__(self, net: Transformer):
        super().__init__()
        self.before = nn.LayerNorm(net.width, eps=1e-3)
        self.attention = nn.MultiheadAttention(net.width, net.heads, batch_first=True)
        self.dropout = nn.Dropout(DROPOUT)
        self.net = nn.Sequential(
            nn.LayerNorm(net.width, eps=1e-3),
            he_normal(nn.Linear(net.width, net.inner)),
            nn.ReLU(),
            nn.Linear(net.inner, net.width),
            nn.Dropout(DROPOUT),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.before(x)
        attended, _ = self.attention(y, y, y, need_weights=False)
        x = x + self.dropout(attended)
        return x + self.net(x)


class Encoder(nn.Module):
    def __init__(self, net: Transformer):
        super().__init__()
        blocks = [Block(net) for _ in range(net.blocks)]
        norm = nn.LayerNorm(net.width, eps=1e-3)
        self.tokens = nn.Sequential(nn.Linear(3, net.width), *blocks, norm)
        self.head = nn.Linear(net.width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.tokens(x).mean(1))
