"""Operators in order, and Inductor's provenance, on the source graph."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.adapters.inductor_graph import Compiled
from steelyard.adapters.torch_graph import common, eager, in_order
from steelyard.core.errors import Unsupported
from steelyard.core.graph import SourceNode
from steelyard.core.trace import Kernel


def source(*operators):
    return tuple(SourceNode(name=f"{name}_{at}", op=f"aten.{name}", inputs=()) for at, name in enumerate(operators))


GRAPH = source("linear", "gelu", "add")
CODE = """
    # [Provenance debug handles] extern_kernels.addmm:1
    extern_kernels.addmm(a, b)
    # [Provenance debug handles] cpp_fused_add_gelu_0:2
    cpp_fused_add_gelu_0(a)
"""
TOLD = {
    "cppCodeToPost": {
        "extern_kernels.addmm:1": ["addmm"],
        "cpp_fused_add_gelu_0:2": ["view_1", "addmm", "mul", "add_1"],
    },
    "postToPre": {"addmm": ["linear"], "view_1": ["linear"], "mul": ["gelu"], "add_1": ["h"]},
}
CAPTURED = [("linear", "aten.linear"), ("gelu", "aten.gelu"), ("h", "aten.add")]
KERNELS = (
    Kernel(name="aten::addmm", kind="aten::addmm"),
    Kernel(name="graph_0_cpp_fused_add_gelu_0", kind="cpp_fused"),
)


def test_an_operator_that_is_not_in_the_graph_moves_no_other():
    graph = source("linear", "gelu", "linear", "gelu", "add")
    ran = ["aten.linear", "aten.gelu", "aten.item", "aten.linear", "aten.gelu", "aten.add_"]
    assert in_order(graph, ran) == ["linear_0", "gelu_1", None, "linear_2", "gelu_3", None]


def test_a_layer_that_differs_shifts_no_other():
    graph = source(*"pqrspqrspqrs")
    ran = [f"aten.{name}" for name in "pqrypqrspqrs"]
    assert in_order(graph, ran) == [None if at == 3 else node.name for at, node in enumerate(graph)]


def in_both(one, other):
    """Whether the words of `one` are in `other`, in order."""
    rest = iter(other)
    return all(word in rest for word in one)


@given(st.text("pqr", max_size=9), st.text("pqr", max_size=9))
def test_no_longer_sequence_is_in_both(one, other):
    found = common(one, other)
    assert all(one[place] == other[beside] for place, beside in found)
    assert all(before[0] < after[0] and before[1] < after[1] for before, after in pairwise(found))
    longer = combinations(one, len(found) + 1)
    assert not any(in_both(words, other) for words in longer)


def test_eager_calls_what_was_exported():
    told = eager(
        [Kernel(name="aten::linear", kind="aten::linear"), Kernel(name="aten::gelu", kind="aten::gelu")], GRAPH
    )
    assert [(each.kernel, each.nodes) for each in told] == [
        ("aten::linear", ("linear_0",)),
        ("aten::gelu", ("gelu_1",)),
    ]


def test_a_generated_kernel_holds_what_it_computes_and_not_what_it_reads():
    told = Compiled(captured=[CAPTURED], made=[(CODE, TOLD)]).sites(KERNELS, GRAPH)
    assert [(each.kernel, each.nodes) for each in told] == [
        ("aten::addmm", ("linear_0",)),
        ("graph_0_cpp_fused_add_gelu_0", ("gelu_1", "add_2")),
    ]


def test_code_that_is_not_what_ran_is_laid_on_nothing():
    compiled = Compiled(captured=[CAPTURED], made=[(CODE, TOLD)])
    with pytest.raises(Unsupported, match="launches 2 kernels"):
        compiled.sites(KERNELS[:1], GRAPH)
    with pytest.raises(Unsupported, match="launches 2 kernels"):
        compiled.sites(KERNELS[::-1], GRAPH)
    with pytest.raises(Unsupported, match="0 programs of 0 graphs"):
        Compiled().sites(KERNELS, GRAPH)
