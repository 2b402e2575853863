"""What options take in every command: names of files, numbers, sizes; and what a shell completes."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from bitfloor.tools import cli
from bitfloor.tools.options import SIZE, Number, PathName


def commands(group, path=()):
    """Every command of the command line with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))
        else:
            yield (*path, name), found


COMMANDS = dict(commands(cli.cli))
TOOLS = ("comparison_picture", "exactness", "joint_ablation")


def refused(args, capsys, *words):
    """The command line ends with usage error and one line."""
    assert cli.main(list(args)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("bitfloor: ") and "unexpected" not in said, said
    assert all(word in said for word in words), said


def arguments(command, name, value):
    """A call of `command` whose parameter `name` is `value`; what else it needs is there."""
    args = []
    for param in command.params:
        if param.name == name or param.required:
            text = value if param.name == name else "x"
            args += [text] if isinstance(param, click.Argument) else [param.opts[-1], text]
            args += ["x"] * (param.nargs - 1)
    return args


PATH_PARAMETERS = [
    (words, param.name)
    for words, command in COMMANDS.items()
    for param in command.params
    if isinstance(param.type, (click.Path, click.File)) or param.name in ("model", "start", "codec", "codec_name")
]


def test_every_name_of_a_file_is_of_the_one_type():
    assert len(PATH_PARAMETERS) > 30
    modules = [import_module(f"bitfloor.tools.{name}") for name in TOOLS]
    tools = [value for module in modules for value in vars(module).values() if isinstance(value, click.Command)]
    for command in [*COMMANDS.values(), *tools]:
        for param in command.params:
            assert not isinstance(param.type, (click.Path, click.File)) or isinstance(param.type, PathName)
            # FloatRange and float take NaN.
            assert type(param.type) not in (click.types.FloatParamType, click.FloatRange), (command, param)


@pytest.mark.parametrize(("words", "name"), PATH_PARAMETERS, ids=lambda part: "-".join(part) if part else "")
def test_an_empty_name_is_a_usage_error(words, name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x").write_bytes(b"x")
    refused([*words, *arguments(COMMANDS[words], name, "")], capsys, "empty")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_unset_variable_decodes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a.bf").write_bytes(b"\x8aBFL")
    Path("a.png").write_bytes(b"mine")
    refused(["decode", "", "-f"], capsys, "empty")
    refused(["encode", "", "-f"], capsys, "empty")
    refused(["encode", "a.png", "-o", ""], capsys, "empty")
    assert Path("a.png").read_bytes() == b"mine"


def test_only_a_bare_dash_is_standard_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    convert = PathName(dash=True).convert
    assert convert("-", None, None) == Path("-")
    for name in ("./-", ".//-", "-/", f"{tmp_path}/-"):
        assert convert(name, None, None) == tmp_path / "-"
    assert PathName(dash=True, raw=True).convert("-/", None, None).endswith("/-/")
    with pytest.raises(click.UsageError, match="not possible here"):
        PathName().convert("-", None, None)


def test_a_file_called_dash_is_read_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("-").write_bytes(b"abcabcabc")
    assert cli.main(["encode", "--codec", "mecb", "./-", "-o", "x.bf"]) == 0
    assert cli.main(["decode", "x.bf", "-o", "./-", "-f"]) == 0
    assert Path("-").stat().st_size == 9


@pytest.mark.parametrize(
    ("text", "count"),
    [("30000", 30000), ("10k", 10_000), ("10K", 10_000), ("1.5M", 1_500_000), ("200kB", 200_000), ("2g", 2 * 10**9),
     ("64KiB", 65_536), ("0.5MiB", 524_288), ("17b", 17), (" 5 k ", 5_000), ("1.0009k", 1000), (".5k", 500)],
)  # fmt: skip
def test_a_size_has_units(text, count):
    assert SIZE.convert(text, None, None) == count


@pytest.mark.parametrize("text", ["", "k", "ten", "-5", "0", "0.5", "1e9", "nan", "inf", "10x", "5i", "9" * 400, "٣"])
def test_no_size(text):
    with pytest.raises(click.UsageError) as caught:
        SIZE.convert(text, None, None)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "ten", "", "-0.1", "1.01"])
def test_no_number_of_a_range(text):
    with pytest.raises(click.UsageError):
        Number(0, 1).convert(text, None, None)


@pytest.mark.parametrize("option", ["--size", "--bpp", "--psnr", "-q", "--rate", "--seed"])
@pytest.mark.parametrize("value", ["inf", "nan", "-1", "9" * 5000, "", "1,5"])
def test_values_of_wrong_kinds_are_one_sentence(option, value, capsys):
    refused(["encode", "photo.png", option, value], capsys, option)


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "bitfloor", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("bitfloor ")


def completed(shell, words, monkeypatch, capsys):
    """What a shell is told may stand for the last of `words`."""
    monkeypatch.setenv(cli.COMPLETION_VARIABLE, f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(["bitfloor", *words]))
    monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words)))
    assert cli.main([]) == 0
    return capsys.readouterr().out.replace(",", "\n").split("\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_completes(shell, monkeypatch, capsys):
    told = lambda *words: completed(shell, words, monkeypatch, capsys)  # noqa: E731
    assert any(line.startswith("decode") for line in told("dec"))
    assert any(line.startswith("--recursive") for line in told("encode", "--rec"))
    assert any(line.startswith("--codecs") for line in told("bench", "--co"))
    assert any(line.startswith("hide") for line in told("couple", "hi"))
    assert any(line.startswith("mlicv2") for line in told("encode", "--codec", "ml"))
    assert "file" in told("decode", "x")


def test_bash_completes(tmp_path):
    """The printed script in a real bash, with a `bitfloor` that counts its calls in PATH."""
    program = tmp_path / "bitfloor"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m bitfloor "$@"\n')
    program.chmod(0o755)
    (tmp_path / "photo.bf").touch()
    script = """eval "$(bitfloor completion bash)"
    complete -p bitfloor
    COMP_WORDS=(bitfloor enc); COMP_CWORD=1; _bitfloor_completion bitfloor; echo "${COMPREPLY[@]}" """
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1].split() == ["encode"], done
    assert "_bitfloor_completion" in done.stdout


def test_completion_of_an_unknown_shell(monkeypatch, capsys):
    monkeypatch.setenv("SHELL", "/bin/csh")
    refused(["completion"], capsys, "bash, zsh, fish")
    monkeypatch.setenv(cli.COMPLETION_VARIABLE, "csh_source")
    refused([], capsys, "csh")
