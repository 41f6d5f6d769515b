"""Backends of which it is known what they do: real runners in real processes, on numpy alone.

`steelyard.selftest.backends:Known[sleep=0.002]` takes 2 ms a call and is right; with `fault=NAME` it goes wrong
in one of the ways of `FAULTS`. They compute the one program of `steelyard.selftest.suite`.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from safetensors.numpy import load_file

from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.errors import UsageError, unknown_name
from steelyard.core.lowered import LoweredProgram
from steelyard.core.result import Proof
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner

PATH = "steelyard.selftest.backends:Known"
MEBI = 1 << 20
LATE_CALL = 150
"""The call of a launch in which `late compile` and `slow call` take long, and `step` changes its level."""
LATE_S = 0.1
LEAK_BYTES = MEBI // 8
PERIOD = 120

FAULTS: Mapping[str, str] = {
    "ignores input": "the answer to the first input, whatever comes",
    "memo": "an answer kept by the bytes of its input",
    "bound memo": "an answer kept with the binding that asked for it",
    "returns early": "the work goes on in a thread after run() has returned; reading waits for it",
    "writes late": "the work goes on in a thread after run() has returned; reading does not wait for it",
    "lazy": "the work is done when the outputs are read",
    "dropped output": "the second output is not given",
    "wrong": "every number is off by 1 %",
    "nan": "one number is NaN",
    "zeros": "all numbers are 0",
    "patched timer": "time.perf_counter_ns is replaced by a clock that runs at half speed",
    "patched loop": "the clock of the timed loop is replaced by one that runs at half speed",
    "slow clock": "as `patched loop`, and put back when the window is over",
    "late compile": "call 150 takes 0.1 s longer and is counted as a compilation",
    "slow call": "call 150 takes 0.1 s longer and is counted as nothing",
    "drift": "every call is slower than the one before",
    "step": "from call 150 on every call takes twice as long",
    "cyclic": "60 calls fast, 60 calls slow, and so on",
    "leak": "128 KiB stay behind after every call",
    "crash": "a segmentation fault in the first call",
    "hang": "the first call never returns",
    "child": "a child in a session of its own burns a CPU and outlives the launch",
}


class Known(Runner):
    """y = x @ w and z = tanh(y), in a known time, or in a known way wrong."""

    formats: ClassVar[tuple[str, ...]] = ("module",)
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}, "max": {}}
    keeps_cache: ClassVar[str] = ""
    accepts: ClassVar[Mapping[str, str]] = {
        "sleep": "seconds that a call sleeps",
        "spin": "seconds that a call computes",
        "allocate": "MiB that a call holds until its outputs are released",
        "each": "MiB that a call holds for each row of its input, likewise",
        "fault": "what goes wrong: " + ", ".join(FAULTS),
    }
    idle: ClassVar[str] = "it proves the tool, and is no runtime"

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        options = context.backend.options
        self.fault = options.get("fault", "")
        if self.fault and self.fault not in FAULTS:
            raise unknown_name("fault", self.fault, FAULTS)
        try:
            self.sleep_s = float(options.get("sleep", "0"))
            self.spin_s = float(options.get("spin", "0"))
            self.hold_bytes = round(float(options.get("allocate", "0")) * MEBI)
            self.each_bytes = round(float(options.get("each", "0")) * MEBI)
        except ValueError as error:
            raise UsageError(f"backend '{context.backend.text}': {error}; give plain numbers") from error
        self.calls = 0
        self.compilations = 1
        self.memo: dict[bytes, Arrays] = {}
        self.leaked: list[Any] = []

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Wherever there is a CPU."""
        return Availability(available=True, versions={"numpy": np.__version__}, devices=("cpu",))

    def start(self) -> None:
        """Replace a clock, or start a child, where that is the fault."""
        if self.fault == "patched timer":
            time.perf_counter_ns = _half(time.perf_counter_ns)
        if self.fault in ("patched loop", "slow clock"):
            from steelyard.measure import loop

            setattr(loop, "CLOCK", _half(loop.CLOCK))  # noqa: B010 (mypy holds the name to be final)
        if self.fault == "child":
            _burn()

    def load(self, program: LoweredProgram) -> "KnownProgram":
        """See `Runner`."""
        return KnownProgram(self, load_file(program.weights_file)["w"])

    def counters(self) -> Mapping[str, int]:
        """Compilations. Asked for after the window too, which is when `slow clock` puts things back."""
        if self.fault == "slow clock" and self.calls > 2:
            from steelyard.measure import clock, loop

            if self.calls > LATE_CALL:
                setattr(loop, "CLOCK", clock.CLOCK)  # noqa: B010
        return {"compilations": self.compilations}

    def duration_s(self) -> float:
        """How long the present call takes."""
        number = self.calls
        match self.fault:
            case "late compile" | "slow call" if number == LATE_CALL:
                self.compilations += self.fault == "late compile"
                return self.sleep_s + LATE_S
            case "drift":
                return self.sleep_s * (1 + number / LATE_CALL)
            case "step" if number >= LATE_CALL:
                return self.sleep_s * 2
            case "cyclic" if number % PERIOD >= PERIOD // 2:
                return self.sleep_s * 2
        return self.sleep_s


