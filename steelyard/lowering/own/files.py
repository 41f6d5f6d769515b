"""A file that somebody else wrote: whether it is still the one that was looked at, and its inputs as specs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from steelyard.core.errors import CheckpointError, UsageError, unknown_name
from steelyard.core.hashing import file_sha256
from steelyard.core.workload import DTYPE_BYTES, DType, TensorSpec


def unchanged(local: Path | None, sha256: str, what: str) -> Path:
    """The file, if its bytes are those of which the point was made. Raises CheckpointError."""
    if local is None:
        raise CheckpointError(f"the {what} of this configuration is not given: name it with --model")
    if not local.is_file() or file_sha256(local) != sha256:
        raise CheckpointError(f"{local}: not the {what} that was looked at before: it was changed, or is another one")
    return local


def spec_of(
    path: Path, name: str, extents: Sequence[int | str], dtype: str, shapes: Mapping[str, tuple[int, ...]]
) -> TensorSpec:
    """An input of a file; an extent that is a text is open, and filled in from `shapes`. Raises UsageError where it is
    not given, does not fit, or the type is none that is measured."""
    known = known_dtype(path, name, dtype)
    given = shapes.get(name)
    if given is None:
        if not all(isinstance(extent, int) for extent in extents):
            example = "x".join(str(extent) if isinstance(extent, int) else "1" for extent in extents)
            raise UsageError(
                f"{path.name}: input '{name}' is {list(extents)}, with open extents; give them, e.g. "
                f"--shape {name}={example}"
            )
        return TensorSpec(name=name, shape=tuple(int(extent) for extent in extents), dtype=known)
    fixed = [one for one, other in zip(extents, given, strict=False) if isinstance(one, int) and one != other]
    if len(given) != len(extents) or fixed:
        raise UsageError(f"--shape {name}: {list(given)} does not fit {list(extents)}, which the model declares")
    return TensorSpec(name=name, shape=given, dtype=known)


def known_dtype(path: Path, name: str, found: str) -> DType:
    """The type of an input or output. Raises UsageError for one that is not measured."""
    if found not in DTYPE_BYTES:
        raise UsageError(f"{path.name}: '{name}' is of type {found}, which is not measured here")
    return cast(DType, found)


def all_are_inputs(path: Path, shapes: Mapping[str, tuple[int, ...]], inputs: Sequence[TensorSpec]) -> None:
    """Raises UsageError for a shape of what is no input."""
    names = [spec.name for spec in inputs]
    for name in shapes:
        if name not in names:
            raise unknown_name(f"input of {path.name}", name, names)


def computes_in(inputs: Sequence[TensorSpec]) -> DType:
    """The type that a program computes in, going by its inputs: their first floating one, else float32."""
    return next((spec.dtype for spec in inputs if "float" in spec.dtype), "float32")


def shapes_of(texts: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """The extents of inputs by name, of texts such as `input=1x3x224x224`, comma lists allowed. Raises UsageError."""
    found = {}
    for text in (part for given in texts for part in given.split(",")):
        name, equals, shape = text.rpartition("=")
        extents = shape.split("x") if shape else []  # a scalar has none
        if not equals or not name or not all(extent.isascii() and extent.isdigit() for extent in extents):
            raise UsageError(f"--shape '{text}' is not of the form INPUT=1x3x224x224")
        found[name] = tuple(map(int, extents))
    return found
