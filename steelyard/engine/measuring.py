"""One case inside a launch: compile, two runs apart, the timed window, the check, the proof."""

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from steelyard.core.details import Details, NotTold, TurnFacts
from steelyard.core.energy import EnergyUse
from steelyard.core.errors import SteelyardError
from steelyard.core.lowered import LoweredPoint
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Measurement, Result, Stage
from steelyard.core.runner import Runner
from steelyard.core.turn_rule import first_call_ratio, first_calls
from steelyard.engine.device import device_time, flush_of
from steelyard.engine.inputs import tensors
from steelyard.engine.judging import joined, merged, status_of
from steelyard.engine.launch_memory import known
from steelyard.engine.metering import estimated
from steelyard.measure import clock, loop
from steelyard.measure.correctness import Checker
from steelyard.measure.driver import Driver, driver_of
from steelyard.measure.growth import Growth
from steelyard.measure.l2 import cold
from steelyard.measure.loop import CheckPoints, Limits, Window, loop_overhead_s, timed_window

if TYPE_CHECKING:
    from steelyard.engine.protocol import CaseRequest
    from steelyard.engine.worker import Launch


def measure_case(launch: "Launch", runner: Runner, case: "CaseRequest", *, first: bool) -> Result:
    """Everything one launch says about one case. Raises whatever the runtime raises."""
    lowered = case.lowered
    executables, new = launch.compiled(runner, case)
    inputs = [tensors(entry.inputs) for entry in lowered.pool]
    references = [tensors(entry.reference) for entry in lowered.pool]
    checker = Checker(lowered, references, inputs)
    limits = {name: tolerance.limit for name, tolerance in lowered.tolerances.items()}
    driver = driver_of(lowered.point)
    bound = driver.bind(lowered, executables, inputs, checker, bound=launch.request.bound)
    # Programs that have run before, in an earlier case of the launch, are warm after one run.
    stages: tuple[Stage, ...] = ("first_run", "second_run") if new or not launch.request.steady else ("first_run",)
    for stage in stages:
        with launch.phase(stage):
            bound.calls[0].run()
        if stage == stages[-1]:
            bound.inspect(0)
        bound.calls[0].settle()
    runner.stop()

    moved: Mapping[str, int] = {}
    measurements: tuple[Measurement, ...] = ()
    details = Details()
    energy = absent("J", "too_short: a cold launch has no timed window")
    use: EnergyUse | None = None
    estimate: Reading | None = None
    if launch.request.steady:
        launch.enter("steady")
        before = dict(runner.counters())
        growth = Growth()

        def inspect(index: int) -> None:
            bound.inspect(index)
            growth.note(index + 1)

        device, l2 = launch.request.device, launch.request.budget.l2
        flush = flush_of(runner, device) if l2 == "cold" else None
        calls = bound.calls if flush is None else cold(bound.calls, flush)
        memory = launch.memory_begins()
        launch.board.begin()
        cpu_s = time.process_time()
        window = timed_window(
            calls,
            Limits(
                seconds=case.pace.seconds,
                minimum=case.pace.minimum,
                maximum=case.pace.maximum,
                cap_s=case.pace.cap_s,
                turn_s=case.pace.turn_s,
                lengths=case.pace.lengths,
            ),
            inspect=inspect,
            checks=CheckPoints(launch.request.seed, early=case.pace.minimum),
            stand=launch.stand,
        )
        if window.turns:
            window = replace(window, begun_s=window.starts_ns[0] * 1e-9 - launch.request.origin_s)
            details = replace(details, turns=_turns(window, case.pace.lengths))
        cpu_s = time.process_time() - cpu_s
        board = launch.board.end(launch.request.beside)
        growth.note(len(window.durations_ns))
        launch.memory_ends("steady", memory)
        _believe(clock.disagreement(window.elapsed_ns, window.witness_ns))
        after = runner.counters()
        moved = {name: after[name] - count for name, count in before.items() if after[name] != count}
        details = replace(
            details,
            board=board,
            growth_bytes_per_call=growth.per_call(),
            window_s=window.elapsed_ns * 1e-9,
            remarks=tuple(filter(None, (growth.sentence(),))),
        )
        launch.enter("check")
        measurements = bound.measurements(window)
        if device.kind != "cpu":
            timed, why = device_time(bound.calls, flush)
            measurements += () if timed is None else (timed,)
            details = replace(details, device_time=NotTold(reason=why) if timed is None else None)
        use = launch.metering.case(bound.calls, partial(launch.enter, "energy"))
        energy = use.per_call
        if launch.request.energy.estimate:
            estimate = estimated(launch.request.energy, cpu_s, len(window.durations_ns), os.cpu_count() or 1)
        launch.enter("check")  # last: it may change what the runtime holds
        doubts, _ = bound.prove(limits, None)
    else:
        launch.enter("check")
        doubts, mixtures = bound.prove(limits, launch.phases["second_run_s"])
        details = replace(details, mixtures=mixtures)
    checker.doubt(doubts)

    _believe(clock.replaced(loop.CLOCK, *bound.clocks))
    correctness = checker.verdict()
    proofs = {role: executable.proof() for role, executable in executables.items()}
    dtypes = {role: lowered.program.dtype for role, lowered in case.lowered.programs.items()}
    proof = joined(proofs, dtypes, moved, launch.request.budget, launch.request.streams)
    for role, executable in executables.items():
        for name, reading in known(executable.memory()).items():
            launch.memory[f"{name}/{role}"] = reading
    status, reason = status_of(correctness, proof)
    bound.close()
    return launch.result(
        case,
        first=first,
        status=status,
        reason=reason,
        approximate=correctness.approximate if status == "ok" else "",
        measurements=measurements,
        energy=energy,
        energy_use=use,
        energy_estimate=estimate,
        proof=proof,
        correctness=correctness,
        idiom=_of_state(
            driver, lowered, merged({role: executable.execution_mode for role, executable in executables.items()})
        ),
        options=merged({role: executable.options for role, executable in executables.items()}),
        text=bound.text(),
        details=replace(details, loop_overhead_s=loop_overhead_s(), driver=bound.details()),
    )


def _turns(window: Window, lengths: Sequence[int]) -> TurnFacts:
    samples = [float(duration) for duration in window.durations_ns]
    alike = len(lengths) == 1
    return TurnFacts(
        number=len(window.turns),
        first_calls_left_out=len(first_calls(window.turns, len(samples))),
        first_call_over_the_rest=first_call_ratio(samples, window.turns),
        lengths=() if alike else tuple(itertools.islice(itertools.cycle(lengths), len(window.turns))),
    )


def _believe(objection: str) -> None:
    if objection:
        raise SteelyardError(objection)


def _of_state(driver: Driver, lowered: LoweredPoint, execution_mode: Mapping[str, Any]) -> dict[str, Any]:
    """How a backend keeps state under the name of what it is, and nothing of it where programs carry none."""
    carries = any(program.program.state for program in lowered.programs.values())
    named = driver.state.casefold().replace(" ", "_")
    return {
        name.replace("kv_cache", named): value
        for name, value in execution_mode.items()
        if carries or not name.startswith("kv_cache")
    }
