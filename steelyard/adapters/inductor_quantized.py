"""A program that torchao has quantized, as a module for torch.compile, and whether Inductor fused what it holds."""

from typing import Any

from steelyard import plugins
from steelyard.adapters.bound import artifact_of
from steelyard.adapters.inductor_aot import write_back
from steelyard.adapters.torch_module import TorchRunner
from steelyard.core import quantization
from steelyard.core.backend import BackendSpec
from steelyard.core.lowered import LoweredProgram

_FUSED = ("qconv", "qlinear")
"""What its counters of matched patterns begin with."""


def quantized(runner: TorchRunner, lowered: LoweredProgram) -> Any:
    """The quantized module on the runner's device, which updates its state where it lies."""
    artifact = artifact_of(lowered, runner.needs(runner.context.backend)[-1])
    exported = plugins.format_("pt2").load(artifact, lowered.program, lowered.weights_file)
    module = write_back(exported.module(check_guards=False), lowered.program, whole=True)
    return module.to(runner.device)


def unfused(backend: BackendSpec) -> tuple[str, ...]:
    """That Inductor made no integer convolution and no integer product of a quantized program; empty for others."""
    from torch._dynamo.utils import counters

    if not quantization.kind_of(backend) or any(name.startswith(_FUSED) for name in counters["inductor"]):
        return ()
    return ("Inductor fused no quantized convolution or product: the program computes in floating point",)
