"""The package's errors. Each is one line for a person and carries the exit code of the command line."""

from __future__ import annotations


class BitfloorError(Exception):
    """Base of every error that a user can cause; `exit_code` is what the command line exits with."""

    exit_code = 1


class UsageError(BitfloorError):
    """The request itself makes no sense, or would overwrite something."""

    exit_code = 2


class UnreadableInputError(BitfloorError):
    """The input is missing or is no picture, sound or data that we read."""

    exit_code = 3


class CorruptStreamError(BitfloorError):
    """The compressed file is cut, damaged or not one of ours."""

    exit_code = 4


class ModelError(BitfloorError):
    """The model that a file needs is missing or is another one."""

    exit_code = 5


class TargetError(BitfloorError):
    """The size, rate or quality that was asked for cannot be reached."""

    exit_code = 6
