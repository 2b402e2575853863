"""`bitfloor info`: what is in a compressed file, without its model and without torch."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ... import weights
from ...codecs.info import VOCABULARY, FileInfo, describe
from ...codecs.media.files import read_bytes
from ..console import common_options
from ..jobs import naming
from ..options import STREAM


@click.command()
@click.argument("file", type=STREAM)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@common_options
def command(file: Path, as_json: bool) -> None:
    """Say what is in the compressed FILE ("-" is standard input): header, parts, model, checks."""
    with naming(file):
        found = describe(read_bytes(file))
    click.echo(json.dumps(_as_dict(found), indent=2) if as_json else "\n".join(_lines(str(file), found)))


def _as_dict(found: FileInfo) -> dict[str, object]:
    return {
        "codec": found.codec,
        "codec_id": found.codec_id,
        "kind": found.kind,
        "model": found.model,
        "model_name": _model_name(found),
        "quality": found.quality,
        "lossless": found.lossless,
        "kept": list(found.kept),
        "fields": found.fields,
        "bytes": found.size,
        "bits_per_pixel": found.bits_per_pixel,
        "seconds": found.seconds,
        "kilobits_per_second": found.kilobits_per_second,
        "tokens": found.tokens,
        "vocabulary": VOCABULARY if found.tokens else None,
        "gain_db": found.gain_db,
        "overhead_bytes": found.overhead,
        "parts": found.parts,
        "crc": "good",
    }


def _model_name(found: FileInfo) -> str | None:
    """Return the name of the model that the file needs, None where it is not here."""
    names = [entry.name for entry in weights.entries() if entry.fingerprint.hex() == found.model]
    return names[0] if names else None


def _lines(name: str, found: FileInfo) -> list[str]:
    codec = found.codec or f"number {found.codec_id}, which this bitfloor does not have"
    lines = [name, f"  codec      {codec}"]
    if found.model:
        model = _model_name(found)
        here = f"{model}, which is here" if model else "which is not here: the file cannot be decoded"
        lines.append(f"  model      {found.model}, {here}")
    fields: dict[str, object] = dict(found.fields)
    if found.lossless:
        fields["form"] = f"{found.lossless}, every sample as it was; no network"
    if found.quality is not None:
        fields["quality"] = f"{found.quality:g}" if found.quality == round(found.quality, 2) else f"{found.quality:.3f}"
    if found.kept:
        fields["kept"] = ", ".join(found.kept)
    if found.seconds is not None:
        fields["samples"] = f"{found.fields['samples']} = {found.seconds:.3f} s"
    if found.tokens is not None:
        fields["tokens"] = f"{found.tokens:,}, each one of {VOCABULARY:,} at most"
    if found.gain_db is not None:
        fields["gain"] = f"{found.gain_db:+.1f} dB beside the level that the network codes at"
    lines += [f"  {key:<10} {value}" for key, value in fields.items()]
    rate = f" = {found.bits_per_pixel:.4f} bit/pixel" if found.bits_per_pixel else ""
    if found.kilobits_per_second:
        rate = f" = {found.kilobits_per_second:.3f} kbit/s"
    lines.append(f"  size       {found.size:,} bytes{rate}")
    lines += [f"    {part:<14} {size:>10,}" for part, size in found.parts.items()]
    lines.append("  checks     CRC-32 good; the latents check is done in decoding")
    return lines
