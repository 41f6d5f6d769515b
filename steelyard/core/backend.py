"""Backends as the user names them, the devices they run on, and the budget all of them share."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from steelyard.core.errors import UsageError

DeviceKind = Literal["cpu", "cuda", "rocm", "tpu", "xpu", "npu", "mps"]
Tuning = Literal["default", "max"]
TUNINGS: tuple[Tuning, ...] = Tuning.__args__  # type: ignore[attr-defined]
L2 = Literal["hot", "cold"]
CapMethod = Literal["cgroup", "rlimit", "runtime"]
_BACKEND = re.compile(
    r"^(?P<head>[^\[\]@]+?)(?:@(?P<environment>[A-Za-z0-9][\w.+-]*))?(?:\[(?P<options>[^\[\]]*)\])?$", re.ASCII
)
_FORM = "NAME[:PROVIDER][@ENVIRONMENT][opt=value,...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSpec:
    """`NAME[:PROVIDER][@ENVIRONMENT][opt=value,...]`, or `module.path:Class` in the place of the name.

    `runner` is the registered name or `module.path:Class`; `provider` what stands behind the colon
    of a registered name; `environment` is that in which it runs, by default the one of `bench` itself
    (`steelyard.environments`); an option without `=` has the value "true".
    """

    runner: str
    provider: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    environment: str | None = None

    @property
    def text(self) -> str:
        """The canonical spelling; `plugins.backend` gives this object back."""
        head = self.runner if self.provider is None else f"{self.runner}:{self.provider}"
        if self.environment is not None:
            head = f"{head}@{self.environment}"
        if not self.options:
            return head
        pairs = (key if value == "true" else f"{key}={value}" for key, value in sorted(self.options.items()))
        return f"{head}[{','.join(pairs)}]"


def parse_backend(text: str) -> BackendSpec:
    """Read one backend from the command line. Raises UsageError naming the form.

    A dot before the colon tells a module; without one, only the registered names can tell (`plugins.backend`).
    """
    match = _BACKEND.match(text.strip())
    if match is None:
        raise UsageError(f"backend '{text}' is not of the form {_FORM}")
    options: dict[str, str] = {}
    for part in filter(None, (match["options"] or "").split(",")):
        key, _, value = part.strip().partition("=")
        if not key or key in options:
            raise UsageError(f"backend '{text}': option '{part}' is empty or given twice")
        options[key] = value or "true"
    name, colon, provider = match["head"].partition(":")
    if not name or (colon and not provider):
        raise UsageError(f"backend '{text}' is not of the form {_FORM}")
    environment = match["environment"]
    if colon and "." in name:
        return BackendSpec(runner=f"{name}:{provider}", options=options, environment=environment)
    return BackendSpec(runner=name, provider=provider or None, options=options, environment=environment)


def split_backends(text: str) -> tuple[str, ...]:
    """Split a comma list, leaving commas inside brackets alone."""
    return tuple(part.strip() for part in re.split(r",(?![^\[]*\])", text) if part.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One physical executor on this host. `kind:index` is what `--device` takes."""

    kind: DeviceKind
    index: int
    name: str
    memory_bytes: int | None

    @property
    def id(self) -> str:
        """`cpu` or e.g. `cuda:0`."""
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The fairness contract: declared once, applied to every backend, read back from each.

    `precision` `strict` forbids a runtime to compute in a narrower type than the case's dtype.
    `memory_cap_bytes` is the most memory that a launch may have, None without a limit, and `memory_cap_by` what
    holds it to that: a control group of its own, RLIMIT_DATA of each process, or, on a device with memory of its
    own, the runtime. See docs/memory.md. `l2` says what the L2 cache of an accelerator holds when a sample begins: what
    the calls before left there (hot), or nothing of the program (cold); None on a CPU. See docs/targets.md. `tolerance`
    is the relative error up to which outputs pass as an approximation, stated by hand for all backends and workloads;
    None leaves it to the workload. See docs/measurement.md.
    """

    threads: int
    cpus: tuple[int, ...]
    tuning: Tuning = "default"
    precision: Literal["strict", "runtime"] = "strict"
    copies: Literal["outside", "inside"] = "outside"
    shapes: Literal["static", "dynamic"] = "static"
    layout: Literal["source", "runtime"] = "source"
    memory_cap_bytes: int | None = None
    memory_cap_by: CapMethod | None = None
    l2: L2 | None = None
    tolerance: float | None = None

    @property
    def memory_cap(self) -> str:
        """The limit of memory in words: in the largest unit of which it is a whole number, as limits are given."""
        if self.memory_cap_bytes is None:
            return "none"
        units = (("GiB", 1 << 30), ("MiB", 1 << 20), ("B", 1))
        unit, scale = next(each for each in units if self.memory_cap_bytes % each[1] == 0)
        return f"{self.memory_cap_bytes // scale} {unit} by {self.memory_cap_by}"

    @property
    def l2_cache(self) -> str:
        """What the device's L2 cache holds when a call begins, in words."""
        return self.l2 or "not applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Whether a runner can be used here: its versions and devices, or the reason why not."""

    available: bool
    reason: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
