"""TensorRT's `trtexec` on the artifact of `onnxruntime:tensorrt`: its samples, as `--exportTimes` writes them."""

import json
import subprocess
from pathlib import Path

from steelyard.core.errors import SteelyardError
from steelyard.guard.child import program_command
from tests.validation.child import Served, serve
from tests.validation.tools import Told


def command(model: Path, times: Path, seconds: float) -> list[str]:
    """One stream, inputs on the device beforehand, float32 without TF32, whole seconds."""
    return [
        *("trtexec", f"--onnx={model}", "--noTF32", "--noDataTransfers", "--useSpinWait", "--infStreams=1"),
        *(f"--duration={max(1, round(seconds))}", f"--exportTimes={times}"),
    ]


def samples(text: str) -> tuple[float, ...]:
    """The latency of each call, seconds, in order. Raises SteelyardError where there is none."""
    found = tuple(float(entry["latencyMs"]) * 1e-3 for entry in json.loads(text))
    if not found:
        raise SteelyardError("trtexec exported no times")
    return found


def measure(served: Served) -> Told:
    """Run it and read its file. Raises CalledProcessError if it fails."""
    artifact = served.lowered.programs["main"].artifacts["onnx"]
    times = Path(served.request.scratch) / "times.json"
    subprocess.run(
        program_command(command(Path(artifact.directory) / artifact.entry, times, served.window_s)), check=True
    )
    return Told(samples_s=samples(times.read_text()))


if __name__ == "__main__":
    serve(measure)
