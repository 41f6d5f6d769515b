"""A plan divided into shards, and a shard measured: no scheduler, no server, a file for each machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steelyard import __version__, plugins, wire
from steelyard.core.errors import StoreError, UsageError
from steelyard.core.hashing import stable_hash
from steelyard.core.shard import Shard, ShardPlace
from steelyard.core.workload import Point
from steelyard.engine.estimate import warm_case_s
from steelyard.engine.plan import Plan, make_plan
from steelyard.lowering.named_drivers import permit
from steelyard.lowering.points import points_of
from steelyard.service.asked import request_of
from steelyard.service.running import StoredOutcome, announce, resume_run, run_plan
from steelyard.service.screen import Screen
from steelyard.store import read_manifest, runs_once
from steelyard.store.segments import ended_by_itself


def divide(asked: Mapping[str, Any], points: Sequence[Point], count: int) -> tuple[Shard, ...]:
    """The shards of a plan: each configuration in one, with all backends, so that no comparison is torn.

    Configurations that share weights stay together while there are enough others; the shards take about as long
    (longest first, each to the shard that has least). The same request gives the same shards. Raises UsageError where
    there are more shards than configurations.
    """
    if count > len(points):
        raise UsageError(f"{count} shards, and {len(points)} configurations: give --shards {len(points)} or fewer")
    groups: dict[tuple[str, ...], list[Point]] = {}
    for point in points:
        groups.setdefault(tuple(point.weights), []).append(point)
    parts = list(groups.values()) if len(groups) >= count else [[point] for point in points]
    loads = [0.0] * count
    chosen: list[list[Point]] = [[] for _ in range(count)]
    for cost, _, part in sorted(
        ((sum(map(warm_case_s, part)), number, part) for number, part in enumerate(parts)),
        key=lambda entry: (-entry[0], entry[1]),
    ):
        least = loads.index(min(loads))
        loads[least] += cost
        chosen[least] += part
    order = {point.key: number for number, point in enumerate(points)}
    plan = stable_hash([__version__, asked, list(order), count], 12)
    return tuple(
        Shard(
            tool_version=__version__,
            place=ShardPlace(plan=plan, number=number, count=count),
            asked=asked,
            points=tuple(point.key for point in part),
            titles=tuple(point.title for point in part),
        )
        for number, part in enumerate((sorted(part, key=lambda point: order[point.key]) for part in chosen), start=1)
    )


def write(shards: Sequence[Shard], folder: Path) -> tuple[Path, ...]:
    """A file for each, `1.json` and so on. Raises UsageError where the folder has those of another plan."""
    files = [folder / f"{shard.place.number}.json" for shard in shards]
    for file in sorted(folder.glob("[0-9]*.json")):
        if read(file).place.plan != shards[0].place.plan:
            raise UsageError(f"{folder}: has the shards of another plan; choose another folder, or empty it")
    for shard, file in zip(shards, files, strict=True):
        wire.write(file, shard)
    return tuple(files)


def read(file: Path) -> Shard:
    """A shard. Raises StoreError for a file that is none, UsageError for one of another version of this project."""
    shard = wire.read(file, Shard)
    if shard.tool_version != __version__:
        raise UsageError(
            f"{file}: was planned by steelyard {shard.tool_version}, and this is {__version__}: install that one here, "
            "or plan anew"
        )
    return shard


def run_shard(file: Path, output: Path, screen: Screen, *, started_s: float, wait: bool = False) -> StoredOutcome:
    """Measure a shard, or go on with what was measured of it; one that is measured whole is left as it is."""
    shard = read(file)
    if (part := measured(output).get(shard.place)) is not None:
        if part.whole:
            screen.line(f"{shard.place} is measured: {part.run_id}")
            return StoredOutcome(part.path, "sound")
        screen.line(f"going on with {shard.place}: {part.run_id}")
        return resume_run(output, part.run_id, screen, weights=_path(shard, "weights"), wait=wait)
    plan = planned(shard, wait=wait)
    for line in (str(shard.place), *announce(plan, output)):
        screen.line(line)
    return run_plan(plan, output, screen, weights=_path(shard, "weights"), started_s=started_s)


def planned(shard: Shard, *, wait: bool = False) -> Plan:
    """The plan of a shard on this machine. Raises UsageError where it would be other work here: configurations that do
    not come about on this device, or that the suite makes otherwise."""
    asked = {**shard.asked, **{name: _path(shard, name) for name in ("weights", "meter")}, "wait": wait}
    request = replace(request_of(**asked), shard=shard.place)
    suite = plugins.suite(request.suite)
    here = {point.key: point for point in points_of(suite, request.selection)}
    lacking = [title for key, title in zip(shard.points, shard.titles, strict=True) if key not in here]
    if lacking:
        raise UsageError(
            f"{shard.place}: {lacking[0]} is another configuration here, or none ({len(lacking)} of "
            f"{len(shard.points)}): the suite differs, or the plan was made for another kind of device than "
            f"{request.device.id}; plan with the same --device"
        )
    points = tuple(here[key] for key in shard.points)
    for point in points:
        permit(point.driver)
    return make_plan(request, points)


def _path(shard: Shard, name: str) -> Path | None:
    """A path that was asked for, which a shard holds as text."""
    text = shard.asked.get(name)
    return None if text is None else Path(text)


def every(folder: Path) -> tuple[Shard, ...]:
    """The shards in a folder, by number. Raises UsageError where there is none, or not each of one plan once."""
    shards = sorted(map(read, folder.glob("[0-9]*.json")), key=lambda shard: shard.place.number)
    if not shards:
        raise UsageError(f"{folder}: has no shards; bench plan writes them")
    if len({(shard.place.plan, shard.place.count) for shard in shards}) > 1:
        raise UsageError(f"{folder}: has shards of several plans: keep each plan in a folder of its own")
    numbers = [shard.place.number for shard in shards]
    if numbers != list(range(1, shards[0].place.count + 1)):
        told = ", ".join(map(str, numbers))
        raise UsageError(f"{folder}: has the shards {told}, and not each of 1 to {shards[0].place.count} once")
    return tuple(shards)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The stored run of a shard. It is `whole` unless it was cut off, or is being measured."""

    run_id: str
    path: Path
    whole: bool


def measured(output: Path) -> dict[ShardPlace, Part]:
    """The shards that have a stored run; of several of one shard the oldest counts."""
    found: dict[ShardPlace, Part] = {}
    for path in runs_once(output):
        try:
            manifest = read_manifest(path)
            place = None if manifest.settings is None else manifest.settings.shard
            if place is not None and place not in found:
                found[place] = Part(run_id=manifest.run_id, path=path, whole=ended_by_itself(path))
        except StoreError:
            continue  # whoever lists runs is told what is wrong with it
    return found
