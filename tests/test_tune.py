"""What a model was trained for: how it is asked for, and what is said where there is no such model."""

import json

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from PIL import Image

import bitfloor
from bitfloor import weights
from bitfloor.codecs.container import unpack
from bitfloor.codecs.image.loss import lagrangian
from bitfloor.codecs.image.visual import visual_distance
from bitfloor.entropy_models.latent.q_index import q_index_of
from bitfloor.errors import ModelError, UsageError
from bitfloor.tools.cli import cli


@pytest.fixture(scope="module")
def photograph():
    """A part of the bundled photograph, 256 x 256."""
    return Image.open(weights.BOX / "demo.avif").convert("RGB").crop((100, 100, 356, 356))


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


def _fingerprint(name):
    return next(entry.fingerprint for entry in weights.entries() if entry.name == name)


def test_the_default_is_the_model_for_psnr_whatever_the_names_are():
    assert bitfloor.load("mlicv2") is bitfloor.load("mlicv2", tune="psnr")
    assert bitfloor.load("mlicv2").fingerprint == _fingerprint("mlicv2-small")
    assert bitfloor.load("mlicv2", tune="visual").fingerprint == _fingerprint("mlicv2-small-visual")


def test_a_tuned_file_decodes_without_a_word_and_is_nearer_to_the_eye(photograph):
    def distance(data):
        pictures = (np.array(p, dtype=np.float32) / 255 for p in (bitfloor.decode(data), photograph))
        return float(visual_distance(*(torch.from_numpy(p).permute(2, 0, 1)[None] for p in pictures)))

    tuned = bitfloor.encode(photograph, quality=40, tune="visual")
    plain = bitfloor.encode(photograph, size=len(tuned))
    assert unpack(tuned).header.fingerprint == _fingerprint("mlicv2-small-visual")
    assert len(plain) > 0.97 * len(tuned)
    assert distance(tuned) < 0.9 * distance(plain)


def test_an_effort_searches_for_what_the_network_is_for(photograph):
    """Bits and the visual distance together fall, though the sum of bits and squared error need not."""
    codec = bitfloor.load("mlicv2", tune="visual")
    picture = photograph.crop((0, 0, 128, 128))

    def cost(effort):
        data = codec.encode(picture, quality=60, effort=effort)
        pixels = (np.array(p, dtype=np.float32) / 255 for p in (codec.decode(data), picture))
        distance = visual_distance(*(torch.from_numpy(p).permute(2, 0, 1)[None] for p in pixels))
        q_index = torch.tensor(float(q_index_of(60)))
        weight = lagrangian(q_index, codec.frozen.network.config.lambdas)
        return 8 * len(data) / 128**2 + float(weight) * 255**2 * float(distance)

    assert cost(3) < 0.995 * cost(0)


@pytest.mark.parametrize("size", [(1, 1), (70, 5), (2, 90)])
def test_an_effort_takes_the_smallest_pictures(photograph, size):
    picture = photograph.crop((0, 0, *size))
    data = bitfloor.load("mlicv2", tune="visual").encode(picture, quality=40, effort=1)
    assert bitfloor.decode(data).size == size


def test_the_command_line_takes_it_and_lists_it(photograph, tmp_path):
    photograph.save(tmp_path / "a.png")
    done = run("encode", tmp_path / "a.png", "--tune", "visual", "-o", tmp_path / "a.bf", "--fallback", "never")
    assert done.exit_code == 0, done.output
    assert unpack((tmp_path / "a.bf").read_bytes()).header.fingerprint == _fingerprint("mlicv2-small-visual")
    rows = {row["name"]: row["tune"] for row in json.loads(run("models", "--json").output)}
    assert rows["mlicv2-small-visual"] == "visual" and rows["mlicv2-small"] == rows["secodec-small"] == "psnr"


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (
            lambda: bitfloor.load("s2lic", tune="visual"),
            ModelError,
            "no s2lic model that is tuned for 'visual'.*mlicv2",
        ),
        (lambda: bitfloor.load("secodec", tune="visual"), UsageError, "tune is for pictures"),
        (lambda: bitfloor.load("mlicv2", "mlicv2-small", tune="visual"), UsageError, "tuned already"),
        (lambda: bitfloor.load("mlicv2", tune="ears"), UsageError, "one of psnr, visual"),
    ],
)
def test_what_cannot_be_is_said(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_files_of_sounds_are_not_tuned(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1600, np.float32), 16000)
    done = run("encode", tmp_path / "a.wav", "--tune", "visual", "-o", tmp_path / "a.bf")
    assert done.exit_code and "a.wav: tune is for pictures" in str(done.exception)
