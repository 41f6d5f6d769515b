"""A supervisor that is stopped inside a timed window, for real: no fault of the worker's, and a contaminated launch."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAUSE_S = 4.0
SUPERVISOR = """
import json, os, sys
from dataclasses import replace
from pathlib import Path
from tests.engine.test_launch import PATH, launch
import tests.engine.test_launch as module
from steelyard.guard.contamination import contamination

def tell(event):
    if event.kind == "stage" and event.stage == sys.argv[1]:
        print("now", flush=True)

run = module.run_launch
# A name of its own: whoever ends a launch of that name on this machine ends its processes.
named = f"run/{os.getpid()}"
module.run_launch = lambda request, **given: run(replace(request, launch=named), on_event=tell, **given)
outcome = launch(Path(sys.argv[2]), PATH, seconds=0.5, cap_s=2.0)
(result,) = outcome.results
print(json.dumps([result.status, result.reason, contamination(outcome.record.noise)]))
"""


def paused(stage: str, tmp_path: Path) -> list[str]:
    """How a launch ends whose supervisor is stopped as soon as it has heard of a stage."""
    command = [sys.executable, "-c", SUPERVISOR, stage, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ}) as supervisor:
        try:
            assert supervisor.stdout is not None
            assert supervisor.stdout.readline() == "now\n"
            supervisor.send_signal(signal.SIGSTOP)
            time.sleep(PAUSE_S)
        finally:
            supervisor.send_signal(signal.SIGCONT)
        return json.loads(supervisor.stdout.readline())


def test_a_supervisor_stopped_inside_a_window_charges_it_to_nobody(tmp_path):
    status, reason, told = paused("steady", tmp_path)
    assert (status, reason) == ("ok", "")
    assert "bench itself was stopped" in told


def test_nor_one_that_was_stopped_before_the_window_and_saw_none_of_it(tmp_path):
    status, reason, told = paused("import", tmp_path)
    assert (status, reason) == ("ok", "")
    assert "bench itself was stopped" in told
