"""A program of `torch.export` as JSON, brought down to what can be looked through: operators on tensors.

Torch takes more from such a file than a graph: expressions of extents are evaluated as Python, and so are guards; names
of nodes are written into code; an operator may be any function under `torch`, `math` or `operator`; the form of the
arguments names classes to import. What is not needed is left out or written anew, all else must be known here.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from steelyard.core.errors import CheckpointError

_OPERATOR = re.compile(r"torch\.ops\.(aten|prims)\.(\w+)\.\w+")
_ON_NUMBERS = re.compile(
    r"_operator\.(getitem|add|sub|mul|floordiv|mod|neg|truediv|eq|ne|lt|le|gt|ge|and_|or_)|"
    r"torch\.sym_(max|min|float|int|not|ite)|math\.(ceil|floor|trunc)"
)
_TOUCHES_FILES = frozenset({"from_file", "save", "load"})
_EXPRESSIONS = frozenset({
    "Symbol", "Integer", "Add", "Mul", "Pow", "Max", "Min", "Mod", "PythonMod", "FloorDiv", "CeilDiv", "CleanDiv",
    "ModularIndexing",
})  # fmt: skip
_SYMBOL = re.compile(r"[su]\d{1,4}")
_NAMES = {key: re.compile(r"[A-Za-z_]\w*", re.ASCII) for key in ("name", "as_name")} | {
    key: re.compile(r"[\w.@/ -]+", re.ASCII) for key in ("parameter_name", "buffer_name", "tensor_constant_name")
}
"""What stands under these keys is written into Python code."""
_FOREIGN_ARGUMENTS = ("as_graph", "as_custom_obj", "as_operator")
_IN_A_FUNCTION = "give the function that makes the module, --model package.module:function"


def cleaned(path: Path, program: Any) -> dict[str, Any]:
    """The program with tensors on both sides, by position, and without what torch does not need to run it.

    Raises CheckpointError that names what is not known.
    """
    module = program["graph_module"]
    graph, signature = module["graph"], module["signature"]
    for found in _objects(program):
        _check(path, found)
    for node in graph["nodes"]:
        target = _OPERATOR.fullmatch(node["target"])
        if (target is None or target[2] in _TOUCHES_FILES) and not _ON_NUMBERS.fullmatch(node["target"]):
            raise CheckpointError(
                f"{path.name}: it calls {node['target']}, which is no operator of PyTorch on tensors: {_IN_A_FUNCTION}"
            )
        node["metadata"] = {}
    kept = [_input(path, spec) for spec in signature["input_specs"]]
    graph["inputs"] = [one for one, wanted in zip(graph["inputs"], kept, strict=True) if wanted]
    inputs = [spec for spec, wanted in zip(signature["input_specs"], kept, strict=True) if wanted]
    kept = [_output(path, spec) for spec in signature["output_specs"]]
    graph["outputs"] = [one for one, wanted in zip(graph["outputs"], kept, strict=True) if wanted]
    outputs = [spec for spec, wanted in zip(signature["output_specs"], kept, strict=True) if wanted]
    for symbol, bounds in program["range_constraints"].items():
        if not _SYMBOL.fullmatch(symbol) or any(type(bound) not in (int, type(None)) for bound in bounds.values()):
            raise CheckpointError(f"{path.name}: it bounds '{symbol[:80]}', which is no extent")
    return {
        "graph_module": {
            "graph": {**graph, "custom_obj_values": {}},
            "signature": {"input_specs": inputs, "output_specs": outputs},
            "module_call_graph": [_called(sum("user_input" in spec for spec in inputs), len(outputs))],
        },
        "opset_version": program["opset_version"],
        "range_constraints": program["range_constraints"],
        "schema_version": program["schema_version"],
        "verifiers": ["TRAINING"],
        "torch_version": program.get("torch_version", ""),
        "guards_code": [],
    }


def inputs_of(program: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Type and extents of each input of a cleaned program."""
    graph_module = program["graph_module"]
    specs = [spec["user_input"] for spec in graph_module["signature"]["input_specs"] if "user_input" in spec]
    names = [spec["arg"]["as_tensor"]["name"] for spec in specs]
    return {name: graph_module["graph"]["tensor_values"][name] for name in names}