class KnownProgram(Executable):
    """The weights."""

    def __init__(self, runner: Known, weights: Any) -> None:
        self.runner, self.weights = runner, weights

    def compile(self) -> None:
        """There is nothing to compile."""

    def bind(self, inputs: Arrays) -> "KnownBinding":
        """See `Executable`."""
        return KnownBinding(self, inputs["x"])

    def proof(self) -> Proof:
        """See `Executable`."""
        versions = {"numpy": np.__version__}
        return Proof(runtime="numpy", versions=versions, platform="cpu", dtype="float32", threads=None)

    @property
    def execution_mode(self) -> Mapping[str, str]:
        """See `Executable`."""
        return {"weights": "arguments"}

    @property
    def options(self) -> Mapping[str, Any]:
        """See `Executable`."""
        return dict(self.runner.context.backend.options)


class KnownBinding(Binding):
    """One x with the answer to it."""

    def __init__(self, program: KnownProgram, x: Any) -> None:
        self.program, self.runner = program, program.runner
        self.x = np.array(x)
        self.found: dict[str, Any] = {}
        self.kept: dict[str, Any] | None = None
        self.held: Any = None
        self.work: threading.Thread | None = None

    def run(self) -> None:
        """See `Binding`; with a fault, not as it says there."""
        runner = self.runner
        runner.calls += 1
        match runner.fault:
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hang":
                threading.Event().wait()
            case "ignores input":
                if not runner.memo:
                    runner.memo[b""] = self._compute()
                else:
                    self._take_time()
                self.found = dict(runner.memo[b""])
            case "memo":
                key = self.x.tobytes()
                if key not in runner.memo:
                    runner.memo[key] = self._compute()
                self.found = dict(runner.memo[key])
            case "bound memo":
                self.kept = self.kept or self._compute()
                self.found = dict(self.kept)
            case "returns early" | "writes late":
                self.work = threading.Thread(target=self._work)
                self.work.start()
            case "lazy":
                self.found = {}
            case "leak":
                runner.leaked.append(np.ones(LEAK_BYTES, dtype=np.uint8))
                self.found = self._compute()
            case _:
                self.found = self._compute()

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        """See `Binding`."""
        if self.runner.fault == "returns early" and self.work is not None:
            self.work.join()
        if self.runner.fault == "lazy" and not self.found:
            self.found = self._compute()
        wanted = ("y", "z") if names is None else names
        return {name: np.array(self.found[name]) for name in wanted if name in self.found}

    def settle(self) -> None:
        """See `Binding`."""
        if self.work is not None:
            self.work.join()
            self.work = None
        if self.runner.fault != "writes late":  # which leaves its answer where the next one will stand
            self.found = {}
        self.held = None

    def update(self, inputs: Arrays) -> None:
        """See `Binding`."""
        self.x = np.array(inputs["x"])

    def adopt(self, source: Binding) -> None:
        """There is no state."""
        raise UsageError("the programs of the self-test have no state to adopt")

    def _work(self) -> None:
        self.found = self._compute()

    def _compute(self) -> dict[str, Any]:
        self._take_time()
        held_bytes = self.runner.hold_bytes + self.runner.each_bytes * self.x.shape[0]
        if held_bytes:
            self.held = np.ones(held_bytes, dtype=np.uint8)
        y = self.x @ self.program.weights
        found = {"y": y, "z": np.tanh(y)}
        match self.runner.fault:
            case "wrong":
                found["y"] = y * np.float32(1.01)
            case "nan":
                found["y"][0, 0] = np.nan
            case "zeros":
                found = {name: np.zeros_like(values) for name, values in found.items()}
            case "dropped output":
                del found["z"]
        return found

    def _take_time(self) -> None:
        seconds = self.runner.duration_s()
        if seconds:
            time.sleep(seconds)
        until = time.monotonic() + self.runner.spin_s
        while time.monotonic() < until:
            pass


def _half(clock: Any) -> Any:
    begun = clock()

    def halved() -> int:
        return int(begun + (clock() - begun) // 2)

    return halved


_BURN = "import time\nuntil = time.monotonic() + 120\nwhile time.monotonic() < until: pass\n"


def _burn() -> None:
    """A child that ends by itself after two minutes, should nobody end it before."""
    subprocess.Popen([sys.executable, "-I", "-S", "-c", _BURN], start_new_session=True)
