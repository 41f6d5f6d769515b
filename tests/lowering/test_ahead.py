"""Processes that make formats ahead of the one that answers: nothing of the answer depends on them."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard import wire
from steelyard.contract import program as contract
from steelyard.core.lowered import LoweredPoint
from steelyard.lowering.cache import Cache
from steelyard.lowering.request import LoweringRequest, LoweringResponse, Progress

pytestmark = pytest.mark.backends

HERE = Path(__file__).parent


def request(folder: Path, cache: Path, **given) -> LoweringRequest:
    given = {"points": (contract.point(),), "formats": ("pt2",), "pool": 2, **given}
    asked = LoweringRequest(cache=str(cache), **given)
    (folder / "request.json").write_bytes(wire.encode(asked))
    return asked


def start(folder: Path, module: str, *arguments: str, **given) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", module, str(folder / "request.json"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, **given)


def comparable(point: LoweredPoint, cache: Path) -> str:
    """All that is known of it, but seconds and where it lies."""
    held = json.loads(wire.encode(replace(point, seconds=0.0)).decode().replace(str(cache), "CACHE"))
    for program in held["programs"].values():
        for artifact in program["artifacts"].values():
            artifact["seconds"] = 0.0
    return json.dumps(held, sort_keys=True)


def lowered(folder: Path, processes: int, **given) -> tuple[LoweringResponse, list[Progress]]:
    folder.mkdir()
    steps = folder / "steps.jsonl"
    with steps.open("ab") as stream:
        request(folder, folder / "cache", processes=processes, progress=stream.fileno(), **given)
        done = start(folder, "steelyard.lowering", str(folder / "response.json"), pass_fds=(stream.fileno(),))
        _, said = done.communicate()
    assert done.returncode == 0, said.decode()
    told = [wire.decode(line, Progress, "a step") for line in steps.read_text().splitlines()]
    return wire.read(folder / "response.json", LoweringResponse), told


def test_two_processes_answer_what_one_does_and_tell_what_was_made(tmp_path: Path) -> None:
    good = contract.point()
    bad = replace(good.programs["prefill"], source="programs:unexportable")
    failing = replace(good, axes={"model": "bad"}, programs={**good.programs, "prefill": bad})
    alone, _ = lowered(tmp_path / "one", 1, points=(good, failing))
    shared, told = lowered(tmp_path / "two", 2, points=(good, failing))
    places = [tmp_path / "one" / "cache", tmp_path / "two" / "cache"]
    answers = [
        [comparable(point, place) for point in response.points]
        for response, place in zip((alone, shared), places, strict=True)
    ]
    assert answers[0] == answers[1]
    assert "torch.export failed" in shared.points[1].programs["prefill"].failures["pt2"]
    assert {step.label.partition(": failed")[0] for step in told if "failed" in step.label} == {"prefill as pt2"}
    made = [step.step for step in told if not step.cached and "failed" not in step.label]
    assert len(made) == len(set(made)) == told[0].total - 1  # each once, whoever made it
    assert {step.step for step in told} >= set(made)
    assert not list((places[1] / "tmp").iterdir())
    kept = [json.loads(line)["makes"] for line in (places[1] / "costs.jsonl").read_text().splitlines()]
    assert sorted(kept) == sorted(["weights", "references", "references", "pt2", "pt2"])


def test_one_that_is_ended_removes_what_is_half_made(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    request(tmp_path, cache.root, points=(slow_point(),))
    child = start(tmp_path, "steelyard.lowering.ahead", "0")
    wait_for(cache.root / "tmp", child)
    child.terminate()
    _, said = child.communicate(timeout=60)
    assert child.returncode == 0, said.decode()
    assert not list((cache.root / "tmp").iterdir())


def test_one_ends_with_the_process_that_it_works_for(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    request(tmp_path, cache.root, points=(slow_point(),), processes=2)
    answering = start(tmp_path, "steelyard.lowering", str(tmp_path / "response.json"))
    wait_for(cache.root / "tmp", answering)
    (ahead,) = Path(f"/proc/{answering.pid}/task/{answering.pid}/children").read_text().split()
    answering.send_signal(signal.SIGKILL)
    answering.wait()  # not for the end of its output, which one that lives on would hold open
    until = time.monotonic() + 10
    while (alive := Path(f"/proc/{ahead}").exists()) and time.monotonic() < until:
        time.sleep(0.05)
    if alive:
        os.kill(int(ahead), signal.SIGKILL)
    assert not alive


def slow_point():
    """One whose weights take as long as is waited for them."""
    good = contract.point()
    other = replace(good.programs["prefill"].weights, source="programs:endless_weights")
    return replace(good, programs={role: replace(program, weights=other) for role, program in good.programs.items()})


def wait_for(folder: Path, process: "subprocess.Popen[bytes]") -> None:
    """Until something is being made there."""
    until = time.monotonic() + 60
    while not list(folder.iterdir()):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
