"""The report of a traced run: where the time of a call goes on every backend, in classes and kernels, and how far that
can be trusted."""

from collections.abc import Iterator, Mapping, Sequence

from steelyard.across.sides import common, short
from steelyard.core.run import LeftOut, Run
from steelyard.tables.format import ABSENT, counted, fixed, percent
from steelyard.tables.table import Cell, Column, Footnotes, Paragraph, ReportData, Row, Table
from steelyard.tracing import compilations, compiled_programs, memory
from steelyard.tracing.classes import CLASSES, class_of, name_of
from steelyard.tracing.counters import counters_table
from steelyard.tracing.fusion_tables import fusion_tables
from steelyard.tracing.telling import from_the_baseline
from steelyard.tracing.traced import TOLERABLE, TracedCase, traced_cases

_MOST_KERNELS = 12


def build_traced(run: Run) -> ReportData:
    """Lay out a traced run."""
    manifest, cases, compiled = run.manifest, traced_cases(run), compilations.compilations(run)
    needed = memory.needed(run)
    titles = tuple(dict.fromkeys(each.case.point.title for each in cases))
    groups = {title: [each for each in cases if each.case.point.title == title] for title in titles}
    labels, _ = short({each.case.point.title: each.case.point for each in cases})
    return ReportData(
        run_id=manifest.run_id,
        title=f"{manifest.suite}: where the time of a call goes",
        created_utc=manifest.created_utc,
        device=manifest.device.name,
        baseline="",
        headline_workload=manifest.headline,
        arms=tuple(dict.fromkeys(each.arm for each in cases)),
        headline=(*_headlines(groups, labels), *compilations.headlines(compiled)) or ("Nothing could be traced.",),
        paragraphs=(
            *_differences(cases, manifest.baseline),
            Paragraph(
                name="methodology",
                title="Methodology",
                sentences=_METHOD + (compilations.METHOD if compiled else ()) + (memory.METHOD if needed else ()),
            ),
        ),
        tables=(
            *(_classes(number, labels[title], group) for number, (title, group) in enumerate(groups.items(), start=1)),
            *fusion_tables(groups, labels),
            _evidence(cases, manifest.left_out),
            counters_table(cases),
            _kernels(cases, most=_MOST_KERNELS),
            _kernels(cases, most=None),
            *(compilations.tables(compiled) + compiled_programs.tables(compiled) if compiled else ()),
            *(memory.tables(needed) if needed else ()),
        ),
        macros=(),
        conditions=tuple(_conditions(run)),
    )


def _differences(cases: Sequence[TracedCase], baseline: str) -> Iterator[Paragraph]:
    told = tuple(from_the_baseline(cases, baseline))
    if told:
        yield Paragraph(name="differences", title="What makes the difference", sentences=(*told, _NO_VERDICT))


def _conditions(run: Run) -> Iterator[str]:
    """How all of it ran."""
    manifest, budget = run.manifest, run.manifest.budget
    yield (
        f"{manifest.device.name}, {counted(budget.threads, 'thread')}, tuning {budget.tuning}, precision "
        f"{budget.precision}; run {manifest.run_id}{f', digest {run.digest[:12]}' if run.digest else ''}."
    )
    proofs = {result.arm: result.proof for result in run.results if result.proof is not None}
    told = [
        f"{arm}: {', '.join(f'{n} {v}' for n, v in sorted(proof.versions.items()))}" for arm, proof in proofs.items()
    ]
    if told:
        yield f"Versions: {'; '.join(told)}."


_NO_VERDICT = "None of this is a verdict on speed: a traced launch times its calls without a control."
_METHOD = (
    "Each backend was launched with the profiler of its own runtime, in launches of which nothing is timed for a "
    "comparison.",
    "A call's time is divided among kernels by their own times: what runs inside of another event is taken from that "
    "one, and an instant in which several threads run something is divided evenly among them.",
    "Numbers are means over the calls in the middle half by duration, or over all calls where a runtime tells averages "
    "alone; kernels, overhead and what nothing was recorded of add up to the call.",
    "The overhead ratio is the median call with the profiler over that without, in turns in the same process; beyond "
    f"{TOLERABLE:g} only shares are told, for the profiler's cost lies on the short kernels most.",
)


