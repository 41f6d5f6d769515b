"""The process in which candidates for a kernel run: checked against the kernel without a schedule, then timed.

    python -m steelyard.adapters.tvm_candidate

reads a JSON object a line: `file`, a library with one kernel, and `answers`, a folder. With `kinds`, the type and shape
of each argument, the answers of the kernel to arguments drawn at random are written there; without, they are what it is
held against. It answers with a line: `latency_s`, the median time of a call [s], or `reason`.
"""

import json
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_TOLERANCE = 1e-4
"""Of the largest value: float32 sums in another order stay far below it, and a wrong loop does not."""
_TIMES, _AT_LEAST_MS = 5, 20


def main() -> None:
    """Answer until the input ends. What libraries print goes to the log instead."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            told: Mapping[str, Any] = _answer(Path(asked["file"]), Path(asked["answers"]), asked.get("kinds", ()))
        except Exception as error:  # noqa: BLE001 (whatever a kernel does is the reason)
            told = {"reason": f"{type(error).__name__}: {str(error).splitlines()[-1] if str(error) else ''}"}
        answers.write(json.dumps(told) + "\n")
        answers.flush()


def _answer(file: Path, answers: Path, kinds: Sequence[tuple[str, Sequence[int]]]) -> Mapping[str, Any]:
    import numpy as np
    import tvm

    library = tvm.runtime.load_module(str(file))
    if kinds:
        given = _drawn(kinds)
        np.savez(answers / "given.npz", *given)
    else:
        given = _stored(answers / "given.npz")
    arguments = [tvm.runtime.tensor(each) for each in given]
    library["main"](*arguments)
    found = [each.numpy() for each in arguments]
    if kinds:
        np.savez(answers / "wanted.npz", *found)
        return {}
    for place, (each, wanted) in enumerate(zip(found, _stored(answers / "wanted.npz"), strict=True)):
        error = np.abs(each.astype(np.float64) - wanted.astype(np.float64)).max(initial=0.0)
        allowed = _TOLERANCE * np.abs(wanted.astype(np.float64)).max(initial=0.0)
        if not error <= allowed:
            return {"reason": f"wrong: argument {place} is {error:.3g} off, where {allowed:.3g} is allowed"}
    timed = library.time_evaluator("main", tvm.cpu(), number=1, repeat=_TIMES, min_repeat_ms=_AT_LEAST_MS)
    return {"latency_s": statistics.median(timed(*arguments).results)}


def _drawn(kinds: Sequence[tuple[str, Sequence[int]]]) -> list[Any]:
    """Positive numbers, for which every operator has a value; of whole numbers zeros, a place that every table has."""
    import numpy as np

    source = np.random.default_rng(0)
    return [
        source.uniform(0.1, 1.0, shape).astype(dtype) if "float" in dtype else np.zeros(shape, dtype)
        for dtype, shape in kinds
    ]


def _stored(file: Path) -> list[Any]:
    import numpy as np

    with np.load(file) as arrays:
        return [arrays[f"arr_{number}"] for number in range(len(arrays.files))]


if __name__ == "__main__":
    main()
