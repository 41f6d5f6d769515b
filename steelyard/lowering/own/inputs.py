"""Inputs of a model of the user's own: random by a seed, or the arrays of a file (`--inputs FILE.npz`).

The arrays are kept in the cache under the digest of the file's bytes, which the point's settings hold. So what is
measured on is part of the identity, and a run is gone on with without the file.
"""

import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from steelyard.core.errors import CheckpointError, UsageError, unknown_name
from steelyard.core.hashing import file_sha256
from steelyard.core.reason import reason_of
from steelyard.core.suites_code import suites_code
from steelyard.core.workload import ARRAYS, Point, Program, TensorSpec
from steelyard.lowering.cache import Cache, cache_root
from steelyard.plugins import load_attribute

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_FILE = "inputs.npz"
_DIGITS = 24
_LARGEST_BYTES = 4 << 30
_AS_WRITTEN = {"bfloat16": "float32"}
"""What numpy has no type for is written as this one."""


def digest_of(text: str) -> str:
    """The digest by which the inputs are known: of the bytes of a file `text`, or itself where it already is one.

    Raises UsageError for what is neither.
    """
    if re.fullmatch(rf"[0-9a-f]{{{_DIGITS}}}", text):
        return text
    path = Path(text)
    if not path.is_file():
        raise UsageError(f"--inputs {path}: there is no such file")
    if not zipfile.is_zipfile(path):
        raise UsageError(f"--inputs {path.name}: not a file of arrays by name: write it with numpy.savez")
    return file_sha256(path)[:_DIGITS]


def keep(text: str, program: Program) -> None:
    """Put the file's arrays into the cache, or see that they are there. Raises UsageError where they do not fit the
    program's inputs, and CheckpointError where only their digest is known."""
    digest, path = digest_of(text), Path(text)
    cache, key = Cache(cache_root()), f"inputs-{digest}"
    if text == digest:
        _kept(cache, digest)
        return
    _arrays(path, program)

    def copy(directory: Path) -> Mapping[str, Any]:
        shutil.copyfile(path, directory / _FILE)
        return {}

    cache.obtain("points", key, label=f"inputs of {program.name}", made_with={}, build=copy)


def input_sets(point: Point, count: int) -> "list[dict[str, Array]]":
    """`count` input sets of the point's program by name; of a file with fewer, each several times. Where the point
    names a function for them (`ARRAYS`) it is called as `arrays(point, index)`."""
    program, digest = point.programs["main"], point.settings.get("inputs")
    if made_by := point.settings.get(ARRAYS):
        make = load_attribute(made_by)
        with suites_code(made_by):
            return [make(point, index) for index in range(count)]
    if digest is None:
        return [seeded(program, index) for index in range(count)]
    found = _arrays(_kept(Cache(cache_root()), digest), program)
    return [found[index % len(found)] for index in range(count)]


def seeded(program: Program, index: int) -> "dict[str, Array]":
    """Input set `index`: floating-point numbers standard normal, whole ones 0 or 1, or between the two numbers that
    the program's arguments name (`between`). What numpy has no type for is float32."""
    import numpy as np

    source = np.random.default_rng(index)
    between = program.arguments.get("between", {})

    def of(spec: TensorSpec) -> "Array":
        if "float" in spec.dtype:
            return source.standard_normal(spec.shape).astype(_AS_WRITTEN.get(spec.dtype, spec.dtype))
        low, high = between.get(spec.name, (0, 1))
        return source.integers(low, high, spec.shape, endpoint=True).astype(spec.dtype)

    return {spec.name: of(spec) for spec in program.inputs}


def _kept(cache: Cache, digest: str) -> Path:
    entry = cache.find("points", f"inputs-{digest}")
    if entry is None:
        raise CheckpointError(
            f"the input arrays {digest} are not in the cache {cache.root} any more: start a new run with --inputs FILE"
        )
    return entry.path / _FILE


def _arrays(path: Path, program: Program) -> "list[dict[str, Array]]":
    """The input sets of a file: an array per input, of its shape, or with one more extent in front, the number of sets.
    Raises UsageError for any difference; nothing is unpickled, and no array is read before its size is known."""
    import numpy as np

    specs = {spec.name: spec for spec in program.inputs}
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if stray := next((name for name in names if name not in specs), None):
                raise unknown_name(f"input of {program.name}", stray, specs)
            if lacking := next((name for name in specs if name not in names), None):
                raise UsageError(
                    f"--inputs: no array '{lacking}', which {program.name} takes as {specs[lacking].declared}; the "
                    f"file has {', '.join(names) or 'none'}: write all of them with numpy.savez"
                )
            counts = {name: _count(archive.open(f"{name}.npy"), spec) for name, spec in specs.items()}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{name} {count or 'no'}" for name, count in counts.items())
            raise UsageError(f"--inputs: all arrays hold the same number of sets, in one more extent in front: {told}")
        count = next(iter(counts.values()), None) or 1
        if count * sum(spec.bytes for spec in specs.values()) > _LARGEST_BYTES:
            raise UsageError(f"--inputs: more than {_LARGEST_BYTES >> 30} GiB of arrays: give fewer sets")
        with np.load(path, allow_pickle=False) as read:
            whole = {name: read[name].reshape((count, *spec.shape)) for name, spec in specs.items()}
    except UsageError:
        raise
    except Exception as error:  # whatever a reader of foreign bytes raises
        raise UsageError(f"--inputs: not a readable .npz file: {reason_of(error)}") from error
    return [{name: np.asarray(array[index], order="C") for name, array in whole.items()} for index in range(count)]


def _count(stream: IO[bytes], spec: TensorSpec) -> int | None:
    """How many sets an array holds, by its header; None for one that is a set itself."""
    from numpy.lib import format as npy

    with stream:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream)
    if dtype.name == _AS_WRITTEN.get(spec.dtype, spec.dtype):
        if shape == spec.shape:
            return None
        if shape[1:] == spec.shape and len(shape) == len(spec.shape) + 1 and shape[0] > 0:
            return int(shape[0])
    raise UsageError(
        f"--inputs: array '{spec.name}' is {dtype.name}{list(shape)}, not {spec.declared}: give that, or several such "
        "along one more extent in front"
    )
