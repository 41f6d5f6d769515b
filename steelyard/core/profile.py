"""What is declared of a device model: peaks, memory, power, each value with the document that it was read in."""

import datetime
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

# The unit that a field's printed figure has in base units; None: text or a year, kept as printed.
QUANTITIES: dict[str, str | None] = {
    "memory_bytes": "B",
    "memory_bandwidth_bytes_per_s": "B/s",
    "interconnect_bytes_per_s": "B/s",
    "power_limit_w": "W",
    "process": None,
    "year": None,
}
PEAKS = ("peak_dense_per_s", "peak_sparse_per_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDocument:
    """A document that was read. `standing`: the vendor's own, a reprint of it, or a third party's."""

    document: str
    publisher: str
    standing: str
    url: str
    date: str  # as the document gives it; "undated" where it gives none
    read: datetime.date


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One value in base units, the figure as printed, and where. `factor` stands between the two, with its reason."""

    value: float | int | str
    printed: str
    place: str
    source: SourceDocument
    factor: float = 1.0
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareProfile:
    """The declared figures of one device model. None, or a dtype that is missing: its source was not read.

    Peaks are operations per second, dense and with structured sparsity apart. The interconnect is the rate between
    devices of one node, both directions together unless the fact's place says otherwise.
    """

    model: str
    kind: str
    names: tuple[str, ...]
    devices: int | None  # devices that a runtime shows for what is described here; None: not read
    note: str | None
    peak_dense_per_s: dict[str, Fact]
    peak_sparse_per_s: dict[str, Fact]
    memory_bytes: Fact | None = None
    memory_bandwidth_bytes_per_s: Fact | None = None
    interconnect_bytes_per_s: Fact | None = None
    power_limit_w: Fact | None = None
    process: Fact | None = None
    year: Fact | None = None

    @property
    def facts(self) -> dict[str, Fact]:
        """Every known fact by its field, peaks as `peak_dense_per_s.float16`."""
        peaks = {f"{field}.{dtype}": fact for field in PEAKS for dtype, fact in getattr(self, field).items()}
        return peaks | {field: fact for field in QUANTITIES if (fact := getattr(self, field)) is not None}

    def of_one_device(self) -> "HardwareProfile":
        """What one of the devices has that a runtime shows for the module described here: an even share of peaks and
        memory. Links and the power limit are the module's; no document that was read shares them out."""
        if self.devices is None or self.devices == 1:
            return self
        share = f"one of the {self.devices} devices of the module"

        def part(fact: Fact | None) -> Fact | None:
            if fact is None or isinstance(fact.value, str) or self.devices is None:
                return fact
            reason = share if fact.reason is None else f"{fact.reason}; {share}"
            return replace(fact, value=fact.value / self.devices, factor=fact.factor / self.devices, reason=reason)

        def parts(facts: dict[str, Fact]) -> dict[str, Fact]:
            return {dtype: told for dtype, fact in facts.items() if (told := part(fact)) is not None}

        return replace(
            self,
            model=f"{self.model} ({share})",
            devices=1,
            peak_dense_per_s=parts(self.peak_dense_per_s),
            peak_sparse_per_s=parts(self.peak_sparse_per_s),
            memory_bytes=part(self.memory_bytes),
            memory_bandwidth_bytes_per_s=part(self.memory_bandwidth_bytes_per_s),
            interconnect_bytes_per_s=None,
            power_limit_w=None,
        )

    def matches(self, name: str) -> bool:
        """Whether a device of this name, in any case, is this model."""
        return any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputedPeak:
    """An upper bound that follows from assumptions, not from a document. `assumptions` says them in words."""

    per_s: float
    dtype: str
    assumptions: str
    origin: str = "computed"
