"""The container: layout against hand-assembled bytes, and a clear refusal of everything else."""

import hashlib
import random
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitfloor.codecs import registry
from bitfloor.codecs.container import (
    MAX_INTEGER,
    Header,
    Section,
    latents_check,
    pack,
    unpack,
    verify_latents,
)
from bitfloor.errors import CorruptStreamError, UsageError

LATENTS = [np.array([[3, -1], [0, 7]], dtype=np.int64), np.array([-(2**31), 2**31 - 1], dtype=np.int32)]
SECTIONS = {Section.ICC: b"profile", Section.ALPHA: b"\x00\x01"}
HEADER = Header(1, b"\xde\xad\xbe\xef", (768, 512, 101), SECTIONS)
PAYLOAD = bytes(range(40))

# Version 2 for ever: this file must stay readable, and be what `pack` makes of its parts.
GOLDEN = bytes.fromhex(
    "8a42464c" "02" "01" "deadbeef" "32"
    "8006" "8004" "65"
    "01" "02" "0001"
    "02" "07" "70726f66696c65"
    "e4a1d6"
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627"
    "9b0587b4"
)  # fmt: skip


def with_crc(body: bytes) -> bytes:
    return body + struct.pack("<I", zlib.crc32(body))


def crafted(tail: bytes, counts: int, version: int = 2, codec_id: int = 1) -> bytes:
    """A file whose CRC holds, with anything after the counts."""
    return with_crc(b"\x8aBFL" + bytes((version, codec_id)) + b"abcd" + bytes((counts,)) + tail)


def test_golden_file_is_read_and_written_bit_for_bit():
    assert pack(HEADER, PAYLOAD, latents_check(LATENTS)) == GOLDEN
    container = unpack(GOLDEN)
    assert container.header.codec_id == 1
    assert container.header.fingerprint == b"\xde\xad\xbe\xef"
    assert container.header.fields == (768, 512, 101)
    assert dict(container.header.sections) == {1: b"\x00\x01", 2: b"profile"}
    assert container.payload == PAYLOAD
    verify_latents(container.latents_check, LATENTS)


def test_latents_check_is_what_the_format_says():
    told = struct.pack("<Qiiii", 4, 3, -1, 0, 7) + struct.pack("<Qii", 2, -(2**31), 2**31 - 1)
    assert latents_check(LATENTS) == hashlib.sha256(told).digest()[:3]


def test_latents_check_depends_on_values_alone():
    values = np.arange(-6, 6).reshape(3, 4)
    expected = latents_check([values])
    assert latents_check([values.astype(">i2")]) == expected
    assert latents_check([np.asfortranarray(values.astype(np.int8))]) == expected
    assert latents_check([values.ravel()[:5], values.ravel()[5:]]) != expected
    changed = values.copy()
    changed[2, 3] += 1
    with pytest.raises(CorruptStreamError, match="not those that were encoded"):
        verify_latents(expected, [changed])


@pytest.mark.parametrize("bad", [[2**31], [-(2**31) - 1], np.array([2**63], np.uint64), [0.5]])
def test_latents_check_refuses_what_is_no_int32(bad):
    with pytest.raises(ValueError, match="latents"):
        latents_check([bad])


@pytest.mark.parametrize(("size", "quality", "overhead"), [(1, 1, 21), (16383, 127, 23), (16383, 16383, 24)])
def test_overhead_of_a_picture(size, quality, overhead):
    data = pack(Header(1, bytes(4), (size, size, quality)), PAYLOAD, bytes(3))
    assert len(data) - len(PAYLOAD) == unpack(data).overhead == overhead


def test_sizes_sum_to_the_file():
    container = unpack(GOLDEN)
    assert dict(container.sizes) == {
        "fixed header": 11, "fields": 5, "section ALPHA": 4, "section ICC": 9,
        "latents check": 3, "payload": 40, "CRC-32": 4,
    }  # fmt: skip
    assert sum(container.sizes.values()) == len(GOLDEN)
    assert container.overhead == len(GOLDEN) - 40 - 4 - 9


@given(
    codec_id=st.integers(1, 255),
    fingerprint=st.binary(min_size=4, max_size=4),
    fields=st.lists(st.integers(0, MAX_INTEGER) | st.sampled_from([0, 127, 128, MAX_INTEGER]), max_size=15),
    sections=st.dictionaries(st.integers(1, 255), st.binary(max_size=300), max_size=15),
    payload=st.binary(max_size=100),
    check=st.binary(min_size=3, max_size=3),
)
def test_what_is_packed_is_unpacked(codec_id, fingerprint, fields, sections, payload, check):
    header = Header(codec_id, fingerprint, tuple(fields), sections)
    container = unpack(pack(header, payload, check))
    assert container.header == header
    assert (container.payload, container.latents_check) == (payload, check)


