"""Speech with its text made ready to train SESLM on: tokens of the speech codec, phones and how long each lasts.

    sound --SECodec--> codes (F, L)            \
    text --words--> pronunciations --aligner--> phones with durations in frames, F in all --> one safetensors file

The aligner is PocketSphinx with its own English model; which of a word's pronunciations was said, it decides. What it
cannot align is left out and counted.

    python -m bitfloor.tools.training.aligned_speech TRANSCRIPTS.tsv -o aligned.safetensors
"""

from __future__ import annotations

import csv
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from ...codecs.secodec.codec import SECodecCodec
from ...codecs.secodec.spectrum import SAMPLE_RATE
from ...codecs.seslm.pronunciation import NUMBER_OF, SILENCE, pronounce
from ...codecs.seslm.text import PAUSES, words
from ...errors import BitfloorError, UnreadableInputError, UsageError
from .speech import load_waveform, to_float

FORMAT = "bitfloor aligned speech 1"
COLUMNS = {"file", "source", "speaker", "confidence", "text"}
TRUSTED = ("exact", "high")  # confidence in a transcript that is good enough
_ALIGNER_RATE = 100  # frames a second
_BEAM = 1e-80
_TOGETHER = 32  # sounds that the codec encodes at once


@dataclass(frozen=True)
class AlignedUtterance:
    """One utterance.

    Attributes:
        codes: (F, L) int64.
        phones: (P,) int64, numbers in the alphabet.
        begins: (P,) bool, where a word begins.
        durations: (P,) int64, frames of each phone: at least 1, F in all.
    """

    name: str
    source: str
    speaker: str
    codes: Tensor
    phones: Tensor
    begins: Tensor
    durations: Tensor


def frames_of(starts: Sequence[int], frames: int, ratio: float) -> np.ndarray | None:
    """Durations (P,) in frames of phones that start at `starts` (P,) in units of 1/`ratio` frames; None if too short.

    Every phone has at least one frame; the first starts at 0 and the last ends at `frames`.
    """
    if len(starts) > frames:
        return None
    edges = np.round(np.asarray(starts, dtype=np.float64) * ratio).astype(np.int64)
    edges[0] = 0
    for place in range(1, len(edges)):  # forward, then backward: no two at one place
        edges[place] = max(edges[place], edges[place - 1] + 1)
    last = frames
    for place in range(len(edges) - 1, -1, -1):
        edges[place] = min(edges[place], last - 1)
        last = edges[place]
    return np.diff(edges, append=frames)


def _lexicon(texts: Sequence[str]) -> tuple[str, dict[str, tuple[str, ...]]]:
    """The aligner's dictionary of all words, and the pronunciation with stresses behind every name in it."""
    names = {}
    for word in sorted({word for text in texts for word in words(text)} - set(PAUSES)):
        for number, sounds in enumerate(pronounce(word)):
            names[word if number == 0 else f"{word}({number + 1})"] = sounds
    lines = [f"{name} {' '.join(re.sub('[0-9]', '', phone) for phone in sounds)}" for name, sounds in names.items()]
    return "\n".join(lines) + "\n", names


@cache
def _aligner(lexicon: str) -> Any:
    from pocketsphinx import Decoder

    beams = dict.fromkeys(("beam", "wbeam", "pbeam"), _BEAM)
    return Decoder(loglevel="FATAL", dict=lexicon, bestpath=False, cmn="batch", **beams)


def align(path: Path, text: str, lexicon: str, names: Mapping[str, tuple[str, ...]]) -> list[tuple[str, bool, int]]:
    """Phone, whether it begins a word, and its start in 1/100 s, for all that is said; empty where it fails."""
    aligner = _aligner(lexicon)
    samples = load_waveform(path).tobytes()
    try:
        aligner.set_align_text(" ".join(word for word in words(text) if word not in PAUSES))
        for again in (False, True):
            if again:
                aligner.set_alignment()
            aligner.start_utt()
            aligner.process_raw(samples, full_utt=True)
            aligner.end_utt()
        found = []
        for word in aligner.get_alignment():
            if word.name in names:
                phones = list(word)
                if len(phones) != len(names[word.name]):
                    return []
                pairs = zip(phones, names[word.name], strict=True)
                found += [(name, place == 0, phone.start) for place, (phone, name) in enumerate(pairs)]
            else:
                found.append((SILENCE, False, word.start))
    except (RuntimeError, TypeError):
        return []
    return found if any(phone != SILENCE for phone, _, _ in found) else []


def _aligned(job: tuple[Path, str, str, Mapping[str, tuple[str, ...]]]) -> list[tuple[str, bool, int]]:
    return align(*job)


def _codes(codec: SECodecCodec, paths: Sequence[Path]) -> Iterator[Tensor]:
    for start in range(0, len(paths), _TOGETHER):
        waveforms = [to_float(load_waveform(path)) for path in paths[start : start + _TOGETHER]]
        batch = codec.encode_batch(waveforms, sample_rate=SAMPLE_RATE, rule="nearest")
        for tokens, mask in zip(batch.tokens, batch.mask, strict=True):
            yield tokens[:, mask].T.clone()


