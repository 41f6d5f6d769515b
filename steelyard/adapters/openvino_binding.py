"""Inputs and outputs of an OpenVINO model, set once on an infer request."""

from typing import Any, Protocol

from steelyard.adapters.bound import Array, BoundBinding, Place, Places
from steelyard.adapters.openvino_precision import short
from steelyard.core.lowered import Artifact, LoweredProgram
from steelyard.core.runner import Arrays
from steelyard.core.workload import TensorSpec


class Bindable(Protocol):
    """A program with its compiled model, whose ports stand in the order of the artifact's names."""

    program: LoweredProgram
    artifact: Artifact
    compiled: Any

    def place(self, spec: TensorSpec) -> Place:
        """A zeroed place for a tensor."""


def tensor_on(array: Array, spec: TensorSpec) -> Any:
    """An OpenVINO tensor on the memory of `array`. What numpy or OpenVINO do not name alike passes as its bits."""
    import openvino

    bits = {"bool": "uint8", "bfloat16": "uint16"}.get(spec.dtype)
    memory = array if bits is None else array.view(bits)
    return openvino.Tensor(memory, openvino.Shape(list(spec.shape)), getattr(openvino.Type, element(spec.dtype)))


def element(dtype: str) -> str:
    """What OpenVINO calls a type."""
    return {"bool": "boolean", "bfloat16": "bf16"}.get(dtype, short(dtype))


class Bound(BoundBinding):
    """One input set. `run` starts the request and waits for it."""

    def __init__(self, executable: Bindable, inputs: Arrays, in_place: bool) -> None:
        self._executable = executable
        self._requests: list[Any] = []
        super().__init__(executable.program.program, inputs, executable.place, in_place)

    def wire(self, turn: int, reads: Places, writes: Places) -> Any:
        """The request of this turn with all its tensors set; names and ports stand in the same order."""
        if turn == len(self._requests):
            self._requests.append(self._executable.compiled.create_infer_request())
        request = self._requests[turn]
        for index, name in enumerate(self._executable.artifact.inputs):
            request.set_input_tensor(index, reads[name].value)
        for index, name in enumerate(self._executable.artifact.outputs):
            request.set_output_tensor(index, writes[name].value)
        return request

    def run(self) -> None:  # noqa: D102
        self.request.start_async()
        self.request.wait()

    def unwire(self) -> None:
        """See `BoundBinding`."""
        super().unwire()
        self._requests = []

    def close(self) -> None:  # noqa: D102
        super().close()
        self._requests = []
