"""What user code is: the content of its modules, not their names.

A suite, a runner or a compiler pass is given as `module:attribute`, and the file behind the name may change any time.
Here its module and every local module that it imports are found without importing them, and hashed. Comments,
docstrings and layout do not count. What it imports of installed packages is known by their versions, and of this
project by its own; data files that code reads are not seen: their hashes belong into a definition's arguments.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import pkgutil
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

_OWN = "steelyard"
_OWN_CONTENT = "steelyard.suites"


def code_of(names: Iterable[str]) -> dict[str, str]:
    """The sha256 of each module behind `names` (`module` or `module:attribute`) and of each local one it imports.

    Local is what lies in no folder of installed packages. A name in an installed package stands for all of it, by the
    list of hashes that the installer wrote: a package under development keeps its version when it is installed
    again. A module that cannot be found is left out: importing it says what is wrong.
    """
    found: dict[str, str] = {}
    for name in names:
        root = name.partition(":")[0]
        waiting = [root]
        while waiting:
            module = waiting.pop()
            if module in found:
                continue
            file = _file(module)
            if file is None or (module != root and not _is_local(module, file, root)):
                continue
            if module == root and _is_installed(file):
                found |= _records(root.partition(".")[0])
            stat = file.stat()
            found[module], imported = _read(file, stat.st_mtime_ns, stat.st_size)
            package = module if file.name == "__init__.py" else module.rpartition(".")[0]
            waiting += _with_parents(imported, package)
    return dict(sorted(found.items()))


def modules_in(package: str) -> tuple[str, ...]:
    """The modules that lie directly in a package, found without importing anything; none of what is no package."""
    _, places = _found(package)
    return tuple(sorted(f"{package}.{each.name}" for each in pkgutil.iter_modules(places or ())))


def changes(then: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """The modules whose content is not what it was."""
    return tuple(name for name in sorted({*then, *now}) if then.get(name) != now.get(name))


def _is_local(module: str, file: Path, root: str) -> bool:
    if module.partition(".")[0] == _OWN:
        return module.startswith(f"{_OWN_CONTENT}.") and root.startswith(f"{_OWN_CONTENT}.")
    return not _is_installed(file)


def _is_installed(file: Path) -> bool:
    return any(file.is_relative_to(folder) for folder in _installed())


def _records(package: str) -> dict[str, str]:
    """By folder of each distribution that a top-level package came with, the digest of its RECORD, which is read each
    time: the package may be installed again meanwhile."""
    names = dict.fromkeys(_distributions().get(package, ()))
    records = {name: importlib.metadata.distribution(name).read_text("RECORD") for name in names}
    return {f"{name}.dist-info": hashlib.sha256(text.encode()).hexdigest() for name, text in records.items() if text}


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


@lru_cache(maxsize=1)
def _installed() -> tuple[Path, ...]:
    """The folders of the standard library and of installed packages."""
    paths = sysconfig.get_paths()
    named = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    named += [*site.getsitepackages(), site.getusersitepackages()]
    named += [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    return tuple(dict.fromkeys(Path(entry).resolve() for entry in named))


def _file(module: str) -> Path | None:
    """The file of a module."""
    spec, _ = _found(module)
    if spec is None or not spec.has_location or spec.origin is None:
        return None
    file = Path(spec.origin).resolve()
    return file if file.is_file() else None


def _found(module: str) -> tuple[ModuleSpec | None, list[str] | None]:
    """A module and where its submodules lie, by the finders of this process, without importing anything; of a module
    that is no package, or cannot be found, None."""
    path: list[str] | None = None
    spec: ModuleSpec | None = None
    for end in [at for at, letter in enumerate(module) if letter == "."] + [len(module)]:
        if spec is not None and path is None:  # the one before is no package
            return None, None
        spec = _spec(module[:end], path)
        if spec is None:
            return None, None
        path = _within(spec, path)
    return spec, path


def _spec(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    if path is not None:
        # By its last part: with all of its name a folder without __init__ would be looked for among imported modules.
        found = PathFinder.find_spec(name.rpartition(".")[2], path)
        if found is not None:
            return found
    finders = (finder for finder in sys.meta_path if path is None or finder is not PathFinder)
    return next((spec for finder in finders if (spec := finder.find_spec(name, path)) is not None), None)


def _within(spec: ModuleSpec, path: Sequence[str] | None) -> list[str] | None:
    """Where the submodules of a package lie; None for a module that is none."""
    if spec.submodule_search_locations is None:
        return None
    if spec.origin is not None:
        return list(spec.submodule_search_locations)
    # A folder without __init__ may have several places; its own list of them follows what is imported.
    name = spec.name.rpartition(".")[2]
    return [str(Path(entry, name)) for entry in (sys.path if path is None else path) if Path(entry, name).is_dir()]


@lru_cache(maxsize=4096)
def _read(file: Path, modified_ns: int, size: int) -> tuple[str, tuple[tuple[int, str, tuple[str, ...]], ...]]:
    """The digest of a file and what it imports: (level of a relative import, module, names). The other arguments are
    the file's state, by which this is remembered."""
    data = file.read_bytes()
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):  # an extension module, or a file that cannot be imported either
        return hashlib.sha256(data).hexdigest(), ()
    imports: list[tuple[int, str, tuple[str, ...]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
    return hashlib.sha256(ast.unparse(_bare(tree)).encode()).hexdigest(), tuple(imports)


def _bare(tree: ast.Module) -> ast.Module:
    """The tree without docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body[0] = ast.Pass()
    return tree


def _with_parents(imported: Iterable[tuple[int, str, tuple[str, ...]]], package: str) -> Iterator[str]:
    """The modules that import statements may load: the one named, its packages, and names that may be submodules."""
    for level, module, names in imported:
        if level:
            try:
                module = importlib.util.resolve_name("." * level + module, package)
            except ImportError:  # beyond the top-level package
                continue
        parts = module.split(".")
        yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))
        yield from (f"{module}.{name}" for name in names if name != "*")
