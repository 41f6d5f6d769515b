"""Synthetic runs of the suite `llm`: real core dataclasses, seeded samples, nothing executed.

    from tests.fakes.runs import Outcome, synthetic_run

    run = synthetic_run(effect={"xla": 0.5}, statuses={("openvino", "decode"): Outcome(status="crashed")})

The truth is known: an arm's latency is the baseline's times `effect`, times a lognormal factor per
launch (`spread`), one per round shared by all arms (`round_spread`), and one per sample (`within`).
Round 0 is cold: phases and memory, no timed window.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from steelyard.core.backend import TUNINGS, Budget, Device, parse_backend
from steelyard.core.case import CONTROL_SUFFIX, Arm, Case
from steelyard.core.energy import EnergySettings
from steelyard.core.hashing import stable_hash
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import (
    Correctness,
    LaunchRecord,
    Measurement,
    OutputCheck,
    Proof,
    Result,
    Stage,
    Status,
    Steady,
)
from steelyard.core.run import LeftOut, LoweredFacts, Manifest, Noise, Run, Segment, TuningRow, launches_by_segment
from steelyard.core.settings import Settings
from steelyard.core.workload import Identity, Point, Program, StateWindow, TensorSpec, Weights, Work
from steelyard.guard.grades import graded_at_end

BACKENDS = ("eager", "inductor", "xla", "onnxruntime", "openvino")
EFFECT = {"eager": 1.0, "inductor": 0.83, "xla": 0.42, "onnxruntime": 0.40, "openvino": 0.48}
BASE_S = {"prefill": 0.210, "decode": 0.060}
COMPILE_S = {"eager": 0.0, "inductor": 12.0, "xla": 3.1, "onnxruntime": 1.4, "openvino": 2.2}
COLD_FACTOR = {"inductor": 3.6, "xla": 2.4, "openvino": 2.0}
VERSIONS = {
    "eager": {"torch": "2.13.0"},
    "inductor": {"torch": "2.13.0"},
    "xla": {"jax": "0.10.2", "jaxlib": "0.10.2"},
    "onnxruntime": {"onnxruntime": "1.32.0"},
    "openvino": {"openvino": "2026.4.0"},
}
KEEPS_CACHE = {"inductor": "FX graph cache", "xla": "persistent compilation cache", "openvino": "CACHE_DIR"}
FORMATS = {
    "eager": ("module",),
    "inductor": ("module",),
    "xla": ("stablehlo",),
    "onnxruntime": ("onnx",),
    "openvino": ("openvino",),
}
TEXT = "The capital of France is Paris, which lies on the river Seine."
TOKENS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an arm ends on a workload: everywhere, or only in `rounds`. A status before `check` has no samples."""

    status: Status
    stage: Stage = "steady"
    reason: str = "made to fail by the test"
    rounds: tuple[int, ...] | None = None
    log_tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How many samples a launch takes, and what they look like. Over a window they grow by the share `drift`."""

    calls: int = 40
    generate_calls: int = 32
    cut: int = 3
    warm_up: float = 1.4
    steady: Steady = "warmed"
    spread: float = 0.01
    round_spread: float = 0.01
    within: float = 0.02
    drift: float = 0.0
    overrides: Mapping[tuple[str, str], Steady] = field(default_factory=dict)


def llm_points(
    workloads: Sequence[str] = ("prefill", "decode", "generate"),
    batches: Sequence[int] = (1,),
    model: str = "smollm2",
    dtype: str = "float32",
) -> tuple[Point, ...]:
    """Points as the suite makes them, with programs that nobody lowers."""
    points = []
    for batch in batches:
        weights = Weights(source="steelyard.suites.llm:weights", arguments={"model": model, "seed": 0}, origin="real")
        programs = {
            "prefill": _program("prefill", batch, 128, weights, dtype),
            "decode": _program("decode", batch, 1, weights, dtype),
        }
        axes: dict[str, Any] = {"model": model, "size": "small", "dtype": dtype, "batch": batch}
        for workload in workloads:
            extra: dict[str, Any] = {
                "prefill": {"prompt": 128},
                "decode": {"position": 256, "capacity": 512},
                "generate": {"prompt": 128, "tokens": TOKENS, "capacity": 512},
            }[workload]
            tokens = {"prefill": 128, "decode": 1, "generate": 128 + TOKENS}[workload]
            points.append(
                Point(
                    suite="llm",
                    suite_version=1,
                    workload=workload,
                    axes={**axes, **extra},
                    driver="generate" if workload == "generate" else "call",
                    programs=programs if workload == "generate" else {"main": programs[workload]},
                    settings=extra,
                    pool="steelyard.suites.llm:pool",
                    window=None if workload == "generate" else StateWindow(axis=2, start=0, length=tokens),
                    work=Work(
                        flop=2.0 * 134.5e6 * tokens * batch,
                        weight_bytes=538_060_800,
                        items=batch * (TOKENS if workload == "generate" else tokens),
                        unit="tokens",
                    ),
                )
            )
    return tuple(points)


def synthetic_run(
    *,
    backends: Sequence[str] = BACKENDS,
    rounds: int = 8,
    effect: Mapping[str, float] | None = None,
    statuses: Mapping[tuple[str, str], Outcome] | None = None,
    seed: int = 0,
    shape: Shape | None = None,
    points: Sequence[Point] | None = None,
    control: bool = True,
    grade: str = "A",
    evidence: Sequence[str] = (),
    headline: str = "generate",
    threads: int = 2,
    tuning: str = "default",
    device: Device | None = None,
    versions: Mapping[str, Mapping[str, str]] | None = None,
    identity: Mapping[str, str] | None = None,
    left_out: Sequence[LeftOut] = (LeftOut(backend="tensorrt", reason="no CUDA device"),),
    segments: Sequence[Sequence[int]] | None = None,
    ladder: Sequence[str] = (),
) -> Run:
    """A run of `rounds` warm rounds after the cold round 0, the first backend being the baseline.

    `effect` is latency over the baseline's, by arm label (the control arm's label is the baseline's
    plus CONTROL_SUFFIX), or by "label|workload" for one workload alone. `statuses` are keyed (arm label,
    workload). `identity` replaces parts of every identity, e.g. {"weights": "other"}. `segments` splits
    the rounds; without it one segment holds them all. `ladder` are backends in the order of their increments.
    """
    shape = shape or Shape()
    rng = np.random.default_rng(seed)
    device = device or Device(kind="cpu", index=0, name="Synthetic CPU 3000", memory_bytes=16 << 30)
    budget = Budget(threads=threads, cpus=tuple(range(threads)), tuning=tuning)  # type: ignore[arg-type]
    points = tuple(points) if points is not None else llm_points()
    arms = [Arm(label=parse_backend(text).text, backend=parse_backend(text)) for text in backends]
    baseline = arms[0]
    if control:
        arms.append(Arm(label=baseline.label + CONTROL_SUFFIX, backend=baseline.backend, control=True))
    cases = {
        (arm.label, point.key): Case(
            point=point, backend=arm.backend, device_kind=device.kind, scenario="single-stream", budget=budget
        )
        for arm in arms
        for point in points
    }
    ids = {key: case.id for key, case in cases.items()}
    results: list[Result] = []
    launches: list[LaunchRecord] = []
    clock = 0.0
    for index in range(rounds + 1):
        shared = {point.key: float(np.exp(rng.normal(0, shape.round_spread))) for point in points}
        for position, number in enumerate(rng.permutation(len(arms))):
            arm = arms[int(number)]
            launch = f"r{index:03d}-{position:02d}"
            seconds = 0.0
            for order, point in enumerate(_ordered(points, index, headline)):
                truth = _effect(effect, arm, point.workload)
                scale = truth * shared[point.key] * float(np.exp(rng.normal(0, shape.spread)))
                outcome = (statuses or {}).get((arm.label, point.workload))
                if outcome is not None and outcome.rounds is not None and index not in outcome.rounds:
                    outcome = None
                result = _result(
                    arm=arm,
                    point=point,
                    case_id=ids[arm.label, point.key],
                    round_=index,
                    position=position,
                    launch=launch,
                    first=order == 0,
                    scale=scale,
                    outcome=outcome,
                    shape=shape,
                    versions=(versions or {}).get(arm.backend.runner, VERSIONS.get(arm.backend.runner, {})),
                    threads=threads,
                    rng=rng,
                )
                seconds += sum(sum(m.samples) for m in result.measurements[:1]) + sum(result.phases.values())
                results.append(result)
            launches.append(
                LaunchRecord(
                    launch=launch,
                    arm=arm.label,
                    round=index,
                    position=position,
                    started_s=clock,
                    ended_s=clock + seconds,
                    exit_code=0,
                    supervisor_cpu_s=0.002 * seconds,
                    noise={"steal": Reading(value=0.001, unit="1", method="/proc/stat")},
                )
            )
            clock += seconds + 0.5
    manifest = Manifest(
        run_id=f"synthetic-{seed:04d}",
        tool_version="0.1.0",
        created_utc="2026-01-01T00:00:00Z",
        command=("bench", "run", "--suite", "llm", "--backend", ",".join(backends)),
        suite="llm",
        suite_version=1,
        headline=headline,
        device=device,
        budget=budget,
        baseline=baseline.label,
        arms=tuple(arms),
        cases=tuple({case_id: cases[key] for key, case_id in ids.items()}.values()),
        left_out=tuple(left_out),
        tunings=tuple(
            TuningRow(
                backend=arm.label,
                tuning=name,
                options={"intra_op_threads": threads, "precision": "f32", "search": name == "max"},
                keeps_cache=KEEPS_CACHE.get(arm.backend.runner, ""),
                formats=FORMATS.get(arm.backend.runner, ()),
            )
            for arm in arms
            if not arm.control
            for name in TUNINGS
        ),
        lowered={point.key: _facts(point, identity or {}) for point in points},
        plan=Settings(
            suite="llm",
            scenario="single-stream",
            minimum_rounds=min(rounds, 8),
            maximum_rounds=rounds,
            quick=False,
            time_s=None,
            window_s=2.0,
            seed=0,
            energy=EnergySettings(),
            ladders=(tuple(ladder),) if ladder else (),
        ).stored,
        environment={
            "versions": {name: text for table in VERSIONS.values() for name, text in table.items()},
            "python": "3.11.7",
            "cpu": device.name,
            "kernel": "6.12.0",
            "governor": {"value": None, "reason": "no cpufreq in this virtual machine"},
        },
    )
    noise = Noise(
        grade=grade,  # type: ignore[arg-type]
        readings={"hiccup_share": Reading(value=0.002, unit="1", method="spin meter, worst CPU")},
        evidence=tuple(evidence),
    )
    parts = [tuple(part) for part in segments] if segments is not None else [tuple(range(rounds + 1))]
    return Run(
        manifest=manifest,
        segments=tuple(
            Segment(
                index=number,
                started_utc=f"2026-01-01T0{number}:00:00Z",
                rounds=part,
                ended="rounds" if number == len(parts) - 1 else "interrupted",
                noise=noise,
                supervisor={"cpu_share": Reading(value=0.004, unit="1", method="process times")},
            )
            for number, part in enumerate(parts)
        ),
        launches=tuple(launches),
        results=tuple(results),
    )


def with_clock(run: Run, hz: Callable[[LaunchRecord], float]) -> Run:
    """The run as it is where the spin meter found this speed in each launch, graded by it."""
    launches = tuple(
        replace(record, noise={**record.noise, "during/spin_hz": Reading(value=hz(record), unit="Hz", method="a loop")})
        for record in run.launches
    )
    parts = zip(run.segments, launches_by_segment(launches), strict=True)
    segments = tuple(replace(segment, noise=graded_at_end(segment.noise, part)) for segment, part in parts)
    return replace(run, launches=launches, segments=segments)


def _ordered(points: Sequence[Point], round_: int, headline: str) -> list[Point]:
    """The headline first in the cold round, another point first in each later one."""
    if round_ == 0:
        return sorted(points, key=lambda point: point.workload != headline)
    turn = (round_ - 1) % len(points)
    return [*points[turn:], *points[:turn]]


def _effect(effect: Mapping[str, float] | None, arm: Arm, workload: str) -> float:
    if effect is None:
        return EFFECT.get(arm.backend.runner, 1.0)
    return effect.get(f"{arm.label}|{workload}", effect.get(arm.label, 1.0))


def _result(
    *,
    arm: Arm,
    point: Point,
    case_id: str,
    round_: int,
    position: int,
    launch: str,
    first: bool,
    scale: float,
    outcome: Outcome | None,
    shape: Shape,
    versions: Mapping[str, str],
    threads: int,
    rng: np.random.Generator,
) -> Result:
    name = arm.backend.runner
    status: Status = "ok" if outcome is None else outcome.status
    stage: Stage = "check" if outcome is None else outcome.stage
    finished = status in ("ok", "incorrect", "fallback")
    jitter = float(np.exp(rng.normal(0, 0.05)))
    compile_s = COMPILE_S.get(name, 1.0) * jitter * (COLD_FACTOR.get(name, 1.0) if round_ == 0 else 1.0)
    phases = {
        "import_s": 0.9 * jitter,
        "load_s": 0.4 * jitter,
        "compile_s": compile_s,
        "first_run_s": 3 * BASE_S.get(point.workload, 2.0) * scale,
        "second_run_s": 1.2 * BASE_S.get(point.workload, 2.0) * scale,
    }
    right = status != "incorrect"
    error = 2e-6 if right else 0.3
    checks = (
        OutputCheck(
            output="logits",
            relative_l2=error,
            max_abs=10 * error,
            tolerance=2e-5,
            passed=right,
            level=-6 if right else 1,
        ),
    )
    mismatches = (outcome.reason,) if outcome is not None and status == "fallback" else ()
    return Result(
        case_id=case_id,
        arm=arm.label,
        round=round_,
        position=position,
        launch=launch,
        status=status,
        stage=stage,
        reason="" if outcome is None else outcome.reason,
        log_tail="" if outcome is None else outcome.log_tail,
        first_in_launch=first,
        phases=phases if finished else {"import_s": phases["import_s"]},
        measurements=_measurements(arm, point, scale, shape, rng) if finished and round_ > 0 else (),
        memory=_memory(name, jitter) if finished else {},
        energy=absent("J", "no energy counter on this machine"),
        proof=Proof(
            runtime=name,
            versions=versions,
            platform="CPU",
            dtype=str(point.axes["dtype"]),
            threads=threads,
            placement={"CPU": 97},
            graph_breaks=0,
            recompiles=0,
            mismatches=mismatches,
        )
        if finished
        else None,
        correctness=Correctness(
            passed=right, calls_checked=4, outputs=checks, reason="" if right else "logits are off by 0.3"
        )
        if finished
        else None,
        idiom={"weights": "arguments" if name == "xla" else "constants", "kv_cache": "in place"},
        options={"intra_op_threads": threads, "precision": "f32"},
        text=TEXT if finished and point.workload == "generate" else None,
    )


def _measurements(
    arm: Arm, point: Point, scale: float, shape: Shape, rng: np.random.Generator
) -> tuple[Measurement, ...]:
    steady = shape.overrides.get((arm.label, point.workload), shape.steady)
    batch = float(point.axes["batch"]) ** 0.7
    if point.workload != "generate":
        base = BASE_S[point.workload] * scale * batch
        return (_measurement("latency_s", base, shape.calls, steady, shape, rng),)
    calls, steps = shape.generate_calls, TOKENS - 1
    first = _measurement("ttft_s", BASE_S["prefill"] * scale * batch, calls, steady, shape, rng)
    step = _measurement(
        "tpot_s", BASE_S["decode"] * scale * batch, calls * steps, steady, shape, rng, shape.cut * steps
    )
    whole = np.array(first.samples) + np.array(step.samples).reshape(calls, steps).sum(axis=1)
    latency = Measurement(
        metric="latency_s",
        layer="bound_wall",
        samples=tuple(whole.tolist()),
        starts_s=tuple((np.cumsum(whole) - whole).tolist()),
        cut=first.cut,
        steady=steady,
        stop="time",
    )
    return (latency, first, step)


def _measurement(
    metric: str,
    base: float,
    count: int,
    steady: Steady,
    shape: Shape,
    rng: np.random.Generator,
    cut: int | None = None,
) -> Measurement:
    """Lognormal samples; the leading `cut` are `warm_up` times slower where the class says so."""
    cut = shape.cut if cut is None else cut
    samples = base * np.exp(rng.normal(0, shape.within, count)) * (1 + shape.drift * np.linspace(-0.5, 0.5, count))
    if steady in ("warmed", "too_short"):
        samples[:cut] *= shape.warm_up
    return Measurement(
        metric=metric,
        layer="bound_wall",
        samples=tuple(samples.tolist()),
        starts_s=tuple((np.cumsum(samples) - samples).tolist()),
        cut=cut if steady == "warmed" else 0,
        steady=steady,
        stop="time",
    )


def _memory(name: str, jitter: float) -> dict[str, Reading]:
    host = {"import": 0.3e9, "load": 0.9e9, "compile": 1.6e9, "first_run": 1.1e9, "steady": 1.1e9}
    memory = {
        f"host_peak_bytes/{phase}": Reading(value=round(value * jitter), unit="B", method="VmHWM")
        for phase, value in host.items()
    }
    memory["planned_bytes/compile"] = (
        Reading(value=5.6e8, unit="B", method="memory_analysis")
        if name == "xla"
        else absent("B", f"{name} does not tell what it planned")
    )
    memory["device_peak_bytes/steady"] = absent("B", "no device memory apart from the host's")
    return memory


def _facts(point: Point, identity: Mapping[str, str]) -> LoweredFacts:
    parts = {
        "definition": point.key,
        "weights": stable_hash(["weights", dict(point.axes)]),
        "inputs": stable_hash(["inputs", dict(point.axes)]),
        "reference": stable_hash(["reference", dict(point.axes)]),
    }
    return LoweredFacts(
        point=point.key,
        identity=Identity(**{**parts, **identity}),
        weight_bytes={"module": 538_060_800, "onnx": 538_060_800, "stablehlo": 538_060_800, "openvino": 538_060_800},
        weight_notes={},
        artifact_sha256={"onnx": stable_hash(["onnx", point.key]), "openvino": stable_hash(["ir", point.key])},
        tolerances={"logits": {"floor": 2e-6, "limit": 2e-5}},
        forced_from=(None,) * 8 if point.workload == "generate" else (),
        reference_text=TEXT if point.workload == "generate" else None,
    )


def _program(name: str, batch: int, length: int, weights: Weights, dtype: str) -> Program:
    cache = TensorSpec(name="cache.0.key", shape=(batch, 3, 512, 64), dtype=dtype, role="state")  # type: ignore[arg-type]
    return Program(
        name=name,
        source=f"steelyard.suites.llm:{name}",
        arguments={"batch": batch, "length": length},
        weights=weights,
        dtype=dtype,  # type: ignore[arg-type]
        inputs=(TensorSpec(name="input_ids", shape=(batch, length), dtype="int64"),)
        + ((cache,) if name == "decode" else ()),
        outputs=(
            TensorSpec(name="logits", shape=(batch, 1, 49_152), dtype=dtype),  # type: ignore[arg-type]
            cache,
        ),
    )
