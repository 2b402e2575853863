"""A group of commands one of which is meant where none is named."""

from __future__ import annotations

from typing import ClassVar

import click
from click.shell_completion import CompletionItem


class DefaultGroup(click.Group):
    """A group whose first word may also be an argument or option of the command called `default`."""

    default: ClassVar[str]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default's name in front of anything that is no subcommand and no call for help."""
        if args and args[0] not in {*self.list_commands(ctx), "-h", "--help"}:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the subcommands, and what the default could begin with."""
        found = super().shell_complete(ctx, incomplete)
        command = self.get_command(ctx, self.default)
        if command is None:
            return found
        own = click.Context(command, ctx, info_name=self.default)
        if incomplete.startswith("-"):
            more = command.shell_complete(own, incomplete)
        else:
            arguments = [param for param in command.params if isinstance(param, click.Argument)]
            more = arguments[0].shell_complete(own, incomplete) if arguments else []
        return [*found, *(item for item in more if item.value not in {known.value for known in found})]
