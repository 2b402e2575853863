"""A model of 8 bits a weight: what its file holds, that its float32 path is exact, and that nothing harms it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from exact_settings import assert_same_in_every_setting
from PIL import Image
from safetensors import safe_open
from tiny_model import CONFIG, TINIEST, small_model, smooth_picture, tiny_codec, tiny_network

from bitfloor import weights
from bitfloor.codecs.container import pack, unpack
from bitfloor.codecs.image.frozen import HALF, SMALL, FrozenImage, load_network, model_tensors, save_model
from bitfloor.codecs.image.presets.mlicv2 import MLICv2Codec
from bitfloor.codecs.model_file import read_model
from bitfloor.codecs.small_weights import nearest
from bitfloor.entropy_models.exact import layers, products
from bitfloor.entropy_models.exact.layers import ExactLayer
from bitfloor.entropy_models.exact.quantise import quantise
from bitfloor.errors import CorruptStreamError, ModelError
from bitfloor.tools.exactness import SETTINGS, disagreements, matrix
from bitfloor.tools.training.eight_bits import cost, eight_bits, takes_grids
from bitfloor.tools.training.start import start_from

PICTURE = smooth_picture(130, 200, 9)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("small") / "small.safetensors"
    small = small_model(place)
    assert small.double == 0 and small.single > 50
    return place


@pytest.fixture(scope="module")
def codec(path: Path) -> MLICv2Codec:
    return MLICv2Codec.from_path(path)


def latents(codec: MLICv2Codec, data: bytes) -> torch.Tensor:
    return torch.cat([torch.from_numpy(array).flatten() for array in codec.decode_latents(data)])


def test_the_file_holds_integers(path: Path, tmp_path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["format"] == SMALL
    _, tensors = read_model(path, SMALL)
    of_matrices = {name: t.dtype for name, t in tensors.items() if name.endswith("weight") and t.ndim > 1}
    assert len(of_matrices) > 80 and set(of_matrices.values()) == {torch.int8}
    assert not any(t.is_floating_point() for name, t in tensors.items() if name.startswith(("exact.c", "exact.h")))
    kinds = Counter(t.dtype for t in tensors.values())
    assert kinds[torch.float16] and kinds[torch.float32]  # biases and steps, prior and gains
    save_model(tmp_path / "half.safetensors", tiny_network())
    with pytest.raises(ModelError, match=HALF):
        read_model(tmp_path / "half.safetensors", SMALL)


def test_every_layer_runs_in_float32(codec: MLICv2Codec) -> None:
    exact = codec.frozen.exact
    assert exact.path == torch.float32
    found = [layer for layer in exact.modules() if isinstance(layer, ExactLayer)]
    assert {layer.dtype for layer in found} == {torch.float32}
    state = exact.state(torch.tensor([77]))
    assert {value.dtype for value in vars(state).values()} == {torch.float32}
    double = FrozenImage.from_tensors(*_config_and(tiny_network()), "m").exact.state(torch.tensor([77]))
    for name, value in vars(state).items():  # float64 holds what lies between two nodes, and float32 still does
        assert torch.equal(value.double(), vars(double)[name]), name


def _config_and(network):  # type: ignore[no-untyped-def]
    from bitfloor.entropy_models.parts import to_json

    return to_json(network.config), model_tensors(network)


@pytest.mark.parametrize("quality", [1, 50, 100])
def test_files_decode_to_the_encoders_latents_in_every_setting(codec: MLICv2Codec, path: Path, quality: int) -> None:
    data = codec.encode(PICTURE, quality=quality)
    again = MLICv2Codec(FrozenImage.load(path))
    assert again.fingerprint == codec.fingerprint
    decoded = assert_same_in_every_setting(lambda: latents(again, data), modules=(again.frozen.exact,))
    assert torch.equal(decoded, latents(codec, data))
    assert codec.decode(data).size == (200, 130)


def test_a_backend_that_fails_the_self_test_writes_the_same_bytes(
    codec: MLICv2Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = codec.encode(PICTURE, quality=60)
    expected = latents(codec, data)
    used: Counter[torch.dtype] = Counter()
    plain = torch.addmm

    def spy(*arguments, **named):  # type: ignore[no-untyped-def]
        used[arguments[1].dtype] += 1
        return plain(*arguments, **named)

    monkeypatch.setattr(torch, "addmm", spy)
    for module in (layers, products):
        monkeypatch.setattr(module, "single_precision_is_exact", lambda device: False)
    assert codec.encode(PICTURE, quality=60) == data
    assert torch.equal(latents(codec, data), expected)
    assert set(used) == {torch.float64}


def test_the_exactness_matrix_of_an_8_bit_model(path: Path, tmp_path: Path) -> None:
    """Two settings that change how float32 is summed and rounded; all: python -m bitfloor.tools.exactness."""
    path.with_suffix(".json").write_text('{"codec": "mlicv2", "fingerprint": "00000000", "parameters": 1}')
    Image.fromarray(PICTURE).save(tmp_path / "p.png")
    chosen = [s for s in SETTINGS if s.name in ("aten default", "bf16 fpmath")]
    hashes = matrix([tmp_path / "p.png"], 50, chosen, tmp_path, str(path))
    assert [len(row) for row in hashes.values()] == [2, 2]
    assert disagreements(hashes) == []


def test_any_payload_gives_the_same_numbers_or_the_same_refusal(
    codec: MLICv2Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise takes the walk to numbers that no picture has: float32 and float64 arithmetic still agree."""
    good = unpack(codec.encode(PICTURE, quality=90))
    rng = np.random.default_rng(0)
    files = [pack(good.header, rng.bytes(len(good.payload) + 200), good.latents_check) for _ in range(12)]

    def outcome(data: bytes) -> torch.Tensor | str:
        try:
            return latents(codec, data)
        except CorruptStreamError as error:
            return str(error)

    first = [outcome(data) for data in files]
    for data in files:
        with pytest.raises(CorruptStreamError):
            codec.decode(data)
    for module in (layers, products):
        monkeypatch.setattr(module, "single_precision_is_exact", lambda device: False)
    seen = 0
    for before, data in zip(first, files, strict=True):
        after = outcome(data)
        seen += isinstance(before, torch.Tensor)
        assert torch.equal(before, after) if isinstance(before, torch.Tensor) else before == after
    assert seen


