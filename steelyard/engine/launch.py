"""One launch seen from outside: start the worker, listen, enforce time-outs, turn every end into rows.

The supervisor blocks in `select` on the event pipe and the process; it never polls.
"""

import os
import random
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from steelyard import plugins, wire
from steelyard.core.backend import Budget
from steelyard.core.errors import SteelyardError, StoreError
from steelyard.core.metrics import Reading
from steelyard.core.result import LaunchRecord, Result, Stage, Status
from steelyard.core.runner import LaunchContext
from steelyard.engine.exhaustion import out_of_memory
from steelyard.engine.protocol import Event, LaunchRequest
from steelyard.guard import during
from steelyard.guard.boundary import boundary_sample
from steelyard.guard.memory_group import MemoryGroup, parent_group
from steelyard.guard.tree import left_behind

_KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "CC", "CXX", "CUDA_HOME")
_KEPT_PREFIXES = ("LC_", "XDG_", "STEELYARD_", "CUDA_VISIBLE", "NVIDIA_", "HSA_", "ROCR_", "HIP_", "TPU_", "COV_")
_MARK = "STEELYARD_LAUNCH"  # every process that a launch starts inherits it
_TAIL_BYTES = 4000
_UNSEEN_S = 1.0  # the worker collects garbage before its window, and the supervisor may read an event late
_EXIT_GRACE_S = 10.0


@dataclass(slots=True)
class Outcome:
    """What came of a launch: its record and a result for every case of its bundle."""

    record: LaunchRecord
    results: list[Result] = field(default_factory=list)


class Interrupted(Exception):
    """The user asked to stop; the launch was ended and its unfinished cases gave no result."""


