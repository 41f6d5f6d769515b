"""A runner of that format: a product in numpy."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from steelyard.core.backend import Availability
from steelyard.core.result import Proof
from steelyard.core.runner import Binding, Executable, Runner


class RowsBinding(Binding):
    """y = x @ w."""

    def __init__(self, weight, inputs):
        self.weight, self.inputs = weight, dict(inputs)

    def run(self):
        """The product."""
        self.y = self.inputs["x"] @ self.weight

    def read(self, names=None):
        """A copy."""
        return {"y": self.y.copy()}

    def settle(self):
        """Nothing to do."""


class RowsExecutable(Executable):
    """The weight as an array."""

    execution_mode: ClassVar[Mapping[str, str]] = {"weights": "an array"}
    options: ClassVar[Mapping[str, object]] = {}

    def __init__(self, program, threads):
        self.artifact, self.threads = program.artifacts["csv"], threads

    def compile(self):
        """Read it."""
        import numpy as np

        self.weight = np.loadtxt(Path(self.artifact.directory) / self.artifact.entry, delimiter=",", dtype=np.float32)

    def bind(self, inputs):
        """See `RowsBinding`."""
        return RowsBinding(self.weight, inputs)

    def proof(self):
        """What numpy says."""
        import numpy as np

        return Proof(
            runtime="numpy",
            versions={"numpy": np.__version__},
            platform="cpu",
            dtype=str(self.weight.dtype),
            threads=self.threads,
            placement={"cpu": 1},
        )


class Rows(Runner):
    """See the module."""

    formats = ("csv",)
    tunings: ClassVar[Mapping[str, Mapping[str, object]]] = {"default": {}, "max": {}}
    keeps_cache = ""
    idle = "an example"

    @classmethod
    def availability(cls, backend, device_kind):
        """On every CPU."""
        return Availability(available=device_kind == "cpu", reason="it is for CPUs")

    def start(self):
        """Import numpy."""
        import numpy  # noqa: F401

    def load(self, program):
        """See `RowsExecutable`."""
        return RowsExecutable(program, self.context.budget.threads)
