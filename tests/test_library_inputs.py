"""What the library's functions take as a picture, as a file, as a model: the clear cases; else one clear sentence."""

import io
import json
import mmap
import shutil
from array import array
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import bitfloor
from bitfloor import weights
from bitfloor.codecs.media.pictures.objects import as_picture
from bitfloor.errors import BitfloorError, ModelError, UsageError

RNG = np.random.default_rng(1)
RGB = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
RGBA = RNG.integers(0, 256, (5, 7, 4), dtype=np.uint8)
GREY = RGB[:, :, 0]
DEEP = RNG.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
FLAT = RNG.integers(0, 256, (3, 40, 3), dtype=np.uint8)  # three rows, or three channels


class Tagged(torch.Tensor):
    """As torchvision's tv_tensors are: a tensor by another name, whose operations keep the name."""


class Lent:
    """An array of a library that NumPy can ask for it."""

    def __array__(self, dtype=None, copy=None):
        return RGB


class Unwilling:
    def __array__(self, dtype=None, copy=None):
        raise TypeError("it is on a GPU")


def first(array):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 0)))


CLEAR = {
    "HxWx3": (RGB, RGB),
    "HxWx4": (RGBA, RGBA),
    "HxW": (GREY, GREY),
    "HxWx1": (GREY[:, :, None], GREY),
    "1xHxW": (GREY[None], GREY),
    "16 bits": (DEEP, DEEP),
    "16 bits in the other byte order": (DEEP.astype(DEEP.dtype.newbyteorder()), DEEP),
    "floats": (RGB / 255, RGB),
    "float32": ((RGB / 255).astype(np.float32), RGB),
    "float16": ((GREY > 99).astype(np.float16), (GREY > 99) * np.uint8(255)),
    "a little above 1": (np.where(RGB > 99, 1.0005, -0.0005), (RGB > 99) * np.uint8(255)),
    "booleans": (GREY > 99, (GREY > 99) * np.uint8(255)),
    "3xHxW array": (np.moveaxis(RGB, 2, 0), RGB),
    "reversed": (RGB[::-1, ::-1], RGB[::-1, ::-1]),
    "a batch of one": (RGB[None], RGB),
    "array of another library": (Lent(), RGB),
    "three rows": (FLAT, FLAT),
    "tensor of floats": (first(RGB).float() / 255, RGB),
    "tensor of float64": (first(RGB).double() / 255, RGB),
    "tensor of bfloat16": (first(RGB > 99).bfloat16(), (RGB > 99) * np.uint8(255)),
    "tensor of uint8": (first(RGB), RGB),
    "tensor of uint16": (first(DEEP), DEEP),
    "tensor with alpha": (first(RGBA), RGBA),
    "tensor HxW": (torch.from_numpy(GREY), GREY),
    "tensor 1xHxW": (torch.from_numpy(GREY)[None], GREY),
    "tensor HxWx3": (torch.from_numpy(RGB), RGB),
    "tensor three wide": (first(FLAT.transpose(1, 0, 2)), FLAT.transpose(1, 0, 2)),
    "tensor batch of one": (first(RGB)[None], RGB),
    "tensor that is trained": ((first(RGB).float() / 255).requires_grad_(), RGB),
    "subclass of a tensor": ((first(RGB).float() / 255).as_subclass(Tagged), RGB),
    "subclass of uint8": (first(RGB).as_subclass(Tagged), RGB),
    "parameter": (torch.nn.Parameter(first(RGB).float() / 255), RGB),
}
UNCLEAR = {
    "batch of two": (np.stack([RGB, RGB]), "batch of 2"),
    "floats of 0..255": (RGB.astype(np.float32), r"0\.\.1; this one goes from "),
    "NaN": (np.full((4, 4), np.nan), "nan"),
    "infinite": (torch.full((3, 4, 4), torch.inf), "inf"),
    "int64": (RGB.astype(np.int64), "int64 do not say what is white"),
    "tensor of int32": (first(RGB).int(), "int32"),
    "complex": (RGB * 1j, "complex128"),
    "objects": (np.array([[None]]), "object"),
    "five channels": (RNG.random((5, 9, 5)), r"\(5, 9, 5\) has no axis of 1, 3 or 4 channels"),
    "two channels": (RNG.random((5, 9, 2)), "no axis"),
    "channels first or last": (RNG.random((4, 9, 1)), "first or last"),
    "tensor, first or last": (torch.rand(4, 9, 3), "first or last"),
    "a number": (np.float32(0.5), "axes"),
    "five axes": (RNG.random((1, 1, 3, 4, 4)), "axes"),
    "empty": (np.zeros((0, 4, 3), np.uint8), "no pixels"),
    "masked": (np.ma.masked_equal(GREY, 7), "masked"),
    "sparse": (torch.eye(4).to_sparse(), "sparse"),
    "meta": (torch.empty(3, 4, 4, device="meta"), "meta"),
    "unwilling": (Unwilling(), "on a GPU"),
    "a name": ("photo.jpg", r"'photo.jpg' is the name of a file.*PIL.Image.open"),
    "a path": (Path("photo.jpg"), "PIL.Image.open"),
    "bytes": (b"photo", "bytes is no picture"),
    "nothing": (None, "NoneType is no picture"),
    "a list": ([[0, 1], [1, 0]], "list is no picture"),
}


