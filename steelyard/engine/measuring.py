"""One case inside a launch: compile, two runs apart, the timed window, the check, the proof."""

import dataclasses
import itertools
import os
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from steelyard.core.backend import Budget
from steelyard.core.energy import EnergyUse
from steelyard.core.errors import SteelyardError
from steelyard.core.lowered import LoweredPoint
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Correctness, Measurement, Proof, Result, Stage, Status
from steelyard.core.runner import Runner
from steelyard.core.turns import first_call_ratio, first_calls
from steelyard.core.workload import DType
from steelyard.engine.device import device_time, flush_of
from steelyard.engine.judging import unkept
from steelyard.engine.memory import known
from steelyard.engine.metering import estimated
from steelyard.measure import clock, loop
from steelyard.measure.correctness import Checker
from steelyard.measure.driver import Driver, driver_of
from steelyard.measure.growth import Growth
from steelyard.measure.l2 import cold
from steelyard.measure.loop import CheckPoints, Limits, loop_overhead_s, timed_window
from steelyard.measure.surroundings import misplaced, surroundings

if TYPE_CHECKING:
    from steelyard.engine.protocol import CaseRequest
    from steelyard.engine.worker import Launch


def measure_case(launch: "Launch", runner: Runner, case: "CaseRequest", *, first: bool) -> Result:
    """Everything one launch says about one case. Raises whatever the runtime raises."""
    lowered = case.lowered
    executables, new = launch.compiled(runner, case)
    inputs = [_tensors(entry.inputs) for entry in lowered.pool]
    references = [_tensors(entry.reference) for entry in lowered.pool]
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
    facts: dict[str, Any] = {}
    remarks: list[str] = []
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
            window = dataclasses.replace(window, begun_s=window.starts_ns[0] * 1e-9 - launch.request.origin_s)
            samples = [float(duration) for duration in window.durations_ns]
            facts["turns"] = {
                "number": len(window.turns),
                "first_calls_left_out": len(first_calls(window.turns, len(samples))),
                "first_call_over_the_rest": first_call_ratio(samples, window.turns),
            }
            if len(case.pace.lengths) > 1:
                facts["turns"]["lengths"] = list(
                    itertools.islice(itertools.cycle(case.pace.lengths), len(window.turns))
                )
        cpu_s = time.process_time() - cpu_s
        facts |= launch.board.end(launch.request.beside)
        growth.note(len(window.durations_ns))
        launch.memory_ends("steady", memory)
        _believe(clock.disagreement(window.elapsed_ns, window.witness_ns))
        facts["growth_bytes_per_call"] = growth.per_call()
        facts["window_s"] = window.elapsed_ns * 1e-9
        remarks += filter(None, (growth.sentence(),))
        after = runner.counters()
        moved = {name: after[name] - count for name, count in before.items() if after[name] != count}
        launch.enter("check")
        measurements = bound.measurements(window)
        if device.kind != "cpu":
            timed, why = device_time(bound.calls, flush)
            measurements += () if timed is None else (timed,)
            facts |= {"device_time": {"value": None, "reason": why}} if timed is None else {}
        use = launch.metering.case(bound.calls, partial(launch.enter, "energy"))
        energy = use.per_call
        if launch.request.energy.estimate:
            estimate = estimated(launch.request.energy, cpu_s, len(window.durations_ns), os.cpu_count() or 1)
        launch.enter("check")  # last: it may change what the runtime holds
        doubts, _ = bound.prove(limits, None)
    else:
        launch.enter("check")
        doubts, mixtures = bound.prove(limits, launch.phases["second_run_s"])
        facts |= {} if mixtures is None else {"mixtures": mixtures}
    checker.doubt(doubts)

    _believe(clock.replaced(loop.CLOCK, *bound.clocks))
    correctness = checker.verdict()
    proofs = {role: executable.proof() for role, executable in executables.items()}
    dtypes = {role: lowered.program.dtype for role, lowered in case.lowered.programs.items()}
    proof = _joined(proofs, dtypes, moved, launch.request.budget)
    for role, executable in executables.items():
        for name, reading in known(executable.memory()).items():
            launch.memory[f"{name}/{role}"] = reading
    status, reason = _status(correctness, proof)
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
        idiom=_of_state(driver, lowered, _merged({role: executable.idiom for role, executable in executables.items()})),
        options=_merged({role: executable.options for role, executable in executables.items()}),
        text=bound.text(),
        details={
            **bound.details(),
            **facts,
            **({"remarks": remarks} if remarks else {}),
            "loop_overhead_s": loop_overhead_s(),
        },
    )


