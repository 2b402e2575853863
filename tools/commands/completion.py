"""`bitfloor completion`: the script with which a shell completes commands, options and names."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ...errors import UsageError
from ..cli import complete
from ..console import common_options

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", required=False, type=click.Choice(SHELLS))
@common_options
def command(shell: str | None) -> None:
    """Print the script that completes in SHELL, else in the one that the variable SHELL names.

    \b
    bash, in ~/.bashrc:                    eval "$(bitfloor completion bash)"
    zsh, in ~/.zshrc after compinit:       eval "$(bitfloor completion zsh)"
    fish, in ~/.config/fish/config.fish:   bitfloor completion fish | source
    """
    shell = shell or Path(os.environ.get("SHELL", "")).name
    if shell not in SHELLS:
        raise UsageError(f"name the shell: {', '.join(SHELLS)}")
    complete(f"{shell}_source")
