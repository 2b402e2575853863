"""Refinement at the encoder: never worse, the same every time, and no other file for a decoder."""

from __future__ import annotations

import math
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_model import smooth_picture, tiny_codec

import bitfloor
from bitfloor.codecs.base import check_effort
from bitfloor.codecs.image import codec as codec_module
from bitfloor.codecs.image.codec import ImageCodec
from bitfloor.codecs.image.refine import PLANS, WATCHER, Steps, descend
from bitfloor.codecs.media.pictures.objects import as_picture
from bitfloor.codecs.media.pictures.psnr import picture_psnr
from bitfloor.entropy_models.latent.q_index import Q_INDEX_MAX, q_index_of
from bitfloor.errors import UsageError
from bitfloor.tools.cli import main


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> ImageCodec:
    return tiny_codec(tmp_path_factory.mktemp("model"))


def cost(codec: ImageCodec, picture, data: bytes, quality: float) -> float:  # type: ignore[no-untyped-def]
    low, high = codec.frozen.network.config.lambdas
    weight = math.exp(math.log(low) + math.log(high / low) * q_index_of(quality) / Q_INDEX_MAX)
    mse = 255**2 * 10 ** (-picture_psnr(as_picture(picture), codec.decode_picture(data)) / 10)
    return 8 * len(data) / (picture.shape[0] * picture.shape[1]) + weight * mse


@pytest.mark.parametrize("quality", [70])
@pytest.mark.parametrize("window", [48, 4])
def test_a_refined_file_is_better_and_the_same_again(
    codec: ImageCodec, monkeypatch: pytest.MonkeyPatch, quality: float, window: int
) -> None:
    monkeypatch.setattr(codec_module, "WINDOW", window)
    picture = smooth_picture(100, 150)
    plain, refined = (codec.encode(picture, quality=quality, effort=effort) for effort in (0, 3))
    assert cost(codec, picture, refined, quality) < cost(codec, picture, plain, quality)
    assert codec.encode(picture, quality=quality, effort=3) == refined


def test_a_refinement_that_makes_it_worse_is_not_taken(codec: ImageCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_module, "refine_window", lambda network, rgb, y, *rest: y + 3)
    picture = smooth_picture(64, 64)
    assert codec.encode(picture, effort=5) == codec.encode(picture)


def test_descent_finds_the_least_square_and_moves_only_what_is_free() -> None:
    target, start = torch.tensor([1e-3, -2e-3, 5e-3]), torch.zeros(3)
    free = torch.tensor([1.0, 1.0, 0.0])
    found = descend(lambda x: (x - target).square().sum(), start, free, 300)
    assert torch.allclose(found, target * free, atol=1e-4)


def test_an_effort_is_a_whole_number_from_0_to_9() -> None:
    assert [check_effort(effort) for effort in range(len(PLANS))] == list(range(10))
    steps = [plan.steps(5) for plan in PLANS]
    assert steps == sorted(set(steps)) and steps[0] == 0
    for wrong in (-1, 10, 1.5, "3", True, None):
        with pytest.raises(UsageError, match="whole number from 0"):
            check_effort(wrong)


def test_a_refined_file_of_the_shipped_network_keeps_a_wished_size() -> None:
    picture = smooth_picture(64, 128)
    data = bitfloor.encode(picture, size=400, effort=1, fallback="never")
    assert len(data) <= 400 and bitfloor.decode(data).size == (128, 64)


def test_refinement_works_where_the_caller_forbids_gradients(codec: ImageCodec, tmp_path: Path) -> None:
    picture = smooth_picture(64, 64)
    with torch.inference_mode():
        inside = codec.encode(picture, effort=1)
    assert inside == codec.encode(picture, effort=1)


def test_whoever_watches_hears_of_every_step_and_may_stop(codec: ImageCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_module, "WINDOW", 4)
    picture = smooth_picture(100, 150)  # 8 x 12 cells, six windows
    heard: list[tuple[int, int]] = []

    def encode(most: int) -> bytes:
        heard.clear()
        token = WATCHER.set(lambda done, total: bool(heard.append((done, total))) or done >= most)
        try:
            return codec.encode(picture, quality=70, effort=1)
        finally:
            WATCHER.reset(token)

    plain, whole, cut = codec.encode(picture, quality=70), encode(1000), encode(6)
    assert heard == [(number, 6 * PLANS[1].steps(3)) for number in range(1, 7)]
    assert cost(codec, picture, whole, 70) <= cost(codec, picture, cut, 70) <= cost(codec, picture, plain, 70)
    assert codec.encode(picture, quality=70, effort=1) == whole  # nobody listens any more


def test_ctrl_c_writes_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signal after the first step: the file is whole, the command ends well, and says so; of many it ends them."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        Image.fromarray(smooth_picture(64, 64)).save(name)
    steps: list[int] = []
    real = Steps.__call__

    def interrupting(self):  # type: ignore[no-untyped-def]
        steps.append(self.done)
        if len(steps) == 1:
            signal.raise_signal(signal.SIGINT)
        return real(self)

    monkeypatch.setattr(Steps, "__call__", interrupting)
    assert main(["encode", "a.png", "--effort", "9", "--fallback", "never"]) == 0
    assert len(steps) == 1 and "interrupted: a.png is written as it is now" in capsys.readouterr().err
    assert bitfloor.decode(Path("a.bf").read_bytes()).size == (64, 64)
    steps.clear()
    assert main(["encode", "a.png", "b.png", "-o", "out", "--effort", "9", "--fallback", "never"]) == 130
    assert [path.name for path in Path("out").iterdir()] == ["a.bf"]
    assert signal.getsignal(signal.SIGINT) is not None
