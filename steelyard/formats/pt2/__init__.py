"""torch.export's archive without the values of the weights.

It holds the program alone, without weights and example inputs; `load` attaches the memory-mapped
tensors, so that every program of a model shares one file of weights.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard.core.errors import LoweringError
from steelyard.core.lowered import Artifact
from steelyard.core.workload import Program
from steelyard.formats.pt2.quantize import QUANTIZATIONS, quantized
from steelyard.lowering.format import SIDES, Draft, Exported, Format, check_ends
from steelyard.lowering.source import example_inputs, load_weights

if TYPE_CHECKING:
    import torch


def convert(source: Exported, directory: Path, option: str | None) -> Draft:
    """Write `program.pt2`."""
    import torch

    program, exported = source.program, source.exported
    nodes = {node.name: node.meta["val"] for node in exported.graph.nodes if "val" in node.meta}
    signature = exported.graph_signature
    for side, names in zip(SIDES, (signature.user_inputs, signature.user_outputs), strict=True):
        found = [(tuple(nodes[name].shape), str(nodes[name].dtype).removeprefix("torch.")) for name in names]
        check_ends(program, "pt2", side, found)
    lost = sorted(name for name in exported.state_dict if name not in source.stored)
    if lost:
        raise LoweringError(f"{program.name} as pt2: parameters without a stored tensor: {', '.join(lost)}")
    held, examples = dict(exported.state_dict), exported.example_inputs
    try:
        # One zero spread over the whole shape: a value must be there, and takes four bytes instead of its size.
        for name, tensor in held.items():
            spread = torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
            is_parameter = isinstance(tensor, torch.nn.Parameter)
            exported.state_dict[name] = torch.nn.Parameter(spread, requires_grad=False) if is_parameter else spread
        exported.example_inputs = None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No complete tensor found")
            torch.export.save(exported, directory / "program.pt2")
    finally:
        exported.state_dict.update(held)
        exported.example_inputs = examples
    used = {source.stored[name] for name in held}
    unused = sorted(set(source.tensors) - used)
    return Draft(
        entry="program.pt2",
        weight_bytes=sum(source.tensors[name].nbytes for name in used),
        weight_note=f"not used by this program: {', '.join(unused[:4])}" if unused else "",
        details={"weights": {name: source.stored[name] for name in held}},
    )


def load(artifact: Artifact, program: Program, weights_file: str | Path) -> "torch.export.ExportedProgram":
    """The exported program with its weights, views of the memory-mapped file, and zeros as example inputs. One that is
    quantized has weights of its own."""
    import torch

    if "quantized" in artifact.details:
        return quantized(artifact)
    tensors = load_weights(weights_file)
    exported = torch.export.load(Path(artifact.directory) / artifact.entry)
    shared = {name: torch.nn.Parameter(tensor, requires_grad=False) for name, tensor in tensors.items()}
    parameters = set(exported.graph_signature.parameters)
    for name, stored in artifact.details["weights"].items():
        exported.state_dict[name] = shared[stored] if name in parameters else tensors[stored]
    exported.example_inputs = (example_inputs(program), {})
    return exported


FORMAT = Format(
    name="pt2",
    packages=(),
    extra="torch",
    convert=convert,
    load=load,
    quantizations=QUANTIZATIONS,
)
