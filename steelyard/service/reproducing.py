"""A case written as a folder that reproduces it without this project: lowered as it was, checked, copied."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard import plugins, wire
from steelyard.artifact.replay import points_here, settings, suite_of
from steelyard.artifact.repro import INPUTS, README, REFERENCES, SCRIPT, Chosen, choose, readme, script_of, script_text
from steelyard.core.errors import LoweringError, SteelyardError, StoreError, UsageError
from steelyard.core.lowered import LoweredPoint
from steelyard.core.run import Run
from steelyard.core.script import Script
from steelyard.engine.inputs import tensors
from steelyard.engine.lower import facts as facts_of
from steelyard.engine.lower import lower_points
from steelyard.guard.child import module_command
from steelyard.guard.environment import for_child
from steelyard.guard.scratch import scratch
from steelyard.lowering.cache import Cache, cache_root
from steelyard.lowering.format import EAGER_FORMAT
from steelyard.lowering.standalone import ModelRequest, ModuleRequest, Requests
from steelyard.tables.facts import gather

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.generic]]

_MOST_BYTES = 64 << 20
"""Up to so many bytes of inputs are written: a KV cache is large, and one set of it is enough."""
_TAIL = 2000


def write_repro(
    run: Run,
    wanted: str,
    output: Path | None,
    say: Callable[[str], None],
    *,
    backend: str = "",
    weights: Path | None = None,
    trust: bool = False,
) -> Path:
    """Write the folder and return it; default: `repro-WORKLOAD-BACKEND` here.

    Raises UsageError for a case that is not there and for a folder that is not empty, Unsupported for a case that no
    script can show, StoreError where what is lowered here would be other work than the run measured.
    """
    chosen = choose(gather(run), wanted, backend)
    if ":" in chosen.arm.backend.runner and not trust:
        raise UsageError(f"{chosen.arm.label} is code of its own: look at it, install it, then use --trust")
    folder = output or Path(f"repro-{chosen.point.workload}-{_file_name(chosen.arm.label)}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and not an empty folder: choose another --output")
    with Cache(cache_root()).lease(), scratch() as work:
        lowered, notes = _lowered(chosen, weights, say, trust=trust)
        script = script_of(chosen, lowered)
        files = {path.name: path for path in script.files} | _made(script, lowered, work)
        files |= _sets(chosen, lowered, work)
        (work / SCRIPT).write_text(script_text(chosen, lowered, script), encoding="utf-8")
        files[SCRIPT] = work / SCRIPT
        sizes = {name: path.stat().st_size for name, path in files.items()}
        text = readme(chosen, lowered, script, sizes, (*notes, *_remarks(chosen)))
        (work / README).write_text(text, encoding="utf-8")
        files[README] = work / README
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, path in files.items():
                shutil.copyfile(path, folder / name)
        except OSError as error:
            raise SteelyardError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return folder


def _lowered(
    chosen: Chosen, weights: Path | None, say: Callable[[str], None], *, trust: bool
) -> tuple[LoweredPoint, tuple[str, ...]]:
    """The point as the cache has it, or lowered again, and what of it is not the run's."""
    manifest, key = chosen.facts.run.manifest, chosen.point.key
    suite = suite_of(settings(manifest).suite, trust=trust)
    (point,) = points_here(replace(manifest, cases=(chosen.case,)), suite, weights)
    needed = plugins.runner(chosen.arm.backend.runner).needs(chosen.arm.backend)
    formats = [name for name in needed if name != EAGER_FORMAT]
    done, failed = lower_points((point,), formats, weights_dir=weights, device_kind=chosen.case.device_kind, say=say)
    if key in failed:
        raise LoweringError(f"{point.title}: {failed[key].reason}")
    stored, here = manifest.lowered.get(key), facts_of(done[key])
    if stored is None:
        raise StoreError(f"{manifest.run_id} does not say what it lowered for {point.title}")
    if unlike := here.identity.unlike(stored.identity):
        raise StoreError(
            f"nothing was written: {' and '.join(unlike)} of {point.title} are not what the run had; use the same "
            "versions, and --weights where the run did"
        )
    others = [name for name, digest in here.artifact_sha256.items() if stored.artifact_sha256.get(name) != digest]
    notes = tuple(f"The {name} was lowered anew and is not, byte for byte, what the run had." for name in others)
    return done[key].within(chosen.case.tolerance), notes


def _made(script: Script, lowered: LoweredPoint, work: Path) -> dict[str, Path]:
    """What is written in a process of its own, by file name: see `steelyard.lowering.standalone`."""
    (program,) = lowered.programs.values()
    module = ModuleRequest(program=program.program, weights_file=program.weights_file, output=str(work / script.model))
    modules = (module,) if script.exports_module else ()
    onnx = [path for path in script.files if path.suffix == ".onnx"]
    models = tuple(ModelRequest(model=str(path), output=str(work / path.name)) for path in onnx)
    if not modules and not models:
        return {}
    asked = Requests(modules=modules, models=models)
    (work / "request.json").write_bytes(wire.encode(asked))
    command = module_command("steelyard.lowering.standalone", str(work / "request.json"))
    done = subprocess.run(command, env=for_child(temporary=work), capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoweringError(f"{program.program.name}: not written: {done.stderr.strip()[-_TAIL:] or 'no reason given'}")
    outputs = [*(each.output for each in modules), *(each.output for each in models)]
    return {Path(output).name: Path(output) for output in outputs}


def _sets(chosen: Chosen, lowered: LoweredPoint, work: Path) -> dict[str, Path]:
    """Inputs and references of as many sets as are small enough, one at least."""
    import numpy as np

    (program,) = lowered.programs.values()
    each = sum(spec.bytes for spec in program.program.inputs)
    pool = lowered.pool[: max(1, _MOST_BYTES // max(each, 1))]
    sides = {
        INPUTS: [tensors(entry.inputs) for entry in pool],
        REFERENCES: [tensors(entry.reference) for entry in pool],
    }
    for name, sets in sides.items():
        arrays: dict[str, Any] = dict(_flat(sets))
        np.savez(work / name, **arrays)
    return {name: work / name for name in sides}


def _flat(sets: "Sequence[Arrays]") -> "Iterator[tuple[str, NDArray[np.generic]]]":
    """Arrays by `SET.NAME`; a bfloat16 as its bits, for which numpy has no type of its own."""
    for index, arrays in enumerate(sets):
        for name, array in arrays.items():
            yield f"{index}.{name}", array.view("uint16") if array.dtype.name == "bfloat16" else array


def _remarks(chosen: Chosen) -> Iterator[str]:
    budget = chosen.case.budget
    if budget.memory_cap_bytes is not None:
        yield f"The run had a memory cap of {budget.memory_cap}; the script has none."
    if chosen.result.status != "ok":
        yield "No launch of this case ended ok, so that its times are in no report."


def _file_name(label: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in label).strip("-")
