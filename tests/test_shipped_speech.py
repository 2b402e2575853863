"""The speech model in the box: what its files promise. Figures on test speech come from `bitfloor bench`."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bitfloor import weights
from bitfloor.codecs import api
from bitfloor.codecs.container import unpack
from bitfloor.codecs.media.sound import Sound, read_sound
from bitfloor.codecs.secodec.chunks import encoder_reach
from bitfloor.codecs.secodec.continuation import go_on, quiet_codes
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
    from bitfloor.codecs.media.sound import write_sound

    write_sound(Sound(clip.samples[:16_000], clip.rate), tmp_path / "part.wav")
    chosen = [s for s in SETTINGS if s.name in ("2 threads", "aten default", "column-major weights")]
    hashes = matrix([tmp_path / "part.wav"], 100, chosen, tmp_path)
    assert [len(row) for row in hashes.values()] == [3, 3, 3]
    assert disagreements(hashes) == []


@pytest.mark.parametrize("after", ["silence", "noise", "speech"])
def test_what_follows_changes_nothing_before_it(codec, clip, after):
    """But for the frames that the encoder sees it from: `encoder_reach`, and the last steps of the token model."""
    speech = clip.at(16_000).samples[:48_000]
    rng = np.random.default_rng(0)
    rest = {"silence": np.zeros(80_000), "noise": 1e-4 * rng.standard_normal(80_000), "speech": speech}[after]
    longer = codec.analyse((np.concatenate([speech, rest.astype(np.float32)]), 16_000))
    alone = codec.analyse((speech, 16_000))
    same = len(alone.codes) - encoder_reach(codec.network) - alone.codes.shape[1]
    assert longer.gain == alone.gain
    np.testing.assert_array_equal(longer.codes[:same], alone.codes[:same])


def test_a_continuation_neither_falls_silent_nor_drifts_away(codec, clip):
    start = codec.analyse(Sound(clip.samples[: 2 * clip.rate], clip.rate))
    quiet = quiet_codes(codec)
    assert 5 < quiet.sum() < quiet.size / 2
    for seed in range(3):
        codes = go_on(codec, start.codes, len(start.codes) + 600, temperature=0.9, seed=seed)
        np.testing.assert_array_equal(codes[: len(start.codes)], start.codes)
        sound = codec.synthesise(codes, start.gain).samples.reshape(-1, 1600)
        loud = np.sqrt((sound**2).mean(axis=1)) > 0.03 * np.sqrt((sound**2).mean())
        silences = np.diff(np.flatnonzero(np.concatenate([[True], loud, [True]])))
        assert silences.max() < 30  # tenths of a second
        assert np.abs(sound.reshape(-1, 16_000).mean(axis=1)).max() < 1e-3


PEAK = """
import resource, sys
import numpy as np, soundfile
from bitfloor.tools import cli
if sys.argv[1] == "write":
    seconds, rate, channels = map(int, sys.argv[2:])
    speech = 0.1 * np.random.default_rng(0).standard_normal(rate)
    with soundfile.SoundFile("in.wav", "w", rate, channels) as file:
        for _ in range(seconds):
            file.write(np.tile(speech[:, None], channels))
else:
    status = cli.main(sys.argv[1:])
    print(status, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peaks(folder, seconds, rate=48_000, channels=2):
    """MiB that encoding and decoding of so many seconds of sound take at most, each in a process."""

    def run(*arguments):
        command = [sys.executable, "-c", PEAK, *map(str, arguments)]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.split()

    run("write", seconds, rate, channels)
    commands = (("encode", "in.wav", "-q", 1), ("decode", "in.bf", "-o", "out.wav"))
    found = [run(*command, "-f", "--quiet") for command in commands]
    assert [status for status, _ in found] == ["0", "0"]
    assert soundfile.info(folder / "out.wav").frames == rate * seconds
    return np.array([int(peak) for _, peak in found])


def test_memory_does_not_grow_with_the_sound(tmp_path):
    short, long = (peaks(tmp_path, seconds, 192_000, 8) for seconds in (12, 36))
    samples = 24 * 192_000 * 4 / 2**20  # MiB of what the longer one adds to one channel of floats, to say nothing of 8
    assert (long - short < samples).all()


@pytest.mark.slow
def test_an_hour_of_48_khz_stereo_takes_less_than_a_gigabyte(tmp_path):
    assert (peaks(tmp_path, 3600) < 1000).all()
