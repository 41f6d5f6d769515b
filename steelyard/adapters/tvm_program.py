"""A program of TVM: compiled by LLVM, called through the virtual machine of Relax, weights as arguments."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from steelyard.adapters.arrays_binding import ArraysBinding, arguments
from steelyard.adapters.bound import artifact_of
from steelyard.core.errors import MissingPackage, SteelyardError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.metrics import Reading, absent
from steelyard.core.result import Proof, untold
from steelyard.core.runner import Arrays, Binding, Executable
from steelyard.core.workload import DTYPE_BYTES


class TvmBinding(ArraysBinding):
    """`run` is one call of the virtual machine's function, which returns when its outputs are complete."""

    def __init__(self, executable: "TvmProgram", given: Sequence[Any]) -> None:
        super().__init__(executable, given)
        self._main, self._weights = executable.main, executable.weights

    def run(self) -> None:  # noqa: D102
        self._outputs = self._main(*self._arguments, *self._weights)

    def close(self) -> None:  # noqa: D102
        super().close()
        self._main, self._weights = None, ()

    def _fetch(self, array: Any) -> Any:
        return array.numpy()


class TvmProgram(Executable):
    """One program in a virtual machine of its own."""

    def __init__(self, runner: Any, program: LoweredProgram) -> None:
        artifact = artifact_of(program, "tvm")
        self.program, self._runner = program.program, runner
        self._source = Path(artifact.directory) / artifact.entry
        self.weights = runner.weights.read(program.weights_file, artifact.details["weights"])
        self.main: Any = None
        self.lowered: Any = None
        self.made: Any = None

    def compile(self) -> None:
        """Lower to loops, compile these with LLVM, and load what came out."""
        for _ in self.steps():
            pass

    def steps(self) -> Iterator[str]:
        """Compile, with the name of each step before it is taken."""
        import tvm

        yield "read"
        module = self.source()
        yield "lower"
        self.lowered = self._runner.lower(module)
        yield "compile"
        self.made = tvm.compile(self.lowered, target=self._runner.target, relax_pipeline=None)
        yield "load"
        self.main = tvm.relax.VirtualMachine(self.made, tvm.cpu())["main"]

    def source(self) -> Any:
        """The module as it was imported."""
        import tvm

        return tvm.ir.load_json(self._source.read_text())

    @property
    def _kernels(self) -> Mapping[str, Any]:
        """The functions of loops that were compiled, by name."""
        import tvm

        return {
            name.name_hint: function
            for name, function in self.lowered.functions.items()
            if isinstance(function, tvm.tirx.PrimFunc)
        }

    def put(self, index: int, array: Any) -> Any:
        """An array of the host with memory of TVM's own."""
        return self._runner.put(array)

    def bind(self, inputs: Arrays) -> Binding:  # noqa: D102
        if self.main is None:
            raise SteelyardError(f"program '{self.program.name}': compile() must come before bind()")
        return TvmBinding(self, arguments(self, inputs))

    def proof(self) -> Proof:
        """The loops that were compiled: the types that they read and write, and how many of them are parallel."""
        import tvm

        runner, kernels = self._runner, self._kernels
        types = {str(given.ty.dtype) for function in kernels.values() for given in function.params}
        floating = [name for name in types if name in DTYPE_BYTES and "float" in name]
        dtype = min(floating, key=DTYPE_BYTES.__getitem__, default=self.program.dtype)
        mismatches = []
        if runner.context.budget.precision == "strict" and DTYPE_BYTES[dtype] < DTYPE_BYTES[self.program.dtype]:
            mismatches.append(f"compiled to loops over {dtype}, not {self.program.dtype}")
        parallel = sum("T.parallel(" in function.script() for function in kernels.values())
        scheduled = sum(is_scheduled(function) for function in kernels.values())
        told = f"{runner.origin(scheduled)}, {parallel} of {len(kernels)} functions have a parallel loop"
        return Proof(
            runtime="tvm",
            versions=versions(),
            platform="llvm",
            dtype=dtype,
            threads=tvm.runtime.num_threads(),
            placement={"llvm": len(kernels)},
            mismatches=tuple(mismatches),
            remarks=(told,),
            budget={
                "inter_op": "one function after the other",
                "waiting": untold("TVM does not tell how its pool waits"),
                "matrix_precision": "as written in the loops",
                "tf32": "not on a CPU",
                "denormals": runner.denormals(),
                "denormals_told_by": "tried",
            },
            details={
                "kernels": sorted(kernels),
                "parallel_kernels": parallel,
                "scheduled_kernels": scheduled,
                **runner.told(),
            },
        )

    def memory(self) -> Mapping[str, Reading]:  # noqa: D102
        return {"planned_bytes": absent("B", "TVM's virtual machine tells no size of the memory that it has planned")}

    @property
    def execution_mode(self) -> Mapping[str, str]:  # noqa: D102
        state = any(spec.role == "state" for spec in (*self.program.inputs, *self.program.outputs))
        return {"weights": "arguments", "kv_cache": "created" if state else "none", "call": "VirtualMachine"}

    @property
    def options(self) -> Mapping[str, Any]:  # noqa: D102
        return {"target": str(self._runner.target), "fusion": self._runner.fusion, "schedules": self._runner.folder}


def is_scheduled(function: Any) -> bool:
    """Whether a function of loops is as a search left it."""
    return bool(function.attrs and function.attrs.get("tirx.is_scheduled", 0))


def library() -> Any:
    """TVM, loaded without torch, which its interface would import wherever it is installed."""
    kept = sys.modules.setdefault("torch", None)  # type: ignore[arg-type]
    try:
        import tvm
    except ImportError as error:
        raise MissingPackage("apache-tvm", "tvm") from error
    finally:
        if kept is None:
            del sys.modules["torch"]
    return tvm


def versions() -> dict[str, str]:
    """Of TVM and of its foreign function interface, which is a package of its own."""
    from importlib.metadata import version

    return {name: version(name) for name in ("apache-tvm", "apache-tvm-ffi")}
