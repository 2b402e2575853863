"""Where the time of a training step of a picture network goes, in both precisions.

    python -m bitfloor.tools.training_speed [--preset small] [--batch 16] [--crop 128] [--steps 5]

Prints processor seconds (of all threads, so that other work on the machine hardly matters) for each part of a step and
crops a second of processor time. Weights are random and crops are noise: neither changes how long a step takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import click
import torch
from torch import Tensor

from ..codecs.image.loss import lagrangian, rate_and_distortion
from ..codecs.image.model import ImageNetwork
from ..codecs.image.presets import find
from ..entropy_models.latent.q_index import Q_INDEX_MAX
from .training.optimizers import MatrixOptimizer
from .training.precision import fastest, mixed

PARTS = ("forward", "backward", "optimiser")


def measure(network: ImageNetwork, batch: int, crop: int, steps: int, dtype: torch.dtype) -> dict[str, float]:
    """Least processor seconds of each of `PARTS` over some steps; one step before them is not counted."""
    optimizer = MatrixOptimizer(network, 1e-5, dtype)
    x, q_index = torch.rand(batch, 3, crop, crop), torch.randint(0, Q_INDEX_MAX + 1, (batch,))
    best = dict.fromkeys(PARTS, float("inf"))
    for number in range(steps + 1):
        spent = _step(network, optimizer, x, q_index, dtype)
        if number:
            best = {part: min(best[part], spent[part]) for part in PARTS}
    return best


def _step(
    network: ImageNetwork, optimizer: MatrixOptimizer, x: Tensor, q_index: Tensor, dtype: torch.dtype
) -> dict[str, float]:
    optimizer.zero_grad()
    loss, forward = _timed(lambda: _loss(network, x, q_index, dtype))
    _, backward = _timed(loss.backward)
    _, update = _timed(lambda: optimizer.step(1e-5))
    return dict(zip(PARTS, (forward, backward, update), strict=True))


def _loss(network: ImageNetwork, x: Tensor, q_index: Tensor, dtype: torch.dtype) -> Tensor:
    with mixed(x.device, dtype):
        out = network(x, q_index)
    bpp, mse = rate_and_distortion(out, x)
    return (bpp + lagrangian(q_index.float(), network.config.lambdas) * 255**2 * mse).mean()


def _timed(work: Callable[[], Tensor | None]) -> tuple[Tensor, float]:
    start = time.process_time()
    result = work()
    return torch.empty(0) if result is None else result, time.process_time() - start


@click.command()
@click.option("--codec", default="mlicv2", show_default=True)
@click.option("--preset", default="small", show_default=True)
@click.option("--batch", default=16, show_default=True, help="Crops in a step.")
@click.option("--crop", default=128, show_default=True, help="Side of a crop.")
@click.option("--steps", default=5, show_default=True, help="Steps of which the quickest counts.")
def command(codec: str, preset: str, batch: int, crop: int, steps: int) -> None:
    """Print the processor seconds of a training step, part by part, in float32 and in bfloat16."""
    torch.manual_seed(0)
    network = ImageNetwork(find(preset, codec))
    chosen = fastest(torch.device("cpu"))
    click.echo(f"{torch.get_num_threads()} threads, {batch} crops of {crop}x{crop}, processor seconds a step")
    for dtype in (torch.float32, torch.bfloat16):
        spent = measure(network, batch, crop, steps, dtype)
        parts = "  ".join(f"{part} {seconds:.3f}" for part, seconds in spent.items())
        name = str(dtype).removeprefix("torch.")
        star = "  <- chosen here" if dtype == chosen else ""
        click.echo(f"{name:<9} {parts}  {batch / sum(spent.values()):6.1f} crops a second{star}")


if __name__ == "__main__":
    command()
