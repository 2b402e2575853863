"""`bitfloor models`: the models in the box and those found elsewhere, with where they come from."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from ... import weights
from ..console import common_options, note


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option("--presets", is_flag=True, help="List the networks of pictures that can be trained, instead.")
@common_options
def command(as_json: bool, presets: bool) -> None:
    """List the models that are here: size, training, measured points.

    Besides the shipped ones, those in the folders that the environment variable BITFLOOR_MODELS names.
    The first of a codec is its default. `--model` of other commands takes a name or a fingerprint of this list, a
    model file, or a folder with one model.

    --presets shows parameters, and multiplications for each pixel of encoding and decoding together. With --json it
    gives the configuration of each, too, which `bitfloor train --config` takes from a file.
    """
    if presets:
        _list_presets(as_json)
        return
    found = weights.entries()
    for entry in found:
        if others := weights.same_name(entry, found):
            places = ", ".join(str(other.path) for other in others)
            note(f"{entry.name} at {entry.path} has the name of {places}: choose it by its path")
    if as_json:
        click.echo(json.dumps([_as_dict(entry) for entry in found], indent=2))
    else:
        click.echo("\n\n".join("\n".join(_lines(entry)) for entry in found) or "no model is here")


def _list_presets(as_json: bool) -> None:
    from ...codecs.image.measure import cost_of
    from ...codecs.image.presets import all_presets
    from ...entropy_models.parts import tag_of, to_json

    costs = {name: (config, cost_of(config)) for name, config in all_presets().items()}
    if as_json:
        rows = [
            {
                "name": name,
                "parameters": cost.parameters,
                "macs_per_pixel": round(cost.macs_per_pixel),
                "config": json.loads(to_json(config)),
            }
            for name, (config, cost) in costs.items()
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    width = max(map(len, costs))
    click.echo(f"{'network':{width}}{'parameters':>12}{'kMAC/pixel':>12}  slices; transform, contexts")
    for name, (config, cost) in costs.items():
        parts = ", ".join(tag_of(part) for part in (config.transform, *config.slices.contexts))
        slices = " ".join(map(str, config.slices.channels))
        cells = f"{cost.parameters / 1e6:>10.2f} M{cost.macs_per_pixel / 1000:>12.1f}  {slices}; {parts}"
        click.echo(f"{name:{width}}{cells}")


def _as_dict(entry: weights.ModelEntry) -> dict[str, object]:
    return {
        "name": entry.name,
        "codec": entry.codec,
        "fingerprint": entry.fingerprint.hex(),
        "parameters": entry.parameters,
        "bytes": entry.size,
        "path": str(entry.path),
        "shipped": entry.shipped,
        "tune": entry.tune,
        "training": dict(entry.training),
        "points": [dict(point) for point in entry.points],
    }


def _lines(entry: weights.ModelEntry) -> Iterator[str]:
    yield f"{entry.name}  codec {entry.codec}, fingerprint {entry.fingerprint.hex()}"
    yield f"  {entry.parameters / 1e6:.1f} M parameters, {entry.size / 1e6:.1f} MB, " + (
        "in the package" if entry.shipped else str(entry.path)
    )
    if entry.tune != weights.TUNES[0]:
        yield f"  what `--tune {entry.tune}` takes"
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
