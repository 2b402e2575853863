"""The picture codec over a tiny random network: coding, tiles, headers. Trained weights have tests of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from tiny_model import CONFIG, S2LIC, TINIEST, smooth_picture, tiny_codec, tiny_network

from bitfloor.codecs.container import Header, pack, unpack
from bitfloor.codecs.image import codec as codec_module
from bitfloor.codecs.image import tiles
from bitfloor.codecs.image.codec import ImageCodec
from bitfloor.codecs.image.frozen import FrozenImage, load_network, model_tensors, save_model
from bitfloor.codecs.image.model import ImageNetwork
from bitfloor.codecs.image.presets.mlicv2 import MLICv2Codec
from bitfloor.codecs.model_file import content_fingerprint
from bitfloor.entropy_models.coding.range_coder import RangeEncoder
from bitfloor.entropy_models.exact.convolution import shuffle, unshuffle
from bitfloor.entropy_models.latent.contexts.hyper_global import HyperGlobal
from bitfloor.entropy_models.latent.contexts.inter_attention import InterAttention
from bitfloor.entropy_models.latent.gains import interpolate
from bitfloor.entropy_models.latent.q_index import Q_INDEX_MAX, q_index_of, quality_of
from bitfloor.entropy_models.latent.skip import Skip
from bitfloor.entropy_models.parts import to_json
from bitfloor.errors import CorruptStreamError, ModelError


@pytest.fixture(scope="module", params=[CONFIG, S2LIC], ids=["mlicv2", "s2lic"])
def codec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ImageCodec:
    return tiny_codec(tmp_path_factory.mktemp("model"), config=request.param)


class CountingEncoder(RangeEncoder):
    """Adds up the ideal code length of all that is coded."""

    bits = 0.0

    def encode(self, symbols, indexes, tables):  # type: ignore[no-untyped-def]
        CountingEncoder.bits += tables.ideal_bits(symbols, indexes)
        super().encode(symbols, indexes, tables)


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (65, 63), (100, 200)])
@pytest.mark.parametrize("quality", [1, 33.3, 100])
def test_a_file_gives_back_the_encoders_latents(
    codec: ImageCodec, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], quality: float
) -> None:
    seen: list[list[np.ndarray]] = []
    plain = codec_module.latents_check

    def spy(arrays):  # type: ignore[no-untyped-def]
        seen.append(list(arrays))
        return plain(arrays)

    monkeypatch.setattr(codec_module, "latents_check", spy)
    data = codec.encode(smooth_picture(*size), quality=quality)
    decoded = codec.decode_latents(data)
    assert len(decoded) == len(seen[0]) == 2 + 2 * len(CONFIG.slices.channels)
    assert all(np.array_equal(a, b) for a, b in zip(decoded, seen[0], strict=True))
    assert codec.decode(data).size == size[::-1]


def test_file_bytes_are_the_ideal_code_length(codec: ImageCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec_module, "RangeEncoder", CountingEncoder)
    for quality in (1, 50, 100):
        CountingEncoder.bits = 0.0
        data = codec.encode(smooth_picture(200, 300), quality=quality)
        assert CountingEncoder.bits / 8 - 1 <= len(data) <= 1.005 * CountingEncoder.bits / 8 + 24


def test_tiles_with_their_margin_give_the_whole_transform(codec: ImageCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = smooth_picture(64 * 5, 64 * 6)
    position = torch.tensor([100])
    samples = codec_module.Picture(picture)
    with torch.inference_mode():
        whole = codec._analyse(samples, position)
        monkeypatch.setattr(tiles, "TILE", 8)
        assert len(list(tiles.tiles(20, 24))) == 9
        assert torch.allclose(codec._analyse(samples, position), whole, atol=1e-4)
        y_hat = torch.randn(1, 20, 24, CONFIG.slices.latent)
        parts = codec._synthesise(y_hat, position)
        monkeypatch.setattr(tiles, "TILE", 128)
        assert np.allclose(parts, codec._synthesise(y_hat, position), atol=1e-4)


def test_a_picture_of_many_tiles_decodes(codec: ImageCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "TILE", 8)
    data = codec.encode(smooth_picture(300, 200), quality=30)
    assert len(codec.decode_latents(data)) == 6 * (2 + 2 * len(CONFIG.slices.channels))
    assert codec.decode(data).size == (200, 300)


def test_quality_runs_over_all_positions_and_back() -> None:
    assert (q_index_of(1), q_index_of(100)) == (0, Q_INDEX_MAX)
    assert [q_index_of(quality_of(p)) for p in range(Q_INDEX_MAX + 1)] == list(range(Q_INDEX_MAX + 1))


def test_interpolated_vectors_are_exact() -> None:
    """Between nodes on the grid: against rational arithmetic in integers."""
    nodes = torch.randint(-5000, 5000, (8, 3)).double() / 2**10
    for position in (0, 1, 63, 64, 200, 447, 448):
        low, weight = min(position // 64, 6), position - 64 * min(position // 64, 6)
        units = (nodes * 2**10).long()
        expected = (units[low] * (64 - weight) + units[low + 1] * weight).double() / 2**16
        assert torch.equal(interpolate(nodes, torch.tensor([position]))[0], expected)


def test_shuffle_inverts_unshuffle_and_matches_torch() -> None:
    x = torch.randn(2, 8, 12, 5)
    assert torch.equal(shuffle(unshuffle(x, 4), 4), x)
    theirs = torch.nn.functional.pixel_unshuffle(x.permute(0, 3, 1, 2), 4)
    ours = unshuffle(x, 4).unflatten(-1, (4, 4, 5)).permute(0, 5, 3, 4, 1, 2).flatten(1, 3)
    assert torch.equal(ours, theirs)


def test_freezing_the_tiny_network_costs_little(codec: ImageCodec) -> None:
    """Exact means against the float network's, on the same symbols of z."""
    network = tiny_network(config=codec.frozen.network.config).half().float().eval()
    position = torch.tensor([224])
    z_hat = np.random.default_rng(0).integers(-3, 4, (1, 2, 2, CONFIG.hyper.channels)).astype(np.int32)
    state, exact = network.gains.state(position), codec.frozen.exact.state(position)
    with torch.no_grad():
        plain = network.hyper_synthesis(torch.from_numpy(z_hat).float(), state.embedding[:, 0])
        frozen = codec.frozen.exact.hyper_synthesis(torch.from_numpy(z_hat).double(), exact.embedding[:, 0])
    assert (plain - frozen).abs().max() < 0.02
    assert frozen.dtype == torch.float64


