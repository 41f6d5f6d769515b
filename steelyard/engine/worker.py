"""The launch: one fresh process, one backend, a bundle of cases.

Started as `python -m steelyard.engine.worker REQUEST EVENTS_FD GO_FD`. It imports the standard library,
numpy and the one runtime of its runner. Its own output goes to the launch's log; what it has to say
goes to the event pipe, one JSON line each, so that nothing said is lost when it dies. Between the turns of a window it
waits for a byte of the other pipe.
"""

import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steelyard import plugins, wire
from steelyard.core.errors import FellBack, Unsupported
from steelyard.core.exhaustion import limit_own_memory, out_of_memory
from steelyard.core.metrics import Reading
from steelyard.core.reason import log_of, reason_of
from steelyard.core.result import Result, Stage, Status
from steelyard.core.runner import Executable, LaunchContext, Runner
from steelyard.engine.launch_memory import LaunchMemory, larger
from steelyard.engine.metering import Metering
from steelyard.engine.protocol import CaseRequest, Event, LaunchRequest
from steelyard.guard.board import BoardWatch
from steelyard.measure import clock  # held before any runner is imported, which might replace what it holds
from steelyard.measure.loop import Turn
from steelyard.measure.process_memory import HostMemory
from steelyard.measure.telemetry import without_telemetry


def main() -> None:
    """Read the request, pin the process, run the bundle."""
    request_path, events_fd, go_fd = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    without_telemetry()
    # The working directory goes last on the path: a user's `onnx.py` must not shadow a package.
    sys.path = [entry for entry in sys.path if entry not in ("", os.getcwd())] + [os.getcwd()]
    request = wire.read(request_path, LaunchRequest)
    if request.budget.cpus:
        os.sched_setaffinity(0, request.budget.cpus)
    if request.budget.memory_cap_by == "rlimit":
        limit_own_memory(request.budget.memory_cap_bytes)
    Launch(request, events_fd, go_fd).run()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # all is said; a runtime's teardown takes a second and has crashed before


class Launch:
    """Runs the cases in order and reports each. One runner, programs compiled once and shared."""

    def __init__(self, request: LaunchRequest, events_fd: int, go_fd: int) -> None:
        self.request = request
        self._fd, self._go_fd = events_fd, go_fd
        self._stage: Stage = "import"
        self._compiled: dict[str, Executable] = {}
        self._case_id = ""
        self.board = BoardWatch(request.device.kind, request.device.index)
        self.metering = Metering(request.energy, request.device.kind, request.device.index, request.seed)
        self.phases: dict[str, float] = {}
        self.memory: dict[str, Reading] = {}
        self._peaks = LaunchMemory(request.device)

    def run(self) -> None:
        """The whole launch. A failure of the runner itself becomes the result of every case."""
        try:
            runner = self._start()
        except Exception as error:  # noqa: BLE001 (any failure of a foreign runtime is a row)
            for index, case in enumerate(self.request.cases):
                self._send_failure(case, error, first=index == 0)
        else:
            for index, case in enumerate(self.request.cases):
                self._run_case(runner, case, first=index == 0)
        self._send(Event(kind="done"))

    def compiled(self, runner: Runner, case: CaseRequest) -> tuple[Mapping[str, Executable], bool]:
        """The executables of a case by role, and whether any is new: it loads and compiles what this launch has not
        compiled yet."""
        found, before = {}, len(self._compiled)
        for role, lowered in case.lowered.programs.items():
            key = lowered.program.key
            if key not in self._compiled:
                with self.phase("load"):
                    executable = runner.load(lowered)
                with self.phase("compile"):
                    executable.compile()
                self._compiled[key] = executable
            found[role] = self._compiled[key]
        return found, len(self._compiled) > before

    @contextmanager
    def phase(self, stage: Stage) -> Iterator[None]:
        """Time a phase and take its memory peaks; several programs of one case add up."""
        self.enter(stage)
        memory = self.memory_begins()
        start = clock.CLOCK()
        yield
        elapsed = (clock.CLOCK() - start) * 1e-9
        self.phases[f"{stage}_s"] = self.phases.get(f"{stage}_s", 0.0) + elapsed
        self.memory_ends(stage, memory)

    def memory_begins(self) -> HostMemory:
        """Every peak starts anew where that is possible."""
        return self._peaks.begin()

    def memory_ends(self, stage: Stage, memory: HostMemory) -> None:
        """Keep what the phase needed; the larger of a stage that happens more than once."""
        self.memory = larger(self.memory, self._peaks.end(stage, memory))

    def enter(self, stage: Stage) -> None:
        """Tell the supervisor which stage begins: its time-out starts here."""
        self._stage = stage
        self._send(Event(kind="stage", case_id=self._case_id, stage=stage))

    def stand(self, turn: Turn | None, more: bool) -> None:
        """Tell the supervisor which turn of the window is over and whether another is to come; wait for its word."""
        span = None if turn is None else (turn[0] * 1e-9, turn[1] * 1e-9)
        self._send(Event(kind="turn", case_id=self._case_id, stage=self._stage, more=more, turn=span))
        if not os.read(self._go_fd, 1):
            os._exit(1)  # the supervisor is gone

    def _start(self) -> Runner:
        request = self.request
        kind = plugins.runner(request.backend.runner)
        context = LaunchContext(
            backend=request.backend,
            device=request.device,
            budget=request.budget,
            compile_cache=Path(request.compile_cache),
            scratch=Path(request.scratch),
            streams=request.streams,
            installation=Path(request.installation) if request.installation else None,
        )
        runner = kind(context)
        with self.phase("import"):
            runner.start()
        self._peaks.runner = runner
        return runner

    def _run_case(self, runner: Runner, case: CaseRequest, *, first: bool) -> None:
        from steelyard.engine.measuring import measure_case
        from steelyard.engine.traced_case import trace_case

        if not first:
            self.phases, self.memory = {}, {}
        self._case_id = case.case_id
        try:
            handled = trace_case if self.request.traces else measure_case
            result = handled(self, runner, case, first=first)
        except Exception as error:  # noqa: BLE001 (any failure of a foreign runtime is a row)
            self._send_failure(case, error, first=first)
        else:
            self._send(Event(kind="result", case_id=case.case_id, result=result))

    def _send_failure(self, case: CaseRequest, error: Exception, *, first: bool) -> None:
        traceback.print_exception(error)
        result = self.result(
            case,
            first=first,
            status=_status_of(error),
            reason=reason_of(error),
            log_tail=log_of(error),
        )
        self._send(Event(kind="result", case_id=case.case_id, result=result))

    def result(self, case: CaseRequest, *, first: bool, status: Status, **fields: Any) -> Result:
        """A result of this launch with what is known of every case filled in."""
        return Result(
            case_id=case.case_id,
            arm=self.request.arm,
            round=self.request.round,
            position=self.request.position,
            group=self.request.group,
            launch=self.request.launch,
            status=status,
            stage=self._stage,
            first_in_launch=first,
            phases=dict(self.phases),
            memory=dict(self.memory),
            **fields,
        )

    def _send(self, event: Event) -> None:
        wire.send(self._fd, event)


def _status_of(error: Exception) -> Status:
    if isinstance(error, Unsupported):
        return "unsupported"
    if isinstance(error, FellBack):
        return "fallback"
    if isinstance(error, MemoryError) or out_of_memory(f"{type(error).__name__}: {error}"):
        return "out_of_memory"
    return "failed"


if __name__ == "__main__":
    main()
