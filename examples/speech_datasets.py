"""Speech tokens with Hugging Face datasets: python examples/speech_datasets.py"""
# needs: datasets
# needs: pyarrow

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from bitfloor import weights

folder = Path(tempfile.mkdtemp())
(folder / "speech").mkdir()
samples, rate = soundfile.read(weights.BOX / "demo.flac")
for number in range(3):
    soundfile.write(folder / "speech" / f"{number}.flac", samples[: 9_000 + 4_000 * number], rate)
command = [sys.executable, "-m", "bitfloor", "tokens", str(folder / "speech"), "-o", str(folder / "tokens.parquet")]
subprocess.run(command, check=True)

# --8<-- [start:map]
from datasets import Dataset

import bitfloor

codec = bitfloor.load("secodec")


def tokenise(rows):
    found = codec.encode_batch(rows["path"])  # names of files, or arrays with sample_rate=
    tokens = [one[:, there].T.numpy() for one, there in zip(found.tokens, found.mask, strict=True)]
    return {"tokens": tokens, "gain_db": found.gain_db.numpy()}


paths = sorted(str(path) for path in (folder / "speech").iterdir())
mapped = Dataset.from_dict({"path": paths}).map(tokenise, batched=True, batch_size=16)
# --8<-- [end:map]

# --8<-- [start:parquet]
from datasets import load_dataset

speech = load_dataset("parquet", data_files=str(folder / "tokens.parquet"), split="train").with_format("numpy")
print(speech[0]["path"], speech[0]["tokens"].shape)  # (frames, layers)
# --8<-- [end:parquet]

for one, other in zip(mapped.with_format("numpy"), speech, strict=True):
    assert np.array_equal(one["tokens"], other["tokens"])
