"""`bitfloor tokens` on folders: formats against other readers, several processes, bad files, interrupted runs."""

import io
import json
import os
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from secodec_toy import write_toy

from bitfloor.codecs.secodec.codec import SECodecCodec
from bitfloor.errors import BitfloorError
from bitfloor.tools.cli import main
from bitfloor.tools.tokens import batches
from bitfloor.tools.tokens.formats import _key

NAMES = ("a.wav", "b.c.flac", "one/a.wav", "one/two/x.wav", "a.flac")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_toy(folder)
    write_toy(folder, "other", seed=1)
    return folder


@pytest.fixture
def run(models, tmp_path, monkeypatch, capsys):
    """Run `bitfloor tokens` beside a folder `speech` of five sounds; gives (status, standard error)."""
    monkeypatch.setenv("BITFLOOR_MODELS", str(models))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        Path("speech", name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(Path("speech", name), 0.1 * (1 + number) * rng.standard_normal(4000 + 900 * number), 16_000)

    def call(*args):
        args = args if "--model" in args else (*args, "--model", "toy")
        status = main(["tokens", *map(str, args)])
        return status, capsys.readouterr().err

    return call


@pytest.fixture(scope="module")
def codec(models):
    return SECodecCodec.from_path(models / "toy.safetensors")


def expected(codec, name, layers=None):
    return codec.tokens(soundfile.read(Path("speech", name), dtype="float32"), layers)


def rows_of(path):
    """The rows of a set of tokens, by other readers than ours."""
    if path.endswith(".parquet"):
        parquet = pytest.importorskip("pyarrow.parquet")
        table = parquet.read_table(path)
        meaning = json.loads(table.schema.metadata[b"bitfloor"])
        return [row | meaning | {"tokens": np.array(row["tokens"])} for row in table.to_pylist()]
    with tarfile.open(path) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
    names = [name.removesuffix(".json") for name in members if name.endswith(".json")]
    assert list(members) == [f"{name}.{suffix}" for name in names for suffix in ("json", "npy")]
    arrays = [np.load(io.BytesIO(members[f"{name}.npy"])) for name in names]
    return [json.loads(members[f"{n}.json"]) | {"tokens": array} for n, array in zip(names, arrays, strict=True)]


SETS = ["set.parquet", "set.tar"]


@pytest.mark.parametrize("out", SETS)
def test_a_folder_becomes_one_file(run, codec, out):
    if out.endswith("parquet"):
        pytest.importorskip("pyarrow")
    status, err = run("speech", "--recursive", "-o", out)
    assert status == 0 and "5 sounds of" in err and not Path(out + ".partial").exists()
    rows = rows_of(out)
    assert sorted(row["path"] for row in rows) == sorted(NAMES)
    for row in rows:
        samples, rate = soundfile.read(Path("speech", row["path"]), dtype="float32")
        found = codec.analyse((samples, rate))
        np.testing.assert_array_equal(row["tokens"], found.codes)
        assert (row["seconds"], row["frames"]) == (len(samples) / rate, len(found.codes))
        assert row["gain_db"] == found.gain / 2
        assert row["model"] == codec.fingerprint.hex() and row["frames_per_second"] == 50
        assert row["codes"] == codec.codebook_sizes


def test_processes_and_batches_change_no_byte(run):
    out = "set.tar"
    data = Path("speech/a.wav").read_bytes()
    Path("speech/cut.wav").write_bytes(data[:3000])
    assert run("speech", "--recursive", "-o", out)[0] == 0
    once = Path(out).read_bytes()
    for options in (("--jobs", 2, "--batch", 2), ("--batch", 1), ("--device", "cpu")):
        status, err = run("speech", "--recursive", "-o", out, "-f", *options)
        assert status == 0 and err.count("cut.wav: it is cut") == 1, err  # said by whichever process reads it
        assert Path(out).read_bytes() == once
    assert run("speech", "--recursive", "-o", out, "-f", "--quiet", "--jobs", 2, "--batch", 2) == (0, "")


def test_a_folder_becomes_a_folder(run, codec):
    assert run("speech", "--recursive", "-o", "out/", "--layers", 2)[0] == 0
    found = sorted(str(path.relative_to("out")) for path in Path("out").rglob("*.npy"))
    assert found == ["a.flac.npy", "a.wav.npy", "b.c.npy", "one/a.npy", "one/two/x.npy"]
    np.testing.assert_array_equal(np.load("out/one/two/x.npy"), expected(codec, "one/two/x.wav", 2))
    assert run("speech/one/two", "--format", "json", "-o", "json")[0] == 0
    content = json.loads(Path("json/x.json").read_text())
    np.testing.assert_array_equal(content["tokens"], expected(codec, "one/two/x.wav"))
    status, err = run("speech", "--recursive", "-o", "out/", "--layers", 2, "--skip-existing")
    assert status == 0 and "0 files" in err and "5 there already" in err
    assert run("speech", "--recursive", "-o", "out/")[0] == 2


@pytest.mark.parametrize("out", ["set.tar", "out/"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_one_bad_file_is_said_and_stops_no_other(run, out, jobs):
    Path("speech/bad.wav").write_bytes(b"no sound at all")
    Path("speech/nan.wav").write_bytes(b"")
    status, err = run("speech", "--recursive", "-o", out, "--jobs", jobs, "--batch", 3)
    assert status == 3 and "2 failed" in err
    assert err.count("bad.wav is no sound") == err.count("nan.wav is empty") == 1
    done = rows_of(out) if out.endswith("tar") else list(Path(out).rglob("*.npy"))
    assert len(done) == 5


def test_no_good_file_writes_no_set(run):
    Path("bad").mkdir()
    Path("bad/bad.wav").write_bytes(b"no sound at all")
    status, err = run("bad", "-o", "set.tar")
    assert status == 3 and "not written" in err
    assert not Path("set.tar").exists() and not Path("set.tar.partial").exists()


@pytest.fixture
def counted(monkeypatch):
    """The files that were worked on; after `stop` of them the person interrupts."""
    seen, plan = [], {"stop": None}
    tokenise = batches.tokenise

    def working(paths, wish):
        if plan["stop"] is not None and len(seen) >= plan["stop"]:
            raise KeyboardInterrupt
        seen.extend(path.name for path in paths)
        return tokenise(paths, wish)

    monkeypatch.setattr(batches, "tokenise", working)
    return seen, plan


@pytest.mark.parametrize("out", [*SETS, "out/"])
def test_an_interrupted_run_goes_on(run, counted, out):
    if out.endswith("parquet"):
        pytest.importorskip("pyarrow")
    seen, plan = counted
    everything = ("speech", "--recursive", "--batch", 1)
    assert run(*everything, "-o", f"whole{out}")[0] == 0
    seen.clear()
    plan["stop"] = 2
    status, err = run(*everything, "-o", out)
    assert status == 130 and "2 of 5 files are done; --skip-existing goes on" in err and not Path(out).is_file()
    plan["stop"] = None
    if out != "out/":
        status, err = run(*everything, "-o", out)
        assert status == 2 and "interrupted: --skip-existing goes on with it, -f begins anew" in err
    assert run(*everything, "-o", out, "--resume")[0] == 0
    assert len(seen) == len(NAMES) and not Path(out + ".partial").exists()
    if out != "out/":
        assert Path(out).read_bytes() == Path(f"whole{out}").read_bytes()


@pytest.mark.parametrize("cut", [1, 50, 200])
def test_a_half_written_record_is_done_again(run, counted, cut):
    seen, plan = counted
    assert run("speech", "--recursive", "-o", "whole.tar")[0] == 0
    seen.clear()
    plan["stop"] = 2
    assert run("speech", "--recursive", "-o", "set.tar", "--batch", 1)[0] == 130
    plan["stop"] = None
    partial = Path("set.tar.partial")
    os.truncate(partial, partial.stat().st_size - cut)
    assert run("speech", "--recursive", "-o", "set.tar", "--skip-existing")[0] == 0
    assert len(seen) == len(NAMES) + 1
    assert Path("set.tar").read_bytes() == Path("whole.tar").read_bytes()


@pytest.mark.parametrize("out", SETS)
def test_a_set_grows(run, counted, codec, out):
    if out.endswith("parquet"):
        pytest.importorskip("pyarrow")
    seen, _ = counted
    assert run("speech", "-o", out)[0] == 0
    seen.clear()
    status, err = run("speech", "-o", out)
    assert status == 2 and "there already" in err
    assert run("speech", "-o", out, "--skip-existing")[0] == 0 and seen == []
    status, err = run("speech", "--recursive", "-o", out, "--skip-existing")
    assert status == 0 and sorted(seen) == ["a.wav", "x.wav"] and "3 there already" in err
    rows = {row["path"]: row["tokens"] for row in rows_of(out)}
    assert sorted(rows) == sorted(NAMES)
    for name, tokens in rows.items():
        np.testing.assert_array_equal(tokens, expected(codec, name))


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--layers", 2), "2 layers of tokens, the other sounds have 3"), (("--model", "other"), "of model")],
)
def test_tokens_of_two_meanings_do_not_mix(run, options, words):
    assert run("speech", "-o", "set.tar")[0] == 0
    before = Path("set.tar").read_bytes()
    status, err = run("speech", "--recursive", "-o", "set.tar", "--skip-existing", *options)
    assert status == 2 and err.count(words) == 2
    assert rows_of("set.tar") and len(Path("set.tar").read_bytes()) == len(before)


def test_a_set_of_something_else_is_left_alone(run):
    pytest.importorskip("pyarrow")
    for name in ("set.tar", "set.parquet"):
        Path(name).write_bytes(b"mine")
        status, err = run("speech", "-o", name, "--skip-existing")
        assert status == 3 and "of `bitfloor tokens`" in err and Path(name).read_bytes() == b"mine"
        assert not Path(name + ".partial").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("speech", "-o", "set.npy"), "go into a folder"),
        (("speech/a.wav", "speech/a.flac", "-o", "x.json"), "go into a folder"),
        (("speech", "-o", "set.zip"), ".parquet, .tar"),
        (("speech", "-o", "set.tar", "--format", "parquet"), "no parquet file by its name"),
        (("speech", "--format", "webdataset"), "name the file"),
        (("speech", "-o", "new/", "--format", "webdataset"), "new/tokens.tar"),
        (("speech", "-o", "set.tar", "--layers", 9), "1 to 3"),
        (("speech", "-o", "set.tar", "--device", "gpu"), "'gpu' cannot be used"),
        (("speech/a.wav", "--device", "meta"), "'meta' cannot be used"),
        (("speech", "-o", "set.tar", "-f", "--skip-existing"), "only one of"),
        (("speech", "-o", "no/such/set.tar"), "no folder"),
    ],
)
def test_what_cannot_be_is_one_line(run, tmp_path, args, words):
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    status, err = run(*args)
    assert status == 2 and words in err.splitlines()[-1]
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_parquet_without_pyarrow_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    status, err = run("speech", "-o", "set.parquet")
    assert status == 2 and "bitfloor[parquet]" in err and not Path("set.parquet.partial").exists()


