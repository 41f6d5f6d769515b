"""Cold calls: the L2 cache of an accelerator filled with other data between samples, never inside one."""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from steelyard.core.errors import SteelyardError, Unsupported
from steelyard.measure.loop import Call

TIMES = 2
"""The buffer that is written is so many times as large as the cache."""

_L2_SIZE = 38  # CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE


class Cold:
    """A call that finds nothing of its own in the cache: after each `settle`, outside the sample, it is flushed."""

    def __init__(self, call: Call, flush: Callable[[], None]) -> None:
        self._settle, self._flush = call.settle, flush
        self.run = call.run

    def settle(self) -> None:
        """Settle the call, then flush."""
        self._settle()
        self._flush()


def cold(calls: Sequence[Call], flush: Callable[[], None]) -> tuple[Cold, ...]:
    """The calls, each found cold; the cache is flushed once now, before the first."""
    flush()
    return tuple(Cold(call, flush) for call in calls)


class CudaFlush:
    """Writes a buffer in the device's primary context, which is the one that all runtimes of a process share.

    `index` is CUDA's. Raises Unsupported where there is no driver, or it tells no size of the cache.
    """

    def __init__(self, index: int) -> None:
        try:
            self._cuda = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise Unsupported(f"the L2 cache cannot be flushed without CUDA's driver: {error}") from error
        self._context, self._buffer, size = ctypes.c_void_p(), ctypes.c_uint64(), ctypes.c_int()
        device = ctypes.c_int()
        self._ask("cuInit", 0)
        self._ask("cuDeviceGet", ctypes.byref(device), index)
        self._ask("cuDeviceGetAttribute", ctypes.byref(size), _L2_SIZE, device)
        if size.value <= 0:
            raise Unsupported("CUDA's driver tells no size of the L2 cache of this device")
        self.size_bytes = TIMES * size.value
        self._ask("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)
        self._inside(lambda: self._ask("cuMemAlloc_v2", ctypes.byref(self._buffer), ctypes.c_size_t(self.size_bytes)))

    def __call__(self) -> None:
        """Write the whole buffer and wait until that is done."""
        self._inside(self._write)

    def _write(self) -> None:
        self._ask("cuMemsetD8_v2", self._buffer, ctypes.c_ubyte(0), ctypes.c_size_t(self.size_bytes))
        self._ask("cuCtxSynchronize")

    def _inside(self, work: Callable[[], None]) -> None:
        """Work in the primary context, and leave the thread with the one that it had."""
        self._ask("cuCtxPushCurrent_v2", self._context)
        try:
            work()
        finally:
            self._ask("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))

    def _ask(self, name: str, *arguments: Any) -> None:
        code = getattr(self._cuda, name)(*arguments)
        if code != 0:
            raise SteelyardError(f"flushing the L2 cache: CUDA's driver answered {code} to {name}")
