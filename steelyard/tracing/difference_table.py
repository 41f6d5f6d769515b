"""What changed between two traces as tables: a row for each operator, the largest difference first."""

from collections import Counter
from collections.abc import Iterator, Sequence

from steelyard.core.errors import UsageError
from steelyard.core.run import Manifest, Run
from steelyard.tables.format import ABSENT, duration, size
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table
from steelyard.tracing.classes import name_of
from steelyard.tracing.difference import Change, call_s, changes
from steelyard.tracing.fusion import laid
from steelyard.tracing.telling import difference
from steelyard.tracing.traced import TracedCase, traced_cases

_MOST = 15


def difference_tables(before: Run, after: Run, *, backend: str = "", against: str = "") -> tuple[Table, ...]:
    """A table for each configuration and backend that both runs traced: of all backends, or of `backend`; `against` is
    the backend of the second run where that is another. Raises UsageError where there is nothing to compare."""
    for run in (before, after):
        if not run.traced:
            raise UsageError(f"{run.manifest.run_id} is not a traced run: bench profile makes one")
    pairs = list(_pairs(traced_cases(before), traced_cases(after), backend, against))
    if not pairs:
        named = f" of {backend}{f' and {against}' if against else ''}" if backend else ""
        raise UsageError(f"the runs have no traced configuration in common{named}: bench show lists what they have")
    unlike = tuple(_unlike(before.manifest, after.manifest))
    return tuple(_table(number, *pair, unlike) for number, pair in enumerate(pairs, start=1))


def _unlike(before: Manifest, after: Manifest) -> Iterator[str]:
    """In what the runs differ besides what was traced, as notes."""
    sides = [
        {
            "device": manifest.device.name,
            "threads": manifest.budget.threads,
            "tuning": manifest.budget.tuning,
            "precision": manifest.budget.precision,
            "packages": manifest.environment.get("packages"),
        }
        for manifest in (before, after)
    ]
    for name, value in sides[0].items():
        other = sides[1][name]
        if value != other:
            told = "other versions of packages" if name == "packages" else f"{name}: {value} before, {other} after"
            yield f"The runs differ in more than the program: {told}."


def _pairs(
    before: Sequence[TracedCase], after: Sequence[TracedCase], backend: str, against: str
) -> Iterator[tuple[TracedCase, TracedCase]]:
    """Configurations are told apart by their definition, unless both runs have one alone: a model before and after it
    was edited, say."""
    alone = all(len({each.case.point.key for each in side}) == 1 for side in (before, after))
    for one in before:
        for other in after:
            alike = alone or one.case.point.key == other.case.point.key
            wanted = backend in ("", one.arm) and other.arm == (against or one.arm)
            if alike and wanted and one.facts and other.facts:
                yield one, other


def _table(number: int, before: TracedCase, after: TracedCase, unlike: tuple[str, ...]) -> Table:
    foot = Footnotes()
    apart = before.arm != after.arm
    titles = " and ".join(dict.fromkeys(each.case.point.title for each in (before, after)))
    found = changes(before, after, whole_classes=apart)
    names = f"{before.arm} and {after.arm}" if apart else before.arm
    launches = f"{len(before.facts)} and {len(after.facts)} launches"
    return Table(
        name=f"changes-{number}",
        title=f"What changed: {titles}, {names}",
        caption=f"One call of {titles} on {names}, before ({duration(call_s(before))}) and after "
        f"({duration(call_s(after))}): the {_MOST} {'classes of operators' if apart else 'operators'} whose own times "
        f"differ most; {launches}. Times are parts of a traced call, scaled to one without the profiler.",
        columns=(
            Column(key="class", title="Class"),
            Column(key="operator", title="Operator", kind="code", wide=True),
            Column(key="before", title="Before", kind="number", unit="s", shown="µs"),
            Column(key="after", title="After", kind="number", unit="s", shown="µs"),
            Column(key="difference", title="Difference", kind="number", unit="s", shown="µs"),
            Column(key="part", title="Of a call before", kind="number", unit="%"),
        ),
        rows=tuple(_row(change, before, foot) for change in found[:_MOST]),
        footnotes=foot.all(),
        notes=(*_told(before, after), *unlike, *_rough(before, after), *_fusion(before, after)),
        empty="neither call has an operator",
    )


def _told(before: TracedCase, after: TracedCase) -> Iterator[str]:
    apart = before.arm != after.arm
    if told := difference(before, after, (f"on {before.arm}", f"on {after.arm}") if apart else ("before", "after")):
        yield f"{told}."


def _rough(*cases: TracedCase) -> Iterator[str]:
    """Of which calls a profiler changed how long they take, so that absolute times are rough."""
    for side, each in zip(("before", "after"), cases, strict=True):
        if not each.in_seconds:
            yield (
                f"Calls {side} took {each.overhead_ratio:.2f} times as long with the profiler, whose cost lies on "
                "short kernels most: times are rough."
            )


def _fusion(before: TracedCase, after: TracedCase) -> Iterator[str]:
    """What ended in kernels of its own, and what no longer does."""
    one, other = laid(before), laid(after)
    if isinstance(one, str) or isinstance(other, str):
        return
    yield (
        f"Kernels of a call: {one.kernels} before, {other.kernels} after; values that stay in kernels: "
        f"{size(one.kept_bytes)} before, {size(other.kept_bytes)} after."
    )
    alone = Counter(one.alone), Counter(other.alone)
    for told, found in (("after and not before", alone[1] - alone[0]), ("before and not after", alone[0] - alone[1])):
        if found:
            names = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in found.items())
            yield f"Alone in a kernel {told}: {names}."


def _row(change: Change, before: TracedCase, foot: Footnotes) -> Row:
    few = foot.mark("no interval: a side has fewer than 3 launches (--launches)") if change.interval is None else ""
    return Row(
        cells=(
            Cell(text=name_of(change.operator_class)),
            Cell(text=change.operator or ABSENT),
            Cell(value=change.before_s),
            Cell(value=change.after_s),
            Cell(value=change.difference_s, interval=change.interval, notes=(few,) if few else ()),
            Cell(value=100 * change.difference_s / call_s(before)),
        ),
        tags={"class": change.operator_class},
    )
