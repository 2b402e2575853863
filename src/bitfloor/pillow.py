"""Pillow opens and saves .bf pictures after `import bitfloor.pillow`.

>>> import bitfloor.pillow
>>> from PIL import Image
>>> Image.open("photo.bf").resize((64, 48)).save("small.bf", quality=30)  # doctest: +SKIP

Opening reads the file and its header: size, mode, colour profile and the values in `info` are there before anything is
decoded, and neither torch nor a model is loaded. The picture is decoded when its pixels are first asked for.
"""

from __future__ import annotations

from typing import IO, Any

from PIL import Image, ImageFile

from .codecs.container import MAGIC, unpack
from .codecs.info import describe
from .codecs.media.pictures.objects import info_of
from .codecs.media.pictures.picture import Picture
from .errors import BitfloorError, CorruptStreamError

FORMAT, SUFFIX, MIME = "BITFLOOR", ".bf", "image/x-bitfloor"
# Of `save`, as `bitfloor.encode` takes them.
OPTIONS = ("codec", "model", "quality", "effort", "exact", "strip", "max_pixels", "fallback", "lossless")
TOLD = ("icc_profile", "exif", "xmp", "dpi")  # kept from `info`, unless `save` is given others or None


class BitfloorImageFile(ImageFile.ImageFile):
    """A .bf picture, decoded when its pixels are asked for."""

    format = FORMAT
    format_description = "bitfloor learned codec"

    def _open(self) -> None:
        """Read the header. Raises SyntaxError, as Pillow wants it, for what is no picture; OSError for damage."""
        assert self.fp is not None
        data = self.fp.read()
        try:
            about = describe(data)
            if about.kind != "picture" or "width" not in about.fields:
                raise SyntaxError(f"a bitfloor file of {about.kind or 'an unknown codec'} is no picture")
            layout = Picture.layout(unpack(data).header.sections)
        except CorruptStreamError as error:
            raise OSError(str(error)) from error
        self._size = (about.fields["width"], about.fields["height"])
        self._mode = layout.mode
        self.info |= {"codec": about.codec, "quality": about.quality, "model": about.model}
        if layout.icc:
            self.info["icc_profile"] = layout.icc
        self.info.update(info_of(layout.metadata))
        self._file: bytes | None = data
        self.tile = []

    def load(self) -> Any:
        """Decode, the first time. Raises OSError where the file is damaged or its model is not here."""
        if self._file is not None:
            from .codecs.api import decode

            try:
                decoded = decode(self._file)
            except BitfloorError as error:
                raise OSError(str(error)) from error
            self.im, self._mode, self._file = decoded.im, decoded.mode, None
            if self._exclusive_fp and self.fp is not None:
                self.fp.close()
            self.fp = None
        return Image.Image.load(self)


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    """Write `image`; keywords of `Image.save` that are taken are those of `OPTIONS` and `TOLD`."""
    from .codecs.api import encode

    given = getattr(image, "encoderinfo", {})
    options = {name: given[name] for name in OPTIONS if given.get(name) is not None}
    told = {name: given[name] for name in TOLD if name in given}
    if told:
        image = image.copy()
        if isinstance(told.get("exif"), Image.Exif):
            told["exif"] = told["exif"].tobytes()
        image.info.update(told)
    try:
        data = encode(image, **options)
    except BitfloorError as error:
        raise ValueError(str(error)) from error
    file.write(data)


Image.register_open(FORMAT, BitfloorImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, SUFFIX)
Image.register_mime(FORMAT, MIME)
