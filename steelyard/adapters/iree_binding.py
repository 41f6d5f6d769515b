"""One input set of an IREE program: buffers of the device; each call gives back its new state in buffers of its own."""

from collections.abc import Sequence
from typing import Any, Protocol

from steelyard.adapters import arrays_binding
from steelyard.core.runner import Arrays, Binding


class Compiled(arrays_binding.Compiled, Protocol):
    """A program that is compiled and loaded, with its weights on the device."""

    weights: tuple[Any, ...]
    module: Any

    def on_host(self, view: Any) -> Any:
        """The array behind a view of a buffer."""

    def context(self) -> Any:
        """A context of the runtime with the program in it; no two threads may call into one."""


class _Returned(Sequence[Any]):
    """The buffers that a call gave back, each looked up when it is asked for."""

    __slots__ = ("_list", "_view")

    def __init__(self, returned: Any, view: Any) -> None:
        self._list, self._view = returned, view

    def __getitem__(self, index: Any) -> Any:
        return self._list.get_as_object(index, self._view)

    def __len__(self) -> int:
        return int(self._list.size)


class IreeBinding(arrays_binding.ArraysBinding):
    """`run` is one call of `main`, which returns when its outputs are complete."""

    def __init__(self, executable: Compiled, arguments: Sequence[Any]) -> None:
        import iree.runtime

        super().__init__(executable, arguments)
        self._list, self._view = iree.runtime.VmVariantList, iree.runtime.HalBufferView
        self._context, self._weights, self._on_host = executable.context(), executable.weights, executable.on_host
        self._main = executable.module.lookup_function("main")
        self._count = len(self._returned)
        self._given: Any = None
        self._give()

    def run(self) -> None:  # noqa: D102
        returned = self._list(self._count)
        self._context.invoke(self._main, self._given, returned)
        self._outputs = _Returned(returned, self._view)

    def settle(self) -> None:  # noqa: D102
        super().settle()
        if self._carried:
            self._give()

    def update(self, inputs: Arrays) -> None:  # noqa: D102
        super().update(inputs)
        self._give()

    def adopt(self, source: Binding) -> None:  # noqa: D102
        super().adopt(source)
        self._give()

    def close(self) -> None:  # noqa: D102
        super().close()
        self._context = self._given = None

    def _give(self) -> None:
        self._given = self._list(len(self._weights) + len(self._arguments))
        for each in (*self._weights, *self._arguments):
            self._given.push_ref(each)

    def _fetch(self, array: Any) -> Any:
        return self._on_host(array)
