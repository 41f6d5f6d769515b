"""One loop by hand on the tiny decoder of the contract, in a process of its own: `python -m tests.house.by_hand`.

Runtimes that share a process may end it: each brings its own threads, allocators and signal handlers.
"""

import sys
from pathlib import Path

import numpy as np

from steelyard import wire
from steelyard.contract import program as tiny
from steelyard.contract.launch import ContractRequest
from steelyard.measure.telemetry import without_telemetry
from tests.validation.loops import LOOPS, Work, check_order


def check(backend: str, request: Path) -> None:
    """Raises AssertionError unless the loop computes both programs, however often it is called."""
    for name, lowered in wire.read(request, ContractRequest).programs.items():
        sets = [
            {"input_ids": tiny.prompt_ids(seed)} if name == "prefill" else tiny.decode_inputs(seed) for seed in (0, 1)
        ]
        work = Work(lowered=lowered, pool=[list(arrays.values()) for arrays in sets], threads=2)
        check_order(work)
        loop = LOOPS[backend](work)
        for calls in (1, 2, 5):
            samples, outputs = loop(calls)
            wanted = _reference(name, sets[(calls - 1) % 2])
            assert len(samples) == calls
            assert min(samples) > 0
            for spec, output in zip(lowered.program.outputs, outputs, strict=True):
                np.testing.assert_allclose(np.asarray(output), wanted[spec.name], rtol=1e-5, atol=1e-5)


def _reference(program, inputs):
    if program == "prefill":
        return tiny.prefill_reference(**inputs)
    return tiny.decode_reference(inputs["input_ids"], int(inputs["position"][0]), inputs["cache.0.k"])


if __name__ == "__main__":
    without_telemetry()
    check(sys.argv[1], Path(sys.argv[2]))
