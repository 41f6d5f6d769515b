"""A real backend slowed down by a known fraction: what the minimum detectable effect is tried on.

`tests.calibration.slowed:Slowed[of=onnxruntime,by=0.05]` is `onnxruntime` whose every `run()` goes on spinning, once
the wrapped call has returned, for 5 % of the time which that very call took. So the slowdown follows whatever the
call's own time does: noise, drift, the mood of a thread pool. Two reads of the clock and the last turn of the spin
come on top, some 0.2 us a call. Outputs, proof and correctness are the wrapped backend's. What stands in a sample
beside `run()` (feeding tokens back, in `generate`) is not slowed.
"""

import math
from collections.abc import Mapping
from typing import ClassVar

from steelyard.core.backend import BackendSpec
from steelyard.core.errors import UsageError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import Arrays, Binding, Executable, LaunchContext
from steelyard.measure.clock import CLOCK
from tests.validation.wrapped import Wrapped, WrappedBinding, WrappedExecutable

PATH = "tests.calibration.slowed:Slowed"


def slowed(backend: str, by: float) -> str:
    """The backend `backend` slowed down by the fraction `by`, as one writes it."""
    return f"{PATH}[by={by:g},of={backend}]"


class Slowed(Wrapped):
    """The backend `of`, slower by the fraction `by`."""

    accepts: ClassVar[Mapping[str, str]] = {
        **Wrapped.accepts,
        "by": "how much longer a call takes, as a fraction of its own time: 0.05 is 5 %",
    }

    def __init__(self, context: LaunchContext) -> None:
        super().__init__(context)
        self.by = _fraction(context.backend)

    @classmethod
    def wrapped(cls, backend: BackendSpec) -> BackendSpec:
        """See `Wrapped`. Raises UsageError for a fraction that is none, too."""
        _fraction(backend)
        return super().wrapped(backend)

    def load(self, program: LoweredProgram) -> Executable:
        """See `Runner`."""
        return _SlowedExecutable(self, self.inner.load(program), self.by)


class _SlowedExecutable(WrappedExecutable):
    def __init__(self, runner: Slowed, inner: Executable, by: float) -> None:
        super().__init__(runner, inner)
        self._by = by

    def bind(self, inputs: Arrays) -> Binding:
        return SlowedBinding(self.inner.bind(inputs), self._by)


class SlowedBinding(WrappedBinding):
    """A binding whose call takes longer by the fraction `by`."""

    def __init__(self, inner: Binding, by: float) -> None:
        super().__init__(inner)
        self._by = by

    def run(self) -> None:
        """The call, and a spin of so much of its time."""
        begun = CLOCK()
        self.inner.run()
        ended = CLOCK()
        until = ended + round((ended - begun) * self._by)
        while CLOCK() < until:
            pass


def _fraction(backend: BackendSpec) -> float:
    text = backend.options.get("by", "")
    try:
        by = float(text)
    except ValueError:
        by = -1.0
    if not (math.isfinite(by) and by >= 0):
        raise UsageError(f"backend '{backend.text}': by={text or 'nothing'} is no fraction; give e.g. by=0.05 for 5 %")
    return by
