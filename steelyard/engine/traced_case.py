"""One case of a launch that is traced: calls with the runtime's profiler on and off in turns, and the file of events.

Nothing here is a measurement of the case's speed: the calls without the profiler are there to say what it costs.
"""

import contextlib
import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard import plugins
from steelyard.core.details import Details, TraceFacts
from steelyard.core.errors import SteelyardError, Unsupported
from steelyard.core.graph import Fusion
from steelyard.core.lowered import LoweredProgram
from steelyard.core.metrics import Reading
from steelyard.core.result import Result
from steelyard.core.runner import Binding, Runner
from steelyard.core.trace import Recording
from steelyard.core.tracing import Tracer
from steelyard.engine.inputs import tensors
from steelyard.engine.judging import joined, status_of
from steelyard.engine.traced_telling import compilations_of, memory_of
from steelyard.lowering.format import GRAPH
from steelyard.lowering.origin import source_of
from steelyard.measure import program_texts, trace_file
from steelyard.measure.clock import CLOCK
from steelyard.measure.correctness import Checker
from steelyard.measure.cpu_counters import CpuCounters
from steelyard.measure.scoring import score
from steelyard.measure.trace_summary import summarise

if TYPE_CHECKING:
    from steelyard.engine.protocol import CaseRequest
    from steelyard.engine.worker import Launch

_TURNS = 3
_FEWEST, _MOST = 3, 200
"""Calls of a turn: so many that a profiler's file stays small where a call has thousands of events."""


def trace_case(launch: "Launch", runner: Runner, case: "CaseRequest", *, first: bool) -> Result:
    """Trace a case of one program. Raises Unsupported for others, and whatever the runtime raises."""
    lowered = case.lowered
    if len(lowered.programs) != 1:
        names = " and ".join(each.program.name for each in lowered.programs.values())
        raise Unsupported(f"a call of several programs ({names}) is not traced: trace them as workloads of their own")
    (program,) = lowered.programs.values()
    name = f"{launch.request.launch.rpartition('/')[2]}-{case.case_id[:16]}"
    compilations = compilations_of(
        runner, program, cold=launch.request.round == 0, begins=lambda: launch.enter("compile")
    )
    compilations = program_texts.written(compilations, Path(launch.request.traces), name)
    (executable,) = launch.compiled(runner, case)[0].values()
    try:
        with launch.phase("compile"):
            tracer = runner.tracer(program)
    except Unsupported as error:  # what its compiler tells is told without a profiler, too
        return launch.result(
            case, first=first, status="unsupported", reason=str(error), details=Details(compilations=compilations)
        )
    inputs, reference = tensors(lowered.pool[0].inputs), tensors(lowered.pool[0].reference)
    clean, traced = executable.bind(inputs), tracer.executable.bind(inputs)
    launch.enter("first_run")
    call_s = max(_warmed(clean), _warmed(traced))
    runner.stop()
    count = round(min(max(case.pace.seconds / 2 / _TURNS / max(call_s, 1e-9), _FEWEST), _MOST))

    launch.enter("steady")
    ratios, recording = [], None
    for _ in range(_TURNS):
        without = statistics.median(_timed(clean) for _ in range(count))
        recording, with_it = _recorded(tracer, traced, count)
        ratios.append(with_it / without)
    counters = _counted(clean, count)
    launch.enter("check")
    correctness = None
    if reference.keys() >= {spec.name for spec in program.program.outputs}:
        checker, fresh = Checker(lowered, [reference], [inputs]), tracer.executable.bind(inputs)
        fresh.run()
        checker.program_call(0, program.program, fresh)
        fresh.settle()
        score(lowered.point, program.program, [fresh], checker)
        correctness = checker.verdict()
    memory = memory_of(runner, program, executable, inputs)
    assert recording is not None, "there is at least one turn"
    _check_calls(recording, count)
    fusion = _fusion(program, tracer, recording)
    recording = _with_sources(recording, fusion)
    proof = joined({"main": tracer.executable.proof()}, {"main": program.program.dtype}, {}, launch.request.budget)
    status, reason = status_of(correctness, proof)
    facts = TraceFacts(
        file=f"{name}.npz",
        sha256=trace_file.write(Path(launch.request.traces) / f"{name}.npz", recording),
        calls=count if recording.averaged else len(recording.calls),
        events=len(recording.kernel),
        overhead_ratio=statistics.median(ratios),
        checked=correctness is not None,
        summary=summarise(recording),
        fusion=fusion,
        counters=counters,
    )
    return launch.result(
        case,
        first=first,
        status=status,
        reason=reason,
        proof=proof,
        correctness=correctness,
        details=Details(trace=facts, compilations=compilations, memory=memory),
    )


def _fusion(program: LoweredProgram, tracer: Tracer, recording: Recording) -> Fusion:
    """The last recording on the source graph. A profiler that cannot be laid on it leaves its times as they are."""
    artifact = program.artifacts.get(GRAPH)
    if artifact is None:
        source = source_of(program.program)
        return Fusion(reason=program.failures.get(GRAPH) or source.lacks(GRAPH) or "the source graph was not made")
    graph = plugins.format_(GRAPH).load(artifact)
    try:
        return Fusion(graph=graph, sites=tracer.sites(recording, graph))
    except SteelyardError as error:
        return Fusion(graph=graph, reason=str(error))


def _with_sources(recording: Recording, fusion: Fusion) -> Recording:
    """Kernels with the operators of the nodes that ended in them, where these are known."""
    operator = {node.name: node.op for node in fusion.graph if node.kind == "computed"}
    found: dict[str, dict[str, None]] = {}
    for site in fusion.sites:
        found.setdefault(site.kernel, {}).update((operator[name], None) for name in site.nodes if name in operator)
    kernels = (replace(each, sources=tuple(found.get(each.name, ())) or each.sources) for each in recording.kernels)
    return replace(recording, kernels=tuple(kernels))


def _check_calls(recording: Recording, made: int) -> None:
    """Raises SteelyardError for a profiler that tells of other calls than were made; a full one may lack the last."""
    found = len(recording.calls)
    wanted = 1 if recording.averaged else made
    if not found or found > wanted or (found < wanted and not recording.dropped):
        raise SteelyardError(f"the profiler tells of {found} calls, {made} were made")


def _warmed(binding: Binding) -> float:
    """Seconds of the last of a few first calls."""
    found = 0.0
    for _ in range(_FEWEST):
        found = _timed(binding)
    return found


def _timed(binding: Binding) -> float:
    begun = CLOCK()
    binding.run()
    lasted = CLOCK() - begun
    binding.settle()
    return lasted * 1e-9


def _counted(binding: Binding, count: int) -> Mapping[str, Reading]:
    """What CPU and kernel count for a call without the profiler, its settling included: in calls of their own."""
    with contextlib.closing(CpuCounters()) as counters:
        with counters:
            for _ in range(count):
                binding.run()
                binding.settle()
        return counters.per_call(count)


def _recorded(tracer: Tracer, binding: Binding, count: int) -> tuple[Recording, float]:
    """What the profiler tells of so many calls, and their median in seconds."""
    lasted = []
    tracer.begin()
    try:
        for _ in range(count):
            begun = CLOCK()
            tracer.call(binding.run)
            lasted.append((CLOCK() - begun) * 1e-9)
            binding.settle()
    except BaseException:
        with contextlib.suppress(SteelyardError, RuntimeError):  # the next case of the launch runs without a profiler
            tracer.end()
        raise
    return tracer.end(), statistics.median(lasted)
