"""A program may set torch as it likes: no codec works differently for it, changes a setting or leaves a trace."""

import random
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch

import bitfloor
from bitfloor import weights
from bitfloor.codecs import loaded, registry
from bitfloor.entropy_models.exact.settings import one_thread
from bitfloor.entropy_models.tokens.token_coding import sample_tokens

NAMES = [entry.name for entry in registry.CODECS]
RNG = np.random.default_rng(5)
SOURCES = {
    "picture": RNG.integers(0, 256, (40, 70, 3), dtype=np.uint8),
    "sound": (RNG.normal(0, 0.1, 5000).astype(np.float32), 16_000),
    "symbols": RNG.bytes(500),
}


@contextmanager
def process_wide(set_to, get, value):
    before = get()
    set_to(value)
    try:
        yield
    finally:
        set_to(before)


def default_dtype(dtype):
    return process_wide(torch.set_default_dtype, torch.get_default_dtype, dtype)


@contextmanager
def default_device(name):
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def numpy_and_warnings_are_strict():
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


STATES = {
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "meta device": lambda: default_device("meta"),
    "cpu device": lambda: default_device("cpu"),
    "meta block": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference": torch.inference_mode,
    "no grad": torch.no_grad,
    "grad": torch.enable_grad,
    "anomaly": torch.autograd.detect_anomaly,
    "deterministic": lambda: process_wide(
        torch._C._set_deterministic_algorithms, torch.are_deterministic_algorithms_enabled, True
    ),
    "one thread": lambda: process_wide(torch.set_num_threads, torch.get_num_threads, 1),
    "three threads": lambda: process_wide(torch.set_num_threads, torch.get_num_threads, 3),
    "strict": numpy_and_warnings_are_strict,
}


def settings():
    """All that a caller can have set, and the states of all random generators."""
    return {
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "inference": torch.is_inference_mode_enabled(),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
        "errors": np.geterr(),
        "warnings": list(warnings.filters),
        "random": (torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()),
    }


def fresh(name):
    """The codec, its model read anew."""
    codec_class = registry.load(name)
    entry = registry.by_name(name)
    return codec_class.from_path(weights.find(name)) if entry.has_models else codec_class()


def results(codec):
    """What every public function of the codec gives, as bytes."""
    data = codec.encode(SOURCES[codec.kind], quality=60)
    got = [data, as_bytes(codec.decode(data)), as_bytes(bitfloor.decode(data))]
    if codec.kind == "sound":
        tokens = codec.tokens(SOURCES["sound"], 2)
        longer = sample_tokens(codec.frozen.tokens, tokens, len(tokens) + 3, seed=1)
        got += [as_bytes(codec.tokens(SOURCES["sound"], 2, "structural")), as_bytes(codec.decode_tokens(data))]
        got += [as_bytes(longer), as_bytes(codec.synthesise(longer).samples)]
        batch = codec.encode_batch([SOURCES["sound"][0], SOURCES["sound"][0][:3000]], layers=3)
        got += [as_bytes(tensor) for tensor in batch] + [as_bytes(codec.decode_batch(batch))]
        got += [as_bytes(torch.cat(list(codec.decode_frames(batch.tokens[0].T))))]
    return got


def as_bytes(decoded):
    return np.asarray(decoded[0] if isinstance(decoded, tuple) else decoded).tobytes()


@pytest.fixture(scope="module")
def expected():
    return {name: results(bitfloor.load(name)) for name in NAMES}


@pytest.mark.filterwarnings("ignore:Anomaly")
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", NAMES)
def test_no_setting_of_the_caller_changes_a_result_or_is_changed(expected, name, state):
    with STATES[state]():
        before = settings()
        assert results(bitfloor.load(name)) == expected[name]
        assert settings() == before


@pytest.mark.parametrize("state", ["float64", "float16", "bfloat16", "meta device", "autocast", "inference", "strict"])
@pytest.mark.parametrize("name", NAMES)
def test_a_model_read_under_any_setting_is_the_same(expected, name, state):
    with STATES[state]():
        before = settings()
        codec = fresh(name)
        assert settings() == before
    assert results(codec) == expected[name]


@pytest.mark.parametrize("precision", ["high", "medium"])
@pytest.mark.parametrize("name", NAMES)
def test_files_pass_between_programs_that_multiply_in_other_precision(expected, name, precision):
    """The whole process has this setting, so it is left alone: a picture's last bits may differ, its latents never."""
    with process_wide(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision, precision):
        made = bitfloor.load(name).encode(SOURCES[bitfloor.load(name).kind], quality=60)
        bitfloor.decode(expected[name][0])  # compares the latents with the file's check
    bitfloor.decode(made)


def test_one_model_is_in_memory_once(tmp_path, monkeypatch):
    for name in NAMES:
        codec = bitfloor.load(name)
        assert codec is bitfloor.load(name) is registry.load(name).load()
    picture = bitfloor.load()
    path = weights.find("mlicv2")
    link = tmp_path / "link.safetensors"
    link.symlink_to(path)
    monkeypatch.chdir(path.parent)
    names = [path, str(path), path.name, link, path.stem, picture.fingerprint.hex()]
    assert [bitfloor.load("mlicv2", name) is picture for name in names] == [True] * len(names)
    reads = []
    monkeypatch.setattr(type(picture), "from_path", reads.append)
    bitfloor.decode(picture.encode(SOURCES["picture"]))
    assert reads == []


def test_threads_may_share_a_codec(expected):
    """Loading, encoding and decoding, all at once; torch has as many threads afterwards, new ones too."""
    loaded._alive.clear()
    loaded._recent.clear()
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(4) as pool:
        codecs = list(pool.map(bitfloor.load, NAMES * 3))
        got = list(pool.map(lambda name: results(bitfloor.load(name)), NAMES * 2))
        assert set(pool.map(lambda _: torch.get_num_threads(), range(8))) == {threads}
    assert len(set(codecs)) == len(NAMES)
    assert got == [expected[name] for name in NAMES * 2]
    assert torch.get_num_threads() == threads


def test_one_thread_inside_itself_and_beside_itself():
    def count():
        with one_thread():
            return torch.get_num_threads()

    with process_wide(torch.set_num_threads, torch.get_num_threads, 3):
        with one_thread():
            assert torch.get_num_threads() == count() == torch.get_num_threads() == 1
            with ThreadPoolExecutor(1) as pool:  # a thread that torch has not seen
                assert pool.submit(count).result() == 1
                assert pool.submit(torch.get_num_threads).result() == 3
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
