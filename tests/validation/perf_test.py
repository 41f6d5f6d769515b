"""`onnxruntime_perf_test` on the artifact of `onnxruntime`: its samples, as its result file has them.

A line of that file is `model,seconds,peak bytes,CPU share,index`; statistics may follow it in words.
"""

import subprocess
from pathlib import Path

from steelyard.core.errors import SteelyardError
from steelyard.guard.child import program_command
from tests.validation.child import Served, serve
from tests.validation.tools import Told

_COLUMNS = 5


def command(model: Path, result: Path, threads: int, seconds: float) -> list[str]:
    """Sequential, all optimisations, our thread counts, generated inputs; whole seconds, one at least."""
    return [
        *("onnxruntime_perf_test", "-I", "-e", "cpu", "-m", "duration", "-t", str(max(1, round(seconds)))),
        *("-x", str(threads), "-y", "1", "-o", "99", str(model), str(result)),
    ]


def samples(text: str) -> tuple[float, ...]:
    """The seconds of each call, in order. Raises SteelyardError where there is none."""
    rows = [line.split(",") for line in text.splitlines()]
    found = tuple(float(row[1]) for row in rows if len(row) == _COLUMNS)
    if not found:
        raise SteelyardError(f"onnxruntime_perf_test wrote no samples: {text[:200]!r}")
    return found


def measure(served: Served) -> Told:
    """Run it and read its file. Raises CalledProcessError if it fails."""
    request = served.request
    artifact = served.lowered.programs["main"].artifacts["onnx"]
    result = Path(request.scratch) / "perf_test.csv"
    model = Path(artifact.directory) / artifact.entry
    subprocess.run(program_command(command(model, result, request.budget.threads, served.window_s)), check=True)
    return Told(samples_s=samples(result.read_text()))


if __name__ == "__main__":
    serve(measure)
