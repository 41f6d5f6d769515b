"""What a compiler put into one kernel: the kernels of a call on the source graph, in numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from steelyard.core.graph import Site, SourceNode
from steelyard.tracing.classes import OVERHEAD, UNKNOWN, class_of
from steelyard.tracing.traced import TracedCase

_COMPUTING_NONE = ("layout", "control", OVERHEAD)
"""Classes of kernels that compute no node."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The source graph of a configuration, read: which nodes compute, and who takes their values."""

    graph: tuple[SourceNode, ...]

    @cached_property
    def computing(self) -> tuple[SourceNode, ...]:
        """The nodes that compute something from the inputs, in order: no views, and nothing that is always the same."""
        return tuple(node for node in self.graph if node.kind == "computed")

    @cached_property
    def takers(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes that compute something from the value of each node, or from a view of it."""
        found: dict[str, dict[str, None]] = {node.name: {} for node in self.graph}
        for node in self.computing:
            for name in node.inputs:
                found[self._behind[name]][node.name] = None
        return {name: tuple(takers) for name, takers in found.items()}

    @cached_property
    def intermediates(self) -> tuple[SourceNode, ...]:
        """The nodes that compute a value which another one takes and the caller does not get."""
        returned = {self._behind[node.name] for node in self.graph if node.returned}
        return tuple(node for node in self.computing if self.takers[node.name] and node.name not in returned)

    @property
    def intermediate_bytes(self) -> int:
        """The size of all intermediate values."""
        return sum(node.bytes or 0 for node in self.intermediates)

    @cached_property
    def _behind(self) -> Mapping[str, str]:
        """The node whose memory the value of each node lies in."""
        found: dict[str, str] = {}
        for node in self.graph:
            found[node.name] = found[node.inputs[0]] if node.kind == "view" and node.inputs else node.name
        return found


@dataclass(frozen=True, kw_only=True)
class Laid:
    """Where a backend executes kernels in a call, on the source graph; `classes` are those of the kernels."""

    source: Source
    sites: tuple[Site, ...]
    classes: tuple[str, ...]

    @cached_property
    def of_node(self) -> Mapping[str, tuple[int, ...]]:
        """The sites that each node ended in; a node that is in none is left out."""
        found: dict[str, list[int]] = {}
        for number, site in enumerate(self.sites):
            for name in site.nodes:
                found.setdefault(name, []).append(number)
        return {name: tuple(numbers) for name, numbers in found.items()}

    @cached_property
    def computed(self) -> tuple[tuple[SourceNode, ...], ...]:
        """The nodes of each site that compute something: views are where their values are."""
        kept = {node.name: node for node in self.source.computing}
        return tuple(tuple(kept[name] for name in site.nodes if name in kept) for site in self.sites)

    @property
    def covered(self) -> int:
        """How many of the nodes that compute something ended in a site."""
        return sum(node.name in self.of_node for node in self.source.computing)

    @property
    def kernels(self) -> int:
        """How many sites execute something: PyTorch's calls of operators that only view are none of them."""
        return sum(not self._views(site) for site in self.sites)

    @property
    def foreign(self) -> Mapping[str, int]:
        """How many of the `kernels` hold no node that computes something, by class."""
        told = zip(self.classes, self.sites, self.computed, strict=True)
        return Counter(name for name, site, nodes in told if not nodes and not self._views(site))

    @property
    def fused(self) -> Mapping[tuple[str, ...], int]:
        """Which operators, two at least, ended in one site, and how often; those that hold most nodes first. `(part)`
        is one that is in other sites, too."""
        found = Counter(tuple(map(self._told, nodes)) for nodes in self.computed if len(nodes) > 1)
        return dict(sorted(found.items(), key=lambda entry: (-entry[1] * len(entry[0]), entry[0])))

    @property
    def alone(self) -> Mapping[str, int]:
        """How many nodes of each operator ended in kernels, and in none with another; the most frequent first."""
        shared = {node.name for nodes in self.computed if len(nodes) > 1 for node in nodes}
        nodes = (node for node in self.source.computing if node.name in self.of_node and node.name not in shared)
        return dict(Counter(short_name(node) for node in nodes).most_common())

    @cached_property
    def kept_bytes(self) -> int:
        """Bytes of values that no longer travel through memory: the sum, over the intermediate values of the source
        graph, of the sizes of those whose node and all that take it, views looked through, lie in one and the same
        site. A node in several sites, or that is taken in several, counts as one whose value travels.
        """
        return sum(node.bytes or 0 for node in self.source.intermediates if self._stays(node.name))

    def _views(self, site: Site) -> bool:
        """Whether it is the call of the very operator that is a view in the source graph: a runtime's own kernel for
        it moves the value."""
        return site.kernel.replace("::", ".") in {self._operator_of_view.get(name) for name in site.nodes}

    @cached_property
    def _operator_of_view(self) -> Mapping[str, str]:
        return {node.name: node.op for node in self.source.graph if node.kind == "view"}

    def _told(self, node: SourceNode) -> str:
        return short_name(node) + (" (part)" if len(self.of_node[node.name]) > 1 else "")

    def _stays(self, name: str) -> bool:
        own = self.of_node.get(name, ())
        return len(own) == 1 and all(self.of_node.get(each) == own for each in self.source.takers[name])


def laid(case: TracedCase) -> Laid | str:
    """The first launch of a backend that ended well, or why it is on no source graph."""
    if not case.facts:
        return case.reason or "no launch ended"
    summary, found = case.facts[0].summary, case.facts[0].fusion
    if found is None:
        return "it was traced by a version that laid nothing on a source graph"
    if not found.sites:
        return found.reason or "its profiler tells of no kernel in a call"
    kinds = {each.kernel.name: class_of(each.kernel) for each in summary.kernels}
    classes = tuple(kinds.get(site.kernel, UNKNOWN) for site in found.sites)
    return Laid(source=Source(graph=found.graph), sites=certain(found.graph, found.sites, classes), classes=classes)


def certain(graph: Sequence[SourceNode], sites: Sequence[Site], classes: Sequence[str]) -> tuple[Site, ...]:
    """Sites without the nodes that another kernel may have computed: those that the runtime does not name, where a
    kernel that computes, and that has no node, ran after what such a node takes and before the site."""
    nameless = [
        place
        for place, (site, name) in enumerate(zip(sites, classes, strict=True))
        if not site.nodes and name not in _COMPUTING_NONE
    ]
    named: dict[str, int] = {}
    for place, site in enumerate(sites):
        for name in set(site.nodes).difference(site.walked):
            named.setdefault(name, place)
    begin: dict[str, int] = {}
    ready: dict[str, int] = {}
    for node in graph:
        begin[node.name] = max((ready[name] for name in node.inputs), default=-1)
        ready[node.name] = named.get(node.name, begin[node.name])

    found = []
    for place, site in enumerate(sites):
        doubtful = {name for name in site.walked if any(begin[name] < each < place for each in nameless)}
        nodes, walked = (tuple(name for name in names if name not in doubtful) for names in (site.nodes, site.walked))
        found.append(replace(site, nodes=nodes, walked=walked))
    return tuple(found)


def short_name(node: SourceNode) -> str:
    """The operator without its namespace and the mark of being in place: `relu` of `aten.relu_`."""
    return node.op.rpartition(".")[2].strip("_")
