"""The source graph of a real export, and that of a decomposition climbed back to it."""

import pytest

pytest.importorskip("torch")

import torch

from steelyard.lowering.graph import lowered_graph, noticed_decomposition, source_graph

pytestmark = pytest.mark.backends


class Net(torch.nn.Module):
    """Has a view, two results of one operator, dropout that is off, a constant, a weight, and a change in place."""

    def __init__(self):
        super().__init__()
        self.norm = torch.nn.LayerNorm(8)
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x):
        left, right = self.norm(x).view(4, 8).split(4, dim=1)
        mask = torch.ones_like(left) * 2
        return self.drop(left * right + mask).relu_()


class Copies(torch.nn.Module):
    """Operators that copy where type or strides make them, and the same where nothing does."""

    def forward(self, x):
        wide = x.mul(2).to(torch.float32)
        turned = wide.transpose(0, 1)
        copied = (turned.reshape(-1), turned.flatten(), turned.contiguous(), wide.to(torch.float32, copy=True))
        seen = (wide.reshape(-1), wide.flatten(), wide.to(torch.float32))
        return [each.exp() for each in (*copied, *seen)]


@pytest.fixture(scope="module")
def exported():
    with torch.no_grad():
        return torch.export.export(Net().eval(), (torch.zeros(2, 2, 8),), strict=False)


def test_nodes_say_what_they_are(exported):
    graph = source_graph(exported)
    told = {node.name: (node.op, node.kind, node.inputs, node.bytes) for node in graph}
    assert told == {
        "x": ("input", "input", (), 128),
        "layer_norm": ("aten.layer_norm", "computed", ("x",), 128),
        "view": ("aten.view", "view", ("layer_norm",), 128),
        "split": ("aten.split", "view", ("view",), 128),
        "ones_like": ("aten.ones_like", "constant", ("split",), 64),
        "mul": ("aten.mul", "constant", ("ones_like",), 64),
        "mul_1": ("aten.mul", "computed", ("split",), 64),
        "add": ("aten.add", "computed", ("mul_1", "mul"), 64),
        "dropout": ("aten.dropout", "view", ("add",), 64),
        "relu_": ("aten.relu_", "computed", ("dropout",), 64),
    }
    assert [node.name for node in graph if node.returned] == ["relu_"]


@pytest.mark.parametrize("stored", [False, True])
def test_what_is_copied_is_no_view(stored, tmp_path):
    exported = torch.export.export(Copies(), (torch.zeros(4, 6, dtype=torch.bfloat16),), strict=False)
    if stored:
        torch.export.save(exported, tmp_path / "net.pt2")
        exported = torch.export.load(tmp_path / "net.pt2")
    graph = source_graph(exported)
    told = {node.name: node.kind for node in graph if node.op not in ("input", "aten.mul", "aten.exp")}
    assert told == {
        "to": "computed", "transpose": "view",
        "reshape": "computed", "flatten": "computed", "contiguous": "computed", "to_1": "computed",
        "reshape_1": "view", "flatten_1": "view", "to_2": "view",
    }  # fmt: skip
    assert [node.bytes for node in graph if node.name in ("mul", "to")] == [48, 96]


def test_every_decomposed_node_leads_to_the_one_it_came_from(exported):
    own = torch.export.ExportedProgram.run_decompositions
    with noticed_decomposition() as noticed:
        exported.run_decompositions()
    assert torch.export.ExportedProgram.run_decompositions is own
    lowered = lowered_graph(noticed)
    names = {node.name for node in source_graph(exported)}
    assert {node.source for node in lowered} <= names
    assert {node.name: node.source for node in lowered}["native_layer_norm"] == "layer_norm"
    assert [node.source for node in lowered if node.op == "aten.relu"] == ["relu_"]
    assert all(operand in {node.name for node in lowered} for node in lowered for operand in node.inputs)
    assert lowered_graph([]) == ()