def save(path: Path, utterances: Sequence[AlignedUtterance], fingerprint: bytes) -> None:
    """Write utterances to one file; `fingerprint` is that of the speech codec's model."""
    tensors = {
        "codes": torch.cat([u.codes for u in utterances]).to(torch.int16),
        "phones": torch.cat([u.phones for u in utterances]).to(torch.uint8),
        "begins": torch.cat([u.begins for u in utterances]).to(torch.uint8),
        "durations": torch.cat([u.durations for u in utterances]).to(torch.int16),
        "frame_counts": torch.tensor([len(u.codes) for u in utterances]),
        "phone_counts": torch.tensor([len(u.phones) for u in utterances]),
    }
    about = json.dumps([(u.name, u.source, u.speaker) for u in utterances])
    save_file(tensors, path, metadata={"format": FORMAT, "utterances": about, "codec": fingerprint.hex()})


def read(path: Path) -> tuple[list[AlignedUtterance], bytes]:
    """The utterances of a file that `save` wrote, and the fingerprint of the codec. Raises UnreadableInputError."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise UnreadableInputError(f"{path} is no file of aligned speech of this version")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except (OSError, SafetensorError) as error:
        raise UnreadableInputError(f"cannot read {path} as aligned speech: {error}") from None
    frames, phones = tensors["frame_counts"].tolist(), tensors["phone_counts"].tolist()
    split = zip(
        json.loads(metadata["utterances"]),
        tensors["codes"].long().split(frames),
        tensors["phones"].long().split(phones),
        tensors["begins"].bool().split(phones),
        tensors["durations"].long().split(phones),
        strict=True,
    )
    return [AlignedUtterance(*about, *rest) for about, *rest in split], bytes.fromhex(metadata["codec"])


def recoded(utterances: Sequence[AlignedUtterance], codes_of: Callable[[str], Tensor]) -> list[AlignedUtterance]:
    """The utterances with another codec's codes (F, L), which `codes_of` gives for a name.

    What was said when stays, so the aligner need not be asked again. Raises UsageError where F is another.
    """
    changed = []
    for utterance in utterances:
        codes = codes_of(utterance.name)
        if len(codes) != len(utterance.codes):
            lengths = f"{len(codes)} frames, not {len(utterance.codes)}"
            raise UsageError(f"{utterance.name} has {lengths}: the codec's frames are of another length")
        changed.append(replace(utterance, codes=codes))
    return changed


def prepare(transcripts: Path, out: Path, codec: SECodecCodec, most: int | None = None) -> tuple[int, int]:
    """Write what can be aligned of a table with the columns file, source, speaker, confidence and text.

    Files are relative to the table. Returns how many utterances were written and how many left out.
    """
    with transcripts.open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file, delimiter="\t")
        if missing := COLUMNS - set(table.fieldnames or ()):
            raise UnreadableInputError(f"{transcripts} has no column {', '.join(sorted(missing))}, divided by tabs")
        rows = [row for row in table if row["confidence"] in TRUSTED][:most]
    paths = [transcripts.parent / row["file"] for row in rows]
    lexicon, names = _lexicon([row["text"] for row in rows])
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1) as pool:
        place = Path(folder) / "words.dict"
        place.write_text(lexicon)
        jobs = [(path, row["text"], str(place), names) for path, row in zip(paths, rows, strict=True)]
        alignments = pool.map(_aligned, jobs)
        codes = list(tqdm(_codes(codec, paths), total=len(paths), desc="tokens", mininterval=5))
        made = []
        for row, tokens, said in zip(rows, codes, tqdm(alignments, total=len(rows), desc="phones"), strict=True):
            starts = [start for _, _, start in said]
            durations = frames_of(starts, len(tokens), codec.frame_rate / _ALIGNER_RATE) if said else None
            if durations is not None:
                numbers = torch.tensor([NUMBER_OF[phone] for phone, _, _ in said])
                begins = torch.tensor([begin for _, begin, _ in said])
                about = (row["file"], row["source"], row["speaker"])
                made.append(AlignedUtterance(*about, tokens, numbers, begins, torch.from_numpy(durations)))
    save(out, made, codec.fingerprint)
    return len(made), len(rows) - len(made)


def encode_anew(aligned: Path, folder: Path, out: Path, codec: SECodecCodec) -> int:
    """Write the utterances of the file `aligned`, with sounds below `folder`, in this codec's codes; how many."""
    utterances, _ = read(aligned)
    paths = [folder / utterance.name for utterance in utterances]
    codes = tqdm(_codes(codec, paths), total=len(paths), desc="tokens", mininterval=5)
    known = dict(zip((utterance.name for utterance in utterances), codes, strict=True))
    save(out, recoded(utterances, known.__getitem__), codec.fingerprint)
    return len(utterances)


@click.command()
@click.argument("transcripts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True)
@click.option("--most", type=int, help="Only the first so many utterances.")
@click.option(
    "--aligned",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with another codec's tokens: its phones and durations are kept, nothing is aligned.",
)
def main(transcripts: Path, out: Path, most: int | None, aligned: Path | None) -> None:
    """Write the speech of a table of transcripts as a file to train SESLM on."""
    try:
        if aligned is not None:
            click.echo(f"{out}: {encode_anew(aligned, transcripts.parent, out, SECodecCodec.load())} utterances")
            return
        if find_spec("pocketsphinx") is None:
            raise click.ClickException("speech is aligned by PocketSphinx: pip install pocketsphinx")
        written, left_out = prepare(transcripts, out, SECodecCodec.load(), most)
    except BitfloorError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{out}: {written} utterances, {left_out} left out")


if __name__ == "__main__":
    main()
