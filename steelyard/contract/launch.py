"""The launch of the contract tests: a fresh process that puts one runner through the tiny programs.

Run as `python -m steelyard.contract.launch REQUEST`; leaves `observed.json` and `arrays.npz` in the
launch's directory. What it saw is judged by `steelyard.contract.runner`, not here.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from steelyard import plugins, wire
from steelyard.contract import program as tiny
from steelyard.core.backend import Availability, BackendSpec, Budget, Device
from steelyard.core.lowered import LoweredProgram
from steelyard.core.metrics import Reading
from steelyard.core.result import Proof
from steelyard.core.runner import Binding, Executable, LaunchContext, Runner
from steelyard.measure.telemetry import without_telemetry

FRAMEWORKS = (
    *("torch", "jax", "onnxruntime", "openvino", "iree", "executorch", "tensorflow", "tvm", "transformers"),
    *("ai_edge_litert", "ncnn", "tinygrad"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRequest:
    """One runner under one budget, and the tiny programs in the formats it asked for. `directory` is the launch's,
    `stateful` whether the runner carries state from call to call."""

    backend: BackendSpec
    device: Device
    budget: Budget
    directory: str
    programs: Mapping[str, LoweredProgram]
    stateful: bool = True

    @property
    def context(self) -> LaunchContext:
        """As the worker would make it."""
        return LaunchContext(
            backend=self.backend,
            device=self.device,
            budget=self.budget,
            compile_cache=Path(self.directory) / "compile-cache",
            scratch=Path(self.directory) / "scratch",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the launch saw. `counters` are snapshots before and after a window of repeated runs;
    `children` the processes alive after `stop()`; `errors` what wrong use raised, by case, as `Type: message`."""

    availability: Availability
    proofs: Mapping[str, Proof]
    execution_modes: Mapping[str, Mapping[str, str]]
    options: Mapping[str, Mapping[str, Any]]
    memory: Mapping[str, Mapping[str, Reading]]
    counters: tuple[Mapping[str, int], Mapping[str, int]]
    children: tuple[str, ...]
    frameworks: tuple[str, ...]
    errors: Mapping[str, str] = field(default_factory=dict)
    peaks: Mapping[str, Reading] = field(default_factory=dict)


def main() -> None:
    """Run and write down."""
    without_telemetry()
    request = wire.read(Path(sys.argv[1]), ContractRequest)
    directory = Path(request.directory)
    context = request.context
    if context.budget.cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, context.budget.cpus)
    runner = plugins.runner(context.backend.runner)(context)
    runner.start()
    runner.reset_peaks()
    programs: dict[str, Executable] = {}
    for name, lowered in request.programs.items():
        if name == "decode" and not request.stateful:
            continue
        programs[name] = runner.load(lowered)
        programs[name].compile()
    runner.stop()
    children = _children()
    arrays: dict[str, Any] = {}
    _prefills(programs["prefill"], arrays)
    if request.stateful:
        _answer(programs, arrays)
        counters = _decodes(runner, programs["decode"], arrays)
    else:
        counters = _repeated(
            runner, [programs["prefill"].bind({"input_ids": tiny.prompt_ids(seed)}) for seed in (0, 1)]
        )
    observed = Observed(
        proofs={name: program.proof() for name, program in programs.items()},
        execution_modes={name: program.execution_mode for name, program in programs.items()},
        options={name: program.options for name, program in programs.items()},
        memory={name: program.memory() for name, program in programs.items()},
        counters=counters,
        peaks=runner.peaks(),
        children=children,
        frameworks=tuple(name for name in FRAMEWORKS if name in sys.modules),
        errors={"state input missing": _raised(programs["decode"])} if request.stateful else {},
        # Last: it may import more than the runner itself needs.
        availability=type(runner).availability(context.backend, context.device.kind),
    )
    np.savez(directory / "arrays.npz", **arrays)
    (directory / "observed.json").write_bytes(wire.encode(observed))


