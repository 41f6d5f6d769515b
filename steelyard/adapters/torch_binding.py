"""One input set bound to a torch callable, and tensors from and to numpy."""

from collections.abc import Callable, Sequence
from typing import Any

from steelyard.adapters.torch_device import TorchDevice
from steelyard.adapters.torch_timer import EventTimer
from steelyard.core.errors import SteelyardError, unknown_name
from steelyard.core.runner import Arrays, Binding
from steelyard.core.workload import Program, TensorSpec

Tensors = Sequence[Any]
Call = Callable[..., Tensors]


class TorchBinding(Binding):
    """Inputs as device tensors in positional order; state tensors are updated where they lie.

    With `fixed` (CUDA graphs) the state keeps its address: adopting copies on the device.
    """

    def __init__(
        self,
        program: Program,
        call: Call,
        returned: tuple[str, ...],
        arguments: Tensors,
        fixed: bool,
        device: TorchDevice,
    ) -> None:
        import torch

        self._call, self._arguments, self._fixed = call, list(arguments), fixed
        self._place = {spec.name: index for index, spec in enumerate(program.inputs)}
        self._state = tuple(spec.name for spec in program.inputs if spec.role == "state")
        self._returned = {name: index for index, name in enumerate(returned)}
        self._outputs = tuple(spec.name for spec in program.outputs)
        self._result: Tensors | None = None
        if fixed:
            for name in self._state:
                torch._dynamo.mark_static_address(self._arguments[self._place[name]], guard=False)
        self._wait, self._device = device.wait(), device
        self._timer: EventTimer | None = None

    def run(self) -> None:  # noqa: D102
        self._result = self._call(*self._arguments)
        if self._wait is not None:
            self._wait()

    def device_seconds(self) -> float:  # noqa: D102
        timer = self._timer = self._timer or self._device.timer()
        timer.start()
        self._result = self._call(*self._arguments)
        return timer.stop()

    def output(self, name: str) -> Any:
        """The tensor of an output as it stands after `run`: returned, or a state input updated in place."""
        if self._result is None:
            raise SteelyardError(f"output '{name}' was asked for outside run() and settle(): call run() first")
        index = self._returned.get(name)
        if index is not None:
            return as_tuple(self._result)[index]
        if name not in self._state:
            raise unknown_name("output", name, self._outputs)
        return self._arguments[self._place[name]]

    def read(self, names: tuple[str, ...] | None = None) -> Arrays:  # noqa: D102
        return {name: to_numpy(self.output(name)) for name in (self._outputs if names is None else names)}

    def settle(self) -> None:  # noqa: D102
        self._result = None

    def update(self, inputs: Arrays) -> None:  # noqa: D102
        for name, array in inputs.items():
            self._arguments[self._place[name]].copy_(from_numpy(array))

    def adopt(self, source: Binding) -> None:  # noqa: D102
        if not isinstance(source, TorchBinding):
            raise SteelyardError(f"a torch binding cannot adopt the state of a {type(source).__name__}")
        for name in self._state:
            index, tensor = self._place[name], source.output(name)
            held = self._arguments[index]
            # Another layout would be another program to a compiler with guards, so it is copied into place.
            if self._fixed or tensor.stride() != held.stride() or tensor.shape != held.shape:
                held.copy_(tensor)
            else:
                self._arguments[index] = tensor

    def close(self) -> None:  # noqa: D102
        self._result, self._arguments = None, []


def as_tuple(returned: Any) -> Tensors:
    """What a module returned; one with a single output may return the tensor itself."""
    import torch

    found: Tensors = (returned,) if isinstance(returned, torch.Tensor) else returned
    return found


def zeros(spec: TensorSpec, device: Any) -> Any:
    """A tensor of zeros for an input or output."""
    import torch

    return torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype), device=device)


def from_numpy(array: Any) -> Any:
    """A tensor over the array's memory; numpy has no bfloat16 of its own, so that one goes by its bits."""
    import torch

    if not array.flags.writeable:
        array = array.copy()
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view("uint16")).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_numpy(tensor: Any) -> Any:
    """A copy on the host."""
    import torch

    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        return tensor.to("cpu", copy=True).view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.to("cpu", copy=True).numpy()
