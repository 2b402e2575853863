"""The speech model in the box: what its files promise. Figures on test speech come from `bitfloor bench`."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bitfloor import weights
from bitfloor.codecs import api
from bitfloor.codecs.container import unpack
from bitfloor.codecs.sound import Sound, read_sound
from bitfloor.tools.bench.sound_metrics import measure_sound
from bitfloor.tools.exactness import SETTINGS, disagreements, matrix

CLIP = Path(weights.__file__).parent / "demo.flac"
QUALITIES = (1, 43, 71, 100)


@pytest.fixture(scope="module")
def codec():
    return api.load("secodec")


@pytest.fixture(scope="module")
def clip():
    return read_sound(CLIP.read_bytes())


def test_more_layers_sound_better(codec, clip):
    files = [codec.encode(clip, quality=q) for q in QUALITIES]
    sounds = [Sound(*codec.decode(f)) for f in files]
    distances = [measure_sound(clip, s, ("log_mel",))["log_mel"] for s in sounds]
    assert all(a > b for a, b in pairwise(distances))
    assert all(len(a) < len(b) for a, b in pairwise(files))
    assert all(np.abs(s.samples).max() < 1.5 for s in sounds)


@pytest.mark.parametrize("quality", QUALITIES)
def test_tokens_cost_less_than_their_numbers(codec, clip, quality):
    data = codec.encode(clip, quality=quality)
    tokens = codec.decode_tokens(data)
    plain = len(tokens) * np.log2(codec.network.quantiser.sizes[: tokens.shape[1]]).sum()
    assert 8 * len(unpack(data).payload) < 0.9 * plain


def test_settings_that_break_other_codecs_agree(clip, tmp_path):
    """Three settings of the exactness matrix; all: python -m bitfloor.tools.exactness SOUND."""
    from bitfloor.codecs.sound import write_sound

    write_sound(Sound(clip.samples[:16_000], clip.rate), tmp_path / "part.wav")
    chosen = [s for s in SETTINGS if s.name in ("2 threads", "aten default", "column-major weights")]
    hashes = matrix([tmp_path / "part.wav"], 100, chosen, tmp_path)
    assert [len(row) for row in hashes.values()] == [3, 3, 3]
    assert disagreements(hashes) == []


PEAK = """
import resource, sys
import numpy as np
import bitfloor
codec = bitfloor.load("secodec")
rng = np.random.default_rng(0)
samples = np.float32(0.1 * rng.standard_normal(16000 * int(sys.argv[1])))
decoded, rate = codec.decode(codec.encode((samples, 16000), quality=1))
assert decoded.shape == samples.shape and rate == 16000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_ten_minutes_take_little_more_memory_than_one():
    peaks = [
        int(subprocess.run([sys.executable, "-c", PEAK, str(s)], capture_output=True, text=True, check=True).stdout)
        for s in (60, 600)
    ]
    assert peaks[1] - peaks[0] < 400_000  # KiB; the samples alone, in and out, take 77 MB
