"""Bytes that no longer travel, what ended together and what alone: graphs of which the answers are known."""

import pytest

from steelyard.core.graph import Site, SourceNode, as_lowered, joined
from steelyard.tracing.fusion import Laid, Source, certain


def node(name: str, *inputs: str, size: int = 8, kind: str = "computed", returned: bool = False) -> SourceNode:
    operator = f"aten.{name.rpartition('_')[0] or name}"
    return SourceNode(name=name, op=operator, inputs=inputs, kind=kind, bytes=size, returned=returned)


GRAPH = (
    node("x", kind="input"),
    node("linear", "x", size=100),
    node("view", "linear", size=100, kind="view"),
    node("gelu", "view", size=100),
    node("mask", size=1, kind="constant"),
    node("add", "gelu", "x", "mask", size=40),
    node("exp", "add", size=40),
    node("sum", "exp", size=4),
    node("div", "exp", "sum", size=40, returned=True),
)


def laid(*sites: tuple[str, ...]) -> Laid:
    told = tuple(Site(kernel=f"k{place}", nodes=nodes) for place, nodes in enumerate(sites))
    return Laid(source=Source(graph=GRAPH), sites=told, classes=("elementwise",) * len(told))


def test_only_values_that_compute_are_intermediates():
    source = Source(graph=GRAPH)
    assert [each.name for each in source.intermediates] == ["linear", "gelu", "add", "exp", "sum"]
    assert source.intermediate_bytes == 284
    assert source.takers["linear"] == ("gelu",), "looked through the view"


@pytest.mark.parametrize(
    ("sites", "kept"),
    [
        ([("linear",), ("gelu",), ("add",), ("exp",), ("sum",), ("div",)], 0),
        ([("linear", "gelu", "add", "exp", "sum", "div")], 284),
        ([("linear", "view", "gelu"), ("add", "exp", "sum", "div")], 184),
        ([("linear",), ("gelu", "add", "exp"), ("sum",), ("div",)], 140),
        # exp is computed in both: what its takers read of it may come from memory
        ([("linear",), ("gelu",), ("add",), ("exp", "sum"), ("exp", "div")], 0),
        # nobody is known to compute gelu
        ([("linear",), ("add", "exp", "sum", "div")], 84),
    ],
)
def test_bytes_that_no_longer_travel(sites, kept):
    assert laid(*sites).kept_bytes == kept


def test_what_ended_together_and_alone():
    found = laid(("linear", "view"), (), ("gelu", "add"), ("exp", "sum"), ("div",))
    assert found.fused == {("exp", "sum"): 1, ("gelu", "add"): 1}
    assert found.alone == {"linear": 1, "div": 1}
    assert found.covered == 6
    assert found.foreign == {"elementwise": 1}


def test_of_a_node_that_is_divided_a_part_is_told():
    found = laid(("linear",), ("linear", "gelu", "add"), ("exp", "sum", "div"))
    assert found.fused == {("exp", "sum", "div"): 1, ("linear (part)", "gelu", "add"): 1}


def test_an_operator_that_only_views_is_no_kernel_and_a_copy_for_it_is():
    kernels = ("aten::linear", "aten::view", "Transpose", "aten::gelu")
    nodes = (("linear",), ("view",), ("view",), ("gelu",))
    sites = tuple(Site(kernel=kernel, nodes=each) for kernel, each in zip(kernels, nodes, strict=True))
    found = Laid(source=Source(graph=GRAPH), sites=sites, classes=("matmul", "layout", "layout", "elementwise"))
    assert found.kernels == 3
    assert found.alone == {"linear": 1, "gelu": 1}
    assert found.foreign == {"layout": 1}


PRODUCTS = (node("x", kind="input"), node("mm_1", "x"), node("softmax", "mm_1"), node("mm_2", "softmax", returned=True))


@pytest.mark.parametrize(
    ("named", "between", "ended"),
    [
        ([["mm_1"], [], ["mm_2"]], "unknown", [("mm_1",), (), ("mm_2",)]),
        ([["mm_1"], [], ["mm_2"]], "layout", [("mm_1",), (), ("softmax", "mm_2")]),
        # what ran before mm_1 has computed nothing of what takes it
        ([[], ["mm_1"], ["mm_2"]], "unknown", [(), ("mm_1",), ("softmax", "mm_2")]),
        ([["mm_1"], ["mm_2"], []], "unknown", [("mm_1",), ("softmax", "mm_2"), ()]),
        ([[], ["mm_2"]], "unknown", [(), ("mm_2",)]),
        # a runtime that names a node knows
        ([["mm_1"], [], ["softmax", "mm_2"]], "unknown", [("mm_1",), (), ("softmax", "mm_2")]),
    ],
)
def test_what_a_kernel_without_nodes_may_have_computed_is_in_no_other(named, between, ended):
    sites = joined(PRODUCTS, as_lowered(PRODUCTS), [(f"k{place}", names) for place, names in enumerate(named)])
    classes = tuple("matmul" if names else between for names in named)
    found = Laid(source=Source(graph=PRODUCTS), sites=certain(PRODUCTS, sites, classes), classes=classes)
    assert [site.nodes for site in found.sites] == ended
    assert found.kept_bytes == 8 * (("softmax", "mm_2") in ended)
