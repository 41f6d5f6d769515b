"""The stage `sampler`: whether a thread that reads a meter disturbs the calls beside it.

One ordinary run on one CPU: a real backend, the control arm, and the same backend in whose process the device's meter
is read about 20 times a second, as in an energy window. Where there is no meter a file is read at the same price. The
verdict on latency is the project's own.
"""

from dataclasses import dataclass
from pathlib import Path

from steelyard.analysis import compare_run
from steelyard.core.backend import Budget
from steelyard.core.comparison import Estimate
from steelyard.core.errors import SteelyardError
from steelyard.core.run import Run, protocol
from steelyard.core.turn_rule import ONE_AFTER_THE_OTHER
from steelyard.core.workload import Selection
from steelyard.engine.plan import Request
from steelyard.guard.energy_source import Absent
from steelyard.guard.meters import meter_for
from steelyard.hardware.choice import choose_cpus, pick_device
from steelyard.service.whole_runs import whole_run
from steelyard.store import prepare_root
from tests.calibration import files
from tests.calibration.rates import percent, table
from tests.calibration.sampled import PATH

FILE = "sampler.json"
BACKEND = "onnxruntime"
WORKLOAD = "decode"
EVERY_S = 0.05
"""As far apart as the reads of a window of 2 s (`steelyard.engine.metering.READS`)."""
ROUNDS = 30
WINDOW_S = 2.0
_FOLDER = Path("bench-results") / "selftest" / "sampler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One comparison with the backend whose meter nobody reads; `of` says with what."""

    of: str
    verdict: str
    reason: str
    ratio: Estimate | None
    floor: float | None
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """The content of sampler.json. `meter` is what was read, `margin` that of `equivalent`."""

    machine: str
    created_utc: str
    backend: str
    workload: str
    window_s: float
    every_s: float
    meter: str
    margin: float
    grade: str
    rows: tuple[Beside, ...]
    protocol: str = ONE_AFTER_THE_OTHER
    notes: tuple[str, ...] = ()


def run(folder: Path, *, rounds: int = ROUNDS, window_s: float = WINDOW_S, runs: Path = _FOLDER) -> None:
    """Measure from where it stopped and write what it says. Raises SteelyardError if interrupted."""
    prepare_root(runs)
    done = whole_run(request(rounds, window_s), runs)
    if done is None:
        raise SteelyardError("interrupted; what was measured is kept, and `make sampler` goes on")
    files.write(folder / FILE, judged(done))


def request(rounds: int, window_s: float) -> Request:
    """The backend without a reader as the baseline, and with one."""
    device = pick_device("cpu")
    baseline, read = (f"{PATH}[every={every:g},of={BACKEND}]" for every in (0, EVERY_S))
    return Request(
        suite="llm",
        backends=(baseline, read),
        device=device,
        budget=Budget(threads=1, cpus=choose_cpus(1, None)),
        selection=Selection(
            device_kind=device.kind, size="tiny", device_memory_bytes=device.memory_bytes, workloads=(WORKLOAD,)
        ),
        baseline=baseline,
        rounds=rounds,
        window_s=window_s,
    )


def judged(run: Run) -> Sampled:
    """What a run says of the reader, and of the control arm, which has none either."""
    compared = [item for item in compare_run(run) if item.metric == "latency_s"]
    source = meter_for("cpu")
    return Sampled(
        machine=run.manifest.device.name,
        created_utc=run.manifest.created_utc,
        backend=BACKEND,
        workload=WORKLOAD,
        window_s=run.manifest.plan["window_s"],
        every_s=EVERY_S,
        meter="a file at the price of a meter" if isinstance(source, Absent) else source.name,
        margin=compared[0].margin,
        protocol=protocol(run.launches),
        grade="".join(sorted({segment.noise.grade for segment in run.segments})),
        rows=tuple(
            Beside(
                of="nobody reads either (control)" if item.factor == "control" else "a meter is read",
                verdict=item.verdict,
                reason=item.reason,
                ratio=item.ratio,
                floor=item.floor,
                rounds=int(item.evidence.get("rounds", 0)),
            )
            for item in sorted(compared, key=lambda item: item.factor == "control")
        ),
    )


def section(data: Sampled) -> list[str]:
    """The Markdown lines; without a heading."""
    read, *_ = data.rows
    return [
        f"{data.backend}, {data.workload} of the suite llm at `tiny`, with a thread in its process that reads "
        f"{data.meter} every {data.every_s:g} s, as in an energy window, beside the same without it: one CPU, one "
        f"thread, windows of {data.window_s:g} s, launches {data.protocol}; {data.machine}, noise grade "
        f"{data.grade}, {data.created_utc[:10]}. *Ratio* is the latency with over that without, paired by round, "
        f"with its 95 % interval; *equivalent*: the interval lies within {percent(data.margin)} %. The timed window "
        "of an ordinary run has no such thread.",
        "",
        *(line for note in data.notes for line in (note, "")),
        *table(
            ("beside", "verdict", "ratio", "noise floor [%]", "rounds"),
            [_cells(row) for row in data.rows],
            numeric_from=2,
        ),
        *_unsaid(read),
    ]


def _unsaid(read: Beside) -> list[str]:
    """Why there is no verdict. What withholds one is long, and stands in the run."""
    if read.verdict == "withheld":
        return ["The verdict is withheld: others used the machine meanwhile.", ""]
    return [f"Why no more can be said: {read.reason}.", ""] if read.verdict == "inconclusive" else []


def _cells(row: Beside) -> tuple[str, ...]:
    ratio = ""
    if row.ratio is not None:
        interval = row.ratio.interval
        ratio = f"{row.ratio.value:.4f}" + ("" if interval is None else f" [{interval.low:.4f}, {interval.high:.4f}]")
    return (row.of, row.verdict, ratio, "" if row.floor is None else percent(row.floor), str(row.rounds))