def environment(request: LaunchRequest) -> dict[str, str]:
    """The worker's environment, complete before it starts: an allow-list, the runner's own, random padding.

    The size of the environment moves the stack and with it the speed of some programs; a random one
    per launch turns that bias into noise that the intervals see.
    """
    source = random.Random(request.seed)  # noqa: S311 (design of experiment)
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    runner = plugins.runner(request.backend.runner)
    return (
        kept
        | dict(runner.environment(_context(request)))
        | {
            "PYTHONHASHSEED": str(source.randrange(2**32)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as `steelyard.guard.visible` counts
            "ZE_ENABLE_PCI_ID_DEVICE_ORDER": "1",  # as `steelyard.guard.visible_intel` does
            "STEELYARD_PADDING": "x" * source.randrange(4096),
            _MARK: request.launch,
        }
    )


def run_launch(
    request: LaunchRequest,
    *,
    origin_s: float,
    timeouts: Mapping[str, float],
    on_event: Callable[[Event], None] = lambda event: None,
) -> Outcome:
    """Run one launch to its end, whatever that is. Raises Interrupted on Ctrl-C, SteelyardError if it cannot start."""
    budget = request.budget
    if budget.memory_cap_by != "cgroup" or budget.memory_cap_bytes is None:
        return _run(request, None, origin_s=origin_s, timeouts=timeouts, on_event=on_event)
    parent, reason = parent_group()
    if parent is None:
        raise SteelyardError(f"the memory cap cannot be kept as it was in this run: {reason}")
    with MemoryGroup(parent, request.launch, budget.memory_cap_bytes) as group:
        return _run(request, group, origin_s=origin_s, timeouts=timeouts, on_event=on_event)


def _run(
    request: LaunchRequest,
    group: MemoryGroup | None,
    *,
    origin_s: float,
    timeouts: Mapping[str, float],
    on_event: Callable[[Event], None],
) -> Outcome:
    request_file, log_file = _prepared(request)
    before = boundary_sample(request.budget.cpus or None)
    oom_before = _oom_kills()
    cpu_start, started = time.process_time(), time.monotonic()
    watch = during.begin(request.budget.cpus)
    read_end, write_end = os.pipe()
    # -P: the working directory is not on the path while the worker's own imports happen
    command = [sys.executable, "-P", "-m", "steelyard.engine.worker", str(request_file), str(write_end)]
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command if group is None else group.command(command),
            pass_fds=(write_end,),
            env=environment(request),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    os.close(write_end)
    listener = _Listener(request, read_end, process, timeouts, on_event)
    ended = "interrupted"
    try:
        ended = listener.listen()
    except KeyboardInterrupt:
        raise Interrupted from None
    except StoreError as error:
        ended = str(error)
    finally:
        meanwhile = during.end(watch, process.pid)  # while the worker is not yet waited for
        stayed = _end_all(process, request.launch, grace_s=_EXIT_GRACE_S if ended in ("done", "exited") else 0.0)
        os.close(read_end)
    exit_code = process.returncode
    record = LaunchRecord(
        launch=request.launch,
        arm=request.arm,
        round=request.round,
        position=request.position,
        started_s=started - origin_s,
        ended_s=time.monotonic() - origin_s,
        exit_code=exit_code,
        supervisor_cpu_s=time.process_time() - cpu_start,
        noise=_noise(
            before=before,
            during=meanwhile,
            end={"left_behind": Reading(value=float(stayed), unit="1", method="processes that outlived the worker")},
            after=boundary_sample(request.budget.cpus or None),
        ),
    )
    outcome = Outcome(record=record, results=[_left_children(result, stayed) for result in listener.results])
    if ended != "done":
        last_words = _tail(log_file)
        starved = (group.kills() > 0) if group is not None else _oom_kills() > oom_before
        status, reason = _why(ended, exit_code, listener.stage, starved, last_words, request.budget)
        outcome.results += _unfinished(request, listener, status, reason, last_words)
    if request.budget.memory_cap_bytes is not None:
        outcome.results = [_capped(result, request, group) for result in outcome.results]
    return outcome


def _prepared(request: LaunchRequest) -> tuple[Path, Path]:
    """The launch's folders with the request in them, and where its log will lie. Raises SteelyardError, as on a full
    disk."""
    scratch = Path(request.scratch)
    request_file, log_file = scratch / "request.json", scratch / "log.txt"
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        Path(request.compile_cache).mkdir(parents=True, exist_ok=True)
        request_file.write_bytes(wire.encode(request))
        log_file.touch()
    except OSError as error:
        raise SteelyardError(
            f"{scratch}: a launch cannot be prepared there: {error.strerror or error}; free some space, or set TMPDIR "
            "to another disk; what was measured is kept, and bench run --resume goes on"
        ) from error
    return request_file, log_file


class _Listener:
    """Reads events until the launch is done, dies, or outstays a stage's time-out."""

    def __init__(
        self,
        request: LaunchRequest,
        pipe: int,
        process: "subprocess.Popen[bytes]",
        timeouts: Mapping[str, float],
        on_event: Callable[[Event], None],
    ) -> None:
        self.stage: Stage = "spawn"
        self.case_id = ""
        self.results: list[Result] = []
        self._pipe = pipe
        self._process = process
        self._timeouts = timeouts
        self._on_event = on_event
        self._caps = {case.case_id: case.pace.cap_s for case in request.cases}
        self._buffer = b""
        self._done = False
        self._window_began: float | None = None
        self._window_s: float | None = None

    def listen(self) -> str:
        """`done`, `exited` or `timed_out`."""
        pidfd = os.pidfd_open(self._process.pid)
        deadline = self._deadline()
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._pipe, selectors.EVENT_READ)
                selector.register(pidfd, selectors.EVENT_READ)
                while not self._done:
                    ready = {key.fd for key, _ in selector.select(max(0.0, deadline - time.monotonic()))}
                    if not ready:
                        return "timed_out"
                    if self._pipe in ready:
                        if not self._read():
                            return "exited"
                        deadline = self._deadline()
                    elif pidfd in ready:
                        # Dead; a child it left behind may hold the pipe open, so end of file is not waited for.
                        return "done" if self._done else "exited"
        finally:
            os.close(pidfd)
        return "done"

    def _deadline(self) -> float:
        allowed = self._timeouts[self.stage]
        if self.stage == "steady":
            allowed += self._caps.get(self.case_id, 0.0)
        return time.monotonic() + allowed

    def _read(self) -> bool:
        data = os.read(self._pipe, 1 << 20)
        self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            event = wire.decode(line, Event, "what the worker sent")
            if event.kind == "stage":
                self.stage, self.case_id = event.stage, event.case_id
                self._time_window(event.stage)
            elif event.kind == "result" and event.result is not None:
                event = replace(event, result=_believed(event.result, self._window_s))
                self.results.append(cast(Result, event.result))
            elif event.kind == "done":
                self._done = True
            self._on_event(event)
        return bool(data)

    def _time_window(self, stage: Stage) -> None:
        """How long the timed window was for the supervisor, from the event before it to the next."""
        began, self._window_began = self._window_began, None
        if stage == "steady":
            self._window_began, self._window_s = time.monotonic(), None
        elif began is not None:
            self._window_s = time.monotonic() - began


def _believed(result: Result, window_s: float | None) -> Result:
    """The result, or a failure if its window cannot have lasted as long as the worker's clock says.

    The worker checks its clock to 1 %. This is for what it cannot see, a clock replaced below Python: what
    supervisor and worker saw differs by more than a factor of two and a second.
    """
    latency = result.measurement("latency_s")
    if window_s is None or latency is None or not len(latency.samples):
        return result
    told = result.details.get("window_s", latency.starts_s[-1] + latency.samples[-1])  # checks of outputs are in it
    if (window_s - _UNSEEN_S) / 2 <= told <= 2 * window_s + _UNSEEN_S:
        return result
    reason = (
        f"the worker's clock counted {told:.3g} s for a window that took {window_s:.3g} s: its times are not to be "
        "believed"
    )
    return replace(result, status="failed", reason=reason)