def _believe(objection: str) -> None:
    if objection:
        raise SteelyardError(objection)


def _status(correctness: Correctness, proof: Proof) -> tuple[Status, str]:
    if proof.mismatches:
        return "fallback", "; ".join(proof.mismatches)
    if not correctness.passed:
        return "incorrect", correctness.reason
    return "ok", ""


def _joined(proofs: Mapping[str, Proof], asked: Mapping[str, DType], moved: Mapping[str, int], budget: Budget) -> Proof:
    """One proof for a case of several programs: placements add up, every mismatch counts, the process's own too."""
    parts = list(proofs.values())
    placement: dict[str, int] = {}
    for part in parts:
        for place, count in part.placement.items():
            placement[place] = placement.get(place, 0) + count
    moved_text = tuple(f"{name} moved by {count} inside the timed window" for name, count in moved.items())
    around = surroundings()
    objections = (unkept(part, asked[role], budget) for role, part in proofs.items())
    mismatches = tuple(dict.fromkeys(itertools.chain.from_iterable(objections)))
    mismatches += moved_text + misplaced(around["cpus"], budget.cpus, budget.threads)
    details = dict(parts[0].details) if len(parts) == 1 else {role: dict(part.details) for role, part in proofs.items()}
    dtypes = sorted({part.dtype for part in parts})
    return dataclasses.replace(
        parts[0],
        dtype=dtypes[0] if len(dtypes) == 1 else " and ".join(dtypes),
        placement=placement,
        graphs=_total(part.graphs for part in parts),
        graph_breaks=_total(part.graph_breaks for part in parts),
        recompiles=_compiled(moved) if any(part.recompiles is not None for part in parts) else None,
        mismatches=mismatches,
        remarks=tuple(dict.fromkeys(text for part in parts for text in part.remarks)),
        budget=_merged({role: part.budget for role, part in proofs.items()}) | around,
        details=details,
    )


def _compiled(moved: Mapping[str, int]) -> int:
    """How often something was compiled inside the window: there every compilation is one too many."""
    return sum(moved.get(name, 0) for name in ("compilations", "recompiles"))


def _total(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _merged(by_role: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One table for a case of several programs: equal entries once, differing ones marked by role."""
    merged: dict[str, Any] = {}
    for name in dict.fromkeys(name for entry in by_role.values() for name in entry):
        values = {role: entry[name] for role, entry in by_role.items() if name in entry}
        distinct = list(values.values())
        if all(value == distinct[0] for value in distinct):
            merged[name] = distinct[0]
        else:
            merged.update({f"{name} ({role})": value for role, value in values.items()})
    return merged


def _of_state(driver: Driver, lowered: LoweredPoint, idiom: Mapping[str, Any]) -> dict[str, Any]:
    """How a backend keeps state under the name of what it is, and nothing of it where programs carry none."""
    carries = any(program.program.state for program in lowered.programs.values())
    named = driver.state.casefold().replace(" ", "_")
    return {
        name.replace("kv_cache", named): value
        for name, value in idiom.items()
        if carries or not name.startswith("kv_cache")
    }


def _tensors(path: str) -> dict[str, Any]:
    """All tensors of a safetensors file as numpy arrays."""
    with safe_open(path, framework="np") as stream:
        return {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a dict)
