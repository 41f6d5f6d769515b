"""What `iree-compile` makes of a StableHLO module, kept in the launch's cache, and what can be read off it."""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.core.errors import SteelyardError

_DISPATCH = re.compile(rb"\w+_dispatch_\d+_\w+")
_PRODUCT = re.compile(r"matmul|matvec|vecmat|mmt4d|conv|contract|dot")
_TYPES = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "i8": "int8", "i32": "int32"}
_LAST_TYPES = re.compile(r"[_x]((?:f|bf|i)\d+(?:x(?:f|bf|i)\d+)*)(?:_dispatch_tensor_store)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A compiled module, and beside it what the compiler says of its schedule."""

    file: Path

    def statistics(self) -> Mapping[str, Any]:
        """Dispatches, copies and transient memory of the whole program (`--iree-scheduling-dump-statistics-format`)."""
        told: Mapping[str, Any] = json.loads(self.file.with_suffix(".json").read_text())["stream-aggregate"]
        return told

    def dispatches(self) -> list[str]:
        """The names of the compiled dispatches, as the file has them, without the name of their module."""
        found = {name.decode().partition("_dispatch_")[2] for name in _DISPATCH.findall(self.file.read_bytes())}
        # A name is also found with the first byte of what follows it in the file.
        return sorted(name for name in found if name[:-1] not in found)


def versions() -> dict[str, str]:
    """Those of the compiler and of the runtime."""
    from importlib.metadata import version

    return {name: version(name) for name in ("iree-base-compiler", "iree-base-runtime")}


def compiled(source: Path, flags: Sequence[str], cache: Path, telling: Sequence[str] = ()) -> Made:
    """A StableHLO module for this CPU, unless the cache has it; flags that are `telling` change nothing of it. Raises
    SteelyardError with what the compiler said."""
    import iree.compiler

    key = hashlib.sha256(source.read_bytes())
    key.update("\0".join([*flags, *versions().values()]).encode())
    made = Made(file=cache / "iree" / f"{key.hexdigest()[:24]}.vmfb")
    if made.file.exists():
        return made
    made.file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = made.file.with_suffix(f".{os.getpid()}")
    told = [
        "--iree-scheduling-dump-statistics-format=json",
        f"--iree-scheduling-dump-statistics-file={made.file.with_suffix('.json')}",
    ]
    try:
        iree.compiler.compile_file(
            str(source),
            input_type="stablehlo",
            target_backends=["llvm-cpu"],
            output_file=str(unfinished),
            extra_args=[*flags, *told, *telling],
        )
    except iree.compiler.CompilerToolError as error:
        raise SteelyardError(f"iree-compile: {_first_error(str(error))}") from error
    unfinished.replace(made.file)
    return made


def is_product(dispatch: str) -> bool:
    """Whether the name of a dispatch is that of matrix products or convolutions."""
    return bool(_PRODUCT.search(dispatch))


def types_of(dispatch: str) -> tuple[str, ...]:
    """The types that its name ends in, in the program's words; () where it tells none."""
    found = _LAST_TYPES.search(dispatch)
    return tuple(_TYPES.get(name, name) for name in found[1].split("x")) if found else ()


def _first_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines()]
    told = [line.partition("error: ")[2] for line in lines if "error: " in line]
    return told[0] if told else next((line for line in lines if line), "it failed and said nothing")
