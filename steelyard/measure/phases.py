"""Phases of a compilation from the events that a runtime records of it, with own times that add up.

At any instant the running events that have no running part share the time evenly: an event that only waits for others,
on whatever thread, has no time of its own meanwhile.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from steelyard.core.compilation import Phase, PhaseKind

LEAST = 0.001
"""The part of a compilation below which a phase without parts is told with others of its kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Something that a compiler did from `begin_ns` to `end_ns`. `parent` is the index of the span that it is part of.
    Without a `kind` it is of that of its parent."""

    name: str
    begin_ns: float
    end_ns: float
    parent: int | None = None
    kind: PhaseKind | None = None


def phases(spans: Sequence[Span], begin_ns: float, end_ns: float) -> tuple[Phase, ...]:
    """The phases of a compilation that lasted so long. What lies outside of it is cut off; spans of one name in one
    place are one phase. Raises ValueError for a parent that comes after its part, or a span that ends before it begins.
    """
    for place, span in enumerate(spans):
        if span.end_ns < span.begin_ns or (span.parent is not None and not 0 <= span.parent < place):
            raise ValueError(f"span {place}, '{span.name}', is not part of one before it, or ends before it begins")
    own = _own_ns(spans, begin_ns, end_ns)
    nodes: list[_Node] = []
    roots: dict[tuple[str, PhaseKind], _Node] = {}
    for span, own_ns in zip(spans, own, strict=True):
        parent = None if span.parent is None else nodes[span.parent]
        kind = span.kind or (parent.kind if parent else "other")
        siblings = roots if parent is None else parent.parts
        node = siblings.setdefault((span.name, kind), _Node(kind, {}))
        node.own_s += own_ns * 1e-9
        node.times += 1
        nodes.append(node)
    return folded(_phases(roots), (end_ns - begin_ns) * 1e-9)


def contained(spans: Iterable[Span]) -> list[Span]:
    """Spans of one thread in the order of time, each part of the innermost that it lies in."""
    found: list[Span] = []
    open_: list[int] = []
    for span in sorted(spans, key=lambda span: (span.begin_ns, -span.end_ns)):
        while open_ and found[open_[-1]].end_ns <= span.begin_ns:
            open_.pop()
        found.append(replace(span, parent=open_[-1] if open_ else None))
        open_.append(len(found) - 1)
    return found


def folded(found: Iterable[Phase], seconds: float) -> tuple[Phase, ...]:
    """Phases, the longest first; those without parts that are short beside `seconds` are one of each kind."""
    kept: list[Phase] = []
    short: dict[PhaseKind, list[Phase]] = defaultdict(list)
    for phase in found:
        folded_ = replace(phase, parts=folded(phase.parts, seconds))
        if folded_.parts or folded_.seconds >= LEAST * seconds:  # parts may be of another kind
            kept.append(folded_)
        else:
            short[phase.kind].append(folded_)
    for kind, phases_ in short.items():
        if len(phases_) == 1:
            kept += phases_
        else:
            own_s, times = sum(each.seconds for each in phases_), sum(each.times for each in phases_)
            kept.append(Phase(name=f"{len(phases_)} shorter ones", kind=kind, own_s=own_s, times=times))
    return tuple(sorted(kept, key=lambda phase: -phase.seconds))


@dataclass(slots=True)
class _Node:
    kind: PhaseKind
    parts: dict[tuple[str, PhaseKind], "_Node"]
    own_s: float = 0.0
    times: int = 0


def _phases(nodes: dict[tuple[str, PhaseKind], _Node]) -> Iterator[Phase]:
    for (name, kind), node in nodes.items():
        yield Phase(name=name, kind=kind, own_s=node.own_s, times=node.times, parts=tuple(_phases(node.parts)))


def _own_ns(spans: Sequence[Span], begin_ns: float, end_ns: float) -> list[float]:
    """The own time of each span."""
    changes: list[tuple[float, bool, int]] = []
    for place, span in enumerate(spans):
        begin, end = max(span.begin_ns, begin_ns), min(span.end_ns, end_ns)
        if begin < end:
            changes += [(begin, True, place), (end, False, place)]
    own, parts, running = [0.0] * len(spans), [0] * len(spans), set[int]()
    innermost = set[int]()
    before = begin_ns
    for now, begins, place in sorted(changes):
        for each in innermost:
            own[each] += (now - before) / len(innermost)
        before = now
        (running.add if begins else running.remove)(place)
        parent = spans[place].parent
        if parent is not None:
            parts[parent] += 1 if begins else -1
        for changed in (place, parent):
            if changed is not None:
                (innermost.add if changed in running and not parts[changed] else innermost.discard)(changed)
    return own
