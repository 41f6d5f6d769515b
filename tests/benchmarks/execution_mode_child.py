"""One launch of that benchmark: our binding in the product's timed loop beside the loop written by hand.

Started by bench_execution_modes.py with a worker's environment. Both sides are built in this process on the same
artifact and input sets, checked against the reference, warmed up, and then timed in small blocks that
alternate in random order.
"""

import json
import os
import random
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from steelyard import plugins, wire
from steelyard.core.runner import Binding, LaunchContext, Runner
from steelyard.engine.protocol import CaseRequest, LaunchRequest
from steelyard.measure.correctness import Checker
from steelyard.measure.loop import CheckPoints, Limits, timed_window
from tests.validation.by_hand import ByHand, read_tensors

BLOCK_S = 0.25
"""A block lasts about so long: short against the drifts of a machine, long against what a switch of sides costs."""

FEWEST, MOST = 5, 400
"""Calls in a block. The first is dropped: it pays for what the other side left in caches and thread pools."""

Arrays = Mapping[str, np.ndarray]
Block = Callable[[int], Sequence[int]]


class Ours:
    """The runner's bindings, one for each input set, run by the engine's timed loop."""

    def __init__(self, runner: Runner, case: CaseRequest, inputs: Sequence[Arrays]) -> None:
        lowered = case.lowered.programs["main"]
        self._program = lowered.program
        self._executable = runner.load(lowered)
        self._executable.compile()
        self._bindings: list[Binding] = [self._executable.bind(arrays) for arrays in inputs]

    def block(self, calls: int) -> Sequence[int]:
        """Nanoseconds of each call. Nothing is checked inside, so that both sides do the same."""
        limits = Limits(seconds=0.0, minimum=calls, maximum=calls, cap_s=3600.0)
        checks = CheckPoints(seed=0, early=calls)
        return timed_window(self._bindings, limits, inspect=lambda index: None, checks=checks).durations_ns

    def check(self, slot: int, checker: Checker) -> None:
        """One more call of an input set, checked."""
        binding = self._bindings[slot]
        binding.run()
        checker.program_call(slot, self._program, binding)
        binding.settle()

    def mismatches(self) -> Sequence[str]:
        """What differs from the budget, as a run would say it."""
        return self._executable.proof().mismatches


def measure(request: LaunchRequest, blocks: int) -> dict[str, Any]:
    """Medians of `blocks` paired blocks, nanoseconds. Raises where a side gives wrong answers or is not as budgeted."""
    (case,) = request.cases
    runner = plugins.runner(request.backend.runner)(_context(request))
    runner.start()
    inputs = [read_tensors(entry.inputs) for entry in case.lowered.pool]
    references = [read_tensors(entry.reference) for entry in case.lowered.pool]
    sides: dict[str, Ours | ByHand] = {}
    # Whoever comes second gets other memory; the launches of a comparison take turns.
    for side in ("ours", "hand") if request.position % 2 == 0 else ("hand", "ours"):
        if side == "ours":
            sides[side] = Ours(runner, case, inputs)
        else:
            sides[side] = ByHand(request.backend.runner, request.budget.threads, case.lowered, inputs)
        _check(side, sides[side], case, references, inputs)
    runner.stop()
    if not request.steady:
        return {"calls": 0, "blocks": []}
    calls = _calls(sides)
    for side in sides.values():
        side.block(calls)
    before = dict(runner.counters())
    medians = [
        {side: statistics.median(sides[side].block(calls)[1:]) for side in order}
        for order in _orders(random.Random(request.seed), blocks)
    ]
    if dict(runner.counters()) != before:
        raise SystemExit(f"{request.backend.text}: compiled inside the timed blocks: {before} -> {runner.counters()}")
    for name, side in sides.items():
        _check(name, side, case, references, inputs)
    if mismatches := sides["ours"].mismatches():  # type: ignore[union-attr]
        raise SystemExit(f"{request.backend.text} did not run as budgeted: {'; '.join(mismatches)}")
    return {"calls": calls, "blocks": medians}


def _calls(sides: Mapping[str, Ours | ByHand]) -> int:
    slowest = max(statistics.median(side.block(FEWEST)) for side in sides.values())
    return min(MOST, max(FEWEST, round(BLOCK_S * 1e9 / slowest)))


def _orders(source: random.Random, blocks: int) -> list[list[str]]:
    """Each side first in half of the pairs, at random."""
    orders = [["ours", "hand"] if index % 2 else ["hand", "ours"] for index in range(blocks)]
    source.shuffle(orders)
    return orders


def _check(
    name: str, side: Ours | ByHand, case: CaseRequest, references: Sequence[Arrays], inputs: Sequence[Arrays]
) -> None:
    checker = Checker(case.lowered, references, inputs)
    for slot in (0, len(inputs) - 1):
        side.check(slot, checker)
    if not (verdict := checker.verdict()).passed:
        raise SystemExit(f"{case.lowered.point.title}: side '{name}' gives wrong answers: {verdict.reason}")


def _context(request: LaunchRequest) -> LaunchContext:
    return LaunchContext(
        backend=request.backend,
        device=request.device,
        budget=request.budget,
        compile_cache=Path(request.compile_cache),
        scratch=Path(request.scratch),
    )


def main(request_file: str, result_file: str, blocks: str) -> None:
    """Read the request, pin the process, write the result."""
    sys.path.append(os.getcwd())
    request = wire.read(Path(request_file), LaunchRequest)
    os.sched_setaffinity(0, request.budget.cpus)
    Path(result_file).write_text(json.dumps(measure(request, int(blocks))))
