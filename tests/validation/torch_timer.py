"""`torch.utils.benchmark` on the modules of `eager` and `inductor`: `Timer(...).blocked_autorange()`, equal threads."""

import itertools
from collections.abc import Sequence
from statistics import mean
from typing import Any

from steelyard.measure.correctness import Checker
from tests.validation.by_hand import Given, insist, work_of
from tests.validation.child import Served, pool_of, serve
from tests.validation.loops import Work
from tests.validation.tools import Told


def measure(served: Served) -> Told:
    """The times of its blocks, per call. Raises SteelyardError if the module gives wrong answers."""
    import torch
    from torch.utils.benchmark import Timer

    request, lowered = served.request, served.lowered
    inputs, references = pool_of(lowered)
    work = work_of(lowered, inputs, request.budget.threads)
    model, pool = _model(request.backend.runner, work)
    checker = Checker(lowered, references, inputs)
    program = lowered.programs["main"].program
    with torch.inference_mode():
        outputs = [*model(*pool[0])[: work.new], *pool[0][work.data :]]
        arrays = {spec.name: out.numpy() for spec, out in zip(program.outputs, outputs, strict=True)}
        checker.program_call(0, program, Given(arrays))  # type: ignore[arg-type]
        insist(checker, f"the module of {request.backend.runner}")
        timer = Timer(
            stmt="model(*next(turns))",
            globals={"model": model, "turns": itertools.cycle(pool)},
            num_threads=work.threads,
        )
        found = [timer.blocked_autorange(min_run_time=max(seconds, 1e-3)) for seconds in served.turns()]
    return block_means([(entry.times, entry.number_per_run) for entry in found])


def block_means(turns: Sequence[tuple[Sequence[float], int]]) -> Told:
    """The block means of all turns, each turn with the calls that its blocks had. It chooses them anew in every turn:
    shorter blocks are put together to the longest."""
    longest = max(calls for _, calls in turns)
    samples: list[float] = []
    firsts: list[int] = []
    for times, calls in turns:
        together = longest // calls
        blocks = [times[at : at + together] for at in range(0, len(times), together)]
        firsts.append(len(samples))  # of a turn without a whole block as well: turns keep their numbers
        samples += [mean(block) for block in blocks if len(block) == together]
    return Told(samples_s=tuple(samples), calls_per_sample=longest, turns=tuple(firsts))


def _model(backend: str, work: Work) -> tuple[Any, list[list[Any]]]:
    """The module as `tests.validation.loops` sets it up, and the input sets as tensors."""
    import torch

    from steelyard.lowering.source import build_module

    torch.set_num_threads(work.threads)
    torch.set_float32_matmul_precision("highest")
    module = build_module(work.lowered.program, work.lowered.weights_file, in_place=True)
    pool = [[torch.tensor(array) for array in arrays] for arrays in work.pool]
    if backend == "eager":
        return module, pool

    @torch.compile(fullgraph=True, dynamic=False)  # type: ignore[untyped-decorator]
    def compiled(*arguments: Any) -> Any:
        return module(*arguments)[: work.new]

    return compiled, pool


if __name__ == "__main__":
    serve(measure)