def test_another_model_is_a_clear_error(codec: ImageCodec, tmp_path: Path) -> None:
    other = tiny_codec(tmp_path, 1, codec.frozen.network.config)
    assert other.frozen.fingerprint != codec.frozen.fingerprint
    with pytest.raises(ModelError, match="needs model"):
        other.decode(codec.encode(smooth_picture(64, 64), quality=20))


@pytest.mark.parametrize(
    "fields",
    [(2**31, 1, 5), (2**16, 2**16, 5), (0, 5, 5), (64, 64, Q_INDEX_MAX + 1), (64, 64), (4096, 4096, 3)],
)
def test_headers_that_cannot_be_are_refused_before_anything_is_allocated(
    codec: ImageCodec, fields: tuple[int, ...]
) -> None:
    data = pack(Header(codec._codec_id, codec.frozen.fingerprint, fields), b"\x55" * 9, b"abc")
    with pytest.raises(CorruptStreamError, match="header"):
        codec.decode(data)


def test_overhead_is_at_most_24_bytes(codec: ImageCodec) -> None:
    for size in ((1, 1), (200, 300)):
        container = unpack(codec.encode(smooth_picture(*size), quality=100))
        assert container.overhead <= 24


def test_the_fingerprint_covers_the_entropy_path_and_only_that(tmp_path: Path) -> None:
    network = tiny_network()
    reference = save_model(tmp_path / "a.safetensors", network).fingerprint
    network.synthesis.patch.weight.data += 0.1
    network.prior.biases[0].data += 1e-9  # too little for any table
    assert save_model(tmp_path / "b.safetensors", network).fingerprint == reference
    network.context.slices[1].contexts.channel.first.weight.data[0, 0] += 0.1
    assert save_model(tmp_path / "c.safetensors", network).fingerprint != reference


def test_names_do_not_enter_the_fingerprint_but_places_do() -> None:
    arrays = [np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2), np.arange(4, dtype=np.int32)]
    reference = content_fingerprint("words", arrays)
    assert len(reference) == 4
    assert content_fingerprint("words", [a.copy(order="F") for a in arrays]) == reference
    for other in ([arrays[1], arrays[0], arrays[2]], arrays[:2], [*arrays[:2], arrays[2].astype(np.int64)]):
        assert content_fingerprint("words", other) != reference
    assert content_fingerprint("other words", arrays) != reference


