"""Minimum-entropy coupling with bottleneck: X -> T -> Y with H(T) <= R and both ends prescribed.

    maximise I(X;Y)   subject to   X - T - Y,  H(T) <= R,  P_X = p,  P_Y = q

Since I(X;Y) >= I(X;T) + I(T;Y) - R (Ebrahimi, Chen and Khisti, NeurIPS 2024, Lemma 1) the encoder and the
decoder are found one after the other:

    p ──EBIM──► p(t|x) ──► law of T ──coupling with q──► q(y|t)        p(x,y) = sum_t p(x,t) q(y|t)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from ...errors import UsageError
from .ebim import Encoder, greedy_ebim
from .ebim_exact import exact_ebim
from .greedy import DENSE_LIMIT, Coupling, greedy_coupling
from .laws import Floats, as_law, entropy, entropy_terms

EncoderMethod = Literal["greedy", "exact", "best"]
DecoderMethod = Literal["greedy", "posterior", "best"]


@dataclass(frozen=True)
class BottleneckCoupling:
    """A solution: `encoder` joins X and T, `decoder` joins T and Y. All entropies in bits."""

    encoder: Encoder
    decoder: Coupling

    @property
    def rate(self) -> float:
        """H(T), what the bottleneck carries."""
        return self.encoder.rate

    @cached_property
    def conditional_entropy(self) -> float:
        """H(Y|T), the randomness that the decoder adds."""
        return max(0.0, self.decoder.entropy - self.rate)

    @cached_property
    def information(self) -> float:
        """I(X;Y).

        Y depends on an unsplit symbol through its label alone, so H(Y|X) needs a mixture for split symbols
        only and the joint law is never formed; with a function as encoder I(X;Y) = I(T;Y).
        """
        labels = len(self.encoder.label_law)
        cells = self.decoder.index[:, 0]
        per_label = np.bincount(cells, weights=entropy_terms(self.decoder.mass), minlength=labels)
        law = np.maximum(self.encoder.label_law, 1e-320)
        given_label = per_label / law + np.log2(law)  # H(Y | T=t)
        given_x = float(np.dot(self.encoder.mass, given_label[self.encoder.t]))
        symbols, counts = np.unique(self.encoder.x, return_counts=True)
        for symbol in symbols[counts > 1]:
            own = self.encoder.x == symbol
            given_x -= float(np.dot(self.encoder.mass[own], given_label[self.encoder.t[own]]))
            weight = float(self.encoder.mass[own].sum())
            mixture = self._output_given(self.encoder.t[own], self.encoder.mass[own] / weight)
            given_x += weight * entropy(mixture)
        return max(0.0, entropy(self.decoder.marginal(1)) - given_x)

    def _output_given(self, labels: np.ndarray, weights: Floats) -> Floats:
        """The law of Y when T has the given labels with the given weights, shape (outputs,)."""
        output = np.zeros(self.decoder.shape[1])
        for label, weight in zip(labels, weights, strict=True):
            own = self.decoder.index[:, 0] == label
            share = self.decoder.mass[own] / self.decoder.mass[own].sum()
            np.add.at(output, self.decoder.index[own, 1], weight * share)
        return output

    def dense(self) -> Floats:
        """The joint law p(x,y), shape (inputs, outputs); raises `UsageError` above 2^26 entries."""
        shape = (self.encoder.size, self.decoder.shape[1])
        if shape[0] * shape[1] > DENSE_LIMIT:
            raise UsageError(f"a dense coupling of shape {shape} is too large")
        labels = len(self.encoder.label_law)
        given = np.zeros((labels, shape[1]))
        np.add.at(given, tuple(self.decoder.index.T), self.decoder.mass)
        given /= np.maximum(given.sum(axis=1, keepdims=True), 1e-320)
        joint = np.zeros(shape)
        np.add.at(joint, self.encoder.x, self.encoder.mass[:, None] * given[self.encoder.t])
        return joint


def posterior_decoder(encoder: Encoder) -> Coupling:
    """The decoder that draws Y from the law of X given T, for an output law equal to the source law.

    With a function as encoder T can be read off Y, so I(T;Y) = H(T): no decoder does better.
    """
    total = encoder.mass / encoder.mass.sum()
    return Coupling(np.stack([encoder.t, encoder.x], axis=1), total, (len(encoder.label_law), encoder.size))


def bottleneck_coupling(
    source: ArrayLike,
    output: ArrayLike,
    rate: float,
    encoder: EncoderMethod = "greedy",
    decoder: DecoderMethod = "greedy",
) -> BottleneckCoupling:
    """Couple two laws through a bottleneck of `rate` bits.

    `encoder`: "greedy" is Algorithm 1 (a function, H(T) a little under the rate), "exact" uses the whole
    rate, "best" takes the one with more information in the end.
    `decoder`: "greedy" is the paper's; "posterior" needs equal laws; "best" takes the better of the two where
    both apply. Raises `UsageError` for what is no law, a negative rate, or "posterior" with different laws.
    """
    source, output = as_law(source, "the source law"), as_law(output, "the output law")
    encoders = []
    if encoder != "greedy":
        encoders.append(exact_ebim(source, rate))
    if encoder != "exact":
        encoders.append(greedy_ebim(source, rate))
    same = len(source) == len(output) and bool(np.allclose(source, output, rtol=1e-12, atol=0))
    if decoder == "posterior" and not same:
        raise UsageError("the posterior decoder needs an output law equal to the source law")
    choices = []
    for found in encoders:
        if decoder != "posterior":
            label_law = found.label_law / found.label_law.sum()
            choices.append(BottleneckCoupling(found, greedy_coupling(label_law, output)))
        if decoder != "greedy" and same:
            choices.append(BottleneckCoupling(found, posterior_decoder(found)))
    return max(choices, key=lambda choice: choice.information)