def extent_of(size: Mapping[str, Any]) -> int | str:
    """An extent: a number, the name of a symbol, or `?` for what follows from others."""
    if "as_int" in size:
        return int(size["as_int"])
    named = re.fullmatch(r"Symbol\('(\w+)'.*\)", size["as_expr"]["expr_str"])
    return named[1] if named and "(" not in named[0].removeprefix("Symbol(") else "?"


def _check(path: Path, found: Mapping[str, Any]) -> None:
    for name in _FOREIGN_ARGUMENTS:
        if name in found:
            raise CheckpointError(
                f"{path.name}: it holds {name.removeprefix('as_')}s among its arguments, and not only operators on "
                f"tensors: {_IN_A_FUNCTION}"
            )
    for key, form in _NAMES.items():
        if found.get(key) is not None and not form.fullmatch(str(found[key])):
            raise CheckpointError(f"{path.name}: '{str(found[key])[:80]}' is no name")
    if "expr_str" in found and not _is_extent(found["expr_str"]):
        raise CheckpointError(f"{path.name}: an extent is '{str(found['expr_str'])[:80]}', which is no whole number")
    if set(found) == {"type", "index"} and found["type"] != "cpu":
        raise CheckpointError(
            f"{path.name}: it was exported for {found['type']}: move it to the CPU before it is saved "
            "(torch.export.passes.move_to_device_pass); the run moves it to the device that is measured"
        )


def _is_extent(text: Any) -> bool:
    """Whether an expression is one of whole numbers and symbols, as torch writes them: nested calls of known names."""
    if not isinstance(text, str) or len(text) > 1000:
        return False
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return False
    return _is_call(tree)


def _is_call(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in _EXPRESSIONS:
        return False
    if any(not isinstance(option.value, ast.Constant) or option.value.value is not True for option in node.keywords):
        return False
    if node.func.id in ("Symbol", "Integer"):
        fits = _is_symbol if node.func.id == "Symbol" else _is_number
        return len(node.args) == 1 and fits(node.args[0])
    if node.func.id == "Pow" and ast.unparse(node.args[-1]) not in ("Integer(2)", "Integer(3)"):
        return False
    return all(_is_call(argument) for argument in node.args)


def _is_symbol(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(_SYMBOL.fullmatch(node.value))


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value < 1 << 63


def _input(path: Path, spec: Mapping[str, Any]) -> bool:
    """Whether an input is one of the program that is left: a constant is in the graph already."""
    (kind,) = spec
    if kind == "constant_input":
        return False
    if kind not in ("user_input", "parameter", "buffer", "tensor_constant") or (
        kind == "user_input" and "as_tensor" not in spec["user_input"]["arg"]
    ):
        raise CheckpointError(f"{path.name}: it takes a {kind} that is no tensor: {_IN_A_FUNCTION}")
    return True


def _output(path: Path, spec: Mapping[str, Any]) -> bool:
    """Whether an output is one of the program that is left: what is None is not."""
    (kind,) = spec
    if kind != "user_output":
        raise CheckpointError(
            f"{path.name}: it has an output of the kind {kind}: a program that changes what it is given, or its own "
            "state, is not measured: export the module in eval mode"
        )
    argument = spec[kind]["arg"]
    if "as_tensor" not in argument and "as_none" not in argument:
        raise CheckpointError(f"{path.name}: it returns a number ({next(iter(argument))}), and not only tensors")
    return "as_tensor" in argument


def _called(inputs: int, outputs: int) -> dict[str, Any]:
    """How the program is called, by position: torch's own form for tuples of tensors."""
    leaf: dict[str, Any] = {"type": None, "context": None, "children_spec": []}

    def several(kind: str, context: str, children: list[Any]) -> dict[str, Any]:
        return {"type": f"builtins.{kind}", "context": context, "children_spec": children}

    given = several("tuple", "null", [several("tuple", "null", [leaf] * inputs), several("dict", "[]", [])])
    signature: dict[str, Any] = {
        "inputs": [],
        "outputs": [],
        "in_spec": json.dumps([1, given]),
        "out_spec": json.dumps([1, several("tuple", "null", [leaf] * outputs)]),
        "forward_arg_names": None,
    }
    return {"fqn": "", "signature": signature}


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every JSON object in a value."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, Mapping):
            yield found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
