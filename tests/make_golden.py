"""Write golden files with the shipped model: python tests/make_golden.py

They are made once for a model and never again; a new model adds its own beside them.
"""

from __future__ import annotations

import json
from pathlib import Path

from bitfloor import weights
from bitfloor.codecs.picture_files import read_picture
from bitfloor.tools.exactness_worker import default_codec, latents_hash

DATA = Path(__file__).parent / "data"
PARTS = {"low": (5.0, 64, 200), "middle": (45.0, 33, 130), "high": (97.0, 1, 1)}  # quality, height, width


def main() -> None:
    """Encode three parts of the bundled photograph and note the hash of their latents."""
    codec = default_codec()
    photograph = read_picture(Path(weights.__file__).parent / "demo.avif").rgb
    index = DATA / "golden.json"
    golden = json.loads(index.read_text()) if index.exists() else {}
    for name, (quality, height, width) in PARTS.items():
        data = codec.encode(photograph[100 : 100 + height, 200 : 200 + width], quality=quality)
        file = f"{codec.frozen.fingerprint.hex()}-{name}.bf"
        (DATA / file).write_bytes(data)
        golden[file] = latents_hash(codec, data)
    index.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
