"""The stage `bench`: what `make bench` gives on this machine, with an empty cache and once more with a warm one.

The command is a newcomer's, in a process of its own with a cache of its own. What is said of verdicts and of the
minimum detectable effect is read from the stored runs, which are kept with what the command said; how long lowering
took, from when its lines appear.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from steelyard.core.comparison import Estimate
from steelyard.core.errors import SteelyardError
from steelyard.core.run import Run
from steelyard.store import find_run, open_run
from steelyard.tables.facts import gather
from tests.calibration import files
from tests.calibration.rates import percent, table

FILE = "bench.json"
COMMAND = ("run", "--suite", "llm", "--backend", "all", "--time", "20m")
"""What `make bench` types."""
CACHES = ("empty", "warm")
_FOLDER = Path("bench-results") / "selftest" / "bench"
_LOWERING, _MEASURING = "lowering ", "cold round"
"""How the lines of standard error begin that say what the command is doing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One comparison of the headline with the baseline. `detectable` is the slowdown that as many rounds are promised
    to find with this run's noise (0.05 is 5 %); None where nothing can be promised."""

    backend: str
    verdict: str
    speedup: Estimate | None
    detectable: float | None

    @property
    def pairs(self) -> int:
        """How many rounds gave a pair that counts."""
        return 0 if self.speedup is None else self.speedup.n


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One run: wall time of the command, that in which programs are lowered (None where none had to be), warm rounds,
    the share of their time that was timed calls, the median hand-over between turns."""

    cache: str
    grade: str
    wall_s: float
    lowering_s: float | None
    rounds: int
    timed_share: float
    handover_s: float | None
    backends: tuple[Backend, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The content of bench.json."""

    machine: str
    threads: int
    created_utc: str
    tool_version: str
    headline: str
    runs: tuple[Given, ...]
    notes: tuple[str, ...] = ()


def run(folder: Path) -> None:
    """Measure both and write what they give. Raises SteelyardError with the command's last words where one fails."""
    with tempfile.TemporaryDirectory(prefix="steelyard-bench-") as place:
        found = []
        for cache in CACHES:
            output = (_FOLDER / f"cache-{cache}").absolute()
            wall_s, lowering_s = _timed(Path(place), output)
            done = open_run(find_run(output, "latest"))
            found.append(given(done, cache, wall_s, lowering_s))
    manifest = done.manifest
    files.write(
        folder / FILE,
        Bench(
            machine=manifest.device.name,
            threads=manifest.budget.threads,
            created_utc=manifest.created_utc,
            tool_version=manifest.tool_version,
            headline=manifest.headline,
            runs=tuple(found),
        ),
    )


def given(run: Run, cache: str, wall_s: float, lowering_s: float | None) -> Given:
    """What a stored run says of itself."""
    facts = gather(run)
    (point,) = facts.at(run.manifest.headline)
    detectable = {
        effect.arm: effect.detectable
        for effect in facts.detectable_effects
        if effect.point == point.key and effect.metric == "latency_s"
    }
    compared = {arm.label: facts.comparison(arm, point, "latency_s") for arm in facts.arms[1:] if not arm.control}
    warm = [launch for launch in run.launches if launch.round > 0]
    ran_s = sum(each.ended_s - each.started_s if each.ran_s is None else each.ran_s for each in warm)
    handovers = [each.handover_s for each in warm if each.handover_s is not None]
    return Given(
        cache=cache,
        grade="".join(sorted({segment.noise.grade for segment in run.segments})),
        wall_s=wall_s,
        lowering_s=lowering_s,
        rounds=len({each.round for each in warm}),
        timed_share=_timed_s(run) / ran_s,
        handover_s=statistics.median(handovers) if handovers else None,
        backends=tuple(
            Backend(
                backend=name,
                verdict=item.verdict if item else "none",
                speedup=item.speedup if item else None,
                detectable=detectable.get(name),
            )
            for name, item in compared.items()
        ),
    )


def _timed_s(run: Run) -> float:
    """Seconds of timed calls in warm rounds."""
    calls = (result.measurement("latency_s") for result in run.results if result.round > 0)
    return sum(float(sum(each.samples)) for each in calls if each is not None)


def _timed(place: Path, output: Path) -> tuple[float, float | None]:
    """Seconds of the whole command, and of its lowering if there was any; what it said is kept beside its run."""
    output.mkdir(parents=True, exist_ok=True)
    seen, said = {}, []
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "steelyard", *COMMAND, "--output", str(output)],
        cwd=place,
        env={**os.environ, "STEELYARD_CACHE": str(place / "cache")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        for line in command.stderr or ():
            said.append(line)
            for start in (_LOWERING, _MEASURING):
                if line.startswith(start):
                    seen.setdefault(start, time.monotonic())
    ended = time.monotonic()
    (output / "said.txt").write_text("".join(said))
    if command.returncode or _MEASURING not in seen:
        raise SteelyardError(f"bench {' '.join(COMMAND)} ended with {command.returncode}:\n{''.join(said[-8:])}")
    return ended - began, seen[_MEASURING] - seen[_LOWERING] if _LOWERING in seen else None


def section(data: Bench) -> list[str]:
    """The Markdown lines; without a heading."""
    lines = [
        f"`bench {' '.join(COMMAND)}`, which is `make bench`, in an empty folder with an empty cache, and again with "
        f"what that left in the cache: {data.machine}, {data.threads} threads, {data.created_utc[:10]}. *Detectable* "
        f"is the slowdown of {data.headline} that as many rounds are promised to find in 9 of 10 runs with this noise; "
        "*timed* the share of the warm rounds' time that was timed calls; *pairs* the rounds that a "
        "comparison rests on.",
        "",
        *(line for note in data.notes for line in (note, "")),
    ]
    for each in data.runs:
        lowering = "nothing to lower" if each.lowering_s is None else f"of which lowering {each.lowering_s:.0f} s"
        hand_over = "" if each.handover_s is None else f", hand-over between turns {1e3 * each.handover_s:.1f} ms"
        lines += [
            f"**Cache {each.cache}**: {each.wall_s / 60:.1f} min, {lowering}; "
            f"{each.rounds} warm rounds, timed {percent(each.timed_share)} %{hand_over}; noise grade {each.grade}.",
            "",
            *table(
                ("backend", "verdict", "speed-up", "pairs", "detectable [%]"),
                [_cells(row) for row in each.backends],
                numeric_from=2,
            ),
        ]
    return lines


def _cells(row: Backend) -> tuple[str, ...]:
    speedup = "–"
    if row.speedup is not None:
        inside = row.speedup.interval
        speedup = f"{row.speedup.value:.3g}" + (f" [{inside.low:.3g}, {inside.high:.3g}]" if inside else "")
    return row.backend, row.verdict, speedup, str(row.pairs), "–" if row.detectable is None else percent(row.detectable)
