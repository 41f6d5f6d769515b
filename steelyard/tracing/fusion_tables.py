"""Every backend of a configuration on its source graph, as tables: what ended in one kernel, and what that saves."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from steelyard.across.sides import common, short
from steelyard.core.graph import SourceNode
from steelyard.tables.format import ABSENT
from steelyard.tables.table import Cell, Column, Footnotes, Row, Table
from steelyard.tracing.classes import name_of
from steelyard.tracing.folded import folded
from steelyard.tracing.fusion import Laid, laid, short_name
from steelyard.tracing.traced import TracedCase

_MOST_LISTED, _MOST_NAMED = 6, 8
BETWEEN = ","
KEPT = (
    "Kept in kernels is the size of the values that no longer travel from kernel to kernel: of those that one node "
    "computes and others take, all whose node and takers lie in one and the same kernel, also in percent of all of them"
)


def fusion_tables(groups: Mapping[str, Sequence[TracedCase]], labels: Mapping[str, str]) -> Iterator[Table]:
    """The summary of all configurations, and two tables of each: one folded, and one of every node for the CSV. None
    for a run that was traced before there were any."""
    if all(facts.fusion is None for group in groups.values() for each in group for facts in each.facts):
        return
    found = {title: {each.arm: laid(each) for each in group} for title, group in groups.items()}
    yield _summary(groups, found)
    for number, (title, sides) in enumerate(found.items(), start=1):
        yield _aligned(number, title, labels[title], sides)
        yield _whole(number, title, sides)


def aligned(table: Table) -> bool:
    """Whether it is the folded table of a configuration."""
    return table.name.removeprefix("fusion-").isdecimal()


def arms_of(table: Table) -> list[str]:
    """The backends of a folded table that could be laid on the source graph. The tag `in ARM` of a row has number and
    class of each site of its node."""
    arms = [column.tags["arm"] for column in table.columns if "arm" in column.tags]
    return [arm for arm in arms if any(row.tags[f"in {arm}"] for row in table.rows)]


def _summary(groups: Mapping[str, Sequence[TracedCase]], found: Mapping[str, Mapping[str, Laid | str]]) -> Table:
    foot = Footnotes()
    cases = [each for group in groups.values() for each in group]
    names, shared = short({each.case.point.title: each.case.point for each in cases})
    rows = []
    for each in cases:
        title = each.case.point.title
        side = found[title][each.arm]
        head = (Cell(text=names[title]), Cell(text=each.arm))
        if isinstance(side, str):
            cells = tuple(Cell(text=ABSENT, notes=(foot.mark(f"{each.arm}: {side}"),)) for _ in range(8))
        else:
            cells = _counts(side)
        rows.append(Row(cells=(*head, *cells), tags={"arm": each.arm, "point": title, "status": each.status}))
    return Table(
        name="fusion",
        title="Fusion",
        caption="What one call executes, and which nodes of the source graph, the program before any converter takes "
        "it apart, ended in one kernel. Nodes that only view a value, and those that depend on no input, are not "
        f"counted; (part) is a node that several kernels compute. {KEPT}. {common(shared)}".strip(),
        columns=(
            Column(key="point", title="Workload", wide=True),
            Column(key="backend", title="Backend"),
            Column(key="kernels", title="Kernels", kind="integer"),
            Column(key="fused", title="Of several nodes", kind="integer"),
            Column(key="foreign", title="Of none", kind="integer"),
            Column(key="covered", title="Nodes found", kind="number", unit="%"),
            Column(key="kept", title="Kept in kernels", kind="number", unit="B", shown="MiB"),
            Column(key="kept_share", title="Of intermediates", kind="number", unit="%"),
            Column(key="together", title="In one kernel", wide=True),
            Column(key="alone", title="Alone", wide=True),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        empty="nothing was traced",
    )


def _counts(side: Laid) -> tuple[Cell, ...]:
    total, nodes = side.source.intermediate_bytes, len(side.source.computing)
    return (
        Cell(value=side.kernels),
        Cell(value=sum(side.fused.values())),
        Cell(value=sum(side.foreign.values())),
        Cell(value=100 * side.covered / nodes) if nodes else Cell(text="no node computes anything"),
        Cell(value=side.kept_bytes),
        Cell(value=100 * side.kept_bytes / total) if total else Cell(text="no values lie between nodes"),
        Cell(text=_listed({_sum(names): count for names, count in side.fused.items()})),
        Cell(text=_listed(side.alone)),
    )


def _sum(names: Sequence[str]) -> str:
    """Operators that are in one kernel; of many the first."""
    if len(names) <= _MOST_NAMED:
        return " + ".join(names)
    return f"{' + '.join(names[:_MOST_NAMED])} + {len(names) - _MOST_NAMED} more"


def _listed(counts: Mapping[str, int]) -> str:
    parts = [f"{name} ×{count}" if count > 1 else name for name, count in counts.items()]
    left = len(parts) - _MOST_LISTED
    return "; ".join(parts[:_MOST_LISTED]) + (f"; {left} more" if left > 0 else "")


def _aligned(number: int, title: str, label: str, sides: Mapping[str, Laid | str]) -> Table:
    """A row for each node that computes something, repeated layers once; the sites of a backend are numbered in the
    order in which the nodes meet them."""
    foot = Footnotes()
    source = next((side.source for side in sides.values() if isinstance(side, Laid)), None)
    nodes = source.computing if source else ()
    told = {arm: [_sites(side, node) for node in nodes] for arm, side in sides.items()}
    patterns = list(zip(map(short_name, nodes), *(_patterns(each) for each in told.values()), strict=True))
    parts = folded(patterns, [_cut(each) for each in patterns])
    numbers: dict[str, dict[int, int]] = {arm: {} for arm in sides}
    rows = []
    for place, part in enumerate(parts):
        for at in range(part.begin, part.begin + part.length):
            shown = {arm: _numbered(told[arm][at], numbers[arm]) for arm in sides}
            rows.append(
                Row(
                    cells=(
                        Cell(text=nodes[at].name),
                        Cell(text=short_name(nodes[at])),
                        Cell(value=part.times),
                        *(_cell(arm, sides[arm], shown[arm], foot) for arm in sides),
                    ),
                    tags={"point": title, "label": label, "part": str(place)}
                    | {f"in {arm}": BETWEEN.join(f"{n} {name}" for n, name in found) for arm, found in shown.items()},
                )
            )
    reasons = tuple(f"{arm}: {side}." for arm, side in sides.items() if isinstance(side, str))
    return Table(
        name=f"fusion-{number}",
        title=f"Fusion: {label}",
        caption=f"The source graph of {title} in order, and the kernel of each backend that a node ended in: nodes "
        "with the same number in a column are in one kernel. Layers that every backend treats alike stand once; all "
        "nodes are in the CSV.",
        columns=(
            Column(key="node", title="Node", kind="code"),
            Column(key="operator", title="Operator", kind="code"),
            Column(key="times", title="Times", kind="integer"),
            *(Column(key=arm, title=arm, wide=True, tags={"arm": arm}) for arm in sides),
        ),
        rows=tuple(rows),
        footnotes=foot.all(),
        notes=reasons,
        place="detail",
        empty=" ".join(reasons) or "no node of the source graph computes anything",
    )


def _sites(side: Laid | str, node: SourceNode) -> tuple[tuple[int, str], ...]:
    """Number and class of each site that a node ended in."""
    if isinstance(side, str):
        return ()
    return tuple((number, side.classes[number]) for number in side.of_node.get(node.name, ()))


def _patterns(told: Sequence[Sequence[tuple[int, str]]]) -> list[tuple[tuple[str, tuple[int, ...]], ...]]:
    """The sites of each node as they look wherever it stands: class, and how far from it their other nodes are."""
    places: dict[int, list[int]] = {}
    for place, sites in enumerate(told):
        for number, _ in sites:
            places.setdefault(number, []).append(place)
    return [
        tuple((name, tuple(each - place for each in places[number])) for number, name in sites)
        for place, sites in enumerate(told)
    ]


def _cut(pattern: tuple[Any, ...]) -> int:
    """How many sites of a node begin before it."""
    return sum(min(places) < 0 for sites in pattern[1:] for _, places in sites)


def _numbered(sites: Sequence[tuple[int, str]], numbers: dict[int, int]) -> list[tuple[int, str]]:
    return [(numbers.setdefault(number, len(numbers) + 1), name) for number, name in sites]


def _cell(arm: str, side: Laid | str, shown: Sequence[tuple[int, str]], foot: Footnotes) -> Cell:
    if shown:
        return Cell(text=", ".join(f"{number} {name_of(name)}" for number, name in shown))
    why = side if isinstance(side, str) else "it tells of no kernel that this node ended in"
    return Cell(text=ABSENT, notes=(foot.mark(f"{arm}: {why}"),))


def _whole(number: int, title: str, sides: Mapping[str, Laid | str]) -> Table:
    """Every node of the source graph with the kernels that it ended in."""
    source = next((side.source for side in sides.values() if isinstance(side, Laid)), None)
    rows = tuple(
        Row(
            cells=(
                Cell(text=node.name),
                Cell(text=node.op),
                Cell(text=node.kind),
                Cell(value=node.bytes) if node.bytes is not None else Cell(text="of no fixed size"),
                Cell(text=" ".join(node.inputs)),
                *(Cell(text=_kernels(side, node)) for side in sides.values()),
            ),
            tags={"point": title},
        )
        for node in (source.graph if source else ())
    )
    return Table(
        name=f"fusion-{number}-nodes",
        title="Every node of the source graph",
        caption=f"Every node of the source graph of {title}, and the kernels of each backend that it ended in, "
        "by their numbers in a call.",
        columns=(
            Column(key="node", title="Node", kind="code"),
            Column(key="operator", title="Operator", kind="code"),
            Column(key="kind", title="Kind"),
            Column(key="bytes", title="Value", kind="number", unit="B"),
            Column(key="inputs", title="Takes", kind="code"),
            *(Column(key=arm, title=arm, kind="code", tags={"arm": arm}) for arm in sides),
        ),
        rows=rows,
        place="data",
        empty="no backend could be laid on a source graph",
    )


def _kernels(side: Laid | str, node: SourceNode) -> str:
    if isinstance(side, str):
        return ""
    return "; ".join(f"{each + 1} {side.sites[each].kernel}" for each in side.of_node.get(node.name, ()))
