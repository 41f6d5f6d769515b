"""How a stand-alone script uses a runtime as its runner does: what a runner hands to `bench repro`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steelyard.core.case import Case
from steelyard.core.lowered import LoweredProgram


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The runtime's part of a script.

    `code` defines `load()`, which returns the compiled program, and a class `Call(program, inputs)`: one input set with
    `run()`, which returns when every output is complete, `outputs()` by name, and `settle()`, which adopts the state of
    the last run. It finds its files beside it in `HERE`, the constants of every script (`steelyard.artifact.repro`) and
    its own `constants`: plain values by name. `model` is the file that it loads, one of `files`, which are copied. A
    script of which `exports_module` holds loads `program.pt2` instead: the module as `torch.export` writes it, updating
    its state in place. `packages` are what it imports besides numpy; `remarks` tell in what it is not as the runner.
    """

    code: str
    constants: Mapping[str, Any]
    packages: tuple[str, ...]
    model: str = "program.pt2"
    files: tuple[Path, ...] = ()
    exports_module: bool = False
    remarks: tuple[str, ...] = ()


Scripted = Callable[[Case, LoweredProgram, Mapping[str, Any]], Script]
"""What `Runner.script` names: the script of a case that was compiled with these options, as its result says them.

It raises Unsupported, with the reason, for a case that a script cannot show.
"""