def _left_children(result: Result, stayed: int) -> Result:
    if not stayed:
        return result
    told = (
        f"{stayed} {'process' if stayed == 1 else 'processes'} of the backend outlived its worker and had to be ended"
    )
    return replace(result, details={**result.details, "remarks": [*result.details.get("remarks", ()), told]})


def _unfinished(
    request: LaunchRequest, listener: _Listener, status: Status, reason: str, log_tail: str
) -> list[Result]:
    """A row for the case that the launch ended in, and `skipped` for those it never reached."""
    finished = {result.case_id for result in listener.results}
    waiting = [case.case_id for case in request.cases if case.case_id not in finished]
    culprit = listener.case_id if listener.case_id in waiting else (waiting[0] if waiting else "")
    rows = []
    for case_id in waiting:
        guilty = case_id == culprit
        rows.append(
            Result(
                case_id=case_id,
                arm=request.arm,
                round=request.round,
                position=request.position,
                launch=request.launch,
                status=status if guilty else "skipped",
                stage=listener.stage,
                reason=reason if guilty else f"the launch ended in another case before this one: {reason}",
                log_tail=log_tail if guilty else "",
                first_in_launch=request.cases[0].case_id == case_id,
            )
        )
    return rows


def _why(
    ended: str, exit_code: int | None, stage: Stage, starved: bool, last_words: str, budget: Budget
) -> tuple[Status, str]:
    """Status and reason of a launch that did not come to its end. `starved`: the kernel ended it for want of memory."""
    if ended not in ("exited", "timed_out"):
        return "failed", ended
    if ended == "timed_out":
        return "timed_out", f"no end of stage '{stage}' within its time-out"
    died = exit_code is not None and exit_code < 0
    how = f"killed by {signal_name(-exit_code)}" if died and exit_code else f"exited with code {exit_code}"
    if starved and exit_code == -signal.SIGKILL:
        limit = f"; the limit was {budget.memory_cap}" if budget.memory_cap_bytes is not None else ""
        return "out_of_memory", f"killed by the kernel for want of memory in stage '{stage}'{limit}"
    if said := next((line for line in reversed(last_words.splitlines()) if out_of_memory(line)), ""):
        return "out_of_memory", f"{how} in stage '{stage}'; it said: {said.strip()[:300]}"
    if budget.memory_cap_by == "rlimit":
        how += f", which may be for want of memory (the limit was {budget.memory_cap}): it did not say why,"
    return "crashed", f"{how} in stage '{stage}'"


def signal_name(number: int) -> str:
    """A signal's name; its number where it has none, as most real-time signals."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _capped(result: Result, request: LaunchRequest, group: MemoryGroup | None) -> Result:
    """The result with the limit that it had and what held it to that."""
    budget, runner = request.budget, plugins.runner(request.backend.runner)
    how = {"cgroup": "memory.max", "rlimit": "RLIMIT_DATA"}.get(budget.memory_cap_by or "", runner.caps_memory)
    limit = {"bytes": budget.memory_cap_bytes, "by": budget.memory_cap_by, "how": how}
    memory = dict(result.memory) if group is None else {**result.memory, "group_peak_bytes/launch": group.peak()}
    return replace(result, memory=memory, details={**result.details, "memory_cap": limit})


def _end_all(process: "subprocess.Popen[bytes]", launch: str, grace_s: float) -> int:
    """Give a finished worker a moment to exit, then end it and every child it left. Returns how many it left."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=grace_s)
    stayed = left_behind(process.pid, f"{_MARK}={launch}")
    with suppress(ProcessLookupError):  # nobody is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pid in stayed:  # those that had left the session
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(stayed)


def _oom_kills() -> int:
    try:
        text = Path("/proc/vmstat").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))


def _noise(**parts: Mapping[str, Reading]) -> dict[str, Reading]:
    return {f"{when}/{name}": reading for when, readings in parts.items() for name, reading in readings.items()}


def _tail(path: Path) -> str:
    with path.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - _TAIL_BYTES))
        return stream.read().decode(errors="replace")


def _context(request: LaunchRequest) -> LaunchContext:
    return LaunchContext(
        backend=request.backend,
        device=request.device,
        budget=request.budget,
        compile_cache=Path(request.compile_cache),
        scratch=Path(request.scratch),
    )
