"""`stablehlo`: a file of StableHLO, its text (`FILE.mlir`) or the portable bytecode of it, for XLA and IREE.

The function `main` is the program; inputs are `arg0`, `arg1`, ... in its order. References come from XLA itself without
optimisation: of the program written in float64 (`widened`), where that is one and agrees, else as it is, and the row
says which.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import CheckpointError, LoweringError, SteelyardError
from steelyard.core.hashing import file_sha256
from steelyard.core.workload import Point, Program, TensorSpec, Weights
from steelyard.lowering.cached import Entry
from steelyard.lowering.format import Draft, Format
from steelyard.lowering.origin import Found, Opened, Source
from steelyard.lowering.own.files import all_are_inputs, computes_in, spec_of, unchanged
from steelyard.lowering.own.references import write_references
from steelyard.lowering.weights import FILE
from steelyard.plugins import format_
from steelyard.sources.stablehlo.module import Ends, Strict, exported, load, only_on_cpu
from steelyard.sources.stablehlo.widened import widened

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

_HERE = "steelyard.sources.stablehlo"
_PROGRAM = "program.mlir"
_LARGEST_BYTES = 2 << 30
_ELSEWHERE = "it is a StableHLO file, which other runtimes cannot read"
_NARROWED = {"int64": "int32"}
"""What JAX has in place of a type while its 64-bit types are off, as they are where a program is measured."""


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """Keep the user's file. Its weights are constants in it."""
    from safetensors.numpy import save_file

    shutil.copyfile(unchanged(local, arguments["sha256"], "StableHLO file"), directory / _PROGRAM)
    save_file({}, directory / FILE)


class _File(Opened):
    def __init__(self, found: Found) -> None:
        self._found = found

    def draft(self, form: Format, option: str | None, directory: Path) -> Draft:
        """See `Opened`: as `steelyard.formats.stablehlo` writes it, without weights as arguments."""
        import jax

        found, program = self._found, self._found.program
        if form.name != "stablehlo" or option is not None:
            raise LoweringError(_ELSEWHERE)
        if found.platform not in ("cpu", "cuda", "rocm", "tpu"):
            raise LoweringError(f"{program.name}: JAX knows no platform for '{found.platform}'")
        if any(spec.dtype == "float64" for spec in (*program.inputs, *program.outputs)):
            raise LoweringError(f"{program.name}: it computes in float64, which is off where JAX is measured")
        module = load((found.weights.path / _PROGRAM).read_bytes(), program.name)
        sides = [[_NARROWED.get(spec.dtype, spec.dtype) for spec in side] for side in (program.inputs, program.outputs)]
        only_on_cpu()
        with jax.enable_x64(True):
            inner = exported(module, found.platform)

            def call(weights: tuple[Any, ...], *inputs: Any) -> Any:
                del weights
                wide = [one.astype(aval.dtype) for one, aval in zip(inputs, inner.in_avals, strict=True)]
                return tuple(one.astype(dtype) for one, dtype in zip(inner.call(*wide), sides[1], strict=True))

            avals = [jax.ShapeDtypeStruct(s.shape, dtype) for s, dtype in zip(program.inputs, sides[0], strict=True)]
            made = jax.export.export(jax.jit(call, keep_unused=True), platforms=[found.platform])((), *avals)
        draft: Draft = format_("stablehlo").save(made, program, directory)
        return draft


class _StableHlo(Source):
    name = "stablehlo"
    packages = ("jax", "jaxlib", "numpy")
    suffixes = (".mlir", ".mlirbc", ".stablehlo")

    def program_of(self, path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Program:
        """See `Source`. A file that leaves extents open is refused: JAX is given programs of fixed shapes."""
        if path.stat().st_size > _LARGEST_BYTES:
            raise CheckpointError(f"{path.name}: larger than {_LARGEST_BYTES >> 30} GiB, which no such file is")
        only_on_cpu()
        module = load(path.read_bytes(), path.name)
        inputs, outputs = _specs(path, "arg", module.inputs, shapes), _specs(path, "result", module.outputs, {})
        all_are_inputs(path, shapes, inputs)
        return Program(
            name=path.stem,
            source=f"{_HERE}:load",
            arguments={},
            weights=Weights(source=f"{_HERE}:write", arguments={"sha256": file_sha256(path)}, origin="checkpoint"),
            dtype=computes_in((*inputs, *outputs)),
            inputs=inputs,
            outputs=outputs,
            kind=self.name,
        )

    def references(
        self, point: Point, weights: Mapping[str, Entry], shared: None, count: int, directory: Path
    ) -> Mapping[str, Any]:
        """See `Source`."""
        del shared
        only_on_cpu()
        program = point.programs["main"]
        module = load((weights[program.weights.key].path / _PROGRAM).read_bytes(), program.name)
        exact: Callable[[Tensors], Tensors] | str
        try:
            exact = Strict(program, load(widened(module.text).encode(), "the same in float64"))
        except SteelyardError as error:
            exact = str(error)
        return write_references(
            point,
            count,
            directory,
            narrow=Strict(program, module),
            exact=exact,
            exactly="XLA without optimisation, of the program written in float64",
            otherwise=f"XLA without optimisation, in {program.dtype}",
        )

    def open(self, found: Found) -> Opened:
        """See `Source`."""
        return _File(found)

    def lacks(self, form: str) -> str:
        """See `Source`."""
        return "" if form == "stablehlo" else _ELSEWHERE


def _specs(path: Path, kind: str, ends: Ends, shapes: Mapping[str, tuple[int, ...]]) -> tuple[TensorSpec, ...]:
    found = []
    for index, (dtype, extents) in enumerate(ends):
        name = f"{kind}{index}"
        if "?" in extents:
            raise CheckpointError(f"{path.name}: '{name}' is {list(extents)}, with open extents: export fixed shapes")
        found.append(spec_of(path, name, extents, dtype, shapes))
    return tuple(found)


SOURCE = _StableHlo()
