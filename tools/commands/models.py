"""`bitfloor models`: the models in the box and those found elsewhere, with where they come from."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from ... import weights
from ..console import common_options, note


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@common_options
def command(as_json: bool) -> None:
    """List the models that are here: size, training, measured points.

    Besides the shipped ones, those in the folders that the environment variable BITFLOOR_MODELS names.
    The first of a codec is its default. `--model` of other commands takes a name or a fingerprint of this list, a
    model file, or a folder with one model.
    """
    found = weights.entries()
    for entry in found:
        if others := weights.same_name(entry, found):
            places = ", ".join(str(other.path) for other in others)
            note(f"{entry.name} at {entry.path} has the name of {places}: choose it by its path")
    if as_json:
        click.echo(json.dumps([_as_dict(entry) for entry in found], indent=2))
    else:
        click.echo("\n\n".join("\n".join(_lines(entry)) for entry in found) or "no model is here")


def _as_dict(entry: weights.ModelEntry) -> dict[str, object]:
    return {
        "name": entry.name,
        "codec": entry.codec,
        "fingerprint": entry.fingerprint.hex(),
        "parameters": entry.parameters,
        "bytes": entry.size,
        "path": str(entry.path),
        "shipped": entry.shipped,
        "training": dict(entry.training),
        "points": [dict(point) for point in entry.points],
    }


def _lines(entry: weights.ModelEntry) -> Iterator[str]:
    yield f"{entry.name}  codec {entry.codec}, fingerprint {entry.fingerprint.hex()}"
    yield f"  {entry.parameters / 1e6:.1f} M parameters, {entry.size / 1e6:.1f} MB, " + (
        "in the package" if entry.shipped else str(entry.path)
    )
    for key, value in entry.training.items():
        yield f"  {key.replace('_', ' ')}: {_words(value)}"
    if entry.points:
        columns = list(entry.points[0])
        yield "  measured:"
        yield "  " + "".join(f"{column:>12}" for column in columns)
        for point in entry.points:
            yield "  " + "".join(f"{point.get(column, float('nan')):>12.4g}" for column in columns)


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_words(inner) for inner in value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
