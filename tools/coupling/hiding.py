"""A message in a cover: encryption, framing, and the hidden frame's way through `Fimec`.

    nonce 8 | length 4 | tag 4        then        message | tag 8
            '-- encrypted --'                     '-- encrypted --'

The nonce is random; length, message and tags are XORed with SHAKE-256 of key and nonce, so that all blocks
are uniform to whoever lacks the key. The first tag authenticates the length before it is believed, the
second all of it (HMAC-SHA-256, cut). Keys come from a passphrase and the model by scrypt, so that another
text is another key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...entropy_models.coupling.fimec import Fimec
from ...errors import CorruptStreamError, UsageError

NONCE, LENGTH, SHORT_TAG, TAG = 8, 4, 4, 8
HEAD = NONCE + LENGTH + SHORT_TAG
MAX_MESSAGE = 1 << 20
_WRONG = (
    "no message of this key is in the cover: the key, the model's text or its order is another, "
    "or the cover was changed"
)


@dataclass(frozen=True)
class Hidden:
    """A cover, the number of its symbols that carry the message, and the receiver's probability of error."""

    symbols: list[int]
    carrying: int
    error_probability: float


@dataclass(frozen=True)
class Found:
    """A message read from a cover, where it ended there, and the probability that it was read wrongly."""

    message: bytes
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
        salt = b"bitfloor couple hide 1" + model_digest + bytes([coder.bits])
        key = hashlib.scrypt(passphrase, salt=salt, n=1 << 14, r=8, p=1, dklen=64)
        self._cipher_key, self._tag_key = key[:32], key[32:]

    def hide(
        self, message: bytes, draw: Callable[[int], int] = secrets.randbelow, attempts: int = 4
    ) -> Hidden:
        """Return a cover that carries `message` (at most 1 MiB).

        The sender knows what the receiver will read and draws another cover in the rare case that it is
        wrong.
        """
        if len(message) > MAX_MESSAGE:
            raise UsageError(f"the message has {len(message):,} bytes; at most {MAX_MESSAGE:,} can be hidden")
        for _ in range(attempts):
            head, body = self._frame(message, draw(1 << 8 * NONCE).to_bytes(NONCE, "big"))
            symbols: list[int] = []
            risks = [self._coder.hide(self._blocks(part), symbols, draw) for part in (head, body)]
            if max(risks) < 1:
                return Hidden(symbols, len(symbols), _either(risks))
        raise UsageError("the source carries too little information for this message")

    def reveal(self, symbols: Sequence[int]) -> Found:
        """Return the message in a cover; raises `CorruptStreamError` where there is none of this key."""
        per_byte = 8 / self._coder.bits
        head = self._coder.reveal(int(HEAD * per_byte), symbols)
        nonce, sealed = self._bytes(head.values)[:NONCE], self._bytes(head.values)[NONCE:]
        opened = self._xor(sealed, nonce, 0)
        length = int.from_bytes(opened[:LENGTH], "big")
        if length > MAX_MESSAGE or not hmac.compare_digest(opened[LENGTH:], self._short_tag(nonce, length)):
            raise CorruptStreamError(_WRONG)
        body_size = length + TAG + (length + TAG) % 2
        body = self._coder.reveal(int(body_size * per_byte), symbols, head.end)
        opened = self._xor(self._bytes(body.values), nonce, len(sealed))
        message, tag = opened[:length], opened[length : length + TAG]
        if not hmac.compare_digest(tag, self._tag(nonce, message)):
            raise CorruptStreamError(_WRONG)
        return Found(message, body.end, _either([head.error_probability, body.error_probability]))

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
        return bytes(a ^ b for a, b in zip(data, stream, strict=True))

    def _blocks(self, data: bytes) -> list[int]:
        bits, number = self._coder.bits, int.from_bytes(data, "big")
        count = 8 * len(data) // bits
        return [number >> bits * (count - 1 - k) & ((1 << bits) - 1) for k in range(count)]

    def _bytes(self, values: Sequence[int]) -> bytes:
        number = 0
        for value in values:
            number = number << self._coder.bits | value
        return number.to_bytes(len(values) * self._coder.bits // 8, "big")


def _either(risks: Sequence[float]) -> float:
    right = 1.0
    for risk in risks:
        right *= 1 - risk
    return 1 - right
