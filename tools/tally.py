"""What comes of many files: counted as they are done, errors said at once, a line at the end."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import BitfloorError
from .console import DEBUG, error_line, note, resume_hint, setting


class Tally:
    """Counts `total` files; the command ends with the code of the first failure."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.there, self.code = total, 0, 0, 0

    @property
    def failed(self) -> int:
        """Files that are neither done nor there already, once all have been tried."""
        return self.total - self.done - self.there

    def hint(self) -> None:
        """Say how to go on, in case the person interrupts what follows."""
        resume_hint(f"{self.done} of {self.total} files are done; --skip-existing goes on with the others")

    def fail(self, source: Path, error: Exception) -> None:
        """Say what went wrong with a file; raises what is no error of a user's where --debug was given."""
        if isinstance(error, BitfloorError):
            error_line(str(error))
            self.code = self.code or error.exit_code
            return
        if setting(click.get_current_context(silent=True), DEBUG):
            raise error
        error_line(f"{source}: unexpected {type(error).__name__}: {error}; --debug shows where")
        self.code = self.code or 1

    def close(self, words: str) -> None:
        """Say `words` with what was left out, and end the command where a file failed."""
        parts = [words]
        parts += [f"{self.there:,} there already"] if self.there else []
        parts += [f"{self.failed:,} failed"] if self.failed else []
        note("; ".join(parts))
        if self.code:
            click.get_current_context().exit(self.code)
