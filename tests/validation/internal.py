"""OpenVINO with the time that its own request gives for each call, which is what its `benchmark_app` reports.

`InferRequest.latency` (milliseconds) is read after the sample has ended, so that the latency of the ordinary layer,
`bound_wall`, stays what it is. The times stand in the proof's details, the newest last.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from steelyard.core.backend import BackendSpec
from steelyard.core.lowered import LoweredProgram
from steelyard.core.result import Proof
from steelyard.core.runner import Arrays, Binding, Executable
from tests.validation.wrapped import Wrapped, WrappedBinding, WrappedExecutable

PATH = "tests.validation.internal:Internal"
DETAIL = "runtime_internal_s"


class Internal(Wrapped):
    """`openvino` with its requests' own times; the options are passed on."""

    accepts: ClassVar[Mapping[str, str]] = {"kv_cache": "as of openvino: in_place or ping_pong"}

    @classmethod
    def wrapped(cls, backend: BackendSpec) -> BackendSpec:
        """OpenVINO with the same options."""
        return BackendSpec(runner="openvino", options=backend.options)

    def load(self, program: LoweredProgram) -> Executable:
        """See `Runner`."""
        return _ToldExecutable(self, self.inner.load(program))


class _ToldExecutable(WrappedExecutable):
    def __init__(self, runner: Internal, inner: Executable) -> None:
        super().__init__(runner, inner)
        self._told: list[float] = []

    def bind(self, inputs: Arrays) -> Binding:
        return _ToldBinding(self.inner.bind(inputs), self._told)

    def proof(self) -> Proof:
        found = self.inner.proof()
        return dataclasses.replace(found, details={**found.details, DETAIL: list(self._told)})


class _ToldBinding(WrappedBinding):
    def __init__(self, inner: Any, told: list[float]) -> None:
        super().__init__(inner)
        self._told = told

    def settle(self) -> None:
        self._told.append(self.inner.request.latency * 1e-3)  # type: ignore[attr-defined]
        super().settle()
