"""What runtimes send and write of themselves: nothing, in the processes that ask, lower and measure.

Real processes of all runtimes under strace, with a home of their own in which OpenVINO has a consent to report.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BACKENDS = ("eager", "inductor", "xla", "onnxruntime", "openvino")
ROOT = Path(__file__).parents[2]
CALLS = "socket,connect,sendto,sendmsg,sendmmsg"

WORK = """
import json, os, sys, time
from pathlib import Path
from steelyard.core.backend import Budget, Device, parse_backend
from steelyard.core.workload import Selection
from steelyard.engine.launch import run_launch
from steelyard.engine.lower import lower_points
from steelyard.engine.plan import DEFAULT_TIMEOUTS
from steelyard.engine.probe import probe
from steelyard.engine.protocol import CaseRequest, LaunchRequest, Pace
from steelyard.selftest.suite import points

folder, backends = Path(sys.argv[1]), sys.argv[2:]
usable = {name: answer.available for name, answer in probe(backends, "cpu").items()}
lowered, failed = lower_points(
    points(Selection(device_kind="cpu")), ("onnx", "openvino", "stablehlo"),
    weights_dir=None, device_kind="cpu", say=lambda line: None,
)
(point,) = lowered.values()
ended = {}
for name in backends:
    request = LaunchRequest(
        launch=f"quiet-{os.getpid()}/{name}", arm=name, round=0, position=0, backend=parse_backend(name),
        device=Device(kind="cpu", index=0, name="a CPU", memory_bytes=None),
        budget=Budget(threads=1, cpus=(min(os.sched_getaffinity(0)),)),
        compile_cache=str(folder / name / "cache"), scratch=str(folder / name / "scratch"), seed=3, steady=False,
        cases=(CaseRequest(case_id="one", lowered=point, pace=Pace(seconds=0, minimum=1, maximum=1, cap_s=1)),),
    )
    (result,) = run_launch(request, origin_s=time.monotonic(), timeouts=DEFAULT_TIMEOUTS).results
    ended[name] = result.status if result.status == "ok" else result.reason
print(json.dumps({"usable": usable, "failed": failed, "ended": ended}))
"""


@pytest.mark.backends
def test_no_runtime_writes_or_talks_outside_its_process(tmp_path, require_tool):
    home, temporary, trace = tmp_path / "home", tmp_path / "tmp", tmp_path / "trace"
    consent = home / "intel" / "openvino_telemetry"
    for folder in (consent.parent, temporary):
        folder.mkdir(parents=True)
    consent.write_text("1")
    own = {"HOME": str(home), "TMPDIR": str(temporary), "STEELYARD_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [require_tool("strace"), "-f", "-qq", "--seccomp-bpf", "-e", f"trace={CALLS}", "-o", str(trace),
         sys.executable, "-c", WORK, str(tmp_path / "launches"), *BACKENDS],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **own},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {"usable": dict.fromkeys(BACKENDS, True), "failed": {}, "ended": dict.fromkeys(BACKENDS, "ok")}
    assert [path for path in home.rglob("*") if path.is_file()] == [consent]
    assert list(temporary.iterdir()) == []
    # The C library asks the name service's daemon on this machine for accounts; nothing else has a socket.
    talk = [line for line in trace.read_text().splitlines() if re.search(r"AF_INET|AF_NETLINK|sendto|sendm", line)]
    assert talk == []