def test_the_fingerprint_covers_grids_and_format(tmp_path: Path) -> None:
    network = tiny_network()
    half = save_model(tmp_path / "half.safetensors", network).fingerprint
    small = eight_bits(network, [PICTURE])
    reference = save_model(tmp_path / "a.safetensors", network, small.weights).fingerprint
    assert reference != half
    network.synthesis.patch.bias.data += 1  # only how it looks
    assert save_model(tmp_path / "b.safetensors", network, small.weights).fingerprint == reference
    layer = network.hyper_synthesis.first
    grid = type(layer.activation)(layer.activation.bits - 1, layer.activation.reach)
    layer.set_grid(grid, layer.weight_bits)
    assert save_model(tmp_path / "c.safetensors", network, small.weights).fingerprint != reference


def test_eight_bits_cost_little(path: Path, tmp_path: Path) -> None:
    """Random weights lose more than trained ones: real files of both formats, a smooth picture."""
    rows = cost(tiny_codec(tmp_path), MLICv2Codec.from_path(path), [PICTURE])
    assert [row["quality"] for row in rows] == [10, 50, 90]
    for row in rows:
        assert abs(row["bytes_percent"]) < 2 and abs(row["psnr_change"]) < 0.1, row


def test_a_training_goes_on_from_an_8_bit_model_without_its_grids(path: Path) -> None:
    trained, network = load_network(path), tiny_network(1)
    assert str(start_from(trained, network)) == "every weight was taken over"
    x = torch.from_numpy(PICTURE[:128, :192].copy()).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        new, old = (n.eval()(x, torch.tensor([200])) for n in (network, tiny_network()))
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    assert (new["x_hat"] - old["x_hat"]).square().mean() < 0.01 * old["x_hat"].var()
    bits = [-sum(float(part.log2().sum()) for part in out["likelihoods"].values()) for out in (new, old)]
    assert abs(bits[0] / bits[1] - 1) < 0.02


def test_grids_that_were_trained_are_kept(tmp_path: Path) -> None:
    network = tiny_network(2)
    network.hyper_analysis.second.weight.data *= 30  # else all of z is zero, and h_s never sees a number
    for part in (network.hyper_synthesis, network.context):
        quantise(part)
    network.train()
    x = torch.from_numpy(PICTURE[:128, :192].copy()).permute(2, 0, 1)[None].float() / 255
    network(x, torch.tensor([200]))
    state = network.state_dict()
    loaded = tiny_network(3)
    takes_grids(loaded, state)
    loaded.load_state_dict(state)
    small = eight_bits(loaded, [PICTURE])
    assert small.double == 0
    found = [layer for layer in loaded.context.modules() if isinstance(layer, ExactLayer)]
    assert {layer.activation.bits + layer.activation.reach + 1 for layer in found} == {8}
    frozen = save_model(tmp_path / "m.safetensors", loaded, small.weights)
    assert {layer.dtype for layer in frozen.exact.modules() if isinstance(layer, ExactLayer)} == {torch.float32}


def test_rows_of_zeros_and_extremes_survive() -> None:
    weight = torch.tensor([[0.0, 0.0], [1.0, -127.0], [1e-30, 3e-31]])
    rows = nearest(weight)
    assert rows.units.dtype == torch.int8 and torch.isfinite(rows.weight()).all()
    assert torch.allclose(rows.weight(), weight, atol=1e-30, rtol=0.02)


@pytest.mark.parametrize("left_out", ["exact.context.", "exact.hyper_synthesis.", "network.analysis.", ".grid"])
def test_incomplete_models_are_clear_errors(path: Path, left_out: str) -> None:
    config, tensors = read_model(path, SMALL)
    victim = sorted(name for name in tensors if left_out in name)[-1]
    with pytest.raises(ModelError, match=r"^m is no picture model: .+$"):
        FrozenImage.from_tensors(config, {k: v for k, v in tensors.items() if k != victim}, "m")


def test_the_tiniest_model_is_found_by_its_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    import bitfloor

    small_model(tmp_path / "t.safetensors", TINIEST)
    tiny = MLICv2Codec.from_path(tmp_path / "t.safetensors")
    card = {"codec": "mlicv2", "fingerprint": tiny.fingerprint.hex(), "parameters": 1}
    (tmp_path / "t.json").write_text(json.dumps(card))
    monkeypatch.setenv(weights.FOLDERS_VARIABLE, str(tmp_path))
    assert bitfloor.decode(tiny.encode(PICTURE, quality=30)).size == (200, 130)
    assert CONFIG != TINIEST
