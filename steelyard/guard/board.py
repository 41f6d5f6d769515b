"""An NVIDIA board around one timed window: what held its clocks down meanwhile, and who else computed on it.

NVML counts the time that each reason held the clocks down, which catches what happened between two reads. Where a
board does not count a reason, the reason counts if it was in force at either end of the window.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from steelyard.core.details import BoardFacts
from steelyard.core.metrics import Reading, absent
from steelyard.guard import proc
from steelyard.guard.gpu import SLOWDOWNS
from steelyard.guard.nvml import fault_of
from steelyard.guard.visible import visible_at
from steelyard.guard.visible_amd import computing, visible_nodes

_COUNTED = {
    "SwPowerCap": "NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_POWER_CAP",
    "SwThermalSlowdown": "NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN",
    "HwThermalSlowdown": "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN",
    "HwPowerBrakeSlowdown": "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN",
}
"""The fields that count, in nanoseconds, how long a reason has held the clocks down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    counted_ns: Mapping[str, int]
    in_force: frozenset[str]


class Board:
    """One board, by CUDA's index, as a process sees it that computes on it itself. `nvml` is initialised `pynvml`."""

    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        self._device = visible_at(nvml, index)
        self._before: _Read | None = None

    def begin(self) -> None:
        """The window begins. Raises the binding's NVMLError."""
        self._before = self._read()

    def end(self) -> BoardFacts:
        """What touched the window, and how many other processes compute there now. Raises NVMLError."""
        before, after = self._before or self._read(), self._read()
        slowed = {
            name: (after.counted_ns[name] - before.counted_ns[name]) * 1e-9
            for name in SLOWDOWNS
            if name in before.counted_ns and name in after.counted_ns
        }
        touched = {name for name, seconds in slowed.items() if seconds > 0}
        touched |= {name for name in before.in_force | after.in_force if name not in slowed}
        return BoardFacts(
            slowed_by=tuple(SLOWDOWNS[name] for name in SLOWDOWNS if name in touched),
            slowed_s={SLOWDOWNS[name]: seconds for name, seconds in slowed.items() if seconds > 0},
            foreign_processes=len(others(self._nvml, self._device.part)),
        )

    def _read(self) -> _Read:
        nvml = self._nvml
        fields = {name: getattr(nvml, field) for name, field in _COUNTED.items() if hasattr(nvml, field)}
        values = nvml.nvmlDeviceGetFieldValues(self._device.board, list(fields.values()))
        counted = {
            name: int(value.value.ullVal)
            for name, value in zip(fields, values, strict=True)
            if value.nvmlReturn == nvml.NVML_SUCCESS
        }
        bits = nvml.nvmlDeviceGetCurrentClocksEventReasons(self._device.board)
        active = frozenset(name for name in SLOWDOWNS if bits & getattr(nvml, f"nvmlClocksEventReason{name}"))
        return _Read(counted_ns=counted, in_force=active)


class BoardWatch:
    """What is told of the device around a timed window: nothing of a CPU, a reason where no driver tells anything."""

    def __init__(self, kind: str, index: int) -> None:
        self._kind = kind
        self._reason = f"no driver is asked what slows a {kind} device"
        self._board: Board | None = None
        self._nvml: Any = None
        if kind == "cuda":
            self._open(index)

    def begin(self) -> None:
        """The window begins."""
        if self._board is not None:
            self._answer_or_none(self._board.begin)

    def end(self, beside: int = 0) -> BoardFacts | None:
        """What touched the window; None of a CPU. `beside` of the others there are launches of the same round, stopped
        meanwhile; what slowed the clocks in their turns is told as well."""
        if self._kind == "cpu":
            return None
        found: BoardFacts | None = self._answer_or_none(self._board.end) if self._board is not None else None
        if found is None or found.foreign_processes is None:
            return BoardFacts(reason=self._reason)
        return replace(found, foreign_processes=max(0, found.foreign_processes - beside))

    def _open(self, index: int) -> None:
        try:
            import pynvml as nvml
        except ImportError:
            self._reason = "no NVML binding: pip install 'steelyard[cuda]'"
            return
        self._nvml = nvml
        try:
            nvml.nvmlInit()
            self._board = Board(nvml, index)
        except nvml.NVMLError as error:
            self._reason = fault_of(nvml, error).detail

    def _answer_or_none(self, ask: Callable[[], Any]) -> Any:
        """The answer; a board that fails to answer is not asked again."""
        try:
            return ask()
        except self._nvml.NVMLError as error:
            self._reason, self._board = fault_of(self._nvml, error).detail, None
            return None


def others(nvml: Any, handle: Any) -> tuple[int, ...]:
    """Process ids of the others that compute on a board. In a container the ids are the host's, this process among
    them under another: it is then counted as another once it uses the board."""
    own = os.getpid()
    return tuple(int(each.pid) for each in nvml.nvmlDeviceGetComputeRunningProcesses(handle) if each.pid != own)


def foreign_processes(kind: str, index: int, root: Path = proc.ROOT) -> tuple[Reading, tuple[int, ...]]:
    """How many processes compute on a device before the run uses it, and their ids; absent where nobody tells."""
    if kind == "rocm":
        return _on_amd(index, root)
    if kind != "cuda":
        return absent("1", f"no driver is asked who computes on a {kind} device"), ()
    try:
        import pynvml as nvml
    except ImportError:
        return absent("1", "no NVML binding: pip install 'steelyard[cuda]'"), ()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return absent("1", fault_of(nvml, error).detail), ()
    try:
        found = others(nvml, visible_at(nvml, index).part)
    except nvml.NVMLError as error:
        return absent("1", fault_of(nvml, error).detail), ()
    finally:
        nvml.nvmlShutdown()
    return Reading(value=float(len(found)), unit="1", method="NVML compute processes"), found


def _on_amd(index: int, root: Path) -> tuple[Reading, tuple[int, ...]]:
    nodes = visible_nodes(root)
    told = computing(nodes[index], root) if index < len(nodes) else None
    if told is None:
        return absent("1", "the kernel's driver does not tell who computes on the device (/sys/class/kfd/kfd/proc)"), ()
    found = tuple(pid for pid in told if pid != os.getpid())
    return Reading(value=float(len(found)), unit="1", method="compute processes of the kernel's driver (kfd)"), found
