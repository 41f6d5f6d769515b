"""A model of a user's own as its suite sees it, lowered, and run."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from steelyard import plugins, wire
from steelyard.core.lowered import LoweredPoint
from steelyard.core.workload import Point, Selection
from steelyard.lowering.points import points_of
from steelyard.lowering.request import LoweringRequest, LoweringResponse

FORMATS = ("onnx", "openvino", "pt2", "stablehlo")
UNLIKE = ("eager", "onnxruntime", "openvino", "xla")
"""Those that take the program in forms unlike each other: Inductor gets the module that eager has."""


def point(model: object, *shapes: str, inputs: object = None) -> Point:
    """The one point of a model."""
    axes = {"shape": shapes} if shapes else {}
    given = {} if inputs is None else {"inputs": (str(inputs),)}
    selection = Selection(device_kind="cpu", weights_dir=str(model), axes={**axes, **given})
    (found,) = points_of(plugins.suite("model"), selection)
    return found


def lowered(model: object, found: Point, folder: Path, formats: Sequence[str] = FORMATS) -> LoweredPoint:
    """The point in these formats, by the lowering process; `folder` holds its cache. Raises AssertionError with the
    reason where it fails."""
    asked = LoweringRequest(
        points=(found,), formats=tuple(formats), cache=str(folder / "cache"), weights_dir=str(model), pool=2
    )
    (folder / "request.json").write_bytes(wire.encode(asked))
    ends = [str(folder / f"{name}.json") for name in ("request", "response")]
    command = [sys.executable, "-m", "steelyard.lowering", *ends]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    response = wire.read(folder / "response.json", LoweringResponse)
    assert response.points, response.failures[0].reason
    return response.points[0]


def statuses(model: object, *options: str, cwd: Path, backends: str = "all") -> dict[str, str]:
    """What became of backends in a short run, and the reason where it is not ok."""
    command = [sys.executable, "-m", "steelyard"]
    short = [
        "--quick",
        "--rounds",
        "1",
        "--window",
        "0.05",
        "--threads",
        "1",
        "--turns",
        "off",
        "--wait",
        "--no-report",
    ]
    run = [*command, "run", "--model", str(model), "--backend", backends, *short, *options]
    done = subprocess.run(run, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    show = subprocess.run([*command, "show", "latest", "--json"], cwd=cwd, capture_output=True, text=True, check=False)
    return {row["arm"]: row["status"] for row in json.loads(show.stdout)["rows"] if not row["control"]}
