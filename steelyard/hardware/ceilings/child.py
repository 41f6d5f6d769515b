"""A measuring process: one runtime under the budget, which measures whenever it is asked to.

    python -P -m steelyard.hardware.ceilings.child DESCRIPTOR

Lines of JSON come in on standard input; answers go to the descriptor, because runtimes print on standard output.
"""

import gc
import importlib
import os
import sys
import traceback
from collections.abc import Mapping
from typing import BinaryIO

from steelyard import wire
from steelyard.core.errors import Unsupported
from steelyard.core.reason import reason_of
from steelyard.hardware.ceilings.jobs import Prepare, Ready, Sample, Start, Visit, VisitResult
from steelyard.measure.telemetry import without_telemetry

MODULES: Mapping[str, str] = {
    "native": "steelyard.hardware.ceilings.native",
    "instructions": "steelyard.hardware.ceilings.instructions",
    "torch": "steelyard.hardware.ceilings.by_torch",
    "jax": "steelyard.hardware.ceilings.by_jax",
    "onnxruntime": "steelyard.hardware.ceilings.by_onnxruntime",
    "openvino": "steelyard.hardware.ceilings.by_openvino",
}
"""Who can measure, and the module whose `prepare` does."""


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer lines until there are no more."""
    start = wire.decode(requests.readline(), Start, "the first line")
    os.sched_setaffinity(0, start.terms.cpus)
    try:
        prepare: Prepare = importlib.import_module(MODULES[start.by]).prepare
        work = prepare(start)
    except Unsupported as error:
        _answer(answers, Ready(reason=str(error)))
        return
    except ImportError as error:
        _answer(answers, Ready(reason=f"{start.by} cannot be imported: {error}"))
        return
    offers = tuple(offer for offer, _ in work.offers)
    ready = Ready(offers=offers, versions=work.versions, notes=work.notes, capacity_bytes=work.capacity_bytes)
    _answer(answers, ready)
    gc.collect()
    gc.freeze()
    gc.disable()  # no collection inside a sample
    for line in requests:
        order = wire.decode(line, Visit, "a visit").order
        _answer(answers, _seen([(place, work.offers[place][1]) for place in order]))


def _seen(asked: list[tuple[int, Sample | None]]) -> VisitResult:
    values: dict[int, float] = {}
    failures: dict[int, str] = {}
    for place, sample in asked:
        if sample is None:
            continue
        try:
            values[place] = sample()
        except Exception as error:  # noqa: BLE001 (whatever a runtime raises ends one offer, not the others)
            traceback.print_exception(error)
            failures[place] = reason_of(error)
    return VisitResult(values=values, failures=failures)


def _answer(answers: BinaryIO, value: Ready | VisitResult) -> None:
    answers.write(wire.encode(value) + b"\n")
    answers.flush()


if __name__ == "__main__":
    without_telemetry()
    with os.fdopen(int(sys.argv[1]), "wb") as stream:
        serve(sys.stdin.buffer, stream)