@pytest.mark.parametrize("kind", CLEAR)
def test_arrays_and_tensors_whose_meaning_is_clear_are_pictures(kind):
    source, expected = CLEAR[kind]
    picture = as_picture(source)
    assert picture.rgb.dtype == expected.dtype and picture.grey == (expected.ndim == 2)
    colours = expected[:, :, None].repeat(3, axis=2) if expected.ndim == 2 else expected[:, :, :3]
    assert (picture.rgb == colours).all() and picture.rgb.flags.c_contiguous
    if expected.ndim == 3 and expected.shape[2] == 4:
        assert (picture.alpha == expected[:, :, 3]).all()
    else:
        assert picture.alpha is None


@pytest.mark.parametrize("kind", UNCLEAR)
def test_what_may_mean_something_else_is_refused_in_one_sentence(kind):
    source, words = UNCLEAR[kind]
    with pytest.raises(UsageError, match=words) as caught:
        as_picture(source)
    assert "\n" not in str(caught.value)


def test_a_picture_keeps_its_meaning_through_the_codec():
    photo = np.asarray(Image.open(weights.BOX / "demo.avif"))[200:264, 300:364]
    expected = bitfloor.encode(Image.fromarray(photo))
    as_tensor = torch.from_numpy(photo.copy()).permute(2, 0, 1)
    for source in (photo, photo / 255, as_tensor, as_tensor[None], (as_tensor / 255).as_subclass(Tagged)):
        assert bitfloor.encode(source) == expected


# --- compressed files as the library takes them ---

DATA = bitfloor.encode(b"some symbols", codec="mecb")


def test_bytes_in_any_wrapping_are_decoded(tmp_path):
    (tmp_path / "x.bf").write_bytes(DATA)
    with open(tmp_path / "x.bf", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        wrapped = (DATA, bytearray(DATA), memoryview(DATA), array("B", DATA), np.frombuffer(DATA, np.uint8), mapped)
        for data in wrapped:
            assert bitfloor.decode(data) == bitfloor.decode(DATA)
            assert bitfloor.info(data).codec == "mecb"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "name of a file is empty"),
        (io.BytesIO(DATA), r"open file.*file.read\(\)"),
        (5, "not int 5"),
        (None, "not None"),
        ([1, 2], "not list"),
        (np.zeros(9), "8 bytes"),
        (True, "not bool"),
    ],
)
def test_what_is_no_file_is_named_in_one_sentence(data, words):
    functions = (bitfloor.decode, bitfloor.info, bitfloor.load("mecb").decode, bitfloor.load("mlicv2").decode)
    for function in functions:
        with pytest.raises(UsageError, match=words):
            function(data)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: bitfloor.encode(RGB, quality="high"),
        lambda: bitfloor.encode(RGB, quality="50"),
        lambda: bitfloor.encode(RGB, quality=True),
        lambda: bitfloor.encode(RGB, quality=float("nan")),
        lambda: bitfloor.encode(RGB, quality=10**400),
        lambda: bitfloor.encode(RGB, quality=[50]),
        lambda: bitfloor.encode(RGB, codec="jpeg"),
        lambda: bitfloor.encode(RGB, codec=5),
        lambda: bitfloor.encode(RGB, size=0),
        lambda: bitfloor.encode(RGB, size=9000.5),
        lambda: bitfloor.encode(RGB, size="9k"),
        lambda: bitfloor.encode(RGB, bpp=float("nan")),
        lambda: bitfloor.encode(RGB, bpp=0),
        lambda: bitfloor.encode(RGB, psnr=float("inf")),
        lambda: bitfloor.encode(RGB, psnr=True),
        lambda: bitfloor.encode(RGB, quality=50, bpp=1),
        lambda: bitfloor.encode(RGB, size=1),
        lambda: bitfloor.encode(RGB, effort=-1),
        lambda: bitfloor.encode(RGB, effort="high"),
        lambda: bitfloor.encode(b"abc", codec="mecb", effort=1),
        lambda: bitfloor.encode(b"abc", codec="mecb", psnr=30),
        lambda: bitfloor.encode(b"abc", codec="mecb", rate=1, size=30),
        lambda: bitfloor.encode(RGB, codec="seslm"),
        lambda: bitfloor.encode(RGB, max_pixels="1k"),
        lambda: bitfloor.encode(RGB, max_pixels=float("nan")),
        lambda: bitfloor.encode(RGB, max_pixels=-1),
        lambda: bitfloor.encode("no such file.png"),
        lambda: bitfloor.encode(""),
        lambda: bitfloor.encode(Path(".")),
        lambda: bitfloor.load("secodec").encode(Path("no such file.wav")),
        lambda: bitfloor.decode("no such file.bf"),
        lambda: bitfloor.info(Path("no such\0file.bf")),
        lambda: bitfloor.load(5),
        lambda: bitfloor.load("mlicv2", 5),
        lambda: bitfloor.load("mlicv2", ""),
        lambda: bitfloor.load("mlicv2", "no such model"),
        lambda: bitfloor.load("mecb", "mlicv2-small"),
        lambda: bitfloor.decode(DATA, model="mlicv2-small"),
    ],
)
def test_wrong_arguments_are_one_clear_sentence(wrong):
    with pytest.raises(BitfloorError) as caught:
        wrong()
    assert "\n" not in str(caught.value) and len(str(caught.value)) > 20