def _headlines(groups: Mapping[str, Sequence[TracedCase]], labels: Mapping[str, str]) -> Iterator[str]:
    for title, group in groups.items():
        parts = []
        for each in group:
            if each.facts:
                shares = sorted(each.by_class.items(), key=lambda entry: -entry[1])[:2]
                told = " and ".join(f"{name_of(name)} {percent(seconds / each.call_s)}" for name, seconds in shares)
                parts.append(f"{each.arm}: {told}")
        if parts:
            yield f"Most of the time of {labels[title]} goes to: {'; '.join(parts)}."


def _classes(number: int, label: str, group: Sequence[TracedCase]) -> Table:
    """A row for each class that any backend has, a column for each backend."""
    foot, title = Footnotes(), group[0].case.point.title
    shown = [name for name in CLASSES if any(each.facts and each.by_class.get(name) for each in group)]
    return Table(
        name=f"operators-{number}",
        title=f"Operators: {label}",
        caption=f"Where the time of one call of {title} goes, by class of operator, in percent of the call; each "
        "column adds up to 100 %.",
        columns=(
            Column(key="class", title="Class"),
            *(Column(key=each.arm, title=each.arm, kind="number", unit="%", tags={"arm": each.arm}) for each in group),
        ),
        rows=tuple(
            Row(
                cells=(Cell(text=name_of(name)), *(_share(each, name, foot) for each in group)),
                tags={"class": name, "point": title, "label": label},
            )
            for name in shown
        ),
        footnotes=foot.all(),
        empty=f"nothing was traced: {'; '.join(f'{each.arm}: {each.reason}' for each in group)}",
    )


def _share(each: TracedCase, name: str, foot: Footnotes) -> Cell:
    if not each.facts:
        return Cell(text=ABSENT, notes=(foot.mark(f"{each.arm}: {each.reason or 'no launch ended'}"),))
    return Cell(value=100 * each.by_class.get(name, 0.0) / each.call_s)


def _seconds(each: TracedCase, seconds: float, foot: Footnotes) -> Cell:
    if each.in_seconds:
        return Cell(value=seconds)
    told = f"{each.arm}: calls took {fixed(each.overhead_ratio, 2)} times as long with the profiler: shares alone"
    return Cell(text=ABSENT, notes=(foot.mark(told),))


def _evidence(cases: Sequence[TracedCase], left_out: Sequence[LeftOut]) -> Table:
    """How far the numbers can be trusted: a row for each backend at each configuration."""
    foot = Footnotes()
    labels, shared = short({each.case.point.title: each.case.point for each in cases})
    return Table(
        name="tracing",
        title="Tracing",
        caption="What the profilers recorded, and what recording cost: calls with the profiler over calls without "
        "(overhead), the part of a call that kernels account for (coverage), events that the profiler lost. "
        f"{common(shared)}",
        columns=(
            Column(key="point", title="Workload", wide=True),
            Column(key="backend", title="Backend"),
            Column(key="launches", title="Launches", kind="integer"),
            Column(key="calls", title="Calls", kind="integer"),
            Column(key="call", title="Call", kind="number", unit="s", shown="ms"),
            Column(key="overhead", title="Overhead", kind="number", unit="×"),
            Column(key="coverage", title="Coverage", kind="number", unit="%"),
            Column(key="dropped", title="Lost events", kind="integer"),
            Column(key="resolution", title="Clock step", kind="number", unit="s", shown="ns"),
            Column(key="unknown", title="Unknown operators", wide=True),
        ),
        rows=tuple(_evidence_row(each, labels, foot) for each in cases),
        footnotes=foot.all(),
        notes=tuple(f"Left out: {entry.backend}: {entry.reason}" for entry in left_out),
        place="detail",
        empty="nothing was traced",
    )


