"""Run as a program: one native variant in a process of its own, through prefills, answers and repeated decode steps.

    python native_launch.py REQUEST.json

`programs` of the request are named `MODEL/prefill` and `MODEL/decode`. Leaves `arrays.npz` and `told.json` beside it.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

from steelyard import plugins, wire
from steelyard.contract.launch import FRAMEWORKS, ContractRequest

STEPS = 4


def zeros(program):
    return {spec.name: np.zeros(spec.shape, spec.dtype) for spec in program.inputs}


def prompt_ids(program, seed):
    (spec,) = program.inputs
    return np.random.default_rng(seed).integers(0, 512, spec.shape, dtype=np.int64)


def keep(arrays, case, outputs):
    arrays.update({f"{case}/{name}": array for name, array in outputs.items()})


def answers(model, prefill, decode, arrays):
    """Two prompts, each with STEPS decode steps that take its state over; the first once more."""
    length = prefill.lowered.inputs[0].shape[1]
    first = [prefill.bind({"input_ids": prompt_ids(prefill.lowered, seed)}) for seed in (0, 1)]
    then = decode.bind(zeros(decode.lowered))
    for turn, seed in enumerate((0, 1, 0)):
        first[seed].run()
        keep(arrays, f"{model}/prefill/{turn}", first[seed].read())
        token = first[seed].read(("next_token",))["next_token"]
        then.adopt(first[seed])
        for step in range(STEPS):
            then.update({"input_ids": token[:, None], "position": np.array([length + step])})
            then.run()
            keep(arrays, f"{model}/answer/{turn}/{step}", then.read())
            token = then.read(("next_token",))["next_token"]
            then.settle()
        first[seed].settle()
    for binding in (*first, then):
        binding.close()


def repeats(model, prefill, decode, arrays):
    """Two given states bound at once, each decoded again and again at its place, the token exchanged in between."""
    length = prefill.lowered.inputs[0].shape[1]
    bindings = []
    for seed in (0, 1):
        state = {name: arrays[f"{model}/prefill/{seed}/{name}"].copy() for name in decode.lowered_state}
        token = arrays[f"{model}/prefill/{seed}/next_token"][:, None]
        bindings.append(decode.bind({"input_ids": token.copy(), "position": np.array([length]), **state}))
        for array in state.values():
            array[...] = 0  # the caller's memory is the caller's again
    for turn in range(4):
        bindings[turn % 2].run()
        keep(arrays, f"{model}/repeat/{turn}", bindings[turn % 2].read())
        bindings[turn % 2].settle()
    bindings[0].update({"input_ids": np.full((len(token), 1), 7)})
    bindings[0].run()
    keep(arrays, f"{model}/other", bindings[0].read())
    bindings[0].settle()
    for binding in bindings:
        binding.close()


def main():
    path = Path(sys.argv[1])
    request = wire.read(path, ContractRequest)
    context = request.context
    os.sched_setaffinity(0, context.budget.cpus)
    for folder in (context.compile_cache, context.scratch):
        folder.mkdir(exist_ok=True)
    runner = plugins.runner(context.backend.runner)(context)
    runner.start()
    loaded = {}
    for name, lowered in request.programs.items():
        program = runner.load(lowered)
        program.compile()
        program.lowered = lowered.program
        program.lowered_state = [spec.name for spec in lowered.program.inputs if spec.role == "state"]
        loaded[name] = program
    runner.stop()
    arrays = {}
    before = dict(runner.counters())
    for model in {name.split("/")[0]: None for name in loaded}:
        answers(model, loaded[f"{model}/prefill"], loaded[f"{model}/decode"], arrays)
        repeats(model, loaded[f"{model}/prefill"], loaded[f"{model}/decode"], arrays)
    after = dict(runner.counters())
    frameworks = [name for name in FRAMEWORKS if name in sys.modules]
    np.savez(path.parent / "arrays.npz", **arrays)
    told = {
        "frameworks": frameworks,
        "counters": [before, after],
        "proofs": {name: json.loads(wire.encode(program.proof())) for name, program in loaded.items()},
        "execution_modes": {name: dict(program.execution_mode) for name, program in loaded.items()},
        "options": {name: len(program.options) for name, program in loaded.items()},
    }
    (path.parent / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
