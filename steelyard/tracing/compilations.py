"""Where the compile time of a traced run goes: phases by kind, and the longest of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from steelyard.across.sides import common, short
from steelyard.core.case import Case
from steelyard.core.compilation import (
    OCCASIONS,
    PHASE_KINDS,
    Compilation,
    CompilationFacts,
    Occasion,
    Phase,
    PhaseKind,
)
from steelyard.core.run import Run
from steelyard.tables.format import ABSENT, counted, percent
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table

_MOST_PHASES = 8
TITLES: Mapping[PhaseKind, str] = {
    "trace": "Trace",
    "lowering": "Lowering",
    "passes": "Passes",
    "codegen": "Code generation",
    "native": "Native compiler",
    "load": "Load and caches",
    "other": "Other",
}
METHOD = (
    "Compilations are those of a launch in which what the compiler tells of itself is switched on, which lengthens "
    "them: mostly that of XLA, whose profiler records every pass, and that of Inductor, which prints its graphs. Their "
    "times are for the shares, not to be compared with those of bench run.",
    "Own times of phases and what has no name add up to the compile time; where a compiler uses several threads, an "
    "instant is divided evenly among what runs in it, and what waits for its parts has no time of its own.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """The compilation of a case by a backend at an occasion: of several launches the one that took the middle time.
    Without `told`: for this `reason`."""

    arm: str
    case: Case
    occasion: Occasion
    told: Compilation | None
    reason: str
    launches: int

    @property
    def tags(self) -> dict[str, str]:
        """What a row of it is about."""
        point = self.case.point
        return {"arm": self.arm, "point": point.title, "workload": point.workload, "occasion": self.occasion}


def compilations(run: Run) -> tuple[Compiled, ...]:
    """What a run tells of compilations, by configurations, backends and occasions in their order."""
    cases = {case.id: case for case in run.manifest.cases}
    found: dict[tuple[str, str, Occasion], list[CompilationFacts]] = {}
    for result in run.results:
        for facts in result.details.compilations:
            found.setdefault((result.case_id, result.arm, facts.occasion), []).append(facts)
    arms, points = [arm.label for arm in run.manifest.arms], [case.point.key for case in cases.values()]

    def place(key: tuple[str, str, Occasion]) -> tuple[int, int, int]:
        case_id, arm, occasion = key
        return points.index(cases[case_id].point.key), arms.index(arm), list(OCCASIONS).index(occasion)

    return tuple(_middle(cases[key[0]], key[1], key[2], found[key]) for key in sorted(found, key=place))


def _middle(case: Case, arm: str, occasion: Occasion, found: Sequence[CompilationFacts]) -> Compiled:
    told = sorted((each.told for each in found if each.told is not None), key=lambda each: each.compile_s)
    return Compiled(
        arm=arm,
        case=case,
        occasion=occasion,
        told=told[len(told) // 2] if told else None,
        reason="" if told else found[-1].reason,
        launches=len(told),
    )


def tables(found: Sequence[Compiled]) -> tuple[Table, ...]:
    """The tables of phases."""
    labels, shared = short({each.case.point.title: each.case.point for each in found})
    return (
        _times(found, labels, shared),
        _phases(found, labels, shared, most=_MOST_PHASES),
        _phases(found, labels, shared, most=None),
    )


def headlines(found: Sequence[Compiled]) -> Iterator[str]:
    """For each configuration what most of compiling with empty caches goes to."""
    labels, _ = short({each.case.point.title: each.case.point for each in found})
    for title, label in labels.items():
        parts = []
        for each in found:
            if each.told is not None and (each.case.point.title, each.occasion) == (title, "cold"):
                shares = {TITLES[kind].lower(): seconds for kind, seconds in by_kind(each.told).items()}
                most = sorted((shares | {"what has no name": each.told.unnamed_s}).items(), key=lambda entry: -entry[1])
                told = " and ".join(f"{name} {percent(seconds / each.told.compile_s)}" for name, seconds in most[:2])
                parts.append(f"{each.arm}: {told}")
        if parts:
            yield f"Most of compiling {label} goes to: {'; '.join(parts)}."


def by_kind(told: Compilation) -> dict[PhaseKind, float]:
    """Own seconds of all phases of each kind."""
    seconds = dict.fromkeys(PHASE_KINDS, 0.0)
    for phase, _ in _walk(told.phases):
        seconds[phase.kind] += phase.own_s
    return seconds


def _walk(phases: Sequence[Phase], within: str = "") -> Iterator[tuple[Phase, str]]:
    """Every phase, and the name of the one that it is part of."""
    for phase in phases:
        yield phase, within
        yield from _walk(phase.parts, phase.name)


def head(each: Compiled, labels: Mapping[str, str]) -> tuple[Cell, ...]:
    """The cells of HEAD."""
    return (Cell(text=labels[each.case.point.title]), Cell(text=each.arm), Cell(text=each.occasion))


HEAD = (
    Column(key="point", title="Workload", wide=True),
    Column(key="backend", title="Backend"),
    Column(key="occasion", title="Caches"),
)


def _times(found: Sequence[Compiled], labels: Mapping[str, str], shared: str) -> Table:
    foot = Footnotes()
    kinds = [kind for kind in PHASE_KINDS if any(each.told and by_kind(each.told)[kind] for each in found)]
    numbers = len(kinds) + 3
    rows = []
    for each in found:
        if each.told is None:
            why = (foot.mark(f"{each.arm}: {each.reason}"),)
            rows.append(Row(cells=(*head(each, labels), *(Cell(text=ABSENT, notes=why),) * numbers), tags=each.tags))
            continue
        told, seconds = each.told, by_kind(each.told)
        marks = tuple(foot.mark(f"{each.arm}, {each.occasion}: {text}") for text in _remarks(each, told))
        cells = (
            *head(each, labels),
            Cell(value=told.compile_s, notes=marks),
            *(Cell(value=seconds[kind]) for kind in kinds),
            Cell(value=told.unnamed_s),
            _peak(each, told, foot),
        )
        rows.append(Row(cells=cells, tags=each.tags))
    had = {each.occasion for each in found}
    occasions = "; ".join(f"{name}: {text}" for name, text in OCCASIONS.items() if name in had)
    meanings = "; ".join(f"{TITLES[kind].lower()}: {PHASE_KINDS[kind]}" for kind in kinds)
    return Table(
        name="compilation",
        title="Compile time",
        caption="Where compiling goes, by own time: the phases and what no phase accounts for add up to the compile "
        f"time. {common(shared)}",
        columns=(
            *HEAD,
            Column(key="compile", title="Compile", kind="number", unit="s", shown="ms"),
            *(Column(key=kind, title=TITLES[kind], kind="number", unit="s", shown="ms") for kind in kinds),
            Column(key="unnamed", title="No name", kind="number", unit="s", shown="ms"),
            Column(key="peak", title="Peak memory", kind="number", unit="B", shown="MiB"),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=tuple(f"{text[0].upper()}{text[1:]}." for text in (occasions, meanings) if text),
        empty="no launch told of a compilation",
    )


def _remarks(each: Compiled, told: Compilation) -> Iterator[str]:
    if each.launches > 1:
        yield f"of {counted(each.launches, 'launch', 'launches')} the one with the middle compile time"
    if told.from_cache:
        yield "the runtime found the program in its compile cache"
    elif told.from_cache is False and each.occasion != "cold":
        yield "compiled anew, without a compile cache"
    yield from told.remarks


def _peak(each: Compiled, told: Compilation, foot: Footnotes) -> Cell:
    peak = told.host_peak
    if peak.value is not None:
        return Cell(value=peak.value)
    return Cell(text=ABSENT, notes=(foot.mark(f"{each.arm}: {peak.reason}"),))


def _phases(found: Sequence[Compiled], labels: Mapping[str, str], shared: str, *, most: int | None) -> Table:
    rows = []
    for each in found:
        if each.told is None:
            continue
        timed = [entry for entry in _walk(each.told.phases) if entry[0].own_s]
        for phase, within in sorted(timed, key=lambda entry: -entry[0].own_s)[:most]:
            cells = (
                *head(each, labels),
                Cell(text=phase.name),
                Cell(text=within),
                Cell(text=TITLES[phase.kind]),
                Cell(value=phase.times),
                Cell(value=phase.own_s),
                Cell(value=100 * phase.own_s / each.told.compile_s),
            )
            rows.append(Row(cells=cells, tags=each.tags))
    which = (
        f"The {most} phases of a compilation that take most"
        if most
        else "Every phase of a compilation, and what it takes"
    )
    return Table(
        name="compiler-phases" if most else "compiler-phases-all",
        title="Longest phases of compilations" if most else "All phases of compilations",
        caption=f"{which} of it by own time, under the compiler's own names. {common(shared)}",
        columns=(
            *HEAD,
            Column(key="phase", title="Phase", kind="code", wide=True),
            Column(key="within", title="Part of", kind="code", wide=True),
            Column(key="kind", title="Kind"),
            Column(key="times", title="Times", kind="integer"),
            Column(key="own", title="Own time", kind="number", unit="s", shown="ms"),
            Column(key="share", title="Share", kind="number", unit="%"),
        ),
        rows=tuple(rows),
        place="detail" if most else "data",
        empty="no launch told of phases",
    )