def test_a_worker_that_dies_costs_one_file(run, monkeypatch):
    """The pool reports the batch lost; its files are tried one by one."""

    class Dying:
        def __init__(self, work, *, lost, **_):
            self.work, self.lost = work, lost

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def run(self, jobs):
            for numbers in jobs:
                killed = any("b.c" in str(self.work.keywords["paths"][number]) for number in numbers)
                yield numbers, self.lost("the worker was killed by signal 11") if killed else self.work(numbers)

    monkeypatch.setattr(batches, "Pool", Dying)
    status, err = run("speech", "--recursive", "-o", "set.tar", "--jobs", 2, "--batch", 3)
    assert status == BitfloorError.exit_code and err.count("killed by signal 11") == 1 and "b.c.flac" in err
    assert len(rows_of("set.tar")) == 4


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="this system names no open files")
@pytest.mark.parametrize(("out", "form"), [("set.parquet", "parquet"), ("set.tar", "webdataset")])
def test_a_set_goes_into_a_pipe(run, out, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    assert run("speech", "-o", out)[0] == 0
    reading, writing = os.pipe()
    assert run("speech", "-o", f"/dev/fd/{writing}", "--format", form)[0] == 0  # less than a pipe holds
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read() == Path(out).read_bytes()


def test_keys_of_webdataset_end_at_no_dot_and_are_unique():
    taken = set()
    names = ["a.wav", "a.flac", "x.y/a.b.wav", "x.y/a.b.flac", "../a.wav", "/a.wav", "a_wav"]
    keys = [_key(name, taken) for name in names]
    assert len(set(keys)) == len(names) and not any("." in key for key in keys)
    assert keys[:4] == ["a", "a_flac", "x_y/a_b", "x_y/a_b_flac"]


def test_webdataset_and_datasets_read_the_sets(run, codec):
    webdataset = pytest.importorskip("webdataset")
    assert run("speech", "-o", "set.tar")[0] == 0
    samples = list(webdataset.WebDataset("set.tar", shardshuffle=False).decode())
    assert len(samples) == 3
    for sample in samples:
        np.testing.assert_array_equal(sample["npy"], expected(codec, sample["json"]["path"]))
