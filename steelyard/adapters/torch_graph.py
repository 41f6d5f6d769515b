"""What PyTorch executes on the source graph: eager calls operators in the order in which the exporter traced them."""

from collections.abc import Sequence
from typing import Any

from steelyard.core.graph import Site, SourceNode
from steelyard.core.trace import Kernel


def in_order(graph: Sequence[SourceNode], operators: Sequence[str]) -> list[str | None]:
    """For each operator of a sequence (`aten.linear`) the node that it is; None where the graph has none in its place.

    Both are the same program traced twice, so that they differ in single places alone: where state is updated in place,
    or code asks whether it is being traced. What is not in both is left out.
    """
    nodes = [node for node in graph if node.kind != "input"]
    found: list[str | None] = [None] * len(operators)
    for place, other in common([node.op for node in nodes], operators):
        found[other] = nodes[place].name
    return found


def common(one: Sequence[str], other: Sequence[str]) -> list[tuple[int, int]]:
    """A longest common subsequence, as places in both: Myers' greedy search (1986), quick where little differs.

    `reached` has, for each difference between both places, the farthest in `one` that so many omissions lead to, and
    the runs of equal words on the way there, the last first.
    """
    reached: dict[int, tuple[int, Any]] = {1: (0, None)}
    for omitted in range(len(one) + len(other) + 1):
        for apart in range(-omitted, omitted + 1, 2):
            before, after = reached.get(apart - 1, (-1, None)), reached.get(apart + 1, (-1, None))
            begin, runs = after if after[0] > before[0] else (before[0] + 1, before[1])
            end = begin
            while end < len(one) and end - apart < len(other) and one[end] == other[end - apart]:
                end += 1
            reached[apart] = (end, (runs, begin, end, apart) if end > begin else runs)
            if end >= len(one) and end - apart >= len(other):
                return _places(reached[apart][1])
    raise AssertionError("omitting every word of both leads to both ends")


def _places(runs: Any) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while runs is not None:
        runs, begin, end, apart = runs
        found += [(place, place - apart) for place in reversed(range(begin, end))]
    return found[::-1]


def eager(kernels: Sequence[Kernel], graph: Sequence[SourceNode]) -> tuple[Site, ...]:
    """Operators in the order in which they were called, each the node that it is."""
    names = in_order(graph, [kernel.kind.replace("::", ".") for kernel in kernels])
    return tuple(
        Site(kernel=kernel.name, nodes=() if name is None else (name,))
        for kernel, name in zip(kernels, names, strict=True)
    )
