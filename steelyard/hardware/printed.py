"""A figure as a document prints it, such as "1,299 TFLOPS", in base units."""

import re

from steelyard.core.errors import UsageError

# Operations and bits by decimal prefixes; bytes by decimal ones (GB) and binary ones (GiB), each as it is printed.
# "GBps" and "Gbps" differ by the eight bits of a byte.
_PREFIXES = {"": 1, "G": 10**9, "T": 10**12, "P": 10**15}
_OPERATIONS = {
    f"{prefix}{name}": (factor, "1/s")
    for prefix, factor in _PREFIXES.items()
    if prefix
    for name in ("FLOPS", "FLOPs", "FLOP", "OPS", "OPs", "F")
}
_BYTES = {
    **{f"{prefix}B": factor for prefix, factor in _PREFIXES.items() if prefix},
    "GiB": 2**30,
    "TiB": 2**40,
}
_PER_SECOND = ("/s", "/sec", "ps", " per second")
_RATES = {f"{unit}{per}": (factor, "B/s") for unit, factor in _BYTES.items() for per in _PER_SECOND}
_BIT_RATES = {
    f"{prefix}b{per}": (factor / 8, "B/s") for prefix, factor in _PREFIXES.items() if prefix for per in ("/s", "ps")
}
UNITS: dict[str, tuple[float, str]] = {
    **_OPERATIONS,
    "teraflops": (10**12, "1/s"),
    "TeraFLOPS": (10**12, "1/s"),
    **{unit: (factor, "B") for unit, factor in _BYTES.items()},
    **_RATES,
    **_BIT_RATES,
    "W": (1, "W"),
    "Watts": (1, "W"),
}
_FIGURE = re.compile(r"(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?) ?(?P<unit>[A-Za-z][A-Za-z/ ]*)")


def base_units(printed: str) -> tuple[float, str]:
    """The figure in base units, and which: "1/s", "B", "B/s" or "W". A comma parts thousands, a point decimals.

    Raises UsageError for what is not one number and one known unit.
    """
    match = _FIGURE.fullmatch(printed)
    if match is None:
        raise UsageError(f"the printed figure '{printed}' is not a number and a unit like '1,299 TFLOPS'")
    if match["unit"] not in UNITS:
        raise UsageError(f"the printed figure '{printed}' has the unknown unit '{match['unit']}': add it to printed.py")
    factor, unit = UNITS[match["unit"]]
    return float(match["number"].replace(",", "")) * factor, unit
