"""Lowering seen from outside: one child process for all points, progress as it goes, facts for the manifest."""

import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from steelyard import wire
from steelyard.core.errors import LoweringError
from steelyard.core.lowered import LoweredPoint
from steelyard.core.run import LoweredFacts
from steelyard.core.workload import Point
from steelyard.engine.ends import signal_name
from steelyard.engine.exits import exit_of
from steelyard.guard.child import module_command
from steelyard.guard.environment import for_child
from steelyard.guard.scratch import scratch
from steelyard.lowering.attempts import left_at
from steelyard.lowering.cache import Cache, cache_root
from steelyard.lowering.request import POOL, LoweringFailure, LoweringRequest, LoweringResponse, Progress
from steelyard.lowering.side_by_side import side_by_side
from steelyard.lowering.steps import missing, steps_of

_TAIL_BYTES = 2000
_DEATHS = frozenset(
    (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGBUS, signal.SIGTRAP, signal.SIGKILL)
)
"""Signals that a process gets for what it does, SIGKILL where it needs more memory than there is."""


def lower_points(
    points: Sequence[Point],
    formats: Sequence[str],
    *,
    weights_dir: Path | None,
    device_kind: str,
    say: Callable[[str], None],
    pool: int = POOL,
) -> tuple[dict[str, LoweredPoint], dict[str, LoweringFailure]]:
    """Lower in a child process, which may import every framework. Returns points and failures by point key.

    `pool` is how many input sets a point gets.

    A step that kills the child, as compiled code of a converter can, fails by that, and another child goes on. Raises
    LoweringError if the child as a whole fails: asked to end, disk full, or killed where it was at no step.
    """
    root = cache_root()
    together = side_by_side(missing(steps_of(points, formats, platform=device_kind, pool=pool), Cache(root)))
    if together.reason:
        how = "one step after the other" if together.processes == 1 else f"in {together.processes} processes"
        say(f"lowering {how}: {together.reason}")
    with scratch() as base:
        steps, theirs = os.pipe()  # theirs is kept open here, too, so that the pipe has no end
        request = LoweringRequest(
            points=tuple(points),
            formats=tuple(formats),
            cache=str(root),
            weights_dir=None if weights_dir is None else str(weights_dir.resolve()),
            device_kind=device_kind,
            pool=pool,
            progress=theirs,
            processes=together.processes,
            at=str(base / "at"),
        )
        progress = Steps(say)
        try:
            while (died := _lowered(request, base, together.threads, steps, progress)) is not None:
                say(f"lowering ended with {died.how} at {died.label}: that step has failed, and the others go on")
                request = replace(request, died_of={**request.died_of, died.step: died.how})
        finally:
            os.close(steps)
            os.close(theirs)
        response = wire.read(base / "response.json", LoweringResponse)
    return (
        {entry.point.key: entry for entry in response.points},
        {failure.point: failure for failure in response.failures},
    )


class _Died(NamedTuple):
    """The step that a child died of, as in `LoweringRequest.died_of`, and its label."""

    step: str
    how: str
    label: str


def _lowered(
    request: LoweringRequest, base: Path, threads: Mapping[str, str], pipe: int, progress: "Steps"
) -> _Died | None:
    """One child for the whole request; None once its response lies in the folder `base`. Raises LoweringError."""
    (base / "request.json").write_bytes(wire.encode(request))
    log = base / "log.txt"
    assert request.progress is not None
    with log.open("wb") as stream:
        process = subprocess.Popen(
            module_command("steelyard.lowering", str(base / "request.json"), str(base / "response.json")),
            env=for_child(threads, temporary=base),
            pass_fds=(request.progress,),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _follow(pipe, process, progress)
        code = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if code == 0:
        return None
    with suppress(ProcessLookupError):  # those that lowered beside it
        os.killpg(process.pid, signal.SIGKILL)
    at = left_at(Path(request.at)) if request.at is not None and -code in _DEATHS else None
    if at is None or at[0] in request.died_of:
        tail = log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip()
        raise LoweringError(f"lowering ended with {_ending(code)}: {tail or 'it said nothing'}")
    return _Died(step=at[0], how=_ending(code), label=at[1])


def facts(lowered: LoweredPoint) -> LoweredFacts:
    """What the manifest keeps of a lowered point: hashes and bytes, no local path."""
    artifacts = {
        f"{role}/{name}": artifact
        for role, program in lowered.programs.items()
        for name, artifact in program.artifacts.items()
    }
    return LoweredFacts(
        point=lowered.point.key,
        identity=lowered.identity,
        weight_bytes={name: artifact.weight_bytes for name, artifact in artifacts.items()},
        weight_notes={name: artifact.weight_note for name, artifact in artifacts.items() if artifact.weight_note},
        artifact_sha256={name: artifact.sha256 for name, artifact in artifacts.items()},
        tolerances={name: {"floor": entry.floor, "limit": entry.limit} for name, entry in lowered.tolerances.items()},
        forced_from=tuple(entry.forced_from for entry in lowered.pool),
        reference_text=lowered.pool[0].text,
        work={
            f"{role}/{origin}": count
            for role, program in lowered.programs.items()
            for origin, count in program.work.items()
        },
        code=lowered.code,
        reference_by=lowered.reference_by,
        layer_errors={
            name: found for name, artifact in artifacts.items() if (found := artifact.details.get("layer_errors"))
        },
    )


def _follow(pipe: int, process: "subprocess.Popen[bytes]", steps: "Steps") -> None:
    """Pass on each step until the child ends. Blocks."""
    buffer = b""
    with exit_of(process.pid) as ended, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if pipe in ready:
                *lines, buffer = (buffer + os.read(pipe, 1 << 16)).split(b"\n")
                for line in lines:
                    steps.tell(wire.decode(line, Progress, "a step of lowering"))
            elif ended in ready:
                return


class Steps:
    """Tells each step that was made once, whichever of the processes that lower side by side come upon it."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._met: set[str] = set()
        self._told: set[tuple[str, str]] = set()

    def tell(self, step: Progress) -> None:
        """One more step."""
        self._met.add(step.step)
        if not step.cached and (step.step, step.label) not in self._told:
            self._told.add((step.step, step.label))
            done = min(len(self._met), step.total)
            self._say(f"lowering {done}/{step.total}: {step.label} ({step.seconds:.1f} s)")


def _ending(code: int) -> str:
    return signal_name(-code) if code < 0 else f"code {code}"
