"""Numbers as print: the only place where units are scaled and digits are cut."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.core.comparison import Interval
from steelyard.tables.table import Cell, Column

ABSENT = "–"
TIMES = "×"
SMALLEST_FIXED = 1e-3
"""Below it a number is printed with an exponent, as nobody counts zeros."""

_FACTORS: Mapping[tuple[str, str], float] = {
    ("s", "s"): 1.0,
    ("s", "ms"): 1e3,
    ("s", "µs"): 1e6,
    ("s", "ns"): 1e9,
    ("s", "min"): 1 / 60,
    ("B", "KiB"): 2.0**-10,
    ("B", "MiB"): 2.0**-20,
    ("B", "GiB"): 2.0**-30,
    ("J", "J"): 1.0,
    ("J", "mJ"): 1e3,
    ("FLOP", "GFLOP"): 1e-9,
    ("FLOP/s", "GFLOP/s"): 1e-9,
    ("B/s", "GB/s"): 1e-9,
    ("1", "%"): 100.0,
    ("1", TIMES): 1.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A cell as print: the main text and, apart from it, the interval in brackets (empty where there is none)."""

    main: str
    interval: str = ""

    @property
    def text(self) -> str:
        """Both in one line."""
        return f"{self.main} {self.interval}" if self.interval else self.main


def factor(unit: str, shown: str) -> float:
    """What a value in `unit` is multiplied by to be printed in `shown`. Raises ValueError for an unknown pair."""
    if not shown or unit == shown:
        return 1.0
    try:
        return _FACTORS[unit, shown]
    except KeyError:
        raise ValueError(f"no scale from '{unit}' to '{shown}'") from None


def scaled(value: float, column: Column) -> float:
    """A value of a column in its printed unit."""
    return value * factor(column.unit, column.shown)


def shown(cell: Cell, column: Column) -> Shown:
    """A cell as print, without marks and emphasis."""
    if not column.numeric:
        return Shown(main=cell.text)
    if cell.value is None:
        return Shown(main=cell.text or ABSENT)
    value = scaled(cell.value, column)
    if column.kind == "integer":
        return Shown(main=f"{value:.0f}")
    if column.kind == "scientific":
        return Shown(main=scientific(value))
    if 0 < abs(value) < SMALLEST_FIXED:
        ends = cell.interval
        bounds = "" if ends is None else ", ".join(scientific(scaled(end, column)) for end in (ends.low, ends.high))
        return Shown(main=scientific(value), interval=f"[{bounds}]" if bounds else "")
    if cell.interval is None:
        return Shown(main=fixed(value, decimals(value)))
    low, high = scaled(cell.interval.low, column), scaled(cell.interval.high, column)
    places = decimals(value, (low, high))
    return Shown(main=fixed(value, places), interval=f"[{fixed(low, places)}, {fixed(high, places)}]")


def decimals(value: float, interval: tuple[float, float] | None = None) -> int:
    """Decimal places that show three significant digits, or up to two more where the interval is narrower than that."""
    places = _places(value, 3)
    if interval is not None and interval[1] > interval[0]:
        places = max(places, min(places + 2, _places((interval[1] - interval[0]) / 2, 1)))
    return places


def fixed(value: float, places: int) -> str:
    """A number with a set count of decimal places; what is not finite is said in words."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.{places}f}"


def scientific(value: float) -> str:
    """Two significant digits with an exponent, e.g. `2.1e-6`; an exact zero is `0`."""
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def duration(seconds: float) -> str:
    """A time in the unit that suits it: µs, ms, s or min."""
    units = (("min", 120.0), ("s", 1.0), ("ms", 1e-3), ("µs", 0.0))
    unit = next(name for name, least in units if abs(seconds) >= least)
    value = seconds * factor("s", unit)
    return f"{fixed(value, decimals(value))} {unit}"


def size(count: float) -> str:
    """Bytes in MiB or GiB."""
    unit = "GiB" if abs(count) >= 2**30 else "MiB"
    value = count * factor("B", unit)
    return f"{fixed(value, decimals(value))} {unit}"


def percent(fraction: float) -> str:
    """A fraction as percent, e.g. `2.1 %`."""
    return f"{fraction * 100:.3g} %"


def level(interval: Interval) -> str:
    """The level of an interval, e.g. `95 %`; adjusted levels keep their digits (`98.75 %`)."""
    return f"{interval.confidence * 100:.4g} %"


def plain(value: Any) -> str:
    """Any stored value as one line of text: mappings as `a=1, b=2`, a `{"value": null, "reason"}` as its reason."""
    if isinstance(value, str):  # first, as most are
        return str(value)
    if isinstance(value, Mapping):
        if set(value) == {"value", "reason"}:
            return plain(value["value"]) if value["value"] is not None else f"not known: {value['reason']}"
        return ", ".join(f"{key}={plain(item)}" for key, item in sorted(value.items())) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(item) for item in value) or "none"
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def counted(count: int, noun: str, plural: str = "") -> str:
    """`1 launch`, `3 launches`."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def _places(value: float, significant: int) -> int:
    if value == 0 or not math.isfinite(value):
        return 0
    return max(0, significant - 1 - math.floor(math.log10(abs(value))))


def without_code(reason: str) -> str:
    """The reason without the code that it begins with, which is for programs: `no_device: no powercap here`."""
    code, _, text = reason.partition(": ")
    return text if code.isidentifier() else reason
