"""Skeletons: a module and its test out of the templates beside this file, and what to type next."""

import importlib.util
import json
import keyword
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from glob import escape
from importlib import resources
from pathlib import Path
from string import Template

from steelyard import plugins
from steelyard.core.errors import SteelyardError, UsageError, unknown_name
from steelyard.hardware.choice import pick_device


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """What is written for a kind: `NAME` and `ending`, and `test_NAME.py`. `registered` are the names that are taken,
    `commands` what to type next."""

    ending: str = ".py"
    registered: Callable[[], Collection[str]]
    commands: tuple[str, ...]


SKELETONS: Mapping[str, Skeleton] = {
    "suite": Skeleton(
        registered=plugins.suites, commands=("bench run --suite $name:SUITE --size tiny --backend all --quick",)
    ),
    "runner": Skeleton(
        registered=plugins.runners,
        commands=("bench run --suite vision --size tiny --backend eager,$name:Compiler --quick",),
    ),
    "driver": Skeleton(
        registered=plugins.drivers, commands=("bench run --suite $name:SUITE --size tiny --backend all --quick",)
    ),
    "report": Skeleton(registered=plugins.reports, commands=("bench report latest --format $name:REPORT",)),
    "profile": Skeleton(ending=".toml", registered=tuple, commands=("STEELYARD_PROFILES=$name.toml bench hardware",)),
}


def write_skeleton(kind: str, name: str, folder: Path) -> tuple[Path, ...]:
    """Write the files of a kind into the folder and return them, the module first.

    Raises UsageError, with nothing written, for a name that cannot be imported or is taken, and for files that exist;
    SteelyardError where the folder cannot be written.
    """
    if kind not in SKELETONS:
        raise unknown_name("kind for bench new", kind, SKELETONS)
    skeleton = SKELETONS[kind]
    _check_spelling(kind, name)
    paths = (folder / f"{name}{skeleton.ending}", folder / f"test_{name}.py")
    if there := [path for path in paths if path.exists()]:
        raise UsageError(f"{there[0]} exists, and nothing was written: choose another name, or move that file away")
    _check_free(kind, name, folder)
    texts = [_text(kind, file, name) for file in (f"{kind}{skeleton.ending}.txt", f"test_{kind}.py.txt")]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, texts, strict=True):
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise SteelyardError(f"{folder}: cannot be written: {error.strerror}; choose another --folder") from error
    return paths


def next_commands(kind: str, name: str) -> tuple[str, ...]:
    """What to type next, in the folder of the skeleton."""
    return (f"pytest test_{name}.py", *(Template(text).substitute(name=name) for text in SKELETONS[kind].commands))


def _check_spelling(kind: str, name: str) -> None:
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
        raise UsageError(
            f"'{name}' cannot be the name of a Python module: take letters, digits and _, begin with a letter, and "
            f"take no word of the language, e.g. bench new {kind} my_{kind}"
        )


def _check_free(kind: str, name: str, folder: Path) -> None:
    """Raises UsageError where the name would mean something else."""
    if name in SKELETONS[kind].registered():
        raise UsageError(f"the {kind} '{name}' is there already: choose another name")
    if SKELETONS[kind].ending == ".py" and (where := _imported(name, folder)):
        raise UsageError(
            f"'{name}' is a module already ({where}), which would be imported instead: choose another name"
        )


def _imported(name: str, folder: Path) -> str:
    """Where the module lies that `import NAME` finds now, or would find in the folder; empty if there is none. A folder
    without `__init__.py` is none: a file of that name goes before it."""
    package = folder / name / "__init__.py"
    if package.is_file():
        return str(package)
    if name == "__main__":
        return "the program itself"
    found = importlib.util.find_spec(name)
    return (found.origin or "") if found is not None else ""


def _text(kind: str, file: str, name: str) -> str:
    """A template with its fields filled: the name, and of a profile the device that is here."""
    template = Template((resources.files("steelyard.new") / "templates" / file).read_text("utf-8"))
    if kind != "profile":
        return template.substitute(name=name)
    device = pick_device(None)
    told, pattern = (json.dumps(text, ensure_ascii=False) for text in (device.name, escape(device.name)))
    return template.substitute(name=name, kind=device.kind, device=told, pattern=pattern)
