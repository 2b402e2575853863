"""A small honest picture codec without torch, so that the command line is tested quickly and by itself.

Run as a script it is the command `bitfloor` with this codec in place of the others.
"""

import os
import signal
import sys
import time
import zlib

import numpy as np

from bitfloor.codecs import registry
from bitfloor.codecs.base import PictureCodec
from bitfloor.codecs.container import Header, latents_check, pack, unpack, verify_latents
from bitfloor.codecs.media.pictures.picture import MAX_PIXELS, Picture, check_pixels
from bitfloor.errors import CorruptStreamError

FINGERPRINT = b"fake"


class FakeCodec(PictureCodec):
    """Samples divided by a step that falls with quality, then deflated."""

    name = "fake"

    def encode_picture(self, picture, quality, effort=0):
        if "FAKE_SECONDS" in os.environ:
            print("encoding", file=sys.stderr, flush=True)
            time.sleep(float(os.environ["FAKE_SECONDS"]))
        level = round((quality - 1) * 100)
        symbols = np.rint(picture.rgb / _step(level, picture.peak)).astype(np.int32)
        header = Header(200, FINGERPRINT, (picture.width, picture.height, level), picture.to_sections())
        return pack(header, zlib.compress(symbols.tobytes(), 1), latents_check([symbols]))

    def decode_picture(self, data, *, max_pixels=MAX_PIXELS):
        container = unpack(data)
        width, height, level = container.header.fields
        check_pixels(width, height, max_pixels, CorruptStreamError)
        raw = zlib.decompress(container.payload)
        if len(raw) != width * height * 12:
            raise CorruptStreamError("the payload has another size than the header")
        symbols = np.frombuffer(raw, np.int32).reshape(height, width, 3)
        verify_latents(container.latents_check, [symbols])
        return Picture.from_sections(symbols * _step(level, 1), container.header.sections)


def _step(level, peak):
    return peak / 255 * 2 ** (6 - level / 1700)


ENTRY = registry.CodecEntry("fake", 200, "picture", "fake_codec:FakeCodec", ("width", "height", "quality"), 9900)

if __name__ == "__main__":
    from bitfloor.tools.cli import main

    registry.CODECS = (ENTRY,)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts with it ignored
    sys.exit(main())
