"""Write golden files: python tests/make_golden.py

They are made once and never again. A new shipped model adds its own beside those of the tiny networks, which lie in
tests/data themselves: their files can be decoded for ever, whatever is shipped.
"""

from __future__ import annotations

import json
from pathlib import Path

from tiny_model import TINIEST, small_model, smooth_picture, tiny_network

from bitfloor import weights
from bitfloor.codecs.base import Codec
from bitfloor.codecs.image.frozen import FrozenImage, save_model
from bitfloor.codecs.image.presets.mlicv2 import MLICv2Codec
from bitfloor.codecs.media.pictures.files import read_picture
from bitfloor.codecs.media.sound import Sound, read_sound
from bitfloor.tools.exactness_worker import codec_called, latents_hash

DATA = Path(__file__).parent / "data"
PICTURES = {"low": (5.0, 64, 200), "middle": (45.0, 33, 130), "high": (97.0, 1, 1)}  # quality, height, width
SOUNDS = {"low": (1.0, 32_000), "middle": (50.0, 16_000), "high": (100.0, 1)}  # quality, samples
TINY = {"low": (5.0, 200, 130), "middle": (45.0, 65, 64), "high": (97.0, 100, 100)}


def main() -> None:
    """Encode parts of the bundled photograph and speech, and note the hashes of their latents."""
    box = Path(weights.__file__).parent
    photograph = read_picture(box / "demo.avif").rgb
    speech = read_sound((box / "demo.flac").read_bytes())
    sounds = codec_called("secodec")
    tiny = [_tiny("tiny-picture"), _tiny("tiny-8bit")]
    parts: list[tuple[Codec, str, float, object]] = [
        (codec, name, quality, photograph[100 : 100 + height, 200 : 200 + width])
        for codec in (codec_called("mlicv2"), MLICv2Codec.load("mlicv2-small-visual"), codec_called("s2lic"))
        for name, (quality, height, width) in PICTURES.items()
    ]
    parts += [
        (sounds, name, quality, Sound(speech.samples[16_000 : 16_000 + count], speech.rate))
        for name, (quality, count) in SOUNDS.items()
    ]
    parts += [
        (codec, name, quality, smooth_picture(*size)) for codec in tiny for name, (quality, *size) in TINY.items()
    ]
    index = DATA / "golden.json"
    golden = json.loads(index.read_text()) if index.exists() else {}
    for codec, name, quality, part in parts:
        file = f"{codec.frozen.fingerprint.hex()}-{name}.bf"  # type: ignore[attr-defined]
        if file not in golden:
            data = codec.encode(part, quality=quality)
            (DATA / file).write_bytes(data)
            golden[file] = latents_hash(codec, data)
    index.write_text(json.dumps(golden, indent=1) + "\n")


def _tiny(name: str) -> MLICv2Codec:
    """A tiny picture network, weights in half precision or in 8 bits; made where it is not there yet."""
    path = DATA / f"{name}.safetensors"
    if not path.exists():
        if name == "tiny-8bit":
            small_model(path, TINIEST, seed=8)
        else:
            save_model(path, tiny_network(7, TINIEST))
        frozen = FrozenImage.load(path)
        card = {"codec": "mlicv2", "fingerprint": frozen.fingerprint.hex(), "parameters": 0}
        card["parameters"] = sum(p.numel() for p in frozen.network.parameters())
        path.with_suffix(".json").write_text(json.dumps(card) + "\n")
    return MLICv2Codec.from_path(path)


if __name__ == "__main__":
    main()
