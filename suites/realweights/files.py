"""The files of weights that packages carry, and points that are made of an ONNX file as it is."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from steelyard import plugins
from steelyard.adapters.protobuf import fields, message, part
from steelyard.core.errors import CheckpointError, MissingPackage
from steelyard.core.hashing import file_sha256
from steelyard.core.workload import ARRAYS, SCORE, SCORED, Point, Program, TensorSpec, Weights, Work
from steelyard.lowering.packaged import Packaged, packaged

EXTRA = "realweights"
_METADATA, _KEY, _VALUE = 14, 1, 2
"""Of `ModelProto` the field `metadata_props`, and those of each of its entries (onnx.proto)."""


def carried(package: str, name: str) -> Packaged:
    """The file of a package whose path ends so. Raises MissingPackage without it."""
    found = packaged(package, name)
    if found is None:
        raise MissingPackage(package, EXTRA)
    return found


def weights_of(package: str, name: str, source: str) -> Weights:
    """The weights in a file of a package, which `source` writes: known by the file's hash."""
    arguments = {"package": package, "file": name, "sha256": carried(package, name).sha256}
    return Weights(source=source, arguments=arguments, origin="real")


def planned(arguments: Mapping[str, Any]) -> Path:
    """The file that weights were planned with. Raises CheckpointError where the package holds another one by now."""
    found = carried(arguments["package"], arguments["file"])
    if file_sha256(found.path) != arguments["sha256"]:
        raise CheckpointError(
            f"{found.path.name} of the package {arguments['package']} {found.version} is not the file that was planned "
            "(sha256 differs): install the package again"
        )
    return found.path


def write(arguments: Mapping[str, Any], directory: Path, local: Path | None) -> None:
    """Keep an ONNX file as it is; its weights are inside."""
    del local
    plugins.source("onnx").keep(planned(arguments), directory)


@cache
def told(package: str, name: str) -> Any:
    """What a file of JSON in a package holds."""
    return json.loads(carried(package, name).path.read_text())


@cache
def metadata(package: str, name: str, key: str) -> str:
    """A text that an ONNX file holds beside its graph; read without the package onnx, which no launch should hold."""
    entries = (
        message(value)
        for number, value in fields(carried(package, name).path.read_bytes())
        if number == _METADATA and isinstance(value, bytes)
    )
    return next(part(each, _VALUE).decode() for each in entries if part(each, _KEY).decode() == key)


def onnx_program(
    name: str, package: str, file: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> Program:
    """The program in an ONNX file of a package, with these extents."""
    return Program(
        name=name,
        source="steelyard.sources.onnx:load",
        arguments={},
        weights=weights_of(package, file, f"{__name__}:write"),
        dtype="float32",
        inputs=inputs,
        outputs=outputs,
        kind="onnx",
    )


def scored_point(
    program: Program,
    module: str,
    *,
    scored: str,
    flop: float,
    parameters: int,
    items: int,
    unit: str,
    labels: Mapping[str, Any] | None = None,
) -> Point:
    """A point of one program, whose answers the function `score` of a module holds against labels.

    Input sets of an ONNX file are the module's `arrays`, those of a torch module its `make`; `scored` says what the
    score counts. `labels` are what the score has to know of the package: launches may run where it is not installed.
    """
    settings: dict[str, Any] = {SCORE: f"{module}:score", SCORED: scored, **({"labels": labels} if labels else {})}
    if program.kind == "onnx":
        settings[ARRAYS] = f"{module}:arrays"
    return Point(
        suite="realweights",
        suite_version=1,
        workload=program.name,
        axes={"size": "full"},
        driver="call",
        programs={"main": program},
        settings=settings,
        pool=program.source if program.kind == "onnx" else f"{module}:make",
        window=None,
        work=Work(flop=flop, weight_bytes=4 * parameters, items=items, unit=unit),
    )
