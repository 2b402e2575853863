"""A whole run: which measurements are missing, who makes them, and what came of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from ...errors import UsageError
from ..pool import Pool, cores
from ..threads import wished_threads
from .codecs import BenchCodec, Kind, make
from .measure import Job, Outcome, Record, failure, measure
from .sources import Source
from .store import Key, Store
from .words import Listening, official_text


@dataclass(frozen=True)
class Options:
    """How a run is carried out; nothing here changes what a good measurement says, but for the times."""

    jobs: int = 1
    scheduler: str = ""
    repeats: int = 3
    timeout_s: float = 1800.0
    progress: bool = True
    fresh: bool = False

    @property
    def threads(self) -> int:
        """Threads that torch may use in one worker: the person's wish, or so that all workers use every core once."""
        return wished_threads() or max(1, cores() // max(1, self.jobs))


@dataclass(frozen=True)
class Plan:
    """What to measure: every source with every codec at each of its qualities."""

    kind: Kind
    sources: Sequence[Source]
    codecs: Sequence[BenchCodec]
    qualities: Mapping[str, tuple[float, ...]]
    metrics: tuple[str, ...]
    bad_sources: Sequence[tuple[Path, str]] = ()
    whisper: Path | None = None  # the recogniser's folder, for word error rates

    def listening(self, source: Source) -> Listening | None:
        """How the words of a source are counted; None where they are not."""
        if "wer" not in self.metrics or self.whisper is None:
            return None
        return Listening(str(self.whisper.resolve()), official_text(source.path))


@dataclass
class Results:
    """Every record of a run, the failed ones among them, in the order of the plan."""

    records: list[Record] = field(default_factory=list)
    reused: int = 0

    @property
    def failed(self) -> list[Record]:
        """The records without a number."""
        return [record for record in self.records if record["status"] != "ok"]


def make_plan(
    kind: Kind,
    sources: Sequence[Source],
    *,
    specs: Sequence[str],
    qualities: Mapping[str, tuple[float, ...]],
    metrics: tuple[str, ...],
    bad_sources: Sequence[tuple[Path, str]] = (),
    whisper: Path | None = None,
) -> Plan:
    """Check the codecs and their qualities before long work starts; "" in `qualities` holds for every codec.

    Raises UsageError for an unknown codec, one of the other kind, or two of the same name.
    """
    codecs = []
    for spec in specs:
        codec = make(spec)
        if spec.startswith("exec:"):
            codec.kind = kind
        if codec.kind != kind:
            raise UsageError(f"codec {codec.label!r} is for {codec.kind}s, but the inputs are {kind}s")
        codecs.append(codec)
    labels = [codec.label for codec in codecs]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"two codecs are called {label!r}: name one of them with --exec 'NAME: …'")
    for name in qualities:
        if name and name not in labels:
            raise UsageError(f"-q {name}=…: no codec of this run is called {name!r} (they are {', '.join(labels)})")
    default = qualities.get("")
    chosen = {c.label: qualities.get(c.label) or default or c.default_qualities for c in codecs}
    for codec in codecs:
        odd = [q for q in chosen[codec.label] if codec.whole_qualities and q != int(q)]
        if odd:
            raise UsageError(f"{codec.label} takes whole numbers as quality, not {odd[0]:g}")
    return Plan(kind, sources, codecs, chosen, metrics, bad_sources, whisper)


def _measured(plan: Plan, source: Source) -> tuple[str, ...]:
    """The metrics of a key: what is heard depends on the recogniser and the text as well."""
    listening = plan.listening(source)
    return tuple(f"wer {listening.identity}" if m == "wer" and listening else m for m in plan.metrics)


def _keys(plan: Plan) -> Iterator[tuple[BenchCodec, Source, Key]]:
    measured = {source: _measured(plan, source) for source in plan.sources}
    for codec in plan.codecs:
        version = codec.version
        for quality in plan.qualities[codec.label]:
            for source in plan.sources:
                key = Key(codec.label, version, quality, source.name, source.sha256, measured[source])
                yield codec, source, key


class Runner:
    """Carries out jobs as `options` say: in worker processes that it keeps, or on a cluster."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._pool = Pool(
            measure,
            workers=options.jobs,
            threads=None if wished_threads() else options.threads,
            timeout_s=options.timeout_s,
            lost=_lost,
        )

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *reason: object) -> None:
        self._pool.__exit__(*reason)

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Yield each job with what came of it, as they come."""
        if self.options.scheduler:
            from .cluster import run_on_cluster

            return run_on_cluster(measure, jobs, self.options.scheduler, _lost)
        return self._pool.run(jobs)


def _lost(reason: str) -> Outcome:
    return Outcome(failure(reason))


def carry_out(plan: Plan, store: Store, runner: Runner) -> Results:
    """Make every measurement of `plan` that `store` lacks, keep each as it comes, and return all."""
    options = runner.options
    found: dict[Key, Record] = {}
    todo: dict[Job, tuple[BenchCodec, Key]] = {}
    counted: set[str] = set()
    for codec, source, key in _keys(plan):
        record = None if options.fresh else store.load(key)
        if record is not None:
            found[key] = record
        else:
            job = Job(
                codec.spec, key.quality, str(source.path), plan.kind, plan.metrics, options.repeats,
                count_macs=codec.label not in counted, listening=plan.listening(source),
            )  # fmt: skip
            todo[job] = codec, key
        counted.add(codec.label)
    reused = len(found)
    bar = tqdm(total=len(todo) + reused, initial=reused, unit="file", disable=not options.progress, smoothing=0.05)
    with bar:
        for job, outcome in runner.outcomes(list(todo)):
            codec, key = todo[job]
            record = {**outcome.record, "workers": options.jobs, "threads": options.threads}
            found[key] = store.save(key, record, outcome.data, codec.suffix)
            if record["status"] != "ok":
                bar.write(f"failed: {key.label} q={key.quality:g} {key.source}: {record['error']}")
            bar.update()
    return Results([found[key] for _, _, key in _keys(plan)], reused)