def _prefills(program: Executable, arrays: dict[str, Any]) -> None:
    """Two prompts bound at once, run in turn; the first again after the second."""
    bindings = [program.bind({"input_ids": tiny.prompt_ids(seed)}) for seed in (0, 1)]
    kept: list[Any] = []
    for turn, seed in enumerate((0, 1, 0)):
        bindings[seed].run()
        read = bindings[seed].read()
        _keep(arrays, f"prefill/{turn}", read)
        kept.append((read["logits"], read["logits"].copy()))
        bindings[seed].settle()
    arrays["prefill/reads_are_copies"] = np.array([np.array_equal(now, then) for now, then in kept])
    for binding in bindings:
        binding.close()


def _answer(programs: Mapping[str, Executable], arrays: dict[str, Any]) -> None:
    """Two whole answers one after the other: prefill, then decode adopts its state and is fed its own tokens."""
    decode = programs["decode"].bind(_zeros())
    prefills = [programs["prefill"].bind({"input_ids": tiny.prompt_ids(seed)}) for seed in (0, 1)]
    for turn, prefill in enumerate(prefills):
        prefill.run()
        token = prefill.read(("next_token",))["next_token"]
        decode.adopt(prefill)
        for step in range(1, tiny.TOKENS):
            position = np.array([tiny.PROMPT + step - 1], dtype=np.int64)
            decode.update({"input_ids": token.reshape(-1, 1), "position": position})
            decode.run()
            _keep(arrays, f"answer/{turn}/{step}", decode.read())
            token = decode.read(("next_token",))["next_token"]
            decode.settle()
        prefill.settle()
    decode.close()


def _decodes(
    runner: Runner, program: Executable, arrays: dict[str, Any]
) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Two sets with a given state, bound at once and run in turn, again and again at the same position."""
    sets = [tiny.decode_inputs(seed) for seed in (0, 1)]
    bindings: list[Binding] = []
    for inputs in sets:
        given = {name: array.copy() for name, array in inputs.items()}
        bindings.append(program.bind(given))
        for array in given.values():
            array[...] = 0  # the caller's memory is the caller's again
    for turn in range(4):
        bindings[turn % 2].run()
        _keep(arrays, f"decode/{turn}", bindings[turn % 2].read())
        bindings[turn % 2].settle()
    counters = _repeated(runner, bindings)
    bindings[1].run()
    _keep(arrays, "decode/last", bindings[1].read(("logits",)))
    bindings[1].settle()
    for binding in bindings:
        binding.close()
    return counters


def _repeated(runner: Runner, bindings: Sequence[Binding]) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """The counters before and after a window of runs of two bindings in turn."""
    before = dict(runner.counters())
    for turn in range(20):
        bindings[turn % 2].run()
        bindings[turn % 2].settle()
    return before, dict(runner.counters())


def _raised(program: Executable) -> str:
    incomplete = {name: array for name, array in _zeros().items() if not name.startswith("cache")}
    try:
        program.bind(incomplete)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is written down)
        return f"{type(error).__module__}.{type(error).__name__}: {error}"
    return ""


def _zeros() -> dict[str, Any]:
    return {spec.name: np.zeros(spec.shape, spec.dtype) for spec in tiny.program("decode").inputs}


def _keep(arrays: dict[str, Any], prefix: str, outputs: Mapping[str, Any]) -> None:
    arrays.update((f"{prefix}/{name}", array) for name, array in outputs.items())


def _children() -> tuple[str, ...]:
    """Command names of the living children of this process; empty where the system does not tell."""
    found = []
    for entry in Path("/proc/self/task").glob("*/children"):
        for child in entry.read_text().split():
            comm = Path("/proc", child, "comm")
            found.append(comm.read_text().strip() if comm.exists() else child)
    return tuple(found)


if __name__ == "__main__":
    main()
