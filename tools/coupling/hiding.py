"""A message in a cover: encryption, framing, and the hidden frame's way through `Fimec`.

    nonce 8 | length 4 | tag 4        then        message | tag 8
            '-- encrypted --'                     '-- encrypted --'

The nonce is random; length, message and tags are XORed with SHAKE-256 of key and nonce, so that all blocks
are uniform to whoever lacks the key. The first tag authenticates the length before it is believed, the
second all of it (HMAC-SHA-256, cut): so the message knows its own end, and what
follows it does not matter. Keys come from a passphrase and the model by scrypt, so that another text is
another key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...entropy_models.coupling.fimec import CoverEndsError, Fimec, Revealed, Watch, information
from ...errors import CorruptStreamError, UsageError

NONCE, LENGTH, SHORT_TAG, TAG = 8, 4, 4, 8
HEAD = NONCE + LENGTH + SHORT_TAG
MAX_MESSAGE = 1 << 20
MAX_COVER = 1 << 23
"""Symbols of a cover at most: some ten minutes of work."""
TOO_PREDICTABLE = 1 / 400
"""Bits a symbol below which a source is refused."""
EFFICIENCY = 0.7
"""The share of the source's information that the couplings use at least: 0.76 to 0.81 were measured."""
_WRONG = (
    "no message of this key is in the cover: the key, the model's text or its order is another, "
    "or the cover was changed"
)
_FORMAT = b"bitfloor couple hide 2"


@dataclass(frozen=True)
class Hidden:
    """A cover, the number of its symbols that carry the message, and the receiver's probability of error."""

    symbols: list[int]
    carrying: int
    error_probability: float


@dataclass(frozen=True)
class Found:
    """A message read from a cover: where it began, the symbols that carry it, the probability of an error."""

    message: bytes
    start: int
    carrying: int
    error_probability: float


