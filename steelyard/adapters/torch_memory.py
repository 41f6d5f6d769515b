"""What PyTorch's allocator does in a call: torch.profiler with `profile_memory`, in one call of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from steelyard.adapters.torch_executable import TorchExecutable
from steelyard.adapters.torch_module import TorchRunner
from steelyard.core.errors import SteelyardError, Unsupported
from steelyard.core.lowered import LoweredProgram
from steelyard.core.memory_profile import MemoryProfile, Span, Value, largest_first, most_held, over_time
from steelyard.core.metrics import Reading, absent
from steelyard.core.runner import Arrays

_MARK = "steelyard memory"
_REUSED = "a buffer that generated code uses again for another value is one, and no value where it becomes an output"
_GIVERS = ("aten::empty", "aten::resize_")
"""Operators that only get memory, for those around them."""

_EVENTS = "events of the allocator in one call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The allocator gives `bytes` at an address, or takes them back where they are negative. `operator` is the
    outermost operator around it, the `call`-th of all, and `within` the innermost; -1 and empty where there is none."""

    at_ns: int
    bytes: int
    address: int
    call: int = -1
    operator: str = ""
    within: str = ""


def memory(runner: TorchRunner, program: LoweredProgram, executable: Any, inputs: Arrays) -> MemoryProfile:
    """See `Runner.tells`. Raises Unsupported but for CPUs."""
    from torch.profiler import ProfilerActivity, profile, record_function

    if runner.target.type != "cpu":
        raise Unsupported(f"the events of torch's allocator are read on a CPU alone, not on {runner.target.type}")
    binding = executable.bind(inputs)
    for _ in range(2):
        binding.run()
        binding.settle()
    recorded = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
    recorded.start()
    with record_function(_MARK):
        binding.run()
    recorded.stop()
    binding.settle()
    weights = {tensor.data_ptr(): tensor.nbytes for tensor in executable.tensors()}
    values, spans, workspace = told(changes(recorded.profiler.kineto_results.experimental_event_tree()))
    unread = "PyTorch does not tell when a value is read last"
    return MemoryProfile(
        weights=Reading(value=float(sum(weights.values())), unit="B", method="parameters and buffers"),
        inputs=sum(spec.bytes for spec in program.program.inputs),
        outputs=sum(spec.bytes for spec in program.program.outputs),
        each_apart=Reading(value=float(sum(value.bytes for value in values)), unit="B", method=_EVENTS),
        least=absent("B", unread),
        reached=Reading(value=float(most_held(spans)), unit="B", method=_EVENTS),
        workspace=Reading(value=float(workspace), unit="B", method=_EVENTS),
        largest=largest_first(values),
        over_time=over_time(spans),
        remarks=() if runner.executable is TorchExecutable else (_REUSED,),
    )


def changes(events: Sequence[Any]) -> list[Change]:
    """What the allocator did in the call, in the order of time. Raises SteelyardError where the call is missing."""
    marks = [event for event in events if event.name == _MARK]
    if len(marks) != 1:
        raise SteelyardError(f"torch.profiler tells of {len(marks)} calls instead of one")
    return sorted(_within(marks[0], (), [0]), key=lambda change: change.at_ns)


def _within(event: Any, around: tuple[tuple[int, str], ...], count: list[int]) -> Iterator[Change]:
    for child in event.children:
        if child.tag.name == "Allocation":
            fields = child.extra_fields
            call, operator = around[0] if around else (-1, "")
            within = around[-1][1] if around else ""
            yield Change(
                at_ns=child.start_time_ns, bytes=fields.alloc_size, address=fields.ptr, call=call, operator=operator,
                within=within,
            )  # fmt: skip
        elif "::" in child.name and not child.name.startswith(_GIVERS):
            count[0] += 1
            yield from _within(child, (*around, (count[0], child.name)), count)
        else:
            yield from _within(child, around, count)


def told(found: Sequence[Change]) -> tuple[list[Value], list[Span], int]:
    """What one operator is given and another takes back within the call; from which change to which each piece of
    memory is held; and the most that an operator takes for itself.

    What outlives the call are its outputs, and what is older than it is not its own.
    """
    given: dict[int, tuple[int, Change]] = {}
    spans: list[Span] = []
    own: dict[int, list[Span]] = {}
    values: list[Value] = []
    for place, change in enumerate(found):
        if change.bytes > 0:
            given[change.address] = place, change
        elif change.address in given:
            made, first = given.pop(change.address)
            spans.append((made, place, first.bytes))
            if first.call >= 0 and first.call == change.call:
                own.setdefault(first.call, []).append(spans[-1])
                continue
            name = first.within or "outside of operators"
            values.append(Value(name=name, operator=first.operator, bytes=first.bytes, made=made))
    return values, spans, max(map(most_held, own.values()), default=0)
