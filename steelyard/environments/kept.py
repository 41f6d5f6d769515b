"""Which environments there are, and the interpreter of each. Imports nothing heavy: every launch asks."""

import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from steelyard import __version__, wire
from steelyard.core.backend import BackendSpec
from steelyard.core.errors import StoreError, UsageError
from steelyard.core.virtual_environment import VirtualEnvironment
from steelyard.lowering.cache import cache_root

RECORD = "environment.json"
LATEST = "latest"
"""The name of an environment with the newest version of the runtime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What an environment was made of. `backend` is `NAME@ENVIRONMENT`, `found` what was in it when it was made,
    `steelyard` the version of this project whose files it holds.
    """

    backend: str
    requirements: tuple[str, ...]
    found: VirtualEnvironment
    steelyard: str
    created_utc: str


def folder_of(backend: BackendSpec) -> Path:
    """Where the environment of a backend lies, whether or not it is there."""
    return cache_root() / "environments" / re.sub(r"[^\w.@-]", "_", named(backend))


def named(backend: BackendSpec) -> str:
    """`NAME@ENVIRONMENT`: the backend without its provider and its options, which share one environment. Raises
    UsageError for one that names none."""
    if backend.environment is None:
        raise UsageError(
            f"'{backend.text}' names no environment: write {backend.runner}@NAME, for example {backend.runner}@nightly"
        )
    return f"{backend.runner}@{backend.environment}"


def python_in(folder: Path) -> Path:
    """The interpreter of the environment in a folder."""
    return folder / "bin" / "python"


def find(backend: BackendSpec) -> Environment:
    """The environment that a backend names. Raises UsageError, with the command that makes it, where it cannot serve:
    there is none, it was not finished, or it holds another version of this project."""
    folder = folder_of(backend)
    make = f"bench env create {named(backend)}"
    if not (folder / RECORD).is_file():
        raise UsageError(f"there is no environment {named(backend)} here; make it: {make}")
    try:
        found = wire.read(folder / RECORD, Environment)
    except StoreError as error:
        raise UsageError(f"{error}; make the environment {named(backend)} anew: {make} --anew") from error
    if found.steelyard != __version__:
        raise UsageError(
            f"the environment {named(backend)} holds steelyard {found.steelyard}, and this is {__version__}; "
            f"make it anew: {make} --anew"
        )
    if not python_in(folder).exists():
        raise UsageError(f"the environment {named(backend)} has lost its interpreter; make it anew: {make} --anew")
    return found


def interpreter(backend: BackendSpec) -> str:
    """The Python that a backend's processes run on: that of its environment, else this one. Raises UsageError as `find`
    does."""
    if backend.environment is None:
        return sys.executable
    find(backend)
    return str(python_in(folder_of(backend)))


def used(backends: Iterable[BackendSpec]) -> dict[str, VirtualEnvironment]:
    """What is in the environments of these backends, by `NAME@ENVIRONMENT`; those without one have none."""
    return {named(each): find(each).found for each in backends if each.environment is not None}


def every() -> Mapping[str, Environment | str]:
    """All that are here, by the name of their folder: each, or why it cannot be read."""
    found: dict[str, Environment | str] = {}
    root = cache_root() / "environments"
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if folder.name.startswith("."):  # a lock
            continue
        try:
            found[folder.name] = wire.read(folder / RECORD, Environment)
        except StoreError as error:
            found[folder.name] = str(error)
    return found


def remove(backend: BackendSpec) -> bool:
    """Remove it. Returns whether there was one."""
    folder = folder_of(backend)
    if not folder.is_dir():
        return False
    (folder / RECORD).unlink(missing_ok=True)  # first: what is half removed serves nobody
    shutil.rmtree(folder)
    return True
