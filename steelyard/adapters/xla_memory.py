"""XLA's memory plan of a program: its buffer assignment, and the order of the instructions that it is made for.

Both are messages of protocol buffers that JAX hands out (`BufferAssignmentProto`, `HloModuleProto`); numbers are those
of their fields.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from steelyard.adapters.protobuf import fields, message, packed, part, whole
from steelyard.core.errors import SteelyardError, Unsupported
from steelyard.core.lowered import LoweredProgram
from steelyard.core.memory_profile import MemoryProfile, Value, largest_first, least_bytes, over_time, spans_of
from steelyard.core.metrics import Reading, absent
from steelyard.core.runner import Arrays, Runner

_FORWARDING = frozenset({"bitcast", "tuple", "get-tuple-element"})
"""Instructions that make no value of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Instruction:
    name: str
    opcode: str
    operands: tuple[int, ...]


def memory(runner: Runner, program: LoweredProgram, executable: Any, inputs: Arrays) -> MemoryProfile:
    """See `Runner.tells`. Raises Unsupported where XLA tells no plan, SteelyardError for one that cannot be read."""
    plan = executable.call.memory_analysis()
    if plan is None or not plan.serialized_buffer_assignment_proto:
        raise Unsupported("XLA gives no memory analysis on this platform")
    (module,) = executable.call.runtime_executable().hlo_modules()
    order = entry_of(module.as_serialized_hlo_module_proto())
    values, others = temporaries(plan.serialized_buffer_assignment_proto, order)
    each_apart = sum(value.bytes for value in values)
    whole_plan = "buffer assignment: temporary buffers"
    untold = f"{others} temporary buffers are of parts of the program that run conditionally or repeatedly"
    return MemoryProfile(
        weights=Reading(value=float(sum(each.nbytes for each in executable.weights)), unit="B", method="arguments"),
        inputs=sum(spec.bytes for spec in program.program.inputs),
        outputs=sum(spec.bytes for spec in program.program.outputs),
        each_apart=absent("B", untold) if others else Reading(value=float(each_apart), unit="B", method=whole_plan),
        least=absent("B", untold)
        if others
        else Reading(value=float(least_bytes(values)), unit="B", method="from the order of the instructions"),
        reached=Reading(value=float(plan.temp_size_in_bytes), unit="B", method="memory_analysis: temporaries"),
        workspace=absent("B", "XLA does not tell an operator's own memory from that of values"),
        largest=largest_first(values),
        over_time=() if others else over_time(spans_of(values)),
    )


def entry_of(module: bytes) -> dict[int, _Instruction]:
    """The instructions of the entry computation by their ids, in the order of execution."""
    told = message(module)
    entry = whole(told, 6)
    found: dict[int, _Instruction] = {}
    for number, computation in fields(module):
        if number == 3 and isinstance(computation, bytes) and whole(message(computation), 5) == entry:
            found = dict(_instructions(computation))
    for number, sequence in fields(part(told, 7)):
        if number == 1 and isinstance(sequence, bytes) and whole(message(sequence), 1) == entry:
            order = packed(part(message(part(message(sequence), 2)), 1))
            return {identity: found[identity] for identity in order if identity in found}
    raise SteelyardError("XLA's module does not tell in which order its entry computation is executed")


def _instructions(computation: bytes) -> Iterator[tuple[int, _Instruction]]:
    for number, data in fields(computation):
        if number == 2 and isinstance(data, bytes):
            told = message(data)
            name, opcode = part(told, 1).decode(), part(told, 2).decode()
            yield whole(told, 35), _Instruction(name=name, opcode=opcode, operands=tuple(packed(part(told, 36))))


def temporaries(assignment: bytes, order: dict[int, _Instruction]) -> tuple[list[Value], int]:
    """The values in temporary buffers that instructions of the entry computation make, and how many others are in
    those."""
    places = {identity: place for place, identity in enumerate(order)}
    last = _read_last(order, places)
    made: dict[int, tuple[int, int]] = {}
    temporary: list[int] = []
    for number, data in fields(assignment):
        if not isinstance(data, bytes):
            continue
        if number == 1:  # a logical buffer: id, bytes, the instruction that makes it
            told = message(data)
            made[whole(told, 1)] = whole(told, 2), whole(message(part(told, 3)), 4)
        elif number == 3:  # an allocation: of a thread, a parameter, an output, a constant, or temporary
            told = message(data)
            if not any(whole(told, flag) for flag in (3, 5, 7, 12)):
                assigned = (each for field, each in fields(data) if field == 9 and isinstance(each, bytes))
                temporary += [whole(message(each), 1) for each in assigned]
    values = []
    for buffer in temporary:
        if buffer not in made:
            raise SteelyardError(f"XLA's buffer assignment has no logical buffer {buffer}")
        size, identity = made[buffer]
        if identity in order:
            instruction, place = order[identity], places[identity]
            values.append(
                Value(
                    name=instruction.name,
                    operator=instruction.opcode,
                    bytes=size,
                    made=place,
                    read_last=last.get(identity, place),
                )
            )
    return values, len(temporary) - len(values)


def _read_last(order: dict[int, _Instruction], places: dict[int, int]) -> dict[int, int]:
    """Where each instruction's value is read last, through those that only hand it on."""
    last: dict[int, int] = {}
    for identity in reversed(order):
        instruction = order[identity]
        place = last.get(identity, places[identity]) if instruction.opcode in _FORWARDING else places[identity]
        for operand in instruction.operands:
            last[operand] = max(last.get(operand, 0), place)
    return last
