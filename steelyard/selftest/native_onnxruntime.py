"""A Llama of ONNX Runtime's fused operators: GroupQueryAttention, with one buffer for past and present.

The graph is what ONNX Runtime's own tools make of a Llama: packed projections of queries, keys and values, norms fused
with the sums before them. GroupQueryAttention writes new keys into the buffer that holds the old ones if both sides
are bound to it, and attends to the places up to the position instead of a masked cache. Session, binding and proof are
those of the backend `onnxruntime`.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import Arrays, Binding, Executable
from steelyard.selftest.llama import llama_of
from steelyard.selftest.native import NativeRunner
from steelyard.selftest.native_onnx_graph import write
from steelyard.selftest.wrapped import WrappedExecutable

PATH = "steelyard.selftest.native_onnxruntime:Native"


class Native(NativeRunner):
    """The backend `onnxruntime` with a graph of fused operators."""

    of: ClassVar[str] = "onnxruntime"

    def load(self, program: LoweredProgram) -> Executable:
        """Write the graph into the launch's scratch folder. Raises Unsupported for what is no Llama of the suite."""
        llama = llama_of(program.program)
        artifact = write(llama, program, self.context.scratch)
        session: Any = self.inner.load(dataclasses.replace(program, artifacts={"onnx": artifact}))
        bind = session.bind_for_proof

        def full(inputs: Arrays, in_place: bool) -> Binding:
            """Bound at the last place: of a past that lies elsewhere only what is before the position is copied."""
            if "position" in inputs:
                inputs["position"][:] = llama.capacity - 1
            found: Binding = bind(inputs, in_place)
            return found

        session.bind_for_proof = full
        return _Executable(self, session)


class _Executable(WrappedExecutable):
    @property
    def idiom(self) -> Mapping[str, str]:
        held = self.inner.idiom
        if held["kv_cache"] == "bound in place":
            held = {**held, "kv_cache": "GroupQueryAttention, past and present one buffer"}
        return {**held, "program": "operators fused by hand"}
