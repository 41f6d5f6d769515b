"""What lies in a file of `torch.export.save`, read by hand: `torch.export.load` unpickles what it finds.

The file is a zip archive of one folder: the program as JSON (`models/model.json`), and the bytes of each weight and
constant beside a table of them. Example inputs, and weights that torch cannot write as bytes, are pickles: the first
are left where they are, for the second the file is refused.
"""

import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.core.errors import CheckpointError
from steelyard.core.reason import reason_of

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

_PROGRAM, _WEIGHTS, _CONSTANTS = "models/model.json", "data/weights/", "data/constants/"
_DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64", 12: "bool",
    13: "bfloat16",
}  # fmt: skip
"""The numbers by which the tables name types (`torch._export.serde.schema.ScalarType`)."""
_OLD = "serialized_exported_program.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """The program as JSON, as it was found; weights and constants by their names in it, tied ones the same object."""

    program: Any
    weights: "Tensors"
    constants: "Tensors"


def read(path: Path) -> Archive:
    """Raises CheckpointError for a file that is no such archive, is damaged, or would have to be unpickled."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = _names(path, archive)
            return Archive(
                program=json.loads(archive.read(names[_PROGRAM])),
                weights=_tensors(path, archive, names, _WEIGHTS),
                constants=_tensors(path, archive, names, _CONSTANTS),
            )
    except CheckpointError:
        raise
    except Exception as error:  # whatever a reader of foreign bytes raises
        raise CheckpointError(f"{path.name}: not a readable file of torch.export.save: {reason_of(error)}") from error


def dtype_of(number: Any) -> str:
    """The name of a type, or what stands for it where there is none that is measured."""
    return _DTYPES.get(number, f"ScalarType {number}")


def _names(path: Path, archive: zipfile.ZipFile) -> dict[str, str]:
    """The members by their names below the archive's one folder. Members are as large as they are in the file."""
    members = archive.infolist()
    root = members[0].filename.partition("/")[0] if members else ""
    found = {member.filename.removeprefix(f"{root}/"): member.filename for member in members}
    strange = [
        member.filename
        for member in members
        if not member.filename.startswith(f"{root}/")
        or not set(member.filename.split("/")).isdisjoint(("", ".", ".."))
        or member.compress_type != zipfile.ZIP_STORED
    ]
    if strange or len(found) != len(members) or sum(member.file_size for member in members) > path.stat().st_size:
        raise CheckpointError(
            f"{path.name}: not written by torch.export.save: its members are not plain files of one folder "
            f"('{strange[0] if strange else root}')"
        )
    if any(name.startswith("data/aotinductor/") for name in found):
        raise CheckpointError(f"{path.name}: a package of compiled code: give the file of torch.export.save")
    if _PROGRAM not in found:
        old = "; it is of an older torch: load it there with torch.export.load, and save it with this one"
        raise CheckpointError(
            f"{path.name}: not a file of torch.export.save: it holds no {_PROGRAM}{old if _OLD in found else ''}"
        )
    return found


def _tensors(path: Path, archive: zipfile.ZipFile, names: Mapping[str, str], folder: str) -> "Tensors":
    table = f"{folder}model_{folder.split('/')[1]}_config.json"
    if table not in names:
        raise CheckpointError(
            f"{path.name}: {folder} is pickled, and nothing of somebody else's is unpickled here: save the program "
            "again with a newer torch"
        )
    made: dict[str, torch.Tensor] = {}
    found: dict[str, torch.Tensor] = {}
    for name, facts in json.loads(archive.read(names[table]))["config"].items():
        if facts["use_pickle"] or facts["tensor_meta"] is None:
            raise CheckpointError(
                f"{path.name}: '{name}' is a pickle ({folder}{facts['path_name']}), and nothing of somebody else's is "
                "unpickled here: save the program with plain tensors alone"
            )
        if not re.fullmatch(r"\w+", facts["path_name"]) or f"{folder}{facts['path_name']}" not in names:
            raise CheckpointError(f"{path.name}: '{name}' lies in '{facts['path_name']}', which is not in the file")
        key = json.dumps([facts["path_name"], facts["tensor_meta"]])
        if key not in made:
            made[key] = _tensor(archive.read(names[f"{folder}{facts['path_name']}"]), facts["tensor_meta"])
        found[name] = made[key]
    return found


def _tensor(data: bytes, meta: Mapping[str, Any]) -> "torch.Tensor":
    """A tensor of its own memory. Raises ValueError or RuntimeError where type and extents do not fit the bytes."""
    import torch

    if meta["dtype"] not in _DTYPES:
        raise ValueError(f"a tensor of type {dtype_of(meta['dtype'])}, which is not measured here")
    dtype = getattr(torch, _DTYPES[meta["dtype"]])
    sizes, strides = ([extent["as_int"] for extent in meta[key]] for key in ("sizes", "strides"))
    flat = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
    return flat.as_strided(sizes, strides, meta["storage_offset"]["as_int"]).contiguous()
