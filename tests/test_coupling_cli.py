"""`bitfloor couple` and the codec mecb from the command line."""

import builtins
import json

import numpy as np
import pytest
from PIL import Image

from bitfloor.entropy_models.coupling import entropy, greedy_coupling
from bitfloor.tools.cli import main

P, Q = [0.7, 0.2, 0.1], [0.4, 0.3, 0.2, 0.1]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_text("\n".join(map(str, P)))
    (tmp_path / "q.csv").write_text("symbol,probability\n" + "\n".join(f"{k},{v}" for k, v in enumerate(Q)))
    (tmp_path / "row.csv").write_text(",".join(map(str, Q)))
    (tmp_path / "counts.csv").write_text("7;70\n8;20\n9;10\n")
    np.save(tmp_path / "q.npy", Q)
    return tmp_path


def run(*args):
    return main([str(arg) for arg in args])


def test_json_of_a_coupling(folder, capsys):
    for second in ("q.csv", "row.csv", "q.npy"):
        assert run("couple", "p.csv", second, "--json") == 0
        report = json.loads(capsys.readouterr().out)
        assert report["entropy"] == pytest.approx(greedy_coupling(P, Q).entropy)
        assert report["majorisation_bound"] <= report["entropy"]
        assert report["profile_bound"] <= report["entropy"]
        assert sum(mass for *_, mass in report["cells"]) == pytest.approx(1)
        assert report["above_profile"] == pytest.approx(report["entropy"] - report["profile_bound"])


def test_text_and_options_before_the_files(folder, capsys):
    assert run("couple", "--counts", "counts.csv", "p.csv", "q.csv") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["counts", "p", "q", "mass"]
    for word in ("entropy", "majorisation bound", "profile bound"):
        assert word in out


