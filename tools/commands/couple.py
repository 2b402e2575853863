"""`bitfloor couple`: couplings of laws; its subcommands hide messages and play coding games."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import click

from ...codecs.media.files import check_output
from ...errors import UsageError
from ..console import common_options, note
from ..groups import DefaultGroup
from ..options import PATH, SEED, STREAM, Number

UNUSED_BITS = 0.01
"""How much of the rate a function may leave unused before the command says so."""
SUBCOMMANDS = {
    "laws": "Couple laws from files (what `couple P.csv Q.csv` does).",
    "hide": "Hide a message in text that looks like another text.",
    "reveal": "Read a hidden message.",
    "game": "Play Markov coding games under a rate limit.",
    "table1": "Repeat Table 1 of the MEC-B paper.",
}


class CoupleGroup(DefaultGroup):
    """A group whose subcommands are imported when they run; what names none of them is `laws`."""

    default = "laws"

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of `SUBCOMMANDS`."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the subcommand; None where there is none of that name."""
        modules = {"game": "couple_game", "hide": "couple_hiding", "reveal": "couple_hiding"}
        if cmd_name in modules:
            found: click.Command = getattr(import_module(f".{modules[cmd_name]}", __package__), cmd_name)
            return found
        return {"laws": laws, "table1": table1}.get(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands from `SUBCOMMANDS` alone."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group(cls=CoupleGroup, context_settings={"help_option_names": ["-h", "--help"]})
@common_options
def command() -> None:
    """Couple probability laws: make them the marginals of one joint law of little entropy.

    `bitfloor couple P.csv Q.csv` prints the coupling; `bitfloor couple laws --help` has its options.
    """


@click.command()
@click.argument("files", metavar="P Q...", nargs=-1, required=True, type=STREAM)
@click.option("--bottleneck", type=Number(), metavar="R", help="Couple through a T of at most R bits.")
@click.option(
    "--exact/--function",
    default=None,
    help="With --bottleneck: split a symbol to use the whole rate, or not at all. [the better of the two]",
)
@click.option("--counts", is_flag=True, help="The files hold masses of any sum.")
@click.option("--all", "every", is_flag=True, help="Print every cell.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", type=PATH, help="Draw it (.png, .svg, .pdf).")
@click.option("-f", "--force", is_flag=True, help="Overwrite the drawing.")
@common_options
def laws(
    *,
    files: tuple[Path, ...],
    bottleneck: float | None,
    exact: bool | None,
    counts: bool,
    every: bool,
    as_json: bool,
    plot: Path | None,
    force: bool,
) -> None:
    """Couple two or more laws: files with a number a line, CSV (last column), JSON or .npy."""
    from ..coupling import report as reports
    from ..coupling.law_files import read_law

    if len(files) < 2:
        raise UsageError("a coupling needs at least two laws: name two files")
    if bottleneck is not None and len(files) != 2:
        raise UsageError(f"--bottleneck couples two laws, not {len(files)}")
    if exact is not None and bottleneck is None:
        raise UsageError(f"{'--exact' if exact else '--function'} is for --bottleneck")
    if plot is not None:
        from ..coupling.plots import check_plot

        check_plot(plot)
        check_output(plot, force, *files)
        if len(files) != 2:
            raise UsageError(f"--plot draws two laws, not {len(files)}")
    given = [read_law(file, counts) for file in files]
    names = [file.stem or str(file) for file in files]
    if bottleneck is None:
        from ...entropy_models.coupling import greedy_coupling

        coupling = greedy_coupling(*given)
        report = reports.coupling_report(given, coupling)
        text = reports.coupling_text(report, names, every)
    else:
        from ...entropy_models.coupling import bottleneck_coupling
        from ...entropy_models.coupling.mecb import EncoderMethod

        method: EncoderMethod = "best" if exact is None else "exact" if exact else "greedy"
        found = bottleneck_coupling(given[0], given[1], bottleneck, method, "best")
        report = reports.bottleneck_report(given, bottleneck, found)
        text = reports.bottleneck_text(report, names, every)
        if exact is False and found.rate < min(bottleneck, report["source_entropy"]) - UNUSED_BITS:
            note(f"H(T) is {found.rate:.3f} of {bottleneck:g} bits: a function can have no more here, --exact can")
    click.echo(json.dumps(report) if as_json else text)
    if plot is not None:
        from ..coupling import plots

        drawn = plots.draw_coupling(coupling, names) if bottleneck is None else plots.draw_bottleneck(found, names)
        plots.save_figure(drawn, plot, force)
        note(f"drawn: {plot}")


@click.command()
@click.option("--simulations", default=100, show_default=True, type=click.IntRange(1))
@click.option("--size", default=20, show_default=True, type=click.IntRange(1, 4096), help="Symbols of a marginal.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common_options
def table1(simulations: int, size: int, seed: int, as_json: bool) -> None:
    """Repeat Table 1 of the MEC-B paper: joint entropies of random pairs of laws, in nats.

    The paper does not say its marginals; ours are normalised |N(0,1)| masses.
    """
    from ..coupling.report import TABLE_1_PAPER, table_1

    rows = table_1(simulations, size, seed)
    if as_json:
        click.echo(json.dumps(rows))
        return
    for name, row in rows.items():
        paper = TABLE_1_PAPER.get(name)
        beside = f"   paper {paper[0]:.3f} ± {paper[1]:.3f}" if paper else ""
        click.echo(f"{name:20}{row['mean']:.3f} ± {row['deviation']:.3f}{beside}")
