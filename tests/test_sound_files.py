"""Sound files as people have them: every format of libsndfile, cut ones, unfinished ones, several channels."""

import io
import logging

import numpy as np
import pytest
import soundfile

from bitfloor.codecs import sources
from bitfloor.codecs.media.sound import Sound, as_sound, is_sound, open_sound, read_sound, write_sound
from bitfloor.codecs.media.sound.formats import sound_suffixes
from bitfloor.errors import UnreadableInputError
from bitfloor.tools.suffixes import READABLE

RATE = 16_000
NOISE = (0.2 * np.random.default_rng(0).standard_normal(5 * RATE)).clip(-1, 1).astype(np.float32)


def file_bytes(samples=NOISE, rate=RATE, **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, **options)
    return bytearray(buffer.getvalue())


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


FORMATS = ["AIFF", "AU", "CAF", "FLAC", "NIST", "OGG", "RF64", "SVX", "VOC", "W64", "WAV", "MP3"]


@pytest.mark.parametrize("name", FORMATS)
def test_what_libsndfile_reads_is_a_sound_in_every_command(name, tmp_path):
    data = bytes(file_bytes(format=name))
    assert is_sound(data) and sources.codec_for(data, "in") == "secodec"
    (tmp_path / "in").write_bytes(data)
    assert sources.take(tmp_path / "in") == tmp_path / "in"
    sound = sources.read_source(tmp_path / "in", "secodec", "in")
    assert sound.rate == RATE and abs(sound.length - NOISE.size) < 3000
    alike = np.corrcoef(sound.load().samples[: NOISE.size], NOISE[: sound.length])[0, 1]
    assert alike > (0.1 if name == "MP3" else 0.9)  # which begins a little later


@pytest.mark.parametrize("suffix", [".sph", ".caf", ".w64", ".rf64", ".voc", ".aifc", ".snd", ".mp2", ".opus"])
def test_folders_take_their_suffixes(suffix):
    assert suffix in sound_suffixes() and suffix in READABLE


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(40), b"\xff\xd8\xff\xe0" + bytes(40), b"text " * 9])
def test_other_files_are_no_sounds(data):
    assert not is_sound(data) and sources.kind_of(data) == "picture"


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("WAV", None), ("WAVEX", None), ("AIFF", None), ("AU", None), ("CAF", None), ("W64", None), ("RF64", None),
     ("NIST", None), ("SVX", None), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("WAV", "IMA_ADPCM"),
     ("VOC", None), ("AVR", None), ("MPC2K", None)],
)  # fmt: skip
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_cut_file_gives_what_is_there_and_a_warning(name, subtype, share, caplog):
    whole = file_bytes(format=name, subtype=subtype)
    length = read_sound(bytes(whole), "in").length
    assert length >= NOISE.size and warnings(caplog) == []
    sound = read_sound(bytes(whole[: int(share * len(whole))]), "in")
    assert len(warnings(caplog)) == 1 and "in: it is cut" in warnings(caplog)[0]
    assert (share - 0.3) * length < sound.length <= length
    if name not in ("OGG",) and subtype is None:
        assert sound.length > (share - 0.06) * NOISE.size  # a FLAC frame has 4096 samples
        np.testing.assert_allclose(sound.samples, NOISE[: sound.length], atol=1e-4)


def test_a_file_cut_before_its_first_sample_is_said_to_be_cut():
    data = bytes(file_bytes(format="OGG", subtype="VORBIS"))
    second = data.index(b"OggS", 1)
    third = data.index(b"OggS", second + 1)
    with pytest.raises(UnreadableInputError, match=r"in: .*is cut"):
        read_sound(data[: third + 40], "in")


def patched(data, place, value):
    data[place : place + len(value)] = value
    return bytes(data)


@pytest.mark.parametrize("name", ["WAV", "AIFF", "AU", "RF64", "CAF"])
def test_a_header_without_a_length_gives_all_samples_and_a_warning(name, caplog):
    data = file_bytes(format=name)
    if name == "RF64":
        data = patched(data, data.index(b"ds64") + 8, bytes(24))
    elif name == "AU":
        data = patched(data, 8, bytes(4))
    else:
        chunk = data.index(b"SSND" if name == "AIFF" else b"data")
        data = patched(data, chunk + 4, bytes(8 if name == "CAF" else 4))
    sound = read_sound(data, "in")
    np.testing.assert_allclose(sound.samples[: NOISE.size], NOISE, atol=1e-4)
    assert sound.length - NOISE.size < 20
    assert warnings(caplog) == [m for m in warnings(caplog) if "gives no length" in m] and len(warnings(caplog)) == 1


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
def test_a_stream_that_did_not_know_its_length_is_whole(size, caplog):
    data = file_bytes(format="WAV")
    data = patched(data, data.index(b"data") + 4, size.to_bytes(4, "little"))
    assert read_sound(data, "in").length == NOISE.size and warnings(caplog) == []


def test_a_flac_stream_that_did_not_know_its_length_is_whole(caplog):
    data = file_bytes(format="FLAC")  # the number of samples is the low 36 bits of bytes 18 to 25
    data[21] &= 0xF0
    sound = read_sound(patched(data, 22, bytes(4)), "in")
    np.testing.assert_allclose(sound.samples, NOISE, atol=1e-4)
    assert sound.length == NOISE.size and warnings(caplog) == []


