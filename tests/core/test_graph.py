"""Kernels on the source graph: what vanished by fusion is found between the values that a runtime still names."""

from hypothesis import given
from hypothesis import strategies as st

from steelyard.core.graph import LoweredNode, Site, SourceNode, as_lowered, cone, joined


def chain(*operators: str) -> tuple[SourceNode, ...]:
    """An input and operators that each take the one before."""
    names = ("x", *operators)
    inner = (SourceNode(name=name, op=f"aten.{name}", inputs=(names[at],)) for at, name in enumerate(operators))
    return (SourceNode(name="x", op="input", inputs=(), kind="input"), *inner)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, tuple[str, ...]], set[str]]:
    """Operands by node, all of them earlier nodes, and values that exist, those that nothing takes among them."""
    count = draw(st.integers(1, 12))
    inputs = {
        f"n{at}": tuple(f"n{each}" for each in draw(st.sets(st.integers(0, at - 1), max_size=3))) if at else ()
        for at in range(count)
    }
    taken = {name for operands in inputs.values() for name in operands}
    return inputs, {*draw(st.sets(st.sampled_from(list(inputs)))), *(set(inputs) - taken)}


@given(graphs())
def test_cones_cover_the_graph_and_stop_at_values_that_exist(drawn):
    inputs, exist = drawn
    cones = {name: cone(inputs, [name], exist) for name in exist}
    assert {name for found in cones.values() for name in found} == set(inputs)
    for name, found in cones.items():
        assert set(found) & exist == {name}


def test_what_vanished_lands_in_the_kernel_that_computes_it():
    graph = chain("conv2d", "batch_norm", "relu", "linear")
    told = joined(graph, as_lowered(graph), [("conv", ["relu"]), ("product", ["linear"])])
    assert told == (
        Site(kernel="conv", nodes=("conv2d", "batch_norm", "relu"), walked=("conv2d", "batch_norm")),
        Site(kernel="product", nodes=("linear",)),
    )


def test_names_of_a_decomposed_graph_are_climbed_and_may_collide_with_the_source():
    graph = (*chain("reshape", "view"),)
    lowered = (
        LoweredNode(name="x", op="input", inputs=(), source="x"),
        LoweredNode(name="view", op="aten.view", inputs=("x",), source="reshape"),
        LoweredNode(name="view_1", op="aten.view", inputs=("view",), source="view"),
    )
    told = joined(graph, lowered, [("first", ["view"]), ("second", ["view_1"])])
    assert [each.nodes for each in told] == [("reshape",), ("view",)]


def test_constants_belong_to_who_names_them_alone():
    mask = SourceNode(name="mask", op="aten.full", inputs=(), kind="constant")
    graph = (*chain("exp"), mask, SourceNode(name="add", op="aten.add", inputs=("exp", "mask")))
    lowered = as_lowered(graph)
    assert joined(graph, lowered, [("k", ["add"])])[0].nodes == ("exp", "add")
    assert joined(graph, lowered, [("k", ["add"]), ("fill", ["mask"])])[1].nodes == ("mask",)


def test_a_value_that_exists_unsaid_ends_the_walk():
    graph = chain("exp", "neg")
    assert joined(graph, as_lowered(graph), [("k", ["neg"])], also=["exp"])[0].nodes == ("neg",)
