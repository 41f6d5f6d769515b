"""One launch seen from outside: start the worker, listen until it ends, turn every end into rows."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from steelyard import plugins, wire
from steelyard.core.errors import SteelyardError, StoreError
from steelyard.core.metrics import Reading
from steelyard.core.result import LaunchRecord, Result
from steelyard.core.runner import LaunchContext
from steelyard.engine.ends import unfinished, why
from steelyard.engine.listener import Listener
from steelyard.engine.protocol import Event, LaunchRequest
from steelyard.guard import during
from steelyard.guard.boundary import boundary_sample
from steelyard.guard.child import module_command
from steelyard.guard.environment import for_child
from steelyard.guard.memory_group import MemoryGroup, parent_group
from steelyard.guard.tree import left_behind

_MARK = "STEELYARD_LAUNCH"  # every process that a launch starts inherits it
_TAIL_BYTES = 4000
_EXIT_GRACE_S = 10.0


@dataclass(slots=True)
class Outcome:
    """What came of a launch: its record and a result for every case of its bundle."""

    record: LaunchRecord
    results: list[Result] = field(default_factory=list)


class Interrupted(Exception):
    """The user asked to stop; the launch was ended and its unfinished cases gave no result."""


def environment(request: LaunchRequest) -> dict[str, str]:
    """The worker's environment: that of every child, the runner's own, random padding.

    Its temporary folder is the launch's compile cache: Inductor keeps compiled headers there, whatever its own is.
    So a cold launch makes them, and finds none of an earlier run, and the arm's warm ones find them.

    The size of the environment moves the stack and with it the speed of some programs; a random one
    per launch turns that bias into noise that the intervals see.
    """
    source = random.Random(request.seed)  # noqa: S311 (design of experiment)
    runner = plugins.runner(request.backend.runner)
    own = {
        **runner.environment(_context(request)),
        "PYTHONHASHSEED": str(source.randrange(2**32)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "STEELYARD_PADDING": "x" * source.randrange(4096),
        _MARK: request.launch,
    }
    return for_child(own, temporary=Path(request.compile_cache))


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
    # The working directory is not on the path while the worker's own imports happen.
    command = module_command("steelyard.engine.worker", str(request_file), str(write_end))
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
    listener = Listener(request, read_end, process, timeouts, on_event)
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
            during={**meanwhile, "away_s": listener.presence.reading()},
            end={"left_behind": Reading(value=float(stayed), unit="1", method="processes that outlived the worker")},
            after=boundary_sample(request.budget.cpus or None),
        ),
    )
    outcome = Outcome(record=record, results=[_left_children(result, stayed) for result in listener.results])
    if ended != "done":
        last_words = _tail(log_file)
        starved = (group.kills() > 0) if group is not None else _oom_kills() > oom_before
        status, reason = why(ended, exit_code, listener.stage, starved, last_words, request.budget)
        outcome.results += unfinished(request, listener, status, reason, last_words)
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


def _left_children(result: Result, stayed: int) -> Result:
    if not stayed:
        return result
    told = (
        f"{stayed} {'process' if stayed == 1 else 'processes'} of the backend outlived its worker and had to be ended"
    )
    return replace(result, details={**result.details, "remarks": [*result.details.get("remarks", ()), told]})


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
