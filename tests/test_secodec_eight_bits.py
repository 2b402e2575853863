"""A speech model in 8 bits: what is stored, that the token model stays exact, and that models in 16 bits still load."""

import math
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import load_file, save_file
from secodec_toy import toy_networks

from bitfloor.codecs.secodec.frozen import FORMAT, FrozenSECodec, save_frozen
from bitfloor.codecs.small_weights import STEPS
from bitfloor.entropy_models.exact.grid import ACTIVATION, WEIGHT_BITS
from bitfloor.entropy_models.parts import to_json


@pytest.fixture(scope="module")
def networks():
    return toy_networks()


@pytest.fixture(scope="module")
def model(networks, tmp_path_factory):
    path = tmp_path_factory.mktemp("eight") / "toy.safetensors"
    save_frozen(path, *networks)
    return path


def test_every_matrix_is_within_half_a_step(networks, model):
    tensors, found = load_file(model), FrozenSECodec.load(model)
    checked = 0
    for name, value in networks[0].named_parameters():
        if value.ndim > 1 and name.endswith(".weight"):
            steps = tensors[f"network.{name}{STEPS}"].double()
            assert tensors[f"network.{name}"].dtype == torch.int8
            error = (found.network.state_dict()[name].double() - value.double()).flatten(1).abs()
            assert (error <= 0.5001 * steps[:, None]).all()
            checked += 1
    assert checked > 5


def test_steps_of_the_token_model_are_powers_of_two_on_its_grid(model):
    tensors = load_file(model)
    names = [name for name in tensors if name.startswith("tokens.") and name.endswith(STEPS)]
    assert len(names) > 5
    for name in names:
        finest = ACTIVATION.bits if "embedding" in name else WEIGHT_BITS
        for step in tensors[name].tolist():
            mantissa, exponent = math.frexp(step)
            assert mantissa == 0.5 and exponent - 1 >= -finest


def test_freezing_changes_no_matrix_of_the_token_model(model):
    """The units of 8 bits are multiples of the grid's, so what runs is what is stored."""
    tensors, tokens = load_file(model), FrozenSECodec.load(model).tokens
    for name, value in tokens.named_parameters():
        if f"tokens.{name}{STEPS}" in tensors:
            steps = tensors[f"tokens.{name}{STEPS}"].double().view(-1, *[1] * (value.ndim - 1))
            assert torch.equal(value.double(), tensors[f"tokens.{name}"].double() * steps), name


def test_models_in_half_precision_still_load(networks, tmp_path):
    network, tokens = networks
    tensors = {}
    for prefix, module in (("network", network), ("tokens", tokens)):
        for name, value in module.state_dict().items():
            tensors[f"{prefix}.{name}"] = (value.half() if value.dtype == torch.float32 else value).contiguous()
    path = tmp_path / "half.safetensors"
    config = {"network": asdict(network.config), "tokens": asdict(tokens.config)}
    save_file(tensors, path, metadata={"format": FORMAT, "config": to_json(config)})
    found = FrozenSECodec.load(path).network
    for name, value in network.named_parameters():
        assert torch.equal(found.state_dict()[name], value.half().float()), name
