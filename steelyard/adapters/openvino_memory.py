"""What OpenVINO tells of the memory of values: nothing."""

from typing import Any, NoReturn

from steelyard.core.errors import Unsupported
from steelyard.core.lowered import LoweredProgram
from steelyard.core.runner import Arrays, Runner


def memory(runner: Runner, program: LoweredProgram, executable: Any, inputs: Arrays) -> NoReturn:
    """See `Runner.tells`. Raises Unsupported."""
    raise Unsupported("OpenVINO tells the shapes of values, but not where it puts them or what it allocates")
