"""What ONNX Runtime's arena does in a call: the events of its profile beside the graph that the session executes.

A session of its own makes three calls. Before the first the arena holds what belongs to the session; from the second on
it takes what its memory pattern has planned at once.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from steelyard.adapters.bound import artifact_of
from steelyard.adapters.onnxruntime_compilation import OnnxRunner, optimised
from steelyard.core.errors import SteelyardError, Unsupported
from steelyard.core.lowered import LoweredProgram
from steelyard.core.memory_profile import MemoryProfile, Value, largest_first, least_bytes, over_time, spans_of
from steelyard.core.metrics import Reading, absent
from steelyard.core.runner import Arrays

_CALLS = 3
_KERNEL = "_kernel_time"
_BYTES = {"float": 4, "double": 8, "float16": 2, "bfloat16": 2, "bool": 1} | {
    f"{sign}int{bits}": bits // 8 for sign in ("", "u") for bits in (8, 16, 32, 64)
}


class _Arguments(msgspec.Struct):
    mem_bytes_in_use: str = ""
    mem_in_use_delta: str = ""
    output_type_shape: list[dict[str, list[int]]] = []


class Event(msgspec.Struct):
    """An event of the profile."""

    name: str
    cat: str = ""
    args: _Arguments = msgspec.field(default_factory=_Arguments)


def memory(runner: OnnxRunner, program: LoweredProgram, executable: Any, inputs: Arrays) -> MemoryProfile:
    """See `Runner.tells`. Raises Unsupported but for CPUs, SteelyardError for a profile that cannot be read."""
    if runner.context.device.kind != "cpu":
        raise Unsupported("the arena's events are read on a CPU alone")
    apart = runner.load(program)
    artifact = artifact_of(program, runner.needs(runner.context.backend)[-1])
    with tempfile.TemporaryDirectory(prefix="memory-", dir=runner.context.scratch) as folder:
        apart.profile = Path(folder) / "profile"
        apart.compile()
        binding = apart.bind(inputs)
        for _ in range(_CALLS):
            binding.run()
            binding.settle()
        calls = calls_of(Path(apart.session.end_profiling()).read_bytes())
        binding.close()
        apart.session = None
        graph_file = Path(folder) / "optimised.onnx"
        optimised(runner, Path(artifact.directory) / artifact.entry, graph_file)
        values, weights = values_of(graph_file, calls[-1])
    return MemoryProfile(
        weights=Reading(value=float(weights), unit="B", method="initializers of the optimised graph"),
        inputs=sum(spec.bytes for spec in program.program.inputs),
        outputs=sum(spec.bytes for spec in program.program.outputs),
        each_apart=Reading(value=float(sum(value.bytes for value in values)), unit="B", method="shapes of outputs"),
        least=Reading(value=float(least_bytes(values)), unit="B", method="from the order of the nodes"),
        reached=arena(calls),
        workspace=absent("B", "ONNX Runtime does not tell an operator's own memory from that of values"),
        largest=largest_first(values),
        over_time=over_time(spans_of(values)),
    )


def calls_of(profile: bytes) -> list[list[Event]]:
    """The events of nodes, call by call. Raises SteelyardError for a profile with other calls than were made."""
    try:
        events = msgspec.json.decode(profile, type=list[Event])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SteelyardError(f"not a whole profile of ONNX Runtime: {error}") from error
    calls: list[list[Event]] = [[]]
    for event in events:
        if event.cat == "Node" and event.name.endswith(_KERNEL):
            calls[-1].append(event)
        elif event.name == "model_run":
            calls.append([])
    if len(calls) != _CALLS + 1 or not all(calls[:-1]):
        raise SteelyardError(f"{_CALLS} calls were made, the profile of ONNX Runtime has {len(calls) - 1} with nodes")
    return calls[:-1]


def arena(calls: Sequence[Sequence[Event]]) -> Reading:
    """The most that the arena has given out in the last call, above what it had before the first."""
    first = calls[0][0].args
    used = [event.args.mem_bytes_in_use for event in calls[-1]]
    if not all(text.lstrip("-").isdecimal() for text in (first.mem_bytes_in_use, first.mem_in_use_delta, *used)):
        return absent("B", "this version of ONNX Runtime does not tell its arena's use")
    before = int(first.mem_bytes_in_use) - int(first.mem_in_use_delta)
    return Reading(
        value=float(max(map(int, used)) - before), unit="B", method="arena: bytes in use at the ends of nodes"
    )


_HANDED_ON = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
"""Operators whose output is the buffer of their input."""


def values_of(graph_file: Path, events: Sequence[Event]) -> tuple[list[Value], int]:
    """Values between nodes in the order of execution, and bytes of the graph's initializers. Raises SteelyardError for
    events of other nodes than the graph's, and Unsupported for a node that holds a graph: its values are not told."""
    import onnx

    model = onnx.load(graph_file, load_external_data=False)
    nodes: Mapping[str, Any] = {node.name: node for node in model.graph.node}
    outputs = {port.name for port in model.graph.output}
    made: dict[str, tuple[int, str, int]] = {}
    last: dict[str, int] = {}
    same: dict[str, str] = {}
    for place, event in enumerate(events):
        name = event.name.removesuffix(_KERNEL)
        if name not in nodes:
            raise Unsupported(f"node '{name}' ran that is not in the optimised graph, as within one that holds a graph")
        node = nodes[name]
        read = [same.get(each, each) for each in node.input]
        last.update(dict.fromkeys(read, place))
        if node.op_type in _HANDED_ON:
            same[node.output[0]] = read[0]
            continue
        names = [output for output in node.output if output]
        for output, told in zip(names, event.args.output_type_shape, strict=False):
            if output not in outputs:
                made[output] = _bytes(told, name), node.op_type, place
    values = [
        Value(name=name, operator=operator, bytes=size, made=place, read_last=last.get(name, place))
        for name, (size, operator, place) in made.items()
    ]
    weights = sum(
        int(onnx.helper.tensor_dtype_to_np_dtype(each.data_type).itemsize) * _product(each.dims)
        for each in model.graph.initializer
    )
    return values, weights


def _bytes(told: Mapping[str, list[int]], node: str) -> int:
    ((kind, shape),) = told.items()
    if kind not in _BYTES:
        raise SteelyardError(f"node '{node}' makes values of the type '{kind}', whose size is not known")
    return _BYTES[kind] * _product(shape)


def _product(shape: Any) -> int:
    found = 1
    for extent in shape:
        found *= int(extent)
    return found
