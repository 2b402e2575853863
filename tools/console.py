"""What the command line says to a person: everything on standard error, data alone on standard output."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar

import click

QUIET, VERBOSE, DEBUG = "bitfloor.quiet", "bitfloor.verbose", "bitfloor.debug"
RESUME = "bitfloor.resume"
LONGEST_LINE = 1000

_kept: list[list[str]] = []  # what is said, where another process says it; the last one listens

Function = TypeVar("Function", bound=Callable[..., Any])


def common_options(function: Function) -> Function:
    """Add -v, --quiet and --debug to a command; `note`, `detail` and the loggers obey them."""
    for name, options, text in (
        (DEBUG, ("--debug",), "Show the whole traceback of an error."),
        (QUIET, ("--quiet",), "Say nothing but errors."),
        (VERBOSE, ("-v", "--verbose"), "Say more."),
    ):
        function = click.option(*options, is_flag=True, expose_value=False, callback=_remember(name), help=text)(
            function
        )
    return function


def _remember(name: str) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(context: click.Context, parameter: click.Parameter, value: bool) -> None:
        context.meta[name] = context.meta.get(name, False) or value
        _set_up_logging(context)

    return callback


def setting(context: click.Context | None, name: str) -> bool:
    """Tell whether QUIET, VERBOSE or DEBUG was asked for."""
    return bool(context and context.meta.get(name))


def _set_up_logging(context: click.Context) -> None:
    logger = logging.getLogger("bitfloor")
    if not any(isinstance(handler, _Lines) for handler in logger.handlers):
        logger.addHandler(_Lines())
        logger.propagate = False
    quiet, verbose = setting(context, QUIET), setting(context, VERBOSE)
    logger.setLevel(logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        error_line(record.getMessage())


def open_missing_streams() -> None:
    """Open the null device in place of standard input, output and error that are closed, as after `2>&-`.

    The next file would get their numbers, and what a library prints would land in a person's file. `sys.stdin` and
    `sys.stdout` stay None, so that "-" can be refused.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - as long as the process lives


@contextmanager
def speaking_for(settings: Mapping[str, bool]) -> Iterator[list[str]]:
    """In a worker process: keep what is said for the command's own process to say, under that command's settings."""
    _kept.append([])
    try:
        with click.Context(click.Command("worker")) as context:
            context.meta.update(settings)
            _set_up_logging(context)
            yield _kept[-1]
    finally:
        _kept.pop()


def settings() -> dict[str, bool]:
    """Which of QUIET, VERBOSE and DEBUG were asked for."""
    context = click.get_current_context(silent=True)
    return {name: setting(context, name) for name in (QUIET, VERBOSE, DEBUG)}


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person sits at a standard stream, which is None where it is closed."""
    return stream is not None and stream.isatty()


def say(text: str) -> None:
    """Write a line to standard error, above a progress bar where there is one.

    Nobody may be there to read it; the work goes on.
    """
    if _kept:
        _kept[-1].append(text)
        return
    try:
        if "tqdm" in sys.modules:
            sys.modules["tqdm"].tqdm.write(text, file=sys.stderr)
        else:
            click.echo(text, err=True)
    except OSError:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - as long as the process lives


def error_line(text: str) -> None:
    """Write one line that says what is wrong, whatever line breaks and endless values a message brought along."""
    line = " ".join(text.split())
    if len(line) > LONGEST_LINE:
        line = f"{line[: LONGEST_LINE // 2]} … {line[-LONGEST_LINE // 2 :]}"
    say(f"bitfloor: {line}")


def resume_hint(text: str) -> None:
    """Say how to go on, in case the person interrupts what follows."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[RESUME] = text


def note(text: str) -> None:
    """Say something that belongs to the result; silent with --quiet."""
    if not setting(click.get_current_context(silent=True), QUIET):
        say(text)


def detail(text: str) -> None:
    """Say something that only -v asks for."""
    context = click.get_current_context(silent=True)
    if setting(context, VERBOSE) and not setting(context, QUIET):
        say(text)
