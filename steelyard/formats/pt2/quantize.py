"""Quantized programs for Inductor on x86 CPUs, by torchao's PT2E.

`int8` is static, with the defaults of its X86InductorQuantizer: activations in uint8, weights in int8 per channel, by
ranges that the samples show. Without VNNI a sum of products may overflow, so that activations then keep 7 bits.
"""

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard import plugins
from steelyard.core.errors import LoweringError
from steelyard.core.lowered import Artifact
from steelyard.lowering.format import Draft, Quantization, Unquantized
from steelyard.lowering.layers import layer_errors
from steelyard.lowering.source import example_inputs

if TYPE_CHECKING:
    import torch

_ENTRY = "program.pt2"
_LAYERS = ("conv1d", "conv2d", "conv3d", "conv_transpose2d", "linear", "matmul", "bmm", "mm", "addmm")


def static(given: Unquantized, directory: Path) -> Draft:
    """`int8`: calibrated on the samples; the quantized program is exported again, with its weights."""
    import torch
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86
    from torchao.utils import should_reduce_range

    program = given.program
    if program.gradients:
        raise LoweringError(f"{program.name}: it computes gradients, which integers have none of")
    exported = plugins.format_("pt2").load(given.artifact, program, given.weights_file)
    narrow = should_reduce_range(torch.device("cpu"))
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config(reduce_range=narrow))
    with torch.no_grad():
        # It folds norms into weights, which are views of a file that others read.
        module = copy.deepcopy(exported.module(check_guards=False))
        prepared = prepare_pt2e(module, quantizer)
        calls = [[sample[spec.name] for spec in program.inputs] for sample in given.samples]
        for call in calls:
            prepared(*call)
        before = _layers(prepared, calls[0])  # it computes as the plain program does, norms in the weights
        made = torch.export.export(_without_unused(convert_pt2e(prepared)), example_inputs(program), strict=False)
        after = _layers(made.module(check_guards=False), calls[0])
    kinds = Counter(str(node.target).partition(".")[2] for node in made.graph.nodes if _quantizes(node))
    if not kinds:
        raise LoweringError(f"{program.name}: it holds nothing that torchao's X86InductorQuantizer quantizes")
    made.example_inputs = None
    torch.export.save(made, directory / _ENTRY)
    held = {**made.state_dict, **made.constants}
    return Draft(
        entry=_ENTRY,
        weight_bytes=sum(value.nbytes for value in held.values() if isinstance(value, torch.Tensor)),
        weight_note="with scales and zero points",
        details={
            "quantized": dict(sorted(kinds.items())),
            "activation_bits": 7 if narrow else 8,
            "layer_errors": layer_errors(before, after) if len(before) == len(after) else {},
        },
    )


def _layers(module: "torch.fx.GraphModule", sample: "Sequence[torch.Tensor]") -> dict[str, Any]:
    """What each convolution and product gives for a sample, by its kind and place: `conv2d 3`."""
    import torch

    found: dict[str, Any] = {}

    class Noting(torch.fx.Interpreter):  # type: ignore[misc]
        def run_node(self, node: Any) -> Any:
            result = super().run_node(node)
            kind = str(node.target).removeprefix("aten.").partition(".")[0]
            if node.op == "call_function" and kind in _LAYERS:
                found[f"{kind} {len(found) + 1}"] = result.detach().numpy()
            return result

    Noting(module).run(*sample)
    return found


def _without_unused(module: "torch.fx.GraphModule") -> "torch.fx.GraphModule":
    """The module without the weights in floating point, which it still holds beside those in integers."""
    used = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    for name in [*dict(module.named_parameters()), *dict(module.named_buffers())]:
        if name not in used:
            owner, _, leaf = name.rpartition(".")
            delattr(module.get_submodule(owner), leaf)
    return module


def quantized(artifact: Artifact) -> "torch.export.ExportedProgram":
    """The quantized program with its weights. Importing the quantizer registers what Inductor fuses it with."""
    import torch
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer  # noqa: F401

    return torch.export.load(Path(artifact.directory) / artifact.entry)


def _quantizes(node: "torch.fx.Node") -> bool:
    return node.op == "call_function" and "quantize_per" in str(node.target)


QUANTIZATIONS: Mapping[str, Quantization] = {
    "int8": Quantization(apply=static, packages=("torchao",), extra="quantization", calibrated=True),
}
