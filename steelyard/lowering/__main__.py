"""`python -m steelyard.lowering REQUEST.json RESPONSE.json`: lowering in a process of its own.

Exits 0 with a response even if some or all points failed; the response says so. Any error of the
request as a whole goes to stderr with the error's exit code.
"""

import os
import sys
from pathlib import Path

from steelyard import wire
from steelyard.core.errors import SteelyardError
from steelyard.lowering.ahead import ahead, reporter
from steelyard.lowering.lower import lower
from steelyard.lowering.request import LoweringRequest


def main(arguments: list[str]) -> int:
    """Read the request, lower, write the response in one step."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m steelyard.lowering REQUEST.json RESPONSE.json\n")
        return 2
    try:
        request = wire.read(Path(arguments[0]), LoweringRequest)
        with ahead(request, Path(arguments[0])):
            response = lower(request, reporter(request))
    except SteelyardError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    target = Path(arguments[1])
    draft = target.with_name(target.name + ".part")
    draft.write_bytes(wire.encode(response))
    draft.replace(target)
    return 0


if __name__ == "__main__":
    sys.path.append(os.getcwd())  # last: a user's file must not shadow a package
    sys.exit(main(sys.argv[1:]))
