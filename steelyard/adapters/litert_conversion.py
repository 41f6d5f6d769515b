"""An exported program as LiteRT's file, made by litert-torch in a process of its own and kept in the launch's cache.

    python -m steelyard.adapters.litert_conversion REQUEST

The converter brings torch and JAX with it, which have no business in the process that is timed. Its integers are of 32
bits. What XNNPACK takes of the file is looked up there as well, in an interpreter that is thrown away.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steelyard import plugins, wire
from steelyard.adapters.bound import artifact_of
from steelyard.core.errors import SteelyardError, Unsupported
from steelyard.core.hashing import stable_hash
from steelyard.core.lowered import LoweredProgram
from steelyard.core.reason import reason_of
from steelyard.guard.child import module_command

PACKAGES = ("ai-edge-litert", "litert-torch", "torch")
_DELEGATE = "DELEGATE"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What is to be converted, and where the file shall lie."""

    program: LoweredProgram
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """How many parts of a file XNNPACK takes as a whole, and what is left to LiteRT's own kernels, by operator; or why
    there is no file."""

    delegates: int = 0
    own: Mapping[str, int] = field(default_factory=dict)
    failure: str = ""


def versions() -> dict[str, str]:
    """Those of the runtime, of the converter and of what it reads programs with."""
    from importlib.metadata import version

    return {name: version(name) for name in PACKAGES}


def converted(program: LoweredProgram, cache: Path) -> tuple[Path, Taken]:
    """The file, unless the cache has it already, and what XNNPACK takes of it. Raises Unsupported with the converter's
    reason, and SteelyardError where its process ended otherwise."""
    artifact = artifact_of(program, "pt2")
    key = stable_hash([artifact.sha256, program.weights_file, *versions().values()], 24)
    file = cache / "litert" / f"{key}.tflite"
    told = file.with_suffix(".json")
    if not told.is_file():
        request = file.with_suffix(".request.json")
        wire.write(request, _Request(program=program, file=str(file)))
        ended = subprocess.run(
            module_command(__name__, str(request)), capture_output=True, text=True, check=False, env=dict(os.environ)
        )
        request.unlink()
        if ended.returncode or not told.is_file():
            raise SteelyardError(f"litert-torch ended with {ended.returncode}: {_last_line(ended.stderr)}")
    taken = wire.read(told, Taken)
    if taken.failure:
        raise Unsupported(f"litert-torch: {taken.failure}")
    return file, taken


def main() -> None:
    """Convert, and write down what XNNPACK takes, or what the converter says."""
    request = wire.read(Path(sys.argv[1]), _Request)
    file = Path(request.file)
    try:
        _convert(request.program, file)
    except Exception as error:  # noqa: BLE001 (whatever the converter raises is the reason of a row)
        taken = Taken(failure=reason_of(error))
    else:
        taken = _taken(file)
    wire.write(file.with_suffix(".json"), taken)


def _convert(lowered: LoweredProgram, file: Path) -> None:
    import litert_torch

    from steelyard.lowering.source import example_inputs

    artifact = artifact_of(lowered, "pt2")
    exported = plugins.format_("pt2").load(artifact, lowered.program, lowered.weights_file)
    module = exported.module(check_guards=False)
    litert_torch.convert(module, tuple(example_inputs(lowered.program))).export(str(file))


def _taken(file: Path) -> Taken:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file), num_threads=1)
    interpreter.allocate_tensors()
    ends = [each["index"] for each in interpreter.get_output_details()]
    executed = Counter(each["op_name"] for each in executed_nodes(interpreter._get_ops_details(), ends))
    return Taken(delegates=executed.pop(_DELEGATE, 0), own=dict(executed.most_common()))


def executed_nodes(nodes: Sequence[Mapping[str, Any]], outputs: Iterable[int]) -> list[Mapping[str, Any]]:
    """Of the nodes that an interpreter lists, in its order, those that compute its outputs: what a delegate has taken
    stands in the list, too, before the delegate that computes the same tensors."""
    maker = {tensor: node for node in nodes for tensor in node["outputs"]}
    wanted, found = list(outputs), {}
    while wanted:
        node = maker.pop(wanted.pop(), None)
        if node is not None:
            found[node["index"]] = node
            wanted += [tensor for tensor in node["inputs"] if tensor >= 0]
    return [found[index] for index in sorted(found)]


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")


if __name__ == "__main__":
    main()
