"""The sides of a comparison across runs under the names that its tables give them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from steelyard.analysis.across import RunGroup, unlike
from steelyard.analysis.factor import BUDGET_FIELDS, as_given
from steelyard.analysis.pooled import pooled
from steelyard.analysis.within import approximations
from steelyard.core.comparison import Estimate
from steelyard.core.run import Run
from steelyard.core.workload import Point
from steelyard.tables.table import Column, Kind

ACROSS = "across runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One side and its name in the tables."""

    label: str
    group: RunGroup

    @property
    def device(self) -> str:
        """The device's name; runs of one side have the same."""
        return self.group.runs[0].manifest.device.name

    @property
    def arms(self) -> tuple[str, ...]:
        """The backends, without the control arm."""
        return tuple(arm.label for arm in self.group.runs[0].manifest.arms if not arm.control)

    def estimate(self, arm: str, title: str, metric: str) -> tuple[Estimate | None, str]:
        """What a backend measured at a point, or None with the reason why there is no number."""
        if title not in self.group.points:
            return None, f"not among the configurations of {self.label}"
        if arm not in self.arms:
            return None, self._absence(arm)
        found, reason = pooled(self.group.arm(arm, title), metric)
        return found, f"{self.label}: {reason}" if reason else ""

    def remarks(self, arm: str, title: str) -> tuple[str, ...]:
        """What a number at a point must not stand without: that it is approximate, and a tolerance that was stated."""
        manifest = self.group.runs[0].manifest
        backend = next((each.backend.text for each in manifest.arms if each.label == arm), "")
        cases = (case for case in manifest.cases if case.point.title == title and case.backend.text == backend)
        stated = next((case.stated for case in cases), "")
        told = (approximations(self.group.arm(arm, title)), f"tolerance {stated}" if stated else "")
        return tuple(f"{self.label}: {text}" for text in told if text)

    def _absence(self, arm: str) -> str:
        reasons = [entry.reason for run in self.group.runs for entry in run.manifest.left_out if entry.backend == arm]
        return f"{arm} was not run on {self.label}" + (f": {reasons[0]}" if reasons else "")


def side_labels(sides: Sequence[Sequence[Run]], factors: Sequence[str]) -> tuple[str, ...]:
    """A short name for each side: what the factor says of it, or else a letter."""
    firsts = [side[0].manifest for side in sides]
    names: list[str] = []
    if tuple(factors) == ("device",):
        names = [manifest.device.name for manifest in firsts]
    elif len(factors) == 1 and factors[0] in BUDGET_FIELDS:
        names = [f"{factors[0]}={as_given(manifest.budget, factors[0])}" for manifest in firsts]
    if len(set(names)) == len(sides):
        return tuple(names)
    return tuple(letter(number) for number in range(len(sides)))


def letter(number: int) -> str:
    """A, B, ..., Z, A1, B1, ..."""
    return chr(ord("A") + number % 26) + (str(number // 26) if number >= 26 else "")


def titles(sides: Sequence[Labelled]) -> dict[str, Point]:
    """Every point of any side by title, those of the first side first."""
    found: dict[str, Point] = {}
    for side in sides:
        for title, point in side.group.points.items():
            found.setdefault(title, point)
    return found


def short(points: Mapping[str, Point]) -> tuple[dict[str, str], str]:
    """By title the workload with the axes in which its points differ, and what all points have in common, in words."""
    varying: dict[str, set[str]] = {}
    for workload in {point.workload for point in points.values()}:
        axes = [point.axes for point in points.values() if point.workload == workload]
        names = {name for each in axes for name in each}
        varying[workload] = {name for name in names if len({str(each.get(name)) for each in axes}) > 1}
    labels = {
        title: " ".join(
            [
                point.workload,
                *(f"{name}={value}" for name, value in point.axes.items() if name in varying[point.workload]),
            ]
        )
        for title, point in points.items()
    }
    shared: dict[str, str] = {}
    for point in points.values():
        words = {name: str(value) for name, value in point.axes.items() if name not in varying[point.workload]}
        for name, value in words.items():
            shared[name] = value if shared.get(name, value) == value else ""
    return labels, " ".join(f"{name}={value}" for name, value in shared.items() if value)


def common(shared: str) -> str:
    """The second part of `short` as a sentence of a caption."""
    return f"Common to all workloads that have it: {shared}. " if shared else ""


def refusals(sides: Sequence[Labelled], title: str) -> dict[str, str]:
    """The sides whose work at a point is not that of the first side that has it, with the difference."""
    holders = [side for side in sides if title in side.group.points]
    return {
        side.label: f"{side.label} did other work than {holders[0].label}: {why}"
        for side in holders[1:]
        if (why := unlike([*holders[0].group.identities(title), *side.group.identities(title)]))
    }


def column(side: Labelled, arm: str, kind: Kind = "text", unit: str = "", shown: str = "") -> Column:
    """The column of a backend on a side."""
    return Column(
        key=f"{arm} | {side.label}",
        title=f"{arm}, {side.label}",
        kind=kind,
        unit=unit,
        shown=shown,
        tags={"arm": arm, "device": side.device},
    )


def backends(sides: Sequence[Labelled]) -> Iterator[tuple[Labelled, str]]:
    """Every backend on every side: backends in the order in which they were named, the sides of each together."""
    for arm in dict.fromkeys(arm for side in sides for arm in side.arms):
        for side in sides:
            yield side, arm
