"""What OpenVINO's counters tell of the nodes of a compiled model, and the one call that is made of it.

A plugin tells for each node how long it takes on average over all calls since the model was compiled, in whole
microseconds rounded down. The sum over n calls is then n times that, up to n microseconds too low: the sum over the
last n - m calls follows from two readings.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from steelyard.adapters.renewal import distinct
from steelyard.core.errors import SteelyardError
from steelyard.core.graph import LoweredNode, Site, SourceNode, joined
from steelyard.core.trace import Kernel, Recording

_US = 1000.0
_SOURCE = re.compile(r"[^/]+/(\w+\.\w+)\.\w+(?:/|$)")
"""The name of a layer made of a node of the exported program: the node, its operator, and what became of it, as in
`linear/aten.linear.default/MatMul`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node that the plugin says was executed. `order` is its place in the runtime graph, None where it has none."""

    name: str
    kind: str
    implementation: str
    average_us: int
    order: int | None
    layers: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The nodes that were executed, and how many are not said to have been: without work, or under 1 us on average.
    `others` are the layers of the nodes of the runtime graph that are not among them."""

    nodes: tuple[Node, ...]
    silent: int
    others: tuple[str, ...] = ()

    @property
    def in_order(self) -> tuple[Node, ...]:
        """Nodes in the order of execution, those without a place in it last."""
        return tuple(sorted(self.nodes, key=lambda node: (node.order is None, node.order or 0)))


def read(compiled: Any) -> Reading:
    """The counters of a model that was compiled with PERF_COUNT for one stream.

    Raises SteelyardError where the plugin does not tell them.
    """
    try:
        places = {op.get_friendly_name(): _texts(op.get_rt_info()) for op in compiled.get_runtime_model().get_ops()}
        told = compiled.create_infer_request().get_profiling_info()
    except RuntimeError as error:
        raise SteelyardError(f"OpenVINO tells no counters: {str(error).strip().splitlines()[-1]}") from error
    nodes = []
    for each in told:
        if each.status.name == "EXECUTED":
            place = places.get(each.node_name, {})
            order = place.get("execOrder", "")
            nodes.append(
                Node(
                    name=each.node_name,
                    kind=each.node_type,
                    implementation=each.exec_type,
                    average_us=round(each.real_time.total_seconds() * 1e6),
                    order=int(order) if order.isdecimal() else None,
                    layers=place.get("originalLayersNames", ""),
                )
            )
    named = {node.name for node in nodes}
    others = (place.get("originalLayersNames", "") for name, place in places.items() if name not in named)
    return Reading(nodes=tuple(nodes), silent=len(told) - len(nodes), others=tuple(others))


def recording(before: Reading, after: Reading, *, earlier: int, calls: int, call_ns: float) -> Recording:
    """The mean of so many calls as one, which lasts `call_ns`, its nodes one after the other in the order of execution.

    `before` and `after` were read after `earlier` calls and after all. The earlier ones are taken out where rounding
    leaves that right within two microseconds a node.
    """
    nodes = after.in_order
    averages = [float(node.average_us) for node in nodes]
    if 0 < earlier <= calls:
        known = {node.name: node.average_us for node in before.nodes}
        sums = [(earlier + calls) * node.average_us - earlier * known.get(node.name, 0) for node in nodes]
        averages = [max(each, 0) / calls for each in sums]  # below 0 by rounding alone
    durations = [each * _US for each in averages]
    longer = sum(durations) / call_ns
    if longer > 1:  # shares stay, and everything lies in the call
        durations = [each / longer for each in durations]
    taken: set[str] = set()
    return Recording(
        kernels=tuple(
            Kernel(name=distinct(node.name, node.implementation, taken), kind=node.kind, sources=sources(node.layers))
            for node in nodes
        ),
        kernel=range(len(nodes)),
        start_ns=list(accumulate(durations, initial=0.0))[: len(nodes)],
        duration_ns=durations,
        thread=[0] * len(nodes),
        calls=((0.0, call_ns),),
        resolution_ns=_US,
        averaged=True,
        remarks=tuple(_remarks(after, earlier, calls, longer)),
    )


def _remarks(after: Reading, earlier: int, calls: int, longer: float) -> Iterator[str]:
    if 0 < earlier <= calls:
        yield (
            f"means of {calls} calls, from running averages in whole microseconds that the {earlier} calls before them "
            "are taken out of"
        )
    elif earlier:
        yield (
            f"running averages of {earlier + calls} calls: those recorded are too few for the {earlier} before them to "
            "be taken out in whole microseconds"
        )
    else:
        yield f"running averages of {calls} calls, the first of the program among them"
    if after.silent:
        yield f"{after.silent} nodes are told as not run: without work, or under 1 us on average"
    if missing := sum(node.order is None for node in after.nodes):
        yield f"{missing} nodes are not in the runtime graph and stand last"
    if longer > 1:
        yield (
            f"the nodes take {longer:.2f} times as long as the mean call, where they ran side by side or rounding adds "
            "up: they are scaled to it"
        )


def sites(
    kernels: Sequence[Kernel],
    told: Reading,
    lowered: Sequence[LoweredNode],
    exported: Mapping[str, str],
    graph: Sequence[SourceNode],
) -> tuple[Site, ...]:
    """The kernels of a recording that was made of this reading on the source graph, by the names of their layers: those
    of a file in `exported`, others begin with the node of the program."""
    known = {node.name: node.name for node in lowered}

    def named(layers: str) -> tuple[str, ...]:
        found = (exported.get(layer) or known.get(layer.partition("/")[0]) for layer in layers.split(","))
        return tuple(name for name in found if name)

    found = [(kernel.name, named(node.layers)) for kernel, node in zip(kernels, told.in_order, strict=True)]
    return joined(graph, lowered, found, also=[name for layers in told.others for name in named(layers)])


def sources(layers: str) -> tuple[str, ...]:
    """The operators of the exported program in the names of layers that became one node, without repetition."""
    found = (_SOURCE.match(layer) for layer in layers.split(","))
    return tuple(dict.fromkeys(match[1] for match in found if match))


def _texts(info: Any) -> Mapping[str, str]:
    """What is told of a node in the runtime graph."""
    return {key: str(info[key].astype(str)) for key in ("execOrder", "originalLayersNames") if key in info}
