"""One launch seen from outside: start the worker, listen until it stands or ends, turn every end into rows."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Self

from steelyard import plugins
from steelyard.core.details import MemoryCap
from steelyard.core.errors import StoreError
from steelyard.core.exhaustion import oom_kills
from steelyard.core.metrics import Reading
from steelyard.core.result import LaunchRecord, Result
from steelyard.engine.ends import unfinished, why
from steelyard.engine.exits import exit_of
from steelyard.engine.launch_start import MARK, environment, prepared, started
from steelyard.engine.listener import Listener
from steelyard.engine.protocol import Event, LaunchRequest
from steelyard.environments.kept import interpreter
from steelyard.guard import during
from steelyard.guard.boundary import boundary_sample
from steelyard.guard.child import module_command
from steelyard.guard.halt import STOPPING_S, Halt, Watchman
from steelyard.guard.memory_group import MemoryGroup, group_for
from steelyard.guard.speed import between_turns
from steelyard.guard.spin_meter import SpinMeter
from steelyard.guard.tree import left_behind

_TAIL_BYTES = 4000
_EXIT_GRACE_S = 10.0


@dataclass(slots=True)
class LaunchOutcome:
    """What came of a launch: its record and a result for every case of its bundle."""

    record: LaunchRecord
    results: list[Result] = field(default_factory=list)


class LaunchInterrupted(Exception):
    """The user asked to stop; the launch was ended and its unfinished cases gave no result."""


def run_launch(
    request: LaunchRequest,
    *,
    origin_s: float,
    timeouts: Mapping[str, float],
    on_event: Callable[[Event], None] = lambda event: None,
    meter: SpinMeter | None = None,
) -> LaunchOutcome:
    """Run one launch to its end, whatever that is. Raises Interrupted on Ctrl-C, SteelyardError if it cannot start."""
    with Running(request, origin_s=origin_s, timeouts=timeouts, on_event=on_event, meter=meter) as launch:
        try:
            return launch.ended(launch.go())
        except KeyboardInterrupt:
            raise LaunchInterrupted from None


class Running:
    """A launch from its start to its end. A context manager: on leaving it, no process of the launch is left.

    `go` lets it run until it ends, or stands before or after a turn; then it is stopped until the next `go`. `ended`
    makes the rows of it.
    """

    def __init__(
        self,
        request: LaunchRequest,
        *,
        origin_s: float,
        timeouts: Mapping[str, float],
        on_event: Callable[[Event], None],
        watchman: Watchman | None = None,
        meter: SpinMeter | None = None,
    ) -> None:
        self.request = replace(request, origin_s=origin_s)
        self.handovers: list[float] = []
        self.speeds: list[Reading] = []
        self._timeouts, self._on_event = timeouts, on_event
        self._watchman, self._meter = watchman, meter
        self._group: MemoryGroup | None = None
        self._stopped: during.Watch | None = None
        self._stopped_s = 0.0
        self._moving = 0
        self._over = False
        self._open = ExitStack()

    def __enter__(self) -> Self:
        request = self.request
        with ExitStack() as opened:
            if (group := group_for(request.budget, request.launch)) is not None:
                self._group = opened.enter_context(group)
            request_file, self._log_file = prepared(request)
            self._before = self._boundary()
            self._oom_before = oom_kills()
            self._started = time.monotonic()
            self._watch = during.begin(request.budget.cpus)
            events, events_out = os.pipe()
            go_in, self._go = os.pipe()
            opened.callback(os.close, events)
            opened.callback(os.close, self._go)
            # The working directory is not on the path while the worker's own imports happen.
            module, *more = request.worker
            python = interpreter(request.backend)
            command = module_command(module, str(request_file), str(events_out), str(go_in), *more, python=python)
            if self._group is not None:
                command = self._group.command(command)
            try:
                self._process = started(command, environment(request), self._log_file, events_out, go_in)
            finally:
                os.close(events_out)
                os.close(go_in)
            opened.callback(self.end)
            exited = opened.enter_context(exit_of(self._process.pid))
            self._listener = Listener(request, events, exited, self._timeouts, self._on_event)
            self._halt = None
            if self._watchman is not None:
                self._halt = Halt(self._process.pid, f"{MARK}={request.launch}", self._watchman)
            self._open = opened.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End what is left of it and release what it held."""
        self._open.close()

    @property
    def stands(self) -> Event:
        """Where it stands: the worker's word before or after a turn. Only after a `go` that said `turn`."""
        assert self._listener.turn is not None
        return self._listener.turn

    def go(self) -> str:
        """Let it run until it stands (`turn`) or is over: `done`, `exited`, `timed_out`, or what is wrong with what it
        said."""
        if self._stopped is not None and self._halt is not None:
            before, self._watch = self._watch, during.resumed(self._watch, self._stopped)
            self._stopped_s += self._watch.begun_s - before.begun_s
            self._stopped = None
            self._halt.go_on()
            with suppress(BrokenPipeError):  # it was ended meanwhile, which the listener sees
                os.write(self._go, b"\n")
        try:
            ended = self._listener.listen()
        except StoreError as error:
            return str(error)
        if ended == "turn":
            assert self._halt is not None, "a launch that takes turns has others beside it"
            if self.stands.turn is None:
                self._halt.look()
            self._moving = max(self._moving, self._halt.stop())
            self._stopped = during.begin(self._watch.cpus)
        return ended

    def ended(self, how: str) -> LaunchOutcome:
        """What came of it. `how` is what the last `go` said."""
        request, listener, group = self.request, self._listener, self._group
        meanwhile = during.end(self._watch, self._process.pid)  # while the worker is not yet waited for
        supervisor_cpu_s = time.process_time() - self._watch.own_s
        stayed = self.end(grace_s=_EXIT_GRACE_S if how in ("done", "exited") else 0.0)
        exit_code = self._process.returncode
        ended = time.monotonic()
        record = LaunchRecord(
            launch=request.launch,
            arm=request.arm,
            round=request.round,
            position=request.position,
            group=request.group,
            started_s=self._started - request.origin_s,
            ended_s=ended - request.origin_s,
            exit_code=exit_code,
            supervisor_cpu_s=supervisor_cpu_s,
            noise=_noise(
                before=self._before,
                during={
                    **meanwhile,
                    "away_s": listener.presence.reading(),
                    **self._stood(),
                    **between_turns(self.speeds),
                },
                end={
                    "left_behind": Reading(value=float(stayed), unit="1", method="processes that outlived the worker")
                },
                after=self._boundary(),
            ),
            ran_s=None if self._halt is None else ended - self._started - self._stopped_s,
            stopped_s=None if self._halt is None else self._stopped_s,
            handover_s=median(self.handovers) if self.handovers else None,
        )
        outcome = LaunchOutcome(record=record, results=[_left_children(result, stayed) for result in listener.results])
        if how != "done":
            last_words = _tail(self._log_file)
            starved = (group.kills() > 0) if group is not None else oom_kills() > self._oom_before
            status, reason = why(how, exit_code, listener.stage, starved, last_words, request.budget)
            outcome.results += unfinished(request, listener, status, reason, last_words)
        if request.budget.memory_cap_bytes is not None:
            outcome.results = [_capped(result, request, group) for result in outcome.results]
        return outcome

    def _boundary(self) -> dict[str, Reading]:
        """The machine just before or after it: the short sample, and the speed of the measured CPUs if that is read."""
        found = dict(boundary_sample(self.request.budget.cpus or None))
        return found if self._meter is None else {**found, "spin_hz": self._meter.read(rested=True)}

    def _stood(self) -> dict[str, Reading]:
        """Whether it stood in the turns of the others; of a launch that had others beside it."""
        if self._halt is None:
            return {}
        method = f"threads that ran {STOPPING_S:g} s after it was stopped, the most of any turn"
        return {"moving_threads": Reading(value=float(self._moving), unit="1", method=method)}

    def end(self, grace_s: float = 0.0) -> int:
        """End what is left of it; returns how many processes outlived the worker. A thread that listens sees it end."""
        if self._over:
            return 0
        outlived = _end_all(self._process, self.request.launch, grace_s=grace_s)
        self._over = True  # only now: Ctrl-C in between leaves the rest to whoever cleans up
        return outlived


