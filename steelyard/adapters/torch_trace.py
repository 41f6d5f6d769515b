"""torch.profiler around calls: which operator, or kernel that Inductor generated, ran when and on which thread.

Read are the profiler's raw events: making the objects of `profile.events()` of them takes twenty times as long and ten
times the memory. On a CPU they are operators, nested as they call each other, and what surrounds them. On CUDA, ROCm
and XPU, which is untested, they are the device's own kernels, of the operators that launched them; the host, which runs
ahead, is left out. Torch prints lines `USDT:` to stderr, which cannot be silenced without its errors.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from steelyard.adapters.inductor_graph import Compiled, compiling
from steelyard.adapters.recorded import MARK, Events, check_calls, executed, recording
from steelyard.adapters.torch_executable import TorchExecutable
from steelyard.adapters.torch_kernels import by_bare_name, device_kernel, kernel
from steelyard.core.errors import SteelyardError, Unsupported
from steelyard.core.graph import Site, SourceNode
from steelyard.core.trace import Kernel, Recording
from steelyard.core.tracing import Tracer

_ACTIVITIES: Mapping[str, tuple[str, ...]] = {
    "cpu": ("CPU",),
    "cuda": ("CPU", "CUDA"),
    "xpu": ("CPU", "XPU"),
}
"""What torch.profiler records, by torch's word for the kind of device; ROCm answers to CUDA's."""

Lay = Callable[[Sequence[Kernel], Sequence[SourceNode]], tuple[Site, ...]]

_ON_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")
_RESOLUTION_NS = 1.0
_CALLED = "torch.profiler"


@contextlib.contextmanager
def inductor_apart(scratch: Path) -> Iterator[Compiled]:
    """What Inductor compiles meanwhile tells the profiler of each of its kernels, and us of what they were made; it is
    cached in `scratch` alone."""
    from torch._inductor import config
    from torch._inductor.utils import fresh_cache

    told = {"cpp.enable_kernel_profile": True, "cpp.descriptive_names": "original_aten"}
    with config.patch(told), fresh_cache(dir=str(scratch), delete=False), compiling() as compiled:
        yield compiled


class TorchTracer(Tracer):
    """A program that `Runner.load` gave, compiled here: within `inductor_apart` where Inductor may take part.

    `lay` lays what a call executed on the source graph.
    """

    def __init__(self, executable: TorchExecutable, device_type: str, lay: Lay) -> None:
        if device_type not in _ACTIVITIES:
            raise Unsupported(f"{_CALLED} records nothing that runs on {device_type}")
        executable.compile()
        self.executable = executable
        self._device_type, self._made, self._lay = device_type, 0, lay
        self._profile: Any = None

    def begin(self) -> None:
        """Start a profile of its own: one that is started again would make objects of all its events."""
        from torch.profiler import ProfilerActivity, profile

        if self._profile is not None:
            raise SteelyardError("begin() of a profile that has begun already: call end() first")
        started = profile(activities=[getattr(ProfilerActivity, name) for name in _ACTIVITIES[self._device_type]])
        started.start()
        self._profile, self._made = started, 0

    def call(self, run: Callable[[], None]) -> None:
        """One call inside a named range, which surrounds its events."""
        from torch.profiler import record_function

        with record_function(MARK):
            run()
        self._made += 1

    def end(self) -> Recording:
        """Stop the profile and read its events. Raises Unsupported where it saw nothing of what was called."""
        import torch

        if self._profile is None:
            raise SteelyardError("end() of a profile that has not begun: call begin() first")
        profile, self._profile = self._profile, None
        profile.stop()
        results = profile.profiler.kineto_results
        operators = by_bare_name(torch._C._dispatch_get_all_op_names())
        tell = on_host if self._device_type == "cpu" else on_device
        return tell(results.events(), results.trace_start_ns(), operators, self._made)

    def sites(self, recording: Recording, graph: Sequence[SourceNode]) -> tuple[Site, ...]:
        """See `Tracer`. Raises Unsupported for accelerators, whose kernels run in an order of their own."""
        if self._device_type != "cpu":
            raise Unsupported(f"kernels on {self._device_type} are not laid on the source graph")
        return self._lay(executed(recording), graph)


def on_host(raw: Sequence[Any], origin_ns: int, operators: Mapping[str, str], made: int) -> Recording:
    """The recording of calls on the CPU; times are told from `origin_ns` on, as whole nanoseconds of the clock."""
    calls = _calls(raw, origin_ns, made)
    raw = [event for event in raw if event.name() != MARK]  # around a call, and nothing of it
    names: dict[str, int] = {}
    places = np.fromiter((names.setdefault(event.name(), len(names)) for event in raw), np.int64, len(raw))
    events = _columns(raw, origin_ns, places, [event.start_thread_id() for event in raw])
    return _recorded(events, [kernel(name, operators) for name in names], calls)


def on_device(raw: Sequence[Any], origin_ns: int, operators: Mapping[str, str], made: int) -> Recording:
    """The recording of calls on an accelerator: its kernels and copies, each with the operators that launched it."""
    ran = [event for event in raw if event.activity_type() in _ON_DEVICE]
    launching = {event.correlation_id(): event.name() for event in raw if event.activity_type() == "cpu_op"}
    launched_by: dict[str, set[str]] = {}
    for event in ran:
        by = launched_by.setdefault(event.name(), set())
        if (operator := launching.get(event.linked_correlation_id())) is not None:
            by.add(operator)
    kernels = [device_kernel(name, by, operators) for name, by in launched_by.items()]
    names = {name: place for place, name in enumerate(launched_by)}
    places = [names[event.name()] for event in ran]
    events = _columns(ran, origin_ns, places, [event.device_resource_id() for event in ran])
    return _recorded(events, kernels, _calls(raw, origin_ns, made))


def _calls(raw: Sequence[Any], origin_ns: int, made: int) -> list[tuple[float, float]]:
    """When each call began and ended: the host's ranges."""
    marks = [event for event in raw if event.activity_type() == "user_annotation" and event.name() == MARK]
    check_calls(len(marks), made, _CALLED)
    begins = sorted((event.start_ns() - origin_ns, event.duration_ns()) for event in marks)
    return [(float(begin), float(begin + duration)) for begin, duration in begins]


def _columns(raw: Sequence[Any], origin_ns: int, kernel: ArrayLike, thread: ArrayLike) -> Events:
    # The whole number is taken first: since 1970 there are more nanoseconds than a float64 tells apart.
    start = np.fromiter((event.start_ns() - origin_ns for event in raw), np.float64, len(raw))
    duration = np.fromiter((event.duration_ns() for event in raw), np.float64, len(raw))
    return Events(kernel=kernel, thread=thread, start_ns=start, duration_ns=duration)


def _recorded(events: Events, kernels: Sequence[Kernel], calls: Sequence[tuple[float, float]]) -> Recording:
    told = recording(events, kernels, calls, resolution_ns=_RESOLUTION_NS)
    if all(kernel.wrapper for kernel in told.kernels):
        raise Unsupported(
            f"{_CALLED} saw nothing that computes in {len(calls)} calls: it runs outside PyTorch, or where no profiler "
            "looks"
        )
    return told