def test_one_model_file_serves_coding_and_training(tmp_path: Path) -> None:
    """Weights come back in half precision, prior and gains as they were, and the same file can be made of them."""
    network = tiny_network()
    frozen = save_model(tmp_path / "a.safetensors", network)
    again = load_network(tmp_path / "a.safetensors")
    for name, value in network.state_dict().items():
        exact = name.startswith(("prior.", "gains."))
        assert torch.equal(again.state_dict()[name], value if exact else value.half().float()), name
    assert all(parameter.requires_grad for parameter in again.parameters())
    assert save_model(tmp_path / "b.safetensors", again).fingerprint == frozen.fingerprint


def test_tables_made_at_export_stand_in_the_file_and_are_made_anew_after_more_training(tmp_path: Path) -> None:
    config = replace(
        TINIEST,
        slices=replace(
            TINIEST.slices, contexts=(HyperGlobal(), InterAttention(rope=True, reweight=True, width=4, head=4, mixer=4))
        ),
    )
    torch.manual_seed(0)
    network = ImageNetwork(config)
    frozen = save_model(tmp_path / "a.safetensors", network)
    rotary = frozen.exact.context.slices[1].contexts.inter_attention.attention.rotary
    assert rotary.row_table is not None and rotary.row_table.dtype == torch.int16
    again = load_network(tmp_path / "a.safetensors")
    rotary = again.context.slices[1].contexts.inter_attention.attention.rotary
    assert rotary.row_table is None
    assert save_model(tmp_path / "b.safetensors", again).fingerprint == frozen.fingerprint
    rotary.log_bases.data -= 1
    assert save_model(tmp_path / "c.safetensors", again).fingerprint != frozen.fingerprint
    codec = MLICv2Codec.from_path(tmp_path / "c.safetensors")
    data = codec.encode(smooth_picture(100, 130), quality=70)
    assert codec.decode(data).size == (130, 100)


@pytest.mark.parametrize("width", [0, 6])
def test_skipped_symbols_are_not_in_the_file(width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A threshold above most scales: fewer symbols are coded, the others are 0, and the decoder knows which."""
    torch.manual_seed(0)
    whole = tiny_network(3, TINIEST)
    with_rule = replace(TINIEST, slices=replace(TINIEST.slices, skip=Skip(log_threshold=700, width=width)))
    network = ImageNetwork(with_rule)
    network.load_state_dict(whole.state_dict(), strict=False)
    for name, parameter in network.named_parameters():
        if "skip.third" in name:
            torch.nn.init.normal_(parameter, std=2.0)
    coded = []
    plain = RangeEncoder.encode

    def counting(self, symbols, indexes, tables):  # type: ignore[no-untyped-def]
        coded.append(np.size(symbols))
        plain(self, symbols, indexes, tables)

    monkeypatch.setattr(RangeEncoder, "encode", counting)
    sums = []
    for number, model in enumerate((whole, network)):
        coded.clear()
        save_model(tmp_path / f"{number}.safetensors", model)
        codec = MLICv2Codec.from_path(tmp_path / f"{number}.safetensors")
        data = codec.encode(smooth_picture(200, 130), quality=60)
        z, *symbols, _ = codec.decode_latents(data)
        assert codec.decode(data).size == (130, 200)
        sums.append(sum(coded) - z.size)
        assert sum(np.count_nonzero(s) for s in symbols) <= sums[-1] <= sum(s.size for s in symbols)
    assert 0 < sums[1] < sums[0]


def test_a_network_outside_its_bound_refuses_to_freeze(tmp_path: Path) -> None:
    network = tiny_network()
    network.hyper_synthesis.enter.weight.data.fill_(torch.inf)
    with pytest.raises(ModelError, match="finite"):
        save_model(tmp_path / "bad.safetensors", network)
    assert not (tmp_path / "bad.safetensors").exists()


def test_broken_model_files_are_clear_errors(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(ModelError, match="cannot read"):
        FrozenImage.load(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="cannot read"):
        FrozenImage.load(path)
    tensors = model_tensors(tiny_network())
    with pytest.raises(ModelError, match=r"^m is no picture model.*$"):  # another configuration
        FrozenImage.from_tensors("{}", tensors, "m")
    del tensors["exact.tables.y.lengths"]
    with pytest.raises(ModelError, match="lacks"):
        FrozenImage.from_tensors(to_json(CONFIG), tensors, "m")
