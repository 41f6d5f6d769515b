"""Faults that are made on purpose, what must be seen of each, and whether a stored run shows it.

One ordinary run holds a backend for every fault (see `steelyard.selftest.backends`) beside one that is right.
Whether a fault was caught is read off the stored run and its comparisons, as a report would.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from steelyard.analysis import compare_run
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.comparison import Comparison
from steelyard.core.errors import unknown_name
from steelyard.core.result import LaunchRecord, Result
from steelyard.core.run import Run
from steelyard.core.workload import Selection
from steelyard.engine.plan import DEFAULT_TIMEOUTS, Request
from steelyard.selftest.backends import FAULTS, LATE_CALL, LATE_S, LEAK_BYTES, MEBI, PATH

SLEEP_S, SPIN_S, ALLOCATE = 0.001, 0.002, 64
WINDOW_S = 0.4
HANG_S = 2.0
SUITE = "steelyard.selftest.suite:SUITE"
BASELINE = f"{PATH}[sleep={SLEEP_S}]"
_SLOWER = 1.3  # a timer of the kernel wakes late by some 60 us, and the loop adds a product of two small matrices
_PART_OF_HELD = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRecord:
    """What the stored run holds of one backend: its rows, its launches, its comparison with the right one (which has
    none), and the rows of the right one."""

    results: Sequence[Result]
    launches: Sequence[LaunchRecord]
    comparison: Comparison | None
    right: Sequence[Result]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedFault:
    """A fault, or a quantity that is known: the backend that has it, and the test of what was seen.

    `judge` gives whether it was caught, and what was seen as a sentence.
    """

    name: str
    backend: str
    expected: str
    judge: Callable[[BackendRecord], tuple[bool, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """One line of the self-test."""

    fault: str
    means: str
    expected: str
    seen: str
    caught: bool


def _row(status: str, words: str) -> Callable[[BackendRecord], tuple[bool, str]]:
    """The fault takes the backend's speed away: a row of that status says so, and there is no comparison."""

    def judge(seen: BackendRecord) -> tuple[bool, str]:
        rows = [result for result in seen.results if result.status != "ok"]
        if not rows:
            return False, "every launch ended ok"
        told = [result for result in rows if result.status == status and words in result.reason]
        first = (told or rows)[0]
        text = f"{first.status.replace('_', ' ')}: {first.reason}"
        if seen.comparison is None or seen.comparison.verdict != "incomparable":
            return False, f"{text}; and yet it was compared"
        return bool(told), text

    return judge


def _class(*classes: str) -> Callable[[BackendRecord], tuple[bool, str]]:
    """The samples of every timed launch are of one of these classes of steady state."""

    def judge(seen: BackendRecord) -> tuple[bool, str]:
        found = [item.steady for result in seen.results if (item := result.measurement("latency_s")) is not None]
        text = f"{' and '.join(dict.fromkeys(found))}" if found else "no launch was timed"
        return bool(found) and all(steady in classes for steady in found), text

    return judge


def _remark(words: str) -> Callable[[BackendRecord], tuple[bool, str]]:
    """A launch remarked on it."""

    def judge(seen: BackendRecord) -> tuple[bool, str]:
        told = [text for result in seen.results for text in result.details.remarks]
        fitting = [text for text in told if words in text]
        return bool(fitting), (fitting or told or ["no launch remarked on it"])[0]

    return judge


def _takes(seconds: float) -> Callable[[BackendRecord], tuple[bool, str]]:
    """The median call takes at least so long, and hardly longer."""

    def judge(seen: BackendRecord) -> tuple[bool, str]:
        medians = [median(samples) for samples in _samples(seen.results)]
        if not medians:
            return False, _why(seen.results)
        text = f"median {' and '.join(f'{value * 1e3:.3g}' for value in medians)} ms"
        return all(0.99 * seconds <= value <= _SLOWER * seconds for value in medians), text

    return judge


def _slow_call(seen: BackendRecord) -> tuple[bool, str]:
    """The one slow sample is kept, at its place in time, and does not move the median."""
    for samples in _samples(seen.results):
        slowest = max(range(len(samples)), key=lambda index: samples[index])
        text = f"sample {slowest + 1} of {len(samples)} is {samples[slowest] * 1e3:.3g} ms"
        middle = median(samples)
        # Two calls, the first and the second run, lie before the window.
        deep = samples[slowest] >= LATE_S and slowest == LATE_CALL - 3
        return deep and middle <= _SLOWER * SLEEP_S, f"{text}, the median {middle * 1e3:.3g} ms"
    return False, _why(seen.results)


def _held(seen: BackendRecord) -> tuple[bool, str]:
    """The peak is higher than that of the right backend by what a call holds."""
    key = "host_peak_bytes/steady"
    peaks = [
        [reading.value for result in rows if (reading := result.memory.get(key)) and reading.value is not None]
        for rows in (seen.results, seen.right)
    ]
    if not all(peaks):
        return False, f"{_why(seen.results)}: no peak of memory"
    held = (min(peaks[0]) - max(peaks[1])) / MEBI
    return abs(held - ALLOCATE) <= _PART_OF_HELD * ALLOCATE, f"peak {held:.1f} MiB above that of `known sleep`"


def _leak(seen: BackendRecord) -> tuple[bool, str]:
    caught, text = _remark("memory grows with every call")(seen)
    growths = [result.details.growth_bytes_per_call for result in seen.results]
    values = [growth.value for growth in growths if growth is not None and growth.value is not None]
    near = [value for value in values if abs(value - LEAK_BYTES) <= _PART_OF_HELD * LEAK_BYTES]
    return caught and bool(near), text


