"""What a search for the largest value that completes is made of: questions, and the point of each at a value."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from steelyard.core.errors import UsageError, unknown_name
from steelyard.core.workload import Json, Point, Selection, Suite, Sweep
from steelyard.lowering.points import points_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuestion:
    """A workload with a value on every axis but those that follow from the searched quantity (`fixed`)."""

    workload: str
    fixed: Mapping[str, Json]

    @property
    def title(self) -> str:
        """The workload and its axes in one line."""
        return " ".join([self.workload, *(f"{name}={value}" for name, value in self.fixed.items())])


def find_sweep(suite: Suite, name: str) -> Sweep:
    """The quantity of this name. Raises UsageError naming those that the suite has."""
    for sweep in suite.sweeps:
        if sweep.name == name:
            return sweep
    if not suite.sweeps:
        raise UsageError(
            f"suite '{suite.name}' names nothing of which the largest could be searched; leave --largest out"
        )
    raise unknown_name(f"quantity to search in suite '{suite.name}'", name, [sweep.name for sweep in suite.sweeps])


def questions(suite: Suite, selection: Selection, sweep: Sweep) -> tuple[SearchQuestion, ...]:
    """One for each workload and each further combination of axes. Raises UsageError where a searched axis is given,
    and for one that the suite does not have."""
    axes = [axis.name for axis in suite.axes]
    for name in selection.axes:
        if name not in axes:
            raise unknown_name("axis", name, axes)
    chosen = selection.workloads or tuple(suite.workloads)
    found = []
    for workload in (name for name in chosen if name not in selection.exclude):
        searched = sweep.axes(workload, selection, sweep.start)
        for name in searched:
            if name in selection.axes:
                raise UsageError(f"--set {name}=... and --largest {sweep.name}: its values are what is searched")
        for point in points_of(suite, _at(suite, selection, sweep, workload, {}, sweep.start)):
            fixed = {name: value for name, value in point.axes.items() if name not in searched}
            found.append(SearchQuestion(workload=workload, fixed=fixed))
    return tuple(found)


def point_at(suite: Suite, selection: Selection, sweep: Sweep, question: SearchQuestion, value: int) -> Point:
    """The one point of a question at a value. Raises UsageError where there is none, as beyond a model's positions."""
    fixed = question.fixed
    for point in points_of(suite, _at(suite, selection, sweep, question.workload, fixed, value)):
        if all(point.axes.get(name) == wanted for name, wanted in fixed.items()):
            return point
    raise UsageError(f"suite '{suite.name}' has no configuration {question.title} with {sweep.name}={value}")


def _at(
    suite: Suite, selection: Selection, sweep: Sweep, workload: str, fixed: Mapping[str, Json], value: int
) -> Selection:
    """The selection of one workload: axes of others left out, fixed and searched ones set."""
    known = {axis.name for axis in suite.axes if not axis.workloads or workload in axis.workloads}
    axes = {name: texts for name, texts in selection.axes.items() if name in known}
    axes |= {name: (str(wanted),) for name, wanted in fixed.items() if name in known}
    axes |= {name: (str(each),) for name, each in sweep.axes(workload, selection, value).items()}
    return dataclasses.replace(selection, workloads=(workload,), exclude=(), axes=axes)
