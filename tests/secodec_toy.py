"""A tiny untrained speech model that tests of files and commands share."""

import json

import torch

from bitfloor.codecs.secodec.frozen import new_token_model, save_frozen
from bitfloor.codecs.secodec.model import PRESETS, SECodecNetwork
from bitfloor.codecs.secodec.residual_vq import Extraction
from bitfloor.entropy_models.tokens.token_model import TokenModelConfig

CONFIG = PRESETS["tiny"]


def toy_networks(seed=0):
    """(network with codebooks, token model)."""
    torch.manual_seed(seed)
    network = SECodecNetwork(CONFIG).eval()
    with torch.no_grad():
        latents = network.encode(torch.randn(4, 50 * CONFIG.hop)).flatten(0, 1)
    network.quantiser.extract(latents, [Extraction(k=8), Extraction(codes=12), Extraction(codes=32)])
    tokens = new_token_model(network, TokenModelConfig(3, CONFIG.capacity, CONFIG.dim, 16, (1, 2)))
    for block in tokens.blocks:  # which begin as nothing
        torch.nn.init.normal_(block.out.weight, std=0.3)
    torch.nn.init.normal_(tokens.prior)
    return network, tokens


def write_toy(folder, name="toy", seed=0):
    """A model with its card, as in a folder of BITFLOOR_MODELS; returns the frozen model."""
    frozen = save_frozen(folder / f"{name}.safetensors", *toy_networks(seed))
    card = {"codec": "secodec", "fingerprint": frozen.fingerprint.hex(), "parameters": 1}
    (folder / f"{name}.json").write_text(json.dumps(card))
    return frozen
