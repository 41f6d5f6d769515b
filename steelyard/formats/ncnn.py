"""ncnn's two files, which pnnx makes of a traced TorchScript of the exported program: layers as text, and weights.

pnnx is a program of its own. What it cannot express in layers it leaves as it found it, and ends as if all were well: a
name that ncnn has no layer for is an error here, since ncnn itself ends the process that loads such a file.
"""

import math
import os
import re
import subprocess
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.core.errors import LoweringError
from steelyard.guard.child import program_command
from steelyard.lowering.format import Draft, Exported, Format
from steelyard.lowering.source import example_inputs

if TYPE_CHECKING:
    import torch

_TYPES = {"float32": "f32", "int64": "i64", "int32": "i32"}
"""What programs are given to ncnn, in the words of pnnx: it computes in float32, so that no other is taken for one."""
_BATCH = re.compile(r"batch_index=(\d+)")
_PORT = re.compile(r'ex\.(?:input|extract)\("(\w+)"')


def convert(source: Exported, directory: Path, option: str | None) -> Draft:
    """Write `program.ncnn.param` and `program.ncnn.bin`."""
    import ncnn
    import pnnx
    import torch

    program = source.program
    unknown = sorted({program.dtype, *(spec.dtype for spec in program.inputs)} - set(_TYPES))
    if unknown:
        raise LoweringError(f"{program.name} as ncnn: it is run in float32, not in {', '.join(unknown)}")
    inputs = example_inputs(program)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer, that constants are kept as such
        module = _with_masks_in_float(source.exported.module(check_guards=False))
        traced = torch.jit.trace(module, inputs, check_trace=False, strict=False)
    param, weights = directory / "program.ncnn.param", directory / "program.ncnn.bin"
    with tempfile.TemporaryDirectory() as folder:
        traced.save(f"{folder}/program.pt")
        shapes = ",".join(f"{[*spec.shape]}".replace(" ", "") + _TYPES[spec.dtype] for spec in program.inputs)
        command = [pnnx.EXEC_PATH, "program.pt", f"inputshape={shapes}", "fp16=0"]
        command += [f"ncnnparam={param}", f"ncnnbin={weights}"]
        ended = subprocess.run(
            program_command(command), cwd=folder, capture_output=True, text=True, check=False, env=dict(os.environ)
        )
        if ended.returncode or not param.is_file() or not weights.is_file():
            told = [line for line in (ended.stderr + ended.stdout).splitlines() if line.strip()][-1:]
            raise LoweringError(f"{program.name} as ncnn: pnnx ended with {ended.returncode}: {''.join(told)}")
        script = Path(folder, "program_ncnn.py").read_text()
    layers = Counter(line.split()[0] for line in param.read_text().splitlines()[2:] if line.strip())
    left = sorted(name for name in layers if name != "Input" and not ncnn.create_layer(name))
    if left:
        raise LoweringError(f"{program.name} as ncnn: pnnx leaves what ncnn has no layer for: {', '.join(left)}")
    return Draft(
        entry=param.name,
        weight_bytes=weights.stat().st_size,
        details={"layers": dict(layers.most_common()), "weights": weights.name, **ends(script)},
    )


def _with_masks_in_float(module: "torch.fx.GraphModule") -> "torch.fx.GraphModule":
    """The module with 0 and minus infinity in the place of boolean masks of attention, which ncnn would read as floats
    (docs/upstream.md)."""
    import torch

    for node in module.graph.nodes:
        if node.target is torch.ops.aten.scaled_dot_product_attention.default:
            mask = node.kwargs.get("attn_mask", node.args[3] if len(node.args) > 3 else None)
            told = None if mask is None else mask.meta.get("val")
            if told is not None and told.dtype == torch.bool:
                with module.graph.inserting_before(node):
                    added = module.graph.call_function(torch.ops.aten.where.Scalar, (mask, 0.0, -math.inf))
                node.replace_input_with(mask, added)
    module.recompile()
    return module


def ends(script: str) -> dict[str, list[dict[str, int | str | None]]]:
    """By the script that pnnx writes: the names of inputs and outputs, and the axis of each that ncnn keeps apart as
    its batch, if any."""
    found: dict[str, list[dict[str, int | str | None]]] = {"inputs": [], "outputs": []}
    for line in script.splitlines():
        if named := _PORT.search(line):
            batch = _BATCH.search(line)
            side = "inputs" if "ex.input(" in line else "outputs"
            found[side].append({"name": named[1], "batch": int(batch[1]) if batch else None})
        elif "torch.from_numpy(" in line and (batch := _BATCH.search(line)):
            found["outputs"][-1]["batch"] = int(batch[1])
    return found


FORMAT = Format(name="ncnn", packages=("pnnx", "ncnn"), extra="ncnn", convert=convert)
