"""Launches of which nothing is timed, several at once: as many as the CPUs and the memory hold."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace

from steelyard.engine.launch import LaunchInterrupted, LaunchOutcome, Running
from steelyard.engine.plan import Request
from steelyard.engine.protocol import LaunchRequest
from steelyard.guard.cgroup import free_memory_bytes

_LAUNCH_BYTES = 3e9
"""What is taken to be enough for a launch of a small model, with the compilers that it starts."""


def at_once(request: Request) -> int:
    """How many launches of a run may share the machine: one where anything is timed, and where they would share a
    device or a limit of memory."""
    shared = request.device.kind != "cpu" or request.budget.memory_cap_bytes is not None
    if shared or request.scenario != "correctness":
        return 1
    return max(1, min(len(request.budget.cpus), int(free_memory_bytes() // _LAUNCH_BYTES)))


def run_at_once(
    requests: Sequence[LaunchRequest],
    count: int,
    *,
    begin: Callable[[LaunchRequest], None],
    keep: Callable[[LaunchRequest, LaunchOutcome], None],
    timeouts: Mapping[str, float],
    origin_s: float,
) -> None:
    """Run launches to their ends, `count` at a time, in their order; time-outs are so many times as long.

    `begin` and `keep` are called in this thread. Raises LaunchInterrupted on Ctrl-C; whatever ends it, no process of a
    launch is left.
    """
    longer = {stage: count * seconds for stage, seconds in timeouts.items()}
    running: dict[Future[LaunchOutcome], tuple[LaunchRequest, Running]] = {}

    def keep_ended() -> None:
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            request, launch = running.pop(future)
            launch.close()
            keep(request, future.result())

    with ThreadPoolExecutor(count) as pool:
        try:
            for request in requests:
                while len(running) == count:
                    keep_ended()
                begin(request)
                launch = Running(request, origin_s=origin_s, timeouts=longer, on_event=lambda event: None)
                launch.__enter__()
                running[pool.submit(_to_its_end, launch)] = request, launch
            while running:
                keep_ended()
        except KeyboardInterrupt:
            raise LaunchInterrupted from None
        finally:
            for _, launch in running.values():
                launch.end()
            wait(running)  # what a thread listens to is closed only once it has seen the end
            for _, launch in running.values():
                launch.close()


def _to_its_end(launch: Running) -> LaunchOutcome:
    """Its outcome, without what it read of the others on the machine: those are its neighbours."""
    outcome = launch.ended(launch.go())
    outcome.record = replace(outcome.record, noise={})
    return outcome