def _evidence_row(each: TracedCase, labels: Mapping[str, str], foot: Footnotes) -> Row:
    head = (Cell(text=labels[each.case.point.title]), Cell(text=each.arm), Cell(value=len(each.facts)))
    if not each.facts:
        why = (foot.mark(f"{each.arm}: {each.reason or 'no launch ended'}"),)
        return Row(cells=(*head, *(Cell(text=ABSENT, notes=why) for _ in range(6)), Cell()), tags=_tags(each))
    marks = tuple(foot.mark(f"{each.arm}: {text}") for text in _remarks(each))
    return Row(
        cells=(
            *head,
            Cell(value=sum(facts.calls for facts in each.facts), notes=marks),
            _seconds(each, each.call_s, foot),
            Cell(value=each.overhead_ratio),
            Cell(value=100 * each.coverage),
            _lost(each, foot),
            Cell(value=max(facts.summary.resolution_s for facts in each.facts)),
            Cell(text=", ".join(each.unknown)),
        ),
        tags=_tags(each),
    )


def _lost(each: TracedCase, foot: Footnotes) -> Cell:
    lost = [facts.summary.dropped for facts in each.facts]
    if None in lost:
        return Cell(text=ABSENT, notes=(foot.mark(f"{each.arm}: its profiler does not tell of lost events"),))
    return Cell(value=sum(count or 0 for count in lost))


def _remarks(each: TracedCase) -> Iterator[str]:
    found = [facts.summary for facts in each.facts]
    if each.failed:
        yield f"{counted(each.failed, 'launch', 'launches')} more ended as {each.status}: {each.reason}"
    if any(summary.averaged for summary in found):
        yield "its runtime tells averages over all calls instead of events"
    if outside := sum(summary.outside for summary in found):
        yield f"{counted(outside, 'event')} began outside of any call"
    if overlaps := sum(summary.overlaps for summary in found):
        yield f"{counted(overlaps, 'event')} overlap others where they should be nested"
    if not all(facts.checked for facts in each.facts):
        yield "outputs were not held against a reference while traced"
    yield from dict.fromkeys(text for summary in found for text in summary.remarks)


def _kernels(cases: Sequence[TracedCase], *, most: int | None) -> Table:
    """The kernels that take longest; all of them for the CSV."""
    foot = Footnotes()
    labels, shared = short({each.case.point.title: each.case.point for each in cases})
    rows = []
    for each in cases:
        for found in each.kernels[:most]:
            share = found.seconds / each.facts[0].summary.call_s
            rows.append(
                Row(
                    cells=(
                        Cell(text=labels[each.case.point.title]),
                        Cell(text=each.arm),
                        Cell(text=found.kernel.name),
                        Cell(text=found.kernel.kind),
                        Cell(text=name_of(class_of(found.kernel))),
                        Cell(value=found.times),
                        _seconds(each, found.seconds, foot),
                        Cell(value=100 * share),
                        Cell(text=" ".join(found.kernel.sources)),
                    ),
                    tags=_tags(each),
                )
            )
    return Table(
        name="kernels" if most else "kernels-all",
        title="Kernels" if most else "All kernels",
        caption=(f"The {most} kernels of each backend that take most" if most else "Every kernel, and what it takes")
        + f" of a call by its own time, of the first launch of each. {common(shared)}",
        columns=(
            Column(key="point", title="Workload", wide=True),
            Column(key="backend", title="Backend"),
            Column(key="kernel", title="Kernel", kind="code", wide=True),
            Column(key="kind", title="Operator", kind="code"),
            Column(key="class", title="Class"),
            Column(key="times", title="Times a call", kind="number", unit="1"),
            Column(key="own", title="Own time", kind="number", unit="s", shown="µs"),
            Column(key="share", title="Share", kind="number", unit="%"),
            Column(key="sources", title="From", kind="code", wide=True),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        place="detail" if most else "data",
        empty="nothing was traced",
    )


def _tags(each: TracedCase) -> dict[str, str]:
    return {
        "arm": each.arm,
        "point": each.case.point.title,
        "workload": each.case.point.workload,
        "status": each.status,
    }
