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


def encode(quality: str, stem: str, *pictures: str) -> dict[str, str]:
    """Write one file for each picture; returns their paths."""
    codec = api.load("mlicv2")
    made = {}
    for number, path in enumerate(pictures):
        out = Path(f"{stem}-{number}.bf")
        out.write_bytes(codec.encode(read_picture(Path(path)), quality=float(quality)))
        made[str(out)] = ""
    return made


def decode(*files: str) -> dict[str, str]:
    """SHA-256 of the decoded latents of every file, or the error."""
    return {path: latents_hash(Path(path).read_bytes()) for path in files}


def latents_hash(data: bytes) -> str:
    """SHA-256 over the symbols of z and y and over y_hat, all as little-endian int32."""
    codec = api.codec_of(data)
    if not isinstance(codec, MLICv2Codec):
        raise TypeError(f"{codec.name} has no latents to compare")
    digest = hashlib.sha256()
    for array in codec.decode_symbols(data):
        digest.update(np.ascontiguousarray(array, "<i4").tobytes())
    return digest.hexdigest()


def main() -> None:
    """Set the switches, run the job, print JSON."""
    job, switches, *arguments = sys.argv[1:]
    if "no-mkldnn" in switches:
        torch.backends.mkldnn.enabled = False
    if "channels-last" in switches:
        codec = api.load("mlicv2")
        if isinstance(codec, MLICv2Codec):
            codec.frozen.model.to(memory_format=torch.channels_last)
    print(json.dumps({"encode": encode, "decode": decode}[job](*arguments)))


if __name__ == "__main__":
    main()
