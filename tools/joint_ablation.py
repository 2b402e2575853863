"""{structural entropy, k-means} codebook x {structural, nearest} rule, with the networks trained on each of the four.

    python -m bitfloor.tools.joint_ablation speech-train.json --network TRAINED --test speech-test -o ablation.csv

What SECodec's paper claims and does not show. Encoder and decoder of a trained codec go on training four times (same
seed, data and steps) with codebooks found anew, differing in how layer 1 finds its codebook and how frames find their
codes; the other layers are k-means with the nearest centroid everywhere. k-means gets as many codes as make its bits
those of structural entropy under the same rule. Bits are those of range-coded test files, with probabilities from
training; sounds are decoded from one layer and from four.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch

from ..codecs.media.sound import Sound
from ..codecs.secodec.frames import pad_to_frames
from ..codecs.secodec.model import PRESETS, SECodecNetwork
from ..entropy_models.coding.range_coder import RangeEncoder
from ..entropy_models.coding.tables import tables_from_pmfs
from ..entropy_models.structural import Rule
from .bench.sound_metrics import choose_sound_metrics, measure_sound
from .bench.sounds import SOUND_SUFFIXES, read_sound
from .options import PATH, POSITIVE, PathName
from .training.export_secodec import load_network
from .training.loop import Budget, Trainer
from .training.secodec import SECodecTask, extraction_plan

LAYERS = (1, 4)  # that sounds are decoded from
CODEBOOKS = ("structural entropy", "k-means")
RULES: tuple[Rule, ...] = ("structural", "nearest")
METRICS = ("pesq", "stoi", "si_sdr", "log_mel")
# Bits of k-means codes of speech as a share of log2 K, measured with this very command.
KMEANS_EFFICIENCY: dict[Rule, float] = {"structural": 0.943, "nearest": 0.966}


@click.command()
@click.argument("places", nargs=-1, required=True, type=PathName(exists=True))
@click.option("--network", required=True, type=PathName(exists=True), help="Its training folder.")
@click.option("--preset", default="small", show_default=True)
@click.option("--test", required=True, type=PathName(exists=True), help="Folder of other speakers.")
@click.option("--rule", "rules", multiple=True, type=click.Choice(RULES), default=RULES, show_default=True)
@click.option("--steps", default=300, show_default=True)
@click.option("--batch", default=16, show_default=True, help="Clips in a step.")
@click.option("--lr", type=POSITIVE, default=3e-4, show_default=True, help="Peak learning rate.")
@click.option("--neighbours", default=10, show_default=True, help="In the graph of structural entropy.")
@click.option("--seed", default=0, show_default=True, help="Of data and codebooks; another one shows what chance does.")
@click.option("-o", "--out", type=PATH, default=Path("ablation.csv"), show_default=True)
def command(
    places: tuple[Path, ...],
    network: Path,
    preset: str,
    test: Path,
    rules: tuple[Rule, ...],
    steps: int,
    batch: int,
    lr: float,
    neighbours: int,
    seed: int,
    out: Path,
) -> None:
    """Train the four and write one row for each; rows that are there are not made again."""
    sounds = [read_sound(path) for path in sorted(test.iterdir()) if path.suffix in SOUND_SUFFIXES]
    done = {(row["codebook"], row["rule"]): row for row in _rows(out)}
    for rule in rules:
        for codebook in CODEBOOKS:
            if (codebook, rule) in done:
                continue
            codes = None
            if codebook == "k-means":
                bits = float(done[CODEBOOKS[0], rule]["bits1"])
                codes = round(2 ** (bits / KMEANS_EFFICIENCY[rule]))
            plan = extraction_plan(PRESETS[preset], codes, neighbours)
            torch.manual_seed(seed)
            task = SECodecTask(PRESETS[preset], places, batch=batch, plan=plan, rule=rule)
            take_networks(task.network, load_network(network, preset))
            budget = Budget(steps=steps, lr=lr, warmup=30, seed=seed)
            trainer = Trainer(task, budget, out.with_suffix("") / f"{codebook}-{rule}")
            trainer.run()
            task.network.load_state_dict(trainer.average)
            row = {"codebook": codebook, "rule": rule, "codes": str(task.network.quantiser.sizes[0])}
            row |= {k: f"{v:.5g}" for k, v in judge(task.network.eval(), sounds, rule).items()}
            done[codebook, rule] = row
            _write(out, list(done.values()))
            click.echo(row)


def take_networks(network: SECodecNetwork, trained: SECodecNetwork) -> None:
    """Encoder and decoder of `trained`; the quantiser stays without codebooks, so that training finds them."""
    network.encoder.load_state_dict(trained.encoder.state_dict())
    network.decoder.load_state_dict(trained.decoder.state_dict())


@torch.inference_mode()
def judge(network: SECodecNetwork, sounds: Sequence[Sound], rule: Rule) -> dict[str, float]:
    """For each number of layers in `LAYERS`: bits a frame, and the means of every metric."""
    metrics = choose_sound_metrics(METRICS)
    most = max(LAYERS)
    bits, frames = np.zeros(most), 0
    figures: dict[int, list[dict[str, float | None]]] = {count: [] for count in LAYERS}
    for sound in sounds:
        waveform = torch.from_numpy(sound.samples)[None]
        latents = network.encode(pad_to_frames(waveform, network.config.hop))
        codes = network.quantiser(latents, torch.tensor([most]), rule).codes[0, :, :most]
        bits += [coded_bits(network, codes, layer) for layer in range(most)]
        frames += len(codes)
        for count, found in figures.items():
            decoded = network.decode(codes[None, :, :count], waveform.shape[1])[0].numpy()
            found.append(measure_sound(sound, Sound(decoded, sound.rate), metrics))
    result = {}
    for count, found in figures.items():
        result[f"bits{count}"] = bits[:count].sum() / frames
        result |= {f"{name}{count}": float(np.mean([f[name] for f in found])) for name in metrics}
    return result


def coded_bits(network: SECodecNetwork, codes: torch.Tensor, layer: int) -> int:
    """Bits of the file that a range coder makes of one layer of codes (F, L), without a header."""
    share = network.quantiser.shares(layer) + 1e-6
    tables = tables_from_pmfs([share / share.sum()], [0])
    encoder = RangeEncoder()
    symbols = codes[:, layer].numpy().astype(np.int32)
    encoder.encode(symbols, np.zeros(len(symbols), np.int32), tables)
    return 8 * len(encoder.finish())


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    command()
