"""Outputs: whole or not at all, whatever the target is and whoever looks on."""

import io
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bitfloor.codecs.media import files
from bitfloor.codecs.media.files import atomic_output, check_output, is_stream, read_bytes, write_bytes
from bitfloor.errors import BitfloorError, UnreadableInputError, UsageError
from bitfloor.tools import cli

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- what is replaced ---


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o444, 0o2640])
def test_overwriting_keeps_the_mode(tmp_path, mode):
    target = tmp_path / "x"
    target.write_bytes(b"old")
    target.chmod(mode)
    write_bytes(b"new", target, overwrite=True)
    assert target.read_bytes() == b"new" and stat.S_IMODE(target.stat().st_mode) == mode


def test_a_new_file_gets_the_mode_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_bytes(b"new", tmp_path / "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_nobody_reads_a_private_file_while_it_is_written(tmp_path):
    target = tmp_path / "x"
    target.write_bytes(b"old")
    target.chmod(0o600)
    with atomic_output(target, overwrite=True) as file:
        file.write(b"secret")
        (part,) = (path for path in tmp_path.iterdir() if path != target)
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        assert target.read_bytes() == b"old"


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_overwriting_keeps_owner_and_group(tmp_path):
    target = tmp_path / "x"
    target.write_bytes(b"old")
    os.chown(target, 12345, 54321)
    write_bytes(b"new", target, overwrite=True)
    assert (target.stat().st_uid, target.stat().st_gid) == (12345, 54321)


def test_where_owner_or_group_cannot_be_kept_nobody_may_do_more(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "not yours")

    target = tmp_path / "x"
    target.write_bytes(b"old")
    monkeypatch.setattr(files.os, "fchown", refuse)
    with open(target, "rb") as file:
        old = list(os.fstat(file.fileno()))
        old[0], old[4], old[5] = stat.S_IFREG | 0o6764, old[4] + 1, old[5] + 1
        files._take_over(file.fileno(), os.stat_result(old))
    assert stat.S_IMODE(target.stat().st_mode) == 0o744


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "new").symlink_to("later")
    write_bytes(b"new", tmp_path / "link", overwrite=True)
    write_bytes(b"new", tmp_path / "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"
    assert (tmp_path / "new").is_symlink() and (tmp_path / "later").read_bytes() == b"new"


def test_a_file_that_appears_in_the_meantime_is_not_overwritten(tmp_path):
    with pytest.raises(UsageError, match="there already"), atomic_output(tmp_path / "x") as file:
        file.write(b"new")
        (tmp_path / "x").write_bytes(b"of someone else")
    assert (tmp_path / "x").read_bytes() == b"of someone else" and names(tmp_path) == ["x"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
def test_an_end_in_between_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "x").write_bytes(b"old")
    with pytest.raises((error, BitfloorError)), atomic_output(tmp_path / "x", overwrite=True) as file:
        file.write(b"new")
        raise error("stop")
    assert (tmp_path / "x").read_bytes() == b"old" and names(tmp_path) == ["x"]


# --- names ---


@pytest.mark.parametrize("name", ["写" * 85, "x" * 255, "é" * 127 + ".", "😀" * 63 + ".bf"])
def test_every_legal_name_can_be_written(tmp_path, name):
    write_bytes(b"new", tmp_path / name)
    write_bytes(b"newer", tmp_path / name, overwrite=True)
    assert (tmp_path / name).read_bytes() == b"newer" and names(tmp_path) == [name]


@pytest.mark.parametrize("name", ["x" * 256, "写" * 86, "loop", "file/x", "no/x", "nul\0"])
def test_no_name_for_an_output_is_said_before_the_work(tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    for overwrite in (True, False):
        with pytest.raises(UsageError):
            check_output(f"{tmp_path}/{name}", overwrite)


@pytest.mark.parametrize("name", ["x" * 256, "loop", "file/x", "no/x", "nul\0", "."])
def test_no_name_for_an_input(tmp_path, name):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    with pytest.raises(UnreadableInputError):
        read_bytes(f"{tmp_path}/{name}")


# --- pipes, devices, descriptors ---


def test_a_pipe_with_a_name_is_written(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    found = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    assert is_stream(tmp_path / "pipe")
    write_bytes(b"new", tmp_path / "pipe")
    reader.join(10)
    assert found == [b"new"] and names(tmp_path) == ["pipe"]


@pytest.mark.parametrize("through", ["/dev/fd/{}", "/proc/self/fd/{}", "link"])
def test_an_open_descriptor_is_written_where_it_stands(tmp_path, through):
    with open(tmp_path / "all", "wb+") as file:
        name = through.format(file.fileno())
        if through == "link":
            name = tmp_path / "link"
            name.symlink_to(f"/dev/fd/{file.fileno()}")
        file.write(b"head ")
        file.flush()
        write_bytes(b"new", name)
        file.write(b" tail")
    assert (tmp_path / "all").read_bytes() == b"head new tail"


def test_descriptors_that_cannot_be_written_are_said_before_the_work(tmp_path):
    (tmp_path / "x").touch()
    with open(tmp_path / "x", "rb") as file:
        for name in (f"/dev/fd/{file.fileno()}", "/dev/fd/987"):
            with pytest.raises(UsageError, match="Bad file descriptor"):
                check_output(name, overwrite=True)
    pair = os.openpty()
    with pytest.raises(UsageError, match="terminal"):
        check_output(f"/dev/fd/{pair[1]}", overwrite=True)
    for number in pair:
        os.close(number)


def test_devices(tmp_path):
    assert is_stream("/dev/null") and is_stream("-") and not is_stream(tmp_path) and not is_stream(tmp_path / "no")
    write_bytes(b"new", "/dev/null")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(BitfloorError, match="No space left"):
        write_bytes(b"new", "/dev/full")


def shell(script, folder, **files):
    """What `bash` says to `script`, where `bitfloor` is this package."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "bitfloor").write_text(f'#!/bin/sh\nexec {sys.executable} -m bitfloor "$@"\n')
    (folder / "bitfloor").chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, timeout=100, check=False
    )


MESSAGE = b"a message of thirty characters"


def test_what_a_shell_puts_in_place_of_a_file(tmp_path):
    script = """set -e
    bitfloor encode --codec mecb -q 100 <(cat message) -o /dev/stdout 2>/dev/null | cat > a.bf
    bitfloor encode --codec mecb -q 100 message --quiet -o >(cat > b.bf; touch done)
    bitfloor encode --codec mecb -q 100 message --quiet -o /dev/fd/9 9> c.bf
    while [ ! -e done ]; do sleep 0.1; done"""
    done = shell(script, tmp_path, message=MESSAGE)
    assert (done.returncode, done.stderr) == (0, b"")
    made = {(tmp_path / f"{name}.bf").read_bytes() for name in "abc"}
    assert len(made) == 1 and made.pop()[1:4] == b"BFL"


# --- streams that are closed ---


def test_without_standard_streams_the_work_is_done(tmp_path):
    script = """set -e
    bitfloor encode --codec mecb -q 100 message message2 -o all <&- >&- 2>&-
    bitfloor decode all/message.bf -o back <&- >&- 2>&-
    bitfloor info back/none.bf 2>&- && exit 9
    bitfloor info all/message.bf >&-"""
    done = shell(script, tmp_path, message=MESSAGE, message2=MESSAGE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (tmp_path / "all" / "message2.bf").read_bytes()[1:4] == b"BFL"
    assert len((tmp_path / "back").read_bytes()) == len(MESSAGE)


def test_a_closed_stream_that_is_needed_is_named(tmp_path):
    script = """bitfloor encode --codec mecb - -o x.bf <&-; echo $?
    bitfloor encode --codec mecb message -o - 2>&1 >&- | cat"""
    done = shell(script, tmp_path, message=MESSAGE)
    assert done.stdout.splitlines()[0] == b"3" and b"standard output is closed" in done.stdout
    assert done.stderr == b"bitfloor: standard input is closed: name a file\n"


class NobodyReads(io.StringIO):
    """Standard error whose other end is closed."""

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


def test_nobody_who_reads_the_messages_is_no_reason_to_stop(tmp_path, monkeypatch):
    (tmp_path / "message").write_bytes(MESSAGE)
    monkeypatch.setattr(sys, "stderr", NobodyReads())
    args = ["encode", "--codec", "mecb", str(tmp_path / "message"), "-v", "-o", str(tmp_path / "x.bf")]
    assert cli.main(args) == 0
    assert (tmp_path / "x.bf").is_file()


def test_a_full_disk_behind_standard_output_is_one_line(tmp_path):
    done = shell("bitfloor models > /dev/full; bitfloor --help > /dev/full", tmp_path)
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 2 and all("No space left" in line and "unexpected" not in line for line in lines), lines
