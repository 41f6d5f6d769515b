"""A measuring process seen from outside: started under the budget, asked, given up when it is silent or dead."""

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import IO, TypeVar

from steelyard import wire
from steelyard.core.errors import SteelyardError
from steelyard.guard.child import module_command
from steelyard.guard.environment import for_child
from steelyard.hardware.ceilings.jobs import MeasurementTerms, Ready, Start, Visit, VisitResult

T = TypeVar("T", Ready, VisitResult)
START_S = 300.0
"""Seconds in which a process must have imported its runtime and tried its sizes."""
VISIT_S = 300.0
_TAIL_BYTES = 400
_MODULE = "steelyard.hardware.ceilings.child"


class Lost(SteelyardError):
    """A measuring process ended or fell silent."""


class Process:
    """One runtime, waiting in a process of its own. Between visits it blocks on its pipe."""

    def __init__(self, start: Start) -> None:
        self.by = start.by
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        self._answers, theirs = os.pipe()
        self._buffer = b""
        try:
            self._process = subprocess.Popen(
                module_command(_MODULE, str(theirs)),
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                env=environment(start.terms),
                pass_fds=(theirs,),
                start_new_session=True,
            )
        finally:
            os.close(theirs)
        self._start = start

    def ready(self, within_s: float = START_S) -> Ready:
        """Send the terms and wait for the offers. Raises Lost."""
        self._send(self._start)
        return self._receive(Ready, within_s)

    def visit(self, order: Sequence[int], within_s: float = VISIT_S) -> VisitResult:
        """Let it measure these offers once. Raises Lost."""
        self._send(Visit(order=tuple(order)))
        return self._receive(VisitResult, within_s)

    def close(self) -> None:
        """End it; what it started goes with it."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        os.close(self._answers)
        self._log.close()

    def _send(self, value: Start | Visit) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(wire.encode(value) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Lost(self._ending()) from None

    def _receive(self, kind: type[T], within_s: float) -> T:
        deadline = time.monotonic() + within_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise Lost(f"{self.by} did not answer within {within_s:g} s")
                part = os.read(self._answers, 1 << 16)
                if not part:
                    raise Lost(self._ending())
                self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        return wire.decode(line, kind, f"the answer of {self.by}")

    def _ending(self) -> str:
        code = self._process.wait()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _TAIL_BYTES))
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return f"the process of {self.by} ended {how}: {lines[-1] if lines else 'it said nothing'}"


def environment(terms: MeasurementTerms) -> dict[str, str]:
    """The environment of a measuring process: the thread count wherever a library looks for it, and no other device.

    The processes share a device: JAX must not take three quarters of its memory beforehand, as it does by itself.
    """
    count = str(terms.threads)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")
    own: Mapping[str, str] = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if terms.device_kind == "cpu":
        own = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
    return for_child({**dict.fromkeys(names, count), **own})
