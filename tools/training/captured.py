"""A training step of a picture network as one CUDA graph: what several trainings on one GPU are made of.

A small network's step is some ten thousand kernels of a few microseconds, which a processor cannot start as fast as the
GPU ends them. Recorded once and replayed, they take no processor time, and the graphs of several networks fill the GPU
together, each on a stream of its own. All that changes from step to step is therefore a tensor: the crops, the quality
indices, the learning rate and the share of the average that is renewed.

On a processor the same step runs as it is written.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from ...codecs.image.model import ImageNetwork
from ...entropy_models.latent.q_index import Q_INDEX_MAX
from .device_crops import DeviceCrops
from .image import ImageTask
from .loop import CLIP_NORM
from .optimizers import MATCH_ADAMW, is_matrix, orthogonal

MOMENTUM, BETAS, EPSILON = 0.95, (0.9, 0.99), 1e-8
WARM_STEPS = 3  # before a recording: libraries choose their kernels in them
UNDER_WAY = 2  # steps that wait on a stream at most


class CapturedOptimizer:
    """`MatrixOptimizer` without a number that the processor has to know: the same updates, from a learning rate tensor.

    Gradients that are not finite count as zero, since a recorded step cannot be left out.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self.dtype = dtype
        self.parameters: list[Tensor] = [p for _, p in named]
        self.rest = {name: p for name, p in named if not is_matrix(p)}
        self.stacks: dict[tuple[int, ...], dict[str, nn.Parameter]] = defaultdict(dict)
        for name, p in named:
            if is_matrix(p):
                self.stacks[tuple(sorted(p.shape))][name] = p
        device = self.parameters[0].device
        self.momenta = {shape: torch.zeros(len(s), *shape, device=device) for shape, s in self.stacks.items()}
        count = sum(p.numel() for p in self.rest.values())
        self.first, self.second = (torch.zeros(count, device=device) for _ in range(2))
        self.steps = torch.zeros((), device=device)

    @torch.no_grad()
    def step(self, lr: Tensor) -> None:
        """One update at the learning rate `lr`, a tensor of one number."""
        for shape, stack in self.stacks.items():
            gradients = torch.stack([_wide(_gradient(p)) for p in stack.values()]).nan_to_num(0.0, 0.0, 0.0)
            momentum = self.momenta[shape].lerp_(gradients, 1 - MOMENTUM)
            update = orthogonal(torch.lerp(gradients, momentum, MOMENTUM), self.dtype)
            update = update * (lr * (MATCH_ADAMW * max(shape) ** 0.5))
            pairs = zip(stack.values(), update, strict=True)
            torch._foreach_sub_(list(stack.values()), [u if p.shape == u.shape else u.t() for p, u in pairs])
        gradient = torch.cat([_gradient(p).flatten() for p in self.rest.values()]).nan_to_num(0.0, 0.0, 0.0)
        self.steps += 1
        self.first.lerp_(gradient, 1 - BETAS[0])
        self.second.lerp_(gradient.square(), 1 - BETAS[1])
        first, second = (
            m / (1 - torch.exp(self.steps * math.log(b))) for m, b in zip((self.first, self.second), BETAS, strict=True)
        )
        update = first / (second.sqrt() + EPSILON) * lr
        torch._foreach_sub_(list(self.rest.values()), list(self._split(update).values()))

    def _split(self, flat: Tensor) -> dict[str, Tensor]:
        parts = flat.split([p.numel() for p in self.rest.values()])
        return {name: part.view(p.shape) for part, (name, p) in zip(parts, self.rest.items(), strict=True)}

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """The state by the names of `MatrixOptimizer`, so that either goes on from a checkpoint."""
        for shape, stack in self.stacks.items():
            for (name, p), momentum in zip(stack.items(), self.momenta[shape], strict=True):
                yield f"momentum/{name}", momentum if p.shape == momentum.shape else momentum.t()
        for key, flat in (("exp_avg", self.first), ("exp_avg_sq", self.second)):
            for name, part in self._split(flat).items():
                yield f"adamw/{key}/{name}", part
        for name in self.rest:
            yield f"adamw/step/{name}", self.steps


