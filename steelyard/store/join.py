"""Runs of the shards of one plan joined to one run, as if one machine had measured all of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from steelyard.core.errors import StoreError, UsageError
from steelyard.core.hashing import stable_hash
from steelyard.core.run import LeftOut, Manifest
from steelyard.core.shard import Shard, ShardPlace
from steelyard.store import segments
from steelyard.store.catalog import run_id
from steelyard.store.differences import differences
from steelyard.store.files import publish, writing
from steelyard.store.reader import read_manifest
from steelyard.store.seal import run_digest
from steelyard.store.segments import SegmentData
from steelyard.store.writer import create_run, prepare_root


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Where the joined run lies, whether it was made now, and which shards nobody has measured to the end."""

    path: Path
    new: bool
    missing: tuple[ShardPlace, ...]


def join(shards: Sequence[Shard], paths: Sequence[Path], root: Path) -> Joined:
    """Store the runs of the shards at `paths` as one run under `root`. Pairs stay within their rounds, each measured on
    one machine; rounds are numbered anew. The same runs give the same id and the same bytes, and are joined once.

    A shard that nobody measured, or that was cut off or is still being measured, is told in the run, as configurations
    that were left out. Raises UsageError where none has ended, StoreError where two are of one shard or the machines
    are unlike, with every difference.
    """
    found: dict[int, tuple[Path, Manifest]] = {}
    for path in paths:
        manifest = read_manifest(path)
        place = None if manifest.settings is None else manifest.settings.shard
        if place is None or place.plan != shards[0].place.plan:
            continue
        if place.number in found:
            raise StoreError(f"{path}: {place} was measured twice: {found[place.number][0]} is the other")
        if segments.ended_by_itself(path):
            found[place.number] = (path, manifest)
    missing = tuple(shard for shard in shards if shard.place.number not in found)
    if not found:
        plan = shards[0].place.plan
        raise UsageError(f"no run of plan {plan} has ended: bench run --shard FILE measures one, or goes on with it")
    ordered = [found[number] for number in sorted(found)]
    _alike([manifest for _, manifest in ordered])
    manifest = _manifest(ordered, missing)
    path = root / manifest.run_id
    new = not path.exists()
    if new:
        prepare_root(root)
        # Elsewhere first: what is cut off half way has no name, and is made again.
        with TemporaryDirectory(prefix=".join-", dir=root) as built:
            with create_run(Path(built), manifest) as writer:
                for data in _numbered([path for path, _ in ordered]):
                    segments.publish_data(writer.path, data)
            with writing(path):
                new = _published(writer.path, path)
    return Joined(path=path, new=new, missing=tuple(shard.place for shard in missing))


def _published(built: Path, path: Path) -> bool:
    """Give it its name; False where another process has made the same meanwhile. Raises OSError."""
    try:
        publish(built, path)
    except OSError:
        if not path.is_dir():
            raise
        return False
    return True


def _alike(manifests: Sequence[Manifest]) -> None:
    """Raises StoreError where the machines or their software differ in what changes a number for good."""
    first = manifests[0]
    for other in manifests[1:]:
        same = replace(other, cases=first.cases, lowered=first.lowered)
        if told := differences(first, same):
            raise StoreError(
                f"{first.run_id} and {other.run_id} are of unlike machines, and are not one run: {'; '.join(told)}; "
                "join those of like machines, and hold them against each other with bench compare"
            )


def _manifest(parts: Sequence[tuple[Path, Manifest]], missing: Sequence[Shard]) -> Manifest:
    """That of the first, with the configurations of all, and the time of the newest: only then the run is whole."""
    manifests = [manifest for _, manifest in parts]
    first = manifests[0]
    digests = {manifest.run_id: run_digest(path) for path, manifest in parts}
    newest = max(manifest.created_utc for manifest in manifests)
    digest = stable_hash(digests, 6)
    cases = {case.id: case for manifest in manifests for case in manifest.cases}
    order = {arm.label: number for number, arm in enumerate(first.arms)}
    left_out = dict.fromkeys(entry for manifest in manifests for entry in manifest.left_out)
    unmeasured = (
        LeftOut(backend="all", point=title, reason=f"{shard.place} was not measured to the end")
        for shard in missing
        for title in shard.titles
    )
    plan = {name: value for name, value in first.plan.items() if name != "shard"}
    return replace(
        first,
        run_id=run_id(datetime.fromisoformat(newest), first.suite, digest),
        created_utc=newest,
        cases=tuple(sorted(cases.values(), key=lambda case: order.get(case.backend.text, len(order)))),
        left_out=(*left_out, *unmeasured),
        lowered={key: facts for manifest in manifests for key, facts in manifest.lowered.items()},
        plan={**plan, "joined": digests},
    )


def _numbered(paths: Sequence[Path]) -> Iterator[SegmentData]:
    """The segments of all runs one after the other, their warm rounds with numbers of their own."""
    place = after = 0
    for path in paths:
        begun = after
        for index in segments.found(path):
            data = segments.read_published(path, index)
            yield _moved(data, place, begun)
            place += 1
            after = max(after, begun + max((result.round for result in data.results), default=0))
            after = max(after, begun + max(data.segment.rounds, default=0))


def _moved(data: SegmentData, index: int, by: int) -> SegmentData:
    """A segment under another number, the numbers of its warm rounds raised. The cold round is round 0 in each."""

    def moved(number: int) -> int:
        return number + by if number > 0 else 0

    segment = replace(
        data.segment,
        index=index,
        rounds=tuple(map(moved, data.segment.rounds)),
        disturbed={moved(number): told for number, told in data.segment.disturbed.items()},
    )
    return SegmentData(
        segment=segment,
        launches=tuple(replace(record, round=moved(record.round)) for record in data.launches),
        results=tuple(replace(result, round=moved(result.round)) for result in data.results),
    )