def test_a_cut_mp3_is_said_to_be_cut(caplog):
    tone = np.float32(0.2 * np.sin(np.arange(5 * 44_100) / 20))
    data = bytes(file_bytes(tone, 44_100, format="MP3"))
    assert read_sound(data, "in").length == tone.size and warnings(caplog) == []
    assert 0.3 * tone.size < read_sound(data[: len(data) // 2], "in").length < 0.6 * tone.size
    assert len(warnings(caplog)) == 1 and "in: it is cut" in warnings(caplog)[0]


def test_a_chunk_after_no_samples_is_no_sound():
    data = file_bytes(np.zeros(0), format="WAV") + b"LIST\x04\x00\x00\x00INFO"
    with pytest.raises(UnreadableInputError, match="empty"):
        read_sound(bytes(data), "in")


def channels(name, samples, **options):
    return read_sound(bytes(file_bytes(samples, format=name, subtype="FLOAT", **options)), "in")


def test_channels_that_cancel_are_warned_of(caplog):
    mixed = channels("WAV", np.stack([NOISE, -NOISE], axis=1))
    assert not mixed.samples.any() and "cancel" in warnings(caplog)[0] and "in:" in warnings(caplog)[0]
    caplog.clear()
    low = np.zeros((NOISE.size, 6), np.float32)
    low[:, 3] = NOISE
    channels("WAV", low)
    assert "cancel" in warnings(caplog)[0]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 16])
def test_channels_alike_or_unrelated_keep_their_level_without_a_word(count, caplog):
    alike = channels("WAV", np.repeat(0.3 * NOISE[:4000, None], count, axis=1))
    assert 0.29 < np.std(alike.samples) / np.std(NOISE[:4000]) < 0.73
    unrelated = 0.1 * np.random.default_rng(1).standard_normal((4000, count))
    channels("WAV", unrelated)
    assert warnings(caplog) == []


def test_channels_that_add_up_beyond_full_scale_are_not_clipped(caplog):
    loud = np.repeat(NOISE[:4000, None], 6, axis=1)
    for mixed in (channels("WAV", loud), as_sound((loud, RATE))):
        assert np.abs(mixed.samples).max() == pytest.approx(1)
        np.testing.assert_allclose(mixed.samples / NOISE[:4000], mixed.samples[0] / NOISE[0], rtol=1e-3)
    assert [("quieter" in words) for words in warnings(caplog)] == [True, True]


def test_surround_sound_keeps_the_centre_at_its_usual_weight():
    surround = np.zeros((4000, 6), np.float32)
    for place, weight in ((0, 0.5), (1, 0.5), (2, 0.5**0.5), (3, 0), (4, 0.5**0.5 / 2), (5, 0.5**0.5 / 2)):
        surround[:] = 0
        surround[:, place] = NOISE[:4000]
        np.testing.assert_allclose(channels("WAV", surround).samples, weight * NOISE[:4000], atol=1e-6)


def test_tags_and_integers_in_floats_are_spoken_of(tmp_path, caplog):
    with soundfile.SoundFile(tmp_path / "in.flac", "w", RATE, 1) as file:
        file.title = "A title"
        file.write(NOISE)
    read_sound(tmp_path / "in.flac", "in.flac")
    assert warnings(caplog) == ["in.flac: its tags are not kept: title"]
    caplog.clear()
    loud = read_sound(bytes(file_bytes(32767 * NOISE, format="WAV", subtype="FLOAT")), "in")
    np.testing.assert_allclose(loud.samples, NOISE, rtol=1e-3)
    assert "taken as 16-bit values" in warnings(caplog)[0]
    with pytest.raises(UnreadableInputError, match="in: the samples reach"):
        read_sound(bytes(file_bytes(1e6 * NOISE, format="WAV", subtype="FLOAT")), "in")


def test_errors_name_the_file_and_the_reason():
    for data in (b"RIFF" + bytes(4) + b"WAVE", b"fLaC" + bytes(60), b"no sound at all"):
        with pytest.raises(UnreadableInputError) as caught:
            read_sound(data, "clip.wav")
        assert "clip.wav is no sound" in str(caught.value) and "object at" not in str(caught.value)


def test_blocks_are_the_file(tmp_path):
    soundfile.write(tmp_path / "in.wav", np.stack([NOISE, NOISE], axis=1), RATE, subtype="FLOAT")
    sound = open_sound(tmp_path / "in.wav", "in.wav")
    for _ in range(2):  # as often as is asked
        np.testing.assert_array_equal(np.concatenate(list(sound.blocks())), NOISE)
    assert sound.seconds == 5


@pytest.mark.parametrize("suffix", [".ogg", ".flac", ".aif", ".wav"])
def test_a_long_sound_is_written_in_blocks(tmp_path, suffix):
    """As Ogg in one piece this ends the process: libsndfile's stack overflows."""
    tone = np.float32(0.3 * np.sin(np.arange(2_500_000) / 30))
    write_sound(Sound(tone, 48_000), tmp_path / f"out{suffix}")
    assert soundfile.info(tmp_path / f"out{suffix}").frames == tone.size
    samples, _ = soundfile.read(tmp_path / f"out{suffix}", start=1_000_000, frames=1000)
    np.testing.assert_allclose(samples, tone[1_000_000:1_001_000], atol=0.05)
