"""One program as a torch module: called as it is, bound to inputs, and what is read back of it."""

from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from steelyard.adapters.torch_binding import Call, Tensors, TorchBinding, from_numpy, zeros
from steelyard.adapters.torch_device import package_versions
from steelyard.core.errors import SteelyardError, UsageError
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof
from steelyard.core.runner import Arrays, Executable
from steelyard.core.workload import Program

if TYPE_CHECKING:
    from steelyard.adapters.torch_module import TorchRunner

PACKAGES = ("torch", "triton", "triton-rocm", "triton-xpu", "pytorch-triton-rocm", "pytorch-triton-xpu")
"""Those whose versions say what computes."""


class TorchExecutable(Executable):
    """One program as a torch module, called as it is; subclasses translate it first."""

    fixed_state = False

    def __init__(self, runner: "TorchRunner", program: Program, module: Any) -> None:
        self._runner, self._program, self._module = runner, program, module
        self._held = {spec.name for spec in program.inputs if spec.role == "state"}
        self._call: Call | None = None
        self._returned: tuple[str, ...] = ()
        self._seen: Counter[str] = Counter()
        self._graphs: int | None = None

    def compile(self) -> None:
        """Translate, then make one call with zeros: PyTorch finishes its compilation on the first call."""
        call, self._returned = self._translate()
        arguments = [zeros(spec, self._runner.device) for spec in self._program.inputs]
        binding = self._binding(call, arguments)
        binding.run()
        for spec in self._program.outputs:
            tensor = binding.output(spec.name)
            if tuple(tensor.shape) != spec.shape:
                raise SteelyardError(
                    f"{self._where}: output '{spec.name}' is {list(tensor.shape)}, not {list(spec.shape)}"
                )
            self._seen[str(tensor.device)] += 1
            if spec.name in self._held and tensor.data_ptr() not in {item.data_ptr() for item in arguments}:
                raise SteelyardError(f"{self._where}: the module was built in_place, yet '{spec.name}' is a new tensor")
        binding.close()
        self._call = call

    def tensors(self) -> list[Any]:
        """Parameters and buffers."""
        return [*self._module.parameters(), *self._module.buffers()]

    @property
    def _where(self) -> str:
        return f"program '{self._program.name}'"

    def _translate(self) -> tuple[Call, tuple[str, ...]]:
        """What a call executes, and the outputs it returns in this order."""
        return self._module, tuple(spec.name for spec in self._program.outputs)

    def bind(self, inputs: Arrays) -> TorchBinding:  # noqa: D102
        if self._call is None:
            raise SteelyardError(f"{self._where}: compile() must come before bind()")
        return self._binding(self._call, self._place(inputs))

    def _binding(self, call: Call, arguments: Tensors) -> TorchBinding:
        target = self._runner.target
        return TorchBinding(self._program, call, self._returned, list(arguments), self.fixed_state, target)

    def _place(self, inputs: Arrays) -> list[Any]:
        """The inputs as tensors of the runner's device, in positional order, checked against the program."""
        tensors = []
        for spec in self._program.inputs:
            if spec.name not in inputs:
                raise UsageError(f"{self._where}: input '{spec.name}' ({spec.role}) is missing")
            tensor = from_numpy(inputs[spec.name])
            if tuple(tensor.shape) != spec.shape or str(tensor.dtype) != f"torch.{spec.dtype}":
                raise UsageError(
                    f"{self._where}: input '{spec.name}' is {tensor.dtype}{list(tensor.shape)}, "
                    f"not torch.{spec.dtype}{list(spec.shape)}"
                )
            tensors.append(tensor.to(self._runner.device, copy=True))
        return tensors

    def in_thread(self) -> AbstractContextManager[object]:
        """Inference mode belongs to a thread."""
        import torch

        mode: AbstractContextManager[object] = torch.no_grad() if self._program.gradients else torch.inference_mode()
        return mode

    def proof(self) -> Proof:  # noqa: D102
        import torch

        runner, program = self._runner, self._program
        tensors = self.tensors()
        placement = self._seen + Counter(str(tensor.device) for tensor in tensors)
        floating = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
        dtype = min(floating, key=lambda item: item.itemsize, default=getattr(torch, program.dtype))
        threads, precision = torch.get_num_threads(), runner.matmul_precision()
        mismatches = [
            f"{count} tensors on {where}" for where, count in placement.items() if where != str(runner.device)
        ]
        if runner.context.budget.precision == "strict":
            if precision != "highest":
                mismatches.append(f"float32 matrix products in '{precision}' precision instead of 'highest'")
            mismatches += runner.target.loose()
        if torch.get_num_interop_threads() != 1:
            mismatches.append(f"{torch.get_num_interop_threads()} inter-op threads instead of 1")
        mismatches += self._objections()
        graph_breaks, recompiles = self._trouble()
        return Proof(
            runtime="torch",
            versions=package_versions(*PACKAGES),
            platform=runner.target.platform,
            dtype=str(dtype).removeprefix("torch."),
            threads=threads,
            placement=dict(placement),
            graphs=self._graphs,
            graph_breaks=graph_breaks,
            recompiles=recompiles,
            mismatches=tuple(mismatches),
            remarks=self._remarks(),
            budget=runner.kept_budget(),
            details={**runner.facts(), **self._facts()},
        )

    def _trouble(self) -> tuple[int | None, int | None]:
        """Graph breaks and recompilations since this program was compiled; None where nothing compiles."""
        return None, None

    def _objections(self) -> tuple[str, ...]:
        """What is wrong with how it was translated."""
        return ()

    def _remarks(self) -> tuple[str, ...]:
        """What a reader should know of how it was translated."""
        return ()

    def _facts(self) -> Mapping[str, Any]:
        return {}

    def memory(self) -> Mapping[str, Reading]:  # noqa: D102
        return {"planned_bytes": absent("B", "PyTorch plans no memory ahead of a call")}

    @property
    def execution_mode(self) -> Mapping[str, str]:  # noqa: D102
        inputs, outputs = (
            any(spec.role == "state" for spec in side) for side in (self._program.inputs, self._program.outputs)
        )
        return {"weights": "module parameters", "kv_cache": "in place" if inputs else "created" if outputs else "none"}

    @property
    def options(self) -> Mapping[str, Any]:  # noqa: D102
        return self._runner.tunings[self._runner.context.budget.tuning]
