"""Graph breaks of a module of the user's own, looked at in a process of its own."""

import subprocess
from collections.abc import Sequence

from steelyard import wire
from steelyard.core.breaks import Breaks, BreaksRequest
from steelyard.core.errors import SteelyardError, UsageError
from steelyard.engine.ends import signal_name
from steelyard.guard.child import module_command
from steelyard.guard.environment import for_child
from steelyard.guard.scratch import scratch

_TAIL = 2000


def look_for_breaks(
    factory: str, *, backend: str, shapes: Sequence[tuple[str, tuple[int, ...]]], seconds: float
) -> Breaks:
    """What torch.compile makes of the module of a factory. Raises UsageError where the factory, its module or its
    inputs do not work, and SteelyardError where the process ended without a word."""
    with scratch() as work:
        output = work / "breaks.json"
        request = BreaksRequest(
            factory=factory, backend=backend, shapes=tuple(shapes), seconds=seconds, output=str(output)
        )
        (work / "request.json").write_bytes(wire.encode(request))
        # Its compilers keep nothing: a graph from a cache would cost nothing to compile.
        own = {"TORCHINDUCTOR_CACHE_DIR": str(work / "inductor"), "TRITON_CACHE_DIR": str(work / "triton")}
        command = module_command("steelyard.adapters.torch_breaks", str(work / "request.json"))
        done = subprocess.run(
            command, env=for_child(own, temporary=work), stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        if done.returncode == 0 and output.is_file():
            return wire.read(output, Breaks)
    said = done.stderr.decode(errors="replace").strip()[-_TAIL:]
    if done.returncode == UsageError.exit_code and said:
        raise UsageError(said.splitlines()[-1])
    how = signal_name(-done.returncode) if done.returncode < 0 else f"exit code {done.returncode}"
    raise SteelyardError(f"{factory}: its process ended with {how} before it was done: {said or 'it said nothing'}")
