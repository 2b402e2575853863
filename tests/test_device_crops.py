"""Crops cut on a device, and quality nodes that move to another range of lambda."""

import msgspec
import numpy as np
import pytest
import torch

from bitfloor.codecs.image.model import ImageNetwork
from bitfloor.codecs.image.presets import find
from bitfloor.tools.training.device_crops import DeviceCrops
from bitfloor.tools.training.pictures import RandomCrops
from bitfloor.tools.training.start import start_from

SIZE = 16


@pytest.fixture(scope="module")
def pictures():
    """Two small pictures in which every byte is told apart from its neighbours."""
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((20, 33, 3), (25, 18, 3))]


def _all_crops(picture: np.ndarray) -> set[bytes]:
    """Every crop of a picture, as it is, mirrored and turned, by brute force."""
    found = set()
    for top in range(picture.shape[0] - SIZE + 1):
        for left in range(picture.shape[1] - SIZE + 1):
            part = picture[top : top + SIZE, left : left + SIZE].transpose(2, 0, 1)
            for flipped in (part, part[:, :, ::-1]):
                found |= {flipped.tobytes(), flipped.transpose(0, 2, 1).tobytes()}
    return found


def test_every_crop_is_one_of_a_picture_and_all_kinds_occur(pictures):
    crops = DeviceCrops(RandomCrops(pictures), SIZE, torch.device("cpu"))
    drawn = (crops.draw(np.random.default_rng(0), 600, SIZE) * 255).round().to(torch.uint8).numpy()
    places = [_all_crops(picture) for picture in pictures]
    found = [next(n for n, known in enumerate(places) if crop.tobytes() in known) for crop in drawn]
    share = np.mean(np.array(found) == 0)
    areas = [p.shape[0] * p.shape[1] for p in pictures]
    assert abs(share - areas[0] / sum(areas)) < 0.08  # pictures in proportion to their area
    assert len({crop.tobytes() for crop in drawn}) > 200


def test_drawings_have_their_share(pictures, monkeypatch):
    monkeypatch.setattr("bitfloor.tools.training.device_crops.DRAWN", 64)
    crops = DeviceCrops(RandomCrops(pictures, drawings=0.5), SIZE, torch.device("cpu"))
    drawn = (crops.draw(np.random.default_rng(1), 400, SIZE) * 255).round().to(torch.uint8).numpy()
    known = set().union(*map(_all_crops, pictures))
    share = np.mean([crop.tobytes() not in known for crop in drawn])
    assert 0.35 < share < 0.6


def test_quality_nodes_move_with_the_range_of_lambda():
    config = msgspec.structs.replace(find("small", "mlicv2"), lambdas=(0.001, 0.1))
    torch.manual_seed(0)
    trained = ImageNetwork(config)
    with torch.no_grad():
        trained.gains.log_gain += torch.randn_like(trained.gains.log_gain)
    wide = ImageNetwork(msgspec.structs.replace(config, lambdas=(0.001, 1.0)))
    start_from(trained, wide)
    old, new = trained.gains.log_gain, wide.gains.log_gain
    # Node k has lambda 10^(2 k / 7) / 1000 in the old range and 10^(3 k / 7) / 1000 in the new: new nodes lie 1.5 old
    # ones apart, and beyond the old range's end on its last line.
    assert torch.allclose(new[0], old[0], atol=1e-5)
    assert torch.allclose(new[2], old[3], atol=1e-5)
    assert torch.allclose(new[4], old[6], atol=1e-5)
    assert torch.allclose(new[1], (old[1] + old[2]) / 2, atol=1e-5)
    assert torch.allclose(new[7], old[7] + 3.5 * (old[7] - old[6]), atol=1e-4)