# --- models by name, by path, by folder ---


def copy_of_the_shipped(folder, name, fingerprint=None):
    """The shipped picture model in another folder under another name; a card may claim another fingerprint."""
    folder.mkdir(exist_ok=True)
    shipped = weights.find("mlicv2")
    shutil.copy(shipped, folder / f"{name}.safetensors")
    card = json.loads(shipped.with_suffix(".json").read_text())
    card |= {"fingerprint": fingerprint or card["fingerprint"]}
    (folder / f"{name}.json").write_text(json.dumps(card))
    return folder / f"{name}.safetensors"


def test_a_name_that_two_models_have_chooses_neither(tmp_path, monkeypatch):
    shipped = weights.find("mlicv2")
    own = copy_of_the_shipped(tmp_path / "own", shipped.stem, "01020304")
    monkeypatch.setenv(weights.FOLDERS_VARIABLE, str(own.parent))
    with pytest.raises(ModelError, match="01020304") as caught:
        weights.find("mlicv2", shipped.stem)
    assert str(own) in str(caught.value) and str(shipped) in str(caught.value)
    assert weights.find("mlicv2", "01020304") == weights.find("mlicv2", own) == own
    assert weights.find("mlicv2") == shipped  # the default stays
    one, other = (entry for entry in weights.entries() if entry.codec == "mlicv2" and entry.tune == "psnr")
    assert weights.same_name(one, weights.entries()) == [other]
    monkeypatch.setenv(weights.FOLDERS_VARIABLE, f"{weights.BOX}:{own.parent}:{own.parent}")
    found = [entry.path for entry in weights.entries() if entry.codec == "mlicv2" and entry.tune == "psnr"]
    assert found == [shipped, own]  # none twice


def test_a_folder_with_one_model_is_a_model(tmp_path):
    own = copy_of_the_shipped(tmp_path / "run", "mine")
    assert weights.find("mlicv2", own.parent) == weights.find("mlicv2", str(own.parent)) == own
    with pytest.raises(ModelError, match="holds no secodec model"):
        weights.find("secodec", own.parent)
    copy_of_the_shipped(own.parent, "later")
    with pytest.raises(ModelError, match=r"later.safetensors.*mine.safetensors"):
        weights.find("mlicv2", own.parent)
    with pytest.raises(ModelError, match="no model file"):
        weights.find("mlicv2", tmp_path / "none.safetensors")


def test_a_folder_of_models_that_is_not_there_is_said(monkeypatch, tmp_path):
    said = []
    monkeypatch.setattr(weights._log, "warning", said.append)  # whatever the command line has done to the loggers
    monkeypatch.setenv(weights.FOLDERS_VARIABLE, str(tmp_path / "gone"))
    weights.entries()
    weights.entries()
    assert [words.count("gone") for words in said] == [1]
