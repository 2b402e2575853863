"""One process of the exactness matrix; see `exactness`."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import torch

from ..codecs import api, registry
from ..codecs.base import Codec
from ..codecs.container import unpack
from ..codecs.sources import codec_for, read_source
from ..entropy_models.exact.layers import ExactLayer


def encode(
    transposed: bool, codecs: str, model: str, quality: str, effort: str, stem: str, *sources: str
) -> dict[str, str]:
    """Write one file for each picture or sound and each of `codecs`; returns their paths.

    `codecs` are divided by commas; none stands for that of the file's kind.
    """
    made = {}
    for number, (path, wished) in enumerate(product(sources, codecs.split(","))):
        out = Path(f"{stem}-{number}.bf")
        data = Path(path).read_bytes()
        name = wished or codec_for(data, path)
        chosen = codec_called(name, transposed, model)
        options = {"effort": int(effort)} if chosen.kind == "picture" else {}
        out.write_bytes(chosen.encode(read_source(data, name, path), quality=float(quality), **options))
        made[str(out)] = ""
    return made


def decode(transposed: bool, model: str, *files: str) -> dict[str, str]:
    """SHA-256 of the decoded latents of every file."""
    hashes = {}
    for path in files:
        data = Path(path).read_bytes()
        codec = codec_called(registry.by_id(unpack(data).header.codec_id).name, transposed, model)
        hashes[path] = latents_hash(codec, data)
    return hashes


def codec_called(name: str, transposed: bool = False, model: str = "") -> Codec:
    """The codec, one object however often it is asked for; see `transpose_weights`."""
    codec = api.load(name, model or None)
    if transposed:
        transpose_weights(codec)
    return codec


def latents_hash(codec: Codec, data: bytes) -> str:
    """SHA-256 over what the file's check value covers, all as little-endian int32.

    That is the symbols of z and y and y_hat of a picture, the tokens of speech.
    """
    digest = hashlib.sha256()
    for array in codec.decode_latents(data):
        digest.update(np.ascontiguousarray(array, "<i4").tobytes())
    return digest.hexdigest()


def transpose_weights(codec: Codec) -> None:
    """Lay out every exact matrix column by column, so that the library takes other kernels."""
    for layer in (layer for part in codec.exact_parts() for layer in part.modules()):
        if isinstance(layer, ExactLayer) and layer.weight.ndim == 2:
            layer.weight.data = layer.weight.data.t().contiguous().t()


def main() -> None:
    """Set the switches, run the job, print JSON."""
    job, switches, *arguments = sys.argv[1:]
    if "no-mkldnn" in switches:
        torch.backends.mkldnn.set_flags(False)
    jobs: dict[str, Callable[..., dict[str, str]]] = {"encode": encode, "decode": decode}
    print(json.dumps(jobs[job]("transposed" in switches, *arguments)))


if __name__ == "__main__":
    main()
