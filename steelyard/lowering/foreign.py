"""A model of somebody else, read in a process of its own: what it does to its reader stays there.

    python -m steelyard.lowering.foreign SOURCE PATH SHAPES INPUTS ANSWER

writes the program that the source finds under the path, or the error that it raises, into the file ANSWER, and the
arrays of the file INPUTS, if that is not empty, into the cache. What it prints, and what outlives it, is nobody's.
"""

import contextlib
import json
import os
import signal
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
from steelyard.guard.scratch import scratch
from steelyard.lowering.origin import Source
from steelyard.lowering.own.inputs import keep
from steelyard.measure.telemetry import without_telemetry

TIMEOUT_S = 300.0
_ERRORS = {kind.__name__: kind for kind in (UsageError, CheckpointError)}


def program_of(
    source: str, path: Path, shapes: Mapping[str, tuple[int, ...]], inputs: str = "", timeout_s: float = TIMEOUT_S
) -> Program:
    """The program under a path (see `Source.program_of`), with `inputs` put into the cache (see `own.inputs.keep`).

    Raises what the source raises, and CheckpointError where reading ended the process, or took longer than `timeout_s`.
    """
    with scratch() as folder:
        answer, log = folder / "answer.json", folder / "log.txt"
        arguments = (source, str(path), json.dumps(shapes), inputs, str(answer))
        code = _run(module_command("steelyard.lowering.foreign", *arguments), log, timeout_s)
        if code is None:
            raise CheckpointError(f"{path.name}: reading it took more than {timeout_s:g} s, and was ended")
        if answer.is_file():
            name, text = json.loads(answer.read_text())
            if name == Program.__name__:
                return wire.decode(text, Program, path.name)
            raise _ERRORS.get(name, SteelyardError)(text)
        told = log.read_text(errors="replace").strip().splitlines()
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    raise CheckpointError(f"{path.name}: reading it ended the process ({how}){f': {told[-1]}' if told else ''}")


def _run(command: list[str], log: Path, timeout_s: float) -> int | None:
    """The exit code of a command, None where it took too long. What it started ends with it."""
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env=for_child(),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _main(name: str, path: str, shapes: str, inputs: str, answer: str) -> None:
    without_telemetry()
    source = cast(Source, plugins.source(name))
    given = {key: tuple(extents) for key, extents in json.loads(shapes).items()}
    try:
        program = source.program_of(Path(path), given)
        if inputs:
            keep(inputs, program)
        found = [Program.__name__, wire.encode(program).decode()]
    except SteelyardError as error:
        found = [type(error).__name__, str(error)]
    except Exception as error:  # noqa: BLE001 (whatever a reader of foreign bytes raises)
        found = ["CheckpointError", f"{Path(path).name}: {reason_of(error)}"]
    draft = Path(f"{answer}.part")
    draft.write_text(json.dumps(found))
    draft.replace(answer)


if __name__ == "__main__":
    sys.path.append(os.getcwd())  # last: a user's file must not shadow a package
    _main(*sys.argv[1:])
