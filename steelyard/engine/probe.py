"""Which backends can run here: each asked in a child process of its own, so that a crash or a hang stays there.

    python -m steelyard.engine.probe BACKEND DEVICE_KIND

imports the backend's runner, calls its `availability`, and prints it as one line of JSON.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from steelyard import plugins, wire
from steelyard.core.backend import Availability, BackendSpec, Budget, Device, DeviceKind
from steelyard.core.errors import StoreError, UsageError
from steelyard.core.reason import reason_of
from steelyard.core.runner import LaunchContext
from steelyard.environments.kept import interpreter
from steelyard.guard.child import module_command
from steelyard.guard.environment import for_child
from steelyard.measure.telemetry import without_telemetry

TIMEOUT_S = 120.0
"""Importing a framework from a cold disk has taken half a minute."""

_MARK = b"steelyard-availability "


def probe(backends: Sequence[str], device_kind: str, *, timeout_s: float = TIMEOUT_S) -> Mapping[str, Availability]:
    """Availability by canonical backend text. A child that crashes or hangs makes its backend unavailable.

    A few children run at once, one per CPU this process may use. Raises UsageError for a name that does
    not exist; the caller's process imports no runtime.
    """
    specs = {spec.text: spec for spec in map(plugins.backend, backends)}
    for spec in specs.values():
        plugins.runner(spec.runner)  # unknown names are the user's error, not the child's
    waiting, found = list(specs), {}
    running: list[tuple[str, subprocess.Popen[bytes], float]] = []
    with tempfile.TemporaryDirectory(prefix="steelyard-", ignore_cleanup_errors=True) as folder:
        while waiting or running:
            while waiting and len(running) < len(os.sched_getaffinity(0)):
                text = waiting.pop(0)
                try:
                    child = _start(specs[text], device_kind, Path(folder))
                except UsageError as error:  # its environment cannot serve
                    found[text] = Availability(available=False, reason=str(error))
                else:
                    running.append((text, child, time.monotonic() + timeout_s))
            if running:
                text, child, deadline = running.pop(0)
                found[text] = _finish(child, deadline, timeout_s)
    return {text: found[text] for text in specs}


def _start(spec: BackendSpec, device_kind: str, folder: Path) -> subprocess.Popen[bytes]:
    """Ask in the environment of a launch of one thread: an answer that holds in another is none."""
    context = LaunchContext(
        backend=spec,
        device=Device(kind=cast("DeviceKind", device_kind), index=0, name=device_kind, memory_bytes=None),
        budget=Budget(threads=1, cpus=()),
        compile_cache=folder,
        scratch=folder,
    )
    return subprocess.Popen(
        module_command("steelyard.engine.probe", spec.text, device_kind, python=interpreter(spec)),
        env=for_child(
            plugins.runner(spec.runner).environment(context), temporary=folder, apart=spec.environment is not None
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a terminal that is closed takes none along
    )


def _finish(child: subprocess.Popen[bytes], deadline: float, timeout_s: float) -> Availability:
    try:
        out, err = child.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        _kill(child)
        return Availability(available=False, reason=f"it did not answer within {timeout_s:g} s of being asked")
    except BaseException:  # Ctrl-C, which it does not hear
        _kill(child)
        raise
    line = next((line for line in reversed(out.splitlines()) if line.startswith(_MARK)), None)
    if line is not None:
        try:
            return wire.decode(line.removeprefix(_MARK), Availability, "probe")
        except StoreError as error:
            return Availability(available=False, reason=f"its answer cannot be read: {error}")
    said = err.decode(errors="replace").strip().splitlines()
    how = f"killed by signal {-child.returncode}" if child.returncode < 0 else f"exit code {child.returncode}"
    return Availability(available=False, reason=f"asking it crashed ({how}){': ' + said[-1] if said else ''}")


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End it with whatever it has started: what holds its output would be waited for."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()


def _answer(text: str, device_kind: str) -> Availability:
    spec = plugins.backend(text)
    kind = plugins.runner(spec.runner)
    if device_kind not in kind.kinds:
        return Availability(available=False, reason=f"it runs on {', '.join(kind.kinds)}, not on {device_kind}")
    try:
        return kind.availability(spec, device_kind)
    except Exception as error:  # noqa: BLE001 (whatever a runtime raises while it is imported is the reason)
        return Availability(available=False, reason=reason_of(error))


if __name__ == "__main__":
    without_telemetry()
    sys.path.append(os.getcwd())  # last: a file here must not stand in for an installed module
    answer = _answer(sys.argv[1], sys.argv[2])
    sys.stdout.flush()
    sys.stdout.buffer.write(b"\n" + _MARK + wire.encode(answer) + b"\n")
    sys.stdout.buffer.flush()
    os._exit(0)  # a runtime's threads must not hold up or crash the exit
