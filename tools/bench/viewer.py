"""Pictures for the report's side-by-side viewer: every codec at the same rate, found by search."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .codecs import BenchCodec
from .html import data_uri
from .measure import Job, Outcome, Record, failure, for_page, read_picture
from .run import Plan, Runner
from .sources import Source
from .store import Key, Store

NATIVE = {
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
}  # what browsers decode themselves
LEVELS = 2
SEARCH_STEPS = 4
CLOSE = 0.02  # a rate within 2 % of the target is matched


@dataclass
class Task:
    """One codec on one picture near one rate; `points` are the (quality -> rate) known so far."""

    codec: BenchCodec
    source: Source
    target: float
    points: dict[float, float]

    @property
    def best(self) -> float:
        """The known quality whose rate is nearest to the target."""
        return min(self.points, key=lambda quality: abs(math.log(self.points[quality] / self.target)))

    def next(self) -> float | None:
        """The quality to try next; None where the target is met or cannot be met better."""
        if not self.codec.searchable or abs(self.points[self.best] / self.target - 1) <= CLOSE:
            return None
        return next_quality(list(self.points.items()), self.target, self.codec.whole_qualities)


def target_rates(records: Sequence[Record], levels: int = LEVELS) -> list[float]:
    """Rates, rounded, spread evenly on a log scale over what every codec reached."""
    by_codec: dict[str, list[float]] = {}
    for record in records:
        if record["status"] == "ok":
            by_codec.setdefault(record["codec"], []).append(record["rate"])
    if not by_codec:
        return []
    low = max(min(rates) for rates in by_codec.values())
    high = min(max(rates) for rates in by_codec.values())
    if low >= high:
        return [_rounded(low)]
    share = [(i + 0.5) / levels * 0.8 for i in range(levels)]  # not the top: there nobody sees a difference
    return sorted({_rounded(low * (high / low) ** s) for s in share})


def _rounded(rate: float) -> float:
    return float(f"{rate:.2g}")


def next_quality(points: Sequence[tuple[float, float]], target: float, whole: bool) -> float | None:
    """The quality to try next for `target`, from (quality, rate) points, by a line through log rate.

    None where the two points next to the target leave no untried quality between them, or it lies outside.
    """
    known = sorted(points)
    for (q0, r0), (q1, r1) in pairwise(known):
        if min(r0, r1) <= target <= max(r0, r1) and r0 != r1:
            share = (math.log(target) - math.log(r0)) / (math.log(r1) - math.log(r0))
            quality = q0 + (q1 - q0) * share
            if whole:
                quality = min(max(round(quality), math.floor(q0) + 1), math.ceil(q1) - 1)
                return None if quality <= q0 or quality >= q1 else float(quality)
            return quality if min(quality - q0, q1 - quality) > 1e-3 * (q1 - q0) else None
    return None


class Viewer:
    """Finds, encodes and packs the viewer's pictures for some pictures of a run."""

    def __init__(self, plan: Plan, store: Store, runner: Runner, records: Sequence[Record]) -> None:
        self.plan, self.store, self.runner, self.records = plan, store, runner, records

    def entries(self, count: int) -> list[dict[str, Any]]:
        """What the page needs, for at most `count` pictures that no codec failed on, spread over the run."""
        failed = {record["source"] for record in self.records if record["status"] != "ok"}
        good = [source for source in self.plan.sources if source.name not in failed]
        chosen = good[:: max(1, len(good) // count)][:count] if count > 0 else []
        tasks = [task for source in chosen for task in self._tasks(source)]
        for _ in range(SEARCH_STEPS):
            wanted = [(task, quality) for task in tasks if (quality := task.next()) is not None]
            if not wanted:
                break
            found = self._make([(task.codec, task.source, quality) for task, quality in wanted])
            for (task, quality), outcome in zip(wanted, found, strict=True):
                if outcome.record["status"] == "ok":
                    task.points[quality] = outcome.record["rate"]
        items = self._pack(tasks)
        return [
            self._entry(source, [i for i in zip(tasks, items, strict=True) if i[0].source is source])
            for source in chosen
        ]

    def _tasks(self, source: Source) -> Iterator[Task]:
        records = [record for record in self.records if record["source"] == source.name]
        for target in target_rates(records):
            for codec in self.plan.codecs:
                points = {record["quality"]: record["rate"] for record in records if record["codec"] == codec.label}
                yield Task(codec, source, target, points)

    def _entry(self, source: Source, items: Sequence[tuple[Task, dict[str, Any] | None]]) -> dict[str, Any]:
        original = read_picture(source.path.read_bytes(), str(source.path))
        targets: dict[float, list[dict[str, Any]]] = {}
        for task, item in items:
            targets.setdefault(task.target, []).extend([item] if item else [])
        return {
            "name": source.path.name,
            "original": data_uri(for_page(original), "image/avif"),
            "width": original.width,
            "height": original.height,
            "targets": [{"rate": rate, "items": shown} for rate, shown in targets.items()],
        }

    def _key(self, codec: BenchCodec, source: Source, quality: float) -> Key:
        return Key(codec.label, codec.version, quality, source.name, source.sha256, self.plan.metrics)

    def _make(self, wanted: Sequence[tuple[BenchCodec, Source, float]], keep: bool = False) -> list[Outcome]:
        """Measure each of `wanted` as the run does; stored results serve unless decoded pictures are kept."""
        jobs: dict[Job, tuple[BenchCodec, Key]] = {}
        for codec, source, quality in wanted:
            key = self._key(codec, source, quality)
            if keep or self.store.load(key) is None:
                job = Job(codec.spec, quality, str(source.path), "picture", self.plan.metrics, 1, keep_decoded=keep)
                jobs[job] = codec, key
        fresh: dict[Key, Outcome] = {}
        for job, outcome in self.runner.outcomes(list(jobs)):
            codec, key = jobs[job]
            fresh[key] = outcome
            if self.store.load(key) is None:
                self.store.save(key, outcome.record, outcome.data, codec.suffix)
        return [
            fresh.get(key) or self._stored(key, codec) for codec, key in ((c, self._key(c, s, q)) for c, s, q in wanted)
        ]

    def _stored(self, key: Key, codec: BenchCodec) -> Outcome:
        record = self.store.load(key) or failure("its record was removed during the run")
        try:
            return Outcome(record, self.store.file_path(key, codec.suffix).read_bytes())
        except OSError as error:
            return Outcome(failure(str(error)))

    def _pack(self, tasks: Sequence[Task]) -> list[dict[str, Any] | None]:
        """The best picture of each task: the file itself where a browser reads it, else the decoded one."""
        native = [is_native(task.codec) for task in tasks]
        packed: dict[int, Outcome] = {}
        for keep in (False, True):
            places = [i for i, shown_as_is in enumerate(native) if shown_as_is is not keep]
            wanted = [(tasks[i].codec, tasks[i].source, tasks[i].best) for i in places]
            packed.update(zip(places, self._make(wanted, keep=keep), strict=True))
        return [_item(task, packed[i], native[i]) for i, task in enumerate(tasks)]


def is_native(codec: BenchCodec) -> bool:
    """Whether a browser decodes the codec's files itself, as its own decoder does."""
    return codec.suffix in NATIVE and not codec.spec.startswith("exec:")


def _item(task: Task, outcome: Outcome, native: bool) -> dict[str, Any] | None:
    record = outcome.record
    if record["status"] != "ok":
        return None
    metrics = record["metrics"]
    uri = data_uri(outcome.data, NATIVE[task.codec.suffix]) if native else data_uri(outcome.decoded, "image/avif")
    kept = {"quality": task.best, "rate": record["rate"], "bytes": record["bytes"], "uri": uri}
    return {"codec": task.codec.label, **kept, "psnr": metrics.get("psnr"), "ms_ssim": metrics.get("ms_ssim")}
