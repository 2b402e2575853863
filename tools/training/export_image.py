"""From a training folder, or a model, to a model of 8 bits a weight that the codec loads, with its card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import weights
from ...codecs import registry
from ...codecs.image.codec import ImageCodec
from ...codecs.image.config import ImageConfig
from ...codecs.image.frozen import load_network, save_model
from ...codecs.image.model import ImageNetwork
from ...entropy_models.parts import from_json
from ...errors import UsageError
from ..console import note
from . import checkpoint
from .eight_bits import cost, eight_bits, takes_grids
from .model_card import write_model
from .pictures import find_pictures, is_held_out, load_pictures

TUNE = {"mse": "psnr", "visual": "visual"}  # what `--tune` calls the distortion that a network is trained for
CALIBRATED, MEASURED = 32, 8  # pictures for the ranges and moments, and for the cost
LEAST = 4  # pictures for the ranges and moments, however short the training was


def export_image(
    folder: Path,
    codec: str,
    pictures: Sequence[Path],
    name: str | None = None,
    model: str | None = None,
    share: float = 1.0,
) -> Path:
    """Round the averaged weights of the checkpoint in `folder`, or `model`, and write model and card there.

    How to round is learned from the training part of `pictures` (folders), and what it costs is measured on the part
    held out. `share` (0..1) of the usual number of pictures does after a training of minutes, which an export should
    not outlast.

    Raises:
        ModelError: without a checkpoint or where the network cannot be frozen.
        UsageError: without pictures, and as `write_model`.
    """
    network, training = _of_checkpoint(folder) if model is None else _of_model(codec, model)
    if not pictures:
        raise UsageError("name folders with pictures: from them an export learns how to round the weights")
    paths = find_pictures(pictures)
    kind: Any = registry.load(codec)
    with TemporaryDirectory() as place:
        before: ImageCodec = kind(save_model(Path(place) / "before.safetensors", network))
        small = eight_bits(
            network, _some([p for p in paths if not is_held_out(p)] or paths, max(LEAST, int(share * CALIBRATED)))
        )
        layers = small.single + small.double
        others = f", {small.double} in float64" if small.double else ""
        note(f"{small.single} of {layers} layers of the entropy path run in float32{others}")
        after: ImageCodec = kind(save_model(Path(place) / "after.safetensors", network, small.weights))
        held_out = [p for p in paths if is_held_out(p)]
        measured = min(len(held_out), int(share * MEASURED))
        rows = cost(before, after, _some(held_out, measured)) if measured else []
    if not held_out:
        note("none of the pictures is held out, so what 8 bits cost was not measured")
    elif not rows:
        note("what 8 bits cost was not measured after so short a training: --export does it")
    for row in rows:
        note("quality {quality:g}: bytes {bytes_percent:+.2f} %, PSNR {psnr_change:+.3f} dB".format(**row))
    card: dict[str, Any] = {
        "codec": codec,
        "tune": TUNE[network.config.distortion],
        "parameters": sum(p.numel() for p in network.parameters()),
        "training": training,
        "eight_bits": rows,
        "points": [],
    }

    def write(path: Path) -> bytes:
        return save_model(path, network, small.weights).fingerprint

    folder.mkdir(parents=True, exist_ok=True)
    return write_model(folder, name, write, card)


def _of_checkpoint(folder: Path) -> tuple[ImageNetwork, dict[str, Any]]:
    """The averaged network of the checkpoint in a folder, and what the card says of its training."""
    source = folder / "last.safetensors"
    parts, progress = checkpoint.load(source)
    network = ImageNetwork(from_json(checkpoint.config_of(source), ImageConfig))
    takes_grids(network, parts["average"])
    checkpoint.fill(network, parts["average"], source)
    minutes = round(float(str(progress["total_seconds"])) / 60)
    return network, {"steps": progress["total_steps"], "minutes": minutes, "last_budget": progress["budget"]}


def _of_model(codec: str, model: str) -> tuple[ImageNetwork, dict[str, Any]]:
    """The network of a model by name or path, and what its card says of its training."""
    path = weights.find(codec, model)
    known = [entry for entry in weights.entries() if entry.path == path]
    return load_network(path), {"model": path.stem, **(known[0].training if known else {})}


def _some(paths: Sequence[Path], count: int) -> list[NDArray[np.uint8]]:
    """At most so many pictures, evenly chosen from the paths."""
    return load_pictures(paths[:: max(1, len(paths) // count)][:count])