@pytest.mark.parametrize(
    "arguments",
    [
        (0, b"abcd", ()),
        (256, b"abcd", ()),
        (1, b"abc", ()),
        (1, b"abcd", (-1,)),
        (1, b"abcd", (MAX_INTEGER + 1,)),
        (1, b"abcd", (0,) * 16),
        (1, b"abcd", (), {0: b""}),
        (1, b"abcd", (), dict.fromkeys(range(1, 17), b"")),
    ],
)
def test_a_header_that_cannot_be_written_is_refused(arguments):
    with pytest.raises(ValueError, match=r"codec id|fingerprint|field|section"):
        Header(*arguments)


def refused(data: bytes, match: str | None = None) -> None:
    with pytest.raises(CorruptStreamError, match=match) as caught:
        unpack(data)
    assert str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_truncation_is_refused():
    for length in range(len(GOLDEN)):
        refused(GOLDEN[:length], "empty|cut")


def test_every_single_bit_flip_is_refused():
    for bit in range(8 * len(GOLDEN)):
        damaged = bytearray(GOLDEN)
        damaged[bit // 8] ^= 1 << bit % 8
        refused(bytes(damaged), "damaged|not a bitfloor file")


def test_random_damage_is_refused():
    rng = random.Random(1)
    for _ in range(2000):
        damaged = bytearray(GOLDEN)
        for bit in rng.sample(range(8 * len(GOLDEN)), rng.randint(1, 12)):
            damaged[bit // 8] ^= 1 << bit % 8
        refused(bytes(damaged))


def test_random_files_are_refused():
    rng = random.Random(2)
    for number in range(500):
        start = b"\x8aBFL\x02\x01" if number % 2 else b""
        refused(start + rng.randbytes(rng.randint(0, 400)))


def test_random_headers_behind_a_good_crc_raise_only_our_error():
    rng = random.Random(3)
    outcomes = set()
    for _ in range(3000):
        data = crafted(rng.randbytes(rng.randint(3, 60)), rng.randrange(256), codec_id=rng.randrange(256))
        try:
            container = unpack(data)
        except CorruptStreamError:
            outcomes.add("refused")
        else:
            outcomes.add("read")
            assert sum(container.sizes.values()) == len(data)
            # Only one file stands for a content: what was read is written as the same bytes.
            assert pack(container.header, container.payload, container.latents_check) == data
    assert outcomes == {"refused", "read"}


@pytest.mark.parametrize("extra", [b"\x00", GOLDEN, b"trailing"])
def test_trailing_bytes_are_refused(extra):
    refused(GOLDEN + extra, "followed by other data")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "not a bitfloor file"),
        (crafted(bytes(3), 0x00, version=3), "version 3.*upgrade"),
        (crafted(bytes(3), 0x00, version=1), "version 1, which .*again"),
        (crafted(bytes(3), 0x00, codec_id=0), "codec 0"),
        (crafted(b"\x01\xff\xff\xff\xff\x0f" + bytes(9), 0x01), "4294967295 bytes"),
        (crafted(b"\x01\x04" + bytes(6), 0x01), "4 bytes"),
        (crafted(b"\xff\xff\xff\xff\x1f" + bytes(9), 0x10), "no allowed form"),
        (crafted(b"\x80" * 12, 0x10), "no allowed form"),
        (crafted(b"\x85\x00" + bytes(9), 0x10), "no allowed form"),
        (crafted(b"\x85" * 3, 0x10), "1 bytes"),
        (crafted(b"\x01\x02" + bytes(3), 0x30), "1 bytes"),
        (crafted(b"\x02\x00\x01\x00" + bytes(9), 0x02), "out of order"),
        (crafted(b"\x02\x00\x02\x00" + bytes(9), 0x02), "out of order"),
        (crafted(b"\x00\x00" + bytes(9), 0x01), "out of order"),
    ],
)
def test_hostile_headers(data, match):
    refused(data, match)


@settings(max_examples=200)
@given(st.binary(max_size=80), st.integers(0, 255))
def test_any_body_behind_a_good_crc(tail, counts):
    try:
        unpack(crafted(tail, counts))
    except CorruptStreamError as error:
        assert "\n" not in str(error)


def test_registry():
    names = [entry.name for entry in registry.CODECS]
    assert len(set(names)) == len({entry.codec_id for entry in registry.CODECS}) == len(names)
    for entry in registry.CODECS:
        assert registry.by_name(entry.name) is registry.by_id(entry.codec_id) is entry
    assert registry.by_name("mlicv2").codec_id == 1
    assert registry.by_name("mecb").codec_id == 4
    with pytest.raises(UsageError, match="mlicv2"):
        registry.by_name("jpeg")
    with pytest.raises(CorruptStreamError, match=r"codec 77.*upgrade"):
        registry.by_id(77)


def test_neither_container_nor_registry_imports_torch_or_constriction():
    code = (
        "import sys, bitfloor.codecs.container, bitfloor.codecs.registry;"
        "sys.exit(bool({'torch', 'constriction'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
