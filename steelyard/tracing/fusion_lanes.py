"""Where the figure of fusion puts what the tables of fusion tell: nodes in columns, kernels as spans in lanes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from steelyard.tables.table import Row, Table
from steelyard.tracing.fusion_tables import BETWEEN, arms_of

_APART = 0.9
"""Columns between two parts, one of which is repeated."""
FAR = 6
"""Columns that the line of a kernel reaches over at most; what is further apart stands for itself."""
_LOOSE = 12
"""Columns by which a line may be shorter than it could be."""
_Piece = tuple[str, list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A column: where it stands, its operator, the part it belongs to, how often that is there, and by backend the
    number and class of each site."""

    at: float
    operator: str
    part: str
    times: int
    sites: Mapping[str, Mapping[int, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A site: its class, the first and last columns of its runs, and which of `depth` tracks of the lane it has."""

    name: str
    runs: tuple[tuple[float, float], ...]
    track: int
    depth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Nodes beside each other, from column 0 on, and the lane of each backend; `title` is that of the panel where the
    line is its first."""

    title: str
    nodes: tuple[Node, ...]
    lanes: Mapping[str, tuple[Span, ...]]

    @property
    def columns(self) -> float:
        """How many columns the line has."""
        return self.nodes[-1].at + 1

    def depth(self, arm: str) -> int:
        """How many spans stand above each other in a lane."""
        return max((span.depth for span in self.lanes[arm]), default=1)


def lines_of(table: Table, fitting: int) -> Iterator[Line]:
    """A table in lines of so many columns at most."""
    title = table.rows[0].tags["label"]
    for nodes in _broken(list(_nodes(table)), fitting):
        first = nodes[0].at
        moved = tuple(
            Node(at=node.at - first, operator=node.operator, part=node.part, times=node.times, sites=node.sites)
            for node in nodes
        )
        lanes = {arm: tuple(_spans([(node.at, node.sites[arm]) for node in moved])) for arm in arms_of(table)}
        yield Line(title=title, nodes=moved, lanes=lanes)
        title = ""


def _nodes(table: Table) -> Iterator[Node]:
    at = 0.0
    for _, rows in groupby(table.rows, key=lambda row: row.tags["part"]):
        for row in rows:
            yield Node(
                at=at,
                operator=table.cell(row, "operator").text,
                part=row.tags["part"],
                times=int(table.cell(row, "times").value or 1),
                sites={arm: _sites(row, arm) for arm in arms_of(table)},
            )
            at += 1
        at += _APART


def _sites(row: Row, arm: str) -> dict[int, str]:
    found = (each.partition(" ") for each in row.tags[f"in {arm}"].split(BETWEEN) if each)
    return {int(number): name for number, _, name in found}


def _broken(nodes: Sequence[Node], fitting: int) -> Iterator[list[Node]]:
    """Lines of nodes that fit, each broken where it cuts the fewest kernels of those that end near its end."""
    line: list[Node] = []
    for node in nodes:
        line.append(node)
        if node.at - line[0].at + 1 > fitting and len(line) > 1:
            least = max(1, len(line) - _LOOSE)
            at = min(range(least, len(line)), key=lambda place: (_cut(line[place - 1], line[place]), -place))
            yield line[:at]
            line = line[at:]
    yield line


def _cut(one: Node, other: Node) -> int:
    """How many kernels, or repeated parts, two nodes have in common."""
    parts = one.part == other.part and one.times > 1
    return parts + sum(len(one.sites[arm].keys() & other.sites[arm].keys()) for arm in one.sites)


def _spans(cells: Sequence[tuple[float, Mapping[int, str]]]) -> Iterator[Span]:
    """The kernels of one backend; those that reach over the same columns stand above each other."""
    columns: dict[int, list[float]] = {}
    names: dict[int, str] = {}
    for at, sites in cells:
        for number, name in sites.items():
            columns.setdefault(number, []).append(at)
            names[number] = name
    pieces = [(names[number], piece) for number, own in columns.items() for piece in _pieces(own)]
    for together in _overlapping(pieces):
        tracks = _tracks([piece for _, piece in together])
        for (name, piece), track in zip(together, tracks, strict=True):
            yield Span(name=name, runs=tuple(_runs(piece)), track=track, depth=max(tracks) + 1)


def _pieces(columns: Sequence[float]) -> Iterator[list[float]]:
    """The columns of a kernel, apart where a line between them would reach over too many others."""
    piece: list[float] = []
    for at in columns:
        if piece and at - piece[-1] > FAR:
            yield piece
            piece = []
        piece.append(at)
    yield piece


def _runs(columns: Sequence[float]) -> Iterator[tuple[float, float]]:
    """First and last of the columns that stand side by side."""
    begin = before = columns[0]
    for at in columns[1:]:
        if at - before > 1.5:  # columns are whole numbers and what stands between parts
            yield begin, before
            begin = at
        before = at
    yield begin, before


def _overlapping(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces that reach over the same columns, from left to right."""
    together: list[_Piece] = []
    end = 0.0
    for name, piece in sorted(pieces, key=lambda each: each[1][0]):
        if together and piece[0] > end:
            yield together
            together = []
        end = max(end, piece[-1]) if together else piece[-1]
        together.append((name, piece))
    if together:
        yield together


def _tracks(pieces: Sequence[Sequence[float]]) -> list[int]:
    """A track for each piece, so that no two that reach over the same columns have one."""
    ends: list[float] = []
    found = []
    for piece in pieces:
        free = next((track for track, end in enumerate(ends) if end < piece[0]), len(ends))
        ends[free : free + 1] = [piece[-1]]
        found.append(free)
    return found
