"""A synthetic run as if its launches had taken turns in groups, each with a launch of the baseline."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from steelyard.core.result import LaunchRecord, Measurement, Result
from steelyard.core.run import Run

WHY = "together they need 9.1 GB of memory, and 6.0 GB may be used; each group has its own launch of eager"


def in_groups(run: Run, *groups: Sequence[str], slower: float = 2.0) -> Run:
    """The arms but the baseline in these groups. In each further group the machine is `slower` by this factor, so that
    a pair of two groups is off by it; the ratios within a group are those of the run."""
    number = {arm: index for index, group in enumerate(groups) for arm in group}
    baseline = run.manifest.baseline

    def of(arm: str, round_: int) -> Sequence[int]:
        return (0,) if round_ == 0 else range(len(groups)) if arm == baseline else (number[arm],)

    def results() -> Iterator[Result]:
        for result in run.results:
            for group in of(result.arm, result.round):
                measured = tuple(_slowed(entry, slower**group) for entry in result.measurements)
                yield replace(result, launch=_name(result.launch, group), group=group, measurements=measured)

    def launches() -> Iterator[LaunchRecord]:
        for record in run.launches:
            for group in of(record.arm, record.round):
                turns = {} if record.round == 0 else {"ran_s": 1.0, "stopped_s": 1.0}
                yield replace(record, launch=_name(record.launch, group), group=group, **turns)

    segments = tuple(replace(segment, turns="on", groups=WHY) for segment in run.segments)
    return replace(run, results=tuple(results()), launches=tuple(launches()), segments=segments)


def _name(launch: str, group: int) -> str:
    return f"{launch}-{group}" if group else launch


def _slowed(entry: Measurement, by: float) -> Measurement:
    times = {name: tuple(value * by for value in getattr(entry, name)) for name in ("samples", "starts_s")}
    return replace(entry, **times)  # type: ignore[arg-type]
