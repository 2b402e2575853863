"""The visual distance: its colours against another implementation, and what it must rank."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from bitfloor import weights
from bitfloor.codecs.image import visual

reference = pytest.importorskip("ssimulacra2.ssimulacra2")


@pytest.fixture(scope="module")
def photograph():
    """(1, 3, 256, 256) in [0, 1]: a part of the bundled photograph."""
    path = Path(weights.__file__).with_name("demo.avif")
    return _tensor(Image.open(path).convert("RGB").crop((100, 100, 356, 356)))


def _tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255


def _picture(x: torch.Tensor) -> Image.Image:
    return Image.fromarray((x[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))


def test_colours_are_those_of_ssimulacra2(photograph):
    pixels = np.array(_picture(photograph))
    expected = reference.make_positive_xyb(
        reference.linear_rgb_to_xyb(reference.srgb_to_linear(pixels.astype(np.float64))).transpose(1, 0, 2)
    )
    ours = visual._xyb(visual._linear(photograph))[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_one_scale_is_made_of_the_maps_of_ssimulacra2(photograph):
    """From equal blurred pictures, since the two blur borders otherwise."""
    decoded = _tensor(_picture(photograph).filter(ImageFilter.GaussianBlur(1.2)))
    first, second = (visual._xyb(visual._linear(x)) for x in (decoded, photograph))
    blurred = visual._blur(torch.cat((first, second, first**2, second**2, first * second), 1))
    mean1, mean2, *products = (part[0].permute(1, 2, 0).numpy().astype(np.float64) for part in blurred.chunk(5, 1))
    structure = reference.ssim_map(mean1, mean2, *products).reshape(3, 2)  # a colour's mean and fourth-power mean
    edges = reference.edge_diff_map(_inside(second), mean2, _inside(first), mean1).reshape(3, 2, 2)
    edges = np.stack((edges[..., 0].sum(1), (edges[..., 1] ** 4).sum(1) ** 0.25), 1)  # new and lost ones together
    expected = np.dot(visual.COLOURS, (structure + visual.EDGES * edges).mean(1))
    assert float(visual._structure(first, second)) == pytest.approx(expected, rel=2e-3)


def _inside(x: torch.Tensor) -> np.ndarray:
    reach = visual._REACH
    return x[0, :, reach:-reach, reach:-reach].permute(1, 2, 0).numpy().astype(np.float64)


def test_equal_pictures_are_at_no_distance_and_more_damage_is_farther(photograph):
    assert float(visual.visual_distance(photograph, photograph)) == pytest.approx(0, abs=1e-9)
    damaged = [_tensor(_picture(photograph).filter(ImageFilter.GaussianBlur(r))) for r in (0.5, 1.0, 2.0, 4.0)]
    distances = [float(visual.visual_distance(x, photograph)) for x in damaged]
    assert distances == sorted(distances) and distances[0] > 1e-6


def test_at_equal_squared_error_blur_is_farther_than_a_change_of_light(photograph):
    blurred = _tensor(_picture(photograph).filter(ImageFilter.GaussianBlur(1.5)))
    mse = float((blurred - photograph).square().mean())
    lighter = photograph + mse**0.5
    assert float((lighter - photograph).square().mean()) == pytest.approx(mse, rel=1e-3)
    assert float(visual.visual_distance(blurred, photograph)) > 2 * float(visual.visual_distance(lighter, photograph))


def test_a_tiny_picture_is_compared_as_if_its_borders_went_on(photograph):
    small, other = photograph[..., :4, :7], photograph[..., 40:44, 50:57]
    wide, wide_other = (x[..., [*range(4), *[3] * 7], :][..., [*range(7), *[6] * 4]] for x in (small, other))
    assert wide.shape[-2:] == (11, 11)
    squared, wide_squared = ((a - b).square().mean() for a, b in ((small, other), (wide, wide_other)))
    found = float(visual.visual_distance(small, other)) - visual.SQUARED * float(squared)
    expected = float(visual.visual_distance(wide, wide_other)) - visual.SQUARED * float(wide_squared)
    assert found == pytest.approx(expected, rel=1e-4) and found > 0


def test_gradients_are_finite_where_pictures_are_equal_or_out_of_range(photograph):
    for other in (photograph.clone(), photograph * 3 - 1):
        other.requires_grad_()
        visual.visual_distance(other, photograph).sum().backward()
        assert torch.isfinite(other.grad).all()
