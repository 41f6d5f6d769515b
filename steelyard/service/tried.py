"""What a search has tried so far, in a folder of its own: what is searched, and a line for each trial."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from steelyard import __version__, wire
from steelyard.core.backend import BackendSpec
from steelyard.core.errors import StoreError, UsageError
from steelyard.core.tuning import Part, Search, Trial, best_so_far
from steelyard.core.workload import Point
from steelyard.engine.plan import Request
from steelyard.store import prepare_root

SEARCH, TRIALS = "search.json", "trials.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How far a search goes: so many trials in all, or so many seconds of them in all; None where it is no limit."""

    trials: int | None = None
    seconds: float | None = None

    def left(self, tried: Sequence[Trial]) -> bool:
        """Whether another trial is within it."""
        spent = sum(trial.cost_s for trial in tried)
        return not (
            (self.trials is not None and len(tried) >= self.trials)
            or (self.seconds is not None and spent >= self.seconds)
        )


class State:
    """The folder of a search, and what was tried so far."""

    def __init__(self, folder: Path, search: Search) -> None:
        self.folder, self.search = folder, search
        self.trials: list[Trial] = []

    @classmethod
    def of(cls, request: Request, spec: BackendSpec, point: Point, output: Path, versions: tuple[str, ...]) -> "State":
        """Begin, or go on. Raises UsageError where another search lies there, StoreError for what cannot be read."""
        prepare_root(output)
        name = re.sub(r"[^A-Za-z0-9]+", "-", f"{request.suite} {point.workload} {spec.text}").strip("-").lower()
        folder = output / "tuning" / f"{name}-{point.key[:8]}"
        search = Search(
            suite=request.suite,
            point=point.title,
            point_key=point.key,
            backend=spec.text,
            device=request.device.name,
            threads=request.budget.threads,
            versions=versions,
            seed=request.seed,
            parts=(),
            created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            tool_version=__version__,
        )
        if not (folder / SEARCH).exists():
            return cls(folder, search)
        held = wire.read(folder / SEARCH, Search)
        for field in ("backend", "point_key", "device", "threads", "versions"):
            if getattr(held, field) != getattr(search, field):
                raise UsageError(
                    f"{folder} holds a search with another {field.replace('_', ' ')} ({getattr(held, field)}, now "
                    f"{getattr(search, field)}): name another folder with --output, or remove it"
                )
        state = cls(folder, held)
        state.trials = list(trials_in(folder / TRIALS))
        return state

    def told(self) -> Iterator[str]:
        """Where it lies, and what there is of it."""
        yield f"tuning {self.search.backend} at {self.search.point}: {self.folder}"
        if self.trials:
            yield f"going on after {len(self.trials)} trials"

    def begin(self, parts: tuple[Part, ...]) -> None:
        """The parts are known now; those of before must be the same."""
        if self.trials and self.search.parts != parts:
            raise UsageError(f"{self.folder} holds a search among other kernels: name another folder with --output")
        self.search = replace(self.search, parts=parts)
        wire.write(self.folder / SEARCH, self.search)

    def keep(self, trial: Trial) -> None:
        """A line more, written whole or cut where the machine goes down: that one is tried again."""
        self.trials.append(trial)
        try:
            with (self.folder / TRIALS).open("ab") as stream:
                stream.write(wire.encode(trial) + b"\n")
        except OSError as error:
            raise StoreError(f"{self.folder / TRIALS}: cannot be written: {error.strerror or error}") from error


def trials_in(file: Path) -> Iterator[Trial]:
    """Those of a file. A last line that was cut is removed from it."""
    if not file.exists():
        return
    data = file.read_bytes()
    whole, _, cut = data.rpartition(b"\n")
    if cut:
        with file.open("r+b") as stream:
            stream.truncate(len(whole) + 1 if whole else 0)
    for number, line in enumerate(whole.splitlines(), start=1):
        yield wire.decode(line, Trial, f"{file}, line {number}")


def progress(state: State, say: Callable[[str], None]) -> None:
    """Tell the last trial, and the best so far."""
    trial, steps = state.trials[-1], best_so_far(state.search.parts, state.trials)
    outcome = trial.reason if trial.latency_s is None else f"{trial.latency_s * 1e3:.4g} ms"
    best = f"; best so far {steps[-1].latency_s * 1e3:.4g} ms a call" if steps else ""
    say(f"trial {len(state.trials)}: {trial.candidate}: {outcome}{best}")
