"""Making an environment: the interpreter, the runtime's packages, this project's own files, what was found in it."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from steelyard import __version__, plugins, wire
from steelyard.core.backend import BackendSpec
from steelyard.core.errors import SteelyardError, UsageError
from steelyard.core.virtual_environment import VirtualEnvironment
from steelyard.environments.kept import LATEST, RECORD, Environment, find, folder_of, named, python_in, remove
from steelyard.guard.child import program_command
from steelyard.guard.environment import for_another_python
from steelyard.lowering.locks import locked

LAUNCH = ("ml_dtypes", "msgspec", "numpy", "psutil", "safetensors")
"""What a launch imports of this project's own requirements."""
_UNMET = re.compile(r" (requires|has requirement) ")
"""What pip check says of a package that lacks another, and of one that has it at a wrong version."""
_VERSION = re.compile(r"\d+(\.\d+)*")
_LOOK = """
import importlib.metadata, json, platform, sysconfig
packages = {}
for each in importlib.metadata.distributions():
    source = json.loads(each.read_text("direct_url.json") or "{}").get("vcs_info", {})
    commit = source.get("commit_id", "")[:12]
    packages.setdefault(each.metadata["Name"], f"{each.version} ({commit})" if commit else each.version)
packages = dict(sorted(packages.items(), key=lambda item: item[0].lower()))
print(json.dumps([platform.python_version(), sysconfig.get_path("purelib"), packages]))
"""


def create(
    backend: BackendSpec,
    *,
    requirements: Sequence[str] = (),
    files: Sequence[Path] = (),
    constraints: Sequence[Path] = (),
    python: str = "",
    inherits: bool = False,
    anew: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Environment:
    """Make the environment that `backend` names, with `requirements` and those of requirements `files`; without either
    with what its runner asks for, at the version that the environment's name is, or the newest, in the environment of
    the name `LATEST`, where it has none.

    `python` is another interpreter than this one. With `inherits` the packages of this environment are seen beneath its
    own, and nothing that is there already is installed twice. What exists is left alone unless it is to be made `anew`.
    Raises UsageError, and SteelyardError with the installer's last words where it fails; nothing half made is kept.
    """
    if not requirements and not files:
        backend = replace(backend, environment=backend.environment or LATEST)
    folder = folder_of(backend)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(f".{folder.name}.lock")):
        if (folder / RECORD).is_file() and not anew:
            raise UsageError(f"the environment {named(backend)} is here already; make it again with --anew")
        asked = tuple(requirements) or (() if files else _of_runner(backend))
        remove(backend)
        options = [part for file in files for part in ("-r", str(file))]
        options += [part for file in constraints for part in ("-c", str(file))]
        try:
            say(f"creating {named(backend)}")
            _run([*_creator(python), str(folder)], "creating it")
            into = _look(folder)[1]
            if inherits:
                (into / "zz-steelyard-beneath.pth").write_text("".join(f"{path}\n" for path in _own_packages()))
            say(f"installing {', '.join([*asked, *map(str, files)])}")
            newest = ["--upgrade"] if backend.environment == LATEST else []
            _run([*_installer(folder, inherits), *newest, *asked, *_of_launch(), *options], "installing its packages")
            _copy_this_project(into)
            found = replace(_look(folder)[0], inherits=inherits)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        made = Environment(
            backend=named(backend),
            requirements=(*asked, *map(str, files)),
            found=found,
            steelyard=__version__,
            created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        wire.write(folder / RECORD, made)
    return made


def at_version(
    backend: BackendSpec, version: str, *, packages: Sequence[str] = (), say: Callable[[str], None] = lambda text: None
) -> BackendSpec:
    """The backend in the environment of this version of its runtime, with `packages` besides: the one that is there,
    or a new one where there is none, or one that cannot serve or holds something else. Raises as `create` does."""
    chosen = replace(backend, environment=version)
    needed = plugins.runner(backend.runner).requirements
    runtime = package_of(needed[0])
    try:
        there = find(chosen)
    except UsageError:
        there = None
    if there is None or there.found.packages.get(runtime) != version or not {*packages} <= {*there.requirements}:
        create(chosen, requirements=(*_of_version(needed, version), *packages), anew=True, say=say)
    return chosen


def differences(backend: BackendSpec) -> list[str]:
    """What is no longer as it was when the environment was made, and which packages do not go together, a line each.
    Raises UsageError where there is none."""
    made, folder = find(backend).found, folder_of(backend)
    now = _look(folder)[0]
    found = [] if now.python == made.python else [f"its Python is {now.python}, and was {made.python}"]
    for name in sorted({*made.packages, *now.packages}, key=str.lower):
        before, after = made.packages.get(name), now.packages.get(name)
        if before != after:
            found.append(f"{name} is {after or 'gone'}, and was {before or 'not there'}")
    if not made.inherits:  # what lies beneath is another environment's affair
        command = program_command([*_pip(folder), "check"])
        checked = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env=for_another_python(os.environ),
        )
        # of this project only what a launch needs is there, on purpose
        found += [line for line in checked.stdout.splitlines() if _UNMET.search(line) and "steelyard" not in line]
    return found


