"""What runtimes record of memory, read: whole, damaged, and of somebody else."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.adapters import onnxruntime_memory, protobuf, torch_memory, xla_memory
from steelyard.core.errors import SteelyardError
from steelyard.core.memory_profile import most_held, over_time
from tests.runners import block

SIZE = 64
TENSOR = SIZE * SIZE * 4
PRODUCT = block.ROWS * block.WIDTH * 4
STATISTICS = 2 * block.ROWS * 4


def number(value: int) -> bytes:
    found = bytearray()
    while True:
        value, low = value >> 7, value & 127
        found.append(low | (128 if value else 0))
        if not value:
            return bytes(found)


def field(place: int, value) -> bytes:
    if isinstance(value, int):
        return number(place << 3) + number(value)
    return number(place << 3 | 2) + number(len(value)) + value


@given(st.lists(st.tuples(st.integers(1, 500), st.one_of(st.integers(0, 2**63), st.binary(max_size=40))), max_size=8))
def test_a_message_is_read_as_it_was_written(written):
    data = b"".join(field(place, value) for place, value in written)
    assert list(protobuf.fields(data)) == written


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data):
    try:
        list(protobuf.fields(data))
    except SteelyardError as error:
        assert "a message of" in str(error)  # noqa: PT017 (either is right)


def instruction(identity, name, opcode, *operands):
    packed = b"".join(map(number, operands))
    return field(2, field(1, name) + field(2, opcode) + field(35, identity) + field(36, packed))


def module(order=(1, 2, 3, 4, 5)):
    body = (
        instruction(1, b"x", b"parameter")
        + instruction(2, b"a", b"fusion", 1)
        + instruction(3, b"view", b"bitcast", 2)
        + instruction(4, b"b", b"dot", 1)
        + instruction(5, b"y", b"add", 3, 4)
    )
    schedule = field(1, field(1, 7) + field(2, field(1, b"".join(map(number, order)))))
    return field(3, body + field(5, 7)) + field(6, 7) + (field(7, schedule) if order else b"")


def assignment(*temporary):
    buffers = b"".join(field(1, field(1, n) + field(2, 100 * n) + field(3, field(4, n))) for n in range(1, 6))
    assigned = b"".join(field(9, field(1, n)) for n in temporary)
    return buffers + field(3, field(1, 0) + field(5, 1) + field(9, field(1, 1))) + field(3, assigned)


def test_a_value_of_xla_lives_until_what_hands_it_on_is_read():
    values, others = xla_memory.temporaries(assignment(2, 4), xla_memory.entry_of(module()))
    told = {value.name: (value.operator, value.bytes, value.made, value.read_last) for value in values}
    assert told == {"a": ("fusion", 200, 1, 4), "b": ("dot", 400, 3, 4)}
    assert others == 0


def test_what_xla_does_not_tell_is_told():
    with pytest.raises(SteelyardError, match="in which order"):
        xla_memory.entry_of(module(order=()))
    with pytest.raises(SteelyardError, match="no logical buffer 9"):
        xla_memory.temporaries(assignment(9), xla_memory.entry_of(module()))
    values, others = xla_memory.temporaries(assignment(2), xla_memory.entry_of(module(order=(1, 4))))
    assert (values, others) == ([], 1), "made where the order is not told"


def changed(at, size, address, call=-1, operator="", within=""):
    return torch_memory.Change(at_ns=at, bytes=size, address=address, call=call, operator=operator, within=within)


def test_what_an_operator_gives_back_itself_is_workspace_and_what_outlives_the_call_is_no_value():
    found = [
        changed(0, -50, 1),  # given before the call
        changed(1, 100, 1, 1, "aten::linear", "aten::addmm"),
        changed(2, 30, 2, 2, "aten::layer_norm", "aten::native_layer_norm"),
        changed(3, 7, 3, 2, "aten::layer_norm"),
        changed(4, -30, 2, 2, "aten::layer_norm"),
        changed(5, 100, 4, 3, "aten::relu"),  # the output
        changed(6, -100, 1),
        changed(7, -7, 3),
    ]
    values, spans, workspace = torch_memory.told(found)
    assert [(value.name, value.bytes) for value in values] == [
        ("aten::addmm", 100),
        ("outside of operators", 7),
    ]
    assert (most_held(spans), workspace) == (137, 30)
    assert over_time(spans) == (100, 130, 137, 107, 107, 7)


def test_a_profile_of_torch_without_the_call_is_told():
    with pytest.raises(SteelyardError, match="0 calls instead of one"):
        torch_memory.changes([])


def node(name="n_kernel_time", **arguments):
    return {"cat": "Node", "name": name, "args": {"output_type_shape": [{"float": [2, 3]}], **arguments}}


RUN = {"cat": "Session", "name": "model_run", "args": {}}


def test_the_arena_is_told_above_what_it_held_before():
    calls = onnxruntime_memory.calls_of(
        json.dumps(
            [
                node(mem_bytes_in_use="150", mem_in_use_delta="50"), RUN,
                node(mem_bytes_in_use="180", mem_in_use_delta="0"), RUN,
                node(mem_bytes_in_use="170", mem_in_use_delta="0"),
                node(mem_bytes_in_use="190", mem_in_use_delta="20"), RUN,
            ]
        ).encode()
    )  # fmt: skip
    assert onnxruntime_memory.arena(calls).value == 90
    untold = [[onnxruntime_memory.Event(name="n_kernel_time", cat="Node")]]
    assert onnxruntime_memory.arena(untold).value is None


def test_an_output_that_is_the_buffer_of_its_input_is_no_value_of_its_own(tmp_path):
    import onnx

    nodes = [
        onnx.helper.make_node("Relu", ["x"], ["a"], name="one"),
        onnx.helper.make_node("Reshape", ["a", "shape"], ["b"], name="two"),
        onnx.helper.make_node("Relu", ["b"], ["y"], name="three"),
    ]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("x", "y")]
    shape = onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [1], [6])
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], [shape])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "g.onnx")
    told = json.dumps([node(f"{name}_kernel_time") for name in ("one", "two", "three")])
    events = msgspec.json.decode(told, type=list[onnxruntime_memory.Event])
    values, weights = onnxruntime_memory.values_of(tmp_path / "g.onnx", events)
    assert [(value.name, value.bytes, value.made, value.read_last) for value in values] == [("a", 24, 0, 2)]
    assert weights == 8


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        (b"[{", "not a whole profile"),
        (b"[]", "the profile of ONNX Runtime has 0 with nodes"),
        (json.dumps([node(), RUN, RUN, RUN]).encode(), "3 calls were made"),
    ],
)
def test_a_profile_of_onnxruntime_that_cannot_be_is_told(profile, said):
    with pytest.raises(SteelyardError, match=said):
        onnxruntime_memory.calls_of(profile)
