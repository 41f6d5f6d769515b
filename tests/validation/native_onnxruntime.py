"""A Llama of ONNX Runtime's fused operators: GroupQueryAttention, with one buffer for past and present.

The graph is what ONNX Runtime's own tools make of a Llama: packed projections of queries, keys and values, norms fused
with the sums before them. GroupQueryAttention writes new keys into the buffer that holds the old ones if both sides
are bound to it, and attends to the places up to the position instead of a masked cache. Session, binding and proof are
those of the backend `onnxruntime`.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import Executable
from tests.validation.llama import llama_of
from tests.validation.native import NativeRunner
from tests.validation.native_onnx_graph import write
from tests.validation.wrapped import WrappedExecutable

PATH = "tests.validation.native_onnxruntime:Native"


class Native(NativeRunner):
    """The backend `onnxruntime` with a graph of fused operators."""

    of: ClassVar[str] = "onnxruntime"

    def load(self, program: LoweredProgram) -> Executable:
        """Write the graph into the launch's scratch folder. Raises Unsupported for what is no Llama of the suite."""
        llama = llama_of(program.program)
        artifact = write(llama, program, self.context.scratch)
        return _Executable(self, self.inner.load(dataclasses.replace(program, artifacts={"onnx": artifact})))


class _Executable(WrappedExecutable):
    @property
    def execution_mode(self) -> Mapping[str, str]:
        return {**self.inner.execution_mode, "graph": "operators fused by hand"}
