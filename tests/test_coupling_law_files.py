"""Laws in files: every number keeps its place, and what cannot be read is one line that says why."""

import json

import numpy as np
import pytest

from bitfloor.entropy_models.coupling import as_law
from bitfloor.errors import BitfloorError, UsageError
from bitfloor.tools.cli import main
from bitfloor.tools.coupling.law_files import read_law

BOTH = (False, True)
"""Without and with --counts."""


@pytest.fixture
def read(tmp_path):
    def reader(content, counts=False):
        path = tmp_path / "law.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return read_law(path, counts)

    return reader


def refused(read, content, *words, counts=BOTH):
    for normalise in counts:
        with pytest.raises(BitfloorError) as caught:
            read(content, normalise)
        message = str(caught.value)
        assert all(word in message for word in words), message
        assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    "content",
    [
        "0,25\n0,75\n",
        "0,5\n0,5\n",
        "12,5\n13,7\n20,1\n",
        "0;0,25\n1;0,75\n",
        "0\t0,25\n1\t0,75\n",
        "a 0,25\nb 0,75\n",
        "0,25 0,75",
        "0,25;0,75",
        "0,25,0,75",
        "0,25",
        ",5\n,5\n",
        "0,1e-1\n0,9",
        "1,000;2,000",
        "# p, in shares\n0,25\n0,75",
    ],
)
def test_decimal_commas_are_named(read, content):
    refused(read, content, "decimal comma", "write 0.25")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("0,0.5\n1,\n2,0.5\n", ["line 2", "missing"]),
        ("a,0.5\nb\nc,0.5\n", ["line 2 has 1 cells, line 1 has 2"]),
        ("0.5\n0.25,0.25\n", ["line 2", "line 1", "cells"]),
        ("1;2;3\n4;5\n", ["line 2 has 2 cells"]),
        ("0.5\n\n0.5\n", ["empty line before line 3"]),
        ("5,,5", ["line 1", "missing"]),
        ("x,p\n0,0.5\n1,\n", ["line 3", "missing"]),
        ("0,0.5,\n1,0.25,0.25\n", ["line 1", "missing"]),
        ("1 2 3\n4 5 6\n", ["3 columns of numbers"]),
    ],
)
def test_places_are_kept_and_ragged_rows_refused(read, content, words):
    refused(read, content, *words)


@pytest.mark.parametrize(
    ("content", "law"),
    [
        ("# heads, tails; and more\n0.6\n0.4\n", [0.6, 0.4]),
        ("0.6 # heads, say\n0.4\n", [0.6, 0.4]),
        ("0.6\n# half way\n0.4\n", [0.6, 0.4]),
        ("\n\n0.6\n0.4\n\n", [0.6, 0.4]),
        ("a,1", [1]),
        ("a;1\n", [1]),
        ("a\t1", [1]),
        ("a,0.6\nb,0.4", [0.6, 0.4]),
        ("New York,0.6\nSan José,0.4", [0.6, 0.4]),
        ('"a, b",0.6\n"c",0.4', [0.6, 0.4]),
        ('5" pipe,0.6\n4" pipe,0.4', [0.6, 0.4]),
        (",0.6\nb,0.4", [0.6, 0.4]),
        (",0\n0,0.6\n1,0.4\n", [0.6, 0.4]),  # pandas' to_csv of a nameless series
        ("symbol;probability\n0;0.6\n1;0.4", [0.6, 0.4]),
        ("0.6,\n0.4,\n", [0.6, 0.4]),
        ("0.6, 0.4", [0.6, 0.4]),
        ("0.6   0.4", [0.6, 0.4]),
        ("[0.6, 0.4]", [0.6, 0.4]),
        (" [\n 6e-1,\n 0.4\n]\n", [0.6, 0.4]),
        ('{"a": 0.6, "b": 0.4}', [0.6, 0.4]),
        ("[1]", [1]),
        (b"0.6\r0.4\r", [0.6, 0.4]),
        (b"a,0.6\rb,0.4", [0.6, 0.4]),
        (b"0.6\r\n0.4\r\n", [0.6, 0.4]),
        (b"\xef\xbb\xbf0.6\n0.4", [0.6, 0.4]),
        (b"\xef\xbb\xbf[0.6, 0.4]", [0.6, 0.4]),
        ("a\t0.6\r\nb\t0.4\r\n".encode("utf-16"), [0.6, 0.4]),
        ("\ufeff0.6\n0.4".encode("utf-16-be"), [0.6, 0.4]),
        ("\ufeff0.6\n0.4".encode("utf-32-le"), [0.6, 0.4]),
    ],
)
def test_what_programs_write_is_read(read, content, law):
    for counts in BOTH:
        np.testing.assert_allclose(read(content, counts), law)