def test_bottleneck(folder, capsys):
    assert run("couple", "p.csv", "q.csv", "--bottleneck", 1, "--exact", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["rate"] == pytest.approx(1, abs=1e-6)
    assert report["encoder_information"] == pytest.approx(0.921421, abs=1e-5)
    assert report["information"] <= report["encoder_information"]
    assert {"entropy", "majorisation_bound", "profile_bound"} <= set(report)
    assert run("couple", "p.csv", "q.csv", "--bottleneck", 0.8) == 0
    assert "I(X;Y)" in capsys.readouterr().out


def test_half_a_bit_is_used_without_asking(folder, capsys):
    """A function of two symbols has 0 or all bits; what a split symbol can have is in closed form."""
    (folder / "fair.csv").write_text("0.5\n0.5\n")
    for extra, kept in (([], 0.11), (["--exact"], 0.11), (["--function"], 0)):
        assert run("couple", "fair.csv", "fair.csv", "--bottleneck", 0.5, "--json", *extra) == 0
        captured = capsys.readouterr()
        report = json.loads(captured.out)
        assert ("--exact can" in captured.err) == (kept == 0)
        if kept == 0:
            assert report["information"] == 0
            continue
        assert report["rate"] == pytest.approx(0.5, abs=1e-9)
        # P(T=1) = m with h(m) = 1/2, all of it from one symbol: I(X;T) = h(m) - h(2m) / 2.
        m = 0.110027864438
        assert report["encoder_information"] == pytest.approx(0.5 - entropy([2 * m, 1 - 2 * m]) / 2, abs=1e-6)
        assert kept < report["encoder_information"] < 0.5
        assert report["information"] > 0.01


def test_no_encoder_is_left_out_that_keeps_more():
    """The default is the best of both encoders and decoders, and never above what is possible."""
    from bitfloor.entropy_models.coupling import bottleneck_coupling

    rng, better = np.random.default_rng(3), set()
    for _ in range(150):
        p, q = rng.dirichlet(np.ones(rng.integers(2, 7))), rng.dirichlet(np.ones(rng.integers(2, 7)))
        rate = rng.random() * 2
        each = {name: bottleneck_coupling(p, q, rate, name, "best").information for name in ("greedy", "exact")}
        best = bottleneck_coupling(p, q, rate, "best", "best").information
        assert best == max(each.values())
        assert 0 < best <= min(rate, entropy(p), entropy(q)) + 1e-9
        better.add(max(each, key=each.get))
    assert better == {"greedy", "exact"}


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["p.csv"], 2, "at least two laws"),
        (["p.csv", "none.csv"], 3, "cannot read none.csv"),
        (["p.csv", "counts.csv"], 2, "--counts takes any masses"),
        (["p.csv", "q.csv", "--bottleneck", "-1"], 2, "rate must be"),
        (["p.csv", "q.csv", "--bottleneck", "nan"], 2, "finite"),
        (["p.csv", "q.csv", "--bottleneck", "1e999"], 2, "finite"),
        (["p.csv", "q.csv", "--function"], 2, "--function is for --bottleneck"),
        (["table1", "--seed", "-1"], 2, "--seed"),
        (["table1", "--simulations", "0"], 2, "--simulations"),
        (["p.csv", "q.csv", "--exact"], 2, "--exact is for --bottleneck"),
        (["p.csv", "q.csv", "p.csv", "--bottleneck", "1"], 2, "couples two laws"),
        (["p.csv", "q.csv", "--plot", "x.jpg"], 2, ".png"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, args, status, message):
    pytest.importorskip("matplotlib")
    assert run("couple", *args) == status
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_file_that_is_no_table(folder, capsys):
    (folder / "words.csv").write_text("0.5\nhalf\n")
    (folder / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    assert run("couple", "p.csv", "words.csv") == 3
    assert "line 2: 'half' is no number" in capsys.readouterr().err
    assert run("couple", "p.csv", "bytes.csv") == 3
    assert "neither a table of numbers" in capsys.readouterr().err


def test_drawings(folder, capsys):
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(1)
    np.save(folder / "wide.npy", rng.random(100))
    assert run("couple", "p.csv", "q.csv", "--plot", "a.png") == 0
    assert run("couple", "p.csv", "q.csv", "--plot", "a.png") == 2
    assert run("couple", "p.csv", "q.csv", "--bottleneck", 1, "--plot", "b.svg") == 0
    assert run("couple", "wide.npy", "wide.npy", "--counts", "--plot", "c.png") == 0
    assert run("couple", "wide.npy", "p.csv", "--counts", "--bottleneck", 2, "--plot", "d.pdf") == 0
    for name in ("a.png", "c.png"):
        with Image.open(folder / name) as drawn:
            assert len(np.unique(np.asarray(drawn.convert("RGB")).reshape(-1, 3), axis=0)) > 20
    assert (folder / "b.svg").read_text().count("<path") > 10
    assert (folder / "d.pdf").read_bytes().startswith(b"%PDF")


def test_without_matplotlib_there_is_one_clear_line(folder, capsys, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert run("couple", "p.csv", "q.csv", "--plot", "a.png") == 2
    assert capsys.readouterr().err.strip() == "bitfloor: plots need matplotlib: pip install 'bitfloor[plot]'"


def test_table_1_rows_lie_in_the_papers_intervals(capsys):
    """100 simulations; the paper has 5.443 +- 0.101 (independent) and 2.946 +- 0.064 (greedy)."""
    assert run("couple", "table1", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert abs(rows["independent"]["mean"] - 5.443) <= 0.101
    assert abs(rows["greedy"]["mean"] - 2.946) <= 0.064
    assert rows["profile bound"]["mean"] <= rows["greedy"]["mean"]
    assert run("couple", "table1", "--simulations", 5) == 0
    assert "paper 5.443" in capsys.readouterr().out


def test_game(folder, capsys):
    pytest.importorskip("matplotlib")
    args = ["couple", "game", "--log-beta", -4, "--rate", 1, "--rate", 0.5, "--episodes", 3, "--messages", 8]
    drawn = ["--plot", "t.png", "--beliefs", "b.png", "--board", "o.png"]
    assert run(*args, *drawn, "--json") == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["encoder"], row["rate"]) for row in rows] == [
        ("ebim", 1),
        ("ebim", 0.5),
        ("quantiser", 1),
        ("quantiser", 0.5),
    ]
    for name in ("t.png", "b.png", "o.png"):
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 300
    assert run(*args) == 0
    assert "accuracy" in capsys.readouterr().out


def test_hide_and_reveal(folder, capsys):
    (folder / "book.txt").write_text("It was the best of times, it was the worst of times. " * 40)
    (folder / "key").write_text("swordfish\n")
    (folder / "other").write_text("catfish")
    (folder / "message").write_bytes(bytes(range(16)))
    shared = ["--text", "book.txt", "--order", 2]
    assert run("couple", "hide", "message", *shared, "--key-file", "key", "-o", "cover.txt") == 0
    assert "the receiver errs with probability" in capsys.readouterr().err
    assert run("couple", "reveal", "cover.txt", *shared, "--key-file", "key", "-o", "back") == 0
    assert "probability of an error" in capsys.readouterr().err
    assert (folder / "back").read_bytes() == bytes(range(16))
    assert run("couple", "reveal", "cover.txt", *shared, "--key-file", "other", "-o", "no") == 4
    assert "no message of this key" in capsys.readouterr().err
    assert not (folder / "no").exists()
    (folder / "cover.txt").write_text((folder / "cover.txt").read_text()[:60])
    assert run("couple", "reveal", "cover.txt", *shared, "--key-file", "key", "-o", "no") == 4
    assert "ends before the message" in capsys.readouterr().err


def test_codec_from_the_command_line(folder, capsys):
    rng = np.random.default_rng(2)
    grey = np.clip(rng.normal(120, 25, (60, 80)), 0, 255).astype(np.uint8)
    Image.merge("RGB", [Image.fromarray(grey)] * 3).save(folder / "photo.png")
    assert run("encode", "photo.png", "--codec", "mecb", "--rate", 2.5) == 0
    assert run("decode", "photo.bf", "-o", "out.png") == 0
    drawn = np.asarray(Image.open(folder / "out.png"))
    assert drawn.shape == grey.shape
    assert (folder / "photo.bf").stat().st_size < 60 * 80 * 2.5 / 8 + 450
    counts = np.bincount(drawn.ravel(), minlength=256) / drawn.size
    assert entropy(counts) == pytest.approx(entropy(np.bincount(grey.ravel()) / grey.size), abs=0.1)

    np.save(folder / "symbols.npy", grey.astype(np.int64) % 5)
    assert run("encode", "symbols.npy", "--codec", "mecb", "--rate", 9, "-o", "s.bf") == 0
    assert run("decode", "s.bf") == 0
    np.testing.assert_array_equal(np.load(folder / "s.npy"), grey % 5)

    (folder / "text.txt").write_bytes(b"aabbbbc" * 30)
    assert run("encode", "text.txt", "--codec", "mecb", "--rate", 9, "--seed", 3) == 0
    assert run("decode", "text.bf") == 0
    assert (folder / "text.bin").read_bytes() == b"aabbbbc" * 30
    (folder / "law.csv").write_text("0\n" * 97 + "0.5\n0.5\n")
    assert run("encode", "text.txt", "--codec", "mecb", "--rate", 1, "--law", "law.csv", "-o", "l.bf") == 0
    assert run("decode", "l.bf", "-o", "l.bin") == 0
    assert set((folder / "l.bin").read_bytes()) == {97, 98}

    capsys.readouterr()
    assert run("encode", "photo.png", "--rate", 2, "-o", "x.bf") == 2
    assert "--codec mecb" in capsys.readouterr().err
    assert run("encode", "photo.png", "--codec", "mecb", "--rate", 2, "-q", 50, "-o", "x.bf") == 2
    assert run("info", "photo.bf", "--json") == 0
    fields = json.loads(capsys.readouterr().out)["fields"]
    assert (fields["form"], fields["rows"], fields["columns"]) == (1, 60, 80)


@pytest.mark.parametrize(
    ("samples", "lost"),
    [
        (np.full((8, 8, 3), 90, np.uint8), ""),
        (np.full((8, 8, 3), (200, 10, 10), np.uint8), "no colours, "),
        (np.full((8, 8, 4), (9, 9, 9, 100), np.uint8), "no transparency, "),
        (np.full((8, 8), 300, np.uint16), "no 16 bits, "),
    ],
)
def test_what_symbols_of_a_picture_lack_is_one_warning(folder, capsys, samples, lost):
    Image.fromarray(samples).save(folder / "p.png")
    assert run("encode", "p.png", "--codec", "mecb", "--rate", 2, "--quiet", "-o", "q.bf") == 0
    assert capsys.readouterr().err == ""
    assert run("encode", "p.png", "--codec", "mecb", "--rate", 2, "-o", "p.bf") == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(warnings) == bool(lost) and lost in "".join(warnings)


def test_target_size(folder):
    grey = np.clip(np.random.default_rng(3).normal(120, 25, (120, 160)), 0, 255).astype(np.uint8)
    Image.fromarray(grey).save(folder / "noise.png")
    for size in (2_000, 8_000):
        assert run("encode", "noise.png", "--codec", "mecb", "--size", size, "-f") == 0
        assert 0.9 * size < (folder / "noise.bf").stat().st_size <= size
