"""A file of somebody else, read in a process of its own: what it does to its reader stays there.

    python -m steelyard.lowering.foreign SOURCE PATH SHAPES

prints the program that the source finds in the file as one line of JSON, or the error that it raises.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from steelyard import plugins, wire
from steelyard.core.errors import CheckpointError, SteelyardError, UsageError
from steelyard.core.reason import reason_of
from steelyard.core.workload import Program
from steelyard.guard.child import module_command
from steelyard.guard.environment import for_child
from steelyard.lowering.origin import Source
from steelyard.measure.telemetry import without_telemetry

TIMEOUT_S = 300.0
_PROGRAM, _ERROR = "steelyard-program ", "steelyard-error "
_ERRORS = {kind.__name__: kind for kind in (UsageError, CheckpointError)}


def program_of(source: str, path: Path, shapes: Mapping[str, tuple[int, ...]], timeout_s: float = TIMEOUT_S) -> Program:
    """The program in a file (see `Source.program_of`). Raises what the source raises, and CheckpointError where reading
    the file ended the process, or took longer than `timeout_s`."""
    command = module_command("steelyard.lowering.foreign", source, str(path), json.dumps(shapes))
    try:
        done = subprocess.run(
            command, env=for_child(), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise CheckpointError(f"{path.name}: reading it took more than {timeout_s:g} s, and was ended") from None
    for line in done.stdout.decode(errors="replace").splitlines():
        if line.startswith(_PROGRAM):
            return wire.decode(line.removeprefix(_PROGRAM), Program, path.name)
        if line.startswith(_ERROR):
            name, text = json.loads(line.removeprefix(_ERROR))
            raise _ERRORS.get(name, SteelyardError)(text)
    told = done.stderr.decode(errors="replace").strip().splitlines()
    how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    raise CheckpointError(f"{path.name}: reading it ended the process ({how}){f': {told[-1]}' if told else ''}")


def _main(name: str, path: str, shapes: str) -> None:
    without_telemetry()
    source = cast(Source, plugins.source(name))
    given = {key: tuple(extents) for key, extents in json.loads(shapes).items()}
    try:
        line = _PROGRAM + wire.encode(source.program_of(Path(path), given)).decode()
    except SteelyardError as error:
        line = _ERROR + json.dumps([type(error).__name__, str(error)])
    except Exception as error:  # noqa: BLE001 (whatever a reader of foreign bytes raises)
        line = _ERROR + json.dumps(["CheckpointError", f"{Path(path).name}: {reason_of(error)}"])
    print(line, flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
