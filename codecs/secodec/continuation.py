"""Speech that goes on where a sound ends, drawn from the token model."""

from __future__ import annotations

import numpy as np
import torch

from ...entropy_models.exact.settings import own_settings
from ...entropy_models.tokens.token_coding import sample_tokens
from .codec import SECodecCodec
from .level import NOMINAL

_QUIET = 20.0  # dB below the speech: what a code that stands for a pause sounds like
_STEADY = 12  # frames of one code that show how loud it is


def go_on(codec: SECodecCodec, codes: np.ndarray, frames: int, *, temperature: float, seed: int) -> np.ndarray:
    """Codes (frames, L) that begin with `codes` (F, L); pauses do not grow much longer than speakers make them.

    Raises:
        UsageError: for a temperature that is not positive.
    """
    model, quiet = codec.frozen.tokens, quiet_codes(codec)
    return sample_tokens(model, codes, frames, temperature=temperature, seed=seed, quiet=quiet)


@own_settings()
def quiet_codes(codec: SECodecCodec) -> np.ndarray:
    """Which codes of the first layer (K,) sound quiet, each decoded alone."""
    network = codec.network
    codes = torch.arange(network.quantiser.sizes[0])[:, None, None].expand(-1, _STEADY, 1)
    middle = slice(_STEADY // 2 * network.config.hop, (_STEADY // 2 + 1) * network.config.hop)
    powers = [network.decoder(network.quantiser.decode(part))[:, middle].square().mean(1) for part in codes.split(50)]
    quiet: np.ndarray = torch.cat(powers).numpy() < 10 ** ((NOMINAL - _QUIET) / 10)
    return quiet
