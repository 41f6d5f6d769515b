"""torch.compile backends that compile nothing, by name: `torch_compile:tests.fakes.compilers:refused`."""

from typing import Any


def refused(graph: Any, inputs: Any) -> Any:
    raise AssertionError("nobody asks a compiler while compilation is off")


def switched_off(graph: Any, inputs: Any) -> Any:
    import torch

    torch.compiler.set_stance("force_eager")
    return graph.forward


def untouched(graph: Any, inputs: Any) -> Any:
    return graph.forward
