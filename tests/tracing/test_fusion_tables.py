"""Backends beside each other on a source graph, as tables and as the figure that is drawn of them."""

import dataclasses
from itertools import pairwise

import pytest

from steelyard.core.graph import Fusion, Site, SourceNode
from steelyard.core.trace import Kernel, KernelTime
from steelyard.tracing.fusion_lanes import lines_of
from steelyard.tracing.fusion_tables import aligned, arms_of, fusion_tables
from steelyard.tracing.traced import TracedCase
from tests.tracing.test_difference import CASE, facts

OPERATORS = ("linear", "gelu", "add")
KERNEL = Kernel(name="k", kind="MatMul")


def layers(count: int) -> tuple[SourceNode, ...]:
    """An input and so many times three operators, one after the other."""
    names = [f"{name}_{at}" for at in range(count) for name in OPERATORS]
    before = ("x", *names)
    inner = (
        SourceNode(name=name, op=f"aten.{name.partition('_')[0]}", inputs=(before[at],), bytes=1 << 20)
        for at, name in enumerate(names)
    )
    return (SourceNode(name="x", op="input", inputs=(), kind="input"), *inner)


def traced(arm: str, fusion: Fusion | None) -> TracedCase:
    """A backend with one launch."""
    told = facts({"matmul": 0.5})
    summary = dataclasses.replace(told.summary, kernels=(KernelTime(kernel=KERNEL, seconds=0.5, times=1.0),))
    return TracedCase(arm=arm, case=CASE, facts=(dataclasses.replace(told, summary=summary, fusion=fusion),))


def tables(*cases: TracedCase):
    """By name."""
    title = CASE.point.title
    return {table.name: table for table in fusion_tables({title: cases}, {title: "net"})}


def by_layer(graph, *parts: tuple[str, ...]) -> Fusion:
    """Each layer in kernels of these operators."""
    count = len(graph) // len(OPERATORS)
    sites = (Site(kernel="k", nodes=tuple(f"{name}_{at}" for name in part)) for at in range(count) for part in parts)
    return Fusion(graph=graph, sites=tuple(sites))


GRAPH = layers(12)
EAGER = traced("eager", by_layer(GRAPH, ("linear",), ("gelu",), ("add",)))
FUSED = traced("fused", by_layer(GRAPH, ("linear",), ("gelu", "add")))


def test_layers_that_all_treat_alike_stand_once():
    found = tables(EAGER, FUSED)
    table = found["fusion-1"]
    cells = [[cell.text or cell.value for cell in row.cells] for row in table.rows]
    assert cells == [
        ["linear_0", "linear", 12, "1 matmul", "1 matmul"],
        ["gelu_0", "gelu", 12, "2 matmul", "2 matmul"],
        ["add_0", "add", 12, "3 matmul", "2 matmul"],
    ]
    assert len(found["fusion-1-nodes"].rows) == 37
    summary = {row.tags["arm"]: row for row in found["fusion"].rows}
    told = [found["fusion"].cell(summary["fused"], key) for key in ("kernels", "fused", "kept", "together", "alone")]
    assert [cell.text or cell.value for cell in told] == [24, 12, 12 << 20, "gelu + add ×12", "linear ×12"]


def test_layers_begin_where_no_kernel_is_cut():
    pairs = tuple((f"add_{at}", f"linear_{at + 1}") for at in range(11))
    across = Fusion(graph=GRAPH, sites=tuple(Site(kernel="k", nodes=nodes) for nodes in (*pairs, ("add_11",))))
    rows = tables(traced("across", across))["fusion-1"].rows
    assert [(row.cells[0].text, row.cells[2].value) for row in rows] == [
        ("linear_0", 1), ("gelu_0", 11), ("add_0", 11), ("linear_1", 11), ("gelu_11", 1), ("add_11", 1),
    ]  # fmt: skip


def test_what_is_on_no_graph_says_why():
    found = tables(EAGER, traced("mine", Fusion(graph=GRAPH, reason="its names are <b>its own</b>")))
    assert arms_of(found["fusion-1"]) == ["eager"]
    assert "mine: its names are <b>its own</b>" in {note.text for note in found["fusion-1"].footnotes}
    assert "mine: its names are <b>its own</b>" in {note.text for note in found["fusion"].footnotes}


def test_a_program_that_computes_nothing_says_so():
    turned = SourceNode(name="t", op="aten.t", inputs=("x",), kind="view", bytes=8, returned=True)
    graph = (SourceNode(name="x", op="input", inputs=(), kind="input"), turned)
    table = tables(traced("mine", Fusion(graph=graph, sites=(Site(kernel="k", nodes=("t",)),))))["fusion"]
    told = [table.cell(table.rows[0], key).text for key in ("covered", "kept_share")]
    assert told == ["no node computes anything", "no values lie between nodes"]


def test_runs_from_before_there_was_a_graph_have_no_such_tables():
    assert not tables(traced("eager", None))


@pytest.mark.parametrize("fitting", [7, 10, 20, 40])
def test_lines_fit_and_cut_no_kernel(fitting):
    uneven = by_layer(GRAPH, ("linear",), ("gelu", "add"))
    uneven = dataclasses.replace(uneven, sites=(Site(kernel="k", nodes=("linear_5", "gelu_5")), *uneven.sites))
    (table,) = [table for table in tables(traced("a", uneven)).values() if aligned(table)]
    lines = list(lines_of(table, fitting))
    assert all(line.columns <= fitting for line in lines)
    assert [node.operator for line in lines for node in line.nodes] == [row.cells[1].text for row in table.rows]
    ends = [one.nodes[-1].sites["a"].keys() & other.nodes[0].sites["a"].keys() for one, other in pairwise(lines)]
    assert not any(ends)


def test_spans_that_share_nodes_stand_above_each_other():
    graph = layers(1)
    sites = (("linear_0",), ("linear_0", "gelu_0"), ("add_0",))
    fusion = Fusion(graph=graph, sites=tuple(Site(kernel="k", nodes=nodes) for nodes in sites))
    (line,) = lines_of(tables(traced("a", fusion))["fusion-1"], 50)
    told = [(span.runs, span.track, span.depth) for span in line.lanes["a"]]
    assert told == [(((0.0, 0.0),), 0, 2), (((0.0, 1.0),), 1, 2), (((2.0, 2.0),), 0, 1)]