class CapturedTraining:
    """One network's training: its step, what the step reads, and the running average of its weights.

    Args:
        task: with the network on the device of `crops`, and perhaps a teacher.
        crops: may serve several trainings.
        batch, crop: crops in a step and their side.
        seed: of the crops and qualities.
        priority: of the stream; negative goes first.
    """

    def __init__(
        self, task: ImageTask, crops: DeviceCrops, batch: int, crop: int, seed: int, priority: int = 0
    ) -> None:
        self.task, self.crops, self.batch, self.crop = task, crops, batch, crop
        self.network: ImageNetwork = task.network.train()
        self.optimizer = CapturedOptimizer(self.network, task.dtype)
        self.rng = np.random.default_rng(seed)
        device = crops.device
        self.x = torch.zeros(batch, 3, crop, crop, device=device)
        self.q_index = torch.zeros(batch, dtype=torch.int64, device=device)
        self.rates = torch.zeros(2, device=device)  # learning rate, share of the average that is renewed
        self.figures: dict[str, Tensor] = {}
        self.averages = [p.detach().clone() for p in self.optimizer.parameters]
        self.steps = 0
        self._graphs: dict[bool, torch.cuda.CUDAGraph] = {}
        self._events: list[torch.cuda.Event] = []
        self._stream = torch.cuda.Stream(priority=priority) if device.type == "cuda" else None

    @property
    def ready(self) -> bool:
        """Whether another step may be asked for."""
        self._events = [event for event in self._events if not event.query()]
        return len(self._events) < UNDER_WAY

    def record(self) -> None:
        """Record the step, with and without a teacher where there is one; without effect on a processor."""
        if self._stream is None:
            return
        for imitating in (False, True)[: 1 + (self.task.teacher is not None)]:
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                for _ in range(WARM_STEPS):
                    self._read(0.0)
                    self._step(imitating)
            torch.cuda.synchronize()
            for parameter in self.optimizer.parameters:
                parameter.grad = None
            self._graphs[imitating] = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graphs[imitating], stream=self._stream):
                self._step(imitating)
            torch.cuda.synchronize()

    def go(self, lr: float, imitating: bool = False) -> None:
        """One step at the learning rate `lr`; on a GPU it is under way when this returns."""
        if self._stream is None:
            self._read(lr)
            self._step(imitating)
        else:
            with torch.cuda.stream(self._stream):
                self._read(lr)
                self._graphs[imitating].replay()
                event = torch.cuda.Event()
                event.record()
            self._events.append(event)
        self.steps += 1

    def average(self) -> dict[str, Tensor]:
        """The averaged weights, and copies of the buffers as they are."""
        names = [name for name, p in self.network.named_parameters() if p.requires_grad]
        found = dict(zip(names, self.averages, strict=True))
        return {name: found[name] if name in found else v.clone() for name, v in self.network.state_dict().items()}

    def _read(self, lr: float) -> None:
        """Fill what the step reads."""
        renewed = 1 - min(0.999, (1 + self.steps) / (10 + self.steps))
        self.rates.copy_(self._pinned(torch.tensor([lr, renewed])), non_blocking=True)
        q_index = torch.from_numpy(self.rng.integers(0, Q_INDEX_MAX + 1, self.batch))
        self.q_index.copy_(self._pinned(q_index), non_blocking=True)
        self.x.copy_(self.crops.draw(self.rng, self.batch, self.crop))

    def _pinned(self, x: Tensor) -> Tensor:
        return x if self._stream is None else x.pin_memory()

    def _step(self, imitating: bool) -> None:
        for parameter in self.optimizer.parameters:
            parameter.grad = None
        inputs: tuple[Tensor, ...] = (self.x, self.q_index)
        if imitating and self.task.teacher is not None:
            with torch.no_grad():
                inputs = (*inputs, self.task.teacher.analyse(*inputs))
        loss, figures = self.task.loss(self.network, inputs)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.optimizer.parameters, CLIP_NORM)
        self.optimizer.step(self.rates[0])
        with torch.no_grad():
            towards = torch._foreach_sub(self.optimizer.parameters, self.averages)
            torch._foreach_mul_(towards, self.rates[1])
            torch._foreach_add_(self.averages, towards)
            for name, value in {**figures, "norm": norm}.items():
                self.figures.setdefault(name, torch.zeros((), device=self.x.device)).copy_(value)


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _wide(matrix: Tensor) -> Tensor:
    return matrix.t() if matrix.shape[0] > matrix.shape[1] else matrix
