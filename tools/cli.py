"""The command `bitfloor`: finds the subcommand, and turns what goes wrong into one line and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import NoReturn

import click

from .. import __version__
from ..errors import BitfloorError
from .collector import collect_rarely
from .console import DEBUG, RESUME, common_options, error_line, open_missing_streams, setting
from .threads import wait_passively

# name -> one line of help; the command itself is `command` in the module `commands.NAME`, with "_" for "-".
# It is imported only when it runs, because most commands need torch and the list of commands does not.
COMMANDS = {
    "encode": "Compress pictures and speech.",
    "decode": "Bring compressed files back.",
    "info": "Say what is in a compressed file.",
    "view": "Show a compressed picture in the browser, beside another.",
    "bench": "Measure rate and distortion of any codecs.",
    "models": "List the models that are here.",
    "demo": "Encode and decode a photograph, and say what came of it.",
    "tokens": "Write speech as tokens.",
    "continue": "Turn tokens into sound, and go on from them.",
    "say": "Speak a text.",
    "couple": "Couple laws, hide messages in text, play coding games.",
    "train": "Train a network on folders of pictures or speech.",
    "integrate": "Tell your desktop of .bf files: type, thumbnails, `file`.",
    "thumbnail": "Write a small PNG of a compressed picture.",
    "completion": "Print the script that completes commands in your shell.",
}

EXIT_INTERRUPTED = 130
COMPLETION_VARIABLE = "_BITFLOOR_COMPLETE"


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they are called, not to list them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the subcommand; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f".commands.{cmd_name.replace('-', '_')}", __package__)
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from `COMMANDS` alone."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
@common_options
def cli() -> None:
    """Learned codecs whose files decode on every machine.

    `bitfloor COMMAND --help` explains a command. Exit status: 0 good, 2 wrong usage, 3 unreadable input,
    4 damaged file, 5 model missing or different, 6 target not reachable, 1 anything else.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; nothing but `SystemExit` is ever raised."""
    open_missing_streams()
    wait_passively()
    collect_rarely()
    _catch_signals()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name need not be text that the terminal has
    if COMPLETION_VARIABLE in os.environ:
        return complete(os.environ[COMPLETION_VARIABLE])
    try:
        with cli.make_context("bitfloor", list(sys.argv[1:] if args is None else args)) as context:
            status = _run(context)
    except click.exceptions.Exit as stop:  # --help, --version
        status = stop.exit_code
    except click.ClickException as error:
        status = _report_usage(error)
    except OSError as error:  # standard output does not take the help
        status = _report(error, False)
    return _flush(status)


def complete(instruction: str) -> int:
    """Answer a shell: `SHELL_source` prints its script, `SHELL_complete` what may follow."""
    from click.shell_completion import get_completion_class, shell_complete

    shell = instruction.partition("_")[0]
    if get_completion_class(shell) is None:
        error_line(f"there is no completion for {shell or 'this shell'}: only for bash, zsh and fish")
        return 2
    return shell_complete(cli, {}, "bitfloor", COMPLETION_VARIABLE, instruction)


def _run(context: click.Context) -> int:
    try:
        cli.invoke(context)
        return 0
    except (click.exceptions.Exit, click.ClickException):
        raise
    except (KeyboardInterrupt, click.Abort):
        hint = context.meta.get(RESUME)
        error_line(f"interrupted: {hint}" if hint else "interrupted")
        return EXIT_INTERRUPTED
    except SystemExit:
        raise
    except BaseException as error:  # constriction's panics are no `Exception`
        return _report(error, setting(context, DEBUG))


def _flush(status: int) -> int:
    """Write what waits for standard output, so that a full disk or a closed pipe shows here and not at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        sys.stdout = None  # or its flush at exit complains again
        return status or _report(error, False)
    return status


def _report(error: BaseException, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    if isinstance(error, BitfloorError):
        error_line(str(error))
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        return 1
    if isinstance(error, OSError):
        error_line(f"{error.filename or 'reading or writing failed'}: {error.strerror or error}")
        return 1
    if isinstance(error, MemoryError):
        error_line("out of memory")
        return 1
    hint = "" if debug else "; --debug shows where"
    error_line(f"unexpected {type(error).__name__}: {error}{hint}")
    return 1


def _report_usage(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    where = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        where = f" (see {error.ctx.command_path} --help)"
    error_line(error.format_message().rstrip(".") + where)
    return error.exit_code


def _catch_signals() -> None:
    """End as by an exception when another program or a closing terminal says so, so that temporary files go away."""
    if threading.current_thread() is not threading.main_thread():
        return
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, _terminate)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
