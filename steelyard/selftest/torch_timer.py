"""`torch.utils.benchmark` on the modules of `eager` and `inductor`: `Timer(...).blocked_autorange()`, equal threads."""

import itertools
from typing import Any

from steelyard.engine.protocol import LaunchRequest
from steelyard.measure.correctness import Checker
from steelyard.selftest.by_hand import Given, insist, work_of
from steelyard.selftest.child import lowered_of, pool_of, serve, window_s
from steelyard.selftest.loops import Work
from steelyard.selftest.tools import Told


def measure(request: LaunchRequest) -> Told:
    """The times of its blocks, per call. Raises SteelyardError if the module gives wrong answers."""
    import torch
    from torch.utils.benchmark import Timer

    lowered = lowered_of(request)
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
        found = timer.blocked_autorange(min_run_time=max(window_s(request), 1e-3))
    return Told(samples_s=tuple(found.times), calls_per_sample=found.number_per_run)


def _model(backend: str, work: Work) -> tuple[Any, list[list[Any]]]:
    """The module as `steelyard.selftest.loops` sets it up, and the input sets as tensors."""
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
