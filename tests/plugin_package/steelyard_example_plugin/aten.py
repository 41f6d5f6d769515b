"""Runner `aten`: the program captured by torch.export, broken down to core ATen operators, called one by one.

It answers what a compiler that starts from core ATen has to win back, and shows all of what a runner
must have. `steelyard_example_plugin.aten:Exported` is the same without the breaking down.
"""

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from steelyard.core.backend import Availability, BackendSpec
from steelyard.core.errors import MissingPackage, SteelyardError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.result import Proof
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext, Runner
from steelyard.core.workload import Program, TensorSpec

if TYPE_CHECKING:
    import torch


class AtenBinding(Binding):
    """One input set as tensors in positional order. State is functional: it goes in, and comes out new."""

    def __init__(self, program: Program, call: Any, arguments: "list[torch.Tensor]") -> None:
        self._call, self._arguments = call, arguments
        self._inputs = {spec.name: index for index, spec in enumerate(program.inputs)}
        self._outputs = {spec.name: index for index, spec in enumerate(program.outputs)}
        self._kept = [name for name in self._outputs if name in self._inputs]
        self._result: tuple[torch.Tensor, ...] = ()

    def run(self) -> None:
        """One call; on a CPU every output is complete when it returns."""
        self._result = self._call(*self._arguments)

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:
        """Copies of the last run's outputs."""
        return {name: _array(self._result[self._outputs[name]]) for name in (self._outputs if names is None else names)}

    def settle(self) -> None:
        """The state that came out is the next run's state."""
        for name in self._kept:
            self._arguments[self._inputs[name]] = self._result[self._outputs[name]]
        self._result = ()

    def update(self, inputs: Arrays) -> None:
        """Replace a token or a position."""
        for name, array in inputs.items():
            self._arguments[self._inputs[name]] = _tensor(array)

    def adopt(self, source: Binding) -> None:
        """Take over the state of another binding by reference."""
        if not isinstance(source, AtenBinding):
            raise SteelyardError(f"the state of a {type(source).__name__} cannot become that of an AtenBinding")
        for name in self._kept:
            self._arguments[self._inputs[name]] = source._result[source._outputs[name]]


class AtenExecutable(Executable):
    """One program: a torch module until `compile`, a graph of operators afterwards."""

    def __init__(self, runner: "Aten", program: Program, module: "torch.nn.Module") -> None:
        self._runner, self._program, self._module = runner, program, module
        self._call: Any = None
        self._operators: Counter[str] = Counter()

    def compile(self) -> None:
        """Capture with zeros as example inputs, then break down."""
        import torch

        examples = tuple(_zeros(spec) for spec in self._program.inputs)
        exported = torch.export.export(self._module, examples)
        if self._runner.decompose:
            exported = exported.run_decompositions()
        self._operators.update(str(node.target) for node in exported.graph.nodes if node.op == "call_function")
        self._call = exported.module()

    def bind(self, inputs: Arrays) -> AtenBinding:
        """Inputs as tensors of their own. Raises SteelyardError for one that is missing."""
        missing = [spec.name for spec in self._program.inputs if spec.name not in inputs]
        if missing:
            raise SteelyardError(f"program '{self._program.name}': input '{missing[0]}' is missing")
        return AtenBinding(self._program, self._call, [_tensor(inputs[spec.name]) for spec in self._program.inputs])

    def proof(self) -> Proof:
        """Threads, dtype and devices as torch tells them now."""
        import torch

        tensors = [*self._module.parameters(), *self._module.buffers()]
        narrowest = min((t.dtype for t in tensors if t.is_floating_point()), key=lambda kind: kind.itemsize)
        return Proof(
            runtime="torch",
            versions={"torch": version("torch")},
            platform="cpu",
            dtype=str(narrowest).removeprefix("torch."),
            threads=torch.get_num_threads(),
            placement=Counter(str(tensor.device) for tensor in tensors),
            details={"operators": self._operators.total(), "kinds_of_operator": len(self._operators)},
        )

    @property
    def execution_mode(self) -> Mapping[str, str]:
        """State is an argument and a result."""
        return {"weights": "module parameters", "kv_cache": "functional" if self._program.state else "none"}

    @property
    def options(self) -> Mapping[str, Any]:
        """The same for every tuning."""
        return self._runner.tunings[self._runner.context.budget.tuning]


class Aten(Runner):
    """torch.export, core ATen operators, no compiler."""

    formats = ("module",)
    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"decompositions": "core ATen"},
        "max": {"decompositions": "core ATen"},
    }
    keeps_cache = ""
    decompose: ClassVar[bool] = True

    @classmethod
    def availability(cls, backend: BackendSpec, device_kind: str) -> Availability:
        """Wherever torch is, on a CPU."""
        if find_spec("torch") is None:
            return Availability(available=False, reason=str(MissingPackage("torch", "torch")))
        return Availability(available=True, versions={"torch": version("torch")}, devices=("cpu",))

    @classmethod
    def environment(cls, context: LaunchContext) -> Mapping[str, str]:
        """OpenMP sized by the budget."""
        return {"OMP_NUM_THREADS": str(context.budget.threads)}

    def start(self) -> None:
        """Import torch, pin threads and precision."""
        import torch

        torch.set_num_threads(self.context.budget.threads)
        torch.set_float32_matmul_precision("highest")
        torch.set_grad_enabled(False)

    def load(self, program: LoweredProgram) -> Executable:
        """The original module in its functional form, weights mapped from the file."""
        from steelyard.lowering.source import build_module

        module = build_module(program.program, program.weights_file, in_place=False)
        return AtenExecutable(self, program.program, module)


class Exported(Aten):
    """torch.export's own operators, as captured. Not registered: used as `module.path:Class`."""

    tunings: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "default": {"decompositions": "none"},
        "max": {"decompositions": "none"},
    }
    decompose = False


def _zeros(spec: TensorSpec) -> "torch.Tensor":
    import torch

    return torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype))


def _tensor(array: Any) -> "torch.Tensor":
    """A tensor of its own. numpy has no bfloat16 that torch knows, so its bits travel as int16."""
    import torch

    if array.dtype.name == "bfloat16":
        return torch.tensor(array.view("int16")).view(torch.bfloat16)
    return torch.tensor(array)


def _array(tensor: "torch.Tensor") -> Any:
    import torch

    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        return tensor.view(torch.int16).numpy().copy().view(ml_dtypes.bfloat16)
    return tensor.numpy().copy()
