"""One process of the exactness matrix; see `exactness`."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch

from ..codecs import api
from ..codecs.mlicv2.codec import MLICv2Codec
from ..codecs.picture_files import read_picture
from ..entropy_models.exact.layers import ExactLinear


def encode(quality: str, stem: str, *pictures: str) -> dict[str, str]:
    """Write one file for each picture; returns their paths."""
    codec = default_codec()
    made = {}
    for number, path in enumerate(pictures):
        out = Path(f"{stem}-{number}.bf")
        out.write_bytes(codec.encode(read_picture(Path(path)), quality=float(quality)))
        made[str(out)] = ""
    return made


def decode(*files: str) -> dict[str, str]:
    """SHA-256 of the decoded latents of every file."""
    codec = default_codec()
    return {path: latents_hash(codec, Path(path).read_bytes()) for path in files}


def default_codec() -> MLICv2Codec:
    """The codec of the job, one object however often it is asked for."""
    codec = api.load("mlicv2")
    if not isinstance(codec, MLICv2Codec):
        raise TypeError(f"{codec.name} has no latents to compare")
    return codec


def latents_hash(codec: MLICv2Codec, data: bytes) -> str:
    """SHA-256 over the symbols of z and y and over y_hat, all as little-endian int32."""
    digest = hashlib.sha256()
    for array in codec.decode_symbols(data):
        digest.update(np.ascontiguousarray(array, "<i4").tobytes())
    return digest.hexdigest()


def transpose_weights(codec: MLICv2Codec) -> None:
    """Lay out every exact matrix column by column, so that the library takes other kernels."""
    for layer in codec.frozen.model.modules():
        if isinstance(layer, ExactLinear):
            layer.weight.data = layer.weight.data.t().contiguous().t()


def main() -> None:
    """Set the switches, run the job, print JSON."""
    job, switches, *arguments = sys.argv[1:]
    if "no-mkldnn" in switches:
        torch.backends.mkldnn.set_flags(False)
    if "transposed" in switches:
        transpose_weights(default_codec())
    jobs = {"encode": lambda: encode(*arguments), "decode": lambda: decode(*arguments)}
    print(json.dumps(jobs[job]()))


if __name__ == "__main__":
    main()
