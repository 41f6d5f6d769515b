"""How a launch begins: its folders with the request in them, the environment of its process, the process."""

import random
import subprocess
from collections.abc import Mapping
from pathlib import Path

from steelyard import plugins, wire
from steelyard.core.errors import SteelyardError
from steelyard.core.runner import LaunchContext
from steelyard.engine.protocol import LaunchRequest
from steelyard.guard.environment import for_child

MARK = "STEELYARD_LAUNCH"
"""Every process that a launch starts inherits this variable."""


def environment(request: LaunchRequest) -> dict[str, str]:
    """The worker's environment: that of every child, the runner's own, random padding.

    Its temporary folder is the launch's compile cache: what a runtime keeps there, whatever its own cache is, a cold
    launch does not find of an earlier run, and the arm's warm ones do.

    The size of the environment moves the stack and with it the speed of some programs; a random one
    per launch turns that bias into noise that the intervals see.
    """
    source = random.Random(request.seed)  # noqa: S311 (design of experiment)
    runner = plugins.runner(request.backend.runner)
    own = {
        **runner.environment(_context(request)),
        "PYTHONHASHSEED": str(source.randrange(2**32)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "STEELYARD_PADDING": "x" * source.randrange(4096),
        MARK: request.launch,
    }
    apart = request.backend.environment is not None
    return for_child(own, temporary=Path(request.compile_cache), apart=apart)


def prepared(request: LaunchRequest) -> tuple[Path, Path]:
    """The launch's folders with the request in them, and where its log will lie. Raises SteelyardError, as on a full
    disk."""
    scratch = Path(request.scratch)
    request_file, log_file = scratch / "request.json", scratch / "log.txt"
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        Path(request.compile_cache).mkdir(parents=True, exist_ok=True)
        request_file.write_bytes(wire.encode(request))
        log_file.touch()
    except OSError as error:
        raise SteelyardError(
            f"{scratch}: a launch cannot be prepared there: {error.strerror or error}; free some space, or set TMPDIR "
            "to another disk; what was measured is kept, and bench run --resume goes on"
        ) from error
    return request_file, log_file


def started(
    command: list[str], variables: Mapping[str, str], log_file: Path, *descriptors: int
) -> "subprocess.Popen[bytes]":
    """The worker, in a session of its own. Raises SteelyardError, as where no more processes are allowed."""
    try:
        with log_file.open("wb") as log:
            return subprocess.Popen(
                command,
                pass_fds=descriptors,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise SteelyardError(
            f"a launch cannot be started: {error.strerror or error}; end other programs, or raise the limits of "
            "processes and memory (ulimit -a); what was measured is kept, and bench run --resume goes on"
        ) from error


def _context(request: LaunchRequest) -> LaunchContext:
    return LaunchContext(
        backend=request.backend,
        device=request.device,
        budget=request.budget,
        compile_cache=Path(request.compile_cache),
        scratch=Path(request.scratch),
    )
