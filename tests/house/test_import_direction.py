"""Imports point one way: the rules of the house, read off the source without running it."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDER = (
    "core", "stats", "measure", "guard", "lowering", "environments", "hardware", "engine", "store", "analysis",
    "tables", "render", "across", "tracing", "history", "dashboard", "artifact", "service", "fleet", "selftest", "new",
    "cli",
)  # fmt: skip
LEAVES = {
    "runners": "runners", "suites": "suites", "reports": "reports", "hardware_profiles": "hardware_profiles",
    **{kind: f"steelyard/{kind}" for kind in ("drivers", "sources", "formats", "sections")},
}  # fmt: skip
HEAVY = {
    "torch", "torchax", "jax", "jaxlib", "onnx", "onnxscript", "onnxruntime", "openvino", "transformers", "gguf",
    "matplotlib", "pandas", "pyarrow", "scipy",
}  # fmt: skip
# What these import at module level is paid by every command or launch, and would stand beside the one
# runtime that a launch measures. Modules of other parts may need a framework once they are reached.
ENTRIES = ("steelyard", "steelyard.cli.main", "steelyard.plugins")
LIGHT_PARTS = ("core", "stats", "measure", "guard", "hardware", "engine")


def modules() -> dict[str, Path]:
    """Every module of the distribution by its full name."""
    found = {}
    for name, directory in {"steelyard": "steelyard", **{f"steelyard.{k}": v for k, v in LEAVES.items()}}.items():
        for path in (ROOT / directory).rglob("*.py"):
            parts = path.relative_to(ROOT / directory).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join((name, *parts))] = path
    return found


MODULES = modules()


@cache
def imported(name: str, *, top_only: bool = False) -> tuple[tuple[str, int], ...]:
    """Full names of what a module imports, with the line. `top_only`: what runs when the module is imported."""
    return tuple(_imported(name, top_only))


def _imported(name: str, top_only: bool) -> Iterator[tuple[str, int]]:
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in _nodes(ast.parse(path.read_text()), top_only):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{source}.{alias.name}"
                yield (full if full in MODULES else source), node.lineno


def _nodes(tree: ast.AST, top_only: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if top_only and (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _for_types_only(node)):
            continue
        yield node
        yield from _nodes(node, top_only)


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def part(name: str) -> str:
    """The part a module belongs to: `core` for steelyard.core.case; empty for a module of the top level."""
    pieces = name.split(".")
    return pieces[1] if len(pieces) > 1 and pieces[0] == "steelyard" else ""


def leaf(name: str) -> str | None:
    return part(name) if part(name) in LEAVES else None


def where(name: str, line: int) -> str:
    return f"{MODULES[name].relative_to(ROOT)}:{line}"


def test_the_scan_sees_the_code():
    assert {"steelyard.core.case", "steelyard.plugins", "steelyard.runners.torch", "steelyard.suites.llm"} <= set(
        MODULES
    )
    assert "steelyard.core.errors" in [target for target, _ in imported("steelyard.core.backend")]
    # Relative imports and imports inside functions are seen too.
    assert "steelyard.suites.llm.axes" in [target for target, _ in imported("steelyard.suites.llm")]
    assert "torch" in [target for target, _ in imported("steelyard.lowering.source")]
    assert "torch" not in [target for target, _ in imported("steelyard.lowering.source", top_only=True)]


def test_every_part_has_its_place():
    known = {
        *ORDER,
        *LEAVES,
        "plugins",
        "wire",
        "api",
        "pytest_plugin",
        "adapters",
        "contract",
        "__main__",
        "",
    }
    assert {part(name) for name in MODULES} <= known


def test_imports_point_upward():
    wrong = []
    for name in MODULES:
        own = part(name)
        if own not in ORDER:
            continue
        for target, line in imported(name):
            if part(target) in ORDER and ORDER.index(part(target)) > ORDER.index(own):
                wrong.append(f"{where(name, line)} imports {target}")
            if own == "core" and part(target) in ("plugins", "wire"):
                wrong.append(f"{where(name, line)} imports {target}")
    assert not wrong


def test_plugins_and_wire_stand_on_core_alone():
    for name in ("steelyard.plugins", "steelyard.wire"):
        assert {part(target) for target, _ in imported(name) if target.startswith("steelyard")} <= {"core"}


def test_core_needs_only_the_standard_library():
    allowed = {*sys.stdlib_module_names, "steelyard"}
    wrong = [
        f"{where(name, line)} imports {target}"
        for name in MODULES
        if part(name) == "core"
        for target, line in imported(name, top_only=True)
        if target.split(".")[0] not in allowed
    ]
    assert not wrong


def test_statistics_need_only_numpy():
    allowed = {*sys.stdlib_module_names, "steelyard", "numpy"}
    wrong = [
        f"{where(name, line)} imports {target}"
        for name in MODULES
        if part(name) == "stats"
        for target, line in imported(name)
        if target.split(".")[0] not in allowed
    ]
    assert not wrong


def test_the_engine_imports_no_content():
    """Runners, suites, drivers, sections and reports are found by name, so that adding one changes nothing else."""
    wrong = [
        f"{where(name, line)} imports {target}"
        for name in MODULES
        if leaf(name) is None
        for target, line in imported(name)
        if leaf(target) is not None or target.split(".")[0] in LEAVES
    ]
    assert not wrong


def test_content_stands_alone():
    """A file or folder of content imports from the engine, never from its neighbours."""

    def unit(name: str) -> str:
        pieces = name.split(".")
        return ".".join(pieces[: 4 if pieces[:3] == ["steelyard", "reports", "figures"] else 3])

    wrong = [
        f"{where(name, line)} imports {target}"
        for name in MODULES
        if leaf(name) is not None
        for target, line in imported(name)
        if leaf(target) is not None and unit(target) != unit(name)
    ]
    assert not wrong


def entries() -> list[str]:
    runners = [name for name in MODULES if leaf(name) in ("runners", "drivers", "formats", "sections", "sources")]
    suites = [name for name, path in MODULES.items() if leaf(name) == "suites" and path.name == "__init__.py"]
    light = [name for name in MODULES if part(name) in LIGHT_PARTS]
    return [*ENTRIES, *light, *runners, *suites]


@pytest.mark.parametrize("entry", entries())
def test_no_framework_before_it_is_asked_for(entry):
    """What is imported with an entry point, directly or through others, holds no framework."""
    chains, queue = {entry: entry}, [entry]
    while queue:
        name = queue.pop()
        for target, line in imported(name, top_only=True):
            head = target.split(".")[0]
            assert head not in HEAVY, f"{where(name, line)} imports {head} at module level: {chains[name]}"
            pieces = target.split(".")
            for ancestor in (".".join(pieces[: count + 1]) for count in range(len(pieces))):
                if ancestor in MODULES and ancestor not in chains:
                    chains[ancestor] = f"{chains[name]} -> {ancestor}"
                    queue.append(ancestor)