def _of_runner(backend: BackendSpec) -> tuple[str, ...]:
    """What the runner asks for; its first package, the runtime, at the version that the environment's name is, or the
    newest where it is `LATEST`."""
    needed = plugins.runner(backend.runner).requirements
    if not needed:
        raise UsageError(
            f"the runner of '{backend.runner}' names no requirements: say what to install with --with PACKAGE"
        )
    version = backend.environment or LATEST
    if version == LATEST:
        return tuple(package_of(each) if "{version}" in each else each for each in needed)
    if not _VERSION.fullmatch(version):
        raise UsageError(
            f"'{version}' is no version of {needed[0]}: say what to install, for example --with '{needed[0]}>=0'"
        )
    return _of_version(needed, f"{version}.*")


def _of_version(needed: Sequence[str], version: str) -> tuple[str, ...]:
    """What a runner asks for, with its first package at a version, and others where they name it."""
    return (f"{package_of(needed[0])}=={version}", *(each.format(version=version) for each in needed[1:]))


def _of_launch() -> list[str]:
    """This project's own requirements that a launch has, as they are stated."""
    stated = importlib.metadata.requires("steelyard") or []
    return [text for text in stated if package_of(text) in LAUNCH]


def package_of(requirement: str) -> str:
    """The name at the beginning of a requirement."""
    return re.split(r"[^\w.-]", requirement)[0]


def _creator(python: str) -> list[str]:
    if uv := shutil.which("uv"):
        return [uv, "venv", "--quiet", "--seed", "--python", python or sys.executable]
    return [python or sys.executable, "-m", "venv"]


def _pip(folder: Path) -> list[str]:
    return [str(python_in(folder)), "-m", "pip", "--disable-pip-version-check", "--no-input"]


def _installer(folder: Path, inherits: bool) -> list[str]:
    """uv, where it is there; of what lies beneath it knows nothing, and pip does."""
    if not inherits and (uv := shutil.which("uv")):
        return [uv, "pip", "install", "--quiet", "--python", str(python_in(folder))]
    return [*_pip(folder), "install", "--quiet"]


def _own_packages() -> list[str]:
    return list(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")))


def _look(folder: Path) -> tuple[VirtualEnvironment, Path]:
    """What is in it, and where its packages lie."""
    version, place, packages = json.loads(_run([str(python_in(folder)), "-I", "-c", _LOOK], "looking into it"))
    return VirtualEnvironment(python=version, packages=packages), Path(place)


def _copy_this_project(into: Path) -> None:
    """The files of this installation: its modules, or where they are developed, what leads there."""
    found = importlib.metadata.distributions(name="steelyard")
    # A source tree on the path has metadata, too, but nothing that was installed.
    distribution = next((each for each in found if each.read_text("RECORD")), None)
    if distribution is None:
        raise SteelyardError(
            "this project is not installed, so that nothing can be put into an environment: pip install it"
        )
    for file in distribution.files or ():
        if ".." in file.parts or "__pycache__" in file.parts:  # scripts lie elsewhere
            continue
        target = into.joinpath(*file.parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(file.locate()), target)


def _run(command: Sequence[str], doing: str) -> str:
    """Its standard output. Raises SteelyardError with the last lines that it said where it fails."""
    done = subprocess.run(
        program_command(list(command)),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=for_another_python(os.environ),
    )
    if done.returncode:
        said = "\n".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-8:])
        raise SteelyardError(f"{doing} failed (exit code {done.returncode}):\n{said}")
    return done.stdout
