"""`bitfloor integrate`: .bf files known to the desktop, with thumbnails, and to `file`."""

from __future__ import annotations

import click

from ..console import common_options
from ..desktop import install, remove


@click.command()
@click.option("--remove", "taken_away", is_flag=True, help="Take away what was installed.")
@common_options
def command(taken_away: bool) -> None:
    """Tell your desktop of .bf files: their type, their thumbnails, and their name in `file`.

    Writes into your own folders only (~/.local/share and ~/.magic) and says what; --remove takes just that away.
    """
    if taken_away:
        said = remove()
        click.echo("\n".join(["removed:", *said]) if said else "nothing of bitfloor is there")
    else:
        click.echo("\n".join(["written:", *install()]))
