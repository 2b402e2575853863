"""Write golden files with the shipped models: python tests/make_golden.py

They are made once for a model and never again; a new model adds its own beside them.
"""

from __future__ import annotations

import json
from pathlib import Path

from bitfloor import weights
from bitfloor.codecs.picture_files import read_picture
from bitfloor.codecs.sound import Sound, read_sound
from bitfloor.tools.exactness_worker import codec_called, latents_hash

DATA = Path(__file__).parent / "data"
PICTURES = {"low": (5.0, 64, 200), "middle": (45.0, 33, 130), "high": (97.0, 1, 1)}  # quality, height, width
SOUNDS = {"low": (1.0, 32_000), "middle": (50.0, 16_000), "high": (100.0, 1)}  # quality, samples


def main() -> None:
    """Encode parts of the bundled photograph and speech, and note the hashes of their latents."""
    box = Path(weights.__file__).parent
    photograph = read_picture(box / "demo.avif").rgb
    speech = read_sound((box / "demo.flac").read_bytes())
    parts = [
        ("mlicv2", name, quality, photograph[100 : 100 + height, 200 : 200 + width])
        for name, (quality, height, width) in PICTURES.items()
    ]
    parts += [
        ("secodec", name, quality, Sound(speech.samples[16_000 : 16_000 + count], speech.rate))
        for name, (quality, count) in SOUNDS.items()
    ]
    index = DATA / "golden.json"
    golden = json.loads(index.read_text()) if index.exists() else {}
    for codec_name, name, quality, part in parts:
        codec = codec_called(codec_name)
        file = f"{codec.frozen.fingerprint.hex()}-{name}.bf"
        if file not in golden:
            data = codec.encode(part, quality=quality)
            (DATA / file).write_bytes(data)
            golden[file] = latents_hash(codec, data)
    index.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
