"""An AMD Instinct board through the package `amdsmi`: an accumulator whose step is told beside it."""

import time
from collections.abc import Callable
from typing import Any, ClassVar

from steelyard.core.energy import Kind
from steelyard.guard.energy_source import Absent, EnergySource
from steelyard.guard.meter_readings import Counts, Domain, Fault
from steelyard.guard.unwrap import Unwrapped

_UPDATE_S = 0.1
_MICRO = 1e-6


class AmdSmi(EnergySource):
    """One board, by its PCI address, or by index in the library's order where that is not known. `smi` is the module
    `amdsmi`, already initialised.

    The accumulator is 64 bits wide; joules are its value times `counter_resolution` microjoules, a product that
    several tools forget. One that stands still or goes backwards, as some drivers' do, gives no number.
    """

    name: ClassVar[str] = "amdsmi"
    kind: ClassVar[Kind] = "counter"

    def __init__(
        self, smi: Any, index: int, place: str | None = None, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        super().__init__(clock_ns)
        self.update_period_s = _UPDATE_S
        self._smi = smi
        self._handle = _board(smi, index, place)
        self._domain = Domain(id=f"gpu_module:{index}", boundary="gpu_module")
        self.resolution_j = float(self._energy_count()["counter_resolution"]) * _MICRO
        self._counter = Unwrapped(unit_j=self.resolution_j, range_=None, slack_s=_UPDATE_S, endless=True)
        self.read()

    def domains(self) -> tuple[Domain, ...]:
        """The package on the board."""
        return (self._domain,)

    def _read(self) -> Counts:
        """Its joules since this object was made."""
        raw: int | Fault
        try:
            told = self._energy_count()
            # the accumulator was called `power` in versions before 6.2
            raw = int(told["energy_accumulator"] if "energy_accumulator" in told else told["power"])
        except (self._smi.AmdSmiException, KeyError, TypeError, ValueError) as error:
            raw = Fault(code="not_supported", detail=f"amdsmi: {type(error).__name__}: {error}")
        return {self._domain.id: self._counter.advance(raw, self._clock_ns())}

    def close(self) -> None:
        """End this use of the library."""
        self._smi.amdsmi_shut_down()

    def _energy_count(self) -> Any:
        return self._smi.amdsmi_get_energy_count(self._handle)


def amdsmi_source(index: int = 0, place: str | None = None) -> EnergySource:
    """The accumulator of the board at a PCI address (else of the `index`-th), or the source that says why there is
    none here."""
    try:
        import amdsmi as smi  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return Absent(Fault(code="no_device", detail="the package amdsmi is not installed"))
    except Exception as error:  # noqa: BLE001 (without its library the import raises KeyError, OSError or more)
        return Absent(Fault(code="no_device", detail=f"amdsmi cannot load its library: {type(error).__name__}"))
    try:
        smi.amdsmi_init()
        source = AmdSmi(smi, index, place)
    except (smi.AmdSmiException, IndexError, KeyError, TypeError, ValueError) as error:
        return Absent(Fault(code="no_device", detail=f"amdsmi: {type(error).__name__}: {error}"))
    first = next(iter(source.read().values()))
    if first.joules is None and first.fault is not None:
        source.close()
        return Absent(first.fault)
    return source


def _board(smi: Any, index: int, place: str | None) -> Any:
    """The library's handle. Raises IndexError where it has no such board: another's meter is none for this one."""
    boards = smi.amdsmi_get_processor_handles()
    if place is None:
        return boards[index]
    for board in boards:
        if str(smi.amdsmi_get_gpu_device_bdf(board)).lower() == place:
            return board
    raise IndexError("the library has no board at the PCI address of the device")
