"""OpenVINO's running averages as one call, without OpenVINO."""

from dataclasses import replace

import pytest

from steelyard.adapters.openvino_counters import Node, Reading, recording, sources

MATMUL = Node(
    name="linear/aten.linear.default/MatMul", kind="FullyConnected", implementation="gemm_f32", average_us=100, order=7,
    layers="linear/aten.linear.default/MatMul,relu/aten.relu.default/Relu",
)  # fmt: skip
REORDER = Node(name="in_abcd", kind="Reorder", implementation="ref", average_us=30, order=2, layers="")


def reading(*nodes, silent=0):
    return Reading(nodes=nodes, silent=silent)


def times(found):
    return {found.kernels[index].name: found.duration_ns[place] for place, index in enumerate(found.kernel)}


def test_nodes_stand_one_after_the_other_in_the_order_of_execution():
    found = recording(reading(), reading(MATMUL, REORDER), earlier=0, calls=10, call_ns=200e3)
    assert [(kernel.name, kernel.kind) for kernel in found.kernels] == [
        ("in_abcd", "Reorder"),
        ("linear/aten.linear.default/MatMul", "FullyConnected"),
    ]
    assert list(found.kernel) == [0, 1]
    assert (list(found.start_ns), list(found.duration_ns)) == ([0, 30e3], [30e3, 100e3])
    assert (found.calls, found.averaged, found.resolution_ns, found.dropped) == (((0, 200e3),), True, 1000, None)
    assert found.remarks == ("running averages of 10 calls, the first of the program among them",)


def test_calls_before_those_recorded_are_taken_out():
    """Three calls of 500 us, then twenty of 100: the running average is 152."""
    before = reading(replace(MATMUL, average_us=500))
    after = reading(replace(MATMUL, average_us=(3 * 500 + 20 * 100) // 23), replace(REORDER, average_us=1))
    found = recording(before, after, earlier=3, calls=20, call_ns=200e3)
    assert times(found)[MATMUL.name] == pytest.approx(100e3, abs=2e3)
    assert times(found)[REORDER.name] == 23 / 20 * 1e3  # was not told before: nothing to take out
    assert found.remarks[0].startswith("means of 20 calls, from running averages")


def test_few_calls_after_many_are_told_with_them():
    found = recording(reading(MATMUL), reading(MATMUL), earlier=3, calls=2, call_ns=200e3)
    assert times(found) == {MATMUL.name: 100e3}
    assert found.remarks[0].startswith("running averages of 5 calls: those recorded are too few for the 3 before")


def test_rounding_makes_no_time_negative():
    cold, warm = replace(MATMUL, average_us=400), replace(MATMUL, average_us=49)
    assert times(recording(reading(cold), reading(warm), earlier=3, calls=20, call_ns=9e3)) == {MATMUL.name: 0}


def test_what_cannot_be_told_is_said():
    lost = replace(REORDER, name="somewhere", order=None)
    found = recording(reading(), reading(lost, MATMUL, silent=4), earlier=0, calls=1, call_ns=120e3)
    assert [kernel.name for kernel in found.kernels] == [MATMUL.name, "somewhere"]
    assert found.remarks[1:] == (
        "4 nodes are told as not run: without work, or under 1 us on average",
        "1 nodes are not in the runtime graph and stand last",
        "the nodes take 1.08 times as long as the mean call, where they ran side by side or rounding adds up: they are "
        "scaled to it",
    )


def test_nodes_of_one_name_are_told_apart():
    twice = (REORDER, replace(REORDER, implementation="jit"), replace(REORDER, implementation="jit"))
    found = recording(reading(), reading(*twice), earlier=0, calls=1, call_ns=1e6)
    assert [kernel.name for kernel in found.kernels] == ["in_abcd", "in_abcd (jit)", "in_abcd (2)"]


def test_no_nodes():
    found = recording(reading(), reading(silent=2), earlier=0, calls=1, call_ns=1e3)
    assert (len(found.kernels), len(found.kernel), len(found.start_ns), len(found.calls)) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("linear_4/aten.linear.default/MatMul,gelu/aten.gelu.default/Gelu", ("aten.linear", "aten.gelu")),
        ("add/aten.add.Tensor/Add,add_1/aten.add.Tensor/Add,", ("aten.add",)),
        ("le/aten.le.Tensor/LessEqual,Multiply_7198,Softmax_7202", ("aten.le",)),
        ("index_copy/aten.index_copy.default", ("aten.index_copy",)),
        ("Constant_63", ()),
        ("/model/layers.0/mlp/MatMul", ()),
        ("", ()),
    ],
)
def test_operators_of_the_exported_program(layers, expected):
    assert sources(layers) == expected