def test_labels_that_count_on_are_labels(read):
    np.testing.assert_allclose(read("0,70\n1,20\n2,10", True), [0.7, 0.2, 0.1])
    np.testing.assert_allclose(read("7,70\n8,20\n9,10", True), [0.7, 0.2, 0.1])
    np.testing.assert_allclose(read("level,count\n10,70\n20,20\n40,10", True), [0.7, 0.2, 0.1])
    np.testing.assert_allclose(read("7,2,1", True), [0.7, 0.2, 0.1])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('0.6\n"0.4\n', ["line 2", "quotation mark"]),
        ('"a"b,0.6\nc,0.4', ["line 1", "quotation mark"]),
        ("O.7\n0.2\n0.1\n", ["line 1", "'O.7' is no number"]),
        ("nan\n0.5\n0.5", ["'nan' is no number"]),
        ("n/a\n0.5\n0.5", ["'n/a' is no number"]),
        ("0.5\ninf", ["'inf' is no number"]),
        ("1_0\n2", ["'1_0' is no number"]),
        ("\uff11\n\uff12", ["is no number"]),
        ("a,b", ["'a' is no number"]),
        ("# nothing\n", ["no numbers"]),
        ("[0.6, 0.4", ["JSON"]),
        ("[0.6, [0.4]]", ["entry 2", "JSON"]),
        ("[true, false]", ["entry 1"]),
        ("[NaN, 1]", ["NaN"]),
        ('["0.6", "0.4"]', ["entry 1"]),
        ('{"a": 0.6, "a": 0.4}', ["twice"]),
        ("[" * 100_000, ["JSON"]),
        ("1e999\n1", ["no number"]),
        ("0.6\n0.4".encode("utf-16-le"), ["UTF-16"]),
        (b"\xff\xfe\x00", ["utf-16"]),
        (b"caf\xe9;0.6\n", ["utf-8"]),
        (b"\x93NUMPY\x01\x00rubbish", ["broken array"]),
    ],
)
def test_what_cannot_be_read_is_one_line(read, content, words):
    refused(read, content, *words)


def test_sums_beyond_the_range_of_a_float(read):
    np.testing.assert_allclose(read("1e308\n1e308\n", True), [0.5, 0.5])
    np.testing.assert_allclose(read("5e-324\n5e-324\n", True), [0.5, 0.5])
    refused(read, "1e308\n1e308\n", "sums to inf", counts=(False,))


@pytest.mark.parametrize("values", [["0.5", "0.5"], [0.5 + 0j, 0.5], [10**400, 1], [[0.5], [0.5, 0.1]]])
def test_laws_are_made_of_real_numbers_only(values):
    with pytest.raises(UsageError, match="not a list of numbers"):
        as_law(values)


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.csv").write_bytes(b"0,25\r0,75\r")
    (tmp_path / "q.json").write_text("[0.6, 0.4]")
    for flags in ([], ["--counts"]):
        assert main(["couple", "p.csv", "q.json", *flags]) == 3
        error = capsys.readouterr().err
        assert "decimal comma" in error
        assert "--counts" not in error
        assert "unexpected" not in error
    assert main(["couple", "q.json", "q.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entropy"] == pytest.approx(0.9709505944546686)