class Hider:
    """Hides and reveals messages with one key over one source (`coder.bits` must be 1, 2, 4, 8 or 16)."""

    def __init__(self, coder: Fimec, passphrase: bytes, model_digest: bytes) -> None:
        """`model_digest` stands for the source; sender and receiver must have the same one.

        Raises `UsageError` for an empty passphrase.
        """
        if not passphrase:
            raise UsageError("the key is empty")
        if 16 % coder.bits:
            raise ValueError(f"blocks of {coder.bits} bits do not fill bytes")
        self._coder = coder
        salt = _FORMAT + model_digest + bytes([coder.bits])
        key = hashlib.scrypt(passphrase, salt=salt, n=1 << 14, r=8, p=1, dklen=64)
        self._cipher_key, self._tag_key = key[:32], key[32:]

    @cached_property
    def information(self) -> float:
        """Bits that a symbol of the source carries on average."""
        return information(self._coder.source)

    @property
    def capacity(self) -> int:
        """Bytes of the longest message: what fits a cover, and 1 MiB at most.

        Raises `UsageError` where the source carries next to nothing.
        """
        if self.information < TOO_PREDICTABLE:
            raise UsageError(
                f"the source is too predictable to hide a message in ({self.information:.2g} bit a symbol): "
                "take a longer, richer text"
            )
        fits = int(EFFICIENCY * self.information * MAX_COVER / 8) - HEAD - TAG
        return max(0, min(fits, MAX_MESSAGE))

    def hide(
        self,
        message: bytes,
        draw: Callable[[int], int] = secrets.randbelow,
        attempts: int = 4,
        watch: Watch = lambda blocks: blocks,
    ) -> Hidden:
        """Return a cover that carries `message` (0 bytes to 1 MiB); `watch` wraps the run over its blocks.

        The sender knows what the receiver will read and draws another cover in the rare case that it is
        wrong. Raises `UsageError` for a message that is too long or a source that carries too little.
        """
        if len(message) > self.capacity:
            raise UsageError(
                f"the message has {len(message):,} bytes; at most {self.capacity:,} can be hidden "
                f"(the source carries {self.information:.2g} bit a symbol)"
            )
        for _ in range(attempts):
            head, body = self._frame(message, draw(1 << 8 * NONCE).to_bytes(NONCE, "big"))
            symbols: list[int] = []
            risks = [
                self._coder.hide(self._blocks(head), symbols, draw, MAX_COVER),
                self._coder.hide(self._blocks(body), symbols, draw, MAX_COVER, watch),
            ]
            if max(risks) < 1:
                return Hidden(symbols, len(symbols), _either(risks))
        raise UsageError("the source carries too little information for this message")

    def reveal(
        self,
        symbols: Sequence[int],
        starts: Iterable[int] = (0,),
        watch: Watch = lambda blocks: blocks,
    ) -> Found:
        """Return the message in a cover, which begins at one of `starts`; what follows it is not looked at.

        Raises `CorruptStreamError` where there is no message of this key or its cover was cut or changed.
        """
        ended: CoverEndsError | None = None
        for start in starts:
            try:
                cover = symbols[start:]  # the model knows nothing of what stands before
                head = self._coder.reveal(self._block_count(HEAD), cover)
                nonce, length = self._open_head(self._bytes(head.values))
            except CoverEndsError as error:
                ended = ended or (error if start == 0 else None)
                break  # later starts have less before them
            except CorruptStreamError:
                continue
            return self._reveal_body(cover, start, head, nonce, length, watch)
        raise ended or CorruptStreamError(_WRONG)

    def _open_head(self, head: bytes) -> tuple[bytes, int]:
        """The nonce and the length of the message; raises `CorruptStreamError` for a head of another key."""
        nonce, sealed = head[:NONCE], head[NONCE:]
        opened = self._xor(sealed, nonce, 0)
        length = int.from_bytes(opened[:LENGTH], "big")
        if length > MAX_MESSAGE or not hmac.compare_digest(opened[LENGTH:], self._short_tag(nonce, length)):
            raise CorruptStreamError(_WRONG)
        return nonce, length

    def _reveal_body(
        self, cover: Sequence[int], start: int, head: Revealed, nonce: bytes, length: int, watch: Watch
    ) -> Found:
        count = self._block_count(length + TAG + (length + TAG) % 2)
        changed = f"a message of {length:,} bytes begins in the cover, but the cover was changed after that"
        try:
            body = self._coder.reveal(count, cover, head.end, watch)
        except CoverEndsError:
            raise
        except CorruptStreamError:
            raise CorruptStreamError(changed) from None
        opened = self._xor(self._bytes(body.values), nonce, HEAD - NONCE)
        message, tag = opened[:length], opened[length : length + TAG]
        if not hmac.compare_digest(tag, self._tag(nonce, message)):
            raise CorruptStreamError(changed)
        risks = [head.error_probability, body.error_probability]
        return Found(message, start, body.end, _either(risks))

    def _frame(self, message: bytes, nonce: bytes) -> tuple[bytes, bytes]:
        head = len(message).to_bytes(LENGTH, "big") + self._short_tag(nonce, len(message))
        body = message + self._tag(nonce, message)
        body += bytes(len(body) % 2)  # so that blocks of 16 bits fit
        return nonce + self._xor(head, nonce, 0), self._xor(body, nonce, len(head))

    def _tag(self, nonce: bytes, message: bytes) -> bytes:
        return hmac.digest(self._tag_key, b"message" + nonce + message, "sha256")[:TAG]

    def _short_tag(self, nonce: bytes, length: int) -> bytes:
        return hmac.digest(self._tag_key, b"length" + nonce + length.to_bytes(4, "big"), "sha256")[:SHORT_TAG]

    def _xor(self, data: bytes, nonce: bytes, start: int) -> bytes:
        stream = hashlib.shake_256(self._cipher_key + nonce).digest(start + len(data))[start:]
        mixed = int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")
        return mixed.to_bytes(len(data), "big")

    def _block_count(self, size: int) -> int:
        return 8 * size // self._coder.bits

    def _blocks(self, data: bytes) -> list[int]:
        """The bytes as numbers of `bits` bits, the high ones first."""
        bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8)).reshape(-1, self._coder.bits)
        blocks: list[int] = (bits @ (1 << np.arange(self._coder.bits)[::-1])).tolist()
        return blocks

    def _bytes(self, values: Sequence[int]) -> bytes:
        bits = np.array(values, dtype=np.int64)[:, None] >> np.arange(self._coder.bits)[::-1] & 1
        return np.packbits(bits.astype(np.uint8)).tobytes()


def _either(risks: Sequence[float]) -> float:
    right = 1.0
    for risk in risks:
        right *= 1 - risk
    return 1 - right
