"""Inputs and outputs of an ONNX Runtime session, bound once to host or device memory."""

from collections.abc import Mapping
from typing import Any, Protocol

from steelyard.adapters.bound import Array, BoundBinding, Place, Places, numpy_type
from steelyard.core.errors import Unsupported
from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import Arrays
from steelyard.core.workload import TensorSpec

ONNX_TYPES = {
    "float32": ("tensor(float)", 1),
    "uint8": ("tensor(uint8)", 2),
    "int8": ("tensor(int8)", 3),
    "int16": ("tensor(int16)", 5),
    "int32": ("tensor(int32)", 6),
    "int64": ("tensor(int64)", 7),
    "bool": ("tensor(bool)", 9),
    "float16": ("tensor(float16)", 10),
    "float64": ("tensor(double)", 11),
    "bfloat16": ("tensor(bfloat16)", 16),
}
"""The name a session gives the type, and its number in ONNX's `TensorProto.DataType`."""


class Bindable(Protocol):
    """A program with its session; `ports` are the session's own names of inputs and outputs."""

    program: LoweredProgram
    session: Any
    ports: tuple[Mapping[str, str], Mapping[str, str]]

    def place(self, spec: TensorSpec) -> Place:
        """A zeroed place for a tensor."""


def value_on(array: Array, spec: TensorSpec) -> Any:
    """An `OrtValue` on the memory of `array`. bfloat16 passes as uint16: numpy itself has no such type."""
    import onnxruntime

    plain = array.view("uint16") if spec.dtype == "bfloat16" else array
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(plain, ONNX_TYPES[spec.dtype][1])


class DevicePlace(Place):
    """A tensor in device memory."""

    def __init__(self, spec: TensorSpec, kind: str, index: int, vendor: int = -1) -> None:
        import numpy as np
        import onnxruntime

        self.spec = spec
        self.value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            list(spec.shape), ONNX_TYPES[spec.dtype][1], kind, index, vendor
        )
        self.value.update_inplace(value_on(np.zeros(spec.shape, numpy_type(spec)), spec))

    def write(self, array: Array) -> None:
        """See `Place`: a copy to the device."""
        import numpy as np

        self.check(array)
        self.value.update_inplace(value_on(np.asarray(array, order="C"), self.spec))

    def read(self) -> Array:
        """See `Place`: a copy from the device."""
        import numpy as np

        array = np.empty(self.spec.shape, numpy_type(self.spec))
        value_on(array, self.spec).update_inplace(self.value)
        return array


class Bound(BoundBinding):
    """One input set. `run` is one call into the session with everything bound."""

    def __init__(self, executable: Bindable, inputs: Arrays, in_place: bool) -> None:
        self._executable = executable
        super().__init__(executable.program.program, inputs, executable.place, in_place)

    def wire(self, turn: int, reads: Places, writes: Places) -> Any:
        """An `IOBinding` of these places."""
        self._session = self._executable.session
        binding = self._session.io_binding()
        inputs, outputs = self._executable.ports
        for name, port in inputs.items():
            binding.bind_ortvalue_input(port, reads[name].value)
        for name, port in outputs.items():
            binding.bind_ortvalue_output(port, writes[name].value)
        return binding

    def run(self) -> None:  # noqa: D102
        self._session.run_with_iobinding(self.request)

    def unwire(self) -> None:
        """See `BoundBinding`: of the session, too."""
        super().unwire()
        self._session = None


class DeviceBound(Bound):
    """The same on a device of its own: a run ends when the device has finished."""

    def run(self) -> None:  # noqa: D102
        self._session.run_with_iobinding(self.request)
        self.request.synchronize_outputs()

    def device_seconds(self) -> float:  # noqa: D102
        raise Unsupported("ONNX Runtime tells Python no events of the stream that its provider works in")
