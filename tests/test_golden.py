"""Files made once by shipped models; a build that decodes them to other integers breaks files that people have."""

import json
from pathlib import Path

import pytest

from bitfloor.codecs import api
from bitfloor.tools.exactness_worker import latents_hash

DATA = Path(__file__).parent / "data"
GOLDEN = json.loads((DATA / "golden.json").read_text())


def test_every_codec_with_a_model_has_golden_files():
    names = [api.codec_of((DATA / file).read_bytes()).name for file in GOLDEN]
    assert names.count("mlicv2") >= 3 and names.count("secodec") >= 3


@pytest.mark.parametrize("file", GOLDEN)
def test_golden_files_decode_to_the_same_latents_for_ever(file):
    data = (DATA / file).read_bytes()
    assert latents_hash(api.codec_of(data), data) == GOLDEN[file]
