"""The real runners made to break their budget, each in one way: `tests.fakes.unfair:OrtMoreThreads`.

They do what they do behind their own backs: what is asked for stays right, so that only what is read back can tell.
"""

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from steelyard import plugins
from steelyard.core.runner import LaunchContext
from tests.fakes.numpy_work import NumpyRunner

Eager: Any = plugins.runner("eager")
Inductor: Any = plugins.runner("inductor")
OpenVino: Any = plugins.runner("openvino")
OnnxRuntime: Any = plugins.runner("onnxruntime")
Xla: Any = plugins.runner("xla")


class EagerMoreThreads(Eager):
    def start(self) -> None:
        import torch

        super().start()
        torch.set_num_threads(self.context.budget.threads + 1)


class EagerLessPrecision(Eager):
    """oneDNN is allowed bfloat16 through a switch of its own, about which PyTorch's one switch cannot say a word."""

    def start(self) -> None:
        import torch

        super().start()
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"


class InductorMoreThreads(Inductor):
    def start(self) -> None:
        import torch

        super().start()
        torch.set_num_threads(self.context.budget.threads + 1)


class XlaMoreThreads(Xla):
    @classmethod
    def environment(cls, context: LaunchContext) -> Mapping[str, str]:
        return {**super().environment(context), "NPROC": str(context.budget.threads + 1)}


class XlaLessPrecision(Xla):
    def start(self) -> None:
        import jax

        super().start()
        jax.config.update("jax_default_matmul_precision", "bfloat16")


class OrtMoreThreads(OnnxRuntime):
    def session_options(self) -> Any:
        options = super().session_options()
        options.intra_op_num_threads += 1
        return options


class OrtWithoutDenormals(OnnxRuntime):
    def session_options(self) -> Any:
        options = super().session_options()
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        return options


class _AskingOtherwise(OpenVino):
    """Compiles with other properties than it says it asks for."""

    instead: ClassVar[Mapping[str, Any]] = {}

    def load(self, program: Any) -> Any:
        executable = super().load(program)
        compile_model, instead = self.core.compile_model, self.instead

        class Core:
            def compile_model(self, model: Any, device: str, config: Mapping[str, Any]) -> Any:
                return compile_model(model, device, {**config, **instead})

        self.core = Core()
        return executable


class OpenVinoMoreStreams(_AskingOtherwise):
    instead: ClassVar[Mapping[str, Any]] = {"NUM_STREAMS": 2}


class OpenVinoFewerThreads(_AskingOtherwise):
    instead: ClassVar[Mapping[str, Any]] = {"INFERENCE_NUM_THREADS": 1}


class Elsewhere(NumpyRunner):
    """Leaves the CPUs that it was given."""

    def start(self) -> None:
        super().start()
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
