"""A search of a runtime's own (`Runner.tuner`), in a process of its own that is ended when it has had its time.

    python -m steelyard.engine.tuning REQUEST FD

starts the runner and writes what its search tells to the descriptor, one JSON line each, so that nothing told is lost
when it dies.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from steelyard import plugins, wire
from steelyard.core.backend import BackendSpec, Budget, Device
from steelyard.core.errors import SteelyardError
from steelyard.core.lowered import LoweredProgram
from steelyard.core.reason import reason_of
from steelyard.core.runner import LaunchContext
from steelyard.core.tuning import Part, Trial, Tried
from steelyard.environments.kept import interpreter
from steelyard.guard.child import module_command
from steelyard.guard.environment import for_child
from steelyard.guard.scratch import scratch
from steelyard.measure.telemetry import without_telemetry

_TAIL_BYTES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningRequest:
    """A program that a backend's own search is to make faster, in a folder for what is forgotten."""

    backend: BackendSpec
    device: Device
    budget: Budget
    program: LoweredProgram
    seed: int
    folder: str

    @property
    def context(self) -> LaunchContext:
        """As a launch has it."""
        folder = Path(self.folder)
        return LaunchContext(
            backend=self.backend,
            device=self.device,
            budget=self.budget,
            compile_cache=folder,
            scratch=folder,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a search says: first the program's parts, then what became of candidates; at its end why it failed, if it
    did."""

    parts: tuple[Part, ...] = ()
    tried: Tried | None = None
    ended: bool = False
    failure: str = ""


def trials(
    backend: BackendSpec,
    device: Device,
    budget: Budget,
    program: LoweredProgram,
    seed: int,
    *,
    until_s: float,
    silence_s: float,
) -> Generator[tuple[Part, ...] | Trial, None, None]:
    """The program's parts and then trials, until the search ends, this moment (`time.monotonic`) comes, or nobody asks
    any more. What a trial costs is told by the clock of this process.

    Raises SteelyardError where it fails, crashes, or says nothing for longer than `silence_s`.
    """
    with scratch() as folder:
        request = TuningRequest(
            backend=backend, device=device, budget=budget, program=program, seed=seed, folder=str(folder)
        )
        file, log = folder / "request.json", folder / "log.txt"
        file.write_bytes(wire.encode(request))
        reading, writing = os.pipe()
        own = plugins.runner(backend.runner).environment(request.context)
        with log.open("wb") as stream:
            process = subprocess.Popen(
                module_command("steelyard.engine.tuning", str(file), str(writing), python=interpreter(backend)),
                env=for_child(own, temporary=folder, apart=backend.environment is not None),
                pass_fds=(writing,),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        os.close(writing)
        begun = time.monotonic()
        try:
            for line in _lines(reading, until_s, silence_s):
                said = wire.decode(line, Told, "search")
                if said.failure:
                    raise SteelyardError(f"the search of {backend.text} failed: {said.failure}")
                if said.ended:
                    return
                if said.parts:
                    yield said.parts
                if said.tried is not None:
                    now = time.monotonic()
                    same = {field.name: getattr(said.tried, field.name) for field in fields(Tried)}
                    yield Trial(**same, cost_s=now - begun)
                    begun = now
            if time.monotonic() < until_s:
                tail = log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip()
                raise SteelyardError(f"the search of {backend.text} ended its process: {tail or 'it said nothing'}")
        except TimeoutError as error:
            raise SteelyardError(f"the search of {backend.text} said nothing for {silence_s:g} s") from error
        finally:
            os.close(reading)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _lines(descriptor: int, until_s: float, silence_s: float) -> Iterator[bytes]:
    """Whole lines, until there are no more or the time is over. Raises TimeoutError where none comes for so long."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while (left := until_s - time.monotonic()) > 0:
            if not selector.select(min(left, silence_s)):
                if silence_s < left:
                    raise TimeoutError
                continue
            read = os.read(descriptor, 1 << 16)
            if not read:
                return
            *lines, rest = (rest + read).split(b"\n")
            yield from lines


def main() -> None:
    """Start the runner, and pass on what its search says."""
    without_telemetry()
    request, descriptor = wire.read(Path(sys.argv[1]), TuningRequest), int(sys.argv[2])
    sys.path = [entry for entry in sys.path if entry not in ("", os.getcwd())] + [os.getcwd()]
    if request.budget.cpus:
        os.sched_setaffinity(0, request.budget.cpus)
    try:
        kind = plugins.runner(request.backend.runner)
        runner = kind(request.context)
        runner.start()
        search = plugins.load_attribute(kind.tuner)
        for said in search(runner, request.program, request.seed):
            wire.send(descriptor, Told(tried=said) if isinstance(said, Tried) else Told(parts=said))
        wire.send(descriptor, Told(ended=True))
    except Exception as error:  # noqa: BLE001 (whatever a foreign compiler raises is the reason)
        wire.send(descriptor, Told(ended=True, failure=reason_of(error)))
    os._exit(0)  # a compiler's threads must not hold up the exit


if __name__ == "__main__":
    main()
