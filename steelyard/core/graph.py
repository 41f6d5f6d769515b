"""The graph that all backends are lowered from, and which of its nodes ended in what a backend executes."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

NodeKind = Literal["input", "computed", "view", "constant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceNode:
    """A node of the source graph, named as the exporter names it; graphs are tuples of them in order of execution.

    `op` is its operator (`aten.linear`), `inputs` the nodes whose values it takes, weights left out. An `input` is the
    caller's, a `view` has the memory of its first input, a `constant` depends on the values of no input. `bytes` is the
    size of its value, None where it has no fixed one; `returned` says that the value is an output of the program.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    kind: NodeKind = "computed"
    bytes: int | None = None
    returned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredNode:
    """A node of the graph that a converter really used, and the node of the source graph that it was decomposed from,
    None for what the converter made. As in the source graph, what picks one of several results is no node."""

    name: str
    op: str
    inputs: tuple[str, ...]
    source: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One place in a call at which a kernel is executed, with the nodes of the source graph that ended in it.

    `nodes` is empty where the runtime does not tell, or where it is the runtime's own: a change of layout, say.
    `walked` are those of them that it does not name: they were found by walking back from what it names.
    """

    kernel: str
    nodes: tuple[str, ...]
    walked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """The sites of a call on the source graph, in their order; `reason` is why there are none."""

    graph: tuple[SourceNode, ...] = ()
    sites: tuple[Site, ...] = ()
    reason: str = ""


def as_lowered(graph: Sequence[SourceNode]) -> tuple[LoweredNode, ...]:
    """The source graph as the graph of a runtime that names source nodes themselves."""
    return tuple(LoweredNode(name=node.name, op=node.op, inputs=node.inputs, source=node.name) for node in graph)


def cone(inputs: Mapping[str, Sequence[str]], starts: Iterable[str], materialised: Collection[str]) -> list[str]:
    """The nodes that a kernel computes: those in `starts`, and what lies behind them up to `materialised` values.

    `inputs` are the operands of each node. A runtime names values that it keeps in memory; nodes that vanished by
    fusion have no name left, and lie between the values that a kernel writes and those that it reads.
    """
    found: dict[str, None] = dict.fromkeys(starts)
    open_ = list(found)
    while open_:
        for name in inputs.get(open_.pop(), ()):
            if name in inputs and name not in materialised and name not in found:
                found[name] = None
                open_.append(name)
    return list(found)


def joined(
    graph: Sequence[SourceNode],
    lowered: Sequence[LoweredNode],
    named: Sequence[tuple[str, Sequence[str]]],
    also: Iterable[str] = (),
) -> tuple[Site, ...]:
    """Sites on the source graph, from kernels in order with the nodes of the lowered graph that a runtime names.

    Each gets the `cone` of its nodes; of a node that several kernels compute, what vanished before it is in the first.
    `also` are nodes whose values exist although no kernel is told to make them. Inputs are nobody's, and constants only
    of a kernel that names them: others were computed beforehand.
    """
    inputs = {node.name: node.inputs for node in lowered}
    source_of = {node.name: node.source for node in lowered}
    kinds = {node.name: node.kind for node in graph}
    order = {node.name: place for place, node in enumerate(graph)}
    begun = {node.name for node in lowered if kinds.get(node.source or "") == "input"}
    materialised = {name for _, names in named for name in names} | {*also} | begun

    def sources(names: Iterable[str], left_out: Collection[str]) -> Iterator[str]:
        for name in names:
            source = source_of.get(name)
            if source is not None and source in kinds and kinds[source] not in left_out:
                yield source

    sites = []
    walked: set[str] = set()
    for kernel, own in named:
        reached = sources(cone(inputs, set(own) - walked, materialised), ("input", "constant"))
        walked.update(own)
        said = {*sources(own, ("input",))}
        found = sorted(said.union(reached), key=order.__getitem__)
        left = tuple(name for name in found if name not in said)
        sites.append(Site(kernel=kernel, nodes=tuple(found), walked=left))
    return tuple(sites)