def _left_children(result: Result, stayed: int) -> Result:
    if not stayed:
        return result
    told = (
        f"{stayed} {'process' if stayed == 1 else 'processes'} of the backend outlived its worker and had to be ended"
    )
    return replace(result, details=replace(result.details, remarks=(*result.details.remarks, told)))


def _capped(result: Result, request: LaunchRequest, group: MemoryGroup | None) -> Result:
    """The result with the limit that it had and what held it to that."""
    budget, runner = request.budget, plugins.runner(request.backend.runner)
    how = {"cgroup": "memory.max", "rlimit": "RLIMIT_DATA"}.get(budget.memory_cap_by or "", runner.caps_memory)
    limit = MemoryCap(bytes=budget.memory_cap_bytes, by=budget.memory_cap_by, how=how)
    memory = dict(result.memory) if group is None else {**result.memory, "group_peak_bytes/launch": group.peak()}
    return replace(result, memory=memory, details=replace(result.details, memory_cap=limit))


def _end_all(process: "subprocess.Popen[bytes]", launch: str, grace_s: float) -> int:
    """Give a finished worker a moment to exit, then end it and every child it left. Returns how many outlived it: none
    where it had to be ended itself."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=grace_s)
    ended_itself = process.returncode is not None
    stayed = left_behind(process.pid, f"{MARK}={launch}")
    with suppress(ProcessLookupError):  # nobody is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pid in stayed:  # those that had left the session
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(stayed) if ended_itself else 0


def _noise(**parts: Mapping[str, Reading]) -> dict[str, Reading]:
    return {f"{when}/{name}": reading for when, readings in parts.items() for name, reading in readings.items()}


def _tail(path: Path) -> str:
    with path.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - _TAIL_BYTES))
        return stream.read().decode(errors="replace")
