"""The short-time Fourier transform with exactly one frame per hop, and its inverse by overlap-add."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FrameTransform(nn.Module):
    """Frame i covers `n_fft` samples around the middle of samples i * hop .. (i + 1) * hop - 1; outside is
    silence.

    F frames therefore belong to F * hop samples, no more and no fewer, and frames can be made and heard
    chunk by chunk. The inverse divides by the summed squared windows, so that it undoes the analysis
    exactly.
    """

    window: Tensor

    def __init__(self, n_fft: int = 1024, hop: int = 320) -> None:
        super().__init__()
        if (n_fft - hop) % 2 or n_fft < hop:
            raise ValueError("n_fft must exceed the hop by an even number of samples")
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft, dtype=torch.float32), persistent=False)

    @property
    def bins(self) -> int:
        """Frequencies of a frame."""
        return self.n_fft // 2 + 1

    @property
    def margin(self) -> int:
        """Samples that a frame reaches beyond its hop, on either side."""
        return (self.n_fft - self.hop) // 2

    def analyse(self, waveform: Tensor) -> Tensor:
        """(B, F * hop) -> complex (B, F, bins)."""
        padded = F.pad(waveform.float(), (self.margin, self.margin))
        return torch.fft.rfft(padded.unfold(1, self.n_fft, self.hop) * self.window)

    def synthesise(self, spectrum: Tensor, mask: Tensor | None = None) -> Tensor:
        """Complex (B, F, bins) -> (B, F * hop); of an item that has only the frames in `mask` (B, F), silence after."""
        frames = torch.fft.irfft(spectrum, self.n_fft) * self.window
        weight = self.window.square().expand(1, frames.shape[1], -1)
        if mask is None:
            return self._overlap_add(frames) / self._overlap_add(weight)
        there = mask[..., None].to(frames.dtype)
        made = self._overlap_add(frames * there) / self._overlap_add(weight * there).clamp(min=1e-8)
        return made * mask.repeat_interleave(self.hop, dim=1)

    def _overlap_add(self, frames: Tensor) -> Tensor:
        length = (frames.shape[1] - 1) * self.hop + self.n_fft
        summed = F.fold(frames.transpose(1, 2), (1, length), (1, self.n_fft), stride=(1, self.hop))
        return summed[:, 0, 0, self.margin : length - self.margin]


def pad_to_frames(waveform: Tensor, hop: int) -> Tensor:
    """(B, T) -> (B, F * hop) with trailing silence, F = ceil(T / hop), at least one frame."""
    frames = max(1, -(-waveform.shape[1] // hop))
    return F.pad(waveform, (0, frames * hop - waveform.shape[1]))
