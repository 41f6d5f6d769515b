"""One exported program as an AOTInductor package: made once, loaded by every launch that finds it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from steelyard import plugins
from steelyard.adapters.bound import artifact_of
from steelyard.adapters.torch_binding import Call, Tensors, zeros
from steelyard.adapters.torch_executable import TorchExecutable
from steelyard.adapters.torch_module import PINNED, TorchRunner
from steelyard.core.hashing import stable_hash
from steelyard.core.lowered import LoweredProgram
from steelyard.core.workload import Program


class AotExecutable(TorchExecutable):
    """One exported program as a package in the folder `packages`. The weights are handed to it by reference."""

    def __init__(
        self, runner: TorchRunner, lowered: LoweredProgram, options: Mapping[str, Any], packages: Path
    ) -> None:
        artifact = artifact_of(lowered, "pt2")
        exported = plugins.format_("pt2").load(artifact, lowered.program, lowered.weights_file)
        if runner.device.type != "cpu":
            from torch.export.passes import move_to_device_pass

            exported = move_to_device_pass(exported, str(runner.device))
        module = write_back(exported.module(check_guards=False), lowered.program)
        super().__init__(runner, lowered.program, runner.share(module, lowered.weights_file))
        self._settings = {**options, "aot_inductor.package_constants_in_so": False}
        self._sha256, self._packages, self._reused = artifact.sha256, packages, True

    def _translate(self) -> tuple[Call, tuple[str, ...]]:
        import torch

        runner, program = self._runner, self._program
        # Kernels are generated for a thread count and an instruction set, by a version of torch.
        made_for = [runner.context.threads_a_call, runner.facts()["cpu_capability"], str(torch.__version__)]
        key = stable_hash([self._sha256, self._settings, made_for, str(runner.device)], 24)
        package = self._packages / f"{program.name}-{key}.pt2"
        if not package.is_file():
            self._reused = False
            package.parent.mkdir(parents=True, exist_ok=True)
            inputs = tuple(zeros(spec, runner.device) for spec in program.inputs)
            exported = torch.export.export(self._module, inputs, strict=False)
            making = str(package.with_name(f"{key}.making.pt2"))
            torch._inductor.aoti_compile_and_package(exported, package_path=making, inductor_configs=self._settings)
            os.replace(making, package)
        loaded = torch._inductor.aoti_load_package(str(package))
        tensors = {**dict(self._module.named_parameters(remove_duplicate=False)), **dict(self._module.named_buffers())}
        # Kept here: the package holds bare pointers to them.
        self._constants = {name: tensors[name].detach() for name in loaded.get_constant_fqns()}
        loaded.load_constants(self._constants, check_full_update=True, user_managed=True)
        execute = loaded.loader.boxed_run
        returned = tuple(spec.name for spec in program.outputs if spec.name not in self._held)
        return lambda *arguments: cast(Tensors, execute(list(arguments))), returned

    @property
    def execution_mode(self) -> Mapping[str, str]:  # noqa: D102
        return {**super().execution_mode, "weights": "package constants, by reference"}

    @property
    def options(self) -> Mapping[str, Any]:  # noqa: D102
        return {**PINNED, "aot": True, "options": self._settings}

    def _facts(self) -> Mapping[str, Any]:
        return {"package_reused": self._reused, "package_constants": len(self._constants)}


def write_back(module: Any, program: Program, *, whole: bool = False) -> Any:
    """An exported program, which returns new state, as a module that updates its state and returns only what is new;
    the `whole` of its outputs with the state in its place if asked to."""
    import torch

    places = {spec.name: index for index, spec in enumerate(program.inputs)}
    outputs = [(index, places.get(spec.name)) for index, spec in enumerate(program.outputs)]

    class InPlace(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.program = module

        def forward(self, *arguments: Any) -> Tensors:
            results = list(self.program(*arguments))
            for index, place in outputs:
                if place is not None:
                    results[index] = arguments[place].copy_(results[index])
            return tuple([results[index] for index, place in outputs if whole or place is None])

    return InPlace()
