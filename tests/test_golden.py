"""Files made once by shipped models; a build that decodes them to other integers breaks files that people have."""

import json
from pathlib import Path

import pytest

from bitfloor import weights
from bitfloor.codecs import api
from bitfloor.tools.exactness_worker import latents_hash

DATA = Path(__file__).parent / "data"
GOLDEN = json.loads((DATA / "golden.json").read_text())


@pytest.fixture(autouse=True)
def tiny_models_are_here(monkeypatch):
    monkeypatch.setenv(weights.FOLDERS_VARIABLE, str(DATA))


def test_every_codec_with_a_model_has_golden_files():
    names = [(codec.name, codec.frozen.name) for codec in map(codec_for, GOLDEN)]
    models = ("mlicv2-small", "mlicv2-small-visual", "tiny-picture", "tiny-8bit")
    for model in (*(("mlicv2", model) for model in models), ("s2lic", "s2lic-small"), ("secodec", "secodec-small")):
        assert names.count(model) >= 3, model


def codec_for(file):
    return api.codec_of((DATA / file).read_bytes())


@pytest.mark.parametrize("file", GOLDEN)
def test_golden_files_decode_to_the_same_latents_for_ever(file):
    data = (DATA / file).read_bytes()
    assert latents_hash(api.codec_of(data), data) == GOLDEN[file]