def _samples(results: Iterable[Result]) -> list[Sequence[float]]:
    found = [result.measurement("latency_s") for result in results if result.status == "ok"]
    return [item.samples for item in found if item is not None and len(item.samples)]


def _why(results: Sequence[Result]) -> str:
    bad = [result for result in results if result.status != "ok"]
    return f"{bad[0].status}: {bad[0].reason}" if bad else "no launch was timed"


_UNSEEN = "an earlier answer, bit by bit"
_EXPECTED: Mapping[str, tuple[str, Callable[[BackendRecord], tuple[bool, str]]]] = {
    "ignores input": ("incorrect", _row("incorrect", "does not depend on the input")),
    "memo": ("incorrect", _row("incorrect", "answers are kept")),
    "bound memo": ("incorrect", _row("incorrect", _UNSEEN)),
    "returns early": ("incorrect", _row("incorrect", "before its outputs were complete")),
    "writes late": ("incorrect", _row("incorrect", _UNSEEN)),
    "lazy": ("incorrect", _row("incorrect", "did not do the work")),
    "dropped output": ("incorrect", _row("incorrect", "z: it is missing")),
    "wrong": ("incorrect", _row("incorrect", "y: relative error")),
    "nan": ("incorrect", _row("incorrect", "NaN")),
    "zeros": ("incorrect", _row("incorrect", "all zeros")),
    "patched timer": ("failed", _row("failed", "time.perf_counter_ns was replaced")),
    "patched loop": ("failed", _row("failed", "the clock of the timed loop was replaced")),
    "slow clock": ("failed", _row("failed", "where the kernel's counted")),
    "late compile": ("fallback", _row("fallback", "compilations moved by 1")),
    "slow call": ("kept, in its place", _slow_call),
    "drift": ("slowed or none", _class("slowed", "none")),
    "step": ("slowed or none", _class("slowed", "none")),
    "cyclic": ("cyclic or none", _class("cyclic", "none")),
    "leak": ("a remark", _leak),
    "crash": ("crashed", _row("crashed", "SIGSEGV")),
    "hang": ("timed out", _row("timed_out", "within its time-out")),
    "child": ("ended, a remark", _remark("outlived its worker")),
}
_KNOWN = (
    PlantedFault(name="known sleep", backend=BASELINE, expected=f"{SLEEP_S * 1e3:g} ms", judge=_takes(SLEEP_S)),
    PlantedFault(
        name="known spin", backend=f"{PATH}[spin={SPIN_S}]", expected=f"{SPIN_S * 1e3:g} ms", judge=_takes(SPIN_S)
    ),
    PlantedFault(
        name="known allocation",
        backend=f"{PATH}[sleep={SLEEP_S},allocate={ALLOCATE}]",
        expected=f"{ALLOCATE} MiB",
        judge=_held,
    ),
)
ALL: Mapping[str, PlantedFault] = {
    fault.name: fault
    for fault in (
        *_KNOWN,
        *(
            PlantedFault(name=name, backend=f"{PATH}[sleep={SLEEP_S},fault={name}]", expected=expected, judge=judge)
            for name, (expected, judge) in _EXPECTED.items()
        ),
    )
}
"""By name. Known quantities first."""

_MEANINGS: Mapping[str, str] = {
    "known sleep": f"a call sleeps for {SLEEP_S * 1e3:g} ms",
    "known spin": f"a call computes for {SPIN_S * 1e3:g} ms",
    "known allocation": f"a call holds {ALLOCATE} MiB",
    **FAULTS,
}


def chosen(names: Sequence[str]) -> tuple[PlantedFault, ...]:
    """The faults of these names, all where there is none. Raises UsageError for one that is not there."""
    for name in names:
        if name not in ALL:
            raise unknown_name("fault", name, ALL)
    return tuple(fault for name, fault in ALL.items() if not names or name in names)


def request(faults: Sequence[PlantedFault], device: Device, budget: Budget, *, window_s: float, seed: int) -> Request:
    """The run that holds a backend for each: the cold round and one more, with a short time-out for the first call."""
    backends = dict.fromkeys((BASELINE, *(fault.backend for fault in faults)))
    return Request(
        suite=SUITE,
        backends=tuple(backends),
        device=device,
        budget=budget,
        selection=Selection(device_kind=device.kind),
        baseline=BASELINE,
        rounds=1,
        window_s=window_s,
        seed=seed,
        timeouts={**DEFAULT_TIMEOUTS, "first_run": HANG_S},
    )


def judge(run: Run, faults: Sequence[PlantedFault]) -> tuple[Catch, ...]:
    """What the stored run shows of each fault. The noise guard is left out: nothing here is a verdict on speed."""
    comparisons = {item.candidate: item for item in compare_run(run, guard=False)}
    labels = {arm.backend.text: arm.label for arm in run.manifest.arms if not arm.control}

    def rows(backend: str) -> tuple[Result, ...]:
        return tuple(result for result in run.results if result.arm == labels[backend])

    catches = []
    for fault in faults:
        text = parse_backend(fault.backend).text
        seen = BackendRecord(
            results=rows(text),
            launches=tuple(record for record in run.launches if record.arm == labels[text]),
            comparison=comparisons.get(labels[text]),
            right=rows(parse_backend(BASELINE).text),
        )
        caught, told = fault.judge(seen)
        catches.append(
            Catch(fault=fault.name, means=_MEANINGS[fault.name], expected=fault.expected, seen=told, caught=caught)
        )
    return tuple(catches)
