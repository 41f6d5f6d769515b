"""A small real point (y = x @ w) made with numpy alone, and a runner for it that can fail in every known way.

The runner is a real runner in a real process: `tests.fakes.numpy_work:NumpyRunner[fault=...]`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from safetensors.numpy import load_file, save_file

from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.code import code_of
from steelyard.core.errors import FellBack, Unsupported
from steelyard.core.lowered import InputSet, LoweredPoint, LoweredProgram, Tolerance
from steelyard.core.metrics import Reading
from steelyard.core.result import Proof
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner
from steelyard.core.workload import Identity, Point, Program, TensorSpec, Weights, Work

PATH = "tests.fakes.numpy_work:NumpyRunner"
POOL = 8
LATE = 12
"""After so many calls, which is in the timed window, a fault that is `late` happens."""
MARK = "STEELYARD_LAUNCH"
MARK_ = MARK.encode() + b"="


def lowered_point(directory: Path, *, name: str = "affine", seed: int = 0) -> LoweredPoint:
    """The point on disk, as lowering would leave it."""
    source = np.random.default_rng(seed)
    directory.mkdir(parents=True, exist_ok=True)
    weights = source.normal(size=(8, 8))
    weights_file = directory / "weights.safetensors"
    save_file({"w": weights.astype(np.float32)}, weights_file)
    program = Program(
        name=name,
        source="tests.fakes.numpy_work:none",
        arguments={},
        weights=Weights(source="tests.fakes.numpy_work:none", arguments={"seed": seed}, origin="seeded"),
        dtype="float32",
        inputs=(TensorSpec(name="x", shape=(4, 8), dtype="float32"),),
        outputs=(TensorSpec(name="y", shape=(4, 8), dtype="float32"),),
    )
    pool = []
    for index in range(POOL):
        x = source.normal(size=(4, 8)).astype(np.float32)
        inputs, reference = directory / f"inputs-{index}.safetensors", directory / f"reference-{index}.safetensors"
        save_file({"x": x}, inputs)
        save_file({"y": x.astype(np.float64) @ weights.astype(np.float32).astype(np.float64)}, reference)
        pool.append(InputSet(inputs=str(inputs), reference=str(reference)))
    point = Point(
        suite="numpy",
        suite_version=1,
        workload=name,
        axes={"batch": 4},
        driver="call",
        programs={"main": program},
        settings={},
        pool="tests.fakes.numpy_work:none",
        window=None,
        work=Work(flop=2 * 4 * 8 * 8, weight_bytes=256, items=4, unit="rows"),
    )
    return LoweredPoint(
        point=point,
        identity=Identity(definition="d", weights="w", inputs="i", reference="r"),
        programs={"main": LoweredProgram(program=program, weights_file=str(weights_file), artifacts={})},
        pool=tuple(pool),
        tolerances={"y": Tolerance(floor=1e-7, limit=1e-5)},
        code=code_of(point.sources),
    )


class NumpyRunner(Runner):
    """y = x @ w, or one of the ways in which a backend goes wrong."""

    formats: ClassVar[tuple[str, ...]] = ("module",)
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}, "max": {}}
    keeps_cache: ClassVar[str] = ""
    accepts: ClassVar[Mapping[str, str]] = {"fault": "what goes wrong", "sleep": "seconds a call takes"}

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.fault = context.backend.options.get("fault", "")
        self.sleep_s = float(context.backend.options.get("sleep", "0"))
        self.compilations = 1
        self.calls = self.loaded = 0
        self.found_cache = False
        self.seen: dict[str, int] = {}
        """How often processes of other launches were seen during a call, by the letter of their state."""

    def look_around(self) -> None:
        """Note in which state the processes of all other launches are."""
        own = os.environ[MARK]
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                mark = next(part for part in (entry / "environ").read_bytes().split(b"\0") if part[:17] == MARK_)
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except (OSError, StopIteration):
                continue  # it is not ours to look at, or has ended
            other = mark.decode().partition("=")[2]
            if other != own and other.partition("/")[0] == own.partition("/")[0]:
                self.seen[state] = self.seen.get(state, 0) + 1

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        if backend.options.get("fault") == "absent":
            return Availability(available=False, reason="asked to be absent")
        return Availability(available=True, versions={"numpy": np.__version__}, devices=("cpu",))

    def start(self) -> None:
        if self.fault == "import":
            raise ImportError("no such runtime")
        kept = self.context.compile_cache / "compiled"
        self.found_cache = kept.exists()
        kept.touch()

    def load(self, program: LoweredProgram) -> "NumpyExecutable":
        if self.fault == "unsupported":
            raise Unsupported("this program is not for us")
        if self.fault == "memory":
            raise MemoryError("want more")
        self.loaded += 1
        return NumpyExecutable(self, load_file(program.weights_file)["w"])

    def counters(self) -> Mapping[str, int]:
        return {"compilations": self.compilations}


class NumpyExecutable(Executable):
    def __init__(self, runner: NumpyRunner, weights: Any) -> None:
        self.runner, self.weights = runner, weights

    def compile(self) -> None:
        if self.runner.fault.startswith("child"):
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        if self.runner.fault == "stray":
            subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        if self.runner.fault == "compile":
            raise RuntimeError("cannot compile this")

    def bind(self, inputs: Arrays) -> "NumpyBinding":
        return NumpyBinding(self, inputs["x"])

    def proof(self) -> Proof:
        if self.runner.fault == "raised fallback":
            raise FellBack("ran somewhere else")
        mismatches = ("ran in bfloat16, not float32",) if self.runner.fault == "fallback" else ()
        return Proof(
            runtime="numpy",
            versions={"numpy": np.__version__},
            platform="cpu",
            dtype="float32",
            threads=None,
            recompiles=self.runner.compilations - 1,
            mismatches=mismatches,
        )

    def memory(self) -> Mapping[str, Reading]:
        return {"vram_bytes": Reading(value=1.0, unit="B")} if self.runner.fault == "odd memory" else {}

    @property
    def execution_mode(self) -> Mapping[str, str]:
        return {"weights": "arguments"}

    @property
    def options(self) -> Mapping[str, Any]:
        return {
            "fault": self.runner.fault,
            "found_cache": self.runner.found_cache,
            "pid": os.getpid(),
            "seen": dict(self.runner.seen),
            "cpus": sorted(os.sched_getaffinity(0)),
        }


class NumpyBinding(Binding):
    def __init__(self, executable: NumpyExecutable, x: Any) -> None:
        self.executable, self.x, self.y, self.runs = executable, x, None, 0

    def run(self) -> None:
        runner = self.executable.runner
        self.runs += 1
        runner.calls += 1
        if runner.sleep_s:
            time.sleep(runner.sleep_s)
        match runner.fault:
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "signalled":  # one that Python has no name for
                os.kill(os.getpid(), signal.SIGRTMIN + 6)
            case "killed late" if runner.calls > LATE:
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang late" if runner.calls > LATE:
                time.sleep(600)
            case "raise once" if runner.calls == LATE:
                raise RuntimeError("<boom> & more")
            case "watch":
                runner.look_around()
            case "exit":
                os._exit(7)
            case "child and hang" if runner.loaded == 2:
                time.sleep(600)
            case "hang":
                time.sleep(600)
            case "raise":
                raise RuntimeError("<boom> & more")
            case "greedy":
                np.empty(1 << 30, np.uint8)  # asked for and not touched: RLIMIT_DATA counts that
            case "bad_alloc":  # how a C++ runtime ends that does not catch it
                os.write(
                    2, b"terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n"
                )
                os.abort()
            case "recompile":
                runner.compilations += 1
            case "alternate":  # eight fast calls, eight slow ones, and so on
                time.sleep(0.004 if self.runs % 2 else 0.001)
            case "warm up":
                time.sleep(0.01 if runner.calls <= 42 else 0.001)
        y = self.x @ self.executable.weights
        match runner.fault:
            case "wrong":
                y = y * 1.01
            case "zeros":
                y = np.zeros_like(y)
            case "constant":
                y = np.full_like(y, 0.5)
            case "nan":
                y[0, 0] = np.nan
            case "shape":
                y = y[:2]
            case "cached":
                y = runner.__dict__.setdefault("first", y)
            case "late wrong" if self.runs > 2:
                y = y + 1
        self.y = y

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        return {"y": np.array(self.y)}

    def settle(self) -> None:
        self.y = None

    def update(self, inputs: Arrays) -> None:
        self.x = inputs["x"]

    def adopt(self, source: Binding) -> None:
        raise Unsupported("there is no state")
